//! Nothing is left of clients that have gone for good.

use crate::Finding;

/// What the server counts when everybody has left.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Connected clients.
    pub connected: usize,
    /// Sessions.
    pub sessions: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Filters in the router.
    pub filters: usize,
    /// Bytes in queues.
    pub queued_bytes: usize,
    /// Bytes that wait for blocked clients.
    pub outbox_bytes: usize,
}

impl Leftovers {
    /// What should not be there.
    #[must_use]
    pub fn check(&self) -> Vec<Finding> {
        let Leftovers { connected, sessions, subscriptions, filters, queued_bytes, outbox_bytes } = *self;
        let counts = [
            ("connected clients", connected),
            ("sessions", sessions),
            ("subscriptions", subscriptions),
            ("filters", filters),
            ("bytes in queues", queued_bytes),
            ("bytes for blocked clients", outbox_bytes),
        ];
        let left = counts.iter().filter(|(_, count)| *count > 0);
        left.map(|(name, count)| Finding::new("leftovers", format!("{count} {name} when all have left")))
            .collect()
    }
}
