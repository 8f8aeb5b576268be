//! What comes from the server: the machine reads it, the application takes it, the log hears of it.

use whimbrel_engine::proto::{
    Millis,
    client::{Ack, Event, Token, Unfinished},
    codec::{PacketType, ReasonCode, Split, split},
};
use whimbrel_oracle::event::{Arrival, What};

use super::{Player, code, number_of};
use crate::log::Log;

/// An event, owned.
enum Seen {
    Nothing,
    Connected(bool, Vec<Unfinished>),
    Message(Arrival, Option<Ack>),
    Closing(u8),
    Answered(What),
    Told(What),
}

impl Player {
    /// Takes bytes from the server.
    pub fn receive(&mut self, bytes: &[u8], log: &mut Log) {
        self.raw.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(connection) = self.connection.as_mut().filter(|connection| !connection.is_closed()) {
            if let Some(ids) = &mut self.ids
                && let Ok(Split::Whole { frame, len }) =
                    split(self.raw.get(at..).unwrap_or_default(), connection.packet_bytes_max())
            {
                let (kind, bytes) = (frame.kind, frame.body.len());
                let body = at + len - bytes..at + len;
                ids.raise(kind, &mut self.raw[body]);
            }
            let rest = self.raw.get(at..).unwrap_or_default();
            let handled = match split(rest, connection.packet_bytes_max()) {
                Ok(Split::More { .. }) => break,
                Ok(Split::Whole { frame, len }) => {
                    at += len;
                    connection
                        .handle(frame, Millis(log.now), &mut self.out)
                        .map(|event| event.map_or(Seen::Nothing, seen))
                }
                Err(malformed) => Err(malformed.into()),
            };
            match handled {
                Ok(seen) => self.hear(seen, log),
                Err(violation) => {
                    self.violation = Some(format!("{violation}"));
                    connection.farewell(violation.reason(), &mut self.out);
                }
            }
        }
        self.raw.drain(..at.min(self.raw.len()));
    }

    fn hear(&mut self, seen: Seen, log: &mut Log) {
        let (client, link) = (self.persona.number, self.link);
        match seen {
            Seen::Nothing => {}
            Seen::Connected(session_present, unfinished) => {
                (self.must_start_clean, self.accepted) = (false, true);
                for Unfinished { token: Token(message), .. } in unfinished {
                    log.note(client, link, What::GivenUp { message });
                }
                if !session_present {
                    self.ids.iter_mut().for_each(super::ids::Ids::begin_session);
                    self.held.clear();
                }
                log.tally.add("sessions resumed", u64::from(session_present));
                log.note(client, link, What::Connected { session_present });
            }
            Seen::Message(arrival, ack) => {
                log.tally.add("messages received", 1);
                log.tally.add("messages received with DUP", u64::from(arrival.dup));
                log.tally.add("messages received with RETAIN", u64::from(arrival.retain));
                log.tally.add("drops told", arrival.dropped_told);
                log.note(client, link, What::Received(arrival));
                let Some(ack) = ack else { return };
                if self.absent || (!self.calm && self.dice.percent(self.persona.lazy_percent)) {
                    self.held.push(ack);
                } else if let Some(connection) = &mut self.connection {
                    let now = Millis(log.now);
                    let _ = connection.acknowledge(ack, ReasonCode::Success, now, &mut self.out);
                }
            }
            Seen::Closing(code) => self.heard_code = Some(code),
            Seen::Answered(what) => {
                self.requests = self.requests.saturating_sub(1);
                log.note(client, link, what);
            }
            Seen::Told(what) => log.note(client, link, what),
        }
    }
}

fn seen(event: Event<'_>) -> Seen {
    match event {
        Event::Connected(connected) => Seen::Connected(connected.session_present, connected.unfinished),
        Event::Refused(connack) => Seen::Told(What::Refused { code: code(connack.reason) }),
        Event::Message { publish, topic, ack } => {
            let properties = &publish.properties;
            let told = properties.user_properties.iter().find(|(name, _)| *name == "whimbrel-dropped");
            let arrival = Arrival {
                message: number_of(publish.payload),
                topic: topic.into(),
                qos: publish.qos.bits(),
                retain: publish.retain,
                dup: publish.dup,
                ids: properties.subscription_ids.iter().collect(),
                expiry_secs: properties.message_expiry_secs,
                dropped_told: told.and_then(|(_, value)| value.parse().ok()).unwrap_or(0),
            };
            Seen::Message(arrival, ack)
        }
        Event::Delivery { token, reason, .. } => {
            Seen::Told(What::Acknowledged { message: token.0, code: code(reason) })
        }
        Event::Subscribed(suback) => {
            let codes = suback.reasons.iter().map(code).collect();
            Seen::Answered(What::Subscribed { request: suback.packet_id.value(), codes })
        }
        Event::Unsubscribed(unsuback) => {
            Seen::Answered(What::Unsubscribed { request: unsuback.packet_id.value() })
        }
        Event::Pong | Event::Auth(_) => Seen::Nothing,
        Event::Disconnected(disconnect) => Seen::Closing(code(disconnect.reason)),
        Event::Stray { kind, packet_id } => {
            let packet = match kind {
                PacketType::PubAck => "PUBACK",
                PacketType::PubRec => "PUBREC",
                PacketType::PubRel => "PUBREL",
                PacketType::PubComp => "PUBCOMP",
                PacketType::SubAck => "SUBACK",
                _ => "UNSUBACK",
            };
            Seen::Told(What::Stray { packet, packet_id: packet_id.value() })
        }
    }
}
