//! What a command says: texts to standard output, failures to standard error. Not the log of the broker.

use std::error::Error;
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

/// Says on standard error what went wrong and why: the error and its causes, each once, as some errors name theirs
/// themselves.
pub(crate) fn failed(code: u8, error: &dyn Error) -> ExitCode {
    failure(code, with_causes(error))
}

fn with_causes(error: &dyn Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !sentence.contains(&text) {
            sentence.push_str(": ");
            sentence.push_str(&text);
        }
        cause = error.source();
    }
    sentence
}

/// Says on standard error what is beside the point of what standard output has.
pub(crate) fn note(sentence: impl Display) {
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr(), "whimbrel: {sentence}");
}

/// Says on standard error what went wrong.
pub(crate) fn failure(code: u8, sentence: impl Display) -> ExitCode {
    note(sentence);
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::io;

    use super::*;

    #[derive(Debug)]
    struct Failed {
        sentence: &'static str,
        cause: io::Error,
    }

    impl fmt::Display for Failed {
        fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str(self.sentence)
        }
    }

    impl Error for Failed {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.cause)
        }
    }

    #[test]
    fn a_failure_is_told_with_its_cause_once() {
        for sentence in ["no file", "no file: gone; make one"] {
            let error = Failed { sentence, cause: io::Error::other("gone") };
            assert_eq!(with_causes(&error).matches("gone").count(), 1, "{sentence}");
        }
    }
}
