//! The results as Markdown, and their place in the note. Not how they came about.

use std::fmt::Write;

use super::contestant::Threads;
use super::scenario::{Metric, Scenario};
use super::statistics::{Ratio, median};

/// An interval that is wider says nothing at all, and its ends say less.
const SPREAD_MAX: f64 = 4.0;

/// What one contestant did in one scenario: a run per round.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    pub(super) runs: Vec<Result<Run, String>>,
}

/// The figures of one run.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    pub(super) figures: Vec<(Metric, f64)>,
    /// What the generator itself spent per message, in microseconds.
    pub(super) generator: Option<f64>,
    /// Cores that neither of the two used.
    pub(super) others: f64,
}

/// One scenario; the first contestant is the one with whom all others are compared.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) scenario: Scenario,
    pub(super) cells: Vec<Cell>,
}

/// All scenarios with one choice of threads.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) threads: Threads,
    pub(super) names: Vec<String>,
    pub(super) rows: Vec<Row>,
}

impl Cell {
    fn figure(&self, round: usize, metric: Metric) -> Option<f64> {
        let run = self.runs.get(round)?.as_ref().ok()?;
        run.figures.iter().find(|(of, _)| *of == metric).map(|(_, value)| *value)
    }

    fn figures(&self, metric: Metric) -> Vec<f64> {
        (0..self.runs.len()).filter_map(|round| self.figure(round, metric)).collect()
    }

    /// Why a run is not counted, if one is not.
    pub(super) fn failure(&self) -> Option<&str> {
        self.runs.iter().find_map(|run| run.as_ref().err()).map(String::as_str)
    }

    /// How this one stands to `ours`, round by round.
    fn ratio(&self, ours: &Cell, metric: Metric) -> Option<Ratio> {
        let rounds = (0..self.runs.len())
            .filter_map(|round| Some((self.figure(round, metric)?, ours.figure(round, metric)?)));
        Ratio::of(&rounds.collect::<Vec<_>>())
    }
}

/// The tables of one part.
pub(super) fn tables(part: &Part) -> String {
    let mut text = match part.threads {
        Threads::One => "## One thread each\n".to_owned(),
        Threads::AsShipped => "## As shipped\n".to_owned(),
    };
    for metric in Metric::ALL {
        let rows: Vec<_> = part.rows.iter().filter(|row| row.scenario.metrics.contains(&metric)).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = write!(text, "\n{}\n\n| scenario |", metric.heading());
        for (at, name) in part.names.iter().enumerate() {
            let _ = if at == 0 { write!(text, " {name} |") } else { write!(text, " {name} ÷ Whimbrel |") };
        }
        let has_generator = metric == Metric::Cpu;
        text.push_str(if has_generator { " generator |\n" } else { "\n" });
        let columns = part.names.len() + 1 + usize::from(has_generator);
        text.push_str(&"|---".repeat(columns));
        text.push_str("|\n");
        for row in rows {
            text.push_str(&line(row, metric));
        }
    }
    for row in &part.rows {
        for (name, cell) in part.names.iter().zip(&row.cells) {
            if let Some(failure) = cell.failure() {
                let _ = write!(text, "\n{name}, {}: {failure}\n", row.scenario.title);
            }
        }
    }
    text
}

fn line(row: &Row, metric: Metric) -> String {
    let mut line = format!("| {} |", row.scenario.title);
    let Some((ours, others)) = row.cells.split_first() else { return line };
    let _ = write!(line, " {} |", own(ours, metric));
    for other in others {
        let _ = write!(line, " {} |", compared(other, ours, metric));
    }
    if metric == Metric::Cpu {
        let generator: Vec<f64> = ours.runs.iter().filter_map(|run| run.as_ref().ok()?.generator).collect();
        let figure = median(&generator).map_or_else(|| "–".to_owned(), |value| metric.figure(value));
        let _ = write!(line, " {figure} |");
    }
    line.push('\n');
    line
}

fn own(ours: &Cell, metric: Metric) -> String {
    match median(&ours.figures(metric)) {
        Some(figure) if ours.failure().is_none() => metric.figure(figure),
        _ => "failed".to_owned(),
    }
}

/// A ratio with its spread; without a call where the spread does not carry one.
fn compared(other: &Cell, ours: &Cell, metric: Metric) -> String {
    if other.failure().is_some() {
        return "failed".to_owned();
    }
    if other.runs.is_empty() {
        return "–".to_owned();
    }
    told(other.ratio(ours, metric))
}

