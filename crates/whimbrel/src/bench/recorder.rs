//! Latencies by interval, so that they can be plotted over time and summed at the end. Not the counting.

use hdrhistogram::Histogram;

use super::clock::{Nanos, SECOND};

/// The longest latency that is told apart from longer ones.
const LATENCY_MAX: Nanos = 600 * SECOND;

/// An empty histogram of nanoseconds with three significant digits.
#[expect(clippy::expect_used, reason = "the bounds are constants, and a test makes one")]
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX, 3).expect("the bounds are valid")
}

/// What one thread saw in one interval.
#[derive(Debug)]
pub(super) struct Interval {
    pub(super) index: u64,
    pub(super) sent: u64,
    pub(super) delivered: u64,
    /// Latencies of what arrived in the interval and was due in the measured time.
    pub(super) latencies: Histogram<u64>,
    /// How long publishers waited for the last acknowledgement of what was due in the measured time.
    pub(super) acknowledgements: Histogram<u64>,
}

/// One thread's interval in progress.
#[derive(Debug)]
pub(super) struct Recorder {
    length: Nanos,
    current: Interval,
    ends_at: Nanos,
}

impl Recorder {
    pub(super) fn new(length: Nanos, now: Nanos) -> Recorder {
        let index = now / length;
        Recorder { length, current: Interval::new(index), ends_at: (index + 1) * length }
    }

    #[inline]
    pub(super) fn latency(&mut self, latency: Nanos) {
        self.current.latencies.saturating_record(latency.max(1));
    }

    #[inline]
    pub(super) fn acknowledgement(&mut self, latency: Nanos) {
        self.current.acknowledgements.saturating_record(latency.max(1));
    }

    #[inline]
    pub(super) fn delivered(&mut self) {
        self.current.delivered += 1;
    }

    #[inline]
    pub(super) fn sent(&mut self, messages: u64) {
        self.current.sent += messages;
    }

    pub(super) fn is_over(&self, now: Nanos) -> bool {
        now >= self.ends_at
    }

    /// Hands out what has been recorded and begins anew.
    pub(super) fn take(&mut self, now: Nanos) -> Interval {
        let index = now / self.length;
        self.ends_at = (index + 1) * self.length;
        std::mem::replace(&mut self.current, Interval::new(index))
    }
}

impl Interval {
    fn new(index: u64) -> Interval {
        Interval { index, sent: 0, delivered: 0, latencies: histogram(), acknowledgements: histogram() }
    }
}
