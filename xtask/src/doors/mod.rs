//! `cargo xtask doors`: what TLS and WebSocket cost beside plain TCP, in Whimbrel and in Mosquitto by turns; and a storm of
//! clients that come back. Not the load itself: that is `whimbrel bench`.

mod storm;

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::ci::succeed;
use crate::compare::contestant::{Contestant, Running};
use crate::compare::statistics::median;
use crate::compare::{mosquitto_version, place, table};
use crate::json;
use crate::workspace::{Reach, cargo, load, root};

const NOTE: &str = "docs/transports.md";

const USAGE: &str = "\
usage: cargo xtask doors [--rounds N] [--profile P | --program FILE] [--print] [storm [CLIENTS]]

  --rounds N   how often each broker has its turn in each row (default 3)
  --profile P  the profile of the build (default dist)
  --program F  measure this program, and build none
  --print      do not write docs/transports.md
  storm N      only the storm: N clients (default 10000) over TLS come back, cut off and after a restart
";

/// What is measured in one row of the table: a name, the unit, the transport, and how.
struct Measure {
    what: &'static str,
    transport: &'static str,
    arguments: &'static [&'static str],
    figure: &'static [&'static str],
}

const CONNECT: &[&str] = &["connect", "-n", "16", "--warmup", "300ms", "--duration", "2s"];
const FULL: &[&str] = &["connect", "-n", "16", "--warmup", "300ms", "--duration", "2s", "--no-resume"];
const MESSAGES: &[&str] = &["p2p", "-n", "50", "--batch", "16", "--warmup", "300ms", "--duration", "2s"];
const SINGLE: &[&str] = &["p2p", "-n", "50", "--rate", "5000", "--warmup", "300ms", "--duration", "2s"];
const IDLE: &[&str] = &["idle", "-n", "2000", "--duration", "1s"];

const CPU: &[&str] = &["broker", "cpu_us_per_message"];
const BYTES: &[&str] = &["figures", "rss_per_connection", "value"];

const fn measure(
    what: &'static str,
    transport: &'static str,
    arguments: &'static [&'static str],
    figure: &'static [&'static str],
) -> Measure {
    Measure { what, transport, arguments, figure }
}

const MEASURES: &[Measure] = &[
    measure("CONNECT and DISCONNECT, µs of CPU", "mqtt", CONNECT, CPU),
    measure("the same with a full handshake", "mqtts", FULL, CPU),
    measure("the same with a resumed handshake", "mqtts", CONNECT, CPU),
    measure("the same", "ws", CONNECT, CPU),
    measure("a message in batches of 16, µs of CPU", "mqtt", MESSAGES, CPU),
    measure("the same", "mqtts", MESSAGES, CPU),
    measure("the same", "ws", MESSAGES, CPU),
    measure("the same", "wss", MESSAGES, CPU),
    measure("a message alone, 5,000 a second, µs of CPU", "mqtt", SINGLE, CPU),
    measure("the same", "mqtts", SINGLE, CPU),
    measure("the same", "ws", SINGLE, CPU),
    measure("the same", "wss", SINGLE, CPU),
    measure("an idle connection, bytes", "mqtt", IDLE, BYTES),
    measure("the same", "mqtts", IDLE, BYTES),
    measure("the same", "ws", IDLE, BYTES),
    measure("the same", "wss", IDLE, BYTES),
];

const NAMES: [&str; 2] = ["Whimbrel", "Mosquitto"];

/// How often a turn is tried.
const TRIES: usize = 3;

const TRANSPORTS: [&str; 4] = ["mqtt", "mqtts", "ws", "wss"];

struct Options {
    rounds: usize,
    profile: String,
    program: Option<PathBuf>,
    is_print: bool,
    /// So many clients, and nothing but the storm.
    storm: Option<usize>,
}

/// The programs and the folder of a run.
pub(crate) struct Stage {
    program: PathBuf,
    folder: PathBuf,
}

pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    if arguments.iter().any(|argument| argument == "--help") {
        print!("{USAGE}");
        return Ok(());
    }
    let options = parse(arguments).map_err(|wrong| format!("{wrong}\n{USAGE}"))?;
    if options.program.is_none() {
        succeed(cargo().args(["build", "--locked", "--profile", &options.profile, "--package", "whimbrel"]))?;
    }
    let target = load(Reach::Members)?.target_directory;
    let folder = target.join("doors");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let program = options.program.clone();
    let program = program.unwrap_or_else(|| target.join(&options.profile).join("whimbrel"));
    let stage = Stage { program, folder };
    let _earlier = fs::remove_dir_all(stage.certificates());
    let mut made = Command::new(&stage.program);
    succeed(made.args(["cert", "dev"]).arg(stage.certificates()).stdout(Stdio::null()))?;
    let head = format!("{}.\n\n", place(&options.profile));
    if options.storm.is_none() {
        let text = format!("{head}{}", stage.table(options.rounds)?);
        println!("{text}");
        write(&options, "doors", &text)?;
    }
    if let Some(clients) = options.storm {
        let text = format!("{head}{}", storm::table(&stage, clients)?);
        println!("{text}");
        write(&options, "doors storm", &text)?;
    }
    Ok(())
}

