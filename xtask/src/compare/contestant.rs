//! Who takes part: the command of each, its start on a free port, and its end. Not the load.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a broker may take until it listens, and the time between two looks.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

const RELAY: &str = "relay";

/// As for a measure of throughput: nothing is stored, logged or held back.
const MOSQUITTO: &str = "\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
log_dest none
max_connections -1
max_inflight_messages 0
max_queued_messages 0
set_tcp_nodelay true
";

/// A broker, or what stands in for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contestant {
    pub(crate) name: String,
    /// Run by sh; `{port}` stands for the port, `{config}` for a file with what is in [`Self::config`].
    command: String,
    config: Option<String>,
}

/// How many threads a broker may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    One,
    AsShipped,
}

/// A contestant that runs; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pub(crate) port: u16,
}

impl Contestant {
    pub(super) fn whimbrel(program: &Path, threads: Threads) -> Contestant {
        let threads = match threads {
            Threads::One => " --threads 1",
            Threads::AsShipped => "",
        };
        // `off` would hide why it does not start.
        let command = format!(
            "exec '{}' serve --listen 127.0.0.1:{{port}}{threads} --log-level warn --durability memory",
            program.display()
        );
        Contestant { name: "Whimbrel".to_owned(), command, config: None }
    }

    /// Run by sh; `{port}` stands for the port.
    pub(crate) fn new(name: &str, command: String) -> Contestant {
        Contestant { name: name.to_owned(), command, config: None }
    }

    /// With a configuration file of this text, in which `{port}` stands for the port.
    pub(crate) fn with_config(self, text: String) -> Contestant {
        Contestant { config: Some(text), ..self }
    }

    pub(crate) fn mosquitto() -> Contestant {
        // Debian installs it where only the administrator's path leads.
        let command = "PATH=\"$PATH:/usr/sbin\" exec mosquitto -c '{config}'".to_owned();
        Contestant { name: "Mosquitto".to_owned(), command, config: Some(MOSQUITTO.to_owned()) }
    }

    pub(super) fn relay(program: &Path) -> Contestant {
        let command = format!("exec '{}' {{port}}", program.display());
        Contestant { name: RELAY.to_owned(), command, config: None }
    }

    /// Whether it only relays.
    pub(super) fn is_relay(&self) -> bool {
        self.name == RELAY
    }

    /// `NAME=COMMAND`, as a user gives it.
    pub(crate) fn parse(text: &str) -> Result<Contestant, String> {
        let (name, command) = text.split_once('=').ok_or_else(|| format!("`{text}` is not NAME=COMMAND"))?;
        if name.is_empty() || name.contains('|') || !command.contains("{port}") {
            return Err(format!("`{text}` is not NAME=COMMAND with {{port}} in the command"));
        }
        Ok(Contestant { name: name.to_owned(), command: command.to_owned(), config: None })
    }

    /// Starts it and waits until it listens. Files go to `folder`.
    pub(crate) fn start(&self, folder: &Path) -> Result<Running, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let address = listener.map_err(|error| format!("no free port: {error}"))?;
        let command = self.prepare(folder, address)?;
        let output = folder.join("output");
        let file = fs::File::create(&output).map_err(|error| format!("{}: {error}", output.display()))?;
        let copy = file.try_clone().map_err(|error| format!("{}: {error}", output.display()))?;
        let child = Command::new("sh")
            .args(["-c", &command])
            .stdin(Stdio::null())
            .stdout(copy)
            .stderr(file)
            .process_group(0)
            .spawn()
            .map_err(|error| format!("sh: {error}"))?;
        let mut running = Running { child, port: address.port() };
        running.wait(address).map_err(|why| {
            let said = fs::read_to_string(&output).unwrap_or_default();
            format!("{} {why}; it printed: {}", self.name, said.trim_end())
        })?;
        Ok(running)
    }

    fn prepare(&self, folder: &Path, address: SocketAddr) -> Result<String, String> {
        let port = address.port().to_string();
        let config = folder.join("config");
        if let Some(text) = &self.config {
            fs::write(&config, text.replace("{port}", &port))
                .map_err(|error| format!("{}: {error}", config.display()))?;
        }
        let command =
            self.command.replace("{port}", &port).replace("{config}", &config.display().to_string());
        // Not every broker asks for as many connections as it may have.
        Ok(format!("ulimit -n \"$(ulimit -Hn)\"; {command}"))
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait(&mut self, address: SocketAddr) -> Result<(), String> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::sleep(BETWEEN_LOOKS),
                Ok(None) => return Err(format!("does not listen on {address} after {START_TIMEOUT:?}")),
                Ok(Some(status)) => return Err(format!("ended before it listened: {status}")),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its whole group, since a command may start several processes. What has ended already needs no end.
        let group = format!("-{}", self.child.id());
        let _ended = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _reaped = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contestant_has_a_name_and_a_port() {
        let nano = Contestant::parse("Nano=nanomq start --url tcp://127.0.0.1:{port} --a=b").unwrap();
        assert_eq!((nano.name.as_str(), nano.command.ends_with("--a=b")), ("Nano", true));
        for text in ["nanomq start", "=x {port}", "a=b", "a|b=x {port}"] {
            assert!(Contestant::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_does_not_start_says_why() {
        let folder = std::env::temp_dir().join(format!("whimbrel-xtask-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let broken = Contestant::parse("broken=echo no such luck {port}; exit 3").unwrap();
        let error = broken.start(&folder).unwrap_err();
        fs::remove_dir_all(&folder).unwrap();
        assert!(error.contains("exit status: 3") && error.contains("no such luck"), "{error}");
    }
}
