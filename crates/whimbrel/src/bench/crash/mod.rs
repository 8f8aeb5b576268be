//! `whimbrel bench crash`: what a broker's acknowledgement is worth. It kills the broker again and again, and accounts
//! for everything that had been acknowledged. Not a measure of speed.

mod account;
mod broker;
mod campaign;
mod draw;
#[cfg(test)]
mod liar;
mod look;
mod publisher;
mod receiver;
mod report;
mod retained;
mod socket;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args as ClapArgs, ValueHint};

use self::account::Lane;
use self::broker::Program;
use self::campaign::{Campaign, Load};
use self::report::Deed;
use super::display::ERASE;
use super::interrupt::{INTERRUPTED, Interrupt};
use super::quantity::length_of_time;
use crate::cli::{FAILED, MISUSED};
use crate::output;

/// The options of `whimbrel bench crash`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {
    /// The command that starts the broker, run by sh; {port} is a free port on 127.0.0.1, {dir} an empty folder, both
    /// the same at every start
    #[arg(value_name = "COMMAND", value_hint = ValueHint::CommandString)]
    start: String,
    /// How often to kill it (kill -9, with everything that it has started)
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    kills: u32,
    /// A command that sh runs before each kill, the last one too, which follows when it has ended well; {port} and {dir}
    /// as above. It may do more harm than a kill: freeze the disk, or cut a link
    #[arg(long, value_name = "COMMAND", value_hint = ValueHint::CommandString)]
    before_kill: Option<String>,
    /// The shortest time from the start of the load to a kill
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = length_of_time)]
    kill_min: Duration,
    /// The longest time from the start of the load to a kill
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = length_of_time)]
    kill_max: Duration,
    /// What the moments of the kills follow from; printed, to do the same again [default: another each time]
    #[arg(long)]
    seed: Option<u64>,
    /// Messages per second of all six publishers together; what subscribers miss while they are away has to fit into
    /// the broker's queues
    #[arg(long, value_name = "PER_SECOND", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// Unacknowledged messages of one publisher
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    window: u16,
    /// Payload length in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(32..=65_536))]
    size: u32,
    /// How long the broker may take to start
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = length_of_time)]
    start_timeout: Duration,
    /// What is missing counts as lost when nothing has come for so long
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = length_of_time)]
    patience: Duration,
    /// Write the account as JSON; - is standard output, and the text then goes to standard error
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    json: Option<PathBuf>,
}

/// Runs it: 0 when every acknowledgement was kept, 1 when not or when it could not be found out, 2 when the options are
/// wrong, 130 when the user ended it early and every acknowledgement was kept until then.
pub(crate) fn run(args: &Args) -> ExitCode {
    if args.kill_max < args.kill_min {
        return output::failure(MISUSED, "--kill-max is shorter than --kill-min");
    }
    if !args.start.contains("{port}") {
        let wrong = "the start command has no {port}, so that nobody knows where the broker listens";
        return output::failure(MISUSED, wrong);
    }
    let interrupt = match Interrupt::watch() {
        Ok(interrupt) => interrupt,
        Err(error) => return output::failure(FAILED, format!("signals cannot be heard: {error}")),
    };
    match attack(args, &interrupt).and_then(|(deed, lanes)| tell(args, &deed, &lanes)) {
        Ok(false) => ExitCode::from(FAILED),
        Ok(true) if interrupt.has_come() => ExitCode::from(INTERRUPTED),
        Ok(true) => ExitCode::SUCCESS,
        Err(error) if interrupt.has_come() => output::failure(INTERRUPTED, error),
        Err(error) => output::failure(FAILED, error),
    }
}

fn attack(args: &Args, interrupt: &Interrupt) -> Result<(Deed, Vec<Lane>), String> {
    let random = || getrandom::u64().map_err(|error| format!("no random numbers: {error}"));
    let seed = args.seed.map_or_else(random, Ok)?;
    let mut program =
        Program::new(&args.start, args.before_kill.as_deref(), args.start_timeout, interrupt.clone())?;
    let load = Load {
        kills: args.kills,
        moments: args.kill_min..=args.kill_max,
        rate: f64::from(args.rate),
        window: usize::from(args.window),
        payload_bytes: args.size as usize,
        patience: args.patience,
        seed,
        prefix: format!("crash-{:08x}", random()? as u32),
        progress: |kills| match std::io::stderr().is_terminal() {
            true => eprint!("\rkilled {kills} times "),
            false => eprintln!("killed {kills} times"),
        },
        interrupt: interrupt.clone(),
    };
    let ended = Campaign::new(&mut program, load).run();
    if std::io::stderr().is_terminal() {
        eprint!("{ERASE}");
    }
    let (kills, lanes) = ended?;
    Ok((Deed { command: args.start.clone(), kills, seed }, lanes))
}

/// Prints the account. Whether all was right.
fn tell(args: &Args, deed: &Deed, lanes: &[Lane]) -> Result<bool, String> {
    let (text, json) = (report::text(deed, lanes), report::json(deed, lanes));
    match args.json.as_deref() {
        Some(path) if path.as_os_str() == "-" => {
            eprint!("{text}");
            std::io::stdout()
                .write_all(json.as_bytes())
                .map_err(|error| format!("standard output: {error}"))?;
        }
        Some(path) => {
            print!("{text}");
            fs::write(path, json).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        None => print!("{text}"),
    }
    Ok(lanes.iter().all(|lane| lane.tally.is_right()))
}
