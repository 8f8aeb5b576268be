//! The segment that is written to: its frames, the zeros ahead of them, and how a file becomes a segment. It knows no
//! watermark: what may be promised is the committer's business.

use std::{io, ops::Range, sync::Arc};

use crate::{
    disk::{Disk, DiskFile},
    error::Fault,
    folder::{NEW_FILE, fault, segment_file, spare_file},
    format::{FRAME_HEADER_BYTES, FrameHeader, SEGMENT_HEADER_BYTES, SegmentHeader},
    options::Options,
    recovery::Tail,
    segments::Segment,
};

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
const COPY_BYTES: usize = 256 * 1024;

/// For how many frames like the one at hand a file is made longer.
const FRAMES_AHEAD: u64 = 16;
const FILL_BYTES_MIN: u64 = 64 * 1024;

/// What an error of the disk means for the log.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There is no room; nothing that was written before is in doubt.
    Full(Fault),
    /// Nobody knows what is on the disk.
    Broken(Fault),
}

impl Trouble {
    /// Of an operation that touched nothing which somebody was promised.
    pub(crate) fn of(fault: Fault) -> Self {
        match fault.source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(fault),
            _ => Self::Broken(fault),
        }
    }

    pub(crate) fn fault(self) -> Fault {
        match self {
            Self::Full(fault) | Self::Broken(fault) => fault,
        }
    }
}

/// Parts what can wait from what cannot.
pub(crate) trait Outlast {
    /// The trouble, if it is only that the disk is full.
    fn unless_broken(self) -> Result<Option<Trouble>, Trouble>;
}

impl Outlast for Result<(), Trouble> {
    fn unless_broken(self) -> Result<Option<Trouble>, Trouble> {
        match self {
            Ok(()) => Ok(None),
            Err(full @ Trouble::Full(_)) => Ok(Some(full)),
            Err(broken @ Trouble::Broken(_)) => Err(broken),
        }
    }
}

/// What a frame says besides its records.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Note {
    pub(crate) synced: u64,
    pub(crate) oldest: u64,
}

pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    fill_bytes: u64,
    spares_max: usize,
    store: [u8; 16],
    incarnation: u32,
    spares: Vec<String>,
    active: Active,
}

/// The file that is written to.
pub(crate) struct Active {
    file: Box<dyn DiskFile>,
    name: String,
    seed: u32,
    /// Where the next frame goes.
    offset: u64,
    /// How long the file is.
    length: u64,
    segment: Arc<Segment>,
}

/// What is the same for all segments of an opening.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) id: [u8; 16],
    pub(crate) incarnation: u32,
    pub(crate) spares: Vec<String>,
}

impl Writer {
    /// A store without segments gets its first.
    pub(crate) fn create(store: Store, options: &Options, segment: Arc<Segment>) -> Result<Self, Trouble> {
        let header = SegmentHeader {
            number: segment.number,
            first: segment.first,
            store: store.id,
            oldest: segment.number,
            incarnation: store.incarnation,
        };
        let mut spares = store.spares.clone();
        let active = prepare(&*store.disk, &mut spares, &header, segment)?;
        Ok(Self::new(Store { spares, ..store }, options, active))
    }

    /// Goes on in a segment that is there, and makes durable what has just been read from it: from here on it is promised
    /// again.
    pub(crate) fn resume(
        store: Store,
        options: &Options,
        segment: Arc<Segment>,
        tail: &Tail,
    ) -> Result<Self, Fault> {
        let name = segment_file(segment.number);
        let file = store.disk.open(&name).map_err(fault(&*store.disk, "open", &name))?;
        // The process that wrote it may have died of a failed sync. The system still shows what it failed to write, and
        // would say yes to a sync that has nothing to do: so whatever is not known to be durable is written again.
        let from = segment.frame_near(tail.synced).unwrap_or(SEGMENT_HEADER_BYTES as u64);
        copy_range(&*store.disk, (&*file, &name), (&*file, &name), from..tail.offset)?;
        file.sync().map_err(fault(&*store.disk, "sync", &name))?;
        store.disk.sync_dir().map_err(fault(&*store.disk, "sync the names in", "."))?;
        let length = file.len().map_err(fault(&*store.disk, "measure", &name))?;
        let seed = tail.header.frame_seed();
        let active = Active { file, name, seed, offset: tail.offset, length, segment };
        Ok(Self::new(store, options, active))
    }

