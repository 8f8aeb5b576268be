//! From CONNECT to CONNACK: what the client asks for, and what becomes of the session when the server answers.

use alloc::vec::Vec;

use super::{
    Acks, Connected, Connection, Event, KeepAlive, Misuse, Requests, ServerLimits, Session, Settings, State,
    auth::Exchange, checked,
};
use crate::{
    Millis, Violation,
    codec::{ConnAck, Connect, Frame, PACKET_SIZE_MAX, Packet, PacketType, Peer, Version},
    flow::{AliasesIn, AliasesOut, Quota},
};

impl Connection {
    /// Begins a connection: writes CONNECT, which is the first packet [MQTT-3.1.0-1].
    ///
    /// `session` is what an earlier connection left. With a clean start it is discarded once the server has accepted,
    /// and its messages in flight are handed back.
    ///
    /// # Errors
    /// CONNECT would break the specification, or asks for something that its version does not have.
    pub fn new(
        connect: &Connect<'_>,
        settings: Settings,
        session: Session,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<Connection, Misuse> {
        let version = connect.version;
        if version != Version::V5 && connect.client_id.is_empty() {
            // [MQTT-3.1.3-7] of 3.1.1; in 3.1 an identifier is never empty.
            if version == Version::V31 || !connect.clean_start {
                return Err(Misuse::ClientIdMissing);
            }
        }
        out.extend_from_slice(&checked(&Packet::Connect(*connect), version)?);
        let properties = &connect.properties;
        let session_expiry_secs = match version {
            Version::V5 => properties.session_expiry_secs.unwrap_or(0),
            _ if connect.clean_start => 0,
            _ => u32::MAX,
        };
        let widest = u32::try_from(PACKET_SIZE_MAX).unwrap_or(u32::MAX);
        Ok(Connection {
            state: State::Connecting { since: now },
            version,
            settings,
            clean_start: connect.clean_start,
            client_id_assigned: connect.client_id.is_empty(),
            session_expiry_secs,
            exchange: properties.authentication_method.map(Exchange::begin),
            packet_bytes_max: properties.packet_size_max.unwrap_or(widest).min(widest),
            session: session.next_link(),
            server: ServerLimits::widest(version, connect.keep_alive_secs),
            keep_alive: KeepAlive::new(connect.keep_alive_secs, settings.ping_timeout_millis, now),
            quota: Quota::new(properties.receive_maximum.unwrap_or(u16::MAX)),
            aliases_in: AliasesIn::default(),
            aliases_in_max: properties.topic_alias_max.unwrap_or(0),
            aliases_out: AliasesOut::new(0),
            acks: Acks::default(),
            requests: Requests::default(),
        })
    }

    /// Before CONNACK a server may send AUTH and nothing else [MQTT-3.2.0-1].
    pub(super) fn handle_first<'a>(
        &'a mut self,
        frame: Frame<'a>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<Event<'a>, Violation> {
        if !matches!(frame.kind, PacketType::ConnAck | PacketType::Auth) {
            return Err(Violation::ConnAckExpected);
        }
        match Packet::decode(frame, self.version, Peer::Server)? {
            Packet::ConnAck(connack) => self.handle_connack(connack, now, out),
            Packet::Auth(auth) => self.handle_auth(auth, now),
            _ => Err(Violation::ConnAckExpected),
        }
    }

    fn handle_connack<'a>(
        &'a mut self,
        connack: ConnAck<'a>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<Event<'a>, Violation> {
        if connack.reason.is_error() {
            self.state = State::Closed;
            return Ok(Event::Refused(connack));
        }
        let properties = &connack.properties;
        let method = self.exchange.as_ref().map(|exchange| &*exchange.method);
        if properties.authentication_method != method && self.version == Version::V5 {
            return Err(Violation::AuthMethodChanged); // [MQTT-4.12.0-5] [MQTT-4.12.0-6]
        }
        let session_present = match self.version {
            // 3.1 has no Session Present flag: what was asked for is what is.
            Version::V31 => !self.clean_start && self.session.exists,
            _ => connack.session_present,
        };
        if session_present && (self.clean_start || !self.session.exists) {
            return Err(Violation::SessionPresent); // [MQTT-3.2.2-4]
        }
        self.state = State::Open;
        if let Some(exchange) = &mut self.exchange {
            exchange.end();
        }
        self.server.learn(properties);
        self.session_expiry_secs = properties.session_expiry_secs.unwrap_or(self.session_expiry_secs);
        self.keep_alive.received(now);
        self.keep_alive.impose(self.server.keep_alive_secs); // [MQTT-3.1.2-21]
        // [MQTT-3.2.2-17]
        let aliases_max = self.server.topic_aliases_max.min(self.settings.topic_aliases_out_max);
        self.aliases_out = AliasesOut::new(aliases_max);
        let unfinished = if session_present {
            let (server, version) = (&self.server, self.version);
            self.session.give_up(|message| server.takes(message, version))
        } else {
            self.session.discard() // [MQTT-3.1.2-4] [MQTT-3.2.2-5]
        };
        self.session.exists = self.session_expiry_secs > 0;
        self.resend(now, out); // [MQTT-4.4.0-1]
        Ok(Event::Connected(Connected { session_present, connack, unfinished }))
    }

    /// Whether the server chose the client identifier; CONNACK told it.
    #[must_use]
    pub fn client_id_assigned(&self) -> bool {
        self.client_id_assigned
    }
}
