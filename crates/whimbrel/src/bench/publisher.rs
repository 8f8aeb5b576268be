//! One publisher: what it may send now, and what has become of what it has sent. Not its socket.

use std::collections::VecDeque;
use std::rc::Rc;

use whimbrel_codec::{Ack, PacketId, PacketType, QoS, ReasonCode};

use super::clock::{Nanos, SECOND};
use super::desk::Desk;
use super::link::{Link, UNWRITTEN_BYTES_MAX};
use super::plan::{Sender, Topics};
use super::publish_frame::Frames;
use super::quantity::PayloadSize;
use super::rounds::Rounds;
use super::settings::{Drive, Settings};
use super::stamp::Stamp;

/// How long a publisher in a closed loop waits for what does not come.
const STALL: Nanos = SECOND;

#[derive(Debug)]
pub(super) struct Publisher {
    sender: u32,
    qos: QoS,
    frames: Frames,
    /// The number of the next message.
    number: u64,
    /// How many messages it sends in all.
    limit: u64,
    next_id: u16,
    /// Packet ids that wait for their last acknowledgement, in the order of sending, with the moment at which each was due.
    in_flight: VecDeque<(u16, Nanos)>,
    /// How many at the front of `in_flight` have got their PUBREC.
    received: usize,
    in_flight_max: usize,
    copies: u64,
    /// Deliveries that have arrived, and those on which it has given up.
    arrived: u64,
    progress_at: Nanos,
    running: bool,
    /// Whether it takes back what another has left behind.
    pub(super) clears: bool,
    schedule: Schedule,
}

/// Open loop: which messages are due.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Schedule {
    /// All publishers' rounds, and this one's turn in each.
    rounds: Option<(Rounds, usize)>,
    /// Messages that have become due, and those of them that have been sent.
    due: u64,
    sent: u64,
}

impl Schedule {
    pub(super) fn new(rounds: Option<Rounds>, turn: usize) -> Schedule {
        Schedule { rounds: rounds.map(|rounds| (rounds, turn)), due: 0, sent: 0 }
    }

    /// The next messages that have become due at one moment, at most so many, and that moment.
    fn take(&mut self, batch: u64, most: u64) -> Option<(u64, Nanos)> {
        let left_of_batch = batch - self.sent % batch;
        let messages = left_of_batch.min(self.due - self.sent).min(most);
        let (rounds, turn) = self.rounds?;
        let due = rounds.due_of(turn, self.sent / batch);
        self.sent += messages;
        (messages > 0).then_some((messages, due))
    }
}

impl Publisher {
    pub(super) fn new(index: usize, sender: &Sender, settings: &Settings, filler: Rc<[u8]>) -> Publisher {
        let topic = match &sender.topics {
            Topics::One(topic) => topic.as_str(),
            Topics::Spread { .. } => "",
        };
        let size = if sender.clears { PayloadSize { min: 0, max: 0 } } else { settings.size };
        Publisher {
            sender: index as u32,
            qos: sender.qos,
            frames: Frames::new(settings.version, sender.qos, sender.retain, topic, size, filler),
            number: 0,
            limit: u64::MAX,
            next_id: 0,
            in_flight: VecDeque::new(),
            received: 0,
            in_flight_max: usize::from(u16::MAX),
            copies: u64::from(sender.copies),
            arrived: 0,
            progress_at: 0,
            running: false,
            clears: sender.clears,
            schedule: Schedule::default(),
        }
    }

    pub(super) fn sender(&self) -> usize {
        self.sender as usize
    }

