//! One subscriber's account: whether what arrives is what was sent, once, in order, where it belongs. Not its socket.

use std::collections::VecDeque;
use std::ops::Range;

use whimbrel_codec::{PacketId, Publish, QoS};

use super::clock::Nanos;
use super::desk::{Desk, Run};
use super::plan::{Plan, Receive, Sender};
use super::sequence::{Place, Seen, Stream};
use super::stamp::Stamp;

#[derive(Debug)]
pub(super) struct Receiver {
    qos: QoS,
    account: Account,
    /// QoS 2 packet ids that wait for PUBREL.
    unreleased: VecDeque<u16>,
    /// Retained: when it subscribed.
    pub(super) asked_at: Nanos,
}

#[derive(Debug)]
enum Account {
    /// Everything from these senders.
    All { first: usize, streams: Vec<Stream>, corrupt: u64 },
    /// A part of what the senders of a group send; the desk knows what all members of this thread have got.
    Part { group: usize, senders: Range<usize>, last: Vec<u64>, topics: Option<Range<usize>> },
    /// Each retained message of sender 0 once.
    Retained { seen: Seen, count: u64, subscribed: bool },
}

impl Receiver {
    pub(super) fn new(receive: &Receive, qos: QoS, groups: &[Range<usize>]) -> Receiver {
        let part = |group: usize, topics: Option<Range<usize>>| {
            let senders = groups.get(group).cloned().unwrap_or_default();
            Account::Part { group, last: vec![0; senders.len()], senders, topics }
        };
        let account = match receive {
            Receive::All(senders) => {
                let streams = senders.clone().map(|_| Stream::default()).collect();
                Account::All { first: senders.start, streams, corrupt: 0 }
            }
            Receive::Share { group } => part(*group, None),
            Receive::Spread { group, topics } => part(*group, Some(topics.clone())),
            Receive::Retained { count } => {
                Account::Retained { seen: Seen::default(), count: *count as u64, subscribed: false }
            }
        };
        Receiver { qos, account, unreleased: VecDeque::new(), asked_at: 0 }
    }

    /// Whether it asks for messages only when the load begins.
    pub(super) fn subscribes_later(&self) -> bool {
        matches!(self.account, Account::Retained { .. })
    }

    /// A message has come.
    #[inline]
    pub(super) fn on_publish(&mut self, publish: &Publish<'_>, now: Nanos, run: &Run, desk: &mut Desk) {
        let Some(stamp) = Stamp::read(publish.payload) else {
            return self.on_corrupt(desk);
        };
        let Some(sender) = run.plan.senders.get(stamp.sender as usize) else {
            return self.on_corrupt(desk);
        };
        let expected = run.plan.topic(sender, stamp.number);
        if expected.is_none_or(|(topic, _)| topic != publish.topic) {
            desk.tally.wrong_topic += 1;
        }
        self.check_flags(publish, sender, desk);
        match self.place(stamp, expected.map(|(_, index)| index), desk) {
            Some(Place::Next) => {}
            Some(Place::Late) => desk.tally.reordered += 1,
            Some(Place::Again) => {
                desk.tally.duplicated += 1;
                return;
            }
            Some(Place::Unknown) => {
                desk.tally.unplaced += 1;
                return;
            }
            None => {
                desk.tally.wrong_topic += 1;
                return;
            }
        }
        let due = if self.subscribes_later() { self.asked_at } else { stamp.time };
        desk.arrived(stamp.sender, due, now, publish.payload.len());
    }

    fn on_corrupt(&mut self, desk: &mut Desk) {
        desk.tally.corrupt += 1;
        match &mut self.account {
            Account::All { corrupt, .. } => *corrupt += 1,
            Account::Part { group, .. } => {
                if let Some(corrupt) = desk.corrupt_of_groups.get_mut(*group) {
                    *corrupt += 1;
                }
            }
            Account::Retained { .. } => {}
        }
    }

