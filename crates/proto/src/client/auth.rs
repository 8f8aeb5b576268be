//! AUTH: the exchange of an authentication method between CONNECT and CONNACK, and again later. Not the methods.

use alloc::{boxed::Box, vec::Vec};

use super::{Connection, Event, Misuse, State};
use crate::{
    Millis, Violation,
    codec::{Auth, Packet, ReasonCode},
};

/// The method that CONNECT named, and who has to say something.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) method: Box<str>,
    turn: Whose,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Whose {
    /// Nobody: there is no exchange now.
    Idle,
    Server,
    Client,
}

impl Exchange {
    /// CONNECT is on its way with this method.
    pub(super) fn begin(method: &str) -> Exchange {
        Exchange { method: method.into(), turn: Whose::Server }
    }

    /// CONNACK has come.
    pub(super) fn end(&mut self) {
        self.turn = Whose::Idle;
    }
}

impl Connection {
    /// Answers the server's [`Event::Auth`] [MQTT-4.12.0-3].
    ///
    /// # Errors
    /// CONNECT named no method, the server has asked nothing, or the connection is over.
    pub fn authenticate(
        &mut self,
        data: Option<&[u8]>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        if self.is_closed() {
            return Err(Misuse::NotOpen);
        }
        self.put_auth(ReasonCode::ContinueAuthentication, Whose::Client, data, now, out)
    }

    /// Begins the authentication anew on an open connection [MQTT-4.12.1-1].
    ///
    /// # Errors
    /// CONNECT named no method, the connection is not open, or another authentication is under way on it.
    pub fn reauthenticate(
        &mut self,
        data: Option<&[u8]>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        self.check_open()?;
        self.put_auth(ReasonCode::Reauthenticate, Whose::Idle, data, now, out)
    }

    pub(super) fn handle_auth<'a>(&mut self, auth: Auth<'a>, now: Millis) -> Result<Event<'a>, Violation> {
        let Some(exchange) = &mut self.exchange else {
            return Err(Violation::AuthUnexpected); // [MQTT-4.12.0-6]
        };
        if auth.authentication_method != Some(&*exchange.method) {
            return Err(Violation::AuthMethodChanged); // [MQTT-4.12.0-5]
        }
        match (self.state, exchange.turn, auth.reason) {
            (State::Connecting { .. }, Whose::Server, ReasonCode::ContinueAuthentication) => {
                self.state = State::Connecting { since: now };
                exchange.turn = Whose::Client;
            }
            (State::Open, Whose::Server, ReasonCode::ContinueAuthentication) => exchange.turn = Whose::Client,
            (State::Open, Whose::Server, ReasonCode::Success) => exchange.turn = Whose::Idle,
            // Success before CONNACK is CONNACK itself [MQTT-4.12.0-2], and only a client begins anew.
            _ => return Err(Violation::AuthOutOfTurn),
        }
        Ok(Event::Auth(auth))
    }

    fn put_auth(
        &mut self,
        reason: ReasonCode,
        turn: Whose,
        data: Option<&[u8]>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        let Some(mut exchange) = self.exchange.take() else {
            return Err(Misuse::NoAuthenticationMethod); // [MQTT-4.12.0-7]
        };
        let packet = Auth {
            reason,
            authentication_method: Some(&exchange.method),
            authentication_data: data,
            ..Auth::default()
        };
        let put = if exchange.turn == turn {
            self.put_checked(&Packet::Auth(packet), now, out)
        } else {
            Err(Misuse::AuthOutOfTurn)
        };
        if put.is_ok() {
            exchange.turn = Whose::Server;
        }
        self.exchange = Some(exchange);
        put
    }
}
