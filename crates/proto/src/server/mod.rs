//! The server's side of one connection: what a client may say, and when.
//!
//! # How it is driven
//! 1. [`Connection::new`] when the socket is accepted; nothing may be sent yet.
//! 2. [`Connection::handle`] for each frame gives an [`Event`] to act on, or a [`Violation`] that ends the connection;
//!    [`farewell`] says which last packet, if any, the client gets then.
//! 3. After [`Event::Connect`] the caller decides (authentication, session), and calls [`Connection::accept`] with
//!    what [`connect::negotiate`] made of it; until then every other packet is a violation. Where CONNECT names an
//!    authentication method the caller may ask for more by [`Connection::challenge`], and decides after each
//!    [`Event::Auth`] anew.
//! 4. [`Connection::deadline`] says when to call [`Connection::handle_timeout`].

mod auth;
pub mod connect;
mod farewell;

pub use auth::Said;
pub use connect::{Authentication, Negotiated, Refused, negotiate};
pub use farewell::farewell;

use alloc::boxed::Box;

use crate::{
    Millis, Violation,
    codec::{
        Connect, Disconnect, Filter, Frame, Packet, PacketId, PacketType, Peer, Publish, QoS, ReasonCode,
        Subscribe, Unsubscribe, Version,
    },
    flow::{AliasesIn, Quota},
};
use auth::Exchange;

/// What this server allows a connection; the same for all connections of a listener.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Milliseconds until CONNECT must have come, and the client's part of its authentication method; a
    /// re-authentication has as many.
    pub connect_timeout_millis: u64,
    /// Longest keep-alive in seconds; a longer or absent one is replaced by it in 5.0.
    pub keep_alive_secs_max: u16,
    /// Longest session life in seconds.
    pub session_expiry_secs_max: u32,
    /// Unacknowledged QoS 1 and 2 messages that a client may have under way.
    pub receive_maximum: u16,
    /// Messages in flight to a client, whatever it allows.
    pub inflight_max: u16,
    /// Largest packet taken, in bytes.
    pub packet_bytes_max: u32,
    /// Largest CONNECT taken, in bytes, if `packet_bytes_max` is not smaller: nobody knows yet who sends it.
    pub connect_bytes_max: u32,
    /// Topic aliases that a client may set.
    pub topic_aliases_in_max: u16,
    /// Topic aliases that the server sets, where the client allows as many.
    pub topic_aliases_out_max: u16,
    /// Longest topic name or filter in bytes.
    pub topic_bytes_max: usize,
    /// Most levels of a topic name or filter.
    pub topic_levels_max: usize,
    /// User properties in one packet.
    pub user_properties_max: usize,
    /// Bytes of user properties in one packet.
    pub user_properties_bytes_max: usize,
    /// Topic filters in one SUBSCRIBE or UNSUBSCRIBE.
    pub filters_per_subscribe_max: usize,
    /// Highest QoS of a PUBLISH.
    pub qos_max: QoS,
    /// Whether retained messages are kept.
    pub retain_available: bool,
    /// Whether wildcards may be subscribed to.
    pub wildcard_available: bool,
    /// Whether subscription identifiers are kept.
    pub subscription_ids_available: bool,
    /// Whether shared subscriptions may be made.
    pub shared_available: bool,
    /// Whether 3.1 clients are held to 23 characters of client identifier.
    pub client_id_31_strict: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connect_timeout_millis: 10_000,
            keep_alive_secs_max: 1_200,
            session_expiry_secs_max: 7 * 24 * 3_600,
            receive_maximum: 1_000,
            inflight_max: 1_000,
            packet_bytes_max: 1 << 20,
            connect_bytes_max: 128 << 10,
            topic_aliases_in_max: 64,
            topic_aliases_out_max: 64,
            topic_bytes_max: 65_535,
            topic_levels_max: 128,
            user_properties_max: 64,
            user_properties_bytes_max: 16 << 10,
            filters_per_subscribe_max: 1_000,
            qos_max: QoS::ExactlyOnce,
            retain_available: true,
            wildcard_available: true,
            subscription_ids_available: true,
            shared_available: true,
            client_id_31_strict: false,
        }
    }
}

/// The duty to acknowledge one PUBLISH. Whoever takes responsibility for the message returns it to the client.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an acknowledgement that is dropped is never sent"]
pub struct Ack {
    /// The packet identifier of the PUBLISH.
    pub packet_id: PacketId,
    /// At QoS 1 PUBACK is owed, at QoS 2 PUBREC.
    pub qos: QoS,
}

