//! `whimbrel store`: looks at a store on disk, makes it smaller, copies it and puts copies back. Not what is done: that is
//! the broker's.

mod check;

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Subcommand, ValueHint};
use serde::Serialize;
use whimbrel_broker::config::{Config, Sources};
use whimbrel_broker::store::{self, Compacted, ToolError};

use crate::cli::{FAILED, MISUSED};
use crate::ctl::{self, quantity};
use crate::{config_command, output, serve};

const EXIT_CODES: &str = "\
Exit codes: 0 all is well; 1 the store is damaged, or something cannot be done; 2 the command line or the configuration is \
wrong.

Without DIR it is the store that `whimbrel serve` would take: store.directory of the configuration, else $STATE_DIRECTORY, \
else /var/lib/whimbrel for root, else $XDG_DATA_HOME/whimbrel, else ~/.local/share/whimbrel. Work as the account that the \
broker runs as: what another one writes, the broker may not read.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Args {
    /// The configuration file, for where the store is [env: WHIMBREL_CONFIG]
    #[arg(long, short, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,

    /// Tell it as JSON: one object, and of records one for each line
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a store from its beginning to its end and tell what it holds and whether it is sound
    ///
    /// Nothing is changed. A broker may have the store open; what it is writing at this moment may look torn or damaged then,
    /// and it is said who writes. A backup can be checked as well. It takes as much memory as the broker takes for the store.
    Check {
        /// The folder of the store, or of a backup
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: Option<PathBuf>,
    },
    /// Write every record of a store in order, one in each line; a damaged one up to the damage
    ///
    /// Nothing is changed. Payloads are text where they are UTF-8, else Base64.
    Dump {
        /// The folder of the store, or of a backup
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: Option<PathBuf>,
    },
    /// Give back at once all the space that nothing lives in
    ///
    /// The broker must not run; while it runs it does the same by itself, bit by bit.
    Compact {
        /// The folder of the store
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: Option<PathBuf>,

        /// Keep a damaged store up to the damage; what was acknowledged after it is lost
        ///
        /// What cannot be read stays in the folder, under names that begin with `damaged-`.
        #[arg(long)]
        salvage: bool,
    },
    /// Copy a store as it is at one moment: that of a running broker, or with --from one that nobody has open
    ///
    /// A running broker is asked through its control socket, as `whimbrel ctl backup` does; it goes on serving. Everything
    /// that was acknowledged before is in the backup. A backup is a store by itself: `whimbrel store check` reads it. It has
    /// its name only when it is whole.
    Backup {
        /// The folder for the backup; it must not be there, or be empty
        #[arg(value_name = "DEST", value_hint = ValueHint::DirPath)]
        destination: PathBuf,

        /// The folder of a store that no broker has open
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        from: Option<PathBuf>,

        /// Without --from: the control socket of the broker
        #[arg(long, value_name = "PATH", env = "WHIMBREL_CONTROL_SOCKET", value_hint = ValueHint::FilePath)]
        socket: Option<PathBuf>,

        /// So many mebibytes in a second at most
        #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
        rate: Option<u64>,
    },
    /// Put a backup into the folder of a store, which must hold nothing
    ///
    /// The backup is checked before, and what was written after.
    Restore {
        /// The folder of the backup
        #[arg(value_name = "BACKUP", value_hint = ValueHint::DirPath)]
        backup: PathBuf,

        /// The folder of the store
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: Option<PathBuf>,
    },
}