    fn check_flags(&self, publish: &Publish<'_>, sender: &Sender, desk: &mut Desk) {
        if publish.qos != sender.qos.min(self.qos) {
            desk.tally.wrong_qos += 1;
        }
        // [MQTT-3.3.1-8], [MQTT-3.3.1-9]: set on what was stored, clear on what is forwarded.
        if publish.retain != self.subscribes_later() {
            desk.tally.wrong_retain += 1;
        }
    }

    /// Where the message belongs among those before it; `None` if it is not meant for this receiver.
    #[inline]
    fn place(&mut self, stamp: Stamp, topic: Option<usize>, desk: &mut Desk) -> Option<Place> {
        match &mut self.account {
            Account::All { first, streams, .. } => {
                let stream = (stamp.sender as usize).checked_sub(*first)?;
                Some(streams.get_mut(stream)?.place(stamp.number))
            }
            Account::Part { group, senders, last, topics } => {
                let sender = (stamp.sender as usize).checked_sub(senders.start)?;
                if topics.as_ref().is_some_and(|topics| topic.is_none_or(|topic| !topics.contains(&topic))) {
                    return None;
                }
                let last = last.get_mut(sender)?;
                let place = match desk.seen.get_mut(*group)?.get_mut(sender)?.mark(stamp.number) {
                    None => Place::Unknown,
                    Some(false) => Place::Again,
                    Some(true) if stamp.number < *last => Place::Late,
                    Some(true) => Place::Next,
                };
                *last = stamp.number.max(*last);
                Some(place)
            }
            Account::Retained { seen, .. } => match seen.mark(stamp.number) {
                None => Some(Place::Unknown),
                Some(true) => Some(Place::Next),
                Some(false) => Some(Place::Again),
            },
        }
    }

    /// A message of QoS 2 waits for its release.
    pub(super) fn hold(&mut self, packet_id: PacketId) {
        self.unreleased.push_back(packet_id.value());
    }

    /// Whether there was something to release.
    pub(super) fn release(&mut self, packet_id: PacketId) -> bool {
        let id = packet_id.value();
        match self.unreleased.iter().position(|held| *held == id) {
            Some(at) => self.unreleased.remove(at).is_some(),
            None => false,
        }
    }

    /// Retained: a subscription begins.
    pub(super) fn begin(&mut self, now: Nanos) {
        self.asked_at = now;
        if let Account::Retained { seen, subscribed, .. } = &mut self.account {
            seen.clear();
            *subscribed = true;
        }
    }

    /// Retained: whether the subscription has brought everything. It is told once.
    pub(super) fn has_just_completed(&mut self) -> bool {
        match &mut self.account {
            Account::Retained { seen, count, subscribed } if *subscribed && seen.count() >= *count => {
                *subscribed = false;
                true
            }
            _ => false,
        }
    }

    /// How many of its messages are missing, when senders have sent so many, and how many of these at QoS 0; those
    /// of a group are the group's.
    pub(super) fn missing(&self, plan: &Plan, sent: impl Fn(usize) -> u64) -> (u64, u64) {
        let qos_of = |sender: usize| plan.senders.get(sender).map_or(QoS::AtMostOnce, |sender| sender.qos);
        match &self.account {
            Account::All { first, streams, corrupt } => {
                let lost: u64 =
                    streams.iter().enumerate().map(|(index, stream)| stream.lost(sent(first + index))).sum();
                // What came and could not be read is counted as corrupt, and not once more as lost.
                let lost = lost.saturating_sub(*corrupt);
                let is_qos0 = self.qos.min(qos_of(*first)) == QoS::AtMostOnce;
                (lost, if is_qos0 { lost } else { 0 })
            }
            Account::Retained { seen, count, subscribed: true } => (count.saturating_sub(seen.count()), 0),
            Account::Retained { subscribed: false, .. } | Account::Part { .. } => (0, 0),
        }
    }
}