    /// How many messages it has sent.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn start(&mut self, limit: Option<u64>, schedule: Schedule, now: Nanos) {
        self.limit = limit.map_or(u64::MAX, |limit| self.number + limit);
        self.schedule = schedule;
        self.progress_at = now;
        self.running = true;
    }

    /// The broker told how many messages it takes unacknowledged.
    pub(super) fn set_receive_maximum(&mut self, maximum: u16) {
        self.in_flight_max = usize::from(maximum);
    }

    /// Open loop: one more batch is due, or what is left of it. Returns how many messages that is.
    pub(super) fn batch_due(&mut self, batch: u64) -> u64 {
        let waiting = self.schedule.due - self.schedule.sent;
        let due = batch.min(self.limit.saturating_sub(self.number.saturating_add(waiting)));
        self.schedule.due += due;
        due
    }

    /// Deliveries of its messages have arrived.
    pub(super) fn credit(&mut self, deliveries: u64, now: Nanos) {
        self.arrived += deliveries;
        self.progress_at = now;
    }

    /// Sends no more of its own accord.
    pub(super) fn stop(&mut self, desk: &mut Desk) {
        if std::mem::take(&mut self.running) {
            desk.tally.unsent += self.schedule.due - self.schedule.sent;
        }
    }

    /// Whether it has nothing more to send and nothing to wait for.
    pub(super) fn is_done(&self) -> bool {
        (!self.running || self.number >= self.limit) && self.in_flight.is_empty()
    }

    /// Appends whatever may go now.
    pub(super) fn fill(&mut self, now: Nanos, desk: &mut Desk, link: &mut Link) {
        if !self.running {
            return;
        }
        match desk.settings().pace {
            Drive::Closed { window } => {
                while let Some(messages) = self.room(window, desk.settings().batch, link) {
                    self.put(messages, now, now, desk, link);
                }
            }
            Drive::Open { .. } => {
                let batch = desk.settings().batch;
                while link.unwritten() < UNWRITTEN_BYTES_MAX {
                    let most = self.free_ids().min(self.limit.saturating_sub(self.number));
                    let Some((messages, due)) = self.schedule.take(batch, most) else { return };
                    self.put(messages, due, now, desk, link);
                }
            }
        }
    }

    /// How many messages the window lets go now: a whole batch, or the last ones.
    fn room(&self, window: u64, batch: u64, link: &Link) -> Option<u64> {
        let window = match self.qos {
            QoS::AtMostOnce => window,
            QoS::AtLeastOnce | QoS::ExactlyOnce => window.min(self.in_flight_max as u64),
        };
        let messages = batch.min(window).min(self.limit.saturating_sub(self.number));
        let unarrived = match self.copies {
            0 => 0,
            copies => self.number.saturating_sub(self.arrived / copies),
        };
        let on_their_way = unarrived.max(self.in_flight.len() as u64);
        let fits =
            messages > 0 && on_their_way + messages <= window && link.unwritten() < UNWRITTEN_BYTES_MAX;
        fits.then_some(messages)
    }

    fn free_ids(&self) -> u64 {
        match self.qos {
            QoS::AtMostOnce => u64::MAX,
            QoS::AtLeastOnce | QoS::ExactlyOnce => {
                self.in_flight_max.saturating_sub(self.in_flight.len()) as u64
            }
        }
    }

    fn put(&mut self, messages: u64, due: Nanos, now: Nanos, desk: &mut Desk, link: &mut Link) {
        let run = &desk.run;
        let sender = run.plan.senders.get(self.sender as usize);
        for _ in 0..messages {
            let topic = sender.and_then(|sender| run.plan.topic(sender, self.number));
            let stamp = Stamp { sender: self.sender, number: self.number, time: due };
            let packet_id = (self.qos != QoS::AtMostOnce).then(|| self.packet_id(due));
            self.frames.append(topic.unwrap_or_default().0, stamp, packet_id.flatten(), &mut link.out);
            self.number += 1;
        }
        self.progress_at = now;
        desk.has_sent(messages, due, now);
    }

    fn packet_id(&mut self, due: Nanos) -> Option<PacketId> {
        // Identifiers in flight are at most 65,535 and leave in order, so that the next is free.
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        self.in_flight.push_back((self.next_id, due));
        PacketId::new(self.next_id)
    }

    /// An acknowledgement of one of its messages has come.
    pub(super) fn on_ack(
        &mut self,
        kind: PacketType,
        ack: Ack<'_>,
        now: Nanos,
        desk: &mut Desk,
        link: &mut Link,
    ) {
        let id = ack.packet_id.value();
        self.progress_at = now;
        if ack.reason.is_error() {
            desk.tally.refused += 1;
        }
        let ends = match (kind, self.qos) {
            (PacketType::PubAck, QoS::AtLeastOnce) | (PacketType::PubComp, QoS::ExactlyOnce) => true,
            (PacketType::PubRec, QoS::ExactlyOnce) if ack.reason.is_error() => true,
            (PacketType::PubRec, QoS::ExactlyOnce) => {
                if self.in_flight.get(self.received).is_some_and(|(waiting, _)| *waiting == id) {
                    self.received += 1;
                } else if !self.in_flight.iter().any(|(waiting, _)| *waiting == id) {
                    desk.tally.unexpected += 1;
                }
                // [MQTT-4.3.3-1]
                Ack::new(ack.packet_id, ReasonCode::Success).encode(
                    PacketType::PubRel,
                    desk.settings().version,
                    &mut link.out,
                );
                return;
            }
            _ => false,
        };
        match ends.then(|| self.forget(id)).flatten() {
            Some(due) => desk.acknowledged(due, now),
            None => desk.tally.unexpected += 1,
        }
    }

    /// Takes it from those that wait, and says when it was due.
    fn forget(&mut self, id: u16) -> Option<Nanos> {
        let at = match self.in_flight.front() {
            Some((front, _)) if *front == id => Some(0),
            _ => self.in_flight.iter().position(|(waiting, _)| *waiting == id),
        }?;
        let (_, due) = self.in_flight.remove(at)?;
        if at < self.received {
            self.received -= 1;
        }
        Some(due)
    }

    /// In a closed loop a message that is lost would stop its publisher for good: after a second it is given up, and
    /// says so. Whoever looks calls this now and then.
    pub(super) fn look_after(&mut self, now: Nanos, desk: &mut Desk) -> bool {
        let waits = self.running && self.number < self.limit && now.saturating_sub(self.progress_at) > STALL;
        let is_closed = matches!(desk.settings().pace, Drive::Closed { .. });
        let all = self.number * self.copies;
        if !waits || !is_closed || (self.arrived >= all && self.in_flight.is_empty()) {
            return false;
        }
        self.arrived = self.arrived.max(all);
        self.give_up(desk);
        desk.tally.stalls += 1;
        self.progress_at = now;
        true
    }

    /// Whether it has nothing more to send and no acknowledgement has come for too long.
    pub(super) fn has_waited_in_vain(&self, now: Nanos, patience: Nanos) -> bool {
        let is_waiting = (!self.running || self.number >= self.limit) && !self.in_flight.is_empty();
        is_waiting && now.saturating_sub(self.progress_at) > patience
    }

    /// Nothing that is in flight will be acknowledged any more.
    pub(super) fn give_up(&mut self, desk: &mut Desk) {
        desk.tally.unacknowledged += self.in_flight.len() as u64;
        self.in_flight.clear();
        self.received = 0;
    }
}
