//! What is counted, per worker: no cache line is shared on the hot path; whoever asks sums them up.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::sync::Mutex;
use whimbrel_proto::{Violation, codec::Malformed};

macro_rules! counts {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// One thing that is counted.
        #[derive(Copy, Clone, Debug, PartialEq, Eq)]
        pub enum Count { $($(#[doc = $doc])+ $name,)+ }

        impl Count {
            /// Every count, in the order of its number.
            pub const ALL: &[Count] = &[$(Count::$name,)+];

            /// The name under which it is shown.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Count::$name => $text,)+ }
            }
        }
    };
}

counts! {
    /// Bytes read from clients.
    BytesReceived = "bytes_received",
    /// Bytes written to clients.
    BytesSent = "bytes_sent",
    /// Packets of any kind read from clients.
    PacketsReceived = "packets_received",
    /// Packets of any kind encoded for clients.
    PacketsSent = "packets_sent",
    /// PUBLISH packets read.
    PublishReceived = "publish_received",
    /// PUBLISH packets encoded.
    PublishSent = "publish_sent",
    /// Payload bytes of PUBLISH packets read.
    PayloadReceived = "payload_bytes_received",
    /// Payload bytes of PUBLISH packets encoded.
    PayloadSent = "payload_bytes_sent",
    /// Connections that CONNECT opened.
    Connected = "connections_opened",
    /// Connections that ended after CONNECT had opened them.
    Disconnected = "connections_closed",
    /// CONNECT packets refused.
    ConnectRefused = "connects_refused",
    /// CONNECT packets refused because of the limit of connections.
    ConnectionsLimit = "connections_limit_reached",
    /// Connections ended because the client broke the protocol; the limits of a connection are counted below.
    Violations = "violations",
    /// Connections closed before CONNECT because the handshake of their transport failed or took too long.
    HandshakesFailed = "handshakes_failed",
    /// Connections closed at once because more came to their listener in a second than may.
    ConnectionRateLimit = "connection_rate_limit_reached",
    /// Connections closed because more came from their address in a second than may.
    SourceRateLimit = "source_rate_limit_reached",
    /// Connections closed before their handshake because too many others waited for theirs.
    LineFull = "handshakes_refused_busy",
    /// Connections whose clients had given up before their handshake began.
    GivenUp = "handshakes_given_up",
    /// CONNECT packets of clients without a session refused because the server was late with everything.
    TurnedAway = "connects_refused_busy",
    /// No CONNECT within the time-out.
    ConnectTimeout = "connect_timeouts",
    /// Nothing within one and a half times the keep-alive.
    KeepAliveTimeout = "keep_alive_timeouts",
    /// Connections ended because what the client had proved of itself counted no longer: its token has expired.
    ProofEnded = "proofs_ended",
    /// Connections closed because too many bytes of packets that have not arrived whole were held for all of them.
    InputLimit = "input_limit_reached",
    /// Packets above the largest size.
    PacketLimit = "packet_limit_reached",
    /// Topics with too many bytes or levels.
    TopicLimit = "topic_limit_reached",
    /// Packets with too many user properties.
    UserPropertiesLimit = "user_properties_limit_reached",
    /// Packets with too many topic filters.
    FiltersLimit = "filters_limit_reached",
    /// More unacknowledged messages than the receive maximum.
    ReceiveMaximumLimit = "receive_maximum_exceeded",
    /// Topic aliases above the maximum.
    TopicAliasLimit = "topic_alias_limit_reached",
    /// Connections that another one with the same client identifier took over.
    Takeovers = "takeovers",
    /// Sessions that ended by their expiry.
    SessionsExpired = "sessions_expired",
    /// Wills published.
    WillsPublished = "wills_published",
    /// QoS 0 messages dropped because the client takes nothing.
    DroppedQos0Blocked = "dropped_qos0_blocked",
    /// QoS 0 messages not kept for an absent session.
    DroppedQos0Absent = "dropped_qos0_absent",
    /// Messages dropped from a full queue, the oldest first.
    DroppedQueueOldest = "dropped_queue_full_oldest",
    /// Messages that did not enter a full queue.
    DroppedQueueNewest = "dropped_queue_full_newest",
    /// Messages that were dropped because all queues together are full.
    DroppedQueuesMemory = "dropped_queues_memory",
    /// Messages of queues that were left to the disk alone.
    QueuedOnDisk = "queued_on_disk",
    /// Messages of queues that were read back from the disk.
    QueuedReadBack = "queued_read_back",
    /// Times that a message of a queue could not be read back.
    ReadBackFailed = "queued_read_back_failed",
    /// Messages that stayed in memory because the queues had as much on disk alone as they may.
    QueuesDiskLimit = "queues_disk_limit_reached",
    /// Messages whose expiry passed before they were sent.
    DroppedExpired = "dropped_expired",
    /// Connections ended because an answer is larger than the client takes.
    AnswerTooLarge = "answers_too_large",
    /// Messages larger than the client takes.
    DroppedTooLarge = "dropped_too_large",
    /// QoS 0 messages to a shared group of which no member had room.
    DroppedShareNoMember = "dropped_share_no_member",
    /// Messages queued or in flight that went with their session or group.
    DroppedSessionEnded = "dropped_session_ended",
    /// Messages refused to the publisher because a queue was full.
    RefusedQueueFull = "refused_queue_full",
    /// Messages of a client to `$SYS` topics.
    RefusedReservedTopic = "refused_reserved_topic",
    /// Payloads that were not the UTF-8 which they promised.
    RefusedPayloadFormat = "refused_payload_format",
    /// Messages that the rules did not let their clients publish.
    DeniedPublish = "denied_publish",
    /// Connections ended because the client published what the rules do not allow.
    DeniedPublishEnds = "denied_publish_disconnects",
    /// Wills that the rules did not let their clients leave.
    DeniedWill = "denied_will",
    /// Topic filters that the rules did not let their clients subscribe to.
    DeniedSubscribe = "denied_subscribe",
    /// Deliveries of messages that the rules did not let their receivers read.
    DeniedReceive = "denied_deliveries",
    /// CONNECT packets refused because the session of the client identifier is another user's.
    DeniedClientId = "denied_client_id",
    /// Subscriptions that ended because new rules do not allow them.
    SubscriptionsEnded = "subscriptions_ended_by_rules",
    /// Retained messages whose expiry has passed.
    RetainedExpired = "retained_expired",
    /// Retained messages not kept because of the limits.
    RetainedLimit = "retained_limit_reached",
    /// Logins refused for a wrong user name or password.
    LoginsWrong = "logins_wrong",
    /// Logins refused unheard: too many wrong passwords of the user from its address.
    LoginsUserAtAddress = "logins_unheard_user_at_address",
    /// Logins refused unheard: too many wrong passwords from the address.
    LoginsAddress = "logins_unheard_address",
    /// Logins refused unheard: too many wrong passwords of the user from addresses that are new to it.
    LoginsUser = "logins_unheard_user",
    /// CONNECT packets refused because the client, its user or its address is banned.
    BannedRefused = "banned_refused",
    /// Connections ended because the client, its user or its address was banned.
    BannedEnds = "banned_disconnects",
    /// Clients held off because they fell over and over.
    HeldOff = "flapping_held_off",
    /// CONNECT packets refused because the client is held off for that.
    HeldOffRefused = "flapping_refused",
    /// CONNECT packets refused because their user may not have the client identifier, or nobody may.
    ClientIdRefused = "client_id_refused",
    /// CONNECT packets refused because their user has as many connections as it may.
    UserConnectionsLimit = "user_connections_limit_reached",
    /// Times that a client was not read from for a while because it had sent more than its quota.
    QuotaRests = "quota_rests",
    /// Records that the journal did not take, because they are longer than any.
    RecordsRefused = "journal_records_refused",
    /// Messages refused to their publishers because they cannot be kept: the disk is full or has failed.
    RefusedDisk = "refused_disk",
    /// Messages that had to wait before they were taken because too much waited for the disk.
    WaitedForDisk = "waited_for_disk",
    /// CONNECT packets refused because there are as many sessions as there may be.
    SessionsLimit = "sessions_limit_reached",
    /// CONNECT packets refused because their will or client identifier is more than the memory for messages has left.
    ConnectMemory = "connect_memory_limit_reached",
    /// Topic filters refused because all sessions together have as many as they may.
    SubscriptionsTotalLimit = "subscriptions_total_limit_reached",
    /// Topic filters refused because the session has as many as it may.
    SubscriptionsLimit = "subscriptions_limit_reached",
    /// Clients disconnected because too many bytes waited for them.
    SlowOverflow = "slow_client_overflow",
    /// Clients disconnected because they took nothing for too long.
    SlowStalled = "slow_client_stalled",
    /// Topics looked up that the match cache did not know.
    MatchCacheMisses = "match_cache_misses",
}

impl Count {
    /// What a violation counts as.
    #[must_use]
    pub fn of(violation: Violation) -> Count {
        match violation {
            Violation::ConnectTimeout => Count::ConnectTimeout,
            Violation::KeepAliveTimeout => Count::KeepAliveTimeout,
            Violation::Malformed(Malformed::PacketTooLarge) => Count::PacketLimit,
            Violation::TopicTooLong | Violation::FilterTooLong => Count::TopicLimit,
            Violation::UserPropertiesTooMany => Count::UserPropertiesLimit,
            Violation::FiltersTooMany => Count::FiltersLimit,
            Violation::ReceiveMaximumExceeded => Count::ReceiveMaximumLimit,
            Violation::TopicAliasTooHigh => Count::TopicAliasLimit,
            Violation::QuotaExceeded => Count::RefusedQueueFull,
            Violation::DiskTakesNothing => Count::RefusedDisk,
            Violation::NotAuthorized => Count::DeniedPublishEnds,
            _ => Count::Violations,
        }
    }
}

/// The counts of one worker. Only its worker writes; anybody may read.
#[derive(Debug)]
pub struct Counters {
    values: Box<[AtomicU64]>,
}

impl Counters {
    fn new() -> Self {
        Counters { values: Count::ALL.iter().map(|_| AtomicU64::new(0)).collect() }
    }

    #[cfg(test)]
    pub(crate) fn for_test() -> Arc<Self> {
        Arc::new(Self::new())
    }

    /// Adds to a count. One writer: a load and a store, no locked instruction.
    #[inline]
    pub fn add(&self, count: Count, more: u64) {
        if let Some(value) = self.values.get(count as usize) {
            value.store(value.load(Relaxed).wrapping_add(more), Relaxed);
        }
    }

    /// The present value.
    #[must_use]
    pub fn value(&self, count: Count) -> u64 {
        self.values.get(count as usize).map_or(0, |value| value.load(Relaxed))
    }
}

/// The counters of all workers.
#[derive(Debug, Default)]
pub(crate) struct AllCounters {
    workers: Mutex<Vec<Arc<Counters>>>,
}

impl AllCounters {
    pub(crate) fn register(&self) -> Arc<Counters> {
        let counters = Arc::new(Counters::new());
        self.workers.lock().push(counters.clone());
        counters
    }

    pub(crate) fn sum(&self, count: Count) -> u64 {
        self.workers.lock().iter().map(|worker| worker.value(count)).fold(0, u64::wrapping_add)
    }
}
