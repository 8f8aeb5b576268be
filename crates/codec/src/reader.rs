//! Reads the fields of a packet's body one after the other. Not the fixed header, which `frame` reads.

use crate::string::read_str;
use crate::topic::read_topic_name;
use crate::varint::read_varint;
use crate::{Malformed, PacketId};

/// What is left of a body, or of a block within it.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Reader { rest: body }
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Refuses bytes after the last field.
    #[inline]
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::TrailingBytes) }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let Some((field, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(Malformed::Truncated);
        };
        self.rest = rest;
        Ok(*field)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u32, Malformed> {
        let Some((value, len)) = read_varint(self.rest)? else {
            return Err(Malformed::Truncated);
        };
        self.rest = self.rest.get(len..).unwrap_or(&[]);
        Ok(value)
    }

    #[inline]
    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let Some((field, rest)) = self.rest.split_at_checked(len) else {
            return Err(Malformed::Truncated);
        };
        self.rest = rest;
        Ok(field)
    }

    #[inline]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.u16()?;
        self.bytes(usize::from(len))
    }

    #[inline]
    pub(crate) fn str(&mut self) -> Result<&'a str, Malformed> {
        read_str(self.binary()?)
    }

    /// A topic name. It may be empty: whether that is allowed depends on what follows it.
    #[inline]
    pub(crate) fn topic_name(&mut self) -> Result<&'a str, Malformed> {
        read_topic_name(self.binary()?)
    }

    #[inline]
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, Malformed> {
        PacketId::new(self.u16()?).ok_or(Malformed::PacketIdZero)
    }

    /// A property block: its length and as many bytes.
    #[inline]
    pub(crate) fn block(&mut self) -> Result<Reader<'a>, Malformed> {
        let len = self.varint()?;
        match self.bytes(len as usize) {
            Ok(block) => Ok(Reader::new(block)),
            Err(_) => Err(Malformed::PropertyLength),
        }
    }
}
