//! The broker under test: a process of this machine, started here and ended with us, however we end.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use whimbrel_carrier::{Carrier, Listener, Transport};

/// All but its listener.
const SETTINGS: &str = "[store]\ndurability = \"memory\"\n\n[limits]\nqueue_messages_max = 1000000\n\n\
    [sys]\ninterval_secs = 1\n";

/// How long it may take to listen.
const START_MAX: Duration = Duration::from_secs(20);

/// The shell tells the broker's number, and ends it when we end or say so: then its input ends.
const SCRIPT: &str =
    r#""$0" "$@" </dev/null >/dev/null 2>&1 & echo $!; cat >/dev/null; kill -9 $! 2>/dev/null; wait $!"#;

/// A broker that runs.
pub(crate) struct Broker {
    shell: Child,
    /// Present as long as the broker may run.
    input: Option<ChildStdin>,
    pid: u32,
    /// Where it is reached by TCP: where it listens, or where somebody carries the connections to another transport.
    pub(crate) address: SocketAddr,
    folder: PathBuf,
}

impl Broker {
    /// Starts it on a free port of the loopback interface.
    ///
    /// # Errors
    /// It cannot be started, or does not listen.
    pub(crate) fn start(program: &Path, transport: Transport) -> Result<Broker, String> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let address = port.map_err(|error| format!("no free port: {error}"))?;
        let folder = std::env::temp_dir().join(format!("whimbrel-soak-{}", std::process::id()));
        let config = folder.join("whimbrel.toml");
        let failed = |error: io::Error| format!("{}: {error}", config.display());
        fs::create_dir_all(&folder).map_err(failed)?;
        let listener = Listener::new(transport, address.port(), &folder, program)?;
        fs::write(&config, format!("{SETTINGS}\n{}", listener.configuration)).map_err(failed)?;
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT])
            .arg(program)
            .args(["serve", "--config"])
            .arg(&config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("sh: {error}"))?;
        let input = shell.stdin.take();
        let mut line = String::new();
        if let Some(output) = shell.stdout.take() {
            BufReader::new(output).read_line(&mut line).map_err(|error| format!("sh: {error}"))?;
        }
        let pid = line.trim().parse().map_err(|_| "sh: no process".to_owned())?;
        let mut broker = Broker { shell, input, pid, address, folder };
        let deadline = Instant::now() + START_MAX;
        while TcpStream::connect(address).is_err() {
            if Instant::now() > deadline {
                return Err(format!("{} does not listen on {}", program.display(), listener.address));
            }
            std::thread::yield_now(); // It takes some milliseconds.
        }
        if transport != Transport::Tcp {
            let ca_file = Listener::ca_file(&broker.folder);
            broker.address = Carrier::to(&listener.address, Some(&ca_file))?.address();
        }
        Ok(broker)
    }

    /// Kibibytes of memory that it has, 0 when it does not run any more.
    #[must_use]
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.input.take());
        // There is nobody left to tell.
        let _ = self.shell.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
