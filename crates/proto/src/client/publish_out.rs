//! PUBLISH from this client, and the server's PUBACK, PUBREC and PUBCOMP for it.

use alloc::vec::Vec;

use super::{
    Connection, Event, Message, Misuse, ServerLimits, Token,
    session::{Publication, Released},
};
use crate::{
    Millis, Stage,
    codec::{Ack as AckPacket, PACKET_SIZE_MAX, PacketId, PacketType, PublishHead, QoS, ReasonCode, Version},
    flow::Alias,
};

impl ServerLimits {
    /// Whether the server takes this message; the reason code that it would answer with if not.
    pub(super) fn takes(&self, message: &Message, version: Version) -> Result<(), ReasonCode> {
        match self.check(message, version) {
            Ok(()) => Ok(()),
            Err(Misuse::QosNotSupported(_)) => Err(ReasonCode::QoSNotSupported),
            Err(Misuse::RetainNotSupported) => Err(ReasonCode::RetainNotSupported),
            Err(_) => Err(ReasonCode::PacketTooLarge),
        }
    }

    fn check(&self, message: &Message, version: Version) -> Result<(), Misuse> {
        if message.qos > self.qos_max {
            return Err(Misuse::QosNotSupported(self.qos_max)); // [MQTT-3.2.2-11]
        }
        if message.retain && !self.retain_available {
            return Err(Misuse::RetainNotSupported); // [MQTT-3.2.2-14]
        }
        // An identifier of two bytes, whichever it will be.
        let packet_id = if message.qos == QoS::AtMostOnce { None } else { PacketId::new(1) };
        let head = head(message, packet_id, message.expiry_secs);
        let bytes = head.frame_len(version, message.payload.len());
        if bytes > (self.packet_bytes_max as usize).min(PACKET_SIZE_MAX) {
            let bytes_max = self.packet_bytes_max;
            return Err(Misuse::PacketTooLarge { bytes, bytes_max }); // [MQTT-3.2.2-15]
        }
        Ok(())
    }
}

