//! Copies of a store: of one that nobody writes to, and of one that is written to meanwhile, as it stands at one point.
//! A copy ends behind its last whole frame.
//!
//! The newest segment is copied first, each under another name until it is whole. Where a copy ends early, what is there
//! says by its newest frame that older segments are missing: it is never taken for a store.

use std::{io, sync::atomic::Ordering, thread, time::Duration};

use crate::{
    disk::Disk,
    error::{CopyError, Corruption, Damage, Fault, OpenError},
    folder::{BadHeader, Folder, NEW_FILE, fault, open_segment, place, segment_file},
    log::Log,
    position::Position,
    recovery::replay,
    scan::Scan,
    state::{Level, State},
};

/// How much is copied at a time.
const PIECE_BYTES: usize = 256 * 1024;
/// How much may wait for a sync: no more than a moment's work for the disk, as others wait for it too.
const UNSYNCED_BYTES: u64 = 8 * 1024 * 1024;
/// How long the committer may take between two looks.
const LOOK: Duration = Duration::from_millis(2);

/// Hears of every piece that was copied, with its bytes. It may take its time, so that others get to the disk.
pub type Pace<'a> = dyn FnMut(u64) + 'a;

/// What was copied.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Segments.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Everything before this position is in the copy.
    pub end: Position,
}

/// Keeps every segment of a log where it is, until it is dropped: [`Log::drop_segment`] refuses.
#[derive(Debug)]
pub struct Hold {
    log: Log,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.log.inner.holds.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Copies a store that nobody writes to into an empty folder, every record checked. A torn end stays out of the copy.
///
/// The caller has locked both, see [`Disk::lock`].
///
/// # Errors
/// The store is damaged, there is something in the other folder already, or a disk fails. What was copied stays there then.
pub fn copy_store(from: &dyn Disk, to: &dyn Disk, pace: &mut Pace<'_>) -> Result<Copied, CopyError> {
    must_be_empty(to)?;
    let replayed = replay(from, false, &mut |_, _, _| Ok(()))?;
    let parts: Vec<Part> = replayed
        .live
        .all()
        .iter()
        .map(|(segment, _)| Part { number: segment.number, bytes: segment.bytes() })
        .collect();
    copy_parts(from, to, &parts, pace)?;
    Ok(Copied {
        segments: parts.len(),
        bytes: parts.iter().map(|part| part.bytes).sum(),
        end: replayed.recovery.end,
    })
}

impl Log {
    /// Keeps all segments from being given back while it is held.
    #[must_use]
    pub fn hold(&self) -> Hold {
        let drops = self.inner.drops.lock();
        self.inner.holds.fetch_add(1, Ordering::SeqCst);
        drop(drops);
        Hold { log: self.clone() }
    }

    /// Whether somebody holds the segments: nothing can be given back.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.inner.holds.load(Ordering::SeqCst) > 0
    }

    /// Copies the store into an empty folder while it is written to. Everything that was staged when this is called is in
    /// the copy, and it is synced there when this returns. It blocks, and needs the committer to run on another thread.
    /// What it has written should be read once, with [`read_store`](crate::read_store): that checks both ends.
    ///
    /// # Errors
    /// There is something in the other folder already, the log is full or poisoned, or a disk fails. What was copied stays
    /// there then.
    pub fn copy_to(&self, to: &dyn Disk, pace: &mut Pace<'_>) -> Result<Copied, CopyError> {
        must_be_empty(to)?;
        let _hold = self.hold();
        let staged = self.staged();
        self.settle(staged)?;
        let (parts, end) = self.parts(staged)?;
        copy_parts(self.inner.reader.disk(), to, &parts, pace)?;
        Ok(Copied { segments: parts.len(), bytes: parts.iter().map(|part| part.bytes).sum(), end })
    }

    /// Returns when everything before `staged` is synced and no segment is on its way out any more.
    fn settle(&self, staged: Position) -> Result<(), CopyError> {
        loop {
            let is_synced = self.ask(staged, Level::Power);
            let is_leaving = self.inner.live.all().iter().any(|(segment, _)| segment.is_leaving());
            if is_synced && !is_leaving {
                return Ok(());
            }
            if let State::Full { fault, .. } | State::Poisoned { fault, .. } = self.state() {
                return Err(CopyError::Stuck { fault });
            }
            thread::sleep(LOOK);
        }
    }

