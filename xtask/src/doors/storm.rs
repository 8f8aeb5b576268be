//! The storm: thousands of clients over TLS with sessions that come back at once, cut off or after the broker was killed, while
//! others go on with what they do. Not the brokers' comparison.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Stage, free_port, read};
use crate::ci::succeed;

/// How long a broker may take until it listens, and the time between two looks.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// What a storm is: a name, whether the broker is killed, how long a client is patient.
const STORMS: [(&str, bool, &str); 4] = [
    ("cut off; patient clients", false, "60s"),
    ("cut off; clients give up after 5 s and try again at once", false, "5s"),
    ("broker killed and started again; patient clients", true, "60s"),
    ("broker killed and started again; clients give up after 5 s and try again at once", true, "5s"),
];

pub(super) fn table(stage: &Stage, clients: usize) -> Result<String, String> {
    let mut text = format!(
        "{clients} clients over TLS, each with a session and a subscription, durability `process`; beside them 20 pairs over \
         plain TCP with 500 messages a second.\n\n\
         | | all back | half back | 99 % back | handshakes resumed | tries that failed | given up | CPU of the broker | \
         its memory, at its highest | others' latency, p50 | p99 |\n|---|---|---|---|---|---|---|---|---|---|---|\n"
    );
    for (name, is_restart, patience) in STORMS {
        let row = Storm { stage, clients, is_restart, patience }.row()?;
        eprintln!("{name}: {row}");
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {name} | {row} |");
    }
    Ok(text)
}

struct Storm<'a> {
    stage: &'a Stage,
    clients: usize,
    is_restart: bool,
    patience: &'static str,
}

/// A broker whose ports stay the same from one start to the next.
struct Broker {
    command: String,
    port: u16,
    child: Child,
}

impl Broker {
    fn start(command: String, port: u16) -> Result<Broker, String> {
        let child =
            Command::new("sh").args(["-c", &command]).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let broker = Broker { command, port, child: child.map_err(|error| format!("sh: {error}"))? };
        wait_for(port)?;
        Ok(broker)
    }

    /// Kills it and starts it again; how long nobody listened.
    fn restart(&mut self) -> Result<Duration, String> {
        let begun = Instant::now();
        self.end();
        *self = Broker::start(self.command.clone(), self.port)?;
        Ok(begun.elapsed())
    }

    /// Seconds of processor time, and the most memory that it had, in MiB.
    fn cost(&self) -> (f64, f64) {
        let file =
            |name: &str| fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap_or_default();
        let stat = file("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        let status = file("status");
        let highest = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = highest.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0);
        ((ticks(11) + ticks(12)) / 100.0, kib / 1_024.0)
    }