/// What a client asks for.
#[derive(Debug)]
pub enum Event<'a> {
    /// CONNECT: authenticate, find the session, then [`Connection::accept`].
    Connect(Connect<'a>),
    /// PUBLISH with its topic resolved from the alias, and the acknowledgement it is owed.
    Publish {
        /// The packet; its topic may be empty when an alias stood for it.
        publish: Publish<'a>,
        /// The topic that is meant.
        topic: &'a str,
        /// Absent at QoS 0.
        ack: Option<Ack>,
    },
    /// PUBACK for one of our deliveries.
    PubAck(PacketId, ReasonCode),
    /// PUBREC for one of our deliveries.
    PubRec(PacketId, ReasonCode),
    /// PUBREL for a message of the client's.
    PubRel(PacketId, ReasonCode),
    /// PUBCOMP for one of our deliveries.
    PubComp(PacketId, ReasonCode),
    /// SUBSCRIBE.
    Subscribe(Subscribe<'a>),
    /// UNSUBSCRIBE.
    Unsubscribe(Unsubscribe<'a>),
    /// PINGREQ: answer with PINGRESP [MQTT-3.12.4-1].
    Ping,
    /// AUTH in its turn: go on with the method by what was [`Connection::said`]: by [`Connection::challenge`], by
    /// [`Connection::accept`] or, if the client is in already, by [`Connection::reauthenticated`].
    Auth,
    /// DISCONNECT: the connection ends.
    Disconnect(Disconnect<'a>),
}

/// ```text
///             handle(CONNECT)             accept
///  Awaiting ─────────────────▶ Deciding ─────────▶ Open
///                               │   ▲
///                     challenge ▼   │ handle(AUTH)
///                             Exchanging
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum State {
    Awaiting,
    Deciding,
    Exchanging,
    Open,
}

/// One network connection of a client, from accept to close.
#[derive(Debug)]
pub struct Connection {
    state: State,
    version: Version,
    /// Whether CONNECT could be read, so that the client knows our version.
    version_known: bool,
    /// Milliseconds of silence that end the connection, 0 for none.
    silence_max: u32,
    /// Largest packet that the client takes, as far as it is known.
    client_packet_bytes_max: u32,
    /// Whether CONNECT asked that the session end with the connection.
    session_ends: bool,
    /// Of the last packet; before CONNACK, of the beginning.
    last_packet: Millis,
    /// Present where CONNECT named an authentication method.
    exchange: Option<Box<Exchange>>,
    quota: Quota,
    aliases: AliasesIn,
}

impl Connection {
    /// A connection that was accepted at `now`.
    #[must_use]
    pub fn new(limits: &Limits, now: Millis) -> Self {
        Connection {
            state: State::Awaiting,
            version: Version::V311,
            version_known: false,
            silence_max: u32::try_from(limits.connect_timeout_millis).unwrap_or(u32::MAX),
            client_packet_bytes_max: u32::MAX,
            session_ends: true,
            last_packet: now,
            exchange: None,
            quota: Quota::new(limits.receive_maximum),
            aliases: AliasesIn::default(),
        }
    }

    /// The protocol version; 3.1.1 until CONNECT has been read.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The largest packet that may come now, in bytes.
    #[must_use]
    pub fn packet_bytes_max(&self, limits: &Limits) -> u32 {
        match self.state {
            State::Open => limits.packet_bytes_max,
            State::Awaiting | State::Deciding | State::Exchanging => {
                limits.packet_bytes_max.min(limits.connect_bytes_max)
            }
        }
    }

    /// The client is in: from now on all packets may come.
    pub fn accept(&mut self, negotiated: &Negotiated, now: Millis) {
        self.state = State::Open;
        // [MQTT-3.1.2-22]: one and a half times the keep-alive.
        self.silence_max = u32::from(negotiated.keep_alive_secs) * 1_500;
        // What was asked for counts, not what was granted [section 3.14.2.2.2].
        self.session_ends = negotiated.session_expiry_secs == 0 && !negotiated.session_expiry_capped;
        self.last_packet = now;
        if let Some(exchange) = &mut self.exchange {
            exchange.end();
        }
        if negotiated.version != Version::V5 {
            // A 3.1.1 client knows no quota: all of its 65,535 identifiers may be open.
            self.quota = Quota::new(u16::MAX);
        }
    }

    /// Bytes of the topic names that the client has given an alias.
    #[must_use]
    pub fn alias_bytes(&self) -> usize {
        self.aliases.bytes()
    }

    /// When [`Self::handle_timeout`] is due if nothing comes before.
    #[must_use]
    pub fn deadline(&self) -> Millis {
        let silence = match (self.state, self.silence_max) {
            (State::Deciding, _) | (_, 0) => Millis::NEVER,
            (_, silence) => self.last_packet + u64::from(silence),
        };
        self.exchange.as_ref().map_or(silence, |exchange| silence.min(exchange.deadline()))
    }

    /// Time has passed.
    ///
    /// # Errors
    /// The client was silent for too long.
    pub fn handle_timeout(&mut self, now: Millis) -> Result<(), Violation> {
        if now < self.deadline() {
            return Ok(());
        }
        match self.state {
            State::Awaiting => Err(Violation::ConnectTimeout),
            State::Exchanging => Err(Violation::AuthTimeout),
            _ if self.exchange.as_ref().is_some_and(|exchange| exchange.deadline() <= now) => {
                Err(Violation::AuthTimeout)
            }
            _ => Err(Violation::KeepAliveTimeout),
        }
    }

    /// An acknowledgement that ends a message of the client's has left: PUBACK, PUBCOMP, or PUBREC with an error.
    pub fn acknowledged(&mut self) {
        self.quota.give_back();
    }

    /// Takes one frame.
    ///
    /// # Errors
    /// The client broke the protocol or a limit; the connection ends.
    pub fn handle<'a>(
        &'a mut self,
        frame: Frame<'a>,
        limits: &Limits,
        now: Millis,
    ) -> Result<Event<'a>, Violation> {
        match self.state {
            State::Awaiting => return self.handle_first(frame, limits),
            State::Deciding => return Err(Violation::Unexpected(frame.kind)),
            State::Exchanging => return self.handle_exchange(frame, limits, now),
            State::Open => {}
        }
        self.last_packet = now;
        if frame.kind == PacketType::Publish {
            let publish = Publish::decode(frame, self.version, Peer::Client)?;
            return self.handle_publish(publish, limits);
        }
        if frame.kind == PacketType::Connect {
            // [MQTT-3.1.0-2], whatever is in it: what a CONNECT is refused with, a DISCONNECT has no word for.
            return Err(Violation::SecondConnect);
        }
        // As frequent as PUBLISH, and small beside what a packet may be.
        let acknowledges = match frame.kind {
            PacketType::PubAck => Some(Event::PubAck as fn(PacketId, ReasonCode) -> Event<'a>),
            PacketType::PubRec => Some(Event::PubRec as _),
            PacketType::PubRel => Some(Event::PubRel as _),
            PacketType::PubComp => Some(Event::PubComp as _),
            _ => None,
        };
        if let Some(event) = acknowledges {
            let ack = crate::codec::Ack::decode(frame, self.version, Peer::Client)?;
            return Ok(event(ack.packet_id, ack.reason));
        }
        match Packet::decode(frame, self.version, Peer::Client)? {
            Packet::Subscribe(subscribe) => {
                check_user_properties(
                    limits,
                    subscribe.user_properties.count(),
                    subscribe.user_properties.byte_len(),
                )?;
                check_filters(limits, subscribe.filters.iter().map(|(filter, _)| filter))?;
                if self.version == Version::V5 {
                    check_available(limits, &subscribe)?;
                }
                Ok(Event::Subscribe(subscribe))
            }
            Packet::Unsubscribe(unsubscribe) => {
                let properties = &unsubscribe.user_properties;
                check_user_properties(limits, properties.count(), properties.byte_len())?;
                check_filters(limits, unsubscribe.filters.iter())?;
                Ok(Event::Unsubscribe(unsubscribe))
            }
            Packet::PingReq => Ok(Event::Ping),
            Packet::Disconnect(disconnect) => self.handle_disconnect(disconnect),
            Packet::Auth(auth) => self.handle_auth(&auth, limits, now),
            Packet::Connect(_)
            | Packet::Publish(_)
            | Packet::PubAck(_)
            | Packet::PubRec(_)
            | Packet::PubRel(_)
            | Packet::PubComp(_)
            | Packet::ConnAck(_)
            | Packet::SubAck(_)
            | Packet::UnsubAck(_)
            | Packet::PingResp => Err(Violation::Unexpected(frame.kind)),
        }
    }

    fn handle_first<'a>(&'a mut self, frame: Frame<'a>, limits: &Limits) -> Result<Event<'a>, Violation> {
        if frame.kind != PacketType::Connect {
            return Err(Violation::ConnectExpected); // [MQTT-3.1.0-1]
        }
        if let Ok(version) = Connect::version_of(frame) {
            self.version = version;
            self.version_known = true;
        }
        let connect = Connect::decode(frame, self.version, Peer::Client)?;
        self.client_packet_bytes_max = connect.properties.packet_size_max.unwrap_or(u32::MAX);
        let properties = &connect.properties.user_properties;
        check_user_properties(limits, properties.count(), properties.byte_len())?;
        if let Some(will) = &connect.will {
            check_topic(limits, will.topic)?;
            let properties = &will.properties.user_properties;
            check_user_properties(limits, properties.count(), properties.byte_len())?;
            if will.properties.payload_is_utf8 == Some(true) && core::str::from_utf8(will.payload).is_err() {
                return Err(Violation::PayloadNotUtf8);
            }
        }
        let method = connect.properties.authentication_method;
        self.exchange = method.map(|method| Exchange::begin(method, limits, self.last_packet));
        self.state = State::Deciding;
        Ok(Event::Connect(connect))
    }

    fn handle_publish<'a>(
        &'a mut self,
        publish: Publish<'a>,
        limits: &Limits,
    ) -> Result<Event<'a>, Violation> {
        if publish.qos > limits.qos_max {
            return Err(Violation::QosNotSupported); // [MQTT-3.2.2-11]
        }
        if publish.retain && !limits.retain_available {
            return Err(Violation::RetainNotSupported); // [MQTT-3.2.2-14]
        }
        let properties = &publish.properties;
        if !properties.is_empty() {
            let user = &properties.user_properties;
            check_user_properties(limits, user.count(), user.byte_len())?;
        }
        let ack = publish.packet_id.map(|packet_id| Ack { packet_id, qos: publish.qos });
        if ack.is_some() && !self.quota.take() {
            return Err(Violation::ReceiveMaximumExceeded);
        }
        let topic =
            self.aliases.resolve(publish.topic, properties.topic_alias, limits.topic_aliases_in_max)?;
        check_topic(limits, topic)?;
        Ok(Event::Publish { publish, topic, ack })
    }

    fn handle_disconnect<'a>(&mut self, disconnect: Disconnect<'a>) -> Result<Event<'a>, Violation> {
        if self.session_ends && disconnect.session_expiry_secs.is_some_and(|secs| secs > 0) {
            return Err(Violation::SessionExpiryRaised);
        }
        Ok(Event::Disconnect(disconnect))
    }
}

