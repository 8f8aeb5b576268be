//! What became of the mutants that were tested, against the reasons. Runs nothing.

use std::collections::BTreeMap;
use std::fmt;

use super::reasons::{self, Reason};
use crate::json;

/// What became of one mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    Killed,
    /// The tests did not come to an end: a mutant that nobody would miss.
    Hung,
    /// It does not compile, so that it says nothing about the tests.
    Unviable,
    Survived,
}

/// The mutants that were tested, by name; some names stand for several.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcomes(BTreeMap<String, BTreeMap<Fate, usize>>);

impl Outcomes {
    /// Reads `outcomes.json` of cargo-mutants.
    pub(super) fn read(text: &str) -> Result<Outcomes, String> {
        let mut outcomes = Outcomes::default();
        for outcome in json::parse(text)?.member("outcomes").items() {
            // The run of the code as it is, before any mutant, has no name.
            let Some(told) = outcome.member("scenario").member("Mutant").member("name").text() else {
                continue;
            };
            let fate = match outcome.member("summary").text().unwrap_or_default() {
                "CaughtMutant" => Fate::Killed,
                "Timeout" => Fate::Hung,
                "Unviable" => Fate::Unviable,
                "MissedMutant" => Fate::Survived,
                other => return Err(format!("{told}: nobody knows what `{other}` means")),
            };
            outcomes.add(told, fate);
        }
        Ok(outcomes)
    }

    fn add(&mut self, told: &str, fate: Fate) {
        *self.0.entry(reasons::name(told)).or_default().entry(fate).or_default() += 1;
    }

    /// The outcomes of several runs together.
    pub(super) fn extend(&mut self, others: Outcomes) {
        for (name, fates) in others.0 {
            let known = self.0.entry(name).or_default();
            fates.into_iter().for_each(|(fate, count)| *known.entry(fate).or_default() += count);
        }
    }

    fn of(&self, name: &str, fate: Fate) -> usize {
        self.0.get(name).and_then(|fates| fates.get(&fate)).copied().unwrap_or(0)
    }

    fn tested(&self, name: &str) -> usize {
        self.0.get(name).map_or(0, |fates| fates.values().sum())
    }

    fn total(&self, fate: Fate) -> usize {
        self.0.values().filter_map(|fates| fates.get(&fate)).sum()
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [killed, hung, unviable, survived] =
            [Fate::Killed, Fate::Hung, Fate::Unviable, Fate::Survived].map(|fate| self.total(fate));
        let tested = killed + hung + unviable + survived;
        write!(
            f,
            "{tested} mutants: {killed} killed, {hung} that never end, {unviable} that do not compile, {survived} survive"
        )
    }
}

/// The names of all mutants there are, with how often each is there; one a line, as `cargo mutants --list` says them.
pub(super) fn listed(text: &str) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for line in text.lines() {
        *names.entry(reasons::name(line)).or_default() += 1;
    }
    names
}

/// Mutants that survive without a reason, and reasons without a mutant. Of a mutant that was not tested nothing is said,
/// but that it is there.
pub(super) fn judge(
    outcomes: &Outcomes,
    reasons: &[Reason],
    listed: &BTreeMap<String, usize>,
) -> Vec<String> {
    let mut findings = Vec::new();
    for name in outcomes.0.keys() {
        let survived = outcomes.of(name, Fate::Survived);
        let excused: usize =
            reasons.iter().filter(|reason| reason.mutant == *name).map(|reason| reason.count).sum();
        if survived > excused {
            findings.push(format!("survives ({survived}, {excused} with reason): {name}"));
        }
    }
    for Reason { mutant, count, .. } in reasons {
        let there = listed.get(mutant).copied().unwrap_or(0);
        if there < *count {
            findings.push(format!("{}: {count} times {mutant}, which is there {there} times", reasons::PATH));
        } else if outcomes.tested(mutant) == there && outcomes.of(mutant, Fate::Survived) < *count {
            let survived = outcomes.of(mutant, Fate::Survived);
            findings
                .push(format!("{}: {count} times {mutant}, which survives {survived} times", reasons::PATH));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(fates: &[(&str, Fate)]) -> Outcomes {
        let mut outcomes = Outcomes::default();
        fates.iter().for_each(|(name, fate)| outcomes.add(name, *fate));
        outcomes
    }

    #[test]
    fn the_outcomes_are_read() {
        let one = |name: &str, summary: &str| {
            format!(r#"{{"scenario":{{"Mutant":{{"name":"{name}"}}}},"summary":"{summary}"}}"#)
        };
        let text = format!(
            r#"{{"outcomes":[{{"scenario":"Baseline","summary":"Success"}},{},{},{},{}],"missed":1}}"#,
            one("a.rs:1:2: m", "CaughtMutant"),
            one("a.rs:7:9: m", "MissedMutant"),
            one("b.rs:1:1: n", "Timeout"),
            one("b.rs:1:1: o", "Unviable"),
        );
        let expect = outcomes(&[
            ("a.rs: m", Fate::Killed),
            ("a.rs: m", Fate::Survived),
            ("b.rs: n", Fate::Hung),
            ("b.rs: o", Fate::Unviable),
        ]);
        let read = Outcomes::read(&text).unwrap();
        assert_eq!(read, expect);
        let line = "4 mutants: 1 killed, 1 that never end, 1 that do not compile, 1 survive";
        assert_eq!(read.to_string(), line);
        assert!(Outcomes::read(&format!(r#"{{"outcomes":[{}]}}"#, one("a.rs: m", "Slept"))).is_err());
    }

    #[test]
    fn runs_add_up() {
        let mut all = outcomes(&[("a.rs: m", Fate::Killed)]);
        all.extend(outcomes(&[("a.rs: m", Fate::Killed), ("b.rs: n", Fate::Survived)]));
        assert_eq!((all.tested("a.rs: m"), all.of("b.rs: n", Fate::Survived)), (2, 1));
    }

    #[test]
    fn what_survives_needs_a_reason_and_a_reason_needs_what_survives() {
        let listed = listed("a.rs: m\na.rs: m\nb.rs: n\n");
        let check = |fates: &[(&str, Fate)], reasons: &[(&str, usize)], expect: &[&str]| {
            let reason = |(mutant, count): &(&str, usize)| Reason {
                mutant: (*mutant).to_owned(),
                count: *count,
                reason: "r".to_owned(),
            };
            let reasons: Vec<Reason> = reasons.iter().map(reason).collect();
            assert_eq!(judge(&outcomes(fates), &reasons, &listed), expect, "{fates:?} {reasons:?}");
        };
        let (killed, survived) = (("a.rs: m", Fate::Killed), ("a.rs: m", Fate::Survived));
        check(&[killed, killed], &[], &[]);
        check(&[killed, survived], &[], &["survives (1, 0 with reason): a.rs: m"]);
        check(&[killed, survived], &[("a.rs: m", 1)], &[]);
        check(&[survived, survived], &[("a.rs: m", 1)], &["survives (2, 1 with reason): a.rs: m"]);
        let dead = "spec/mutants.toml: 1 times a.rs: m, which survives 0 times";
        check(&[killed, killed], &[("a.rs: m", 1)], &[dead]);
        check(&[killed], &[("a.rs: m", 1)], &[]);
        let gone = "spec/mutants.toml: 1 times c.rs: o, which is there 0 times";
        check(&[], &[("c.rs: o", 1)], &[gone]);
    }
}
