//! Reading a store from its oldest record to its end, and judging what does not fit. It changes nothing on the disk.

use std::error::Error;

use crate::{
    disk::Disk,
    error::{Corruption, Damage, Fault, OpenError},
    folder::{BadHeader, Folder, fault, open_segment, place, segment_file, spare_number},
    format::SegmentHeader,
    position::Position,
    scan::{Scan, records},
    segments::{Live, Segment},
};

/// Takes every record of a store in order, with its position. What it adds to the count of what lives is there when the
/// log is open. An error ends the opening.
pub type Visitor<'a> = dyn FnMut(&Live, Position, &[u8]) -> Result<(), Box<dyn Error + Send + Sync>> + 'a;

/// What was found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Recovery {
    /// How the store is called in its files.
    pub store_id: [u8; 16],
    /// Segments that were read.
    pub segments: usize,
    /// Records that the visitor took.
    pub records: u64,
    /// The position of the first record.
    pub first: Position,
    /// The position after the last record.
    pub end: Position,
    /// The frame at the end that had begun and was not whole: a crash came before its end, and nobody was promised it.
    pub cut: Option<Corruption>,
    /// What a salvage went past; what lay behind it is lost.
    pub salvaged: Option<OpenError>,
    /// Files in the folder that are none of the log's. They are left alone.
    pub foreign_files: Vec<String>,
}

/// Reads a store without taking or changing it, as a check or a dump does.
///
/// A store that is written to meanwhile may look cut or damaged at its end.
///
/// # Errors
/// As for [`Log::open`](crate::Log::open), the lock apart.
pub fn read_store(disk: &dyn Disk, salvage: bool, visitor: &mut Visitor<'_>) -> Result<Recovery, OpenError> {
    replay(disk, salvage, visitor).map(|replayed| replayed.recovery)
}

/// A store that has been read.
pub(crate) struct Replayed {
    pub(crate) folder: Folder,
    pub(crate) live: Live,
    /// Where to go on; `None` where there is nothing.
    pub(crate) tail: Option<Tail>,
    /// Segments beyond the damage that a salvage went past.
    pub(crate) lost: Vec<u64>,
    pub(crate) recovery: Recovery,
}

/// The end of the last segment.
pub(crate) struct Tail {
    pub(crate) header: SegmentHeader,
    /// Where the next frame goes.
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) position: u64,
    pub(crate) incarnation: u32,
    pub(crate) oldest: u64,
    /// All before this position is on stable storage by what the frames say.
    pub(crate) synced: u64,
    /// What follows is damaged and must not stay in this file.
    pub(crate) is_salvaged: bool,
}

pub(crate) fn replay(
    disk: &dyn Disk,
    salvage: bool,
    visitor: &mut Visitor<'_>,
) -> Result<Replayed, OpenError> {
    let folder = Folder::read(disk)?;
    let mut recovery = Recovery { foreign_files: folder.foreign.clone(), ..Recovery::default() };
    let headers = match read_headers(disk, &folder) {
        (headers, None) => headers,
        (headers, Some(Bad::Damage(error))) if salvage => {
            recovery.salvaged = Some(error);
            headers
        }
        (_, Some(Bad::Damage(error) | Bad::Stop(error))) => return Err(error),
    };
    let live = Live::default();
    let mut replay = Replay { disk, live: &live, visitor, recovery: &mut recovery };
    let mut tail = None;
    let mut nexts = headers.iter().skip(1);
    for header in &headers {
        let next = nexts.next().map(|next| next.first);
        let (end, outcome) = replay.segment(header, next)?;
        tail = Some(end);
        match outcome {
            Ok(()) => {}
            Err(error) if salvage => {
                recovery.salvaged = Some(error);
                break;
            }
            Err(error) => return Err(error),
        }
    }
    if let (Some(tail), Some(first)) = (&tail, headers.first())
        && first.number > tail.oldest
        && !salvage
    {
        return Err(OpenError::Missing { place: disk.to_string(), file: segment_file(tail.oldest) });
    }
    if folder.segments.is_empty() && folder.damaged.is_empty() && !salvage {
        // A segment becomes a spare one only where a later one is on stable storage.
        if let Some(last) = folder.spares.iter().filter_map(|name| spare_number(name)).max() {
            let file = segment_file(last + 1);
            return Err(OpenError::Missing { place: disk.to_string(), file });
        }
    }
    recovery.first = Position(headers.first().map_or(0, |header| header.first));
    recovery.end = Position(tail.as_ref().map_or(0, |tail| tail.position));
    recovery.store_id = headers.first().map_or([0; 16], |header| header.store);
    let last = tail.as_ref().map(|tail| tail.header.number);
    let lost =
        folder.segments.keys().copied().filter(|number| last.is_none_or(|last| *number > last)).collect();
    Ok(Replayed { folder, live, tail, lost, recovery })
}

