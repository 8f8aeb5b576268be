//! How every packet but PUBLISH is written: fixed header, then body. Not what the bodies contain.

use crate::varint::varint_len;
use crate::{CountSink, PacketType, Sink, Version};

/// Everything of a packet after its fixed header.
pub(crate) trait Body {
    fn put_body(&self, version: Version, out: &mut impl Sink);
}

/// A set of properties without its length.
pub(crate) trait Block {
    fn put_block(&self, out: &mut impl Sink);

    fn block_len(&self) -> usize {
        let mut count = CountSink::default();
        self.put_block(&mut count);
        count.bytes
    }

    /// The properties after their length.
    fn put_counted(&self, out: &mut impl Sink) {
        out.put_varint(saturate(self.block_len()));
        self.put_block(out);
    }
}

/// The size of the whole packet with this body, in bytes.
pub(crate) fn frame_len(body: &impl Body, version: Version) -> usize {
    let body_len = body_len(body, version);
    1 + varint_len(saturate(body_len)) + body_len
}

/// Writes a whole packet whose flags are all reserved.
pub(crate) fn put_frame(kind: PacketType, body: &impl Body, version: Version, out: &mut impl Sink) {
    out.put_u8(kind.first_byte());
    out.put_varint(saturate(body_len(body, version)));
    body.put_body(version, out);
}

fn body_len(body: &impl Body, version: Version) -> usize {
    let mut count = CountSink::default();
    body.put_body(version, &mut count);
    count.bytes
}

/// A length as the sink takes it; what no packet can hold stays what no packet can hold.
#[inline]
pub(crate) fn saturate(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
