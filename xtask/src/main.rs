//! The chores of this repository, the same on a laptop and in CI: `cargo xtask <chore>`. Not part of any package.

mod ci;
mod compare;
mod conformance;
mod doors;
mod durability;
mod fuzz;
mod instructions;
mod interop;
mod json;
mod layers;
mod mosquitto_data;
mod mutants;
mod no_std;
mod power;
mod rust_source;
mod sim;
mod sim_coverage;
mod soak;
mod tables;
mod tidy;
mod transports;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <chore>

  ci [--require]          all of the checks below and the tests
  layers                  which crate may depend on which
  tidy                    the rules of CONTRIBUTING.md that a program can check
  no-std                  codec and proto build without the standard library
  test                    the tests of the whole workspace; says what is not among them
  instructions [--bless REASON]
                          what the operations of tests/instructions cost, against their ratchet (needs valgrind)
  conformance …           the normative statements and their tests; the suite against a broker (`--help` lists more)
  compare …               Whimbrel beside other brokers and the relay, into docs/performance.md (`--help` lists more)
  durability …            what durability costs, beside Mosquitto, into docs/durability.md (`--help` lists more)
  doors …                 what TLS and WebSocket cost, beside Mosquitto, and a storm of clients that come back, into
                          docs/transports.md (`--help` lists more)
  fuzz [--target T] [--minutes N]
                          hostile bytes, by libFuzzer where nightly Rust and cargo-fuzz are installed
  interop [--require] …   the broker and the tools against programs that others wrote; the rest goes to
                          tests/interop/run.py (`--help` lists it)
  mutants [--package codec|proto] [--shard I/N] …
                          whether a test fails when codec or proto is changed, by cargo-mutants; hours (`--help` lists
                          more)
  sim [--disk] --seed N | --seeds N [--from S] [--jobs J] [--keep-going]
                          engine and clients over simulated links, from one seed each; one seed alone is a replay
  sim-coverage [--seeds N]
                          lines of engine and journal that the simulation with a disk reaches, with faults and without
  sim --planted [--disk] [--only NAME]
                          whether the simulation finds the bugs of tests/interleaved/planted.toml
  power [--rounds N --seed S …] | power faults | power slow
                          power cuts and disk faults on a file system of our own (FUSE; needs root), against the release
                          build; without arguments what CI runs
  soak --minutes N --seed S [--transport tcp|tls|ws|wss|quic|unix]
                          the same clients and oracles on real sockets, against the release build
  transports              the suite and a short soak over each transport, against the release build: some minutes
  mosquitto-data FOLDER   Mosquitto's sequences of bytes (test/broker/data of its repository) against this broker; its
                          differences against those that docs/hostile-bytes.md explains
  paho-suite DIR …        Eclipse Paho's interoperability suite, from the folder that holds it

--require (or CI=true): a program that is missing is a failure, not a skip.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (chore, rest) = arguments.split_first().map_or(("", &[][..]), |(chore, rest)| (chore.as_str(), rest));
    let outcome = match (chore, rest) {
        ("ci", rest) => ci::run(is_required(rest)),
        ("layers", []) => report(layers::run()),
        ("tidy", []) => report(tidy::run()),
        ("no-std", []) => report(no_std::run()),
        ("test", []) => ci::test_and_say_what_is_not_tested(),
        ("compare", rest) => compare::run(rest),
        ("conformance", rest) => conformance::run(rest),
        ("doors", rest) => doors::run(rest),
        ("durability", rest) => durability::run(rest),
        ("fuzz", rest) => fuzz::run(rest),
        ("instructions", rest) => instructions::run(rest),
        ("interop", rest) => interop::run(rest),
        ("sim", rest) => sim::run(rest),
        ("sim-coverage", rest) => sim_coverage::run(rest),
        ("mutants", rest) => mutants::run(rest),
        ("power", rest) => power::run(rest),
        ("soak", rest) => soak::run(rest),
        ("transports", []) => transports::run(false),
        ("mosquitto-data", rest) => mosquitto_data::run(rest),
        ("paho-suite", [suite, rest @ ..]) => interop::paho_suite(suite, rest),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what a check found; finding anything is a failure.
fn report(findings: Result<Vec<String>, String>) -> Result<(), String> {
    let findings = findings?;
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() { Ok(()) } else { Err(format!("{} found", findings.len())) }
}

/// Whether a missing program is a failure.
fn is_required(arguments: &[String]) -> bool {
    arguments.iter().any(|argument| argument == "--require")
        || std::env::var("CI").is_ok_and(|value| value == "true")
}
