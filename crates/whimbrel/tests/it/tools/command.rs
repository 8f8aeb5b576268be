//! A broker, and the tools as processes.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Output, Stdio};

/// What every call of `sub` ends with at the latest, so that a failure is a failure and no hang.
const PATIENCE: [&str; 2] = ["-W", "60"];

/// The program, without what the environment of the tests may say to it.
fn whimbrel() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WHIMBREL_")) {
        command.env_remove(name);
    }
    command
}

/// A running broker.
pub(super) struct Broker {
    child: Child,
    address: SocketAddr,
}

impl Broker {
    pub(super) fn start() -> Broker {
        Broker::start_with(&[])
    }

    pub(super) fn start_with(flags: &[&str]) -> Broker {
        let mut child = whimbrel()
            .args(["serve", "--listen", "127.0.0.1:0", "--durability", "memory"])
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the broker starts");
        let log = child.stderr.take().expect("its log is piped");
        let mut lines = BufReader::new(log).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split("listening on ").nth(1)?.split(' ').next()?.parse().ok())
            .expect("the broker says where it listens");
        // It must never wait for somebody to read what it says.
        std::thread::spawn(move || lines.for_each(drop));
        Broker { child, address }
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// `whimbrel pub` with these flags, at this broker.
    pub(super) fn publish(&self, flags: &[&str]) -> Said {
        Tool::at("pub", self.address, flags).run(b"")
    }

    /// `whimbrel sub` with these flags, at this broker.
    pub(super) fn subscribe(&self, flags: &[&str]) -> Said {
        self.subscriber(flags).run(b"")
    }

    /// `whimbrel sub`, to be started.
    pub(super) fn subscriber(&self, flags: &[&str]) -> Tool {
        let patience = if flags.contains(&"-W") { &[][..] } else { &PATIENCE };
        Tool::at("sub", self.address, &[flags, patience].concat())
    }

    /// `whimbrel pub`, to be started.
    pub(super) fn publisher(&self, flags: &[&str]) -> Tool {
        Tool::at("pub", self.address, flags)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A call of one of the tools.
pub(super) struct Tool {
    command: Command,
}

impl Tool {
    pub(super) fn at(tool: &str, server: SocketAddr, flags: &[&str]) -> Tool {
        let (host, port) = (server.ip().to_string(), server.port().to_string());
        Tool::bare(&[&[tool, "-h", &host, "-p", &port], flags].concat())
    }

    pub(super) fn bare(arguments: &[&str]) -> Tool {
        let mut command = whimbrel();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Tool { command }
    }

    pub(super) fn environment(mut self, name: &str, value: &str) -> Tool {
        self.command.env(name, value);
        self
    }

    /// Its standard output goes there.
    pub(super) fn output(mut self, to: Stdio) -> Tool {
        self.command.stdout(to);
        self
    }

    /// Runs it to its end with this on its standard input.
    pub(super) fn run(self, input: &[u8]) -> Said {
        let mut running = self.start();
        // It may have ended without reading.
        let _ = running.input().write_all(input);
        running.finish()
    }

    pub(super) fn start(mut self) -> Running {
        let mut child = self.command.spawn().expect("the program runs");
        let out = child.stdout.take().map(BufReader::new);
        let err = BufReader::new(child.stderr.take().expect("its errors are piped"));
        let input = child.stdin.take();
        Running { child, input, out, err }
    }
}

/// What a tool said, and its exit code.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) bytes: Vec<u8>,
    pub(super) err: String,
}

impl Said {
    /// Standard output as text.
    pub(super) fn out(&self) -> &str {
        str::from_utf8(&self.bytes).expect("text")
    }

    /// It ended well, and said this.
    #[track_caller]
    pub(super) fn expect(&self, out: &str) {
        assert_eq!((self.code, self.out(), self.err.as_str()), (0, out, ""));
    }

    /// It ended with this code, wrote no message, and its errors hold this.
    #[track_caller]
    pub(super) fn expect_failure(&self, code: i32, part: &str) {
        assert_eq!((self.code, self.out()), (code, ""), "{}", self.err);
        assert!(self.err.contains(part), "{}", self.err);
    }
}

/// A tool that runs.
pub(super) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    /// Absent where it goes elsewhere.
    out: Option<BufReader<ChildStdout>>,
    err: BufReader<ChildStderr>,
}

impl Running {
    pub(super) fn input(&mut self) -> &mut ChildStdin {
        self.input.as_mut().expect("it has not been closed")
    }

    /// The next line of its output, without the end.
    pub(super) fn line(&mut self) -> String {
        let mut line = String::new();
        let out = self.out.as_mut().expect("its output is piped");
        out.read_line(&mut line).expect("its output can be read");
        line.trim_end_matches('\n').to_owned()
    }

    /// Reads its errors up to a line that holds this; with -d they say what happens.
    pub(super) fn wait_for(&mut self, part: &str) {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert_ne!(self.err.read_line(&mut line).expect("its errors can be read"), 0, "no {part}");
        }
    }

    /// Nobody reads its output any more.
    pub(super) fn close_output(self) -> Child {
        drop(self.out);
        // What it may still say has to go somewhere.
        let mut err = self.err;
        std::thread::spawn(move || std::io::copy(&mut err, &mut std::io::sink()));
        self.child
    }

    /// Sends it a signal.
    #[cfg(unix)]
    pub(super) fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process identifier");
        let pid = rustix::process::Pid::from_raw(pid).expect("it is not 0");
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    /// Closes its input and waits for its end.
    pub(super) fn finish(mut self) -> Said {
        drop(self.input.take());
        let mut err = self.err;
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut err, &mut text).map(|_| text)
        });
        let mut bytes = Vec::new();
        if let Some(out) = &mut self.out {
            std::io::Read::read_to_end(out, &mut bytes).expect("its output can be read");
        }
        let status = self.child.wait().expect("it ends");
        let err = errors.join().expect("the thread ends").expect("its errors can be read");
        let err = String::from_utf8(err).expect("errors are text");
        Said { code: status.code().unwrap_or(-1), bytes, err }
    }
}

/// The output of a child that somebody else has waited for is of no interest here.
pub(super) fn code_of(mut child: Child) -> Option<i32> {
    child.wait().expect("it ends").code()
}

/// `whimbrel` with arguments that need no server.
pub(super) fn misuse(arguments: &[&str]) -> Output {
    whimbrel().args(arguments).stdin(Stdio::null()).output().expect("the program runs")
}