fn write(options: &Options, command: &str, text: &str) -> Result<(), String> {
    if options.is_print {
        return Ok(());
    }
    let told = |error: std::io::Error| format!("{NOTE}: {error}");
    let path = root().join(NOTE);
    let note = fs::read_to_string(&path).map_err(told)?;
    fs::write(&path, table::replace(&note, command, text)?).map_err(told)
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options =
        Options { rounds: 3, profile: "dist".to_owned(), program: None, is_print: false, storm: None };
    let mut arguments = arguments.iter().peekable();
    let number = |text: &String| text.parse().map_err(|_| format!("`{text}` is not a number"));
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--print" => options.is_print = true,
            "--rounds" => options.rounds = number(arguments.next().ok_or("--rounds lacks its number")?)?,
            "--profile" => options.profile.clone_from(arguments.next().ok_or("--profile lacks its name")?),
            "--program" => options.program = Some(arguments.next().ok_or("--program lacks its file")?.into()),
            "storm" => options.storm = Some(arguments.next().map(number).transpose()?.unwrap_or(10_000)),
            _ => return Err(format!("`{argument}` is unknown")),
        }
    }
    if options.rounds == 0 || options.storm == Some(0) { Err("at least one".to_owned()) } else { Ok(options) }
}

/// A port that is free now.
fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| format!("no free port: {error}"))
}

impl Stage {
    fn certificates(&self) -> PathBuf {
        self.folder.join("certificates")
    }

    /// Both brokers with a listener for each transport, and the ports of all but the first, which they are told at their start.
    fn contestants(&self, ports: &[u16; 3]) -> Vec<Contestant> {
        let certificates = self.certificates().display().to_string();
        let [mqtts, ws, wss] = ports;
        let listener = |port: &str, protocol: &str| {
            let files = match protocol {
                "mqtts" | "wss" => {
                    format!(
                        "certificate = \"{certificates}/server.pem\"\nkey = \"{certificates}/server.key\"\n"
                    )
                }
                _ => String::new(),
            };
            format!("[[listener]]\naddress = \"127.0.0.1:{port}\"\nprotocol = \"{protocol}\"\n{files}\n")
        };
        let listeners = [("{port}".to_owned(), "mqtt"), (mqtts.to_string(), "mqtts"), (ws.to_string(), "ws")]
            .into_iter()
            .chain([(wss.to_string(), "wss")])
            .map(|(port, protocol)| listener(&port, protocol))
            .collect::<String>();
        let text = format!(
            "{listeners}[worker]\nthreads = 1\n[store]\ndurability = \"memory\"\n[log]\nlevel = \"warn\"\n"
        );
        let command = format!("exec '{}' serve --config '{{config}}'", self.program.display());
        let mut all = vec![Contestant::new("Whimbrel", command).with_config(text)];
        if mosquitto_version().is_some() {
            let tls = format!("certfile {certificates}/server.pem\nkeyfile {certificates}/server.key\n");
            let text = format!(
                "user root\nallow_anonymous true\npersistence false\nlog_dest none\nmax_connections -1\n\
                 max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\n\
                 listener {{port}} 127.0.0.1\nlistener {mqtts} 127.0.0.1\n{tls}\
                 listener {ws} 127.0.0.1\nprotocol websockets\n\
                 listener {wss} 127.0.0.1\nprotocol websockets\n{tls}"
            );
            let command = "PATH=\"$PATH:/usr/sbin\" exec mosquitto -c '{config}'".to_owned();
            all.push(Contestant::new("Mosquitto", command).with_config(text));
        }
        all
    }

