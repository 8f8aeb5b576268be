//! Reading a segment from its beginning, frame by frame, with bounded memory. It judges each frame; what a bad one means
//! is recovery's to say.

use std::io;

use crate::{
    disk::DiskFile,
    error::Damage,
    format::{
        FRAME_HEADER_BYTES, FrameHeader, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader,
        placed_sum, record_sum, split_record,
    },
    position::Position,
};

/// How much is read at a time, unless a frame is longer.
const WINDOW_BYTES: usize = 256 * 1024;

/// Walks over the frames of one segment.
pub(crate) struct Scan<'a> {
    file: &'a dyn DiskFile,
    seed: u32,
    length: u64,
    window: Vec<u8>,
    window_at: u64,
    /// Where the next frame must begin, and with which position.
    pub(crate) offset: u64,
    pub(crate) position: u64,
    /// No later frame may have a lower one: it would be a leftover of a tail that was cut.
    pub(crate) incarnation: u32,
    pub(crate) oldest: u64,
    /// All before this was synced, by what the frames say.
    pub(crate) synced: u64,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(file: &'a dyn DiskFile, header: &SegmentHeader) -> io::Result<Self> {
        Ok(Self {
            file,
            seed: header.frame_seed(),
            length: file.len()?,
            window: Vec::new(),
            window_at: 0,
            offset: SEGMENT_HEADER_BYTES as u64,
            position: header.first,
            incarnation: header.incarnation,
            oldest: header.oldest,
            synced: header.first,
        })
    }

    /// The length of the file.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The next frame: its header and its records, every one of them checked. A bad frame leaves the scan before it.
    pub(crate) fn next_frame(&mut self) -> io::Result<Result<(FrameHeader, &[u8]), Damage>> {
        let seed = self.seed;
        let Some(header) = self.read(self.offset, FRAME_HEADER_BYTES)? else {
            return Ok(Err(Damage::Cut));
        };
        let Some(header) = FrameHeader::decode(header, seed) else {
            return Ok(Err(Damage::FrameHeader));
        };
        if header.position != self.position || header.incarnation < self.incarnation {
            return Ok(Err(Damage::FrameHeader));
        }
        let length = header.length as usize;
        let Some(records) = self.read(self.offset + FRAME_HEADER_BYTES as u64, length)? else {
            return Ok(Err(Damage::Cut));
        };
        if let Err(position) = check(records, &header) {
            return Ok(Err(Damage::Record { position }));
        }
        let at = self.offset + FRAME_HEADER_BYTES as u64;
        self.offset = at + length as u64;
        self.position = header.end();
        self.incarnation = header.incarnation;
        self.oldest = self.oldest.max(header.oldest);
        self.synced = self.synced.max(header.synced);
        // Read a moment ago: it is in the window.
        let records = self.read(at, length)?.unwrap_or_default();
        Ok(Ok((header, records)))
    }

    /// Looks behind a bad frame for a genuine header which says that more was synced than the scan has found. It is the
    /// difference between a tail that nobody was promised and one that somebody was.
    pub(crate) fn finds_promise_beyond(&mut self) -> io::Result<bool> {
        let (seed, found) = (self.seed, self.position);
        // No segment has so many records. The length of the file is no measure: it may have been cut, and grows again.
        let expected = found..=found.saturating_add(u64::from(u32::MAX));
        let mut at = self.offset + 1;
        while let Some(bytes) = self.read_some(at, WINDOW_BYTES)? {
            let starts = (bytes.len() + 1).saturating_sub(FRAME_HEADER_BYTES);
            for start in 0..starts {
                let candidate = bytes.get(start..).unwrap_or_default();
                // Cheap first: few eight bytes in a row are a position that could stand here.
                if FrameHeader::peek_position(candidate).is_none_or(|position| !expected.contains(&position))
                {
                    continue;
                }
                if FrameHeader::decode(candidate, seed).is_some_and(|header| header.synced > found) {
                    return Ok(true);
                }
            }
            at += starts.max(1) as u64;
        }
        Ok(false)
    }

    /// `None` where the file ends before.
    fn read(&mut self, offset: u64, length: usize) -> io::Result<Option<&[u8]>> {
        if self.length.saturating_sub(offset) < length as u64 {
            return Ok(None);
        }
        if !self.holds(offset, length) {
            self.fill(offset, length.max(WINDOW_BYTES))?;
        }
        Ok(self.in_window(offset).and_then(|bytes| bytes.get(..length)))
    }

    /// Up to `length` bytes; `None` where less than a frame's header is left.
    fn read_some(&mut self, offset: u64, length: usize) -> io::Result<Option<&[u8]>> {
        if self.length.saturating_sub(offset) < FRAME_HEADER_BYTES as u64 {
            return Ok(None);
        }
        self.fill(offset, length)?;
        Ok(self.in_window(offset).filter(|bytes| bytes.len() >= FRAME_HEADER_BYTES))
    }

    fn holds(&self, offset: u64, length: usize) -> bool {
        self.in_window(offset).is_some_and(|bytes| bytes.len() >= length)
    }

    fn in_window(&self, offset: u64) -> Option<&[u8]> {
        self.window.get(usize::try_from(offset.checked_sub(self.window_at)?).ok()?..)
    }

    fn fill(&mut self, offset: u64, length: usize) -> io::Result<()> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        self.window.resize(length.min(left), 0);
        // Nothing is held while the disk may fail.
        self.window_at = u64::MAX;
        let read = self.file.read_at(offset, &mut self.window)?;
        self.window.truncate(read);
        self.window_at = offset;
        Ok(())
    }
}

/// Checks the records of a frame; an error is the position of the first that does not fit.
fn check(records: &[u8], header: &FrameHeader) -> Result<(), Position> {
    let mut rest = records;
    let mut position = header.position;
    while !rest.is_empty() {
        let Some((record, sum, after)) = split_record(rest) else {
            return Err(Position(position));
        };
        if placed_sum(record_sum(record), position, header.incarnation) != sum {
            return Err(Position(position));
        }
        position += (RECORD_HEADER_BYTES + record.len()) as u64;
        rest = after;
    }
    Ok(())
}

/// The records of a frame that has been checked, each with its position.
pub(crate) fn records(first: u64, bytes: &[u8]) -> impl Iterator<Item = (Position, &[u8])> {
    let mut rest = bytes;
    let mut position = first;
    std::iter::from_fn(move || {
        let (record, _, after) = split_record(rest)?;
        let at = Position(position);
        position += (RECORD_HEADER_BYTES + record.len()) as u64;
        rest = after;
        Some((at, record))
    })
}
