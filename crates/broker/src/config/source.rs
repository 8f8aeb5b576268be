//! Where values come from: a file, the environment, flags; and how a place in one of them is called. Not what
//! the values mean.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::key::Key;
use super::problem::{Fault, Problem, Problems};

/// Everything from which a configuration is made. A flag counts more than the environment, the environment
/// more than the file, the file more than the default.
#[derive(Debug, Default)]
pub struct Sources {
    /// The configuration file, if there is one.
    pub file: Option<File>,
    /// Variables whose names begin with `WHIMBREL_`. An empty one counts as not set.
    pub environment: BTreeMap<String, String>,
    /// The flags of the command line, in their order.
    pub flags: Vec<Flag>,
}

/// The configuration file and what stands in it.
#[derive(Debug)]
pub struct File {
    /// The path as the user wrote it.
    pub path: PathBuf,
    /// What stands in the file.
    pub text: String,
}

/// A flag that sets a key.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The key.
    pub key: &'static Key,
    /// The flag as the user knows it, with its dashes.
    pub spelled: String,
    /// The value as the user wrote it.
    pub word: String,
}

/// Where a value was given. Sorts in the order in which problems are told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The file as a whole.
    File(PathBuf),
    /// A place in the file.
    Place {
        /// The path as the user wrote it.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
    },
    /// A variable of the environment.
    Environment(String),
    /// A flag, with its dashes.
    Flag(String),
    /// Nobody gave it: it is the default.
    Default,
}

impl Sources {
    /// The environment of this process and nothing else.
    pub fn from_environment() -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
        Self {
            environment: variables.filter(|(name, _)| name.starts_with("WHIMBREL_")).collect(),
            ..Self::default()
        }
    }

    /// The value of a variable, unless it is empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl File {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self { path: path.to_owned(), text }),
            Err(error) => Err(Problems(vec![Problem {
                origin: Origin::File(path.to_owned()),
                key: None,
                fault: Fault::Unreadable(error.to_string()),
            }])),
        }
    }

    /// The folder from which relative paths in the file count.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.path.parent()
    }

    /// The place at which this part of the text begins.
    pub(super) fn place(&self, span: &Range<usize>) -> Origin {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Origin::Place {
            path: self.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }

    /// The beginning of the line with the most dots: the parser tells no place where a key has too many of them, and
    /// that is the only such mistake.
    pub(super) fn most_dots(&self) -> Range<usize> {
        let (mut most, mut start, mut found) = (0, 0, 0);
        for line in self.text.split_inclusive('\n') {
            let dots = line.matches('.').count();
            if dots > most {
                (most, found) = (dots, start);
            }
            start += line.len();
        }
        found..found
    }

    /// What stands there, short enough for a message.
    pub(super) fn excerpt(&self, span: &Range<usize>) -> String {
        shortened(self.text.get(span.clone()).unwrap_or_default())
    }
}

/// The first line of a text, and of that what a message bears.
pub(super) fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    let line = text.lines().next().unwrap_or_default();
    let mut short: String = line.chars().take(CHARACTERS_MAX).collect();
    if short.len() < text.trim_end().len() {
        short.push('…');
    }
    short
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(out, "{}", path.display()),
            Self::Place { path, line, column } => write!(out, "{}:{line}:{column}", path.display()),
            Self::Environment(name) => write!(out, "environment {name}"),
            Self::Flag(spelled) => write!(out, "flag {spelled}"),
            Self::Default => out.write_str("default"),
        }
    }
}
