//! The same load against several brokers in turn: A B C, then B C A, and so on. Each run has a fresh broker; figures of
//! one round stand next to each other in time, so that what drifts cancels in their ratio. Not the load itself: that is
//! `whimbrel bench`.

pub(crate) mod contestant;
mod scenario;
pub(crate) mod statistics;
pub(crate) mod table;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use self::contestant::{Contestant, Threads};
use self::scenario::{SCENARIOS, Scenario};
use self::table::{Cell, Part, Row, Run};
use crate::ci::succeed;
use crate::json::{self, Value};
use crate::workspace::{Reach, cargo, load, root};

/// As users run it: what packages are built with.
const PROFILE: &str = "dist";
const NOTE: &str = "docs/performance.md";

const USAGE: &str = "\
usage: cargo xtask compare [--rounds N] [--seconds S] [--scenario NAME]… [--broker NAME=COMMAND]…
                           [--shipped NAME=COMMAND]… [--print]

  --rounds N             how often each broker has its turn in each scenario (default 5, at least 2)
  --seconds S            the measured time of each turn (default 2.5)
  --scenario NAME        only this one, and more of them
  --broker NAME=COMMAND  another broker; the command is run by sh, {port} is its port on 127.0.0.1; one thread
  --shipped NAME=COMMAND the same broker with the threads that it ships with, if that is another command
  --print                do not write docs/performance.md
";

/// What was asked for.
#[derive(Debug, PartialEq)]
struct Options {
    rounds: usize,
    seconds: f64,
    scenarios: Vec<String>,
    brokers: Vec<Contestant>,
    shipped: Vec<Contestant>,
    is_print: bool,
}

/// `cargo xtask compare`.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    if arguments.iter().any(|argument| argument == "--help") {
        print!("{USAGE}");
        return Ok(());
    }
    let options = parse(arguments).map_err(|wrong| format!("{wrong}\n{USAGE}"))?;
    succeed(cargo().args([
        "build",
        "--locked",
        "--profile",
        PROFILE,
        "--package",
        "whimbrel",
        "--package",
        "whimbrel-relay",
    ]))?;
    let target = load(Reach::Members)?.target_directory;
    let folder = target.join("compare");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let stage = Stage { programs: target.join(PROFILE), folder, options };
    let [one, shipped] = stage.parts()?;
    let mut text = stage.head();
    for part in [&one, &shipped] {
        text.push_str(&table::tables(part));
        text.push('\n');
    }
    text.push_str(&disturbance(&[&one, &shipped]));
    println!("{text}");
    if !stage.options.is_print {
        let path = root().join(NOTE);
        let note = fs::read_to_string(&path).map_err(|error| format!("{NOTE}: {error}"))?;
        fs::write(&path, table::replace(&note, "compare", &text)?)
            .map_err(|error| format!("{NOTE}: {error}"))?;
    }
    let rows = one.rows.iter().chain(&shipped.rows);
    let failed = rows.filter(|row| row.cells.first().is_some_and(|cell| cell.failure().is_some())).count();
    if failed == 0 { Ok(()) } else { Err(format!("Whimbrel failed in {failed} scenarios")) }
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        rounds: 5,
        seconds: 2.5,
        scenarios: Vec::new(),
        brokers: Vec::new(),
        shipped: Vec::new(),
        is_print: false,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--print" {
            options.is_print = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("`{argument}` is unknown or lacks its value"))?;
        match argument.as_str() {
            "--rounds" => options.rounds = value.parse().map_err(|_| format!("`{value}` is not a number"))?,
            "--seconds" => {
                options.seconds = value.parse().map_err(|_| format!("`{value}` is not a number"))?
            }
            "--scenario" if SCENARIOS.iter().any(|scenario| scenario.name == value) => {
                options.scenarios.push(value.clone());
            }
            "--scenario" => {
                let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
                return Err(format!("`{value}` is none of {}", names.join(", ")));
            }
            "--broker" => options.brokers.push(Contestant::parse(value)?),
            "--shipped" => options.shipped.push(Contestant::parse(value)?),
            _ => return Err(format!("`{argument}` is unknown")),
        }
    }
    if options.rounds < 2 || !(0.1..=3_600.0).contains(&options.seconds) {
        return Err("at least 2 rounds of 0.1 to 3600 seconds".to_owned());
    }
    Ok(options)
}

/// Everything that a run needs.
struct Stage {
    programs: PathBuf,
    folder: PathBuf,
    options: Options,
}