pub(crate) fn run(args: Args) -> ExitCode {
    let Args { config: file, json, command } = args;
    if let Command::Backup { destination, from, socket, rate } = command {
        let bytes_per_sec = rate.map(|mib| mib << 20);
        return match from {
            None => ctl::backup(socket, json, &destination, bytes_per_sec),
            Some(from) => match store::backup(&from, &destination, bytes_per_sec) {
                Ok(copied) => say(json, &copied, || ctl::backup_text(&copied)),
                Err(error) => refuse(&error),
            },
        };
    }
    let sources = serve::sources(file).map(|sources| Sources { flags: Vec::new(), ..sources });
    let config = match sources.and_then(|sources| Config::load(&sources)) {
        Ok(config) => config,
        Err(problems) => return config_command::refuse(&problems),
    };
    let of = |folder: Option<PathBuf>| folder.or_else(|| store::folder_of(&config));
    let named = match &command {
        Command::Check { folder } | Command::Dump { folder } => of(folder.clone()),
        Command::Compact { folder, .. } | Command::Restore { folder, .. } => of(folder.clone()),
        Command::Backup { .. } => None,
    };
    let Some(folder) = named else {
        return output::failure(MISUSED, "nothing says where the store is: name its folder");
    };
    match command {
        Command::Check { .. } => check(&folder, json),
        Command::Dump { .. } => dump(&folder, json),
        Command::Compact { salvage, .. } => match store::compact(&config, &folder, salvage) {
            Ok(compacted) => say(json, &compacted, || compacted_text(&compacted)),
            Err(error) => refuse(&error),
        },
        Command::Restore { backup, .. } => match store::restore(&backup, &folder) {
            Ok(checked) => say(json, &checked, || check::restored_text(&checked)),
            Err(error) => refuse(&error),
        },
        Command::Backup { .. } => ExitCode::from(MISUSED),
    }
}

fn check(folder: &Path, json: bool) -> ExitCode {
    match store::check(folder) {
        Ok(checked) => {
            let said = say(json, &checked, || check::text(&checked));
            if checked.sound { said } else { ExitCode::from(FAILED) }
        }
        Err(error) => refuse(&error),
    }
}

fn dump(folder: &Path, json: bool) -> ExitCode {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut failed = None;
    let dumped = store::dump(folder, |record| {
        let line = if json { record.json() } else { record.text() };
        failed = writeln!(out, "{line}").err();
        failed.is_none()
    });
    let failed = failed.or_else(|| out.flush().err());
    if let Some(error) = failed {
        // A reader that has gone away (`| head`) has what it wanted.
        return match error.kind() {
            ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            _ => output::failure(FAILED, format!("standard output cannot be written: {error}")),
        };
    }
    match dumped {
        Ok(end) => match (end.damage, end.unknown) {
            (Some(damage), _) => output::failure(FAILED, format!("the dump ends here: {}", damage.message)),
            (None, 0) => ExitCode::SUCCESS,
            (None, count) => output::failure(
                FAILED,
                format!("{count} records are of no kind that this program knows; use a newer one"),
            ),
        },
        Err(error) => refuse(&error),
    }
}

fn compacted_text(compacted: &Compacted) -> String {
    let mut text = String::new();
    if let Some(damage) = &compacted.salvaged {
        let _ = writeln!(text, "kept up to the damage: {damage}");
    }
    if compacted.given_up > 0 {
        let _ = writeln!(text, "given up: {} messages that were owed and are not there", compacted.given_up);
    }
    let _ = writeln!(
        text,
        "{} before, {} now; {} records written anew, {} segments gone",
        quantity::bytes(compacted.bytes_before),
        quantity::bytes(compacted.bytes_after),
        quantity::number(compacted.moved),
        quantity::number(compacted.segments_gone),
    );
    text
}

/// Says what has come of it, as one object or as text.
fn say(json: bool, value: &impl Serialize, text: impl FnOnce() -> String) -> ExitCode {
    if !json {
        return output::text(text().as_bytes());
    }
    match serde_json::to_string(value) {
        Ok(line) => output::text(format!("{line}\n").as_bytes()),
        Err(error) => output::failure(FAILED, format!("it cannot be told as JSON: {error}")),
    }
}

fn refuse(error: &ToolError) -> ExitCode {
    output::failed(FAILED, error)
}
