//! The same load against several brokers in turn (A B, B A, …), as a table with ratios and their spread, and whether a target
//! is reached. Not the load.

use std::fmt::Write;

use super::stage::{Stage, needed};
use crate::compare::contestant::Contestant;
use crate::compare::statistics::{Ratio, median};
use crate::compare::table::told;

/// A comparison.
pub(super) struct Bout {
    pub(super) title: String,
    pub(super) sides: Vec<Contestant>,
    /// The side with which all others are compared.
    pub(super) reference: usize,
    pub(super) load: Vec<String>,
    pub(super) metrics: Vec<Metric>,
}

/// A figure of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Metric {
    pub(super) heading: &'static str,
    /// Where it stands in the JSON of a run.
    pub(super) path: &'static [&'static str],
    /// Whether it is a time in microseconds rather than a rate.
    pub(super) is_time: bool,
}

pub(super) const DELIVERED: Metric =
    Metric { heading: "messages/s", path: &["measured", "delivered_per_second"], is_time: false };
pub(super) const CPU: Metric =
    Metric { heading: "CPU per message", path: &["broker", "cpu_us_per_message"], is_time: true };
pub(super) const STORED: Metric =
    Metric { heading: "stored, messages/s", path: &["figures", "stored", "value"], is_time: false };
pub(super) const STORING_CPU: Metric =
    Metric { heading: "CPU per message", path: &["figures", "storing_cpu", "value"], is_time: true };

impl Metric {
    fn figure(self, value: f64) -> String {
        if self.is_time { format!("{value:.2} µs") } else { format!("{value:.0}") }
    }
}

/// What came of it: by side and round, the metrics in their order.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) cells: Vec<Vec<Result<Vec<f64>, String>>>,
}

impl Bout {
    /// Every side's turns; who begins changes from round to round.
    pub(super) fn run(&self, stage: &Stage) -> Result<Outcome, String> {
        let mut cells = vec![Vec::new(); self.sides.len()];
        for round in 0..stage.rounds {
            for turn in 0..self.sides.len() {
                let at = (round + turn) % self.sides.len();
                let (Some(side), Some(cell)) = (self.sides.get(at), cells.get_mut(at)) else { continue };
                let broker = stage.start_anew(side)?;
                let run = match stage.bench(&broker, &self.load)? {
                    Ok(value) => {
                        let figures = self.metrics.iter().map(|metric| needed(&value, metric.path));
                        Ok(figures.collect::<Result<Vec<f64>, String>>()?)
                    }
                    Err(fault) => Err(fault),
                };
                eprintln!("  {}, {}, round {}: {run:.2?}", self.title, side.name, round + 1);
                cell.push(run);
            }
        }
        Ok(Outcome { cells })
    }

    pub(super) fn table(&self, outcome: &Outcome) -> String {
        let reference = self.sides.get(self.reference).map_or("", |side| side.name.as_str());
        let mut text = format!("| {} |", self.title);
        for metric in &self.metrics {
            let _ = write!(text, " {} | ÷ {reference} |", metric.heading);
        }
        let _ = write!(text, "\n|---{}|\n", "|---|---".repeat(self.metrics.len()));
        for (at, side) in self.sides.iter().enumerate() {
            let _ = write!(text, "| {} |", side.name);
            for (which, metric) in self.metrics.iter().enumerate() {
                let figure = match outcome.failure(at) {
                    Some(_) => "failed".to_owned(),
                    None => median(&outcome.figures(at, which))
                        .map_or_else(|| "–".to_owned(), |value| metric.figure(value)),
                };
                let ratio = match () {
                    () if at == self.reference => String::new(),
                    () if outcome.failure(at).is_some() => "–".to_owned(),
                    () => told(outcome.ratio(at, self.reference, which)),
                };
                let _ = write!(text, " {figure} | {ratio} |");
            }
            text.push('\n');
        }
        for (at, side) in self.sides.iter().enumerate() {
            if let Some(failure) = outcome.failure(at) {
                let _ = write!(text, "\n{}: {failure}\n", side.name);
            }
        }
        text
    }
}

