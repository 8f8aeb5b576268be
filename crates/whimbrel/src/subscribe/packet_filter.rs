//! Which of the messages that come are of interest. Not which are subscribed to.

use whimbrel_client::{Message, topic_matches};

use crate::connect::check_filter;

/// The selection of -T, -R and --retained-only.
#[derive(Debug)]
pub(super) struct PacketFilter {
    out: Vec<String>,
    no_retained: bool,
    retained_only: bool,
}

/// What is done with a message.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Write,
    /// Not written; its topic was not filtered out, so a retained one may still be deleted.
    Skip,
    /// Its topic was filtered out.
    Ignore,
    /// The first message that is not retained: nothing more is wanted.
    End,
}

impl PacketFilter {
    pub(super) fn new(
        out: &[String],
        no_retained: bool,
        retained_only: bool,
    ) -> Result<PacketFilter, String> {
        for filter in out {
            check_filter("-T", filter)?;
        }
        Ok(PacketFilter { out: out.to_vec(), no_retained, retained_only })
    }

    pub(super) fn judge(&self, message: &Message) -> Verdict {
        if self.retained_only && !message.retain {
            Verdict::End
        } else if self.out.iter().any(|filter| topic_matches(filter, &message.topic)) {
            Verdict::Ignore
        } else if self.no_retained && message.retain {
            Verdict::Skip
        } else {
            Verdict::Write
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_skipped_ignored_and_the_end() {
        let check = |filter: &PacketFilter, topic: &str, retain: bool, expect: Verdict| {
            let message = Message { retain, ..Message::new(topic, "") };
            assert_eq!(filter.judge(&message), expect, "{topic} {retain}");
        };
        let out = ["a/#".to_owned(), "b".to_owned()];
        let filter = PacketFilter::new(&out, true, false).unwrap();
        check(&filter, "a/x", true, Verdict::Ignore);
        check(&filter, "b", false, Verdict::Ignore);
        check(&filter, "c", true, Verdict::Skip);
        check(&filter, "c", false, Verdict::Write);
        let filter = PacketFilter::new(&[], false, true).unwrap();
        check(&filter, "a", true, Verdict::Write);
        check(&filter, "a", false, Verdict::End);
        assert!(PacketFilter::new(&["a#".to_owned()], false, false).unwrap_err().starts_with("-T a#: "));
    }
}