enum Bad {
    /// A salvage goes on with what lies before.
    Damage(OpenError),
    Stop(OpenError),
}

/// The headers of all segments, as far as they are whole and follow each other, and what comes then.
fn read_headers(disk: &dyn Disk, folder: &Folder) -> (Vec<SegmentHeader>, Option<Bad>) {
    let mut headers: Vec<SegmentHeader> = Vec::new();
    for number in folder.segments.keys().copied() {
        let last = headers.last();
        if let Some(missing) = last.map(|last| last.number + 1).filter(|next| *next != number) {
            let missing = OpenError::Missing { place: disk.to_string(), file: segment_file(missing) };
            return (headers, Some(Bad::Damage(missing)));
        }
        match open_segment(disk, number, last.map(|last| last.store)) {
            Ok((_, header)) => headers.push(header),
            Err(BadHeader::Stop(error)) => return (headers, Some(Bad::Stop(error))),
            Err(BadHeader::Damaged(error)) => {
                let error = error.unwrap_or_else(|| {
                    OpenError::Corrupt(Corruption {
                        file: place(disk, &segment_file(number)),
                        offset: 0,
                        position: Position(last.map_or(0, |last| last.first)),
                        damage: Damage::SegmentHeader,
                    })
                });
                return (headers, Some(Bad::Damage(error)));
            }
        }
    }
    (headers, None)
}

struct Replay<'a, 'v> {
    disk: &'a dyn Disk,
    live: &'a Live,
    visitor: &'a mut Visitor<'v>,
    recovery: &'a mut Recovery,
}

impl Replay<'_, '_> {
    /// Reads one segment up to the position at which the `next` begins; the last one up to its end. The inner error is
    /// damage, found after what the tail says has been read.
    fn segment(
        &mut self,
        header: &SegmentHeader,
        next: Option<u64>,
    ) -> Result<(Tail, Result<(), OpenError>), OpenError> {
        let name = segment_file(header.number);
        let failed = fault(self.disk, "read", &name);
        let file = self.disk.open_to_read(&name).map_err(&failed)?;
        let mut scan = Scan::new(&*file, header).map_err(&failed)?;
        let segment = self.live.push(Segment::new(header.number, header.first));
        self.recovery.segments += 1;
        let damage = loop {
            if next.is_some_and(|next| scan.position >= next) {
                break None;
            }
            let offset = scan.offset;
            match scan.next_frame().map_err(&failed)? {
                Ok((frame, bytes)) => {
                    if frame.length > 0 {
                        segment.note_frame(frame.position, offset);
                    }
                    for (position, record) in records(frame.position, bytes) {
                        (self.visitor)(self.live, position, record)
                            .map_err(|source| OpenError::Refused { position, source })?;
                        self.recovery.records += 1;
                    }
                }
                Err(damage) => break Some(damage),
            }
        };
        segment.set_bytes(scan.offset);
        let outcome = self.judge(&name, &mut scan, next, damage)?;
        let tail = Tail {
            header: header.clone(),
            offset: scan.offset,
            length: scan.length(),
            position: scan.position,
            incarnation: scan.incarnation,
            oldest: scan.oldest,
            synced: scan.synced,
            is_salvaged: outcome.is_err(),
        };
        Ok((tail, outcome))
    }

    /// Tells the end of the log from damage.
    fn judge(
        &mut self,
        name: &str,
        scan: &mut Scan<'_>,
        next: Option<u64>,
        damage: Option<Damage>,
    ) -> Result<Result<(), OpenError>, Fault> {
        let corruption = |scan: &Scan<'_>, damage| Corruption {
            file: place(self.disk, name),
            offset: scan.offset,
            position: Position(scan.position),
            damage,
        };
        match (next, damage) {
            (Some(next), None) if scan.position == next => Ok(Ok(())),
            (Some(next), None) => {
                let damage = Damage::Misplaced { expected: Position(next) };
                Ok(Err(OpenError::Corrupt(corruption(scan, damage))))
            }
            // A segment is synced before the next one is made: here nothing can be torn.
            (Some(_), Some(damage)) => Ok(Err(OpenError::Corrupt(corruption(scan, damage)))),
            (None, damage) => {
                let damage = damage.unwrap_or(Damage::Cut);
                if scan.finds_promise_beyond().map_err(fault(self.disk, "read", name))? {
                    return Ok(Err(OpenError::Corrupt(corruption(scan, damage))));
                }
                if matches!(damage, Damage::Record { .. }) {
                    self.recovery.cut = Some(corruption(scan, damage));
                }
                Ok(Ok(()))
            }
        }
    }
}
