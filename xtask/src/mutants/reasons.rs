//! The mutants that no test kills, each with the reason: `spec/mutants.toml`. A mutant is called by its file and by what
//! is replaced in which function; lines are left out, so that an edit above it changes nothing here.

use std::fs;
use std::path::Path;

use crate::tables;

pub(super) const PATH: &str = "spec/mutants.toml";

/// Why a mutant may survive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    /// As [`name`] gives it.
    pub(super) mutant: String,
    /// How many of this name survive: a function may hold the same operator twice.
    pub(super) count: usize,
    pub(super) reason: String,
}

pub(super) fn load(root: &Path) -> Result<Vec<Reason>, String> {
    let text = fs::read_to_string(root.join(PATH)).map_err(|error| format!("{PATH}: {error}"))?;
    read(&text).map_err(|error| format!("{PATH}: {error}"))
}

pub(super) fn read(text: &str) -> Result<Vec<Reason>, String> {
    let reason = |table: tables::Table| {
        table.only(&["count", "reason"])?;
        let count = if table.optional("count").is_some() { table.number("count")? } else { 1 };
        let reason = table.value("reason")?.to_owned();
        if count == 0 || reason.is_empty() {
            return Err(format!("line {}: [{}] excuses nothing, or without reason", table.line, table.name));
        }
        Ok(Reason { mutant: name(&table.name), count, reason })
    };
    tables::read(text)?.into_iter().map(reason).collect()
}

/// A mutant's name without its line and column, and without quotes, which a table's name cannot hold.
pub(super) fn name(told: &str) -> String {
    let plain: String = told.chars().filter(|letter| !matches!(letter, '"' | '\\')).collect();
    let Some((file, rest)) = plain.split_once(':') else { return plain };
    let is_place = |letter: char| letter.is_ascii_digit() || letter == ':';
    format!("{file}: {}", rest.trim_start_matches(is_place).trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_called_without_its_place() {
        let check = |told: &str, expect: &str| assert_eq!(name(told), expect);
        check(
            "crates/a/src/b.rs:62:36: replace - with + in A::resolve",
            "crates/a/src/b.rs: replace - with + in A::resolve",
        );
        check("crates/a/src/b.rs: replace a -> &str with \"\"", "crates/a/src/b.rs: replace a -> &str with ");
        check("words", "words");
    }

    #[test]
    fn each_entry_has_a_reason_and_excuses_one_or_more() {
        let text = "[\"a.rs: replace f with ()\"]\nreason = \"r\"\n[\"a.rs: delete !\"]\ncount = 2\nreason = \"s\"\n";
        let entry = |mutant: &str, count, reason: &str| Reason {
            mutant: mutant.to_owned(),
            count,
            reason: reason.to_owned(),
        };
        let expect = vec![entry("a.rs: replace f with ()", 1, "r"), entry("a.rs: delete !", 2, "s")];
        assert_eq!(read(text), Ok(expect));
        let check = |text: &str| assert!(read(text).is_err(), "{text}");
        check("[\"a\"]");
        check("[\"a\"]\nreason = \"\"");
        check("[\"a\"]\ncount = 0\nreason = \"r\"");
        check("[\"a\"]\nwhy = \"r\"\nreason = \"r\"");
    }

    #[test]
    fn the_list_of_this_repository_reads() {
        let reasons = load(&crate::workspace::root()).unwrap();
        for Reason { mutant, .. } in &reasons {
            let (file, _) = mutant.split_once(':').unwrap_or((mutant, ""));
            assert!(crate::workspace::root().join(file).is_file(), "{mutant}");
        }
    }
}
