//! A place in the log as its writers count it: records only, without what the files add around them.

use std::fmt;

/// A byte offset in the logical log: the sum of all records before it, each with its eight bytes of length and checksum.
///
/// A record keeps its position for ever, whatever file it lies in. Positions are totally ordered; those of a store that
/// lost its unsynced tail in a crash are given out again.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
