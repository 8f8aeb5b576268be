//! The forward path of a broker: a PUBLISH up to its payload, written in one pass. Not for reading.

use crate::body::saturate;
use crate::properties::PropertyId;
use crate::publish::publish_first_byte;
use crate::string::clip_str;
use crate::varint::{varint_bytes, varint_len};
use crate::{PacketId, QoS, Sink, Version};

/// Everything of a PUBLISH but the payload.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishHead<'a> {
    /// Whether the packet may have been sent before.
    pub dup: bool,
    /// The quality of service of this delivery.
    pub qos: QoS,
    /// The RETAIN flag.
    pub retain: bool,
    /// The topic name; empty when the alias alone stands for it.
    pub topic: &'a str,
    /// The packet identifier; not written at QoS 0.
    pub packet_id: Option<PacketId>,
    /// Topic Alias. As all that follows: written in 5.0 only.
    pub topic_alias: Option<u16>,
    /// Message Expiry Interval in seconds, what is left of it.
    pub message_expiry_secs: Option<u32>,
    /// The identifiers of the subscriptions that this delivery serves.
    pub subscription_ids: &'a [u32],
    /// What [`PublishProperties::forwarded`](crate::PublishProperties::forwarded) wrote when the message came.
    pub forwarded: &'a [u8],
}

/// Where in the frame a caller finds what it patches in a copy.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct HeadLayout {
    /// The offset of the two bytes of the packet identifier from the first byte of the frame.
    pub packet_id_at: Option<usize>,
}

impl PublishHead<'_> {
    /// The size of the whole packet in bytes, payload included.
    #[must_use]
    #[inline]
    pub fn frame_len(&self, version: Version, payload_len: usize) -> usize {
        let remaining_length = self.head_len(version) + payload_len;
        1 + varint_len(saturate(remaining_length)) + remaining_length
    }

    /// Writes the packet up to, not including, the payload of `payload_len` bytes.
    ///
    /// A caller that appends to a vector reserves [`frame_len`](Self::frame_len) first.
    #[inline]
    pub fn encode(&self, version: Version, payload_len: usize, out: &mut impl Sink) -> HeadLayout {
        let topic = clip_str(self.topic).as_bytes();
        let remaining_length = saturate(self.head_len(version) + payload_len);
        let first = publish_first_byte(self.dup, self.qos, self.retain);
        let [high, low] = (topic.len() as u16).to_be_bytes();
        let [a, b, c, d] = varint_bytes(remaining_length);
        let length_bytes = varint_len(remaining_length);
        // Writes of a fixed size compile to stores; a loop over the length bytes does not.
        match length_bytes {
            1 => out.put(&[first, a, high, low]),
            2 => out.put(&[first, a, b, high, low]),
            3 => out.put(&[first, a, b, c, high, low]),
            _ => out.put(&[first, a, b, c, d, high, low]),
        }
        out.put(topic);
        let packet_id = self.written_packet_id();
        if let Some(packet_id) = packet_id {
            out.put_u16(packet_id.value());
        }
        if version.has_properties() {
            self.put_properties(out);
        }
        HeadLayout { packet_id_at: packet_id.map(|_| 1 + length_bytes + 2 + topic.len()) }
    }

    #[inline]
    fn put_properties(&self, out: &mut impl Sink) {
        out.put_varint(saturate(self.properties_len()));
        if let Some(alias) = self.topic_alias {
            let [high, low] = alias.to_be_bytes();
            out.put(&[PropertyId::TopicAlias as u8, high, low]);
        }
        if let Some(secs) = self.message_expiry_secs {
            let [a, b, c, d] = secs.to_be_bytes();
            out.put(&[PropertyId::MessageExpiryInterval as u8, a, b, c, d]);
        }
        for &id in self.subscription_ids {
            out.put_u8(PropertyId::SubscriptionIdentifier as u8);
            out.put_varint(id);
        }
        if !self.forwarded.is_empty() {
            out.put(self.forwarded);
        }
    }

    #[inline]
    fn properties_len(&self) -> usize {
        let alias = if self.topic_alias.is_some() { 3 } else { 0 };
        let expiry = if self.message_expiry_secs.is_some() { 5 } else { 0 };
        let ids: usize = self.subscription_ids.iter().map(|&id| 1 + varint_len(id)).sum();
        alias + expiry + ids + self.forwarded.len()
    }

    /// The variable header.
    #[inline]
    fn head_len(&self, version: Version) -> usize {
        let packet_id = if self.written_packet_id().is_some() { 2 } else { 0 };
        let properties = if version.has_properties() {
            let len = self.properties_len();
            varint_len(saturate(len)) + len
        } else {
            0
        };
        2 + clip_str(self.topic).len() + packet_id + properties
    }

    #[inline]
    fn written_packet_id(&self) -> Option<PacketId> {
        self.packet_id.filter(|_| self.qos != QoS::AtMostOnce)
    }
}
