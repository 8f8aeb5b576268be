//! Reading back what is written: one record by its position, or a whole segment. It shares nothing with the writer but
//! the table of segments.

use std::{io, ops::ControlFlow, sync::Arc};

use parking_lot::Mutex;

use crate::{
    disk::{Disk, DiskFile},
    error::{Corruption, Damage, ReadError},
    folder::{BadHeader, fault, open_segment, place, segment_file},
    format::{
        FRAME_HEADER_BYTES, FrameHeader, RECORD_HEADER_BYTES, SegmentHeader, placed_sum, record_header,
        record_sum, split_record,
    },
    position::Position,
    scan::{Scan, records},
    segments::{Live, Segment, window},
};

/// How many files stay open for reading.
const FILES_MAX: usize = 16;

/// How much of a record is read in the hope that it is all.
const GUESS_BYTES: usize = 4 * 1024;

struct OpenSegment {
    number: u64,
    file: Box<dyn DiskFile>,
    header: SegmentHeader,
}

pub(crate) struct Reader {
    disk: Arc<dyn Disk>,
    /// The last one is the one that was used last.
    files: Mutex<Vec<Arc<OpenSegment>>>,
}

/// Where bytes do not fit.
enum Miss {
    Damage(u64, Damage),
    Io(io::Error),
}

impl From<io::Error> for Miss {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Reader {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, files: Mutex::default() }
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// The segment's file is another one from now on, or none.
    pub(crate) fn forget(&self, number: u64) {
        self.files.lock().retain(|open| open.number != number);
    }

    pub(crate) fn record(
        &self,
        position: Position,
        written: Position,
        live: &Live,
    ) -> Result<Vec<u8>, ReadError> {
        if position >= written {
            return Err(ReadError::NotWritten(position));
        }
        let segment = live.find(position.0).ok_or(ReadError::Gone(position))?;
        let open = self.open(segment.number, position, live)?;
        record(&*open.file, &open.header, &segment, position).map_err(|miss| {
            if live.numbered(segment.number).is_none() {
                return ReadError::Gone(position);
            }
            let name = segment_file(segment.number);
            match miss {
                Miss::Io(error) => fault(&*self.disk, "read", &name)(error).into(),
                Miss::Damage(offset, damage) => {
                    let file = place(&*self.disk, &name);
                    ReadError::Corrupt(Corruption { file, offset, position, damage })
                }
            }
        })
    }

    pub(crate) fn segment(
        &self,
        number: u64,
        written: Position,
        live: &Live,
        visitor: &mut dyn FnMut(Position, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let all = live.all();
        let Some((segment, next)) = all.iter().find(|(segment, _)| segment.number == number) else {
            return Err(ReadError::Gone(Position(all.first().map_or(0, |(segment, _)| segment.first))));
        };
        let end =
            next.filter(|next| *next <= written.0).ok_or(ReadError::NotWritten(Position(segment.first)))?;
        let open = self.open(number, Position(segment.first), live)?;
        let name = segment_file(number);
        let failed = fault(&*self.disk, "read", &name);
        let mut scan = Scan::new(&*open.file, &open.header).map_err(&failed)?;
        while scan.position < end {
            let (offset, at) = (scan.offset, scan.position);
            match scan.next_frame().map_err(&failed)? {
                Ok((frame, bytes)) => {
                    for (position, record) in records(frame.position, bytes) {
                        if visitor(position, record).is_break() {
                            return Ok(());
                        }
                    }
                }
                Err(damage) => {
                    let file = place(&*self.disk, &name);
                    return Err(ReadError::Corrupt(Corruption {
                        file,
                        offset,
                        position: Position(at),
                        damage,
                    }));
                }
            }
        }
        Ok(())
    }

    fn open(&self, number: u64, position: Position, live: &Live) -> Result<Arc<OpenSegment>, ReadError> {
        let mut files = self.files.lock();
        if let Some(at) = files.iter().position(|open| open.number == number) {
            let open = files.remove(at);
            files.push(open.clone());
            return Ok(open);
        }
        drop(files);
        let (file, header) = open_segment(&*self.disk, number, None).map_err(|bad| match bad {
            _ if live.numbered(number).is_none() => ReadError::Gone(position),
            BadHeader::Stop(crate::OpenError::Io(fault)) => ReadError::Io(fault),
            BadHeader::Stop(_) | BadHeader::Damaged(_) => {
                let file = place(&*self.disk, &segment_file(number));
                ReadError::Corrupt(Corruption { file, offset: 0, position, damage: Damage::SegmentHeader })
            }
        })?;
        let open = Arc::new(OpenSegment { number, file, header });
        let mut files = self.files.lock();
        if files.len() >= FILES_MAX {
            files.remove(0);
        }
        files.push(open.clone());
        Ok(open)
    }
}

fn record(
    file: &dyn DiskFile,
    header: &SegmentHeader,
    segment: &Segment,
    position: Position,
) -> Result<Vec<u8>, Miss> {
    let near = segment.frame_near(position.0).ok_or(Miss::Damage(0, Damage::FrameHeader))?;
    let (frame, offset) = frame_of(file, header.frame_seed(), near, position)?;
    let at = offset + FRAME_HEADER_BYTES as u64 + (position.0 - frame.position);
    let damaged = || Miss::Damage(at, Damage::Record { position });
    let left = usize::try_from(frame.end() - position.0).unwrap_or(usize::MAX);
    let mut bytes = vec![0; left.min(GUESS_BYTES)];
    let read = file.read_at(at, &mut bytes)?;
    bytes.truncate(read);
    let (length, _) = record_header(&bytes).ok_or_else(damaged)?;
    let whole = RECORD_HEADER_BYTES + length;
    if whole > left {
        return Err(damaged());
    }
    if whole > bytes.len() {
        bytes.resize(whole, 0);
        let rest = bytes.get_mut(read..).unwrap_or_default();
        let more = file.read_at(at + read as u64, rest)?;
        bytes.truncate(read + more);
    }
    let (record, sum, _) = split_record(&bytes).ok_or_else(damaged)?;
    if placed_sum(record_sum(record), position.0, frame.incarnation) != sum {
        return Err(damaged());
    }
    bytes.truncate(whole);
    bytes.drain(..RECORD_HEADER_BYTES);
    Ok(bytes)
}

/// Walks from one frame to the one that holds `position`.
fn frame_of(
    file: &dyn DiskFile,
    seed: u32,
    near: u64,
    position: Position,
) -> Result<(FrameHeader, u64), Miss> {
    let mut offset = near;
    let mut bytes = vec![0; FRAME_HEADER_BYTES];
    let mut base = near;
    let read = file.read_at(near, &mut bytes)?;
    bytes.truncate(read);
    loop {
        let damaged = || Miss::Damage(offset, Damage::FrameHeader);
        let start = usize::try_from(offset - base).map_err(|_| damaged())?;
        let frame = bytes.get(start..).and_then(|bytes| FrameHeader::decode(bytes, seed));
        match frame {
            Some(frame) if frame.position > position.0 => return Err(damaged()),
            Some(frame) if frame.end() > position.0 => return Ok((frame, offset)),
            Some(frame) => offset += FRAME_HEADER_BYTES as u64 + u64::from(frame.length),
            None => return Err(damaged()),
        }
        let is_read = offset + FRAME_HEADER_BYTES as u64 <= base + bytes.len() as u64;
        if !is_read {
            bytes.resize(window() + FRAME_HEADER_BYTES, 0);
            base = offset;
            let read = file.read_at(offset, &mut bytes)?;
            bytes.truncate(read);
        }
    }
}
