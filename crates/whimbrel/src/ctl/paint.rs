//! Colours, for a terminal and for nobody who has set NO_COLOR.

use std::io::{self, IsTerminal};

/// Whether there are colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    colours: bool,
}

impl Paint {
    /// For standard output.
    pub(super) fn for_output() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { colours: io::stdout().is_terminal() && !unwanted && !dumb }
    }

    #[cfg(test)]
    pub(super) const NONE: Self = Self { colours: false };

    /// The head of a table.
    pub(super) fn head(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What somebody should look at.
    pub(super) fn warning(self, text: &str) -> String {
        self.with("33", text)
    }

    /// What is wrong.
    pub(super) fn fault(self, text: &str) -> String {
        self.with("31", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
