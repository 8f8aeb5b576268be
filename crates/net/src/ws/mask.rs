//! Masks for what a client sends (RFC 6455, 10.3): nobody can foresee them. Not the masking.

use std::io;

/// Random bytes for masks, and how many are used up.
#[derive(Debug)]
pub(super) struct Masks {
    random: [u8; 256],
    used: usize,
}

impl Default for Masks {
    fn default() -> Masks {
        Masks { random: [0; 256], used: 256 }
    }
}

impl Masks {
    pub(super) fn next(&mut self) -> io::Result<[u8; 4]> {
        if self.used == self.random.len() {
            getrandom::fill(&mut self.random).map_err(io::Error::other)?;
            self.used = 0;
        }
        let mask = self.random.get(self.used..).and_then(<[u8]>::first_chunk).copied();
        self.used += 4;
        mask.ok_or_else(|| io::Error::other("no mask"))
    }
}
