//! What is staged and not yet taken by the committer: chunks of records, each of which becomes one frame. It decides in
//! which segment a record comes to lie, and touches no disk.

use crate::{
    format::{FRAME_HEADER_BYTES, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, placed_sum, put_record},
    options::Options,
    segments::{Live, Segment},
};

/// Records of one frame, in order, behind room for the frame's header.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) segment: u64,
    /// The position of the first record.
    pub(crate) first: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Chunk {
    pub(crate) fn empty(segment: u64, first: u64, mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        bytes.resize(FRAME_HEADER_BYTES, 0);
        Self { segment, first, bytes }
    }

    pub(crate) fn records(&self) -> &[u8] {
        self.bytes.get(FRAME_HEADER_BYTES..).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.len() <= FRAME_HEADER_BYTES
    }

    pub(crate) fn end(&self) -> u64 {
        self.first + self.records().len() as u64
    }
}

/// Lies under the staging lock, the innermost there is.
#[derive(Debug)]
pub(crate) struct Staging {
    closed: Vec<Chunk>,
    current: Chunk,
    spares: Vec<Vec<u8>>,
    /// After the last record.
    end: u64,
    incarnation: u32,
    segment: u64,
    /// What the segment still takes, and what it took when it was empty.
    room: u64,
    room_max: u64,
    frame_bytes_max: usize,
    /// How many emptied buffers are kept: as many as wait for a sync at most, and a few.
    spares_max: usize,
}

impl Staging {
    /// Goes on at `end` in segment `segment`, of which `used` bytes are in use.
    pub(crate) fn new(options: &Options, end: u64, incarnation: u32, segment: u64, used: u64) -> Self {
        let room_max = options.segment_bytes().saturating_sub(SEGMENT_HEADER_BYTES as u64);
        Self {
            closed: Vec::new(),
            current: Chunk::empty(segment, end, Vec::new()),
            spares: Vec::new(),
            end,
            incarnation,
            segment,
            room: options.segment_bytes().saturating_sub(used),
            room_max,
            frame_bytes_max: options.frame_bytes_max,
            spares_max: options.unsynced_bytes() as usize / options.frame_bytes_max.max(1) + 4,
        }
    }

    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The next record begins a segment, unless this one is empty.
    pub(crate) fn begin_segment(&mut self) {
        if self.room < self.room_max {
            self.room = 0;
        }
    }

    /// Takes a record whose `sum` does not know its place yet. Returns its position.
    pub(crate) fn push(&mut self, record: &[u8], sum: u32, live: &Live) -> u64 {
        let bytes = RECORD_HEADER_BYTES + record.len();
        if !self.current.is_empty() && self.current.bytes.len() + bytes > self.frame_bytes_max {
            self.close();
        }
        if self.needed(bytes) > self.room && self.room < self.room_max {
            self.close();
            self.segment += 1;
            self.room = self.room_max;
            self.current.segment = self.segment;
            live.push(Segment::new(self.segment, self.end));
        }
        self.room = self.room.saturating_sub(self.needed(bytes));
        let position = self.end;
        put_record(&mut self.current.bytes, record, placed_sum(sum, position, self.incarnation));
        self.end += bytes as u64;
        position
    }

    /// What `bytes` of a record take of the segment.
    fn needed(&self, bytes: usize) -> u64 {
        let header = if self.current.is_empty() { FRAME_HEADER_BYTES } else { 0 };
        (bytes + header) as u64
    }

    fn close(&mut self) {
        if !self.current.is_empty() {
            let bytes = self.spares.pop().unwrap_or_default();
            let next = Chunk::empty(self.segment, self.end, bytes);
            self.closed.push(std::mem::replace(&mut self.current, next));
        }
    }

    /// Moves everything out.
    pub(crate) fn take(&mut self, into: &mut impl Extend<Chunk>) {
        self.close();
        into.extend(self.closed.drain(..));
    }

    /// Gives a buffer back. A large one, made for a long record, is not kept.
    pub(crate) fn reuse(&mut self, bytes: Vec<u8>) {
        if self.spares.len() < self.spares_max && bytes.capacity() <= 2 * self.frame_bytes_max {
            self.spares.push(bytes);
        }
    }
}
