//! What a retained topic may hold, given what was published to it and acknowledged. Not how it is asked for.

use std::collections::BTreeSet;

/// What was wrong with a retained value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Nothing is there, though an acknowledged value should be.
    Lost,
    /// A value is there that an acknowledged one had replaced.
    Stale,
    /// A value is there that nobody published.
    Stranger,
}

/// The values that one topic may hold now; `None` is no value.
#[derive(Clone, Debug)]
pub(super) struct Retained {
    possible: BTreeSet<Option<u64>>,
    /// Published and not yet acknowledged.
    open: BTreeSet<u64>,
    published: BTreeSet<u64>,
    /// Under way when something was found wrong. At QoS 2 such a value may have been there and have gone with the
    /// others: that it is acknowledged now does not bring it back.
    doubtful: BTreeSet<u64>,
}

impl Retained {
    /// A topic that nobody has published to.
    pub(super) fn new() -> Retained {
        Retained {
            possible: BTreeSet::from([None]),
            open: BTreeSet::new(),
            published: BTreeSet::new(),
            doubtful: BTreeSet::new(),
        }
    }

    /// A value is on its way: it may be there from now on.
    pub(super) fn publish(&mut self, number: u64) {
        self.open.insert(number);
        self.published.insert(number);
        self.possible.insert(Some(number));
    }

    /// The broker took the value: older ones are replaced, save those that are still to be sent again.
    pub(super) fn acknowledge(&mut self, number: u64) {
        self.open.remove(&number);
        if self.doubtful.remove(&number) {
            return;
        }
        let open = &self.open;
        self.possible.retain(|value| value.is_some_and(|value| value >= number || open.contains(&value)));
        self.possible.insert(Some(number));
    }

    /// The value will not be sent again, and whether it arrived is not known.
    pub(super) fn abandon(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// Whether a value must be there.
    pub(super) fn is_owed(&self) -> bool {
        !self.possible.contains(&None)
    }

    /// Compares with what is there. Afterwards this is what may be there, so that one loss counts once.
    pub(super) fn check(&mut self, found: Option<u64>) -> Option<Wrong> {
        if self.possible.contains(&found) {
            return None;
        }
        let wrong = match found {
            None => Wrong::Lost,
            Some(number) if self.published.contains(&number) => Wrong::Stale,
            Some(_) => Wrong::Stranger,
        };
        self.possible = self.open.iter().copied().map(Some).collect();
        self.possible.insert(found);
        self.doubtful.clone_from(&self.open);
        Some(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A topic with 1 and 2 acknowledged and 3 under way.
    fn topic() -> Retained {
        let mut retained = Retained::new();
        assert!(!retained.is_owed());
        for number in 1..=3 {
            retained.publish(number);
        }
        retained.acknowledge(1);
        retained.acknowledge(2);
        assert!(retained.is_owed());
        retained
    }

    #[test]
    fn what_is_acknowledged_or_under_way_may_be_there() {
        for (found, expect) in [
            (Some(2), None),
            (Some(3), None),
            (Some(1), Some(Wrong::Stale)),
            (None, Some(Wrong::Lost)),
            (Some(9), Some(Wrong::Stranger)),
        ] {
            assert_eq!(topic().check(found), expect, "{found:?}");
        }
    }

    #[test]
    fn one_loss_counts_once() {
        let mut retained = topic();
        assert_eq!(retained.check(None), Some(Wrong::Lost));
        assert_eq!(retained.check(None), None);
        assert_eq!(retained.check(Some(3)), None);
        retained.acknowledge(3);
        assert_eq!(retained.check(None), None);
        retained.publish(4);
        retained.acknowledge(4);
        assert_eq!(retained.check(None), Some(Wrong::Lost));
    }

    #[test]
    fn a_value_that_is_sent_again_may_replace_a_later_one() {
        let mut retained = Retained::new();
        retained.publish(1);
        retained.publish(2);
        retained.acknowledge(2);
        assert_eq!(retained.check(Some(1)), None);
        retained.acknowledge(1);
        assert_eq!(retained.check(Some(2)), None);
        assert_eq!(retained.check(Some(1)), None);
    }

    #[test]
    fn an_abandoned_value_may_be_there_until_a_later_one_is_acknowledged() {
        let mut retained = topic();
        retained.abandon(3);
        assert_eq!(retained.check(Some(3)), None);
        retained.publish(4);
        retained.acknowledge(4);
        assert_eq!(retained.check(Some(3)), Some(Wrong::Stale));
    }
}
