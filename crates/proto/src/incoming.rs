//! Packet identifiers of QoS 2 messages that the peer has published and not yet released. They outlive the connection.

use alloc::vec::Vec;

use crate::codec::PacketId;

/// The open QoS 2 identifiers of one peer: PUBREC sent, PUBREL not yet received.
///
/// While an identifier is open, a PUBLISH that carries it is the same message again and is acknowledged without being
/// delivered [MQTT-4.3.3-10].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    /// Ascending; identifiers mostly come in order, so they are mostly pushed at the end.
    open: Vec<PacketId>,
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
        self.open.binary_search(&id).is_ok()
    }

    /// Opens an identifier: its message has been taken. False when it was open already.
    pub fn open(&mut self, id: PacketId) -> bool {
        match self.open.binary_search(&id) {
            Ok(_) => false,
            Err(at) => {
                self.open.insert(at, id);
                true
            }
        }
    }

    /// A PUBREL came: the identifier is new again [MQTT-4.3.3-12]. False when it was not open.
    pub fn release(&mut self, id: PacketId) -> bool {
        match self.open.binary_search(&id) {
            Ok(at) => {
                self.open.remove(at);
                if self.open.is_empty() && self.open.capacity() > 64 {
                    self.open = Vec::new();
                }
                true
            }
            Err(_) => false,
        }
    }
}
