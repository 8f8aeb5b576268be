//! What a client keeps of a session between two network connections. Not the subscriptions: those the server keeps.

use alloc::vec::Vec;

use super::Message;
use crate::{
    Incoming, Millis, Outgoing, Release,
    codec::{PacketId, QoS, ReasonCode},
};

/// The caller's name for a message that it publishes; the outcome is told under it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// A message in flight, with what its outcome needs.
#[derive(Clone, Debug)]
pub(super) struct Publication {
    pub(super) message: Message,
    pub(super) token: Token,
    /// When the caller handed it over: its expiry interval counts from here.
    pub(super) since: Millis,
}

/// A QoS 2 message that the server has, or that is given up: PUBREL sent, PUBCOMP awaited.
#[derive(Clone, Debug)]
pub(super) struct Released {
    pub(super) packet_id: PacketId,
    pub(super) token: Token,
    pub(super) since: Millis,
    /// What PUBREC said; an error where we gave the message up before one came.
    pub(super) reason: ReasonCode,
}

/// A message whose outcome the session did not live to see.
#[derive(Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The caller's name for it.
    pub token: Token,
    /// The message, where it is not known that the server has it.
    pub message: Option<Message>,
    /// When the caller handed it over, as it said at [`publish`](super::Connection::publish).
    pub since: Millis,
}

impl From<Publication> for Unfinished {
    fn from(publication: Publication) -> Unfinished {
        let Publication { message, token, since } = publication;
        Unfinished { token, message: Some(message), since }
    }
}

/// What came of a QoS 2 PUBLISH by what the session knows of its packet identifier.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// A message that has not been here.
    New,
    /// The same message again, which the application has and has not yet answered.
    Held,
    /// The same message again, which the application has taken.
    Taken,
}

/// The session state of a client: messages sent and not yet acknowledged, QoS 2 messages received and not yet
/// released. It goes into a [`Connection`](super::Connection) and comes out of it again.
///
/// [`Session::default`] is a client that has no session. [`Session::continued`] is one whose session an earlier
/// process began and left with nothing in flight.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Whether the client has a session that the server may have too.
    pub(super) exists: bool,
    pub(super) outgoing: Outgoing<Publication>,
    pub(super) released: Vec<Released>,
    pub(super) incoming: Incoming,
    /// QoS 2 messages that the application has and has not yet answered; a few, so they are searched.
    held: Vec<PacketId>,
    /// Sessions before this one. An answer to a QoS 2 message of an earlier one is void.
    pub(super) life: u32,
    /// Network connections before this one. An answer to a QoS 1 message of an earlier one is void.
    pub(super) link: u32,
}

impl Session {
    /// A session that exists on the server and of which this process has nothing in flight.
    #[must_use]
    pub fn continued() -> Session {
        Session { exists: true, ..Session::default() }
    }

    /// Whether the client holds a session; without one, CONNACK must not say that one is present.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.exists
    }

    /// Messages published and not yet acknowledged.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.outgoing.len()
    }

    /// Ends the session and starts a new, empty one [MQTT-3.2.2-5]; gives back what the old one had in flight, in the
    /// order of publishing.
    pub fn discard(&mut self) -> Vec<Unfinished> {
        let released = core::mem::take(&mut self.released);
        let outcome_of = |id| {
            let released = released.iter().find(|released| released.packet_id == id)?;
            Some(Unfinished { token: released.token, message: None, since: released.since })
        };
        let order: Vec<_> = self
            .outgoing
            .iter()
            .map(|sent| if sent.message().is_some() { None } else { outcome_of(sent.packet_id()) })
            .collect();
        let mut given = self.outgoing.extract(|_| true).into_iter();
        let next = |released: Option<Unfinished>| released.or_else(|| given.next().map(Unfinished::from));
        let unfinished = order.into_iter().filter_map(next).collect();
        let (life, link) = (self.life.wrapping_add(1), self.link);
        *self = Session { life, link, ..Session::default() };
        unfinished
    }

    /// The session as it goes into another network connection.
    pub(super) fn next_link(mut self) -> Session {
        self.link = self.link.wrapping_add(1);
        self
    }

    /// A QoS 2 PUBLISH came with this identifier.
    pub(super) fn arrive(&mut self, id: PacketId) -> Arrival {
        if self.incoming.open(id) {
            self.held.push(id);
            Arrival::New
        } else if self.held.contains(&id) {
            Arrival::Held
        } else {
            Arrival::Taken
        }
    }

    /// The application has answered a QoS 2 message. A refused one is no longer open: its identifier is new again.
    pub(super) fn answer(&mut self, id: PacketId, reason: ReasonCode) {
        self.held.retain(|held| *held != id);
        if reason.is_error() {
            self.incoming.release(id);
        }
    }

    /// PUBREL came.
    pub(super) fn release(&mut self, id: PacketId) -> Release {
        self.held.retain(|held| *held != id);
        self.incoming.release(id)
    }

    /// Takes the outcome that waits for this PUBCOMP.
    pub(super) fn take_released(&mut self, id: PacketId) -> Option<Released> {
        let at = self.released.iter().position(|released| released.packet_id == id)?;
        Some(self.released.remove(at))
    }

    /// Gives up the in-flight messages that `sendable` refuses, so that the others can be sent again.
    ///
    /// At QoS 1 they are handed back. At QoS 2 the server may have the message, and its identifier must not be given
    /// to another one before the server has released it: such a delivery goes on with PUBREL, and PUBCOMP tells
    /// whether the server knew it.
    pub(super) fn give_up(
        &mut self,
        sendable: impl Fn(&Message) -> Result<(), ReasonCode>,
    ) -> Vec<Unfinished> {
        let refused = |message: &Message, qos| message.qos == qos && sendable(message).is_err();
        let open: Vec<PacketId> = self
            .outgoing
            .iter()
            .filter(|sent| sent.message().is_some_and(|p| refused(&p.message, QoS::ExactlyOnce)))
            .map(|sent| sent.packet_id())
            .collect();
        for packet_id in open {
            if let Ok(Some(publication)) = self.outgoing.received(packet_id) {
                let reason = sendable(&publication.message).err().unwrap_or(ReasonCode::Unspecified);
                let Publication { token, since, .. } = publication;
                self.released.push(Released { packet_id, token, since, reason });
            }
        }
        let given = self
            .outgoing
            .extract(|sent| sent.message().is_some_and(|p| refused(&p.message, QoS::AtLeastOnce)));
        given.into_iter().map(Unfinished::from).collect()
    }
}
