//! A publisher's session by the book: what is under way, under which packet identifier, and what became of it. It
//! outlives connections and does no input or output.

use std::collections::VecDeque;

use whimbrel_codec::{Ack, Packet, PacketId, PacketType, Publish, QoS, ReasonCode, Version};

use super::retained::Retained;

/// Of so many messages one is retained.
const RETAINED_EVERY: u64 = 5;
/// Retained topics of one publisher.
pub(super) const RETAINED_TOPICS: usize = 4;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is under way.
    Sent,
    /// The broker has taken it: PUBACK, or PUBREC.
    Acknowledged,
    /// The broker has said no.
    Refused,
    /// The broker had forgotten the session before it answered, and with it the message may not be sent again.
    Abandoned,
    /// It was sent at QoS 0: nobody answers, and nothing is promised.
    Unpromised,
}

/// A message that is not yet through.
#[derive(Clone, Copy, Debug)]
struct Flight {
    number: u64,
    packet_id: PacketId,
    /// Whether PUBREC has come, so that PUBREL is what is sent again.
    is_received: bool,
}

/// One publisher.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) lane: usize,
    pub(super) client_id: String,
    pub(super) version: Version,
    pub(super) qos: QoS,
    topic: String,
    pub(super) retained: Vec<Retained>,
    pub(super) fates: Vec<Fate>,
    flights: VecDeque<Flight>,
    packet_id: u16,
    window: usize,
    window_max: usize,
    payload_bytes: usize,
    has_session: bool,
    /// Packets that brought something.
    pub(super) answers: u64,
    pub(super) sessions_lost: u64,
    pub(super) sessions_resumed: u64,
}

impl Publisher {
    /// One that publishes to `topic` and, one message of five, to the topics that [`Self::retained_topic`] tells.
    pub(super) fn new(
        lane: usize,
        prefix: &str,
        (version, qos): (Version, QoS),
        window: usize,
        payload_bytes: usize,
    ) -> Publisher {
        Publisher {
            lane,
            client_id: format!("{prefix}-pub{lane}"),
            version,
            qos,
            topic: format!("{prefix}/{lane}"),
            retained: vec![Retained::new(); RETAINED_TOPICS],
            fates: Vec::new(),
            flights: VecDeque::new(),
            packet_id: 0,
            window,
            window_max: window,
            payload_bytes,
            has_session: false,
            answers: 0,
            sessions_lost: 0,
            sessions_resumed: 0,
        }
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    pub(super) fn retained_topic(&self, slot: usize) -> String {
        format!("{}/retained/{slot}", self.topic)
    }

    /// A new connection stands. What is under way is sent again, in its order and under its identifiers
    /// [MQTT-4.4.0-1], unless the broker has forgotten the session.
    pub(super) fn resume(&mut self, session_present: bool, receive_maximum: u16, out: &mut Vec<u8>) {
        self.window = self.window_max.min(usize::from(receive_maximum));
        if self.has_session {
            *if session_present { &mut self.sessions_resumed } else { &mut self.sessions_lost } += 1;
        }
        self.has_session = true;
        if !session_present {
            for flight in std::mem::take(&mut self.flights) {
                match self.fate(flight.number) {
                    Some(Fate::Sent) => self.settle(flight.number, Fate::Abandoned),
                    _ => self.settle_retained(flight.number, Fate::Abandoned),
                }
            }
        }
        for flight in &self.flights {
            match flight.is_received {
                true => acknowledge(PacketType::PubRel, flight.packet_id, self.version, out),
                false => self.put(flight.number, Some(flight.packet_id), true, out),
            }
        }
    }

    /// Whether another message may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.flights.len() < self.window
    }

    /// Whether nothing is under way.
    pub(super) fn is_settled(&self) -> bool {
        self.flights.is_empty()
    }

    /// Sends the next message.
    pub(super) fn publish(&mut self, out: &mut Vec<u8>) {
        let number = self.fates.len() as u64;
        if let Some(retained) = retained_slot(number).and_then(|slot| self.retained.get_mut(slot)) {
            retained.publish(number);
        }
        if self.qos == QoS::AtMostOnce {
            self.fates.push(Fate::Unpromised);
            self.settle_retained(number, Fate::Unpromised);
            self.put(number, None, false, out);
            return;
        }
        let flight = Flight { number, packet_id: self.next_packet_id(), is_received: false };
        self.fates.push(Fate::Sent);
        self.flights.push_back(flight);
        self.put(number, Some(flight.packet_id), false, out);
    }