/// A ratio with its spread; none is called where the spread does not carry one.
pub(crate) fn told(ratio: Option<Ratio>) -> String {
    match ratio {
        Some(ratio) if ratio.is_difference() => {
            format!("**{:.2}** ({:.2}–{:.2})", ratio.middle, ratio.low, ratio.high)
        }
        Some(ratio) if ratio.high > ratio.low * SPREAD_MAX => "the rounds differ too much".to_owned(),
        Some(ratio) => format!("no difference shown ({:.2}–{:.2})", ratio.low, ratio.high),
        None => "no spread".to_owned(),
    }
}

/// Puts `tables` between the marks of the note: between them it is written by this command.
pub(crate) fn replace(note: &str, command: &str, tables: &str) -> Result<String, String> {
    let [begin, end] =
        ["begin", "end"].map(|side| format!("<!-- {side}: written by `cargo xtask {command}` -->"));
    let lacks = |mark: &str| format!("the note has no line `{mark}`");
    let (before, rest) = note.split_once(&begin).ok_or_else(|| lacks(&begin))?;
    let (_, after) = rest.split_once(&end).ok_or_else(|| lacks(&end))?;
    Ok(format!("{before}{begin}\n\n{}\n\n{end}{after}", tables.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::super::scenario::SCENARIOS;
    use super::*;

    fn cell(figures: &[f64]) -> Cell {
        let run =
            |value: &f64| Ok(Run { figures: vec![(Metric::Cpu, *value)], generator: Some(1.0), others: 0.0 });
        Cell { runs: figures.iter().map(run).collect() }
    }

    fn row(cells: Vec<Cell>) -> Row {
        Row { scenario: SCENARIOS[0], cells }
    }

    #[test]
    fn a_difference_is_bold_and_what_is_none_is_not_called_one() {
        let row = row(vec![cell(&[2.0, 2.2, 2.1]), cell(&[4.0, 4.4, 4.2]), cell(&[2.2, 2.0, 2.1])]);
        let line = line(&row, Metric::Cpu);
        let title = SCENARIOS[0].title;
        assert!(
            line.starts_with(&format!("| {title} | 2.10 µs | **2.00** (2.00–2.00) | no difference shown (")),
            "{line}"
        );
        assert!(line.ends_with("| 1.00 µs |\n"), "{line}");
        let wild = compared(&cell(&[0.1, 9.0, 1.0]), &cell(&[1.0, 1.0, 1.0]), Metric::Cpu);
        assert_eq!(wild, "the rounds differ too much");
    }

    #[test]
    fn a_run_that_failed_makes_no_ratio() {
        let mut broken = cell(&[2.0, 2.0]);
        broken.runs.push(Err("lost 3".to_owned()));
        let part = Part {
            threads: Threads::One,
            names: vec!["Whimbrel".to_owned(), "other".to_owned()],
            rows: vec![
                row(vec![cell(&[1.0, 1.0, 1.0]), broken.clone()]),
                row(vec![broken, cell(&[1.0, 1.0, 1.0])]),
            ],
        };
        let text = tables(&part);
        assert!(text.contains("| 1.00 µs | failed | 1.00 µs |\n"), "{text}");
        assert!(text.contains("| failed |"), "{text}");
        assert!(text.contains("\nother, 100 pairs, one message at a time each, QoS 0: lost 3\n"), "{text}");
    }

    #[test]
    fn rounds_are_paired_though_one_has_no_figure() {
        let mut ours = cell(&[1.0, 10.0, 1.0]);
        ours.runs[1] = Ok(Run::default());
        let ratio = cell(&[2.0, 2.0, 2.0]).ratio(&ours, Metric::Cpu).unwrap();
        assert!((ratio.middle - 2.0).abs() < 1e-12 && ratio.is_difference(), "{ratio:?}");
    }

    #[test]
    fn the_note_keeps_what_people_wrote() {
        let begin = "<!-- begin: written by `cargo xtask compare` -->";
        let end = "<!-- end: written by `cargo xtask compare` -->";
        let note = format!("above\n{begin}\nold\n{end}\nbelow\n");
        let new = replace(&note, "compare", "new\n").unwrap();
        assert_eq!(new, format!("above\n{begin}\n\nnew\n\n{end}\nbelow\n"));
        assert_eq!(replace(&new, "compare", "new\n").unwrap(), new);
        assert!(replace("nothing", "compare", "new").is_err());
        assert!(replace(begin, "compare", "new").is_err());
        assert!(replace(&note, "other", "new").is_err());
    }
}
