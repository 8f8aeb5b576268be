//! Two byte streams that keep order and nothing else: what is sent in one piece may come in many, later.

use std::collections::VecDeque;

use whimbrel_proto::Millis;

/// Numbers that look random and are the same for the same seed (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }
}

/// From the client up, from the server down.
#[derive(Default)]
pub(crate) struct Network {
    pub(crate) up: Stream,
    pub(crate) down: Stream,
}

/// One direction.
#[derive(Default)]
pub(crate) struct Stream {
    pieces: VecDeque<(Millis, Vec<u8>)>,
}

impl Stream {
    pub(crate) fn send(&mut self, mut bytes: &[u8], now: Millis, random: &mut Random) {
        let mut due = self.pieces.back().map_or(now, |(last, _)| now.max(*last));
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(1 + random.below(bytes.len()));
            due = due + random.below(50) as u64;
            self.pieces.push_back((due, piece.to_vec()));
            bytes = rest;
        }
    }

    /// When the next piece arrives.
    pub(crate) fn due(&self) -> Millis {
        self.pieces.front().map_or(Millis::NEVER, |(due, _)| *due)
    }

    pub(crate) fn receive(&mut self, now: Millis) -> Option<Vec<u8>> {
        if self.due() > now {
            return None;
        }
        self.pieces.pop_front().map(|(_, bytes)| bytes)
    }
}
