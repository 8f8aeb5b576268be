//! The bytes that came and are not used yet. Grows as they arrive, never as a peer announces.

use whimbrel_proto::codec::{Frame, Malformed, Split, split};

/// What is read at once, and what an idle connection keeps.
const CHUNK: usize = 16 << 10;

/// A buffer that is filled at its end and used from its start.
#[derive(Debug, Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    /// Room for the next read.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.bytes.len() > 4 * CHUNK && self.end < CHUNK {
            self.bytes.truncate(CHUNK);
            self.bytes.shrink_to_fit();
        }
        if self.bytes.len() < self.end + CHUNK {
            // Twice what is there: a packet of any size costs a few copies.
            self.bytes.resize((self.end * 2).max(self.end + CHUNK), 0);
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// So many bytes came into the room.
    pub(crate) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// The next whole frame and its length.
    pub(crate) fn frame(&self, bytes_max: u32) -> Result<Option<(Frame<'_>, usize)>, Malformed> {
        match split(self.bytes.get(self.start..self.end).unwrap_or_default(), bytes_max)? {
            Split::Whole { frame, len } => Ok(Some((frame, len))),
            Split::More { .. } => Ok(None),
        }
    }

    /// The frame has been used.
    pub(crate) fn used(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(input: &mut Input, bytes: &[u8]) {
        input.room()[..bytes.len()].copy_from_slice(bytes);
        input.filled(bytes.len());
    }

    #[test]
    fn frames_are_found_however_the_bytes_come() {
        let mut input = Input::default();
        let mut frames = Vec::new();
        for byte in [0xd0, 0, 0x40, 2, 0, 1] {
            feed(&mut input, &[byte]);
            if let Some((frame, len)) = input.frame(100).unwrap() {
                frames.push((frame.body.to_vec(), len));
                input.used(len);
            }
        }
        assert_eq!(frames, [(vec![], 2), (vec![0, 1], 4)]);
        feed(&mut input, &[0xd0, 0, 0x40, 2, 0, 1, 0xd0]);
        let (_, len) = input.frame(100).unwrap().unwrap();
        input.used(len);
        let (frame, len) = input.frame(100).unwrap().unwrap();
        assert_eq!((frame.body, len), (&[0, 1][..], 4));
        input.used(len);
        assert!(input.frame(100).unwrap().is_none());
    }

    #[test]
    fn a_large_packet_that_is_announced_takes_no_memory() {
        let mut input = Input::default();
        feed(&mut input, &[0x30, 0xff, 0xff, 0xff, 0x7f]);
        assert!(input.frame(u32::MAX).unwrap().is_none());
        assert!(input.room().len() <= 2 * CHUNK);
        assert!(input.frame(1_000).is_err(), "and is refused where it is too large");
    }

    #[test]
    fn what_a_large_packet_took_is_given_back() {
        let mut input = Input::default();
        feed(&mut input, &[0x30, 0x80, 0x80, 0x40]);
        for _ in 0..1 << 20 {
            feed(&mut input, &[0]);
        }
        let (_, len) = input.frame(u32::MAX).unwrap().unwrap();
        input.used(len);
        input.room();
        assert!(input.bytes.capacity() <= 2 * CHUNK, "{}", input.bytes.capacity());
    }
}
