//! What is shown while a run goes on: one line that changes on a terminal, a line per second elsewhere. Not the result.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::Ordering;

use super::clock::{Nanos, SECOND};
use super::desk::Run;
use super::recorder::{Interval, histogram};

/// Back to the first column, and nothing on the line. What a terminal makes of a longer line when it becomes narrower
/// differs from one to the next; lines above are somebody else's.
pub(super) const ERASE: &str = "\r\x1b[K";

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Intervals in the sparkline: fewer say nothing, more are history.
const SPARKS_MIN: usize = 4;
const SPARKS_MAX: usize = 40;

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

    /// Says something that must not be missed, whether or not progress is shown. Before the first stage.
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
        let parts = self.parts(now, run, rate, series);
        if self.how == How::Lines {
            say(&format!("  {}\n", fit(&parts, usize::MAX)));
            return;
        }
        let width = width();
        // The last column stays free: some terminals begin a new line there.
        let mut line = fit(&parts, width.saturating_sub(1));
        let room = width.saturating_sub(line.chars().count() + 3).min(SPARKS_MAX);
        if room >= SPARKS_MIN && self.delivered > 0 {
            let _ = write!(line, "  {}", sparkline(series, room));
        }
        say(&format!("{ERASE}{line}"));
    }

    /// What there is to say, the most important first.
    fn parts(&self, now: Nanos, run: &Run, rate: f64, series: &BTreeMap<u64, Interval>) -> Vec<String> {
        let mut parts = vec![format!("{:<8}{}", self.stage, self.progress(now))];
        let clients = run.plan.clients.len() as f64;
        let up = format!("{} of {} up", whole(run.live.up.load(Ordering::Relaxed) as f64), whole(clients));
        let delivered = format!("{} delivered", whole(self.delivered as f64));
        if self.delivered == 0 {
            parts.push(up);
            return parts;
        }
        parts.push(format!("{:>9}/s", whole(rate)));
        let last = series.values().rev().take(4).fold(histogram(), |mut sum, interval| {
            // Both have the same bounds.
            let _ = sum.add(&interval.latencies);
            sum
        });
        if !last.is_empty() {
            let at = |quantile| micros(last.value_at_quantile(quantile));
            parts.push(format!("p50 {:<7}  p99 {:<7}  p99.9 {:<7}", at(0.5), at(0.99), at(0.999)));
        }
        parts.extend([delivered, up]);
        parts
    }

    fn progress(&self, now: Nanos) -> String {
        match self.ends_at {
            Some((from, to)) if to > from => {
                let share = now.saturating_sub(from) as f64 / (to - from) as f64;
                format!("{:>3.0} %", share.clamp(0.0, 1.0) * 100.0)
            }
            _ => String::new(),
        }
    }

    /// Leaves the terminal as it was.
    fn end(&mut self) {
        if self.how == How::Terminal {
            say(ERASE);
            self.how = How::Silent;
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.end();
    }
}

/// Columns of the terminal.
fn width() -> usize {
    rustix::termios::tcgetwinsize(io::stderr()).map_or(80, |size| usize::from(size.ws_col).max(20))
}

/// As many of the parts, from the first on, as the width has room for.
fn fit(parts: &[String], width: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let gap = if line.is_empty() { 0 } else { 2 };
        if line.chars().count() + gap + part.trim_end().chars().count() > width {
            break;
        }
        line.extend(std::iter::repeat_n(' ', gap));
        line.push_str(part);
    }
    line.truncate(line.trim_end().len());
    line
}

fn say(text: &str) {
    let mut err = io::stderr().lock();
    // Nobody watches if this fails, and the run goes on.
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// The last intervals' throughput as bars.
fn sparkline(series: &BTreeMap<u64, Interval>, bars: usize) -> String {
    let rates: Vec<u64> = series.values().rev().take(bars).map(|interval| interval.delivered).collect();
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

/// Nanoseconds for people, with three digits that count.
pub(super) fn micros(nanos: u64) -> String {
    let (value, unit) = match nanos {
        0..1_000_000 => (nanos as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (nanos as f64 / 1e6, "ms"),
        _ => (nanos as f64 / 1e9, "s"),
    };
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        for (number, text) in [(0.0, "0"), (999.4, "999"), (1_000.0, "1,000"), (1_234_567.0, "1,234,567")] {
            assert_eq!(whole(number), text);
        }
        for (nanos, text) in
            [(1_500, "1.50 µs"), (9_996, "10.0 µs"), (25_040_000, "25.0 ms"), (612_345_000, "612 ms")]
        {
            assert_eq!(micros(nanos), text);
        }
        assert_eq!(micros(12_000_000_000), "12.0 s");
    }

    #[test]
    fn a_line_holds_as_many_parts_as_have_room() {
        let parts = ["measure".to_owned(), "10/s ".to_owned(), "µµµ".to_owned()];
        for (width, line) in [
            (80, "measure  10/s   µµµ"),
            (18, "measure  10/s"),
            (13, "measure  10/s"),
            (12, "measure"),
            (3, ""),
        ] {
            assert_eq!(fit(&parts, width), line, "{width}");
        }
    }
}