impl Outcome {
    fn figure(&self, side: usize, round: usize, metric: usize) -> Option<f64> {
        self.cells.get(side)?.get(round)?.as_ref().ok()?.get(metric).copied()
    }

    pub(super) fn figures(&self, side: usize, metric: usize) -> Vec<f64> {
        let rounds = self.cells.get(side).map_or(0, Vec::len);
        (0..rounds).filter_map(|round| self.figure(side, round, metric)).collect()
    }

    /// Why a run is not counted, if one is not.
    fn failure(&self, side: usize) -> Option<&str> {
        self.cells.get(side)?.iter().find_map(|run| run.as_ref().err()).map(String::as_str)
    }

    /// How a side stands to another, round by round.
    pub(super) fn ratio(&self, side: usize, reference: usize, metric: usize) -> Option<Ratio> {
        let rounds = 0..self.cells.get(side).map_or(0, Vec::len);
        let pairs: Vec<_> = rounds
            .filter_map(|round| {
                Some((self.figure(side, round, metric)?, self.figure(reference, round, metric)?))
            })
            .collect();
        Ratio::of(&pairs)
    }
}

/// What a ratio must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// Whether a target is reached, as far as the spread tells.
pub(super) fn verdict(what: &str, ratio: Option<Ratio>, target: Target) -> String {
    let (bound, word) = match target {
        Target::AtLeast(bound) => (bound, "at least"),
        Target::AtMost(bound) => (bound, "at most"),
    };
    let Some(ratio) = ratio else { return format!("* {what}, {word} {bound}: not measured.\n") };
    let (inside, outside) = match target {
        Target::AtLeast(bound) => (ratio.low >= bound, ratio.high < bound),
        Target::AtMost(bound) => (ratio.high <= bound, ratio.low > bound),
    };
    let said = match (inside, outside) {
        (true, _) => "reached",
        (_, true) => "**missed**",
        _ => "not decided: the rounds spread over it",
    };
    let Ratio { middle, low, high } = ratio;
    format!("* {what}, {word} {bound}: {middle:.2} ({low:.2}–{high:.2}), {said}.\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(name: &str) -> Contestant {
        Contestant::new(name, "{port}".to_owned())
    }

    #[test]
    fn a_target_is_reached_missed_or_not_decided() {
        let check = |low, high, target, expect: &str| {
            let line = verdict("speed", Some(Ratio { middle: 1.0, low, high }), target);
            assert!(line.ends_with(&format!("{expect}.\n")), "{line}");
        };
        check(0.6, 0.8, Target::AtLeast(0.5), "reached");
        check(0.3, 0.45, Target::AtLeast(0.5), "**missed**");
        check(0.3, 0.8, Target::AtLeast(0.5), "not decided: the rounds spread over it");
        check(0.3, 1.4, Target::AtMost(1.5), "reached");
        check(1.6, 1.9, Target::AtMost(1.5), "**missed**");
        check(1.4, 1.9, Target::AtMost(1.5), "not decided: the rounds spread over it");
        assert!(verdict("speed", None, Target::AtMost(1.5)).contains("not measured"));
    }

    #[test]
    fn a_table_compares_round_by_round_and_tells_what_failed() {
        let bout = Bout {
            title: "absent".to_owned(),
            sides: vec![side("ours"), side("theirs"), side("broken")],
            reference: 1,
            load: Vec::new(),
            metrics: vec![STORED, STORING_CPU],
        };
        let run = |speed: f64, cpu: f64| Ok(vec![speed, cpu]);
        let cells = vec![
            vec![run(200.0, 1.0), run(400.0, 1.0)],
            vec![run(100.0, 2.0), run(200.0, 2.0)],
            vec![run(100.0, 2.0), Err("lost 3".to_owned())],
        ];
        let text = bout.table(&Outcome { cells });
        assert_eq!(
            text,
            "| absent | stored, messages/s | ÷ theirs | CPU per message | ÷ theirs |\n|---|---|---|---|---|\n\
             | ours | 300 | **2.00** (2.00–2.00) | 1.00 µs | **0.50** (0.50–0.50) |\n\
             | theirs | 150 |  | 2.00 µs |  |\n| broken | failed | – | failed | – |\n\nbroken: lost 3\n"
        );
    }
}
