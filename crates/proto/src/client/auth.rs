//! AUTH: the exchange of an authentication method between CONNECT and CONNACK, and again later. Not the methods.

use alloc::vec::Vec;

use super::{Connection, Event, Misuse, State};
use crate::{
    Millis, Violation,
    codec::{Auth, Packet, ReasonCode},
};

impl Connection {
    /// Answers the server's [`Event::Auth`] [MQTT-4.12.0-3].
    ///
    /// # Errors
    /// CONNECT named no method, or the connection is over.
    pub fn authenticate(
        &mut self,
        data: Option<&[u8]>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        if self.is_closed() {
            return Err(Misuse::NotOpen);
        }
        self.put_auth(ReasonCode::ContinueAuthentication, data, now, out)
    }

    /// Begins the authentication anew on an open connection [MQTT-4.12.1-1].
    ///
    /// # Errors
    /// CONNECT named no method, or the connection is not open.
    pub fn reauthenticate(
        &mut self,
        data: Option<&[u8]>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        self.check_open()?;
        self.put_auth(ReasonCode::Reauthenticate, data, now, out)
    }

    pub(super) fn handle_auth<'a>(&mut self, auth: Auth<'a>, now: Millis) -> Result<Event<'a>, Violation> {
        // The method stays the one of CONNECT [MQTT-4.12.0-5]; without one there is no AUTH [MQTT-4.12.0-6].
        if self.authentication_method.is_none()
            || auth.authentication_method != self.authentication_method.as_deref()
        {
            return Err(Violation::AuthUnexpected);
        }
        match (self.state, auth.reason) {
            (State::Connecting { .. }, ReasonCode::ContinueAuthentication) => {
                self.state = State::Connecting { since: now };
            }
            (State::Open, ReasonCode::ContinueAuthentication | ReasonCode::Success) => {}
            // Success before CONNACK is CONNACK itself [MQTT-4.12.0-2].
            _ => return Err(Violation::AuthUnexpected),
        }
        Ok(Event::Auth(auth))
    }

    fn put_auth(
        &mut self,
        reason: ReasonCode,
        data: Option<&[u8]>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        let Some(method) = self.authentication_method.take() else {
            return Err(Misuse::NoAuthenticationMethod); // [MQTT-4.12.0-7]
        };
        let packet = Auth {
            reason,
            authentication_method: Some(&method),
            authentication_data: data,
            ..Auth::default()
        };
        let put = self.put_checked(&Packet::Auth(packet), now, out);
        self.authentication_method = Some(method);
        put
    }
}
