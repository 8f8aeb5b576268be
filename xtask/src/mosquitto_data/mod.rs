//! `cargo xtask mosquitto-data FOLDER`: Mosquitto's sequences of bytes, read from `test/broker/data` of its repository,
//! against this broker over TCP. Every difference is explained in `docs/hostile-bytes.md`, or the command fails. The files
//! are Mosquitto's and are not in this repository.

mod differences;
mod exchange;
mod message;
mod packet;
mod sequence;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use self::differences::Difference;
use self::sequence::Sequence;
use crate::ci::succeed;
use crate::compare::contestant::Contestant;
use crate::workspace::{Reach, cargo, load, root};

const USAGE: &str = "\
usage: cargo xtask mosquitto-data FOLDER [--whimbrel PROGRAM] [--only TEXT]

  FOLDER              test/broker/data of Mosquitto's repository
  --whimbrel PROGRAM  the broker; without it the debug build
  --only TEXT         the sequences with this in their names; what is explained is not compared";

/// Runs all sequences of the folder and compares what differs with the table.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let (folder, rest) = arguments.split_first().ok_or(USAGE)?;
    let (mut program, mut only) = (None, None);
    for pair in rest.chunks(2) {
        match pair {
            [flag, value] if flag == "--whimbrel" => program = Some(PathBuf::from(value)),
            [flag, value] if flag == "--only" => only = Some(value.as_str()),
            _ => return Err(USAGE.to_owned()),
        }
    }
    let mut sequences = read(Path::new(folder))?;
    sequences.retain(|sequence| only.is_none_or(|only| sequence.name.contains(only)));
    let program = program.map_or_else(build, Ok)?;
    let working = load(Reach::Members)?.target_directory.join("mosquitto-data");
    fs::create_dir_all(&working).map_err(|error| format!("{}: {error}", working.display()))?;
    let command = format!("exec '{}' serve --listen 127.0.0.1:{{port}} --log-level error", program.display());
    let broker = Contestant::parse(&format!("Whimbrel={command}"))?;
    let found = differences(&sequences, &broker, &working)?;
    println!(
        "{} sequences, {} passed, {} different",
        sequences.len(),
        sequences.len() - found.len(),
        found.len()
    );
    if only.is_some() {
        found.iter().for_each(|difference| println!("{difference}"));
        return Ok(());
    }
    crate::report(Ok(differences::load(&root())?.compare(&found)))
}

/// Runs all in one broker, as Mosquitto does; after a difference in a new one, as nobody knows what it has left behind.
fn differences(
    sequences: &[Sequence],
    broker: &Contestant,
    working: &Path,
) -> Result<Vec<Difference>, String> {
    let mut found = Vec::new();
    let mut running = broker.start(working)?;
    for sequence in sequences {
        let address = SocketAddr::from(([127, 0, 0, 1], running.port));
        if let Err(what) = exchange::run(sequence, address) {
            found.push(Difference { name: sequence.name.clone(), what });
            running = broker.start(working)?;
        }
    }
    Ok(found)
}

/// All sequences that are not switched off, in the order of the files.
fn read(folder: &Path) -> Result<Vec<Sequence>, String> {
    let failed = |error| format!("{}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(failed)?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let mut sequences = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).map_err(failed)?;
        let read = sequence::read(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        sequences.extend(read);
    }
    if sequences.is_empty() {
        return Err(format!("{} has no sequences\n\n{USAGE}", folder.display()));
    }
    Ok(sequences)
}

fn build() -> Result<PathBuf, String> {
    succeed(cargo().args(["build", "--quiet", "--locked", "--package", "whimbrel"]))?;
    Ok(load(Reach::Members)?.target_directory.join("debug/whimbrel"))
}
