//! The account at the end: what was promised, and what became of it. Not how it is printed.

use whimbrel_codec::{QoS, Version};

use super::publisher::{Fate, Publisher, retained_slot};
use super::receiver::Receiver;
use super::retained::Wrong;

/// One way to publish: a version and a QoS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) version: Version,
    pub(super) qos: QoS,
    pub(super) tally: Tally,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) published: u64,
    pub(super) acknowledged: u64,
    pub(super) refused: u64,
    /// Under way when the broker forgot the publisher's session: not to be sent again, and not promised.
    pub(super) abandoned: u64,
    /// Under way at the end: the broker never answered.
    pub(super) unanswered: u64,
    /// Acknowledged messages times their subscribers.
    pub(super) owed: u64,
    pub(super) lost: u64,
    /// Of the lost, those to subscribers whose session the broker had forgotten.
    pub(super) lost_with_session: u64,
    /// QoS 0 messages that did not come to the subscriber that is always there, as they may not.
    pub(super) unpromised_missing: u64,
    /// QoS 0 messages that came more than once.
    pub(super) qos0_duplicates: u64,
    /// QoS 2 messages that came more than once.
    pub(super) duplicates: u64,
    /// QoS 1 messages that came more than once, as they may.
    pub(super) repeated: u64,
    /// Messages that came after one that was sent later.
    pub(super) late: u64,
    /// Messages that nobody had sent.
    pub(super) strangers: u64,
    pub(super) sessions_resumed: u64,
    pub(super) sessions_lost: u64,
    pub(super) retained_checked: u64,
    pub(super) retained_lost: u64,
    pub(super) retained_stale: u64,
    pub(super) retained_strangers: u64,
}

impl Tally {
    /// Whether every promise was kept.
    pub(super) fn is_right(&self) -> bool {
        self.broken() == 0
    }

    /// Promises that were not kept.
    fn broken(&self) -> u64 {
        self.lost
            + self.qos0_duplicates
            + self.duplicates
            + self.strangers
            + self.unanswered
            + self.sessions_lost
            + self.retained_lost
            + self.retained_stale
            + self.retained_strangers
    }

    /// The columns of the report, with the name that each has in JSON.
    pub(super) fn columns(&self) -> [(&'static str, u64); 20] {
        [
            ("published", self.published),
            ("acknowledged", self.acknowledged),
            ("refused", self.refused),
            ("abandoned", self.abandoned),
            ("unanswered", self.unanswered),
            ("owed", self.owed),
            ("lost", self.lost),
            ("lost_with_session", self.lost_with_session),
            ("qos0_missing", self.unpromised_missing),
            ("qos0_duplicates", self.qos0_duplicates),
            ("qos2_duplicates", self.duplicates),
            ("qos1_repeated", self.repeated),
            ("late", self.late),
            ("strangers", self.strangers),
            ("sessions_resumed", self.sessions_resumed),
            ("sessions_lost", self.sessions_lost),
            ("retained_checked", self.retained_checked),
            ("retained_lost", self.retained_lost),
            ("retained_stale", self.retained_stale),
            ("retained_strangers", self.retained_strangers),
        ]
    }

    /// Counts what one look at a retained topic found.
    pub(super) fn count_retained(&mut self, wrong: Option<Wrong>) {
        self.retained_checked += 1;
        match wrong {
            None => {}
            Some(Wrong::Lost) => self.retained_lost += 1,
            Some(Wrong::Stale) => self.retained_stale += 1,
            Some(Wrong::Stranger) => self.retained_strangers += 1,
        }
    }

    fn add_publisher(&mut self, publisher: &Publisher) {
        self.published += publisher.fates.len() as u64;
        for fate in &publisher.fates {
            match fate {
                Fate::Sent => self.unanswered += 1,
                Fate::Acknowledged => self.acknowledged += 1,
                Fate::Refused => self.refused += 1,
                Fate::Abandoned => self.abandoned += 1,
                Fate::Unpromised => {}
            }
        }
        self.sessions_resumed += publisher.sessions_resumed;
        self.sessions_lost += publisher.sessions_lost;
    }

    fn add_receiver(&mut self, receiver: &Receiver, publisher: &Publisher) {
        let numbers = (0..).zip(&publisher.fates);
        let acknowledged = numbers.filter(|(number, fate)| is_owed(*number, **fate)).count() as u64;
        let missing = receiver.missing(publisher);
        self.owed += acknowledged;
        self.lost += missing.len() as u64;
        self.lost_with_session +=
            missing.iter().filter(|number| receiver.forgotten.contains(number)).count() as u64;
        let again: u64 = receiver.arrivals.iter().map(|count| u64::from(count.saturating_sub(1))).sum();
        match receiver.qos {
            QoS::ExactlyOnce => self.duplicates += again,
            QoS::AtLeastOnce => self.repeated += again,
            // [MQTT-4.3.1-1]
            QoS::AtMostOnce => self.qos0_duplicates += again,
        }
        if !receiver.is_sleeper {
            self.unpromised_missing += receiver.missing_unpromised(publisher);
        }
        let never_sent =
            receiver.arrivals.iter().skip(publisher.fates.len()).filter(|count| **count > 0).count();
        self.strangers += receiver.strangers + never_sent as u64;
        self.late += receiver.late;
        self.sessions_resumed += receiver.sessions_resumed;
        self.sessions_lost += receiver.sessions_lost;
    }
}

fn is_owed(number: u64, fate: Fate) -> bool {
    fate == Fate::Acknowledged && retained_slot(number).is_none()
}

/// Sums up one lane; `tally` holds what was found about its retained topics on the way.
pub(super) fn lane(publisher: &Publisher, receivers: &[Receiver], tally: &Tally) -> Lane {
    let mut tally = tally.clone();
    tally.add_publisher(publisher);
    for receiver in receivers.iter().filter(|receiver| receiver.lane == publisher.lane) {
        tally.add_receiver(receiver, publisher);
    }
    Lane { version: publisher.version, qos: publisher.qos, tally }
}
