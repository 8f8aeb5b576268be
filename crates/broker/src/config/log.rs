//! The room `[log]`: what is logged, how and where. Not the writer.

use std::fmt;
use std::path::PathBuf;

use super::key::{Kind, Reload};
use super::room::room;
use super::setting::{Choice, Given, Setting, Value, quoted};

room! {
    /// What is logged, how and where.
    pub struct Log("log") {
        /// How much is logged: `off`, `error`, `warn`, `info`, `debug` or `trace`. At `info` the broker says
        /// what it listens on and what an operator should know: which clients are refused, slow or lose
        /// messages too, but no more than five lines of a kind in a second for each worker thread. Parts of the
        /// program can have levels of their own after a comma: `info,whimbrel_broker=debug`. `whimbrel ctl log`
        /// changes it while the broker runs.
        level: Levels = Levels::default(), flag("log-level"), environment_short("WHIMBREL_LOG"),
            reload(Reload::Live);

        /// `human` writes lines to read, in colours on a terminal; `json` writes one JSON object for each
        /// line.
        format: Format = Format::Human, flag("log-format");

        /// The file to which the log is appended; without one it goes to standard error. After a file was
        /// moved away, SIGHUP opens a new one. In the configuration file a relative path counts from the
        /// folder of that file.
        file: Option<PathBuf> = None, flag("log-file"), example("whimbrel.log"), reload(Reload::Reopened);
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    Off,
    /// What the broker could not do.
    Error,
    /// What an operator should look at.
    Warn,
    /// What an operator should know.
    Info,
    /// What somebody wants to know who looks for a fault.
    Debug,
    /// Everything.
    Trace,
}

/// A level for the whole program, and others for parts of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    /// The level of all that is not in `parts`.
    pub base: Level,
    /// Paths of modules, such as `whimbrel_broker::worker`, with the level of each.
    pub parts: Vec<(String, Level)>,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line to read.
    Human,
    /// A JSON object.
    Json,
}

impl Choice for Format {
    const WORDS: &'static [&'static str] = &["human", "json"];
    const VALUES: &'static [Self] = &[Self::Human, Self::Json];
}

impl Choice for Level {
    const WORDS: &'static [&'static str] = &["off", "error", "warn", "info", "debug", "trace"];
    const VALUES: &'static [Self] =
        &[Self::Off, Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];
}

impl Level {
    fn parse(word: &str) -> Option<Self> {
        let at = Self::WORDS.iter().position(|known| *known == word)?;
        Self::VALUES.get(at).copied()
    }

    fn word(self) -> &'static str {
        let at = Self::VALUES.iter().position(|level| *level == self);
        at.and_then(|at| Self::WORDS.get(at)).copied().unwrap_or_default()
    }
}

impl Levels {
    /// The level of the part that logs most.
    pub fn most(&self) -> Level {
        self.parts.iter().fold(self.base, |most, (_, level)| most.max(*level))
    }

    /// What may be written for it, in words that follow "allowed is".
    pub fn allowed() -> String {
        Kind::Levels.in_words((0, 0))
    }

    /// Reads what the key may hold; nothing if it may not hold that.
    pub fn parse(text: &str) -> Option<Self> {
        let mut levels = Self::default();
        for rule in text.split(',').map(str::trim) {
            match rule.split_once('=') {
                Some((part, level)) if !part.trim().is_empty() => {
                    levels.parts.push((part.trim().to_owned(), Level::parse(level.trim())?));
                }
                Some(_) => return None,
                None => levels.base = Level::parse(rule)?,
            }
        }
        Some(levels)
    }
}

impl Default for Levels {
    fn default() -> Self {
        Self { base: Level::Info, parts: Vec::new() }
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.base.word())?;
        self.parts.iter().try_for_each(|(part, level)| write!(out, ",{part}={}", level.word()))
    }
}

impl Setting for Levels {
    const KIND: Kind = Kind::Levels;

    fn read(given: &Given<'_>, _: (u64, u64)) -> Option<Self> {
        match given.value {
            Value::Text(text) | Value::Word(text) => Self::parse(text),
            _ => None,
        }
    }

    fn show(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}
