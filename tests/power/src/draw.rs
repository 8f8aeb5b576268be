//! What looks random and follows from a seed (SplitMix64), so that a run can be repeated. Not for secrets.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Draws from a seed.
#[derive(Clone, Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Draw {
        Draw(seed)
    }

    /// One of `0..choices`; 0 where there is no choice.
    pub(crate) fn below(&mut self, choices: usize) -> usize {
        (self.next() % choices.max(1) as u64) as usize
    }

    /// A length of time between two others, to the microsecond.
    pub(crate) fn time(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let span = range.end().saturating_sub(*range.start());
        *range.start() + Duration::from_micros(self.next() % (span.as_micros() as u64 + 1))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
