//! Moments that look random and follow from a seed (SplitMix64), so that a run can be repeated. Not for secrets.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Draws from a seed.
#[derive(Debug)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Draw {
        Draw(seed)
    }

    /// A length of time between two others, to the microsecond.
    pub(super) fn time(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let (from, to) = (*range.start(), (*range.end()).max(*range.start()));
        let span = u64::try_from((to - from).as_micros()).unwrap_or(u64::MAX);
        from + Duration::from_micros(self.next() % span.saturating_add(1))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_moments_again() {
        let range = Duration::from_millis(10)..=Duration::from_millis(20);
        let moments = |seed| {
            let mut draw = Draw::new(seed);
            (0..100).map(|_| draw.time(&range)).collect::<Vec<_>>()
        };
        assert_eq!(moments(7), moments(7));
        assert_ne!(moments(7), moments(8));
        assert!(moments(7).iter().all(|moment| range.contains(moment)));
        let one = Duration::from_secs(1);
        assert_eq!(Draw::new(1).time(&(one..=one)), one);
    }
}
