//! A subscriber's session by the book, and what has arrived at it how often. It outlives connections and does no input
//! or output.

use std::collections::BTreeSet;

use whimbrel_codec::{
    Filters, Packet, PacketId, PacketType, Publish, QoS, Subscribe, SubscribeOptions, UserProperties, Version,
};

use super::publisher::{Fate, Publisher, acknowledge, read_payload, retained_slot};

/// Numbers beyond this were never sent in any run.
const NUMBER_MAX: u64 = 1 << 24;

/// One subscriber to one publisher.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) lane: usize,
    pub(super) client_id: String,
    pub(super) version: Version,
    pub(super) qos: QoS,
    filter: String,
    /// Whether it stays away now and then, so that its messages have to be kept for it.
    pub(super) is_sleeper: bool,
    /// How often each number has come.
    pub(super) arrivals: Vec<u32>,
    /// Messages that came after one that was sent later.
    pub(super) late: u64,
    /// Messages that nobody sent here.
    pub(super) strangers: u64,
    /// Acknowledged and not arrived when the broker had forgotten the session.
    pub(super) forgotten: BTreeSet<u64>,
    /// QoS 2 messages that have come and are not released.
    open: BTreeSet<PacketId>,
    is_subscribed: bool,
    pub(super) sessions_lost: u64,
    pub(super) sessions_resumed: u64,
    /// Packets of all kinds that brought something.
    pub(super) publishes: u64,
}

impl Receiver {
    pub(super) fn new(publisher: &Publisher, prefix: &str, version: Version, is_sleeper: bool) -> Receiver {
        let kind = if is_sleeper { "away" } else { "sub" };
        Receiver {
            lane: publisher.lane,
            client_id: format!("{prefix}-{kind}{}", publisher.lane),
            version,
            qos: publisher.qos,
            filter: publisher.topic().to_owned(),
            is_sleeper,
            arrivals: Vec::new(),
            late: 0,
            strangers: 0,
            forgotten: BTreeSet::new(),
            open: BTreeSet::new(),
            is_subscribed: false,
            sessions_lost: 0,
            sessions_resumed: 0,
            publishes: 0,
        }
    }

    /// A new connection stands. Whether SUBSCRIBE was written, so that SUBACK is to be waited for.
    pub(super) fn resume(&mut self, session_present: bool, publisher: &Publisher, out: &mut Vec<u8>) -> bool {
        if self.is_subscribed {
            *if session_present { &mut self.sessions_resumed } else { &mut self.sessions_lost } += 1;
        }
        if session_present && self.is_subscribed {
            return false;
        }
        if !session_present {
            self.open.clear();
            self.forgotten.extend(self.missing(publisher));
            self.is_subscribed = false;
        }
        let Some(packet_id) = PacketId::new(1) else { return false };
        let filters = [(self.filter.as_str(), SubscribeOptions::with_qos(self.qos))];
        let subscribe = Subscribe {
            packet_id,
            subscription_id: None,
            user_properties: UserProperties::default(),
            filters: Filters::from_slice(&filters),
        };
        subscribe.encode(self.version, out);
        true
    }

    /// Takes what the broker sends. False when it refuses the subscription.
    pub(super) fn handle(&mut self, packet: &Packet<'_>, out: &mut Vec<u8>) -> bool {
        match packet {
            Packet::SubAck(ack) => {
                self.is_subscribed = ack.reasons.iter().next().is_some_and(|reason| !reason.is_error());
                return self.is_subscribed;
            }
            Packet::Publish(publish) => self.handle_publish(publish, out),
            Packet::PubRel(ack) => {
                self.open.remove(&ack.packet_id);
                acknowledge(PacketType::PubComp, ack.packet_id, self.version, out);
            }
            _ => {}
        }
        true
    }

    pub(super) fn is_subscribed(&self) -> bool {
        self.is_subscribed
    }

    /// Acknowledged messages of the publisher that have not arrived.
    pub(super) fn missing(&self, publisher: &Publisher) -> Vec<u64> {
        let numbers = (0..).zip(&publisher.fates);
        let owed =
            numbers.filter(|(number, fate)| **fate == Fate::Acknowledged && retained_slot(*number).is_none());
        owed.map(|(number, _)| number).filter(|number| self.arrived(*number) == 0).collect()
    }

    /// Messages of the publisher that were sent at QoS 0 and have not arrived.
    pub(super) fn missing_unpromised(&self, publisher: &Publisher) -> u64 {
        let numbers = (0..).zip(&publisher.fates);
        let sent = numbers
            .filter(|(number, fate)| **fate == Fate::Unpromised && retained_slot(*number).is_none())
            .filter(|(number, _)| self.arrived(*number) == 0);
        sent.count() as u64
    }

    pub(super) fn arrived(&self, number: u64) -> u32 {
        self.arrivals.get(number as usize).copied().unwrap_or(0)
    }

    fn handle_publish(&mut self, publish: &Publish<'_>, out: &mut Vec<u8>) {
        self.publishes += 1;
        match (publish.qos, publish.packet_id) {
            (QoS::AtLeastOnce, Some(packet_id)) => {
                self.arrive(publish);
                acknowledge(PacketType::PubAck, packet_id, self.version, out);
            }
            (QoS::ExactlyOnce, Some(packet_id)) => {
                // [MQTT-4.3.3-10] Until PUBREL an identifier that comes again is the same message.
                if self.open.insert(packet_id) {
                    self.arrive(publish);
                }
                acknowledge(PacketType::PubRec, packet_id, self.version, out);
            }
            _ => self.arrive(publish),
        }
    }

    fn arrive(&mut self, publish: &Publish<'_>) {
        let told = read_payload(publish.payload);
        let number = told.filter(|(lane, number)| *lane == self.lane && *number < NUMBER_MAX);
        let Some((_, number)) = number.filter(|_| publish.topic == self.filter) else {
            self.strangers += 1;
            return;
        };
        let at = number as usize;
        let is_last = at >= self.arrivals.len();
        if is_last {
            self.arrivals.resize(at + 1, 0);
        }
        if let Some(count) = self.arrivals.get_mut(at) {
            self.late += u64::from(*count == 0 && !is_last);
            *count += 1;
        }
    }
}
