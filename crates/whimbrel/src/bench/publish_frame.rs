//! PUBLISH packets made beforehand, into which only number, time and packet id are written. Not when to send them.

use std::rc::Rc;

use whimbrel_codec::{PacketId, PublishHead, QoS, Version};

use super::quantity::PayloadSize;
use super::stamp::{CHECKED_BYTES, STAMP_BYTES, Stamp, sum};

/// Lengths that a range of payload sizes is made of.
const VARIANTS: usize = 16;

/// The packets of one sender.
#[derive(Debug)]
pub(super) struct Frames {
    version: Version,
    qos: QoS,
    retain: bool,
    variants: Vec<Variant>,
    filler: Rc<[u8]>,
}

/// The packets of one payload length.
#[derive(Debug)]
struct Variant {
    /// Everything before the payload, if the topic is always the same.
    head: Vec<u8>,
    packet_id_at: Option<usize>,
    payload_len: usize,
    filler_len: usize,
    filler_sum: u64,
}

impl Frames {
    /// `topic` is empty where it changes from message to message.
    pub(super) fn new(
        version: Version,
        qos: QoS,
        retain: bool,
        topic: &str,
        size: PayloadSize,
        filler: Rc<[u8]>,
    ) -> Frames {
        let variants = if size.min == size.max { 1 } else { VARIANTS };
        let lengths = (0..variants).map(|variant| match variants {
            1 => size.min,
            _ => size.min + (size.max - size.min) * variant / (variants - 1),
        });
        let mut frames = Frames { version, qos, retain, variants: Vec::new(), filler };
        for payload_len in lengths {
            let stamp_len = if payload_len < CHECKED_BYTES { STAMP_BYTES } else { CHECKED_BYTES };
            // A payload of no bytes at all clears a retained message.
            let filler_len = payload_len.saturating_sub(stamp_len);
            let filler_sum = sum(frames.filler.get(..filler_len).unwrap_or_default());
            let mut head = Vec::new();
            let mut packet_id_at = None;
            if !topic.is_empty() {
                packet_id_at = frames.put_head(topic, PacketId::new(1), payload_len, &mut head);
            }
            frames.variants.push(Variant { head, packet_id_at, payload_len, filler_len, filler_sum });
        }
        frames
    }

    /// Appends one packet. `topic` counts only where there was none to begin with.
    #[inline]
    pub(super) fn append(&self, topic: &str, stamp: Stamp, packet_id: Option<PacketId>, out: &mut Vec<u8>) {
        // A step that shares no factor with the number of variants, so that lengths come in no order.
        let variant = (stamp.number as usize).wrapping_mul(7) % self.variants.len().max(1);
        let Some(variant) = self.variants.get(variant) else { return };
        let start = out.len();
        if variant.head.is_empty() {
            self.put_head(topic, packet_id, variant.payload_len, out);
        } else {
            out.extend_from_slice(&variant.head);
            if let (Some(at), Some(packet_id)) = (variant.packet_id_at, packet_id)
                && let Some(place) = out.get_mut(start + at..start + at + 2)
            {
                place.copy_from_slice(&packet_id.value().to_be_bytes());
            }
        }
        let bytes = stamp.bytes(variant.filler_sum);
        let stamped = variant.payload_len - variant.filler_len;
        out.extend_from_slice(bytes.get(..stamped).unwrap_or(&bytes));
        out.extend_from_slice(self.filler.get(..variant.filler_len).unwrap_or_default());
    }

    fn put_head(
        &self,
        topic: &str,
        packet_id: Option<PacketId>,
        payload_len: usize,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        let head =
            PublishHead { qos: self.qos, retain: self.retain, topic, packet_id, ..PublishHead::default() };
        head.encode(self.version, payload_len, out).packet_id_at
    }
}

/// The text repeated to this length.
pub(super) fn filler(text: &str, len: usize) -> Rc<[u8]> {
    let text = if text.is_empty() { "\0" } else { text };
    text.bytes().cycle().take(len).collect()
}

#[cfg(test)]
mod tests {
    use whimbrel_codec::{Peer, Publish, Split, split};

    use super::*;

    #[track_caller]
    fn check(size: PayloadSize, fixed: bool, qos: QoS) {
        let filler = filler("abc", size.max);
        let topic = if fixed { "a/b" } else { "" };
        let frames = Frames::new(Version::V5, qos, false, topic, size, filler);
        let mut out = Vec::new();
        let mut lengths = Vec::new();
        for number in 0..VARIANTS as u64 {
            let stamp = Stamp { sender: 7, number, time: number + 1 };
            let packet_id = PacketId::new(number as u16 + 1).filter(|_| qos != QoS::AtMostOnce);
            out.clear();
            frames.append("a/b", stamp, packet_id, &mut out);
            let Ok(Split::Whole { frame, len }) = split(&out, 1 << 20) else { panic!("no frame") };
            assert_eq!(len, out.len());
            let publish = Publish::decode(frame, Version::V5, Peer::Client).unwrap();
            assert_eq!((publish.topic, publish.qos, publish.packet_id), ("a/b", qos, packet_id));
            assert_eq!(Stamp::read(publish.payload), Some(stamp));
            lengths.push(publish.payload.len());
        }
        lengths.sort_unstable();
        assert_eq!((lengths.first(), lengths.last()), (Some(&size.min), Some(&size.max)));
    }

    #[test]
    fn packets_made_beforehand_are_those_that_the_codec_reads() {
        for (min, max) in [(16, 16), (19, 19), (20, 20), (64, 64), (16, 5_000)] {
            for fixed in [true, false] {
                for qos in [QoS::AtMostOnce, QoS::ExactlyOnce] {
                    check(PayloadSize { min, max }, fixed, qos);
                }
            }
        }
    }
}