    fn end(&mut self) {
        // What has ended already needs no end.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits until somebody listens there.
pub(super) fn wait_for(port: u16) -> Result<(), String> {
    let deadline = Instant::now() + START_TIMEOUT;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > deadline {
            return Err(format!("nobody listens at {port} after {START_TIMEOUT:?}"));
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    Ok(())
}

impl Storm<'_> {
    fn row(&self) -> Result<String, String> {
        let (plain, tls) = (free_port()?, free_port()?);
        let mut broker = Broker::start(self.command(plain, tls)?, plain)?;
        wait_for(tls)?;
        // Others cannot outlive a broker that is killed: they come once it is there again.
        let mut others = None;
        if !self.is_restart {
            others = Some(self.others(plain)?);
        }
        let result = self.stage.folder.join("storm.json");
        let _earlier = fs::remove_file(&result);
        let clients = self.clients.to_string();
        let arguments = [
            "storm",
            "-n",
            &clients,
            "--patience",
            self.patience,
            "--connect-timeout",
            "300s",
            "--threads",
            "1",
        ];
        let mut command = self.stage.bench(&arguments, "mqtts", tls);
        command.args(["--source", "127.0.0.2-9", "--json"]).arg(&result);
        if self.is_restart {
            command.arg("--restart");
        } else {
            command.args(["--pid", &broker.child.id().to_string()]);
        }
        let mut bench = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let bench = bench.as_mut().map_err(|error| format!("whimbrel bench: {error}"))?;
        let (mut said, mut down) = (String::new(), Duration::ZERO);
        for line in bench.stderr.take().into_iter().flat_map(|said| BufReader::new(said).lines()) {
            let line = line.unwrap_or_default();
            if line.contains("restart the broker now") {
                down = broker.restart()?;
                others = Some(self.others(plain)?);
            }
            said.push_str(&line);
            said.push('\n');
        }
        bench.wait().map_err(|error| error.to_string())?;
        let figure = |path: &[&str]| read(&result, path).map_err(|why| format!("{why}: {said}"));
        let count = |name: &str| read(&result, &["figures", name, "value"]).unwrap_or(0.0);
        let seconds = |path: &[&str]| figure(path).map(|micros| format!("{:.1} s", micros / 1e6));
        let (cpu, memory) = broker.cost();
        let cpu = if self.is_restart { cpu } else { figure(&["broker", "cpu_seconds"])? };
        let (p50, p99) = end_of(others)?;
        let down = if self.is_restart {
            format!(" ({:.1} s of them down)", down.as_secs_f64())
        } else {
            String::new()
        };
        Ok(format!(
            "{:.1} s{down} | {} | {} | {:.0} % | {} | {} | {cpu:.1} s | {memory:.0} MiB | {p50} | {p99}",
            figure(&["figures", "all_back", "value"])?,
            seconds(&["latency", "p50_us"])?,
            seconds(&["latency", "p99_us"])?,
            count("tls_resumed"),
            count("tries_failed"),
            count("tries_given_up"),
        ))
    }

    /// What starts the broker; its store is empty at first.
    fn command(&self, plain: u16, tls: u16) -> Result<String, String> {
        let store = self.stage.folder.join("store");
        let _earlier = fs::remove_dir_all(&store);
        let certificates = self.stage.certificates().display().to_string();
        let text = format!(
            "[[listener]]\naddress = \"127.0.0.1:{plain}\"\n\n[[listener]]\naddress = \"127.0.0.1:{tls}\"\n\
             protocol = \"mqtts\"\ncertificate = \"{certificates}/server.pem\"\nkey = \"{certificates}/server.key\"\n\n\
             [store]\ndurability = \"process\"\ndirectory = \"{}\"\n\n[log]\nlevel = \"warn\"\n",
            store.display()
        );
        let config = self.stage.folder.join("storm.toml");
        fs::write(&config, text).map_err(|error| format!("{}: {error}", config.display()))?;
        let (program, config) = (self.stage.program.display(), config.display());
        Ok(format!("ulimit -n \"$(ulimit -Hn)\"; exec '{program}' serve --config '{config}'"))
    }

    /// Those who go on with what they do.
    fn others(&self, port: u16) -> Result<(Child, PathBuf), String> {
        let result = self.stage.folder.join("others.json");
        let _earlier = fs::remove_file(&result);
        let arguments = [
            "p2p",
            "-n",
            "20",
            "--rate",
            "500",
            "--warmup",
            "100ms",
            "--duration",
            "600s",
            "--allow-qos0-loss",
        ];
        let mut command = self.stage.bench(&arguments, "mqtt", port);
        let child = command.arg("--json").arg(&result).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        child.map(|child| (child, result)).map_err(|error| format!("whimbrel bench: {error}"))
    }
}

/// Ends the others early, as Ctrl-C does, and tells their latencies.
fn end_of(others: Option<(Child, PathBuf)>) -> Result<(String, String), String> {
    let Some((mut child, result)) = others else { return Ok(("–".to_owned(), "–".to_owned())) };
    succeed(Command::new("kill").args(["-INT", &child.id().to_string()]))?;
    child.wait().map_err(|error| error.to_string())?;
    let latency =
        |path: &str| read(&result, &["latency", path]).map(|micros| format!("{:.1} ms", micros / 1e3));
    Ok((latency("p50_us")?, latency("p99_us")?))
}
