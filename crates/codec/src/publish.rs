//! PUBLISH as it comes in, and as a client sends it. The broker's way out is `publish_head`.

use crate::body::{Block, saturate};
use crate::properties::{Carrier, PublishProperties};
use crate::reader::Reader;
use crate::string::clip_str;
use crate::varint::varint_len;
use crate::{Frame, Malformed, PacketId, PacketType, Peer, QoS, Sink, Version};

/// PUBLISH: publish message.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Whether the sender may have sent this packet before.
    pub dup: bool,
    /// The quality of service.
    pub qos: QoS,
    /// Whether the server keeps the message, or has kept it.
    pub retain: bool,
    /// The topic name. Empty only in 5.0, when `properties.topic_alias` stands for it.
    pub topic: &'a str,
    /// The packet identifier: there if and only if `qos` is not 0.
    pub packet_id: Option<PacketId>,
    /// The properties; empty before 5.0.
    pub properties: PublishProperties<'a>,
    /// The application message.
    pub payload: &'a [u8],
}

/// The first byte of a PUBLISH with these flags.
#[must_use]
#[inline]
pub fn publish_first_byte(dup: bool, qos: QoS, retain: bool) -> u8 {
    PacketType::Publish.bits() << 4 | u8::from(dup) << 3 | qos.bits() << 1 | u8::from(retain)
}

impl<'a> Publish<'a> {
    /// Reads a frame of this type. The payload is not looked at.
    ///
    /// # Errors
    ///
    /// Whatever in the frame violates the specification.
    #[inline]
    pub fn decode(frame: Frame<'a>, version: Version, from: Peer) -> Result<Publish<'a>, Malformed> {
        let dup = frame.flags & 0b1000 != 0;
        let retain = frame.flags & 1 != 0;
        // [MQTT-3.3.1-4]
        let Some(qos) = QoS::from_bits(frame.flags >> 1 & 0b11) else {
            return Err(Malformed::PublishQoS3);
        };
        // [MQTT-3.3.1-2]
        if dup && qos == QoS::AtMostOnce {
            return Err(Malformed::DupOnQoS0);
        }
        let mut body = Reader::new(frame.body);
        let topic = body.topic_name()?;
        let packet_id = match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce | QoS::ExactlyOnce => Some(body.packet_id()?),
        };
        let properties = match version {
            Version::V31 | Version::V311 => PublishProperties::default(),
            Version::V5 => read_properties(&mut body, from)?,
        };
        if topic.is_empty() && properties.topic_alias.is_none() {
            return Err(Malformed::TopicMissing);
        }
        Ok(Publish { dup, qos, retain, topic, packet_id, properties, payload: body.rest() })
    }

    /// The size of the whole packet in bytes.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        let remaining_length = self.remaining_length(version);
        1 + varint_len(saturate(remaining_length)) + remaining_length
    }

    /// Writes the whole packet. At QoS 0 a packet identifier is not written, and above it a missing one is
    /// a caller's mistake that leaves the packet without. `[MQTT-2.2.1-2]`
    pub fn encode(&self, version: Version, out: &mut impl Sink) {
        out.put_u8(publish_first_byte(self.dup, self.qos, self.retain));
        out.put_varint(saturate(self.remaining_length(version)));
        out.put_str(self.topic);
        if let Some(packet_id) = self.written_packet_id() {
            out.put_u16(packet_id.value());
        }
        if version.has_properties() {
            self.properties.put_counted(out);
        }
        out.put(self.payload);
    }

    fn remaining_length(&self, version: Version) -> usize {
        let packet_id = if self.written_packet_id().is_some() { 2 } else { 0 };
        let properties = if version.has_properties() {
            let len = self.properties.block_len();
            varint_len(saturate(len)) + len
        } else {
            0
        };
        2 + clip_str(self.topic).len() + packet_id + properties + self.payload.len()
    }

    fn written_packet_id(&self) -> Option<PacketId> {
        self.packet_id.filter(|_| self.qos != QoS::AtMostOnce)
    }
}

/// Most messages have no property: their block is a single zero byte.
#[inline]
fn read_properties<'a>(body: &mut Reader<'a>, from: Peer) -> Result<PublishProperties<'a>, Malformed> {
    let block = body.block()?;
    if block.is_empty() {
        return Ok(PublishProperties::default());
    }
    // A will delay is not a PUBLISH's, so nothing is ever put there.
    PublishProperties::read(block, Carrier::Publish(from), &mut None)
}