fn check_user_properties(limits: &Limits, count: usize, bytes: usize) -> Result<(), Violation> {
    if count > limits.user_properties_max || bytes > limits.user_properties_bytes_max {
        return Err(Violation::UserPropertiesTooMany);
    }
    Ok(())
}

fn check_topic(limits: &Limits, topic: &str) -> Result<(), Violation> {
    // Most topics are shorter than they may have levels, which spares the count.
    let deep = || topic.bytes().filter(|byte| *byte == b'/').count() >= limits.topic_levels_max;
    if topic.len() > limits.topic_bytes_max || (topic.len() >= limits.topic_levels_max && deep()) {
        return Err(Violation::TopicTooLong);
    }
    Ok(())
}

/// What CONNACK told as not available is a Protocol Error to ask for (sections 3.2.2.3.11 to 13). Before 5.0 nobody was
/// told, and the SUBACK refuses the one filter.
fn check_available(limits: &Limits, subscribe: &Subscribe<'_>) -> Result<(), Violation> {
    if subscribe.subscription_id.is_some() && !limits.subscription_ids_available {
        return Err(Violation::SubscriptionIdNotSupported);
    }
    if limits.wildcard_available && limits.shared_available {
        return Ok(());
    }
    for (text, _) in subscribe.filters.iter() {
        let filter = Filter::parse(text)?;
        if filter.share.is_some() && !limits.shared_available {
            return Err(Violation::SharedNotSupported);
        }
        if filter.has_wildcard() && !limits.wildcard_available {
            return Err(Violation::WildcardNotSupported);
        }
    }
    Ok(())
}

fn check_filters<'a>(limits: &Limits, filters: impl Iterator<Item = &'a str>) -> Result<(), Violation> {
    let mut count = 0;
    for filter in filters {
        count += 1;
        if count > limits.filters_per_subscribe_max {
            return Err(Violation::FiltersTooMany);
        }
        check_topic(limits, filter).map_err(|_| Violation::FilterTooLong)?;
    }
    Ok(())
}
