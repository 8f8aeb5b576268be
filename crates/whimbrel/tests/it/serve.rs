//! `whimbrel serve` as a service manager meets it: signals, the log file, the exit code, bad addresses.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take before it is a failure.
const DEADLINE: Duration = Duration::from_secs(60);

/// CONNECT of a 5.0 client that leaves the will `gone` on the topic `w`; `a` stands for its identifier.
const CONNECT_WITH_WILL: &[u8] =
    b"\x10\x18\x00\x04MQTT\x05\x06\x00\x3c\x00\x00\x01a\x00\x00\x01w\x00\x04gone";
pub(super) const CONNECT: &[u8] = b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01b";
const SUBSCRIBE_W: &[u8] = b"\x82\x07\x00\x01\x00\x00\x01w\x00";
const PUBLISH_GONE: &[u8] = b"\x30\x08\x00\x01w\x00gone";

pub(super) struct Broker {
    child: Child,
}

impl Broker {
    /// Starts it with these flags, without what the environment of the tests may say to it.
    pub(super) fn start(flags: &[&str]) -> Broker {
        Self::start_with(flags, &[("WHIMBREL_CONTROL_ENABLED", "false")])
    }

    /// The same with these variables in its environment.
    pub(super) fn start_with(flags: &[&str], variables: &[(&str, &str)]) -> Broker {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WHIMBREL_"))
        {
            command.env_remove(name);
        }
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        if !flags.contains(&"--store-directory") {
            command.args(["--durability", "memory"]);
        }
        command.args(flags).envs(variables.iter().copied());
        let child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the broker starts");
        Broker { child }
    }

    /// Where it listens, by what it says on standard error.
    pub(super) fn said_address(&mut self) -> SocketAddr {
        let mut lines = BufReader::new(self.child.stderr.take().expect("it is piped")).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| address_in(&line));
        std::thread::spawn(move || lines.for_each(drop)); // It must never wait for somebody to read.
        address.expect("the broker says where it listens")
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("it runs");
    }

    pub(super) fn exit_code(&mut self) -> Option<i32> {
        in_time(|| self.child.try_wait().expect("it can be asked")).code()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill(); // It may have ended by itself.
        let _ = self.child.wait();
    }
}

fn address_in(line: &str) -> Option<SocketAddr> {
    line.split("listening on ").nth(1)?.split(' ').next()?.parse().ok()
}

/// Waits until the file says where the broker listens.
fn logged_address(log: &Path) -> SocketAddr {
    in_time(|| fs::read_to_string(log).ok()?.lines().find_map(address_in))
}

/// Asks until there is an answer.
pub(super) fn in_time<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "nothing happens");
        std::thread::yield_now();
    }
}

/// Connects and reads CONNACK.
pub(super) fn client(address: SocketAddr, connect: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the broker listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a time-out can be set");
    stream.write_all(connect).expect("it can be sent");
    let connack = packet(&mut stream).expect("an answer");
    assert_eq!((connack[0], connack[3]), (0x20, 0), "{connack:02x?}");
    stream
}

/// The next packet, of less than 128 bytes; `None` at the end.
pub(super) fn packet(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = [0; 2];
    match stream.read_exact(&mut head) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return None,
        read => read.expect("a packet"),
    }
    let mut body = vec![0; usize::from(head[1])];
    stream.read_exact(&mut body).expect("the rest of it");
    Some([&head[..], &body].concat())
}

#[test]
fn a_signal_ends_it_in_order_with_wills_and_words() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut broker = Broker::start(&[]);
        let address = broker.said_address();
        let mut watcher = client(address, CONNECT);
        watcher.write_all(SUBSCRIBE_W).expect("it can be sent");
        assert_eq!(packet(&mut watcher).expect("SUBACK")[0], 0x90);
        let mut other = client(address, CONNECT_WITH_WILL);
        broker.signal(signal);
        assert_eq!(packet(&mut watcher).as_deref(), Some(PUBLISH_GONE), "the will, to those who are there");
        for stream in [&mut watcher, &mut other] {
            let farewell = packet(stream).expect("DISCONNECT");
            assert_eq!((farewell[0], farewell[2]), (0xe0, 0x8b), "Server shutting down");
            assert_eq!(packet(stream), None, "then it closes");
        }
        assert_eq!(broker.exit_code(), Some(0));
        assert!(TcpStream::connect(address).is_err());
    }
}

