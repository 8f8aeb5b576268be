//! Keep-alive as the client sees it: when PINGREQ is due, and when the server has been silent for too long.

use crate::Millis;

/// The two clocks of a connection: since we sent something, and since something came.
#[derive(Clone, Debug)]
pub(super) struct KeepAlive {
    /// Milliseconds between two packets of ours; 0 for no limit.
    interval_millis: u64,
    /// Milliseconds within which something must come after PINGREQ.
    answer_millis: u64,
    sent: Millis,
    received: Millis,
    /// When the PINGREQ that is still unanswered left.
    asked: Option<Millis>,
    /// Whether the caller takes input. While it does not, silence is its own.
    reading: bool,
}

/// What is to be done now.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping,
    /// The server did not answer.
    Silent,
}

impl KeepAlive {
    pub(super) fn new(keep_alive_secs: u16, answer_millis: u64, now: Millis) -> Self {
        KeepAlive {
            interval_millis: interval(keep_alive_secs),
            answer_millis,
            sent: now,
            received: now,
            asked: None,
            reading: true,
        }
    }

    /// The server's keep-alive replaces ours [MQTT-3.2.2-21].
    pub(super) fn impose(&mut self, keep_alive_secs: u16) {
        self.interval_millis = interval(keep_alive_secs);
    }

    /// A packet was written.
    pub(super) fn sent(&mut self, now: Millis) {
        self.sent = now;
    }

    /// PINGREQ was written.
    pub(super) fn asked(&mut self, now: Millis) {
        self.sent = now;
        self.asked.get_or_insert(now);
    }

    /// A packet came: whatever it is, the server is there.
    pub(super) fn received(&mut self, now: Millis) {
        self.received = now;
        self.asked = None;
    }

    pub(super) fn set_reading(&mut self, reading: bool, now: Millis) {
        if reading && !self.reading {
            self.received = now;
            self.asked = self.asked.map(|_| now);
        }
        self.reading = reading;
    }

    /// When [`Self::due`] will be something else than nothing.
    pub(super) fn deadline(&self) -> Millis {
        self.ping_at().min(self.silent_at())
    }

    pub(super) fn due(&self, now: Millis) -> Due {
        if now >= self.silent_at() {
            Due::Silent
        } else if now >= self.ping_at() {
            Due::Ping
        } else {
            Due::Nothing
        }
    }

    /// PINGREQ is due when we sent nothing for the interval [MQTT-3.1.2-20], and also when nothing came: a client that
    /// only publishes at QoS 0 would otherwise never notice that nobody reads.
    fn ping_at(&self) -> Millis {
        if self.interval_millis == 0 {
            return Millis::NEVER;
        }
        let ours = self.sent + self.interval_millis;
        if self.reading && self.asked.is_none() {
            ours.min(self.received + self.interval_millis)
        } else {
            ours
        }
    }

    fn silent_at(&self) -> Millis {
        match self.asked {
            Some(asked) if self.reading => asked + self.answer_millis,
            _ => Millis::NEVER,
        }
    }
}

/// A tenth less than the keep-alive: the packet has to be on its way before the interval ends.
fn interval(keep_alive_secs: u16) -> u64 {
    u64::from(keep_alive_secs) * 900
}
