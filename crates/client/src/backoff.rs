//! The pauses between attempts to connect.

use std::time::Duration;

use crate::Backoff;

/// The pauses of one client.
#[derive(Debug)]
pub(crate) struct Pauses {
    backoff: Backoff,
    /// What the next pause is at most.
    next: Duration,
}

impl Pauses {
    pub(crate) fn new(backoff: Backoff) -> Pauses {
        Pauses { backoff, next: backoff.first }
    }

    /// A connection stood for this long.
    pub(crate) fn stood(&mut self, long: Duration) {
        if long > self.next {
            self.next = self.backoff.first;
        }
    }

    /// The next pause: by `chance`, from 0 to `u32::MAX`, between half and all of what it is at most.
    pub(crate) fn next(&mut self, chance: u32) -> Duration {
        let most = self.next.min(self.backoff.max);
        self.next = most.saturating_mul(2);
        let half = most / 2;
        half + half.mul_f64(f64::from(chance) / f64::from(u32::MAX))
    }
}

/// A number by chance. Where the system gives none, the middle: a pause that is not spread is better than none.
pub(crate) fn chance() -> u32 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u32::from_le_bytes(bytes),
        Err(_) => u32::MAX / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_maximum() {
        let backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(5) };
        let mut pauses = Pauses::new(backoff);
        let most: Vec<_> = (0..5).map(|_| pauses.next(u32::MAX).as_secs()).collect();
        assert_eq!(most, [1, 2, 4, 5, 5]);
        pauses.stood(Duration::from_secs(9));
        assert_eq!(pauses.next(u32::MAX).as_secs(), 5, "it stood no longer than the next pause, 10 s");
        pauses.stood(Duration::from_secs(11));
        assert_eq!(pauses.next(0), Duration::from_millis(500), "by chance half of it");
    }

    #[test]
    fn a_first_pause_above_the_maximum_is_the_maximum() {
        let backoff = Backoff { first: Duration::from_secs(9), max: Duration::from_secs(3) };
        assert_eq!(Pauses::new(backoff).next(u32::MAX), Duration::from_secs(3));
    }
}
