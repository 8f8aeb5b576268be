//! AUTH from a client: whose turn it is in an exchange of enhanced authentication, before CONNACK and again later. Not
//! the methods.
//!
//! ```text
//!             AUTH 0x18                                      AUTH 0x19
//!  Client ─────────────────▶ Server        after CONNACK: Idle ─────────▶ Server
//!     ▲                        │  │                        ▲                │
//!     └── challenge: AUTH 0x18 ┘  └── CONNACK or AUTH 0x00 ┘◀───────────────┘
//! ```

use alloc::boxed::Box;

use super::{Connection, Event, Limits, State, check_user_properties};
use crate::{
    Millis, Violation,
    codec::{Auth, Frame, Packet, PacketType, Peer, ReasonCode},
};

/// The method that CONNECT named, and where its exchange stands.
#[derive(Debug)]
pub(super) struct Exchange {
    method: Box<str>,
    turn: Whose,
    /// When the client began the present exchange.
    since: Millis,
    /// Milliseconds that it may take as long as it is the client's turn, 0 for any.
    timeout_millis: u64,
    /// What the client has said, until somebody takes it.
    said: Option<Said>,
}

/// What a client says in AUTH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Data for its method, if it has any.
    pub data: Option<Box<[u8]>>,
    /// Whether it begins anew, on a connection that has been accepted.
    pub is_anew: bool,
}

/// Who has to say something.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Whose {
    /// Nobody: there is no exchange now.
    Idle,
    Server,
    Client,
}

impl Exchange {
    /// CONNECT has come with this method.
    pub(super) fn begin(method: &str, limits: &Limits, since: Millis) -> Box<Exchange> {
        let timeout_millis = limits.connect_timeout_millis;
        Box::new(Exchange { method: method.into(), turn: Whose::Server, since, timeout_millis, said: None })
    }

    /// When the client must have answered.
    pub(super) fn deadline(&self) -> Millis {
        match self.turn {
            Whose::Client if self.timeout_millis > 0 => self.since + self.timeout_millis,
            Whose::Client | Whose::Idle | Whose::Server => Millis::NEVER,
        }
    }

    /// The client is in.
    pub(super) fn end(&mut self) {
        self.turn = Whose::Idle;
    }
}

impl Connection {
    /// The authentication method that CONNECT named; it holds as long as the connection.
    #[must_use]
    pub fn authentication_method(&self) -> Option<&str> {
        self.exchange.as_ref().map(|exchange| &*exchange.method)
    }

    /// What the client has said in the [`Event::Auth`] before, once.
    pub fn said(&mut self) -> Option<Said> {
        self.exchange.as_mut()?.said.take()
    }

    /// Whether the server has to say how the exchange of the method goes on: after CONNECT, and after each
    /// [`Event::Auth`].
    #[must_use]
    pub fn owes_auth(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.turn == Whose::Server)
    }

    /// Whether the client has to answer a challenge.
    #[must_use]
    pub fn awaits_auth(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.turn == Whose::Client)
    }

    /// Largest packet that the client takes, in bytes, as far as it is known.
    #[must_use]
    pub fn client_packet_bytes_max(&self) -> u32 {
        self.client_packet_bytes_max
    }

    /// The server asks for more: gives the AUTH to be sent, after which the client may answer. `None` where it is not the
    /// server's turn.
    pub fn challenge<'a>(&'a mut self, data: Option<&'a [u8]>) -> Option<Auth<'a>> {
        let exchange = self.exchange.as_mut().filter(|exchange| exchange.turn == Whose::Server)?;
        exchange.turn = Whose::Client;
        if self.state == State::Deciding {
            self.state = State::Exchanging;
        }
        Some(auth(ReasonCode::ContinueAuthentication, &exchange.method, data)) // [MQTT-4.12.0-2]
    }

    /// A re-authentication has succeeded: gives the AUTH that says so. Before CONNACK, CONNACK says it.
    pub fn reauthenticated<'a>(&'a mut self, data: Option<&'a [u8]>) -> Option<Auth<'a>> {
        let is_open = self.state == State::Open;
        let exchange = self.exchange.as_mut().filter(|exchange| is_open && exchange.turn == Whose::Server)?;
        exchange.turn = Whose::Idle;
        Some(auth(ReasonCode::Success, &exchange.method, data))
    }

    /// Between a challenge and CONNACK a client may send AUTH and DISCONNECT, and nothing else [MQTT-3.1.2-30].
    pub(super) fn handle_exchange<'a>(
        &'a mut self,
        frame: Frame<'a>,
        limits: &Limits,
        now: Millis,
    ) -> Result<Event<'a>, Violation> {
        match frame.kind {
            PacketType::Auth | PacketType::Disconnect => {}
            PacketType::Connect => return Err(Violation::SecondConnect),
            kind => return Err(Violation::NotAuthenticated(kind)),
        }
        match Packet::decode(frame, self.version, Peer::Client)? {
            Packet::Auth(auth) => self.handle_auth(&auth, limits, now),
            Packet::Disconnect(disconnect) => Ok(Event::Disconnect(disconnect)),
            _ => Err(Violation::NotAuthenticated(frame.kind)),
        }
    }

    pub(super) fn handle_auth(
        &mut self,
        auth: &Auth<'_>,
        limits: &Limits,
        now: Millis,
    ) -> Result<Event<'static>, Violation> {
        check_user_properties(limits, auth.user_properties.count(), auth.user_properties.byte_len())?;
        let Some(exchange) = &mut self.exchange else {
            return Err(Violation::AuthUnexpected); // [MQTT-4.12.0-7]
        };
        if auth.authentication_method != Some(&*exchange.method) {
            return Err(Violation::AuthMethodChanged); // [MQTT-4.12.0-5] [MQTT-4.12.1-1]
        }
        match (exchange.turn, auth.reason) {
            (Whose::Client, ReasonCode::ContinueAuthentication) => {} // [MQTT-4.12.0-3]
            (Whose::Idle, ReasonCode::Reauthenticate) => exchange.since = now,
            _ => return Err(Violation::AuthOutOfTurn),
        }
        exchange.turn = Whose::Server;
        let is_anew = auth.reason == ReasonCode::Reauthenticate;
        exchange.said = Some(Said { data: auth.authentication_data.map(Box::from), is_anew });
        if self.state == State::Exchanging {
            self.state = State::Deciding;
        }
        Ok(Event::Auth)
    }
}

fn auth<'a>(reason: ReasonCode, method: &'a str, data: Option<&'a [u8]>) -> Auth<'a> {
    let authentication_method = Some(method); // [MQTT-4.12.0-5]
    Auth { reason, authentication_method, authentication_data: data, ..Auth::default() }
}