impl Stage {
    /// Both parts. Who has as many threads either way has its turns once, and stands in both.
    fn parts(&self) -> Result<[Part; 2], String> {
        let part = |threads| {
            let contestants = self.contestants(threads);
            let names = contestants.iter().map(|contestant| contestant.name.clone()).collect();
            (contestants, Part { threads, names, rows: Vec::new() })
        };
        let mut parts = [part(Threads::One), part(Threads::AsShipped)];
        let [(one, _), (shipped, _)] = &parts;
        let mut all: Vec<(String, Contestant)> =
            one.iter().map(|contestant| (contestant.name.clone(), contestant.clone())).collect();
        for contestant in shipped.iter().filter(|contestant| !one.contains(contestant)) {
            all.push((format!("{} as shipped", contestant.name), contestant.clone()));
        }
        let wanted = |scenario: &&Scenario| {
            self.options.scenarios.is_empty()
                || self.options.scenarios.iter().any(|name| name == scenario.name)
        };
        for scenario in SCENARIOS.iter().filter(wanted) {
            let cells = self.cells(scenario, &all)?;
            for (contestants, part) in &mut parts {
                let of_part =
                    contestants.iter().filter_map(|one| all.iter().position(|(_, other)| one == other));
                let cells = of_part.filter_map(|at| cells.get(at)).cloned().collect();
                part.rows.push(Row { scenario: *scenario, cells });
            }
        }
        Ok(parts.map(|(_, part)| part))
    }

    /// Whimbrel first; then those whom the machine has, and those whom the user named.
    fn contestants(&self, threads: Threads) -> Vec<Contestant> {
        let mut contestants = vec![Contestant::whimbrel(&self.programs.join("whimbrel"), threads)];
        if mosquitto_version().is_some() {
            contestants.push(Contestant::mosquitto());
        }
        for broker in &self.options.brokers {
            let shipped = self.options.shipped.iter().find(|shipped| shipped.name == broker.name);
            let chosen = shipped.filter(|_| threads == Threads::AsShipped).unwrap_or(broker);
            contestants.push(chosen.clone());
        }
        contestants.push(Contestant::relay(&self.programs.join("relay")));
        contestants
    }

    /// Every contestant's turns; who begins changes from round to round.
    fn cells(&self, scenario: &Scenario, contestants: &[(String, Contestant)]) -> Result<Vec<Cell>, String> {
        let mut cells = vec![Cell::default(); contestants.len()];
        for round in 0..self.options.rounds {
            for turn in 0..contestants.len() {
                let at = (round + turn) % contestants.len();
                let (Some((name, contestant)), Some(cell)) = (contestants.get(at), cells.get_mut(at)) else {
                    continue;
                };
                if contestant.is_relay() && !scenario.has_limit() {
                    continue;
                }
                let run = self.turn(scenario, contestant)?;
                eprintln!(
                    "{} {} of {}, {}: {}",
                    scenario.name,
                    round + 1,
                    self.options.rounds,
                    name,
                    told(&run)
                );
                cell.runs.push(run);
            }
        }
        Ok(cells)
    }

    /// One run against a broker of its own. What the broker did wrong is in the inner result.
    fn turn(&self, scenario: &Scenario, contestant: &Contestant) -> Result<Result<Run, String>, String> {
        let broker = contestant.start(&self.folder)?;
        let result = self.folder.join("result.json");
        let mut command = Command::new(self.programs.join("whimbrel"));
        command.arg("bench").args(scenario.arguments).arg("--quiet").arg("--json").arg(&result);
        command.args(["--port", &broker.port.to_string(), "--pid", &broker.pid().to_string()]);
        command.args(["--duration", &format!("{}s", self.options.seconds)]);
        if scenario.has_load() {
            command.args(["--warmup", "500ms"]);
        }
        let _earlier = fs::remove_file(&result);
        let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).output();
        let output = output.map_err(|error| format!("whimbrel bench: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let Ok(text) = fs::read_to_string(&result) else {
            return Err(format!(
                "whimbrel bench {:?}: {}: {}",
                scenario.arguments,
                output.status,
                said.trim_end()
            ));
        };
        drop(broker);
        read(&text, scenario)
    }

    /// What was measured where and with what.
    fn head(&self) -> String {
        format!("{}. {} rounds of {} s.\n\n", place(PROFILE), self.options.rounds, self.options.seconds)
    }
}