#[test]
fn sighup_opens_a_new_log_file_where_the_old_one_was_moved_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, moved) = (folder.path().join("broker.log"), folder.path().join("broker.log.1"));
    let mut broker = Broker::start(&["--log-file", log.to_str().expect("a name in UTF-8")]);
    let address = logged_address(&log);
    fs::rename(&log, &moved).expect("it can be moved");
    broker.signal(Signal::HUP);
    in_time(|| log.exists().then_some(()));
    client(address, CONNECT);
    broker.signal(Signal::TERM);
    assert_eq!(broker.exit_code(), Some(0));
    let read = |path| fs::read_to_string(path).expect("it can be read");
    assert!(read(&moved).contains("listening on"));
    assert!(read(&log).contains("stopped"), "{}", read(&log));
    assert!(!read(&log).contains("listening on"));
}

#[test]
fn sighup_takes_new_users_in_and_faults_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, users) = (folder.path().join("log"), folder.path().join("users"));
    let hash = |name: &str, password: &str| {
        let file = folder.path().join(name);
        let mut child = Command::new(env!("CARGO_BIN_EXE_whimbrel"))
            .args([Path::new("passwd"), &file, Path::new(name)])
            .stdin(Stdio::piped())
            .spawn()
            .expect("it starts");
        child.stdin.take().expect("it is piped").write_all(password.as_bytes()).expect("it reads");
        assert!(child.wait().expect("it ends").success());
        fs::read_to_string(file).expect("a password file")
    };
    let (anna, bert) = (hash("a", "one"), hash("b", "two"));
    fs::write(&users, &anna).expect("it can be written");
    let path = |path: &Path| path.to_str().expect("a name in UTF-8").to_owned();
    let broker = Broker::start(&["--password-file", &path(&users), "--log-file", &path(&log)]);
    let address = logged_address(&log);
    let code = |name: u8, password: &[u8; 3]| {
        let mut stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a time-out can be set");
        let connect =
            [b"\x10\x15\x00\x04MQTT\x04\xc2\x00\x3c\x00\x01x\x00\x01", &[name][..], b"\x00\x03", password];
        stream.write_all(&connect.concat()).expect("it can be sent");
        packet(&mut stream).map(|connack| connack[3])
    };
    assert_eq!((code(b'a', b"one"), code(b'b', b"two")), (Some(0), Some(4)));
    fs::write(&users, format!("{anna}{bert}")).expect("it can be written");
    broker.signal(Signal::HUP);
    in_time(|| (code(b'b', b"two") == Some(0)).then_some(()));
    fs::write(&users, "no colon\n").expect("it can be written");
    broker.signal(Signal::HUP);
    in_time(|| fs::read_to_string(&log).ok()?.contains("users:1:").then_some(()));
    assert_eq!((code(b'a', b"one"), code(b'b', b"two")), (Some(0), Some(0)), "the old file still holds");
}

#[test]
fn an_address_that_is_taken_or_foreign_is_an_error_that_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    for (flags, parts) in [
        (vec!["--listen", &address], vec![address.as_str(), "in use"]),
        (vec!["--listen", "0.0.0.0:0"], vec!["0.0.0.0:0", "password"]),
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_whimbrel"))
            .args(["serve", "--durability", "memory"])
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut said = String::new();
        child.stderr.take().expect("it is piped").read_to_string(&mut said).expect("text");
        assert_ne!(child.wait().expect("it ends").code(), Some(0));
        assert!(parts.iter().all(|part| said.contains(part)), "{parts:?}: {said}");
    }
}
