//! PUBLISH from the server, our PUBACK and PUBREC for it, and its PUBREL.

use alloc::vec::Vec;

use super::{Ack, Connection, Event, Misuse, publish_out::put_ack, session::Arrival};
use crate::{
    Millis, Release, Violation,
    codec::{Ack as AckPacket, PacketType, Peer, Publish, QoS, ReasonCode, Version},
};

impl Connection {
    /// The application has taken a message ([`ReasonCode::Success`]), or refuses it with an error. The acknowledgement
    /// leaves once those of all earlier messages have left. It may be given when the connection is over; what is of
    /// use then is remembered.
    ///
    /// Before 5.0 there is no way to refuse, and every reason is a success.
    ///
    /// # Errors
    /// A client may not send this reason code in PUBACK or PUBREC. The token is spent.
    pub fn acknowledge(
        &mut self,
        ack: Ack,
        reason: ReasonCode,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        let Ack { packet_id, qos, life, link } = ack;
        let kind = if qos == QoS::AtLeastOnce { PacketType::PubAck } else { PacketType::PubRec };
        // [MQTT-3.4.2-1] [MQTT-3.5.2-1]
        if !reason.allowed_in(kind, Peer::Client) {
            return Err(Misuse::ReasonNotAllowed(reason));
        }
        let reason = if self.version == Version::V5 { reason } else { ReasonCode::Success };
        let valid = match qos {
            QoS::ExactlyOnce => life == self.session.life,
            _ => link == self.session.link,
        };
        if !valid {
            return Ok(());
        }
        self.acks.answer(packet_id, qos, reason);
        if qos == QoS::ExactlyOnce {
            self.session.answer(packet_id, reason);
        }
        if self.is_open() {
            self.write_acks(now, out);
        }
        Ok(())
    }

    /// PUBLISH with a topic alias resolved, duplicates of QoS 2 held back [MQTT-4.3.3-10].
    pub(super) fn handle_publish<'a>(
        &'a mut self,
        publish: Publish<'a>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'a>>, Violation> {
        let alias = publish.properties.topic_alias;
        let Some(packet_id) = publish.packet_id else {
            let topic = self.aliases_in.resolve(publish.topic, alias, self.aliases_in_max)?;
            return Ok(Some(Event::Message { publish, topic, ack: None }));
        };
        if !self.quota.take() {
            return Err(Violation::ReceiveMaximumExceeded); // [MQTT-3.3.4-9]
        }
        let qos = publish.qos;
        self.acks.owe(packet_id, qos);
        if qos == QoS::ExactlyOnce {
            let arrival = self.session.arrive(packet_id);
            if arrival != Arrival::New {
                if !self.session.incoming.renew(packet_id) {
                    self.quota.give_back(); // Its first copy on this connection has taken what PUBREL gives back.
                }
                // Also what is not delivered again may set an alias.
                self.aliases_in.resolve(publish.topic, alias, self.aliases_in_max)?;
                if arrival == Arrival::Taken {
                    self.acks.answer(packet_id, qos, ReasonCode::Success);
                    self.write_acks(now, out);
                }
                return Ok(None);
            }
        }
        let ack = Ack { packet_id, qos, life: self.session.life, link: self.session.link };
        let topic = self.aliases_in.resolve(publish.topic, alias, self.aliases_in_max)?;
        Ok(Some(Event::Message { publish, topic, ack: Some(ack) }))
    }

    /// PUBREL is always answered, known or not: the server waits for PUBCOMP [MQTT-4.3.3-11].
    pub(super) fn handle_pubrel<'a>(
        &mut self,
        ack: &AckPacket<'a>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Option<Event<'a>> {
        let packet_id = ack.packet_id;
        let release = self.session.release(packet_id); // [MQTT-4.3.3-12]
        let known = release != Release::Unknown;
        let reason = if known { ReasonCode::Success } else { ReasonCode::PacketIdNotFound };
        put_ack(PacketType::PubComp, packet_id, reason, self.version, out);
        if release == Release::Present {
            self.quota.give_back(); // A message of an earlier connection has taken nothing of this one's.
        }
        self.keep_alive.sent(now);
        if known { None } else { Some(Event::Stray { kind: PacketType::PubRel, packet_id }) }
    }

    /// Writes the acknowledgements whose turn it is.
    fn write_acks(&mut self, now: Millis, out: &mut Vec<u8>) {
        while let Some(written) = self.acks.write_next(self.version, out) {
            self.keep_alive.sent(now);
            if written.qos == QoS::AtLeastOnce || written.reason.is_error() {
                self.quota.give_back();
            }
        }
    }
}
