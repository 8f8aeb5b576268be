//! What a run writes down: the events for the oracles, and how often each feature and fault happened.

use std::collections::BTreeMap;

use whimbrel_oracle::event::{ClientNo, Event, LinkNo, MessageNo, What};

/// What is done to the server, its disk and its clients' connections, by the names under which it is counted.
pub const FAULTS: &[&str] = &[
    "crashes: power lost",
    "crashes: process killed",
    "crashes in a commit",
    "crashes while opening",
    "cuts by the network",
    "cuts that the client does not see",
    "disk: names lost",
    "disk: syncs that lied",
    "disk: unsynced writes lost",
    "disk: unsynced writes reordered",
    "disk: unsynced writes torn",
    "disk: writes and syncs that failed",
    "disk: writes refused, full",
    "half-closes",
    "jumps of the clock",
    "pauses",
    "resets",
    "silences",
    "syncs that took long",
    "take-overs",
];

/// How often something happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    /// Counts `more` of it.
    pub fn add(&mut self, name: &'static str, more: u64) {
        *self.0.entry(name).or_default() += more;
    }

    /// Adds another tally.
    pub fn merge(&mut self, other: &Tally) {
        other.0.iter().for_each(|(name, count)| self.add(name, *count));
    }

    /// Every count, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(name, count)| (*name, *count))
    }

    /// One count.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

/// The log of a run.
#[derive(Debug, Default)]
pub struct Log {
    /// Everything that clients did and saw.
    pub events: Vec<Event>,
    /// What happened how often.
    pub tally: Tally,
    /// The time, in milliseconds since the run began.
    pub now: u64,
    messages: MessageNo,
    links: LinkNo,
}

impl Log {
    /// Writes an event down.
    pub fn note(&mut self, client: ClientNo, link: LinkNo, what: What) {
        self.events.push(Event { at: self.now, client, link, what });
    }

    /// A number for a new message.
    pub fn new_message(&mut self) -> MessageNo {
        self.messages += 1;
        self.messages
    }

    /// A number for a new connection.
    pub fn new_link(&mut self) -> LinkNo {
        self.links += 1;
        self.links
    }

    /// Counts one more of it.
    pub fn count(&mut self, name: &'static str) {
        self.tally.add(name, 1);
    }
}
