//! The broker under test: a program that is started by a command and killed without warning. Not what is said to it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::super::interrupt::Interrupt;

/// How long to wait before another attempt to connect to a broker that is starting.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(10);
/// How much of what the program printed is shown when it does not start.
const OUTPUT_BYTES: usize = 2_000;

/// Something that can be started, and killed so that it cannot say goodbye.
pub(super) trait Broker {
    /// Starts it, and returns where it listens once it does.
    fn start(&mut self) -> Result<SocketAddr, String>;

    /// Kills it.
    fn kill(&mut self) -> Result<(), String>;
}

/// A program on this machine.
#[derive(Debug)]
pub(super) struct Program {
    command: String,
    /// Run before each kill.
    before_kill: Option<String>,
    address: SocketAddr,
    start_timeout: Duration,
    child: Option<Child>,
    interrupt: Interrupt,
    folder: TempDir,
}

impl Program {
    /// In the commands `{port}` stands for a port that is free now, and `{dir}` for an empty folder that is removed at
    /// the end. Both stay the same from one start to the next.
    pub(super) fn new(
        command: &str,
        before_kill: Option<&str>,
        start_timeout: Duration,
        interrupt: Interrupt,
    ) -> Result<Program, String> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let address = port.map_err(|error| format!("no free port: {error}"))?;
        let folder = TempDir::new().map_err(|error| format!("no temporary folder: {error}"))?;
        let dir = folder.path().display().to_string();
        let fill =
            |command: &str| command.replace("{port}", &address.port().to_string()).replace("{dir}", &dir);
        let (command, before_kill) = (fill(command), before_kill.map(fill));
        Ok(Program { command, before_kill, address, start_timeout, child: None, interrupt, folder })
    }

    /// What it has printed, the end of it.
    fn output(&self) -> String {
        let output = fs::read(self.folder.path().join("output")).unwrap_or_default();
        let end = output.get(output.len().saturating_sub(OUTPUT_BYTES)..).unwrap_or_default();
        String::from_utf8_lossy(end).trim_end().to_owned()
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let output = File::create(self.folder.path().join("output"))?;
        Command::new("sh")
            .args(["-c", &self.command])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // A group of its own, so that whatever the command starts is killed with it.
            .process_group(0)
            .spawn()
    }
}

impl Broker for Program {
    fn start(&mut self) -> Result<SocketAddr, String> {
        let child = self.spawn().map_err(|error| format!("sh -c '{}': {error}", self.command))?;
        self.interrupt.end_with_us(Some(Pid::from_child(&child)));
        let child = self.child.insert(child);
        let deadline = Instant::now() + self.start_timeout;
        let why = loop {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(self.address);
            }
            match child.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::sleep(BETWEEN_ATTEMPTS),
                Ok(None) => {
                    break format!("does not listen on {} after {:?}", self.address, self.start_timeout);
                }
                Ok(Some(status)) => break format!("ended before it listened: {status}"),
                Err(error) => break error.to_string(),
            }
        };
        match self.output() {
            output if output.is_empty() => Err(format!("`{}` {why}, and printed nothing", self.command)),
            output => Err(format!("`{}` {why}; it printed:\n{output}", self.command)),
        }
    }

    fn kill(&mut self) -> Result<(), String> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let prepared = self.before_kill.as_deref().map_or(Ok(()), run);
        let killed = kill_process_group(Pid::from_child(&child), Signal::KILL);
        let ended = child.wait();
        self.interrupt.end_with_us(None);
        prepared?;
        killed.map_err(|error| format!("kill -9: {error}"))?;
        ended.map(drop).map_err(|error| format!("kill -9: {error}"))
    }
}

/// Runs a command to its end.
fn run(command: &str) -> Result<(), String> {
    let output = Command::new("sh").args(["-c", command]).stdin(Stdio::null()).output();
    match output.map_err(|error| format!("sh -c '{command}': {error}"))? {
        Output { status, .. } if status.success() => Ok(()),
        Output { status, stderr, .. } => Err(format!(
            "`{command}` before a kill: {status}: {}",
            String::from_utf8_lossy(&stderr).trim_end()
        )),
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_ends_is_no_broker_and_its_words_are_shown() {
        let command = "echo no such luck; exit 3 # {port}";
        let mut program = Program::new(command, None, Duration::from_secs(20), Interrupt::default()).unwrap();
        let error = program.start().unwrap_err();
        assert!(error.contains("exit status: 3") && error.contains("no such luck"), "{error}");
    }
}
