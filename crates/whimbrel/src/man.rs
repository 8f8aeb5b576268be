//! `whimbrel man`: the manual pages, made from the definitions of the command line. Not the manual.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, ValueHint};
use clap_mangen::Man;

use crate::cli::{Cli, FAILED};
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder into which to write a page for every command; without it, the first page goes to standard
    /// output
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    folder: Option<PathBuf>,
}

pub(crate) fn run(args: Args) -> ExitCode {
    match args.folder {
        Some(folder) => match write_all(&folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let folder = folder.display();
                output::failure(FAILED, format!("the manual pages cannot be written to {folder}: {error}"))
            }
        },
        None => {
            let mut page = Vec::new();
            match Man::new(command()).render(&mut page) {
                Ok(()) => output::text(&page),
                Err(error) => output::failure(FAILED, format!("the manual page cannot be made: {error}")),
            }
        }
    }
}

fn write_all(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command(), folder)
}

/// The definitions without the command `help`: the pages are the help.
fn command() -> clap::Command {
    Cli::command().disable_help_subcommand(true)
}
