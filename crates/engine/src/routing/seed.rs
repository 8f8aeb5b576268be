//! The seed of a structure's hash tables. Not a source of randomness: it is given from outside.
//!
//! The ready-made states of `foldhash` either share their constants with everybody (`FixedState`) or want
//! them for the life of the process (`SeedableRandomState`). Clients choose topics, so every structure
//! derives all constants from a seed of its own and hashes by hand. No result depends on the seed: no
//! table is ever iterated to produce an answer.

use core::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;

/// Keeps a seed of zero from becoming constants of zero.
const NOT_ZERO: u64 = 0x9e37_79b9_7f4a_7c15;

/// All constants that the hash functions of one structure use.
#[derive(Clone)]
pub(crate) struct Seed {
    start: u64,
    constants: SharedSeed,
}

impl Seed {
    pub(crate) fn new(seed: u64) -> Self {
        let start = seed ^ NOT_ZERO;
        Self { start, constants: SharedSeed::from_u64(start) }
    }

    /// The hash of the text of one level.
    pub(crate) fn text(&self, text: &[u8]) -> u64 {
        let mut hasher = self.hasher();
        hasher.write(text);
        self.mix(hasher.finish())
    }

    /// The hash of one number.
    pub(crate) fn number(&self, number: u64) -> u64 {
        self.mix(self.mix(number))
    }

    /// One multiplication. Numbers that count up come out of the first as an arithmetic progression, which for
    /// one seed in twenty falls into heaps in a table; out of the second as good as random.
    fn mix(&self, hash: u64) -> u64 {
        let mut hasher = self.hasher();
        hasher.write_u64(hash);
        hasher.finish()
    }

    fn hasher(&self) -> FoldHasher<'_> {
        FoldHasher::with_seed(self.start, &self.constants)
    }
}
