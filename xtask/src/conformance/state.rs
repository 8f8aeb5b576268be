//! What stands with each statement: its tests, or its reason, or neither. Everything that is not as it should be is a
//! finding.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use super::exceptions::{self, Exception, Exceptions, Kind};
use super::proof::{self, Claim, Proof};
use super::statement::{self, Edition, Statement};

/// One statement and what stands with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) statement: Statement,
    pub(super) tests: Vec<String>,
    pub(super) exception: Option<Exception>,
}

/// The whole state.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) rows: Vec<Row>,
    pub(super) findings: Vec<String>,
}

/// How many statements are proved in which way.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) statements: usize,
    pub(super) tested: usize,
    pub(super) exceptions: BTreeMap<Kind, usize>,
}

/// Reads the lists and the source below `root`.
pub(super) fn load(root: &Path) -> Result<State, String> {
    let statements = statement::load(root)?;
    let exceptions = exceptions::load(root)?;
    let (proofs, findings) = proof::find(root)?;
    let mut state = join(statements, &exceptions, &proofs);
    state.findings.extend(findings);
    Ok(state)
}

pub(super) fn join(statements: Vec<Statement>, exceptions: &Exceptions, proofs: &[Proof]) -> State {
    let mut findings = exceptions.ratchet();
    let numbers: BTreeMap<_, _> =
        statements.iter().map(|row| ((row.edition, row.number()), row.id.clone())).collect();
    let ids: BTreeSet<_> = statements.iter().map(|row| (row.edition, row.id.clone())).collect();
    let mut tests: BTreeMap<(Edition, String), BTreeSet<String>> = BTreeMap::new();
    for proof in proofs {
        for (edition, claim) in &proof.of {
            let id = match claim {
                Claim::Number(number) => numbers.get(&(*edition, number.clone())).cloned(),
                Claim::Id(id) if ids.contains(&(*edition, id.clone())) => Some(id.clone()),
                Claim::Id(id) => {
                    let (path, name) = (&proof.path, &proof.name);
                    findings.push(format!("{path}: {name} proves {id}, which {edition} does not have"));
                    None
                }
            };
            if let Some(id) = id {
                tests.entry((*edition, id)).or_default().insert(proof.name.clone());
            }
        }
    }
    let names: BTreeSet<_> = proofs.iter().map(|proof| proof.name.as_str()).collect();
    for entry in &exceptions.entries {
        let Exception { edition, id, .. } = entry;
        if !ids.contains(&(*edition, id.clone())) {
            findings.push(format!("{}: {edition} has no statement {id}", exceptions::PATH));
        }
        for test in entry.tests.iter().filter(|test| !names.contains(test.as_str())) {
            findings.push(format!("{}: {id} of {edition} names {test}, which is no test", exceptions::PATH));
        }
    }
    let row = |statement: Statement| {
        let key = (statement.edition, statement.id.clone());
        let is_its = |entry: &&Exception| entry.edition == key.0 && entry.id == key.1;
        let exception = exceptions.entries.iter().find(is_its).cloned();
        let tests = tests.remove(&key).unwrap_or_default().into_iter().collect();
        Row { statement, tests, exception }
    };
    let rows: Vec<_> = statements.into_iter().map(row).collect();
    for Row { statement: Statement { edition, id, text }, tests, exception } in &rows {
        match (tests.is_empty(), exception) {
            (true, None) => {
                findings.push(format!("{id} of {edition} has neither a test nor a reason: {text}"))
            }
            (false, Some(_)) => {
                findings
                    .push(format!("{}: {id} of {edition} has tests, it needs no reason", exceptions::PATH));
            }
            _ => {}
        }
    }
    State { rows, findings }
}

impl State {
    /// The counts of an edition, or of one of its sections.
    pub(super) fn count(&self, edition: Edition, section: Option<&str>) -> Count {
        let mut count = Count::default();
        for row in self.rows.iter().filter(|row| row.statement.edition == edition) {
            if section.is_some_and(|section| row.statement.section() != section) {
                continue;
            }
            count.statements += 1;
            match &row.exception {
                _ if !row.tests.is_empty() => count.tested += 1,
                Some(exception) => *count.exceptions.entry(exception.kind).or_default() += 1,
                None => {}
            }
        }
        count
    }

    /// The sections of both editions, in their order.
    pub(super) fn sections(&self) -> Vec<String> {
        let mut sections: Vec<_> = self.rows.iter().map(|row| row.statement.section()).collect();
        let order = |section: &String| -> Vec<u32> {
            section.split('.').map(|part| part.parse().unwrap_or(0)).collect()
        };
        sections.sort_by_key(order);
        sections.dedup();
        sections
    }

