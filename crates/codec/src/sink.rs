//! Where encoded bytes go: a vector, a slice, or a counter. Not a writer that can fail or block.

use crate::string::{clip_bytes, clip_str};
use crate::varint::{varint_bytes, varint_len};

/// Takes encoded bytes in order. Only [`put`](Sink::put) must be written.
pub trait Sink {
    /// Appends these bytes.
    fn put(&mut self, bytes: &[u8]);

    /// Appends one byte.
    #[inline]
    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    /// Appends a two byte integer.
    #[inline]
    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    /// Appends a four byte integer.
    #[inline]
    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    /// Appends a variable byte integer in its minimal form; values above 268,435,455 as that.
    #[inline]
    fn put_varint(&mut self, value: u32) {
        if value < 0x80 {
            return self.put_u8(value as u8);
        }
        let bytes = varint_bytes(value);
        self.put(bytes.get(..varint_len(value)).unwrap_or(&bytes));
    }

    /// Appends a UTF-8 encoded string with its length; what passes 65,535 bytes is cut off.
    #[inline]
    fn put_str(&mut self, string: &str) {
        self.put_binary(clip_str(string).as_bytes());
    }

    /// Appends binary data with its length; what passes 65,535 bytes is cut off.
    #[inline]
    fn put_binary(&mut self, bytes: &[u8]) {
        let bytes = clip_bytes(bytes);
        self.put_u16(bytes.len() as u16);
        self.put(bytes);
    }
}

#[cfg(feature = "alloc")]
impl Sink for alloc::vec::Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts what it is given and keeps nothing.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct CountSink {
    /// How many bytes have been put.
    pub bytes: usize,
}

impl Sink for CountSink {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes.len());
    }
}

/// Fills a slice. Once something did not fit, it takes nothing more and says so.
#[derive(Debug)]
pub struct SliceSink<'a> {
    buffer: &'a mut [u8],
    len: usize,
    overflow: bool,
}

impl<'a> SliceSink<'a> {
    /// A sink that fills `buffer` from its start.
    #[must_use]
    pub fn new(buffer: &'a mut [u8]) -> Self {
        SliceSink { buffer, len: 0, overflow: false }
    }

    /// Whether something did not fit. What has been written is then no whole packet.
    #[must_use]
    pub fn overflow(&self) -> bool {
        self.overflow
    }

    /// How many bytes have been written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What has been written.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or(&[])
    }
}

impl Sink for SliceSink<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        match self.buffer.get_mut(self.len..end) {
            Some(room) if !self.overflow => {
                room.copy_from_slice(bytes);
                self.len = end;
            }
            _ => self.overflow = true,
        }
    }
}
