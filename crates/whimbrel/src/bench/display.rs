//! What is shown while a run goes on: one line that changes on a terminal, a line per second elsewhere. Not the result.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::Ordering;

use super::clock::{Nanos, SECOND};
use super::desk::Run;
use super::recorder::{Interval, histogram};

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Intervals in the sparkline.
const SPARKS: usize = 24;

/// Everything goes to standard error: standard output is the result's.
pub(super) struct Display {
    how: How,
    stage: String,
    ends_at: Option<(Nanos, Nanos)>,
    shown_at: Nanos,
    delivered: u64,
    counted_at: Nanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Silent,
    Lines,
    Terminal,
}

impl Display {
    pub(super) fn new(quiet: bool) -> Display {
        let how = match (quiet, io::stderr().is_terminal()) {
            (true, _) => How::Silent,
            (false, true) => How::Terminal,
            (false, false) => How::Lines,
        };
        Display { how, stage: String::new(), ends_at: None, shown_at: 0, delivered: 0, counted_at: 0 }
    }

    /// A new stage of the run begins; `from` and `to` are there if its length is known.
    pub(super) fn stage(&mut self, stage: &str, ends_at: Option<(Nanos, Nanos)>) {
        stage.clone_into(&mut self.stage);
        self.ends_at = ends_at;
        if self.how == How::Lines {
            say(&format!("{stage}\n"));
        }
    }

    /// Says something that must not be missed, whether or not progress is shown.
    pub(super) fn note(&self, note: &str) {
        say(&format!("whimbrel: {note}\n"));
    }

    /// Shows where the run is, if it is time to.
    pub(super) fn refresh(&mut self, run: &Run, series: &BTreeMap<u64, Interval>) {
        let now = run.clock.now();
        let every = match self.how {
            How::Silent => return,
            How::Lines => SECOND,
            How::Terminal => SECOND / 4,
        };
        if now.saturating_sub(self.shown_at) < every {
            return;
        }
        self.shown_at = now;
        let delivered = run.live.delivered.load(Ordering::Relaxed);
        let nanos = now.saturating_sub(self.counted_at).max(1);
        let rate = delivered.saturating_sub(self.delivered) as f64 * SECOND as f64 / nanos as f64;
        (self.delivered, self.counted_at) = (delivered, now);
        let up = run.live.up.load(Ordering::Relaxed);
        let mut line = format!("{:<10}", self.stage);
        let _ = write!(line, " {up} up  {:>10}/s  {delivered} delivered", whole(rate));
        let last = series.values().rev().take(4).fold(histogram(), |mut sum, interval| {
            // Both have the same bounds.
            let _ = sum.add(&interval.latencies);
            sum
        });
        if !last.is_empty() {
            let at = |quantile| micros(last.value_at_quantile(quantile));
            let _ = write!(line, "  p50 {}  p99 {}  p99.9 {}", at(0.5), at(0.99), at(0.999));
        }
        match self.how {
            How::Silent => {}
            How::Lines => say(&format!("  {line}\n")),
            How::Terminal => {
                let _ = write!(line, "  {}{}", self.progress(now), sparkline(series));
                // Back to the first column, and whatever a longer line left is erased.
                say(&format!("\r{line}\x1b[K"));
            }
        }
    }

    fn progress(&self, now: Nanos) -> String {
        match self.ends_at {
            Some((from, to)) if to > from => {
                let share = now.saturating_sub(from) as f64 / (to - from) as f64;
                format!("{:>3.0} %  ", share.clamp(0.0, 1.0) * 100.0)
            }
            _ => String::new(),
        }
    }

    /// Leaves the terminal as it was.
    pub(super) fn end(&self) {
        if self.how == How::Terminal {
            say("\r\x1b[K");
        }
    }
}

fn say(text: &str) {
    let mut err = io::stderr().lock();
    // Nobody watches if this fails, and the run goes on.
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// The last intervals' throughput as bars.
fn sparkline(series: &BTreeMap<u64, Interval>) -> String {
    let rates: Vec<u64> = series.values().rev().take(SPARKS).map(|interval| interval.delivered).collect();
    let most = rates.iter().copied().max().unwrap_or(0).max(1);
    let bar = |rate: &u64| BARS.get((rate * 7 / most) as usize).copied().unwrap_or(' ');
    rates.iter().rev().map(bar).collect()
}

/// A number with its thousands apart.
pub(super) fn whole(number: f64) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Nanoseconds for people.
pub(super) fn micros(nanos: u64) -> String {
    match nanos {
        0..10_000_000 => format!("{:.1} µs", nanos as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} ms", nanos as f64 / 1e6),
        _ => format!("{:.2} s", nanos as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        for (number, text) in [(0.0, "0"), (999.4, "999"), (1_000.0, "1,000"), (1_234_567.0, "1,234,567")] {
            assert_eq!(whole(number), text);
        }
        for (nanos, text) in [(1_500, "1.5 µs"), (25_000_000, "25.0 ms"), (12_000_000_000, "12.00 s")] {
            assert_eq!(micros(nanos), text);
        }
    }
}
