//! The client's side of one connection: what a client sends, and what a server may say, and when.
//!
//! # How it is driven
//! 1. [`Connection::new`] when the network connection stands; it writes CONNECT.
//! 2. [`Connection::handle`] for each frame that comes. It writes what the protocol answers by itself (PUBREL, PUBCOMP,
//!    what is sent again on resume) and gives the [`Event`] that the application has to know, or a [`Violation`] that
//!    ends the connection; [`Connection::farewell`] writes the last packet then.
//! 3. After [`Event::Connected`]: [`publish`](Connection::publish), [`subscribe`](Connection::subscribe),
//!    [`unsubscribe`](Connection::unsubscribe), [`ping`](Connection::ping), [`acknowledge`](Connection::acknowledge),
//!    and at the end [`disconnect`](Connection::disconnect).
//! 4. [`Connection::deadline`] says when to call [`Connection::handle_timeout`]; it sends PINGREQ.
//! 5. [`Connection::into_session`] when the network connection is gone; the next [`Connection::new`] takes the session.
//!
//! Whatever is written goes into the caller's buffer, after what is there. What cannot be sent is a [`Misuse`], and
//! nothing has been written.
//!
//! ```text
//!                  CONNACK                 disconnect, DISCONNECT, Violation
//!  Connecting ───────────────▶ Open ─────────────────────────────────────────▶ Closed
//!       └──── CONNACK that refuses, Violation ───────────────────────────────────▲
//! ```

mod acks;
mod auth;
mod connecting;
mod disconnect;
mod keep_alive;
mod message;
mod misuse;
mod publish_in;
mod publish_out;
mod server_limits;
mod session;
mod subscribe;

use alloc::vec::Vec;

pub use acks::Ack;
pub use message::Message;
pub use misuse::Misuse;
pub use server_limits::ServerLimits;
pub use session::{Session, Token, Unfinished};

use crate::{
    Millis, Violation,
    codec::{
        Auth, ConnAck, Disconnect, Frame, Packet, PacketId, PacketType, Peer, Publish, ReasonCode, SubAck,
        UnsubAck, Version,
    },
    flow::{AliasesIn, AliasesOut, Quota},
};
use acks::Acks;
use auth::Exchange;
use keep_alive::{Due, KeepAlive};
use subscribe::Requests;

/// What this client allows itself and the server, beside what CONNECT says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Milliseconds within which CONNACK must come; each AUTH of the server starts them anew.
    pub connack_timeout_millis: u64,
    /// Milliseconds within which something must come after PINGREQ.
    pub ping_timeout_millis: u64,
    /// Topic aliases that are assigned to outgoing topics, at most what the server takes; 0 for none.
    pub topic_aliases_out_max: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { connack_timeout_millis: 20_000, ping_timeout_millis: 20_000, topic_aliases_out_max: 0 }
    }
}

