//! What survives cleaning beyond what the owner counts as alive. Not the count itself, which is the owner's.
//!
//! The owner may count roughly: a record by less than it takes, or not at all. Then a log in which everything lives looks as
//! if half of it were dead, and cleaning would go round for ever without freeing anything. So what cleaning had to keep is
//! added up over one round of the log, and counts as alive from then on.

use crate::segments::SegmentInfo;

/// What rounds of cleaning have shown.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// The round ends with the segment that reaches to here.
    until: u64,
    /// In this round so far, and in the one before.
    found: u64,
    uncounted: u64,
}

impl Survey {
    /// What lives without being counted, as far as is known.
    pub(crate) fn uncounted(&self) -> u64 {
        self.uncounted
    }

    /// The oldest segment goes, and so many bytes of records had to be staged for it; the log ends at `end`. The segment is
    /// described as it was before.
    pub(crate) fn note(&mut self, oldest: &SegmentInfo, kept: u64, end: u64) {
        // A record takes its part of headers and frames, too.
        let records = oldest.end.0.saturating_sub(oldest.first.0).max(1);
        let in_file = u128::from(kept) * u128::from(oldest.bytes) / u128::from(records);
        let in_file = u64::try_from(in_file).unwrap_or(u64::MAX);
        self.found = self.found.saturating_add(in_file.saturating_sub(oldest.live_bytes));
        if oldest.end.0 >= self.until {
            self.uncounted = std::mem::take(&mut self.found);
            self.until = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Position;

    fn segment(number: u64, live_bytes: u64) -> SegmentInfo {
        let (first, end) = (Position((number - 1) * 1_000), Position(number * 1_000));
        SegmentInfo { number, first, end, bytes: 1_500, live_bytes }
    }

    #[test]
    fn what_a_round_had_to_keep_counts_until_the_next_has_seen_otherwise() {
        let mut survey = Survey::default();
        survey.note(&segment(1, 100), 0, 3_000);
        assert_eq!(survey.uncounted(), 0, "nothing was there that is not counted");
        // A round: of the segments up to 3,000, 600 bytes of records had to be kept, in files that are half as long again.
        survey.note(&segment(2, 100), 400, 3_400);
        assert_eq!(survey.uncounted(), 0, "the round is not over");
        survey.note(&segment(3, 300), 200, 3_600);
        assert_eq!(survey.uncounted(), 500, "300 were counted as alive, of the other segment all");
        survey.note(&segment(4, 0), 0, 3_700);
        assert_eq!(survey.uncounted(), 0);
    }
}