    /// The counts, section by section.
    pub(super) fn summary(&self) -> String {
        let mut text = format!("{:<8}", "section");
        for edition in Edition::ALL {
            let _ = write!(text, "  {edition:>6}: {:>6} {:>6} {:>6}", "rows", "tests", "other");
        }
        text.push('\n');
        let sections = self.sections();
        for section in sections.iter().map(Some).chain([None]) {
            let _ = write!(text, "{:<8}", section.map_or("all", String::as_str));
            for edition in Edition::ALL {
                let count = self.count(edition, section.map(String::as_str));
                let other: usize = count.exceptions.values().sum();
                let _ = write!(text, "  {:>7} {:>6} {:>6} {:>6}", "", count.statements, count.tested, other);
            }
            text.push('\n');
        }
        for edition in Edition::ALL {
            let _ = writeln!(text, "{edition}: {}", self.count(edition, None).words());
        }
        text
    }

    /// Each statement with its tests or its reason.
    pub(super) fn listing(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let Statement { edition, id, text: words } = &row.statement;
            let _ = writeln!(text, "{id} of {edition}: {words}");
            for test in &row.tests {
                let _ = writeln!(text, "    {test}");
            }
            if let Some(exception) = &row.exception {
                let _ = writeln!(text, "    {}: {}", exception.kind, exception.reason);
                for test in &exception.tests {
                    let _ = writeln!(text, "    {test}");
                }
            }
        }
        text
    }
}

impl Count {
    /// In one line.
    pub(super) fn words(&self) -> String {
        let mut words = format!("{} statements, {} with tests of their own", self.statements, self.tested);
        for (kind, count) in &self.exceptions {
            let _ = write!(words, ", {count} {kind}");
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(id: &str) -> Statement {
        Statement { edition: Edition::V5, id: id.to_owned(), text: "words".to_owned() }
    }

    fn proof(name: &str, claim: Claim) -> Proof {
        Proof { name: name.to_owned(), path: "a.rs".to_owned(), of: vec![(Edition::V5, claim)] }
    }

    fn exceptions(id: &str, kind: &str, rest: &str) -> Exceptions {
        let text =
            format!("[exceptions]\n{kind} = 1\n[v5.\"{id}\"]\nkind = \"{kind}\"\n{rest}\nreason = \"r\"");
        exceptions::read(&text).unwrap()
    }

    #[test]
    fn this_repository_is_proved() {
        assert_eq!(load(&crate::workspace::root()).unwrap().findings, Vec::<String>::new());
    }

    #[test]
    fn a_statement_without_test_and_reason_is_found() {
        let state = join(vec![statement("MQTT-1.2.3-4")], &Exceptions::default(), &[]);
        assert_eq!(state.findings, ["MQTT-1.2.3-4 of 5.0 has neither a test nor a reason: words"]);
        // The number of a section proves nothing.
        let section = [proof("v5_1_2_3_a", Claim::Number("1_2_3".to_owned()))];
        assert_eq!(join(vec![statement("MQTT-1.2.3-4")], &Exceptions::default(), &section).findings.len(), 1);
    }

    #[test]
    fn a_test_proves_by_number_or_list() {
        for claim in [Claim::Number("1_2_3_4".to_owned()), Claim::Id("MQTT-1.2.3-4".to_owned())] {
            let state = join(vec![statement("MQTT-1.2.3-4")], &Exceptions::default(), &[proof("t", claim)]);
            assert_eq!((state.findings, &state.rows[0].tests), (vec![], &vec!["t".to_owned()]));
        }
        let wrong = [proof("t", Claim::Id("MQTT-9.9.9-9".to_owned()))];
        let state = join(vec![], &Exceptions::default(), &wrong);
        assert_eq!(state.findings, ["a.rs: t proves MQTT-9.9.9-9, which 5.0 does not have"]);
    }

    #[test]
    fn an_entry_that_does_not_hold_is_found() {
        let check = |entry: &Exceptions, proofs: &[Proof], expect: &[&str]| {
            assert_eq!(join(vec![statement("MQTT-1.2.3-4")], entry, proofs).findings, expect);
        };
        let named = proof("named", Claim::Number("9".to_owned()));
        let entry = exceptions("MQTT-1.2.3-4", "elsewhere", "tests = \"named\"");
        check(&entry, std::slice::from_ref(&named), &[]);
        check(&entry, &[], &["spec/status.toml: MQTT-1.2.3-4 of 5.0 names named, which is no test"]);
        let own = proof("own", Claim::Number("1_2_3_4".to_owned()));
        let needless = "spec/status.toml: MQTT-1.2.3-4 of 5.0 has tests, it needs no reason";
        check(&entry, &[named, own], &[needless]);
        let unknown = exceptions("MQTT-9.9.9-9", "untestable", "");
        let found = join(vec![], &unknown, &[]).findings;
        assert_eq!(found, ["spec/status.toml: 5.0 has no statement MQTT-9.9.9-9"]);
    }

    #[test]
    fn sections_stand_in_their_order() {
        let ids = ["MQTT-3.10.1-1", "MQTT-3.2.0-1", "MQTT-3.2.2-1"];
        let state = join(ids.map(statement).into(), &Exceptions::default(), &[]);
        assert_eq!(state.sections(), ["3.2", "3.10"]);
        assert_eq!(state.count(Edition::V5, Some("3.2")).statements, 2);
    }
}