    fn new(store: Store, options: &Options, active: Active) -> Self {
        Self {
            disk: store.disk,
            segment_bytes: options.segment_bytes(),
            fill_bytes: options.fill_bytes.max(1),
            spares_max: options.spares_max,
            store: store.id,
            incarnation: store.incarnation,
            spares: store.spares,
            active,
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.active.segment.number
    }

    pub(crate) fn offset(&self) -> u64 {
        self.active.offset
    }

    /// Writes a frame at the end. `frame` has room for the header in front. After an error the end is where it was: the
    /// next frame is written over what came of this one.
    pub(crate) fn append(&mut self, frame: &mut [u8], position: u64, note: Note) -> Result<(), Trouble> {
        self.seal(frame, position, note);
        let end = self.active.offset + frame.len() as u64;
        self.fill_to(end, frame.len() as u64)?;
        let active = &mut self.active;
        active
            .file
            .write_at(active.offset, frame)
            .map_err(|error| Trouble::of(fault(&*self.disk, "write to", &active.name)(error)))?;
        if frame.len() > FRAME_HEADER_BYTES {
            active.segment.note_frame(position, active.offset);
        }
        active.offset = end;
        active.segment.set_bytes(end);
        Ok(())
    }

    /// A frame without records, for what its header says.
    pub(crate) fn append_note(&mut self, position: u64, note: Note) -> Result<(), Trouble> {
        self.append(&mut [0; FRAME_HEADER_BYTES], position, note)
    }

    /// Makes what was written durable. It is never asked again after an error.
    pub(crate) fn sync(&self) -> Result<(), Trouble> {
        let failed = fault(&*self.disk, "sync", &self.active.name);
        self.active.file.sync().map_err(|error| Trouble::Broken(failed(error)))
    }

    /// Leaves the segment, which is synced, for the next one.
    pub(crate) fn roll(&mut self, segment: Arc<Segment>, oldest: u64) -> Result<(), Trouble> {
        let header = SegmentHeader {
            number: segment.number,
            first: segment.first,
            store: self.store,
            oldest,
            incarnation: self.incarnation,
        };
        self.active = prepare(&*self.disk, &mut self.spares, &header, segment)?;
        Ok(())
    }

    /// Takes the file of a dead segment for a later one, or removes it.
    pub(crate) fn retire(&mut self, number: u64) -> Result<(), Trouble> {
        let name = segment_file(number);
        let spare = (self.spares.len() < self.spares_max).then(|| spare_file(number));
        let (doing, done) = match &spare {
            Some(spare) => ("rename", self.disk.rename(&name, spare)),
            None => ("remove", self.disk.remove(&name)),
        };
        match done {
            Ok(()) => {}
            // It went before an earlier attempt failed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Trouble::of(fault(&*self.disk, doing, &name)(error))),
        }
        // Before the file gets another header: under its old name it would be a segment of a wrong number.
        self.disk
            .sync_dir()
            .map_err(|error| Trouble::Broken(fault(&*self.disk, "sync the names in", ".")(error)))?;
        self.spares.extend(spare);
        Ok(())
    }

    /// Writes the active segment anew into a fresh file: its first `whole_bytes`, which hold what was synced, and
    /// `frames` behind them. The new file takes the old one's place when it is durable.
    pub(crate) fn rewrite<'f>(
        &mut self,
        whole_bytes: u64,
        frames: impl Iterator<Item = (u64, &'f mut [u8])>,
        note: Note,
    ) -> Result<(), Fault> {
        let name = self.active.name.clone();
        let old = self.disk.open_to_read(&name).map_err(fault(&*self.disk, "open", &name))?;
        let new = copy(&*self.disk, &*old, &name, NEW_FILE, whole_bytes)?;
        let mut offset = whole_bytes;
        let mut places = Vec::new();
        for (position, frame) in frames {
            self.seal(frame, position, note);
            new.write_at(offset, frame).map_err(fault(&*self.disk, "write to", NEW_FILE))?;
            places.push((position, offset));
            offset += frame.len() as u64;
        }
        new.sync().map_err(fault(&*self.disk, "sync", NEW_FILE))?;
        self.disk.rename(NEW_FILE, &name).map_err(fault(&*self.disk, "rename", NEW_FILE))?;
        self.disk.sync_dir().map_err(fault(&*self.disk, "sync the names in", "."))?;
        let active = &mut self.active;
        active.segment.forget_frames(whole_bytes);
        for (position, offset) in places {
            active.segment.note_frame(position, offset);
        }
        active.segment.set_bytes(offset);
        (active.file, active.offset, active.length) = (new, offset, offset);
        Ok(())
    }

    pub(crate) fn set_spares(&mut self, spares: Vec<String>) {
        self.spares = spares;
    }

    fn seal(&self, frame: &mut [u8], position: u64, note: Note) {
        let length = frame.len().saturating_sub(FRAME_HEADER_BYTES);
        let header = FrameHeader {
            // Staging holds frames under 4 GiB.
            length: u32::try_from(length).unwrap_or(u32::MAX),
            incarnation: self.incarnation,
            position,
            synced: note.synced,
            oldest: note.oldest,
        };
        if let Some(into) = frame.first_chunk_mut() {
            *into = header.encode(self.active.seed);
        }
    }

    /// Fills the file with zeros beyond `end`, so that few syncs have to record a new length. As the next sync has all of
    /// them to write, and everybody who waits for it waits for them, it is so many that some frames like this one of
    /// `frame` bytes find room: small frames are never held up for long, large ones seldom.
    fn fill_to(&mut self, end: u64, frame: u64) -> Result<(), Trouble> {
        let active = &mut self.active;
        if end <= active.length {
            return Ok(());
        }
        let step = (frame * FRAMES_AHEAD).next_power_of_two().max(FILL_BYTES_MIN).min(self.fill_bytes);
        let target = end.next_multiple_of(step).min(self.segment_bytes.max(end));
        while active.length < target {
            let left = usize::try_from(target - active.length).unwrap_or(ZEROS.len());
            let zeros = ZEROS.get(..left).unwrap_or(&ZEROS);
            active
                .file
                .write_at(active.length, zeros)
                .map_err(|error| Trouble::of(fault(&*self.disk, "fill", &active.name)(error)))?;
            active.length += zeros.len() as u64;
        }
        Ok(())
    }
}

/// Makes a segment of a spare file, or of a new one. It has its name only when its header is durable.
fn prepare(
    disk: &dyn Disk,
    spares: &mut Vec<String>,
    header: &SegmentHeader,
    segment: Arc<Segment>,
) -> Result<Active, Trouble> {
    let spare = spares.pop();
    let source = spare.as_deref().unwrap_or(NEW_FILE);
    let begun = begin(disk, source, spare.is_some(), header);
    let file = match begun {
        Ok(file) => file,
        Err(fault) => {
            // Nobody was promised anything in it, and a sync that failed is never asked again: the next attempt takes
            // another file. Where this one cannot be removed, it is a spare again at the next opening.
            let _ = disk.remove(source);
            return Err(Trouble::of(fault));
        }
    };
    let name = segment_file(header.number);
    disk.rename(source, &name).map_err(|error| Trouble::of(fault(disk, "rename", source)(error)))?;
    disk.sync_dir().map_err(|error| Trouble::Broken(fault(disk, "sync the names in", ".")(error)))?;
    let length = file.len().map_err(|error| Trouble::Broken(fault(disk, "measure", &name)(error)))?;
    let offset = SEGMENT_HEADER_BYTES as u64;
    segment.set_bytes(offset);
    Ok(Active { file, name, seed: header.frame_seed(), offset, length, segment })
}

fn begin(
    disk: &dyn Disk,
    source: &str,
    is_spare: bool,
    header: &SegmentHeader,
) -> Result<Box<dyn DiskFile>, Fault> {
    let file = if is_spare { disk.open(source) } else { disk.create(source) };
    let file = file.map_err(fault(disk, "create", source))?;
    file.write_at(0, &header.encode()).map_err(fault(disk, "write to", source))?;
    file.sync().map_err(fault(disk, "sync", source))?;
    Ok(file)
}

/// Copies the first `bytes` of a file into a new one, which is not synced yet.
pub(crate) fn copy(
    disk: &dyn Disk,
    from: &dyn DiskFile,
    from_name: &str,
    to_name: &str,
    bytes: u64,
) -> Result<Box<dyn DiskFile>, Fault> {
    let to = disk.create(to_name).map_err(fault(disk, "create", to_name))?;
    copy_range(disk, (from, from_name), (&*to, to_name), 0..bytes)?;
    Ok(to)
}

fn copy_range(
    disk: &dyn Disk,
    (from, from_name): (&dyn DiskFile, &str),
    (to, to_name): (&dyn DiskFile, &str),
    range: Range<u64>,
) -> Result<(), Fault> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut offset = range.start;
    while offset < range.end {
        let left = usize::try_from(range.end - offset).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        let into = buffer.get_mut(..left).unwrap_or_default();
        let read = from.read_at(offset, into).map_err(fault(disk, "read", from_name))?;
        if read < left {
            return Err(fault(disk, "read", from_name)(io::ErrorKind::UnexpectedEof.into()));
        }
        to.write_at(offset, into).map_err(fault(disk, "write to", to_name))?;
        offset += left as u64;
    }
    Ok(())
}
