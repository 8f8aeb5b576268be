//! `conformance`: runs the suite against any broker and lists what passes, fails and is skipped. How the broker
//! is started, and what its failures mean, is `cargo xtask conformance --against`.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use whimbrel_carrier::Carrier;
use whimbrel_conformance::{Against, Outcome, Scenario, against, scenarios};
use whimbrel_testkit::{Demand, Version};

const USAGE: &str = "\
usage: conformance --against ADDRESS [--cafile FILE] [--filter TEXT]... [--timed] [--house] [--deadline SECONDS]
                   [--quiet | --lines]
       conformance --list

  --against ADDRESS    the broker; it should accept anonymous clients and be used by nobody else. HOST:PORT, mqtts://, ws://,
                       wss://, quic:// or unix:
  --cafile FILE        whom to trust where TLS is spoken
  --filter TEXT        only scenarios whose name contains TEXT; may be given several times
  --timed              also scenarios that wait for seconds to pass
  --house              ask also for what the specification recommends and for Whimbrel's own choices
  --deadline SECONDS   by when what is expected must come (5)
  --quiet              only failures, without transcripts, and the counts
  --lines              for programs: a line for each outcome, its parts between tabs
  --list               the scenarios with the statements that they prove";

struct Arguments {
    options: Against,
    form: Form,
}

/// How the outcomes are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Full,
    Quiet,
    Lines,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--list") {
        list();
        return ExitCode::SUCCESS;
    }
    match parse(&words) {
        Ok(arguments) => execute(&arguments),
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn list() {
    for scenario in scenarios() {
        println!("{}\t{}", scenario.name, scenario.proves.join(" "));
    }
}

fn parse(words: &[String]) -> Result<Arguments, String> {
    let mut address = None;
    let mut form = Form::Full;
    let mut filters = Vec::new();
    let (mut timed, mut demand, mut deadline, mut ca_file) = (false, Demand::Text, 5, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--against" => address = Some(value()?.clone()),
            "--cafile" => ca_file = Some(PathBuf::from(value()?)),
            "--filter" => filters.push(value()?.clone()),
            "--deadline" => {
                deadline = value()?.parse().map_err(|_| "--deadline needs a number of seconds")?
            }
            "--timed" => timed = true,
            "--house" => demand = Demand::House,
            "--quiet" => form = Form::Quiet,
            "--lines" => form = Form::Lines,
            _ => return Err(format!("{word} is not known")),
        }
    }
    let address = address.ok_or("--against is missing")?;
    let address = reached(&address, ca_file.as_deref())?;
    let deadline = Duration::from_secs(deadline);
    Ok(Arguments { options: Against { address, filters, timed, demand, deadline }, form })
}

/// Where to connect by TCP; to another transport somebody carries the connections.
fn reached(address: &str, ca_file: Option<&Path>) -> Result<SocketAddr, String> {
    if address.contains("://") || address.starts_with("unix:") {
        return Carrier::to(address, ca_file).map(|carrier| carrier.address());
    }
    let found = address.to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or_else(|| format!("{address} is no address"))
}

fn execute(arguments: &Arguments) -> ExitCode {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let form = arguments.form;
    against(&arguments.options, |scenario, version, outcome| {
        match outcome {
            Outcome::Pass { .. } => passed += 1,
            Outcome::Fail { .. } => failed += 1,
            Outcome::Skip { .. } => skipped += 1,
        }
        if form == Form::Lines {
            line(scenario, version, outcome)
        } else {
            tell(form, scenario, version, outcome)
        }
    });
    if form != Form::Lines {
        println!("{passed} passed, {failed} failed, {skipped} skipped");
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell(form: Form, scenario: &Scenario, version: Version, outcome: &Outcome) {
    let full = form == Form::Full;
    match outcome {
        Outcome::Pass { notes } if full => {
            println!("pass  {} [{version}]", scenario.name);
            notes.iter().for_each(|note| println!("        note: {note}"));
        }
        Outcome::Fail { why, transcript } => {
            println!("FAIL  {} [{version}] {}\n        {why}", scenario.name, scenario.proves.join(" "));
            if full {
                transcript.lines().for_each(|line| println!("        | {line}"));
            }
        }
        Outcome::Skip { why } if full => println!("skip  {} [{version}] {why}", scenario.name),
        Outcome::Pass { .. } | Outcome::Skip { .. } => {}
    }
}

fn line(scenario: &Scenario, version: Version, outcome: &Outcome) {
    let (word, why) = match outcome {
        Outcome::Pass { .. } => ("pass", ""),
        Outcome::Fail { why, .. } => ("fail", why.as_str()),
        Outcome::Skip { why } => ("skip", why.as_str()),
    };
    let why: Vec<_> = why.split_whitespace().collect();
    println!("{word}\t{}\t{version}\t{}", scenario.name, why.join(" "));
}
