//! The normative statements of both specifications, from the lists in `spec/`. What proves them is not here.

use std::fmt;
use std::fs;
use std::path::Path;

/// A version whose statements have identifiers. The text of 3.1 numbers none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Edition {
    V5,
    V311,
}

impl Edition {
    pub(super) const ALL: [Edition; 2] = [Edition::V5, Edition::V311];

    /// What the name of a test begins with.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Edition::V5 => "v5_",
            Edition::V311 => "v311_",
        }
    }

    /// Its name in `spec/status.toml`.
    pub(super) fn key(self) -> &'static str {
        self.prefix().trim_end_matches('_')
    }

    fn list(self) -> &'static str {
        match self {
            Edition::V5 => "spec/normative-v5.0.tsv",
            Edition::V311 => "spec/normative-v3.1.1.tsv",
        }
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Edition::V5 => "5.0",
            Edition::V311 => "3.1.1",
        })
    }
}

/// One normative statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) edition: Edition,
    /// `MQTT-3.3.1-2`.
    pub(super) id: String,
    pub(super) text: String,
}

impl Statement {
    /// The identifier as it stands in the name of a test: `3_3_1_2`.
    pub(super) fn number(&self) -> String {
        self.id.trim_start_matches("MQTT-").replace(['.', '-'], "_")
    }

    /// The chapter and section that it is in: `3.3`.
    pub(super) fn section(&self) -> String {
        let parts: Vec<_> = self.id.trim_start_matches("MQTT-").split(['.', '-']).take(2).collect();
        parts.join(".")
    }
}

/// Reads both lists.
pub(super) fn load(root: &Path) -> Result<Vec<Statement>, String> {
    let mut statements = Vec::new();
    for edition in Edition::ALL {
        let path = edition.list();
        let text = fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"))?;
        statements.extend(read(edition, &text).map_err(|error| format!("{path}: {error}"))?);
    }
    Ok(statements)
}

fn read(edition: Edition, text: &str) -> Result<Vec<Statement>, String> {
    let mut statements: Vec<Statement> = Vec::new();
    for (at, line) in text.lines().enumerate().skip(1) {
        let parts = line.split_once('\t').filter(|(id, _)| id.starts_with("MQTT-"));
        let (id, words) = parts.ok_or_else(|| format!("line {}: not an identifier and a text", at + 1))?;
        if statements.iter().any(|statement| statement.id == id) {
            return Err(format!("line {}: {id} is there twice", at + 1));
        }
        statements.push(Statement { edition, id: id.to_owned(), text: words.to_owned() });
    }
    Ok(statements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lists_are_whole() {
        let statements = load(&crate::workspace::root()).unwrap();
        let count =
            |edition| statements.iter().filter(|statement: &&Statement| statement.edition == edition).count();
        assert_eq!((count(Edition::V5), count(Edition::V311)), (252, 141));
    }

    #[test]
    fn an_identifier_has_a_number_and_a_section() {
        let check = |id: &str, number: &str, section: &str| {
            let statement = Statement { edition: Edition::V5, id: id.to_owned(), text: String::new() };
            assert_eq!((statement.number().as_str(), statement.section().as_str()), (number, section));
        };
        check("MQTT-3.3.1-2", "3_3_1_2", "3.3");
        check("MQTT-4.12.0-7", "4_12_0_7", "4.12");
        check("MQTT-4.2-1", "4_2_1", "4.2");
    }

    #[test]
    fn a_broken_list_is_not_read_as_a_shorter_one() {
        assert!(read(Edition::V5, "id\tstatement\nMQTT-1-1 without a tab").is_err());
        assert!(read(Edition::V5, "id\tstatement\nMQTT-1-1\ta\nMQTT-1-1\tb").is_err());
    }
}
