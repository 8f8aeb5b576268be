//! Acknowledgements that we owe the server, in the order in which its messages came. They end with the connection.

use alloc::{collections::VecDeque, vec::Vec};

use crate::codec::{Ack as AckPacket, PacketId, PacketType, QoS, ReasonCode, Version};

/// The duty to acknowledge one message. The application returns it once it has taken the message, or refuses it.
///
/// An acknowledgement whose connection is over is not lost: at QoS 1 the server sends the message again, at QoS 2 the
/// session remembers the answer.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a message that is not acknowledged stays with the server"]
pub struct Ack {
    pub(super) packet_id: PacketId,
    pub(super) qos: QoS,
    pub(super) life: u32,
    pub(super) link: u32,
}

impl Ack {
    /// The packet identifier of the message.
    #[must_use]
    pub fn packet_id(&self) -> PacketId {
        self.packet_id
    }
}

#[derive(Clone, Debug)]
struct Owed {
    packet_id: PacketId,
    qos: QoS,
    answer: Option<ReasonCode>,
}

/// The messages of this connection that are not acknowledged yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Acks {
    owed: VecDeque<Owed>,
}

/// An acknowledgement that has been written.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) qos: QoS,
    pub(super) reason: ReasonCode,
}

impl Acks {
    /// A message came; its acknowledgement waits for all earlier ones.
    pub(super) fn owe(&mut self, packet_id: PacketId, qos: QoS) {
        self.owed.push_back(Owed { packet_id, qos, answer: None });
    }

    /// The oldest message with this identifier that has no answer yet has one now. At QoS 2 all of them are the same
    /// message and have it.
    pub(super) fn answer(&mut self, packet_id: PacketId, qos: QoS, reason: ReasonCode) {
        let waiting =
            |owed: &&mut Owed| owed.packet_id == packet_id && owed.qos == qos && owed.answer.is_none();
        let count = if qos == QoS::AtLeastOnce { 1 } else { usize::MAX };
        for owed in self.owed.iter_mut().filter(waiting).take(count) {
            owed.answer = Some(reason);
        }
    }

    /// Writes the next acknowledgement, PUBACK or PUBREC, if it has been answered. They leave in the order of the
    /// PUBLISH packets, those of QoS 1 and of QoS 2 in one line [MQTT-4.6.0-2] [MQTT-4.6.0-3].
    pub(super) fn write_next(&mut self, version: Version, out: &mut Vec<u8>) -> Option<Written> {
        let reason = self.owed.front()?.answer?;
        let Owed { packet_id, qos, .. } = self.owed.pop_front()?;
        let kind = if qos == QoS::AtLeastOnce { PacketType::PubAck } else { PacketType::PubRec };
        AckPacket::new(packet_id, reason).encode(kind, version, out);
        Some(Written { qos, reason })
    }
}
