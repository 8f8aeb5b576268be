//! The exchange of an authentication method as the owner of a connection sees it: what the client says, and what it is
//! replied. Not the methods.

use std::sync::Arc;

use whimbrel_proto::{
    codec::{Auth, Connect, PacketType, Peer, ReasonCode, Version},
    server::{Authentication, Said},
};

use super::Conversation;
use crate::{Attached, Engine, Turn, Wire, Written, commit};

/// The authentication method that CONNECT names.
#[derive(Clone, PartialEq, Eq)]
pub struct Method {
    /// Its name.
    pub name: Box<str>,
    /// Its first data, if CONNECT has any.
    pub data: Option<Box<[u8]>>,
}

impl Method {
    pub(super) fn of(connect: &Connect<'_>) -> Option<Box<Method>> {
        let name = connect.properties.authentication_method?.into();
        Some(Box::new(Method { name, data: connect.properties.authentication_data.map(Box::from) }))
    }
}

/// What the server replies for a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It needs more of the client, who is given this.
    Continue(Option<Box<[u8]>>),
    /// The client is who it says, and is given this.
    Success(Option<Box<[u8]>>),
    /// It is not, or is not let in.
    Denied(ReasonCode),
}

impl Conversation {
    /// What the client has said for its method since CONNECT, once: to be replied to, at once or later. Before CONNACK the
    /// conversation stands at [`Standing::Asking`](super::Standing::Asking) until then; after CONNACK everything goes on
    /// meanwhile.
    pub fn said(&mut self) -> Option<Said> {
        self.connection.said()
    }

    /// The method has come to this. Whoever lets the client in says before who it is ([`Conversation::identify`]).
    pub fn reply(&mut self, engine: &Engine, turn: &mut Turn, reply: Reply, wire: &Arc<dyn Wire>) {
        if self.closing || !self.connection.owes_auth() {
            return; // Something else has ended the connection meanwhile.
        }
        match (self.attached.clone(), reply) {
            (None, Reply::Denied(reason)) => self.decide(engine, turn, Err(reason), wire),
            (None, Reply::Success(data)) => {
                if let (Some(arrival), Some(method)) =
                    (&mut self.arrival, self.connection.authentication_method())
                {
                    let authentication = Authentication { method: method.into(), data };
                    arrival.negotiated.authentication = Some(Box::new(authentication));
                }
                self.decide(engine, turn, Ok(()), wire);
            }
            (None, Reply::Continue(data)) => self.challenge(turn, data.as_deref(), wire),
            (Some(_), Reply::Denied(reason)) => {
                // [MQTT-4.12.1-2]; DISCONNECT has fewer codes than CONNACK.
                let has_word = reason.allowed_in(PacketType::Disconnect, Peer::Server);
                self.close(engine, turn, if has_word { reason } else { ReasonCode::NotAuthorized });
            }
            (Some(attached), Reply::Continue(data)) => {
                if let Some(auth) = self.connection.challenge(data.as_deref()) {
                    engine.auth(turn, &attached, &auth);
                }
            }
            (Some(attached), Reply::Success(data)) => {
                if let Some(auth) = self.connection.reauthenticated(data.as_deref()) {
                    engine.auth(turn, &attached, &auth);
                }
            }
        }
    }

    /// Asks a client for more that has no session yet. What it is asked leaves at once, and whole: nothing is on the way to
    /// it before.
    fn challenge(&mut self, turn: &mut Turn, data: Option<&[u8]>, wire: &Arc<dyn Wire>) {
        let bytes_max = self.connection.client_packet_bytes_max() as usize;
        let Some(auth) = self.connection.challenge(data) else { return };
        let mut bytes = Vec::new();
        auth.encode(Version::V5, &mut bytes);
        if bytes.len() > bytes_max {
            self.refuse(turn, ReasonCode::PacketTooLarge, None); // [MQTT-3.1.2-24]
            return;
        }
        turn.count(crate::Count::PacketsSent, 1);
        if wire.write(&[&bytes]) != Written::Bytes(bytes.len()) {
            // Whoever has filled its socket with a few short packets does not read.
            self.arrival = None;
            self.closing = true;
        }
    }
}

impl Engine {
    /// AUTH to a client that is in.
    fn auth(&self, turn: &mut Turn, to: &Attached, auth: &Auth<'_>) {
        let Some(mut own) = self.lock_attached(to) else { return };
        commit::leave(&mut own, turn, commit::Promise::Auth(auth), 0);
    }
}