impl Connection {
    /// Whether a message of QoS 1 or 2 may be published now: the server's Receive Maximum has room [MQTT-3.3.4-7],
    /// a packet identifier is free, and nothing waits to be sent again.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.is_open() && self.session.outgoing.has_room(self.server.receive_maximum) && self.has_packet_id()
    }

    /// Sends a message. At QoS 1 and 2 it stays in the session until the server has it, and [`Event::Delivery`] tells
    /// the outcome under `token`; at QoS 0 nothing is told and `token` is not used.
    ///
    /// A message with an expiry interval that has waited is sent with what is left of it; `since` says from when on.
    ///
    /// # Errors
    /// The server does not take such a message, or not now ([`Misuse::NoRoom`]).
    pub fn publish(
        &mut self,
        message: Message,
        token: Token,
        since: Millis,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<Option<PacketId>, Misuse> {
        self.check_open()?;
        if self.version != Version::V5 && message.needs_v5() {
            return Err(Misuse::NotInVersion(self.version));
        }
        let left = expiry_left(&message, since, now);
        if left == Some(0) && message.expiry_secs != Some(0) {
            return Err(Misuse::Expired);
        }
        self.server.check(&message, self.version)?;
        if message.qos > QoS::AtMostOnce && !self.has_room() {
            return Err(Misuse::NoRoom); // [MQTT-4.9.0-2]
        }
        let alias = self.choose_alias(&message)?;
        self.keep_alive.sent(now);
        if message.qos == QoS::AtMostOnce {
            put_publish(&message, None, left, alias, self.version, out);
            return Ok(None);
        }
        let (qos, requests) = (message.qos, &self.requests);
        // The identifier is unused by all of PUBLISH, SUBSCRIBE and UNSUBSCRIBE [MQTT-2.2.1-3].
        let packet_id = self
            .session
            .outgoing
            .send(qos, Publication { message, token, since }, |id| requests.contains(id));
        if let Some(publication) = self.session.outgoing.newest() {
            put_publish(&publication.message, Some(packet_id), left, alias, self.version, out);
        }
        Ok(Some(packet_id))
    }

    /// Sends again what is in flight, in the order of the first sending, with the original identifiers, as far as the
    /// server's Receive Maximum allows [MQTT-4.4.0-1] [MQTT-4.6.0-1].
    pub(super) fn resend(&mut self, now: Millis, out: &mut Vec<u8>) {
        while let Some(sent) = self.session.outgoing.resend(self.server.receive_maximum) {
            let packet_id = sent.packet_id();
            match (sent.stage(), sent.message()) {
                (Stage::Published(_), Some(publication)) => {
                    let message = &publication.message;
                    // A message in flight is not taken back when it expires, so it keeps at least a second.
                    let left = expiry_left(message, publication.since, now).map(|secs| secs.max(1));
                    // [MQTT-3.3.1-1]
                    let first = head(message, Some(packet_id), left);
                    let head = PublishHead { dup: true, topic_alias: None, ..first };
                    head.encode(self.version, message.payload.len(), out);
                    out.extend_from_slice(&message.payload);
                }
                _ => put_ack(PacketType::PubRel, packet_id, ReasonCode::Success, self.version, out),
            }
            self.keep_alive.sent(now);
        }
    }

    pub(super) fn handle_puback<'a>(
        &mut self,
        ack: &AckPacket<'a>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Event<'a> {
        match self.session.outgoing.acknowledged(ack.packet_id) {
            Ok(publication) => {
                self.resend(now, out);
                let token = publication.token;
                Event::Delivery { token, reason: ack.reason, reason_string: ack.reason_string }
            }
            Err(_) => Event::Stray { kind: PacketType::PubAck, packet_id: ack.packet_id },
        }
    }

    pub(super) fn handle_pubrec<'a>(
        &mut self,
        ack: &AckPacket<'a>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Option<Event<'a>> {
        let AckPacket { packet_id, reason, reason_string, .. } = *ack;
        let stray = Some(Event::Stray { kind: PacketType::PubRec, packet_id });
        if reason.is_error() {
            return match self.session.outgoing.refused(packet_id) {
                Ok(publication) => {
                    self.resend(now, out);
                    Some(Event::Delivery { token: publication.token, reason, reason_string })
                }
                Err(_) => stray,
            };
        }
        let (answer, event) = match self.session.outgoing.received(packet_id) {
            Ok(first) => {
                if let Some(Publication { token, since, .. }) = first {
                    self.session.released.push(Released { packet_id, token, since, reason });
                }
                (ReasonCode::Success, None)
            }
            Err(_) => (ReasonCode::PacketIdNotFound, stray),
        };
        // At once, so in the order of the PUBRECs [MQTT-4.3.3-4] [MQTT-4.6.0-4].
        put_ack(PacketType::PubRel, packet_id, answer, self.version, out);
        self.keep_alive.sent(now);
        event
    }

    pub(super) fn handle_pubcomp<'a>(
        &mut self,
        ack: &AckPacket<'a>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Event<'a> {
        let AckPacket { packet_id, reason, reason_string, .. } = *ack;
        let stray = Event::Stray { kind: PacketType::PubComp, packet_id };
        if self.session.outgoing.completed(packet_id).is_err() {
            return stray;
        }
        self.resend(now, out);
        let Some(released) = self.session.take_released(packet_id) else { return stray };
        // A server that does not know the identifier any more has had the message: PUBREC said so. Where no PUBREC had
        // come because we gave the message up, its answer decides.
        let reason = if released.reason.is_error() && !reason.is_error() { reason } else { released.reason };
        Event::Delivery { token: released.token, reason, reason_string }
    }

    /// How the topic of a message is written that is sent now, for sure: an alias that is new counts as known.
    fn choose_alias(&mut self, message: &Message) -> Result<Alias, Misuse> {
        let server = &self.server;
        match message.topic_alias {
            None => {
                // The packet may grow by the alias and then be too large.
                let longer = PublishHead { topic_alias: Some(1), ..head(message, PacketId::new(1), Some(0)) };
                let bytes = longer.frame_len(self.version, message.payload.len());
                let fits = bytes <= server.packet_bytes_max as usize;
                Ok(if fits { self.aliases_out.assign(&message.topic) } else { Alias::None })
            }
            Some(_) if self.settings.topic_aliases_out_max > 0 => Err(Misuse::TopicAliasAutomatic),
            // [MQTT-3.3.2-9]
            Some(alias) if alias == 0 || alias > server.topic_aliases_max => {
                Err(Misuse::TopicAliasTooHigh(server.topic_aliases_max))
            }
            Some(alias) => Ok(Alias::New(alias)),
        }
    }
}

/// Writes a message that is sent for the first time.
fn put_publish(
    message: &Message,
    packet_id: Option<PacketId>,
    expiry_secs: Option<u32>,
    alias: Alias,
    version: Version,
    out: &mut Vec<u8>,
) {
    let mut head = head(message, packet_id, expiry_secs);
    match alias {
        Alias::Known(alias) => {
            head.topic = "";
            head.topic_alias = Some(alias);
        }
        Alias::New(alias) => head.topic_alias = Some(alias),
        Alias::None => {}
    }
    out.reserve(head.frame_len(version, message.payload.len()));
    head.encode(version, message.payload.len(), out);
    out.extend_from_slice(&message.payload);
}

/// The first sending of a message; the flags and the topic may be changed afterwards.
fn head(message: &Message, packet_id: Option<PacketId>, expiry_secs: Option<u32>) -> PublishHead<'_> {
    PublishHead {
        dup: false, // [MQTT-3.3.1-2]
        qos: message.qos,
        retain: message.retain,
        topic: &message.topic,
        packet_id,
        topic_alias: message.topic_alias,
        message_expiry_secs: expiry_secs,
        subscription_ids: &[], // [MQTT-3.3.4-6]
        forwarded: &message.forwarded,
    }
}

/// Seconds of the message's life that are left.
fn expiry_left(message: &Message, since: Millis, now: Millis) -> Option<u32> {
    let waited = u32::try_from(now.since(since) / 1_000).unwrap_or(u32::MAX);
    message.expiry_secs.map(|secs| secs.saturating_sub(waited))
}

pub(super) fn put_ack(
    kind: PacketType,
    packet_id: PacketId,
    reason: ReasonCode,
    version: Version,
    out: &mut Vec<u8>,
) {
    AckPacket::new(packet_id, reason).encode(kind, version, out);
}
