//! `conformance`: runs the suite over TCP against any broker and lists what passes, fails and is skipped.

use std::net::ToSocketAddrs;
use std::process::ExitCode;
use std::time::Duration;

use whimbrel_conformance::{Against, Outcome, against, scenarios};
use whimbrel_testkit::Demand;

const USAGE: &str = "\
usage: conformance --against HOST:PORT [--filter TEXT]... [--timed] [--house] [--deadline SECONDS] [--quiet]
       conformance --list

  --against HOST:PORT  the broker; it should accept anonymous clients and be used by nobody else
  --filter TEXT        only scenarios whose name contains TEXT; may be given several times
  --timed              also scenarios that wait for seconds to pass
  --house              ask also for what the specification recommends and for Whimbrel's own choices
  --deadline SECONDS   by when what is expected must come (5)
  --quiet              only failures, without transcripts, and the counts
  --list               the scenarios with the statements that they prove";

struct Arguments {
    options: Against,
    quiet: bool,
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
    let mut quiet = false;
    let mut filters = Vec::new();
    let (mut timed, mut demand, mut deadline) = (false, Demand::Text, 5);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--against" => address = Some(value()?.clone()),
            "--filter" => filters.push(value()?.clone()),
            "--deadline" => {
                deadline = value()?.parse().map_err(|_| "--deadline needs a number of seconds")?
            }
            "--timed" => timed = true,
            "--house" => demand = Demand::House,
            "--quiet" => quiet = true,
            _ => return Err(format!("{word} is not known")),
        }
    }
    let address = address.ok_or("--against is missing")?;
    let address = address
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next())
        .ok_or_else(|| format!("{address} is no address"))?;
    let deadline = Duration::from_secs(deadline);
    Ok(Arguments { options: Against { address, filters, timed, demand, deadline }, quiet })
}

fn execute(arguments: &Arguments) -> ExitCode {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    against(&arguments.options, |scenario, version, outcome| match outcome {
        Outcome::Pass { notes } => {
            passed += 1;
            if !arguments.quiet {
                println!("pass  {} [{version}]", scenario.name);
                notes.iter().for_each(|note| println!("        note: {note}"));
            }
        }
        Outcome::Fail { why, transcript } => {
            failed += 1;
            println!("FAIL  {} [{version}] {}\n        {why}", scenario.name, scenario.proves.join(" "));
            if !arguments.quiet {
                transcript.lines().for_each(|line| println!("        | {line}"));
            }
        }
        Outcome::Skip { why } => {
            skipped += 1;
            if !arguments.quiet {
                println!("skip  {} [{version}] {why}", scenario.name);
            }
        }
    });
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