    /// Every row: the brokers take turns, each with a fresh process.
    fn table(&self, rounds: usize) -> Result<String, String> {
        let mut text = String::from("| | transport | Whimbrel | Mosquitto |\n|---|---|---|---|\n");
        for measure in MEASURES {
            let mut figures = [Vec::new(), Vec::new()];
            for round in 0..rounds {
                for turn in 0..2 {
                    let at = (round + turn) % 2;
                    let Some(figure) = self.turn(measure, at)? else { continue };
                    if let (Some(name), Some(figures)) = (NAMES.get(at), figures.get_mut(at)) {
                        eprintln!("{} {}: {name} {figure:.2}", measure.transport, measure.what);
                        figures.push(figure);
                    }
                }
            }
            let [ours, theirs] = figures.map(|figures| cell(&figures));
            // Writing to a string does not fail.
            let _ = writeln!(text, "| {} | `{}` | {ours} | {theirs} |", measure.what, measure.transport);
        }
        let _ = write!(
            text,
            "\nThe middle of {rounds} rounds, and in brackets the least and the most; – where the broker did not bear the load, or is not there.\n"
        );
        Ok(text)
    }

    /// One broker's turn; nothing, if this machine does not have it. A port that was free may be another program's a moment
    /// later: then there is another try.
    fn turn(&self, measure: &Measure, at: usize) -> Result<Option<f64>, String> {
        let mut tries = TRIES;
        loop {
            let ports = [free_port()?, free_port()?, free_port()?];
            let contestants = self.contestants(&ports);
            let Some(contestant) = contestants.get(at) else { return Ok(None) };
            let broker = contestant.start(&self.folder)?;
            let which = TRANSPORTS.iter().position(|name| *name == measure.transport).unwrap_or(0);
            let port = which.checked_sub(1).and_then(|at| ports.get(at)).unwrap_or(&broker.port);
            tries -= 1;
            // It listens at its first address; the others follow.
            storm::wait_for(*port)?;
            match self.measure(measure, *port, &broker) {
                Err(_) if tries > 0 => {}
                // What another broker does not bear is told, and no reason to measure nothing.
                Err(why) if at > 0 => {
                    eprintln!("{}: {why}", contestant.name);
                    return Ok(None);
                }
                measured => return measured.map(Some),
            }
        }
    }

    fn measure(&self, measure: &Measure, port: u16, broker: &Running) -> Result<f64, String> {
        let result = self.folder.join("result.json");
        let _earlier = fs::remove_file(&result);
        let mut command = self.bench(measure.arguments, measure.transport, port);
        command.args(["--pid", &broker.pid().to_string(), "--json"]).arg(&result);
        let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).output();
        let output = output.map_err(|error| format!("whimbrel bench: {error}"))?;
        read(&result, measure.figure).map_err(|why| {
            let said = String::from_utf8_lossy(&output.stderr);
            format!("{} over {}: {why}: {}", measure.what, measure.transport, said.trim_end())
        })
    }

    /// `whimbrel bench` over a transport.
    fn bench(&self, arguments: &[&str], transport: &str, port: u16) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("bench").args(arguments).args([
            "-L",
            &format!("{transport}://127.0.0.1:{port}"),
            "--quiet",
        ]);
        if matches!(transport, "mqtts" | "wss") {
            command.arg("--cafile").arg(self.certificates().join("ca.pem"));
        }
        command
    }
}

/// A figure of a result.
fn read(result: &Path, path: &[&str]) -> Result<f64, String> {
    let text = fs::read_to_string(result).map_err(|error| format!("no result: {error}"))?;
    let result = json::parse(&text)?;
    let figure = path.iter().fold(&result, |value, key| value.member(key)).number();
    figure.ok_or_else(|| format!("the result has no {}", path.join(".")))
}

fn cell(figures: &[f64]) -> String {
    let Some(middle) = median(figures) else { return "–".to_owned() };
    let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let most = figures.iter().copied().fold(0.0, f64::max);
    let shown = |figure: f64| if figure >= 1_000.0 { format!("{figure:.0}") } else { format!("{figure:.2}") };
    format!("{} ({}–{})", shown(middle), shown(least), shown(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_wrong_ones_refused() {
        let parsed = |words: &[&str]| parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let options = parsed(&["--rounds", "2", "--profile", "release", "--print", "storm", "300"]).unwrap();
        assert_eq!((options.rounds, options.is_print, options.storm), (2, true, Some(300)));
        assert_eq!((options.profile.as_str(), parsed(&["storm"]).unwrap().storm), ("release", Some(10_000)));
        for wrong in [&["--rounds"][..], &["--rounds", "0"], &["storm", "0"], &["rain"]] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_cell_tells_its_spread() {
        assert_eq!(cell(&[3.0, 1.0, 2.0]), "2.00 (1.00–3.00)");
        assert_eq!(cell(&[1_234.5]), "1234 (1234–1234)");
        assert_eq!(cell(&[]), "–");
    }
}
