//! `whimbrel config`: checks a configuration, shows the default file and the reference. Not the
//! configuration, which is a module of the broker.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueHint};
use whimbrel_broker::config::{self, Config, Problems, Sources};

use crate::cli::MISUSED;
use crate::{output, serve};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell everything that is wrong with a configuration: with the file, and with the environment. The files that it
    /// names are not opened: that is done at the start.
    Check {
        /// The file; without it the one that WHIMBREL_CONFIG names, if any
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Write a configuration file with every key, its explanation and its default to standard output.
    Default,
    /// Write the reference of all keys, a page in Markdown, to standard output.
    Reference,
}

pub(crate) fn run(args: Args) -> ExitCode {
    match args.command {
        Command::Check { file } => check(file),
        Command::Default => output::text(config::default_file().as_bytes()),
        Command::Reference => output::text(config::reference().as_bytes()),
    }
}

fn check(file: Option<PathBuf>) -> ExitCode {
    let name = |sources: &Sources| match &sources.file {
        Some(file) => file.path.display().to_string(),
        None => "the environment (there is no file)".to_owned(),
    };
    let checked = serve::sources(file).and_then(|sources| Config::load(&sources).map(|_| name(&sources)));
    match checked {
        Ok(name) => output::text(format!("{name}: nothing is wrong\n").as_bytes()),
        Err(problems) => refuse(&problems),
    }
}

/// Tells all problems, one in each line with its place first, and how many there are.
pub(crate) fn refuse(problems: &Problems) -> ExitCode {
    let count = match problems.0.len() {
        1 => "this is".to_owned(),
        count => format!("these {count} things are"),
    };
    output::failure(MISUSED, format!("{count} wrong with the configuration:\n{problems}"))
}
