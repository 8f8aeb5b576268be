//! User properties, as they came or as the caller lists them. Not limited in number: that is the protocol's.

use core::fmt;

use super::Property;
use crate::body::Block;
use crate::reader::Reader;
use crate::{CountSink, Sink};

/// The user properties of a packet, in order. The same name may come more than once.
#[derive(Copy, Clone, Default)]
pub struct UserProperties<'a> {
    source: Source<'a>,
}

#[derive(Copy, Clone)]
enum Source<'a> {
    /// A property block that has been read once; properties of other kinds may lie between.
    Block(&'a [u8]),
    Pairs(&'a [(&'a str, &'a str)]),
}

impl Default for Source<'_> {
    fn default() -> Self {
        Source::Pairs(&[])
    }
}

impl<'a> UserProperties<'a> {
    /// These names with their values.
    #[must_use]
    pub const fn from_pairs(pairs: &'a [(&'a str, &'a str)]) -> Self {
        UserProperties { source: Source::Pairs(pairs) }
    }

    /// What a block contains that has been read without an error.
    pub(crate) const fn from_block(block: &'a [u8]) -> Self {
        UserProperties { source: Source::Block(block) }
    }

    /// Each name with its value, in the order of the packet.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone + use<'a> {
        let (block, pairs) = match self.source {
            Source::Block(block) => (block, [].as_slice()),
            Source::Pairs(pairs) => ([].as_slice(), pairs),
        };
        BlockPairs { block: Reader::new(block) }.chain(pairs.iter().copied())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        match self.source {
            // A block is kept only from its first user property on.
            Source::Block(block) => block.is_empty(),
            Source::Pairs(pairs) => pairs.is_empty(),
        }
    }

    /// How many bytes they take on the wire.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        let mut count = CountSink::default();
        self.put_block(&mut count);
        count.bytes
    }
}

impl Block for UserProperties<'_> {
    fn put_block(&self, out: &mut impl Sink) {
        match self.source {
            Source::Block(block) => put_all(BlockPairs { block: Reader::new(block) }, out),
            Source::Pairs(pairs) => put_all(pairs.iter().copied(), out),
        }
    }
}

fn put_all<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, out: &mut impl Sink) {
    for (name, value) in pairs {
        Property::User(name, value).put(out);
    }
}

impl PartialEq for UserProperties<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for UserProperties<'_> {}

impl fmt::Debug for UserProperties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[derive(Clone)]
struct BlockPairs<'a> {
    block: Reader<'a>,
}

impl<'a> Iterator for BlockPairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Property::User(name, value) = Property::next(&mut self.block).ok()?? {
                return Some((name, value));
            }
        }
    }
}
