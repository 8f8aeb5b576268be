//! The subscription identifiers of a PUBLISH, as they came or as the caller lists them.

use core::fmt;

use super::Property;
use crate::Sink;
use crate::body::Block;
use crate::reader::Reader;

/// The identifiers of the subscriptions that brought a message, 1 to 268,435,455 each.
#[derive(Copy, Clone, Default)]
pub struct SubscriptionIds<'a> {
    source: Source<'a>,
}

#[derive(Copy, Clone)]
enum Source<'a> {
    /// A property block that has been read once; properties of other kinds may lie between.
    Block(&'a [u8]),
    Slice(&'a [u32]),
}

impl Default for Source<'_> {
    fn default() -> Self {
        Source::Slice(&[])
    }
}

impl<'a> SubscriptionIds<'a> {
    /// These identifiers.
    #[must_use]
    pub const fn from_slice(ids: &'a [u32]) -> Self {
        SubscriptionIds { source: Source::Slice(ids) }
    }

    /// What a block contains that has been read without an error.
    pub(crate) const fn from_block(block: &'a [u8]) -> Self {
        SubscriptionIds { source: Source::Block(block) }
    }

    /// Each identifier, in the order of the packet.
    pub fn iter(&self) -> impl Iterator<Item = u32> + Clone + use<'a> {
        let (block, ids) = match self.source {
            Source::Block(block) => (block, [].as_slice()),
            Source::Slice(ids) => ([].as_slice(), ids),
        };
        BlockIds { block: Reader::new(block) }.chain(ids.iter().copied())
    }

    /// Whether there is none.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        match self.source {
            // A block is kept only from its first identifier on.
            Source::Block(block) => block.is_empty(),
            Source::Slice(ids) => ids.is_empty(),
        }
    }
}

impl Block for SubscriptionIds<'_> {
    fn put_block(&self, out: &mut impl Sink) {
        match self.source {
            Source::Block(block) => put_all(BlockIds { block: Reader::new(block) }, out),
            Source::Slice(ids) => put_all(ids.iter().copied(), out),
        }
    }
}

fn put_all(ids: impl Iterator<Item = u32>, out: &mut impl Sink) {
    for id in ids {
        Property::SubscriptionIdentifier(id).put(out);
    }
}

impl PartialEq for SubscriptionIds<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for SubscriptionIds<'_> {}

impl fmt::Debug for SubscriptionIds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[derive(Clone)]
struct BlockIds<'a> {
    block: Reader<'a>,
}

impl Iterator for BlockIds<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        loop {
            if let Property::SubscriptionIdentifier(id) = Property::next(&mut self.block).ok()?? {
                return Some(id);
            }
        }
    }
}
