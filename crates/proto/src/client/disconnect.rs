//! DISCONNECT in both directions: the last packet of a connection, and what it leaves of the session.

use alloc::vec::Vec;

use super::{Connection, Event, Misuse, State};
use crate::{
    Millis,
    codec::{Disconnect, Packet, PacketType, Peer, ReasonCode, Version},
};

impl Connection {
    /// Ends the connection: writes DISCONNECT, after which nothing may be sent [MQTT-3.14.4-1] and the network
    /// connection is to be closed [MQTT-3.14.4-2].
    ///
    /// # Errors
    /// The connection is not open, a field is wrong, or the session expiry is raised from 0.
    pub fn disconnect(
        &mut self,
        disconnect: &Disconnect<'_>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        self.check_open()?;
        let Disconnect { reason, session_expiry_secs, .. } = *disconnect;
        if !reason.allowed_in(PacketType::Disconnect, Peer::Client) {
            return Err(Misuse::ReasonNotAllowed(reason)); // [MQTT-3.14.2-1]
        }
        if self.session_expiry_secs == 0 && session_expiry_secs.is_some_and(|secs| secs > 0) {
            return Err(Misuse::SessionExpiryRaised);
        }
        self.put_checked(&Packet::Disconnect(*disconnect), now, out)?;
        if let Some(secs) = session_expiry_secs {
            self.session_expiry_secs = secs;
            self.session.exists = secs > 0;
        }
        self.state = State::Closed;
        Ok(())
    }

    /// The connection ends by our decision or because of a violation: writes DISCONNECT with the reason where 5.0 and
    /// the state allow one [MQTT-4.13.1-1]. A reason that a client has no word for becomes an unspecified error.
    pub fn farewell(&mut self, reason: ReasonCode, out: &mut Vec<u8>) {
        if self.is_open() && self.version == Version::V5 {
            let known = reason.allowed_in(PacketType::Disconnect, Peer::Client);
            let reason = if known { reason } else { ReasonCode::Unspecified };
            Disconnect { reason, ..Disconnect::default() }.encode(Version::V5, out);
        }
        self.state = State::Closed;
    }

    /// The server ends the connection. It cannot change the session's life.
    pub(super) fn handle_disconnect<'a>(&mut self, disconnect: Disconnect<'a>) -> Event<'a> {
        self.state = State::Closed;
        Event::Disconnected(disconnect)
    }
}