    /// All segments up to the frame with which everything before `staged` is whole, and where that frame ends.
    fn parts(&self, staged: Position) -> Result<(Vec<Part>, Position), CopyError> {
        let all = self.inner.live.all();
        let oldest = all.first().map_or(0, |(segment, _)| segment.number);
        let mut parts = Vec::new();
        let mut end = Position::default();
        for (segment, next) in &all {
            if next.is_some_and(|next| next < staged.0) {
                parts.push(Part { number: segment.number, bytes: segment.bytes() });
                continue;
            }
            let (bytes, position, is_whole) =
                self.walk(segment.number, segment.first, *next, staged, oldest)?;
            parts.push(Part { number: segment.number, bytes });
            end = Position(position);
            if is_whole {
                break;
            }
        }
        Ok((parts, end))
    }

    /// Walks over the frames of a segment until one ends at `staged` or behind, and all of them say that no segment older
    /// than `oldest` is needed. Gives where in the file that is, with which position, and whether it was found.
    fn walk(
        &self,
        number: u64,
        first: u64,
        next: Option<u64>,
        staged: Position,
        oldest: u64,
    ) -> Result<(u64, u64, bool), CopyError> {
        let disk = self.inner.reader.disk();
        let name = segment_file(number);
        let corrupt = |offset, position, damage| {
            let (file, position) = (place(disk, &name), Position(position));
            CopyError::Source(OpenError::Corrupt(Corruption { file, offset, position, damage }))
        };
        let (file, header) = open_segment(disk, number, None).map_err(|bad| match bad {
            BadHeader::Stop(error) => CopyError::Source(error),
            BadHeader::Damaged(_) => corrupt(0, first, Damage::SegmentHeader),
        })?;
        let failed = fault(disk, "read", &name);
        let mut scan = Scan::new(&*file, &header).map_err(&failed)?;
        loop {
            let is_whole = scan.position >= staged.0 && scan.oldest >= oldest;
            if is_whole || next.is_some_and(|next| scan.position >= next) {
                return Ok((scan.offset, scan.position, is_whole));
            }
            let (offset, position) = (scan.offset, scan.position);
            if let Err(damage) = scan.next_frame().map_err(&failed)? {
                return Err(corrupt(offset, position, damage));
            }
        }
    }
}

/// The beginning of a segment's file.
struct Part {
    number: u64,
    bytes: u64,
}

fn must_be_empty(disk: &dyn Disk) -> Result<(), CopyError> {
    let folder = Folder::read(disk)?;
    let damaged = folder.damaged.first().map(|number| crate::folder::damaged_file(*number));
    let new = folder.has_new.then(|| NEW_FILE.to_owned());
    let segment = folder.segments.into_values().next();
    let file = segment.or(damaged).or(new);
    let file = file.or_else(|| folder.spares.into_iter().chain(folder.foreign).next());
    file.map_or(Ok(()), |file| Err(CopyError::NotEmpty { place: disk.to_string(), file }))
}

fn copy_parts(from: &dyn Disk, to: &dyn Disk, parts: &[Part], pace: &mut Pace<'_>) -> Result<(), CopyError> {
    for part in parts.iter().rev() {
        copy_part(from, to, part, pace)?;
    }
    Ok(())
}

fn copy_part(from: &dyn Disk, to: &dyn Disk, part: &Part, pace: &mut Pace<'_>) -> Result<(), Fault> {
    let name = segment_file(part.number);
    let read = fault(from, "read", &name);
    let written = fault(to, "write to", NEW_FILE);
    let source = from.open_to_read(&name).map_err(&read)?;
    let copy = to.create(NEW_FILE).map_err(fault(to, "make", NEW_FILE))?;
    let (mut offset, mut unsynced) = (0, 0);
    let mut piece = vec![0; PIECE_BYTES];
    while offset < part.bytes {
        let left = usize::try_from(part.bytes - offset).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let into = piece.get_mut(..left).unwrap_or_default();
        if source.read_at(offset, into).map_err(&read)? < left {
            return Err(read(io::ErrorKind::UnexpectedEof.into()));
        }
        copy.write_at(offset, into).map_err(&written)?;
        offset += left as u64;
        unsynced += left as u64;
        if unsynced >= UNSYNCED_BYTES {
            copy.sync().map_err(fault(to, "sync", NEW_FILE))?;
            unsynced = 0;
        }
        pace(left as u64);
    }
    copy.sync().map_err(fault(to, "sync", NEW_FILE))?;
    to.rename(NEW_FILE, &name).map_err(fault(to, "rename", NEW_FILE))?;
    to.sync_dir().map_err(fault(to, "sync the names in", "."))
}
