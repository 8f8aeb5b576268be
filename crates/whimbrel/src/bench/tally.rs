//! What a thread counts: what went out, what came, and everything that was wrong with it. Not how long it took.

/// Sums over the whole run, except where a name says that they are of the measured time only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) sent_measured: u64,
    /// Messages that arrived for the first time and intact.
    pub(super) delivered: u64,
    pub(super) delivered_measured: u64,
    pub(super) bytes_measured: u64,
    /// The last arrival, in nanoseconds since the run began.
    pub(super) last_arrival: u64,

    pub(super) lost: u64,
    /// The part of `lost` that was published or subscribed to at QoS 0.
    pub(super) lost_qos0: u64,
    pub(super) duplicated: u64,
    /// Messages that came after one that their sender sent later.
    pub(super) reordered: u64,
    pub(super) corrupt: u64,
    pub(super) wrong_topic: u64,
    pub(super) wrong_qos: u64,
    pub(super) wrong_retain: u64,
    /// Arrivals too old or too strange to say what they are.
    pub(super) unplaced: u64,
    /// Messages and subscriptions that the broker refused.
    pub(super) refused: u64,
    /// Handshakes of TLS, and those among them that resumed an earlier session.
    pub(super) handshakes: u64,
    pub(super) resumed: u64,
    /// Tries to come back that came to nothing, those of them that a CONNACK refused, and those that were given up.
    pub(super) tries_failed: u64,
    pub(super) tries_refused: u64,
    pub(super) tries_given_up: u64,
    /// Messages that the broker never acknowledged.
    pub(super) unacknowledged: u64,
    /// Packets that have no place in the conversation.
    pub(super) unexpected: u64,
    /// Connections that the broker closed or that never came up.
    pub(super) broken: u64,
    /// Sessions that the broker should have kept and had not.
    pub(super) sessions_lost: u64,

    /// How often a publisher in a closed loop waited a second in vain and went on.
    pub(super) stalls: u64,
    /// How often a thread slept until something was due, in the measured time.
    pub(super) naps_measured: u64,
    /// Arrivals whose stamp counted for nothing, since the wall clock was set about then.
    pub(super) doubted: u64,
    /// Open loop: messages that were due in the measured time.
    pub(super) due_measured: u64,
    /// Those of them that were sent, however late.
    pub(super) due_sent: u64,
    /// Open loop: messages that were due and never sent.
    pub(super) unsent: u64,
    /// Open loop: the longest time by which a message was sent too late, in nanoseconds.
    pub(super) latest: u64,
}

impl Tally {
    /// Everything that makes a run a failure, by name.
    pub(super) fn faults(&self) -> [(&'static str, u64); 12] {
        [
            ("lost", self.lost),
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("corrupt", self.corrupt),
            ("wrong_topic", self.wrong_topic),
            ("wrong_qos", self.wrong_qos),
            ("wrong_retain", self.wrong_retain),
            ("unplaced", self.unplaced),
            ("refused", self.refused),
            ("unacknowledged", self.unacknowledged),
            ("unexpected", self.unexpected),
            ("broken", self.broken + self.sessions_lost),
        ]
    }

    pub(super) fn add(&mut self, other: &Tally) {
        for (mine, theirs) in [
            (&mut self.sent, other.sent),
            (&mut self.sent_measured, other.sent_measured),
            (&mut self.delivered, other.delivered),
            (&mut self.delivered_measured, other.delivered_measured),
            (&mut self.bytes_measured, other.bytes_measured),
            (&mut self.lost, other.lost),
            (&mut self.lost_qos0, other.lost_qos0),
            (&mut self.duplicated, other.duplicated),
            (&mut self.reordered, other.reordered),
            (&mut self.corrupt, other.corrupt),
            (&mut self.wrong_topic, other.wrong_topic),
            (&mut self.wrong_qos, other.wrong_qos),
            (&mut self.wrong_retain, other.wrong_retain),
            (&mut self.unplaced, other.unplaced),
            (&mut self.handshakes, other.handshakes),
            (&mut self.resumed, other.resumed),
            (&mut self.tries_failed, other.tries_failed),
            (&mut self.tries_refused, other.tries_refused),
            (&mut self.tries_given_up, other.tries_given_up),
            (&mut self.refused, other.refused),
            (&mut self.unacknowledged, other.unacknowledged),
            (&mut self.unexpected, other.unexpected),
            (&mut self.broken, other.broken),
            (&mut self.sessions_lost, other.sessions_lost),
            (&mut self.stalls, other.stalls),
            (&mut self.naps_measured, other.naps_measured),
            (&mut self.doubted, other.doubted),
            (&mut self.due_measured, other.due_measured),
            (&mut self.due_sent, other.due_sent),
            (&mut self.unsent, other.unsent),
        ] {
            *mine += theirs;
        }
        self.last_arrival = self.last_arrival.max(other.last_arrival);
        self.latest = self.latest.max(other.latest);
    }
}
