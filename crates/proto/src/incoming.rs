//! Packet identifiers of QoS 2 messages that the peer has published and not yet released. They outlive the connection.

use alloc::{boxed::Box, vec::Vec};

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
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    /// Ascending; identifiers mostly come in order, so they are mostly pushed at the end. Absent until the first comes, and
    /// boxed, since few clients publish at QoS 2.
    #[expect(clippy::box_collection, reason = "16 bytes less in every session")]
    open: Option<Box<Vec<Open>>>,
}

impl Incoming {
    /// Open identifiers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all().len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
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
                self.open.get_or_insert_default().insert(at, Open { id, present: true });
                true
            }
        }
    }

    /// Opens an identifier of an earlier life of the session.
    pub fn restore(&mut self, id: PacketId) {
        if self.open(id)
            && let Ok(at) = self.find(id)
            && let Some(open) = self.at(at)
        {
            open.present = false;
        }
    }

    /// The open identifiers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = PacketId> {
        self.all().iter().map(|open| open.id)
    }

    /// The message of an open identifier has come again. Whether that takes a unit of the quota until its PUBREL: not
    /// when it came on the present network connection before.
    pub fn renew(&mut self, id: PacketId) -> bool {
        match self.find(id).ok().and_then(|at| self.at(at)) {
            Some(open) => !core::mem::replace(&mut open.present, true),
            None => false,
        }
    }

    /// A PUBREL came: the identifier is new again [MQTT-4.3.3-12].
    pub fn release(&mut self, id: PacketId) -> Release {
        let (Ok(at), Some(open)) = (self.find(id), &mut self.open) else { return Release::Unknown };
        let Open { present, .. } = open.remove(at);
        if open.is_empty() && open.capacity() > 64 {
            self.open = None;
        }
        if present { Release::Present } else { Release::Earlier }
    }

    /// The network connection has ended; the identifiers stay open, the quota begins anew.
    pub fn link_lost(&mut self) {
        self.open.iter_mut().flat_map(|open| open.iter_mut()).for_each(|open| open.present = false);
    }

    fn find(&self, id: PacketId) -> Result<usize, usize> {
        self.all().binary_search_by_key(&id, |open| open.id)
    }

    fn all(&self) -> &[Open] {
        self.open.as_deref().map_or(&[], |open| open)
    }

    fn at(&mut self, at: usize) -> Option<&mut Open> {
        self.open.as_mut().and_then(|open| open.get_mut(at))
    }
}
