//! Packet identifiers of QoS 2 messages that the peer has published and not yet released. They outlive the connection.

use alloc::vec::Vec;

use crate::codec::PacketId;

/// What a PUBREL has released.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// The identifier was not open.
    Unknown,
    /// A message of an earlier network connection: it has taken nothing of the present quota.
    Earlier,
    /// A message of this network connection: its unit of the quota comes back.
    Present,
}

/// An open identifier.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Open {
    id: PacketId,
    /// Whether its message came on the present network connection.
    present: bool,
}

/// The open QoS 2 identifiers of one peer: PUBREC sent, PUBREL not yet received.
///
/// While an identifier is open, a PUBLISH that carries it is the same message again and is acknowledged without being
/// delivered [MQTT-4.3.3-10].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    /// Ascending; identifiers mostly come in order, so they are mostly pushed at the end.
    open: Vec<Open>,
}

impl Incoming {
    /// Open identifiers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether this identifier is open: its message has been taken already.
    #[must_use]
    pub fn contains(&self, id: PacketId) -> bool {
        self.find(id).is_ok()
    }

    /// Opens an identifier: its message has been taken. False when it was open already.
    pub fn open(&mut self, id: PacketId) -> bool {
        match self.find(id) {
            Ok(_) => false,
            Err(at) => {
                self.open.insert(at, Open { id, present: true });
                true
            }
        }
    }

    /// Opens an identifier of an earlier life of the session.
    pub fn restore(&mut self, id: PacketId) {
        if self.open(id)
            && let Ok(at) = self.find(id)
            && let Some(open) = self.open.get_mut(at)
        {
            open.present = false;
        }
    }

    /// The open identifiers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = PacketId> {
        self.open.iter().map(|open| open.id)
    }

    /// The message of an open identifier has come again. Whether that takes a unit of the quota until its PUBREL: not
    /// when it came on the present network connection before.
    pub fn renew(&mut self, id: PacketId) -> bool {
        match self.find(id).ok().and_then(|at| self.open.get_mut(at)) {
            Some(open) => !core::mem::replace(&mut open.present, true),
            None => false,
        }
    }

    /// A PUBREL came: the identifier is new again [MQTT-4.3.3-12].
    pub fn release(&mut self, id: PacketId) -> Release {
        match self.find(id) {
            Ok(at) => {
                let Open { present, .. } = self.open.remove(at);
                if self.open.is_empty() && self.open.capacity() > 64 {
                    self.open = Vec::new();
                }
                if present { Release::Present } else { Release::Earlier }
            }
            Err(_) => Release::Unknown,
        }
    }

    /// The network connection has ended; the identifiers stay open, the quota begins anew.
    pub fn link_lost(&mut self) {
        self.open.iter_mut().for_each(|open| open.present = false);
    }

    fn find(&self, id: PacketId) -> Result<usize, usize> {
        self.open.binary_search_by_key(&id, |open| open.id)
    }
}
