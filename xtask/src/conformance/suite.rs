//! The suite against a broker on a network: starts the broker where it is one that this program knows, runs the suite,
//! and says what its failures mean. The scenarios are in `tests/conformance`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::differences::{self, Differences, Line};
use super::listener::{Listener, Transport};
use crate::ci::succeed;
use crate::compare::contestant::{Contestant, Running};
use crate::workspace::{Reach, cargo, load, root};

const CONFIGURATIONS: &str = "tests/conformance/brokers";

/// What to run the suite against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The release build with `brokers/whimbrel.toml`, of which more is asked than the text does, on a listener of this
    /// transport.
    Whimbrel(Transport),
    /// Mosquitto with `brokers/mosquitto.conf`; its differences are known.
    Mosquitto,
    /// A broker that runs already.
    Address(SocketAddr),
}

impl Target {
    /// The same over another transport, where the broker is one that is started here.
    pub(super) fn over(self, transport: Transport) -> Result<Target, String> {
        match self {
            Target::Whimbrel(_) => Ok(Target::Whimbrel(transport)),
            _ => Err("`--transport` goes with `--against whimbrel`".to_owned()),
        }
    }

    /// `whimbrel`, `mosquitto`, `HOST:PORT`, or `PORT` on the loopback.
    pub(super) fn parse(text: &str) -> Result<Target, String> {
        match text {
            "whimbrel" => return Ok(Target::Whimbrel(Transport::Tcp)),
            "mosquitto" => return Ok(Target::Mosquitto),
            _ => {}
        }
        if let Ok(port) = text.parse::<u16>() {
            return Ok(Target::Address(SocketAddr::from(([127, 0, 0, 1], port))));
        }
        let found = text.to_socket_addrs().map_err(|error| format!("{text}: {error}"))?.next();
        found.map(Target::Address).ok_or_else(|| format!("{text} has no address"))
    }
}

/// Runs the suite and prints what came of it.
pub(super) fn run(target: &Target, timed: bool, options: &[String]) -> Result<(), String> {
    let (running, address) = start(target)?;
    let address = match (target, &running) {
        (Target::Address(address), _) => address.to_string(),
        (_, Some(running)) => address.replace("{port}", &running.port.to_string()),
        (_, None) => return Err("the broker does not run".to_owned()),
    };
    let mut command = suite()?;
    command.args(["--against", &address]).args(options);
    if let Target::Whimbrel(transport) = target
        && transport.is_tls()
    {
        command.arg("--cafile").arg(Listener::ca_file(&folder()?));
    }
    if timed {
        command.arg("--timed");
    }
    match target {
        Target::Address(_) => succeed(&mut command),
        Target::Whimbrel(_) => succeed(command.arg("--house")),
        Target::Mosquitto => judge(&outcomes(&mut command)?, timed, options.is_empty()),
    }
}

/// The whole suite at the release build over this transport; only failures are told.
pub(super) fn over(transport: Transport) -> Result<(), String> {
    run(&Target::Whimbrel(transport), false, &["--quiet".to_owned()])
}

/// The program of the suite, built.
fn suite() -> Result<Command, String> {
    succeed(cargo().args(["build", "--quiet", "--locked", "--package", "whimbrel-conformance"]))?;
    Ok(Command::new(load(Reach::Members)?.target_directory.join("debug/conformance")))
}

/// The broker, and where it is reached; `{port}` stands for its port.
fn start(target: &Target) -> Result<(Option<Running>, String), String> {
    let configuration = |file: &str| root().join(CONFIGURATIONS).join(file);
    let folder = folder()?;
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let (contestant, address) = match target {
        Target::Address(_) => return Ok((None, String::new())),
        Target::Whimbrel(transport) => {
            succeed(cargo().args(["build", "--quiet", "--locked", "--release", "--package", "whimbrel"]))?;
            let program = load(Reach::Members)?.target_directory.join("release/whimbrel");
            // Those of the run before belong to nobody.
            let _ = fs::remove_dir_all(folder.join("certificates"));
            let listener = Listener::new(*transport, "{port}", &folder, &program)?;
            let file = configuration("whimbrel.toml");
            let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let command =
                format!("exec '{}' serve --config '{{config}}' --durability memory", program.display());
            let text = format!("{text}\n{}", listener.configuration);
            (Contestant::new("the broker", command).with_config(text), listener.address)
        }
        // Debian installs it where only the administrator's path leads.
        Target::Mosquitto => {
            let command = format!(
                "sed s/PORT/{{port}}/ '{}' > '{{config}}' && PATH=\"$PATH:/usr/sbin\" exec mosquitto -c '{{config}}'",
                configuration("mosquitto.conf").display()
            );
            (Contestant::new("the broker", command), "127.0.0.1:{port}".to_owned())
        }
    };
    contestant.start(&folder).map(|running| (Some(running), address))
}

/// For the files of a broker.
fn folder() -> Result<PathBuf, String> {
    Ok(load(Reach::Members)?.target_directory.join("conformance"))
}

/// What came of each scenario. Failures are shown as they come.
fn outcomes(command: &mut Command) -> Result<Vec<Line>, String> {
    let failed = |error| format!("the suite: {error}");
    let mut child = command.arg("--lines").stdout(Stdio::piped()).spawn().map_err(failed)?;
    let mut text = String::new();
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let line = line.map_err(failed)?;
        if line.starts_with("fail") {
            println!("{}", line.replace('\t', "  "));
        }
        text.push_str(&line);
        text.push('\n');
    }
    let status = child.wait().map_err(failed)?;
    let lines = differences::lines(&text);
    match status.code() {
        Some(0 | 1) if !lines.is_empty() => Ok(lines),
        _ => Err(format!("the suite: {status}")),
    }
}

/// Compares a run with the list of differences; the figures too, where everything ran.
fn judge(lines: &[Line], timed: bool, whole: bool) -> Result<(), String> {
    let list = differences::load(&root())?;
    let tally = differences::tally(lines);
    println!("{tally}");
    let here = installed()?;
    let mut findings = if whole { list.compare(lines) } else { Vec::new() };
    if timed && whole && tally != list.tally {
        findings.push(format!("{}: [run] says {}", differences::PATH, list.tally));
    }
    let Differences { broker, .. } = &list;
    if here == *broker {
        return crate::report(Ok(findings));
    }
    findings.iter().for_each(|finding| println!("{finding}"));
    println!("the list explains {broker}, this is {here}");
    Ok(())
}

/// Which Mosquitto is installed: `Mosquitto 2.0.11`.
fn installed() -> Result<String, String> {
    let mut command = Command::new("sh");
    command.args(["-c", "PATH=\"$PATH:/usr/sbin\" mosquitto -h"]);
    let output = command.output().map_err(|error| format!("mosquitto: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = said.lines().next().and_then(|line| line.strip_prefix("mosquitto version "));
    version.map(|version| format!("Mosquitto {version}")).ok_or("mosquitto is not installed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_on_the_loopback() {
        let check = |text: &str, expect: Target| assert_eq!(Target::parse(text), Ok(expect));
        check("mosquitto", Target::Mosquitto);
        check("whimbrel", Target::Whimbrel(Transport::Tcp));
        check("1883", Target::Address(SocketAddr::from(([127, 0, 0, 1], 1883))));
        check("127.0.0.2:1884", Target::Address(SocketAddr::from(([127, 0, 0, 2], 1884))));
        assert!(Target::parse("nonsense").is_err());
    }
}
