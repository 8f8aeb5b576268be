//! What one session has lost, by cause. Not the counts of all sessions: those are in `counters`.

use crate::{Count, Turn, session::Locked};

/// The causes for which a session loses a message while it lives, and those for which one of its client is not taken.
const CAUSES: [Count; 9] = [
    Count::DroppedQos0Blocked,
    Count::DroppedQos0Absent,
    Count::DroppedQueueOldest,
    Count::DroppedQueueNewest,
    Count::DroppedQueuesMemory,
    Count::DroppedExpired,
    Count::DroppedTooLarge,
    Count::DeniedPublish,
    Count::DeniedReceive,
];

/// Messages that a session has lost since it began, by cause.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drops([u64; CAUSES.len()]);

impl Drops {
    fn add(&mut self, cause: Count, messages: u64) {
        let of_cause = CAUSES.iter().zip(&mut self.0).find(|(known, _)| **known == cause);
        if let Some((_, count)) = of_cause {
            *count = count.saturating_add(messages);
        }
    }

    /// The causes that there were, and the messages of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Count, u64)> + '_ {
        CAUSES.iter().copied().zip(self.0).filter(|(_, messages)| *messages > 0)
    }
}

impl Locked<'_> {
    /// Counts messages that this session has lost, for the server and for itself.
    pub(crate) fn lose(&mut self, turn: &Turn, cause: Count, messages: u64) {
        if messages > 0 {
            turn.count(cause, messages);
            self.state.rare().drops.get_or_insert_default().add(cause, messages);
        }
    }
}
