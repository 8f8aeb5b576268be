//! The table of segments: where each begins, how much of it lives, and where its frames lie. Not their contents.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
};

use parking_lot::{Mutex, RwLock};

use crate::position::Position;

/// Frames that begin closer together than this share an entry of the index: 8 bytes of memory per 16 KiB of log.
const INDEX_STEP_BYTES: u64 = 16 * 1024;

/// A segment, as its owner sees it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Counted up from 1; never given out twice.
    pub number: u64,
    /// The position of its first record.
    pub first: Position,
    /// The position after its last record; the log's end for the one that is written to.
    pub end: Position,
    /// Bytes of the file that are in use.
    pub bytes: u64,
    /// What lives by the owner's count.
    pub live_bytes: u64,
}

/// The owner's count of what lives, per segment. Clones are the same count.
///
/// The log counts nothing by itself: the owner adds what a record is worth (by [`Staged::bytes`](crate::Staged::bytes), or
/// anything else in bytes) when it stages it or meets it in recovery, and takes it back when the record is dead.
#[derive(Clone, Debug, Default)]
pub struct Live {
    table: Arc<RwLock<Vec<Arc<Segment>>>>,
}

impl Live {
    /// The record at `position` lives.
    pub fn add(&self, position: Position, bytes: u64) {
        self.change(position, i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// The record at `position`, or a part of it, is dead. Of a segment that has been given back nothing is counted.
    pub fn sub(&self, position: Position, bytes: u64) {
        self.change(position, -i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// What lives in all segments together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.table.read().iter().map(|segment| segment.live_bytes()).sum()
    }

    /// What the files take in which they lie, those that are leaving left out.
    pub(crate) fn file_bytes(&self) -> u64 {
        let table = self.table.read();
        table.iter().filter(|segment| !segment.is_leaving()).map(|segment| segment.bytes()).sum()
    }

    fn change(&self, position: Position, bytes: i64) {
        let table = self.table.read();
        if let Some(segment) = find(&table, position.0) {
            segment.live.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn find(&self, position: u64) -> Option<Arc<Segment>> {
        find(&self.table.read(), position).cloned()
    }

    pub(crate) fn numbered(&self, number: u64) -> Option<Arc<Segment>> {
        self.table.read().iter().find(|segment| segment.number == number).cloned()
    }

    pub(crate) fn push(&self, segment: Segment) -> Arc<Segment> {
        let segment = Arc::new(segment);
        self.table.write().push(segment.clone());
        segment
    }

    pub(crate) fn remove(&self, number: u64) {
        self.table.write().retain(|segment| segment.number != number);
    }

    /// All segments, oldest first, each with the position at which the next begins.
    pub(crate) fn all(&self) -> Vec<(Arc<Segment>, Option<u64>)> {
        let table = self.table.read();
        let ends = table.iter().skip(1).map(|segment| Some(segment.first)).chain([None]);
        table.iter().cloned().zip(ends).collect()
    }
}

fn find(table: &[Arc<Segment>], position: u64) -> Option<&Arc<Segment>> {
    // Nearly always it is the last one: records are counted as they are staged.
    match table.last() {
        Some(last) if last.first <= position => Some(last),
        _ => table.get(table.partition_point(|segment| segment.first <= position).checked_sub(1)?),
    }
}

/// One segment. It is in the table from the moment at which its first record is staged.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) first: u64,
    live: AtomicI64,
    /// How far the file is in use.
    bytes: AtomicU64,
    is_leaving: AtomicBool,
    frames: Mutex<FrameIndex>,
}

impl Segment {
    pub(crate) fn new(number: u64, first: u64) -> Self {
        Self {
            number,
            first,
            live: AtomicI64::new(0),
            bytes: AtomicU64::new(0),
            is_leaving: AtomicBool::new(false),
            frames: Mutex::default(),
        }
    }

    pub(crate) fn live_bytes(&self) -> u64 {
        u64::try_from(self.live.load(Ordering::Relaxed)).unwrap_or(0)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Whether it has been given back, though its file may still be there.
    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }

    /// `false` where it was leaving already.
    pub(crate) fn leave(&self) -> bool {
        !self.is_leaving.swap(true, Ordering::Relaxed)
    }

    /// A frame with records lies at `offset`.
    pub(crate) fn note_frame(&self, position: u64, offset: u64) {
        self.frames.lock().note(position - self.first, offset);
    }

    /// The frames from `offset` on lie elsewhere now.
    pub(crate) fn forget_frames(&self, offset: u64) {
        self.frames.lock().entries.retain(|entry| u64::from(entry.offset) < offset);
    }

    /// The offset of a frame at or before the one that holds `position`; the latter begins less than [`window`] after it.
    pub(crate) fn frame_near(&self, position: u64) -> Option<u64> {
        self.frames.lock().near(position - self.first)
    }
}

/// How far after the offset that the index gives the frame that is looked for may begin.
pub(crate) fn window() -> usize {
    INDEX_STEP_BYTES as usize
}

#[derive(Debug, Default)]
struct FrameIndex {
    entries: Vec<FrameEntry>,
}

/// Both count from the segment's beginning; a segment is far smaller than 4 GiB.
#[derive(Copy, Clone, Debug)]
struct FrameEntry {
    position: u32,
    offset: u32,
}

impl FrameIndex {
    fn note(&mut self, position: u64, offset: u64) {
        let is_near =
            self.entries.last().is_some_and(|last| offset < u64::from(last.offset) + INDEX_STEP_BYTES);
        if let (false, Ok(position), Ok(offset)) = (is_near, u32::try_from(position), u32::try_from(offset)) {
            self.entries.push(FrameEntry { position, offset });
        }
    }

    fn near(&self, position: u64) -> Option<u64> {
        let after = self.entries.partition_point(|entry| u64::from(entry.position) <= position);
        self.entries.get(after.checked_sub(1)?).map(|entry| u64::from(entry.offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lives_is_counted_where_it_lies() {
        let live = Live::default();
        live.push(Segment::new(1, 0));
        live.push(Segment::new(2, 100));
        live.add(Position(0), 10);
        live.add(Position(99), 20);
        live.add(Position(100), 40);
        live.add(Position(5_000), 80);
        live.sub(Position(99), 20);
        let counted: Vec<_> = live.all().iter().map(|(segment, _)| segment.live_bytes()).collect();
        assert_eq!((counted, live.bytes()), (vec![10, 120], 130));
        live.remove(1);
        live.sub(Position(0), 10);
        assert_eq!(live.bytes(), 120);
    }

    #[test]
    fn the_index_gives_a_frame_close_before() {
        let segment = Segment::new(1, 1_000);
        for frame in 0..1_000 {
            segment.note_frame(1_000 + frame * 60, 512 + frame * 100);
        }
        for frame in 0..1_000 {
            let near = segment.frame_near(1_000 + frame * 60 + 59).unwrap();
            let offset = 512 + frame * 100;
            assert!(near <= offset && offset < near + window() as u64, "{near} {offset}");
        }
        segment.forget_frames(600);
        assert_eq!(segment.frame_near(50_000), Some(512));
    }
}
