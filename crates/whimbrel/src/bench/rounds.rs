//! The open loop of one thread: its publishers' batches, due one after the other at even distances. Not the sending.

use super::clock::{MILLI, Nanos};

/// Batches that would be due at shorter distances are due together, so many nanoseconds apart: a timer for each would
/// cost the generator as much as the sending.
const DISTANCE_MIN: f64 = MILLI as f64 / 10.0;

#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    first: f64,
    /// Nanoseconds between groups of batches that are due together.
    interval: f64,
    /// Batches of a group.
    group: u64,
    next: u64,
    publishers: u64,
}

impl Rounds {
    /// The first batch is due at `first`, the others `interval` nanoseconds apart on the average, of each publisher in
    /// turn; those that would be due less than `distance` apart are due together.
    pub(super) fn new(first: f64, interval: f64, publishers: usize, distance: Nanos) -> Rounds {
        let group = (DISTANCE_MIN.max(distance as f64) / interval).ceil().max(1.0);
        let publishers = publishers.max(1) as u64;
        Rounds { first, interval: interval * group, group: group as u64, next: 0, publishers }
    }

    /// When this publisher's batch of this number is due.
    pub(super) fn due_of(&self, publisher: usize, batch: u64) -> Nanos {
        self.due(batch * self.publishers + publisher as u64)
    }

    pub(super) fn next_due(&self) -> Nanos {
        self.due(self.next)
    }

    fn due(&self, batch: u64) -> Nanos {
        (self.first + (batch / self.group) as f64 * self.interval) as Nanos
    }

    /// The publisher whose batch has become due, and when that was. Nothing is due from `stop_at` on.
    pub(super) fn take(&mut self, now: Nanos, stop_at: Nanos) -> Option<(usize, Nanos)> {
        let due = self.next_due();
        if due > now || due >= stop_at {
            return None;
        }
        let publisher = self.next % self.publishers;
        self.next += 1;
        Some((publisher as usize, due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishers_take_turns_and_none_is_due_after_the_end() {
        let mut rounds = Rounds::new(1e6, 1e5, 2, 0);
        assert_eq!((rounds.due_of(1, 0), rounds.due_of(0, 1)), (1_100_000, 1_200_000));
        assert_eq!(rounds.take(999_999, u64::MAX), None);
        assert_eq!(rounds.take(1_000_000, u64::MAX), Some((0, 1_000_000)));
        assert_eq!(rounds.take(5_000_000, 1_200_000), Some((1, 1_100_000)));
        assert_eq!(rounds.take(5_000_000, 1_200_000), None);
    }

    #[test]
    fn at_a_high_rate_batches_are_due_together_and_as_many_as_at_even_distances() {
        // 10 microseconds apart: ten are due every 100 microseconds, and three publishers take turns over that.
        let mut rounds = Rounds::new(0.0, 1e4, 3, 0);
        let mut taken = Vec::new();
        while let Some(batch) = rounds.take(1_000_000, 1_000_000) {
            taken.push(batch);
        }
        assert_eq!(taken.len(), 100);
        for (at, (publisher, due)) in taken.into_iter().enumerate() {
            assert_eq!((publisher, due), (at % 3, at as u64 / 10 * 100_000));
            assert_eq!(rounds.due_of(publisher, at as u64 / 3), due);
        }
    }
}
