//! Records that are written and not synced: kept in memory, since a sync that fails takes what lies in the file with it.

use std::collections::VecDeque;

use crate::staging::Chunk;

/// Small chunks are gathered into blocks of this size.
const BLOCK_BYTES: usize = 256 * 1024;

/// In the order of their positions, without gaps.
#[derive(Debug, Default)]
pub(crate) struct Unsynced {
    blocks: VecDeque<Chunk>,
    bytes: u64,
}

impl Unsynced {
    /// How much is kept, in bytes of records.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// After the last record that is kept.
    pub(crate) fn end(&self) -> Option<u64> {
        self.blocks.back().map(Chunk::end)
    }

    /// Keeps a chunk. A buffer that is not needed for it comes back.
    pub(crate) fn push(&mut self, chunk: Chunk) -> Option<Vec<u8>> {
        self.bytes += chunk.records().len() as u64;
        match self.blocks.back_mut() {
            Some(block) if block.bytes.len() + chunk.bytes.len() <= BLOCK_BYTES => {
                block.bytes.extend_from_slice(chunk.records());
                Some(chunk.bytes)
            }
            _ => {
                self.blocks.push_back(chunk);
                None
            }
        }
    }

    /// All is synced. The buffers come back.
    pub(crate) fn clear(&mut self) -> impl Iterator<Item = Vec<u8>> {
        self.bytes = 0;
        self.blocks.drain(..).map(|block| block.bytes)
    }

    /// What is kept, as frames without their headers, each with its position.
    pub(crate) fn frames(&mut self) -> impl Iterator<Item = (u64, &mut [u8])> {
        self.blocks.iter_mut().map(|block| (block.first, &mut *block.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::FRAME_HEADER_BYTES;

    #[test]
    fn small_chunks_share_a_block_and_large_ones_do_not() {
        let mut unsynced = Unsynced::default();
        let mut position = 0;
        for length in [10, 20, BLOCK_BYTES, 30, 40] {
            let mut chunk = Chunk::empty(1, position, Vec::new());
            chunk.bytes.resize(FRAME_HEADER_BYTES + length, 7);
            position = chunk.end();
            unsynced.push(chunk);
        }
        assert_eq!((unsynced.bytes(), unsynced.end()), (position, Some(position)));
        let frames: Vec<_> = unsynced.frames().map(|(position, frame)| (position, frame.len())).collect();
        let blocks = [(0, 70), (30, BLOCK_BYTES + 40), (30 + BLOCK_BYTES as u64, 110)];
        assert_eq!(frames, blocks);
        assert_eq!(unsynced.clear().count(), 3);
        assert_eq!((unsynced.bytes(), unsynced.end()), (0, None));
    }
}
