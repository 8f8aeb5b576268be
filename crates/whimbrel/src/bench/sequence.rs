//! Which numbers of a sender have arrived: lost, twice, out of order. Not when they arrived.

use std::collections::BTreeMap;

/// Gaps that one stream remembers at a time.
const GAPS_MAX: usize = 100_000;
/// Numbers that may lie between two arrivals; what is further off is no number of this run.
const LEAP_MAX: u64 = 1 << 27;

/// How an arrival stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Greater than all before.
    Next,
    /// For the first time, but after a greater one.
    Late,
    /// Once more.
    Again,
    /// Older than what is remembered, or absurdly far ahead: nobody can tell.
    Unknown,
}

/// What one receiver gets from one sender, who numbers his messages from 0.
#[derive(Debug, Default)]
pub(super) struct Stream {
    next: u64,
    /// What was skipped and has not come yet: first number to the one after the last.
    gaps: BTreeMap<u64, u64>,
    /// Numbers below this whose gap has been forgotten are lost for good.
    floor: u64,
    forgotten: u64,
}

impl Stream {
    #[inline]
    pub(super) fn place(&mut self, number: u64) -> Place {
        if number == self.next {
            self.next += 1;
            return Place::Next;
        }
        if number > self.next { self.skip_to(number) } else { self.fill(number) }
    }

    /// How many of the first `sent` numbers never came.
    pub(super) fn lost(&self, sent: u64) -> u64 {
        let gaps: u64 = self.gaps.iter().map(|(&from, &to)| to.min(sent).saturating_sub(from)).sum();
        gaps + self.forgotten + sent.saturating_sub(self.next)
    }

    fn skip_to(&mut self, number: u64) -> Place {
        if number - self.next > LEAP_MAX {
            return Place::Unknown;
        }
        self.gaps.insert(self.next, number);
        self.next = number + 1;
        if self.gaps.len() > GAPS_MAX
            && let Some((from, to)) = self.gaps.pop_first()
        {
            self.forgotten += to - from;
            self.floor = to;
        }
        Place::Next
    }

    fn fill(&mut self, number: u64) -> Place {
        let gap = self.gaps.range(..=number).next_back().map(|(&from, &to)| (from, to));
        let Some((from, to)) = gap.filter(|&(_, to)| number < to) else {
            return if number < self.floor { Place::Unknown } else { Place::Again };
        };
        self.gaps.remove(&from);
        if from < number {
            self.gaps.insert(from, number);
        }
        if number + 1 < to {
            self.gaps.insert(number + 1, to);
        }
        Place::Late
    }
}

/// The numbers of one sender that have arrived at any of several receivers, who share them out.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    words: Vec<u64>,
    count: u64,
}

impl Seen {
    /// Whether the number is new; `None` where it is absurdly far ahead.
    pub(super) fn mark(&mut self, number: u64) -> Option<bool> {
        let index = usize::try_from(number / 64).ok()?;
        if index >= self.words.len() {
            if index - self.words.len() > (LEAP_MAX / 64) as usize {
                return None;
            }
            self.words.resize(index + 1, 0);
        }
        let word = self.words.get_mut(index)?;
        let bit = 1 << (number % 64);
        let new = *word & bit == 0;
        *word |= bit;
        self.count += u64::from(new);
        Some(new)
    }

    /// How many different numbers have arrived.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Forgets all and keeps the room.
    pub(super) fn clear(&mut self) {
        self.words.fill(0);
        self.count = 0;
    }

    /// Joins what another thread has seen; returns how many numbers both have.
    pub(super) fn join(&mut self, other: &Seen) -> u64 {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        let mut both = 0;
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            both += u64::from((*mine & *theirs).count_ones());
            *mine |= *theirs;
        }
        self.count += other.count - both;
        both
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(numbers: &[u64], sent: u64, places: &[Place], lost: u64) {
        let mut stream = Stream::default();
        let found: Vec<Place> = numbers.iter().map(|&number| stream.place(number)).collect();
        assert_eq!(found, places);
        assert_eq!(stream.lost(sent), lost);
    }

    #[test]
    fn a_stream_tells_lost_late_and_repeated_apart() {
        use Place::{Again, Late, Next, Unknown};
        check(&[0, 1, 2], 3, &[Next, Next, Next], 0);
        check(&[], 3, &[], 3);
        check(&[0, 2], 3, &[Next, Next], 1);
        check(&[0, 2], 5, &[Next, Next], 3);
        check(&[0, 2, 1], 3, &[Next, Next, Late], 0);
        check(&[0, 0, 1, 1], 2, &[Next, Again, Next, Again], 0);
        check(&[5, 2, 2, 0, 4], 6, &[Next, Late, Again, Late, Late], 2);
        check(&[0, u64::MAX], 1, &[Next, Unknown], 0);
    }

    #[test]
    fn a_stream_forgets_its_oldest_gaps_and_still_counts_them() {
        let mut stream = Stream::default();
        let arrivals = GAPS_MAX as u64 + 10;
        for number in 0..arrivals {
            stream.place(number * 2 + 1);
        }
        assert_eq!(stream.gaps.len(), GAPS_MAX);
        assert_eq!(stream.lost(arrivals * 2), arrivals);
        assert_eq!(stream.place(0), Place::Unknown);
        assert_eq!(stream.place(arrivals * 2 - 2), Place::Late);
    }

    #[test]
    fn what_threads_have_seen_is_joined() {
        let (mut one, mut other) = (Seen::default(), Seen::default());
        for number in [0, 3, 64] {
            assert_eq!(one.mark(number), Some(true));
        }
        for number in [3, 200] {
            assert_eq!(other.mark(number), Some(true));
        }
        assert_eq!(one.mark(3), Some(false));
        assert_eq!(one.join(&other), 1);
        assert_eq!(one.count(), 4);
        assert_eq!(one.mark(u64::MAX), None);
    }
}
