//! Cuts frames off a stream of bytes: the fixed header. Not what the frames contain.

use crate::varint::{VARINT_MAX, read_varint};
use crate::{Malformed, PacketType, Peer, Version};

/// The greatest remaining length that the fixed header can tell, in bytes.
pub const REMAINING_LENGTH_MAX: usize = VARINT_MAX as usize;

/// The greatest size of a whole packet, fixed header included, in bytes.
pub const PACKET_SIZE_MAX: usize = REMAINING_LENGTH_MAX + 5;

/// One packet's bytes, cut out of the stream but not yet read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The packet type.
    pub kind: PacketType,
    /// The lower four bits of the first byte.
    pub flags: u8,
    /// Everything after the fixed header.
    pub body: &'a [u8],
}

impl Frame<'_> {
    /// Refuses flags, directions and types that this version does not know.
    pub(crate) fn check(self, version: Version, from: Peer) -> Result<(), Malformed> {
        self.kind.check_flags(self.flags, version)?;
        self.kind.check_direction(version, from)
    }
}

/// What [`split`] found at the start of the buffer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Split<'a> {
    /// A whole frame.
    Whole {
        /// The frame.
        frame: Frame<'a>,
        /// How many bytes of the buffer it takes.
        len: usize,
    },
    /// The start of a frame.
    More {
        /// How many bytes the buffer must hold in all before another call can find more than this one.
        at_least: usize,
    },
}

/// Looks for a frame at the start of `input`.
///
/// `size_max` is the greatest size of a whole packet in bytes that the caller takes. It is checked as soon as
/// the length is known, so that nobody buffers what will be refused.
///
/// # Errors
///
/// A reserved packet type, flags that no version allows, a remaining length of more than four bytes or not in
/// its shortest form, and a packet above `size_max`.
#[inline]
pub fn split(input: &[u8], size_max: u32) -> Result<Split<'_>, Malformed> {
    let Some((&first, rest)) = input.split_first() else {
        return Ok(Split::More { at_least: 2 });
    };
    let Some(kind) = PacketType::from_bits(first >> 4) else {
        return Err(Malformed::PacketTypeReserved);
    };
    let flags = first & 0x0f;
    kind.check_flags_of_any_version(flags)?;
    let Some((remaining_length, length_bytes)) = read_varint(rest)? else {
        return Ok(Split::More { at_least: input.len() + 1 });
    };
    let head = 1 + length_bytes;
    let len = head + remaining_length as usize;
    if len > size_max as usize {
        return Err(Malformed::PacketTooLarge);
    }
    match input.get(head..len) {
        Some(body) => Ok(Split::Whole { frame: Frame { kind, flags, body }, len }),
        None => Ok(Split::More { at_least: len }),
    }
}
