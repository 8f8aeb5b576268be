//! The open loop of one thread: its publishers' batches, due one after the other at even distances. Not the sending.

use super::clock::Nanos;

#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    first: f64,
    interval: f64,
    next: u64,
    publishers: u64,
}

impl Rounds {
    /// The first batch is due at `first`, each other `interval` nanoseconds after the one before, of each publisher in
    /// turn.
    pub(super) fn new(first: f64, interval: f64, publishers: usize) -> Rounds {
        Rounds { first, interval, next: 0, publishers: publishers.max(1) as u64 }
    }

    /// When this publisher's first batch is due, and how far apart its batches are.
    pub(super) fn of(&self, publisher: usize) -> (f64, f64) {
        (self.first + publisher as f64 * self.interval, self.interval * self.publishers as f64)
    }

    pub(super) fn next_due(&self) -> Nanos {
        (self.first + self.next as f64 * self.interval) as Nanos
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
        let mut rounds = Rounds::new(100.0, 10.0, 2);
        assert_eq!(rounds.of(1), (110.0, 20.0));
        assert_eq!(rounds.take(99, 1_000), None);
        assert_eq!(rounds.take(100, 1_000), Some((0, 100)));
        assert_eq!(rounds.take(500, 120), Some((1, 110)));
        assert_eq!(rounds.take(500, 120), None);
    }
}