/// What the application has to know.
#[derive(Debug)]
pub enum Event<'a> {
    /// The server accepted; what is in flight has been sent again where the session goes on.
    Connected(Connected<'a>),
    /// The server refused, and closes.
    Refused(ConnAck<'a>),
    /// A message came.
    Message {
        /// The packet; its topic may be empty when an alias stood for it.
        publish: Publish<'a>,
        /// The topic that is meant.
        topic: &'a str,
        /// Absent at QoS 0. [`Connection::acknowledge`] takes it back.
        ack: Option<Ack>,
    },
    /// A message of QoS 1 or 2 that we published has reached its end.
    Delivery {
        /// The caller's name for it.
        token: Token,
        /// What the server said; an error means that it did not take the message.
        reason: ReasonCode,
        /// The server's words for it.
        reason_string: Option<&'a str>,
    },
    /// The answer to SUBSCRIBE: one reason code per filter.
    Subscribed(SubAck<'a>),
    /// The answer to UNSUBSCRIBE: one reason code per filter, none before 5.0.
    Unsubscribed(UnsubAck<'a>),
    /// The answer to PINGREQ.
    Pong,
    /// The server goes on with the authentication: answer by [`Connection::authenticate`], unless the reason is that it has
    /// succeeded.
    Auth(Auth<'a>),
    /// The server ends the connection.
    Disconnected(Disconnect<'a>),
    /// An acknowledgement for a packet identifier that is not in use, or not for this. It changes nothing.
    Stray {
        /// The packet that came.
        kind: PacketType,
        /// Its identifier.
        packet_id: PacketId,
    },
}

/// CONNACK, and what it means for the session.
#[derive(Debug)]
pub struct Connected<'a> {
    /// Whether the session goes on. If not, the server knows no subscription of this client.
    pub session_present: bool,
    /// The packet. [`Connection::server`] has its limits, defaults filled in.
    pub connack: ConnAck<'a>,
    /// Messages whose outcome will not be told any more: all in flight where the session is new, and those that the
    /// server would not take any more where it goes on.
    pub unfinished: Vec<Unfinished>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum State {
    Connecting { since: Millis },
    Open,
    Closed,
}

/// One network connection of this client, from CONNECT to close.
#[derive(Debug)]
pub struct Connection {
    state: State,
    version: Version,
    settings: Settings,
    clean_start: bool,
    /// Whether CONNECT left the identifier to the server.
    client_id_assigned: bool,
    /// Seconds that the session outlives the connection, as far as is known.
    session_expiry_secs: u32,
    exchange: Option<Exchange>,
    packet_bytes_max: u32,
    session: Session,
    server: ServerLimits,
    keep_alive: KeepAlive,
    quota: Quota,
    aliases_in: AliasesIn,
    aliases_in_max: u16,
    aliases_out: AliasesOut,
    acks: Acks,
    requests: Requests,
}

impl Connection {
    /// The protocol version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether the server accepted and nobody has ended the connection.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether the connection has been ended: nothing may be sent any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// What the server allows, as CONNACK told it.
    #[must_use]
    pub fn server(&self) -> &ServerLimits {
        &self.server
    }

    /// Largest packet that is taken from the server, in bytes: the limit for cutting frames off the input.
    #[must_use]
    pub fn packet_bytes_max(&self) -> u32 {
        self.packet_bytes_max
    }

    /// The session as it stands.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The network connection is gone. What is left is what the next one starts with [MQTT-3.1.2-23].
    #[must_use]
    pub fn into_session(mut self) -> Session {
        self.session.outgoing.link_lost();
        self.session.incoming.link_lost();
        self.session
    }

    /// When [`Self::handle_timeout`] is due if nothing comes before.
    #[must_use]
    pub fn deadline(&self) -> Millis {
        match self.state {
            State::Connecting { since } => since + self.settings.connack_timeout_millis,
            State::Open => self.keep_alive.deadline(),
            State::Closed => Millis::NEVER,
        }
    }

    /// Time has passed: sends PINGREQ where it is due.
    ///
    /// # Errors
    /// The server was silent for too long; the connection ends.
    pub fn handle_timeout(&mut self, now: Millis, out: &mut Vec<u8>) -> Result<(), Violation> {
        if now < self.deadline() {
            return Ok(());
        }
        match self.state {
            State::Connecting { .. } => Err(Violation::ConnAckTimeout),
            State::Open => match self.keep_alive.due(now) {
                Due::Nothing => Ok(()),
                Due::Ping => {
                    self.put_ping(now, out);
                    Ok(())
                }
                Due::Silent => Err(Violation::PingTimeout),
            },
            State::Closed => Ok(()),
        }
    }

    /// Says whether input is taken. While it is not, the server's answer to PINGREQ may lie unread, so its absence
    /// proves nothing; PINGREQ itself goes on.
    pub fn set_reading(&mut self, reading: bool, now: Millis) {
        self.keep_alive.set_reading(reading, now);
    }

    /// Sends PINGREQ; [`Event::Pong`] follows.
    ///
    /// # Errors
    /// The connection is not open.
    pub fn ping(&mut self, now: Millis, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.check_open()?;
        self.put_ping(now, out);
        Ok(())
    }

    /// Takes one frame. After the connection has been ended nothing is looked at any more.
    ///
    /// # Errors
    /// The server broke the protocol; the connection ends [MQTT-4.13.1-1].
    pub fn handle<'a>(
        &'a mut self,
        frame: Frame<'a>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'a>>, Violation> {
        match self.state {
            State::Closed => return Ok(None),
            State::Connecting { .. } => return self.handle_first(frame, now, out).map(Some),
            State::Open => {}
        }
        self.keep_alive.received(now);
        match Packet::decode(frame, self.version, Peer::Server)? {
            Packet::Publish(publish) => self.handle_publish(publish, now, out),
            Packet::PubAck(ack) => Ok(Some(self.handle_puback(&ack, now, out))),
            Packet::PubRec(ack) => Ok(self.handle_pubrec(&ack, now, out)),
            Packet::PubRel(ack) => Ok(self.handle_pubrel(&ack, now, out)),
            Packet::PubComp(ack) => Ok(Some(self.handle_pubcomp(&ack, now, out))),
            Packet::SubAck(suback) => self.handle_suback(suback).map(Some),
            Packet::UnsubAck(unsuback) => self.handle_unsuback(unsuback).map(Some),
            Packet::PingResp => Ok(Some(Event::Pong)),
            Packet::Disconnect(disconnect) => Ok(Some(self.handle_disconnect(disconnect))),
            Packet::Auth(auth) => self.handle_auth(auth, now).map(Some),
            Packet::ConnAck(_) // [MQTT-3.2.0-2]
            | Packet::Connect(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::PingReq => Err(Violation::Unexpected(frame.kind)),
        }
    }

    fn check_open(&self) -> Result<(), Misuse> {
        if self.is_open() { Ok(()) } else { Err(Misuse::NotOpen) }
    }

    fn put_ping(&mut self, now: Millis, out: &mut Vec<u8>) {
        Packet::PingReq.encode(self.version, out);
        self.keep_alive.asked(now);
    }

    /// Writes a packet that the caller made, if it reads back as the same packet and the server takes its size. So
    /// whatever the caller gave, nothing malformed leaves: the decoder knows every rule, and what an encoder cut
    /// because it was too long, or left out because the version has no place for it, shows as a difference.
    fn put_checked(&mut self, packet: &Packet<'_>, now: Millis, out: &mut Vec<u8>) -> Result<(), Misuse> {
        let bytes = checked(packet, self.version)?;
        if bytes.len() > self.server.packet_bytes_max as usize {
            // [MQTT-3.2.2-15]
            return Err(Misuse::PacketTooLarge {
                bytes: bytes.len(),
                bytes_max: self.server.packet_bytes_max,
            });
        }
        out.extend_from_slice(&bytes);
        self.keep_alive.sent(now);
        Ok(())
    }
}

/// The packet's bytes, if they read back as this packet.
fn checked(packet: &Packet<'_>, version: Version) -> Result<Vec<u8>, Misuse> {
    use crate::codec::{Malformed, PACKET_SIZE_MAX, Split, split};
    let len = packet.encoded_len(version);
    if len > PACKET_SIZE_MAX {
        return Err(Misuse::PacketTooLarge { bytes: len, bytes_max: u32::MAX });
    }
    let mut bytes = Vec::with_capacity(len);
    packet.encode(version, &mut bytes);
    match split(&bytes, u32::MAX)? {
        Split::Whole { frame, .. } => {
            let read = Packet::decode(frame, version, Peer::Client)?;
            if read != *packet {
                return Err(Misuse::NotInVersion(version));
            }
        }
        Split::More { .. } => return Err(Misuse::Malformed(Malformed::Truncated)),
    }
    Ok(bytes)
}
