//! The room `[session]`: what the broker offers to its clients, and what it does when it must choose. Not the
//! rules.

use super::room::room;
use super::setting::Choice;

room! {
    /// What the broker offers to its clients, and what it does where the specification leaves it a choice.
    pub struct Session("session") {
        /// What happens to a message at QoS 1 or 2 for a session whose queue is full: `drop_oldest` drops what
        /// has waited longest, `drop_newest` drops the message, `refuse` refuses it to the publisher before
        /// anybody gets it (0x97 in MQTT 5.0; an older client, which cannot be told, is disconnected). A message
        /// at QoS 0 is dropped. Every drop is counted with its cause, and an MQTT 5.0 client is told how many
        /// messages it has lost: by the user property `whimbrel-dropped` of the next message that it gets.
        queue_full: QueueFull = QueueFull::DropOldest;

        /// Whether messages at QoS 0 wait for a session that is not connected. They then take room in its
        /// queue.
        queue_qos0: bool = false;

        /// Whether an MQTT 3.1 client is refused if its client identifier has more than 23 characters, as
        /// that version asks. Many clients of that version send longer ones.
        client_id_31_strict: bool = false;

        /// Which member of a shared subscription gets a message: `round_robin` takes turns, `least_backlog`
        /// takes the one with the least waiting, `sticky` keeps to one member for each publisher.
        shared_strategy: SharedStrategy = SharedStrategy::RoundRobin;

        /// The highest QoS. MQTT 5.0 clients are told; subscriptions are granted no more, and a client that
        /// publishes with more is disconnected.
        qos_max: u8 = 2, within(0, 2), unit("QoS");

        /// Whether clients may publish retained messages. MQTT 5.0 clients are told; a client that does all the
        /// same is disconnected.
        retain_available: bool = true;

        /// Whether topic filters may have wildcards. MQTT 5.0 clients are told.
        wildcard_available: bool = true;

        /// Whether there are shared subscriptions (`$share/group/filter`). MQTT 5.0 clients are told.
        shared_available: bool = true;

        /// Whether subscriptions may have an identifier. MQTT 5.0 clients are told.
        subscription_ids_available: bool = true;
    }
}

/// What happens to a message for a session whose queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueFull {
    /// What has waited longest is dropped.
    DropOldest,
    /// The message is dropped.
    DropNewest,
    /// The message is refused to its publisher, and nobody gets it.
    Refuse,
}

/// Which member of a shared subscription gets a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedStrategy {
    /// Each in its turn.
    RoundRobin,
    /// The one with the least waiting.
    LeastBacklog,
    /// The same one for everything from the same publisher.
    Sticky,
}

impl Choice for QueueFull {
    const WORDS: &'static [&'static str] = &["drop_oldest", "drop_newest", "refuse"];
    const VALUES: &'static [Self] = &[Self::DropOldest, Self::DropNewest, Self::Refuse];
}

impl Choice for SharedStrategy {
    const WORDS: &'static [&'static str] = &["round_robin", "least_backlog", "sticky"];
    const VALUES: &'static [Self] = &[Self::RoundRobin, Self::LeastBacklog, Self::Sticky];
}