/// The machine, and what ran on it: a clause.
pub(crate) fn place(profile: &str) -> String {
    let first = |path: &str, key: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or(line, |(_, value)| value).trim().to_owned()
    };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let commit = Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(root()).output();
    let commit =
        commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    format!(
        "{} cores ({}), Linux {}; Whimbrel at {commit} (profile `{profile}`), {}",
        cores,
        first("/proc/cpuinfo", "model name"),
        kernel.trim(),
        mosquitto_version().unwrap_or_else(|| "no Mosquitto".to_owned()),
    )
}

fn told(run: &Result<Run, String>) -> String {
    match run {
        Ok(run) => {
            let figures = run.figures.iter().map(|(metric, value)| metric.figure(*value));
            figures.collect::<Vec<_>>().join(", ")
        }
        Err(failure) => format!("FAILED: {failure}"),
    }
}

/// The figures of a result; a run in which something was lost, repeated or damaged has none.
fn read(text: &str, scenario: &Scenario) -> Result<Result<Run, String>, String> {
    let result = json::parse(text).map_err(|error| format!("the result of whimbrel bench: {error}"))?;
    if !result.member("all_right").is_true() {
        let failures = result.member("failures").items().iter().filter_map(Value::text);
        return Ok(Err(format!("not all right: {}", failures.collect::<Vec<_>>().join(", "))));
    }
    let at = |path: &[&str]| path.iter().fold(&result, |value, key| value.member(key)).number();
    let mut figures = Vec::new();
    for metric in scenario.metrics {
        let figure = at(metric.path()).filter(|figure| *figure > 0.0);
        figures
            .push((*metric, figure.ok_or_else(|| format!("the result has no {}", metric.path().join(".")))?));
    }
    Ok(Ok(Run {
        figures,
        generator: at(&["generator", "cpu_us_per_message"]),
        others: at(&["machine", "others_cores"]).unwrap_or(0.0),
    }))
}

/// What others did on the machine meanwhile: whoever reads the figures has to know it.
fn disturbance(parts: &[&Part]) -> String {
    let cells = parts.iter().flat_map(|part| &part.rows).flat_map(|row| &row.cells);
    let others: Vec<f64> = cells.flat_map(|cell| &cell.runs).flatten().map(|run| run.others).collect();
    let most = others.iter().copied().fold(0.0, f64::max);
    let middle = statistics::median(&others).unwrap_or(0.0);
    format!(
        "Other processes used {middle:.2} cores in the middle and {most:.2} at most while this was measured.\n"
    )
}

/// `mosquitto version 2.0.11`, where it is installed.
pub(crate) fn mosquitto_version() -> Option<String> {
    let output = Command::new("sh").args(["-c", "PATH=\"$PATH:/usr/sbin\" mosquitto -h"]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find(|line| line.starts_with("mosquitto version")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::scenario::Metric;
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Options, String> {
        parse(&arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read_and_wrong_ones_refused() {
        let options =
            parsed(&["--rounds", "3", "--scenario", "p2p", "--broker", "x=y {port}", "--print"]).unwrap();
        assert_eq!((options.rounds, options.is_print, options.brokers.len()), (3, true, 1));
        assert_eq!(options.scenarios, ["p2p"]);
        for wrong in [
            &["--rounds", "1"][..],
            &["--rounds"],
            &["--seconds", "0"],
            &["--scenario", "nothing"],
            &["--broker", "x=y"],
            &["--wat", "3"],
        ] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_result_with_faults_is_none() {
        let scenario = &SCENARIOS[0];
        let right = r#"{"all_right":true,"broker":{"cpu_us_per_message":2.5},"generator":{"cpu_us_per_message":1e0},
            "measured":{"delivered_per_second":145227.0},"latency":{"p99_us":4591.6},"machine":{"others_cores":0.25}}"#;
        let run = read(right, scenario).unwrap().unwrap();
        let expect = [(Metric::Cpu, 2.5), (Metric::Throughput, 145_227.0), (Metric::P99, 4_591.6)];
        assert_eq!((&run.figures[..], run.generator, run.others), (&expect[..], Some(1.0), 0.25));
        let wrong = r#"{"all_right":false,"failures":["lost","reordered"]}"#;
        assert_eq!(read(wrong, scenario).unwrap().unwrap_err(), "not all right: lost, reordered");
        // A figure that is not there is a mistake of the program, not of a broker.
        assert!(read(&right.replace("2.5", "null"), scenario).is_err());
        assert!(read("", scenario).is_err());
    }
}
