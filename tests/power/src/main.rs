//! `power`: what a broker's acknowledgement is worth when the power goes, and what it does when its disk fails, on a file
//! system of our own that loses, tears or reorders what is not synced. How it is built and called is `cargo xtask power`'s.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "a test program: what is not as it should be shall stop the run"
)]

mod broker;
mod client;
mod control;
mod device;
mod disk;
mod draw;
mod layer;
mod mount;
mod rounds;
mod scenario;
mod slow;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use disk::Cut;
use rounds::Rounds;

const USAGE: &str = "\
usage: power CHORE --whimbrel PROGRAM [OPTION VALUE …]

  all                     the faults, and so many rounds as fit into a minute
  faults [NAME]           scenarios of a disk that is full, fails or is read-only, with the real broker
  rounds --rounds N --seed S [--cut lose|tear|reorder] [--durability LEVEL] [--disk sd-card]
         [--load heavy]
                          power cuts at random moments under load, and the account of all promises
  slow [DISK]             what acknowledgements cost on a slow disk, as a table
  check                   whether such a file system can be mounted here
  tell SOCKET LINE        says `cut` or `start PID` to a run of rounds
";

/// As many rounds of each load as CI has time for.
const FEW: u32 = 12;

/// What the command line says.
struct Options {
    whimbrel: PathBuf,
    rounds: Rounds,
    rest: Vec<String>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((chore, rest)) = arguments.split_first() else { return misused() };
    let outcome = match (chore.as_str(), rest) {
        ("check", []) => mount::check(),
        ("tell", [socket, line @ ..]) => control::tell(Path::new(socket), &line.join(" ")),
        ("all" | "faults" | "rounds" | "slow", rest) => {
            let Some(options) = read(rest) else { return misused() };
            mount::check().and_then(|()| run(chore, &options))
        }
        _ => return misused(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("power: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: &str, options: &Options) -> Result<(), String> {
    let filter = options.rest.first().map(String::as_str);
    match chore {
        "faults" => scenario::run(&options.whimbrel, filter),
        "slow" => slow::run(&options.whimbrel, filter),
        "rounds" => account(&options.rounds, &options.whimbrel),
        _ => {
            let faults = scenario::run(&options.whimbrel, None);
            let light = account(&options.rounds, &options.whimbrel);
            let heavy = Rounds { is_heavy: true, ..options.rounds.clone() };
            account(&heavy, &options.whimbrel).and(light).and(faults)
        }
    }
}

/// Runs the rounds, and says what came of them.
fn account(rounds: &Rounds, whimbrel: &Path) -> Result<(), String> {
    println!("{} rounds at level {}, seed {}", rounds.rounds, rounds.durability, rounds.seed);
    let account = rounds.run(whimbrel)?;
    print!("{}\n{}", account.text, account.cuts());
    if account.is_right { Ok(()) } else { Err("an acknowledgement was not kept".to_owned()) }
}

fn read(arguments: &[String]) -> Option<Options> {
    let mut whimbrel = None;
    let mut rounds = Rounds {
        rounds: FEW,
        seed: 1,
        cut: None,
        durability: "power".to_owned(),
        is_sd_card: false,
        is_heavy: false,
    };
    let mut rest = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--whimbrel" => whimbrel = Some(PathBuf::from(words.next()?)),
            "--rounds" => rounds.rounds = words.next()?.parse().ok()?,
            "--seed" => rounds.seed = words.next()?.parse().ok()?,
            "--durability" => rounds.durability = words.next()?.clone(),
            "--disk" => rounds.is_sd_card = words.next()? == "sd-card",
            "--load" => rounds.is_heavy = words.next()? == "heavy",
            "--cut" => {
                let name = words.next()?;
                rounds.cut = Some(Cut::ALL.into_iter().find(|cut| cut.name() == name)?);
            }
            option if option.starts_with("--") => return None,
            _ => rest.push(word.clone()),
        }
    }
    Some(Options { whimbrel: whimbrel?, rounds, rest })
}

fn misused() -> ExitCode {
    eprint!("{USAGE}");
    ExitCode::from(2)
}
