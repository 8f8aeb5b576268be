//! The limits that concern everyone, with unit and default. Those of one connection are in `proto::server::Limits`.

use whimbrel_proto::server;

use crate::ClientIdOf;

/// What happens to a QoS 1 or 2 message for a session whose queue is full. QoS 0 is always dropped then.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum QueueFull {
    /// The oldest message of the queue makes room.
    #[default]
    DropOldest,
    /// The new message is dropped for this session.
    DropNewest,
    /// The publisher gets 0x97 Quota exceeded and nobody gets the message; in 3.x, which cannot be told, the
    /// connection is closed.
    Refuse,
}

/// What becomes of QoS 1 and 2 messages that have to be kept while the disk is full or has failed.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum DiskFull {
    /// They are taken as far as there is room in memory, and acknowledged when the disk has them; beyond, their publishers
    /// wait.
    #[default]
    Wait,
    /// Their publishers get 0x97 Quota exceeded while the disk is full, 0x83 Implementation specific error while it has
    /// failed; in 3.x, which cannot be told, the connection is closed.
    Refuse,
}

/// Which member of a shared subscription gets a message.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum ShareStrategy {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The member with the fewest messages under way; who is absent comes last.
    LeastBacklog,
    /// The messages of one publisher go to one member as long as it has room.
    StickyByPublisher,
}

/// Limits and choices of the engine. Every limit that is reached is counted (see [`crate::Count`]).
#[derive(Clone, Debug)]
pub struct Limits {
    /// What one connection may do.
    pub connection: server::Limits,
    /// Who may take over the session of a user, where there are no rules that say it.
    pub session_of: ClientIdOf,
    /// Connected clients.
    pub connections_max: usize,
    /// Sessions, with a connection or without.
    pub sessions_max: usize,
    /// Subscriptions of all sessions together.
    pub subscriptions_total_max: usize,
    /// Bytes of the topic filters of all subscriptions together.
    pub filter_bytes_total_max: usize,
    /// Subscriptions of one session.
    pub subscriptions_max: usize,
    /// Messages in a session's queue, and in that of a shared group.
    pub queue_messages_max: usize,
    /// Bytes of topic, properties and payload in a session's queue, and in that of a shared group; as many again may be
    /// in flight to a client.
    pub queue_bytes_max: usize,
    /// Bytes in all queues together and in flight, in wills and in long client identifiers; a message counts once for
    /// each queue that it waits in, with a constant for its place there.
    pub queues_bytes_max: usize,
    /// From so many of these bytes on, what the journal has of long queues stays on disk alone, but for the first messages
    /// of each queue: it costs 64 bytes of memory then.
    pub queues_spill_bytes: usize,
    /// The first messages of a queue that stay in memory all the same, so that a client that comes gets them at once; fewer
    /// as memory fills.
    pub queue_kept_messages: usize,
    /// Bytes of topic, properties and payload that all queues together may have on disk alone.
    pub queues_disk_bytes_max: usize,
    /// What happens when a queue is full.
    pub queue_full: QueueFull,
    /// What happens when the disk takes nothing.
    pub disk_full: DiskFull,
    /// After a restart, how long wills wait for their clients to come back, in milliseconds.
    pub will_grace_millis: u64,
    /// Whether QoS 0 messages are queued for absent sessions.
    pub queue_qos0: bool,
    /// Encoded bytes that may wait for one client before messages are queued or dropped instead.
    pub link_soft_bytes: usize,
    /// Encoded bytes that may wait for one client before it is disconnected.
    pub link_hard_bytes: usize,
    /// Milliseconds without progress after which a blocked client is disconnected.
    pub link_stall_millis: u64,
    /// Encoded bytes that may wait for all blocked clients together; as they fill, the soft limit shrinks.
    pub outbox_bytes_max: usize,
    /// Retained messages.
    pub retained_messages_max: usize,
    /// Bytes of topic, properties and payload in all retained messages.
    pub retained_bytes_max: usize,
    /// Which member of a shared subscription gets a message.
    pub share_strategy: ShareStrategy,
    /// Receivers of one message that are served before its publisher's task lets others go on, at least 1.
    pub fan_out_slice: usize,
    /// Topics in the match cache of one worker.
    pub match_cache_topics_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connection: server::Limits::default(),
            session_of: ClientIdOf::User,
            connections_max: 1_000_000,
            sessions_max: 1_000_000,
            subscriptions_total_max: 10_000_000,
            filter_bytes_total_max: 1 << 30,
            subscriptions_max: 1_000,
            queue_messages_max: 10_000,
            queue_bytes_max: 16 << 20,
            queues_bytes_max: 1 << 30,
            queues_spill_bytes: 1 << 29,
            queue_kept_messages: 64,
            queues_disk_bytes_max: 64 << 30,
            queue_full: QueueFull::DropOldest,
            disk_full: DiskFull::Wait,
            will_grace_millis: 30_000,
            queue_qos0: false,
            link_soft_bytes: 64 << 10,
            link_hard_bytes: 1 << 20,
            link_stall_millis: 30_000,
            outbox_bytes_max: 256 << 20,
            retained_messages_max: 1_000_000,
            retained_bytes_max: 1 << 30,
            share_strategy: ShareStrategy::RoundRobin,
            fan_out_slice: 1_000,
            match_cache_topics_max: 16_384,
        }
    }
}
