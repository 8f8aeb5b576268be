//! Where another broker fails a scenario: what it does, and whose fault it is. The list stands beside the configuration
//! that the broker is started with, in `tests/conformance/brokers`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use crate::tables;

/// Mosquitto's list.
pub(super) const PATH: &str = "tests/conformance/brokers/mosquitto.toml";

/// Whose fault a difference is. Where the suite was wrong it is mended and there is no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The broker breaks what the text demands.
    Broker,
    /// The text calls it an error and leaves open whether a receiver looks (5.0, section 4.13.1).
    Free,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Broker => "the broker is wrong",
            Verdict::Free => "the text leaves it free",
        })
    }
}

/// One difference, in all versions in which the scenario runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) scenario: String,
    /// The statements or sections that the scenario is about.
    pub(super) statement: String,
    /// What the broker does.
    pub(super) does: String,
    pub(super) verdict: Verdict,
    /// Why that is the verdict.
    pub(super) why: String,
}

/// The list, with the figures of the run that it explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Differences {
    /// The broker with its version.
    pub(super) broker: String,
    pub(super) tally: Tally,
    pub(super) entries: Vec<Difference>,
}

/// What came of a run: scenarios times versions.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// What came of one scenario in one version, as the suite tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) outcome: String,
    pub(super) scenario: String,
    pub(super) version: String,
    pub(super) why: String,
}

pub(super) fn load(root: &Path) -> Result<Differences, String> {
    let text = fs::read_to_string(root.join(PATH)).map_err(|error| format!("{PATH}: {error}"))?;
    read(&text).map_err(|error| format!("{PATH}: {error}"))
}

fn read(text: &str) -> Result<Differences, String> {
    let mut tables = tables::read(text)?.into_iter();
    let run = tables.next().filter(|table| table.name == "run").ok_or("the first table is [run]")?;
    run.only(&["broker", "passed", "failed", "skipped"])?;
    let tally = Tally {
        passed: run.number("passed")?,
        failed: run.number("failed")?,
        skipped: run.number("skipped")?,
    };
    let entries = tables.map(|table| {
        table.only(&["statement", "does", "verdict", "why"])?;
        let verdict = match table.value("verdict")? {
            "broker" => Verdict::Broker,
            "free" => Verdict::Free,
            other => return Err(format!("line {}: no verdict `{other}`", table.line)),
        };
        Ok(Difference {
            scenario: table.name.clone(),
            statement: table.value("statement")?.to_owned(),
            does: table.value("does")?.to_owned(),
            verdict,
            why: table.value("why")?.to_owned(),
        })
    });
    let entries = entries.collect::<Result<_, String>>()?;
    Ok(Differences { broker: run.value("broker")?.to_owned(), tally, entries })
}

impl Differences {
    /// What this run has that the list does not, and the other way round. Scenarios that did not run say nothing.
    pub(super) fn compare(&self, lines: &[Line]) -> Vec<String> {
        let names = |outcome: &str| -> BTreeSet<&str> {
            let those = lines.iter().filter(|line| line.outcome == outcome);
            those.map(|line| line.scenario.as_str()).collect()
        };
        let (failed, passed) = (names("fail"), names("pass"));
        let explained: BTreeMap<_, _> =
            self.entries.iter().map(|entry| (entry.scenario.as_str(), entry)).collect();
        let known: BTreeSet<_> = lines.iter().map(|line| line.scenario.as_str()).collect();
        let mut findings = Vec::new();
        for line in lines.iter().filter(|line| line.outcome == "fail") {
            if !explained.contains_key(line.scenario.as_str()) {
                findings.push(format!("{} [{}] is not explained: {}", line.scenario, line.version, line.why));
            }
        }
        for name in explained.keys() {
            if !known.contains(name) {
                findings.push(format!("{PATH}: {name} is no scenario"));
            } else if passed.contains(name) && !failed.contains(name) {
                findings.push(format!("{PATH}: {name} passes, it needs no explanation"));
            }
        }
        findings
    }
}

/// Reads what the suite printed.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let line = |line: &str| {
        let mut parts = line.splitn(4, '\t').map(str::to_owned);
        Some(Line {
            outcome: parts.next()?,
            scenario: parts.next()?,
            version: parts.next()?,
            why: parts.next()?,
        })
    };
    text.lines().filter_map(line).collect()
}

/// Counts the outcomes.
pub(super) fn tally(lines: &[Line]) -> Tally {
    let count = |outcome: &str| lines.iter().filter(|line| line.outcome == outcome).count();
    Tally { passed: count("pass"), failed: count("fail"), skipped: count("skip") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "[run]\nbroker = \"B 1\"\npassed = 1\nfailed = 2\nskipped = 0\n\n[v5_a]\nstatement = \"s\"\n\
                        does = \"d\"\nverdict = \"free\"\nwhy = \"w\"\n";

    #[test]
    fn the_list_of_mosquitto_is_readable() {
        assert!(!load(&crate::workspace::root()).unwrap().entries.is_empty());
    }

    #[test]
    fn every_failure_is_explained_and_every_explanation_needed() {
        let check = |said: &str, expect: &[&str]| {
            assert_eq!(read(LIST).unwrap().compare(&lines(said)), expect, "{said}");
        };
        check("fail\tv5_a\t5.0\twhy\nfail\tv5_a\t3.1\twhy\npass\tv5_b\t5.0\t", &[]);
        check("skip\tv5_a\t5.0\ttimed", &[]);
        // A difference in one of two versions is one.
        check("pass\tv5_a\t5.0\t\nfail\tv5_a\t3.1\twhy", &[]);
        check("fail\tv5_a\t5.0\t\nfail\tv5_b\t5.0\tno", &["v5_b [5.0] is not explained: no"]);
        let needless = "tests/conformance/brokers/mosquitto.toml: v5_a passes, it needs no explanation";
        check("pass\tv5_a\t5.0\t", &[needless]);
        check("pass\tv5_b\t5.0\t", &["tests/conformance/brokers/mosquitto.toml: v5_a is no scenario"]);
    }

    #[test]
    fn a_wrong_list_is_refused() {
        assert!(read("[v5_a]\nwhy = \"w\"").is_err());
        assert!(read(&LIST.replace("free", "perhaps")).is_err());
        assert!(read(&LIST.replace("does = \"d\"\n", "")).is_err());
    }

    #[test]
    fn outcomes_are_counted() {
        let tally = tally(&lines("pass\ta\t5.0\t\nskip\tb\t5.0\tx\nfail\tc\t5.0\ty\npass\td\t5.0\t"));
        assert_eq!(tally.to_string(), "2 passed, 1 failed, 1 skipped");
    }
}
