//! The statements that have no test of their own, each with its reason: `spec/status.toml`. How many of each kind there
//! may be is written there too, so that the list does not grow unnoticed.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use super::statement::Edition;
use crate::tables;

pub(super) const PATH: &str = "spec/status.toml";

/// The table that says how many exceptions of each kind there are.
const COUNTS: &str = "exceptions";

/// Why a statement has no test of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// It binds the client alone, and a test of the client machine that bears another number proves it; the entry names
    /// that test.
    Client,
    /// Another test proves it, which bears another number; the entry names it.
    Elsewhere,
    /// It is about what is not built yet; the entry says what.
    NotBuilt,
    /// Its condition never comes about: it is for servers that lack what Whimbrel has.
    NeverArises,
    /// No test could fail: it permits, or it is about something that is not observable.
    Untestable,
}

impl Kind {
    pub(super) const ALL: [Kind; 5] =
        [Kind::Client, Kind::Elsewhere, Kind::NotBuilt, Kind::NeverArises, Kind::Untestable];

    fn key(self) -> &'static str {
        match self {
            Kind::Client => "client",
            Kind::Elsewhere => "elsewhere",
            Kind::NotBuilt => "not-built",
            Kind::NeverArises => "never-arises",
            Kind::Untestable => "untestable",
        }
    }

    fn names_tests(self) -> bool {
        matches!(self, Kind::Client | Kind::Elsewhere)
    }

    /// What it means, for the manual.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Kind::Client => "for clients alone, proved on the client machine by a test of another number",
            Kind::Elsewhere => "proved by a test of another number",
            Kind::NotBuilt => "about what is not built yet",
            Kind::NeverArises => "for servers that lack what Whimbrel has",
            Kind::Untestable => "no test could fail",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exception {
    pub(super) edition: Edition,
    pub(super) id: String,
    pub(super) kind: Kind,
    /// The tests that prove it all the same, of the kinds that name them.
    pub(super) tests: Vec<String>,
    pub(super) reason: String,
}

/// The whole list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Exceptions {
    pub(super) entries: Vec<Exception>,
    /// How many of each kind there may be.
    pub(super) allowed: BTreeMap<Kind, usize>,
}

impl Exceptions {
    pub(super) fn count(&self, kind: Kind) -> usize {
        self.entries.iter().filter(|entry| entry.kind == kind).count()
    }

    /// Where the numbers of entries are not those that are written.
    pub(super) fn ratchet(&self) -> Vec<String> {
        let mut findings = Vec::new();
        for kind in Kind::ALL {
            let (found, allowed) = (self.count(kind), self.allowed.get(&kind).copied().unwrap_or(0));
            if found > allowed {
                findings.push(format!("{PATH}: {found} exceptions of the kind `{kind}`, at most {allowed}"));
            } else if found < allowed {
                findings.push(format!("{PATH}: lower `{kind}` from {allowed} to {found}"));
            }
        }
        findings
    }
}

pub(super) fn load(root: &Path) -> Result<Exceptions, String> {
    let text = fs::read_to_string(root.join(PATH)).map_err(|error| format!("{PATH}: {error}"))?;
    read(&text).map_err(|error| format!("{PATH}: {error}"))
}

pub(super) fn read(text: &str) -> Result<Exceptions, String> {
    let mut exceptions = Exceptions::default();
    for table in tables::read(text)? {
        if table.name == COUNTS {
            for (key, _) in table.values() {
                let kind = kind(key).ok_or_else(|| format!("line {}: no kind `{key}`", table.line))?;
                exceptions.allowed.insert(kind, table.number(key)?);
            }
            continue;
        }
        let wrong = || format!("line {}: [{}] is neither `{COUNTS}` nor a statement", table.line, table.name);
        let (edition, id) = table.name.split_once('.').ok_or_else(wrong)?;
        let edition = Edition::ALL.into_iter().find(|known| known.key() == edition).ok_or_else(wrong)?;
        table.only(&["kind", "tests", "reason"])?;
        let word = table.value("kind")?;
        let kind = kind(word).ok_or_else(|| format!("line {}: no kind `{word}`", table.line))?;
        let tests: Vec<_> =
            table.optional("tests").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        if kind.names_tests() == tests.is_empty() {
            return Err(format!(
                "line {}: `{kind}` {}",
                table.line,
                if tests.is_empty() { "names its tests" } else { "names no tests" }
            ));
        }
        let reason = table.value("reason")?.to_owned();
        if reason.is_empty() {
            return Err(format!("line {}: [{}] has no reason", table.line, table.name));
        }
        exceptions.entries.push(Exception { edition, id: id.to_owned(), kind, tests, reason });
    }
    Ok(exceptions)
}

fn kind(word: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.key() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "[v5.\"MQTT-6.0.0-1\"]\nkind = \"not-built\"\nreason = \"no WebSocket\"\n";

    #[test]
    fn reads_entries_and_counts() {
        let read = read(&format!("[exceptions]\nnot-built = 1\n\n{ENTRY}")).unwrap();
        let entry = Exception {
            edition: Edition::V5,
            id: "MQTT-6.0.0-1".to_owned(),
            kind: Kind::NotBuilt,
            tests: vec![],
            reason: "no WebSocket".to_owned(),
        };
        assert_eq!(read.entries, [entry]);
        assert_eq!(read.ratchet(), Vec::<String>::new());
    }

    #[test]
    fn the_numbers_turn_one_way() {
        let check = |allowed: usize, expect: &str| {
            let read = read(&format!("[exceptions]\nnot-built = {allowed}\n{ENTRY}")).unwrap();
            assert_eq!(read.ratchet(), [expect]);
        };
        check(0, "spec/status.toml: 1 exceptions of the kind `not-built`, at most 0");
        check(2, "spec/status.toml: lower `not-built` from 2 to 1");
    }

    #[test]
    fn a_wrong_entry_is_refused() {
        let check = |text: &str| assert!(read(text).is_err(), "{text}");
        check("[v4.\"MQTT-6.0.0-1\"]\nkind = \"not-built\"\nreason = \"x\"");
        check("[v5.\"MQTT-6.0.0-1\"]\nkind = \"lazy\"\nreason = \"x\"");
        check("[v5.\"MQTT-6.0.0-1\"]\nkind = \"elsewhere\"\nreason = \"x\"");
        check("[v5.\"MQTT-6.0.0-1\"]\nkind = \"not-built\"\ntests = \"a\"\nreason = \"x\"");
        check("[v5.\"MQTT-6.0.0-1\"]\nkind = \"not-built\"\nreason = \"\"");
        check("[v5.\"MQTT-6.0.0-1\"]\nkind = \"not-built\"\nreasons = \"x\"");
        check("[exceptions]\nlazy = 1");
    }
}