    /// Takes what the broker answers.
    pub(super) fn handle(&mut self, packet: &Packet<'_>, out: &mut Vec<u8>) {
        self.answers += 1;
        match packet {
            Packet::PubAck(ack) if self.qos == QoS::AtLeastOnce => {
                if let Some(flight) = self.remove(ack.packet_id, |_| true) {
                    self.settle(flight.number, fate(ack.reason));
                }
            }
            Packet::PubRec(ack) => self.handle_pubrec(ack, out),
            Packet::PubComp(ack) => {
                if let Some(flight) = self.remove(ack.packet_id, |flight| flight.is_received) {
                    self.settle_retained(flight.number, Fate::Acknowledged);
                }
            }
            _ => {}
        }
    }

    fn handle_pubrec(&mut self, ack: &Ack<'_>, out: &mut Vec<u8>) {
        let Some(flight) = self.flights.iter_mut().find(|flight| flight.packet_id == ack.packet_id) else {
            return;
        };
        let (number, is_first) = (flight.number, !flight.is_received);
        flight.is_received = true;
        if is_first {
            self.settle(number, fate(ack.reason));
        }
        if ack.reason.is_error() {
            self.remove(ack.packet_id, |_| true);
        } else {
            acknowledge(PacketType::PubRel, ack.packet_id, self.version, out);
        }
    }

    fn remove(&mut self, packet_id: PacketId, is_due: impl Fn(&Flight) -> bool) -> Option<Flight> {
        let at = self.flights.iter().position(|flight| flight.packet_id == packet_id && is_due(flight))?;
        self.flights.remove(at)
    }

    fn settle(&mut self, number: u64, fate: Fate) {
        if let Some(slot) = self.fates.get_mut(number as usize) {
            *slot = fate;
        }
        // A QoS 2 message may be held back until PUBREL; when PUBCOMP has come it must be there.
        if fate != Fate::Acknowledged || self.qos == QoS::AtLeastOnce {
            self.settle_retained(number, fate);
        }
    }

    fn settle_retained(&mut self, number: u64, fate: Fate) {
        if let Some(retained) = retained_slot(number).and_then(|slot| self.retained.get_mut(slot)) {
            match fate {
                Fate::Acknowledged => retained.acknowledge(number),
                Fate::Sent | Fate::Refused | Fate::Abandoned | Fate::Unpromised => retained.abandon(number),
            }
        }
    }

    fn fate(&self, number: u64) -> Option<Fate> {
        self.fates.get(number as usize).copied()
    }

    fn put(&self, number: u64, packet_id: Option<PacketId>, dup: bool, out: &mut Vec<u8>) {
        let slot = retained_slot(number);
        let topic = slot.map_or_else(|| self.topic.clone(), |slot| self.retained_topic(slot));
        let payload = payload(self.lane, number, self.payload_bytes);
        let publish = Publish {
            dup,
            qos: self.qos,
            retain: slot.is_some(),
            topic: &topic,
            packet_id,
            payload: payload.as_bytes(),
            ..Publish::default()
        };
        publish.encode(self.version, out);
    }

    fn next_packet_id(&mut self) -> PacketId {
        loop {
            self.packet_id = self.packet_id.wrapping_add(1);
            let free = PacketId::new(self.packet_id)
                .filter(|id| !self.flights.iter().any(|flight| flight.packet_id == *id));
            if let Some(id) = free {
                return id;
            }
        }
    }
}

fn fate(reason: ReasonCode) -> Fate {
    if reason.is_error() { Fate::Refused } else { Fate::Acknowledged }
}

/// The retained topic that a message goes to; `None` for those that go to subscribers.
pub(super) fn retained_slot(number: u64) -> Option<usize> {
    let is_retained = number % RETAINED_EVERY == RETAINED_EVERY - 1;
    is_retained.then_some((number / RETAINED_EVERY) as usize % RETAINED_TOPICS)
}

/// `LANE NUMBER`, and dots up to the length.
fn payload(lane: usize, number: u64, bytes: usize) -> String {
    let text = format!("{lane} {number} ");
    format!("{text:.<bytes$}")
}

/// What [`payload`] tells.
pub(super) fn read_payload(payload: &[u8]) -> Option<(usize, u64)> {
    let mut words = std::str::from_utf8(payload).ok()?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// Writes PUBACK, PUBREC, PUBREL or PUBCOMP.
pub(super) fn acknowledge(kind: PacketType, packet_id: PacketId, version: Version, out: &mut Vec<u8>) {
    Ack::new(packet_id, ReasonCode::Success).encode(kind, version, out);
}
