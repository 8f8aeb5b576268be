//! What a command says: texts to standard output, failures to standard error. Not the log of the broker.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use crate::cli::FAILED;

/// Writes a text to standard output. A reader that has gone away (`| head`) has what it wanted.
pub(crate) fn text(text: &[u8]) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => failure(FAILED, format!("standard output cannot be written: {error}")),
    }
}

/// Says on standard error what went wrong.
pub(crate) fn failure(code: u8, sentence: impl Display) -> ExitCode {
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr(), "whimbrel: {sentence}");
    ExitCode::from(code)
}
