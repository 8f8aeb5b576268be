//! Opening a store for writing: what recovery has found becomes a log that goes on.

use std::sync::Arc;

use crate::{
    committer::Committer,
    disk::Disk,
    error::{Fault, OpenError},
    folder::{Folder, NEW_FILE, damaged_file, fault, segment_file, spare_number},
    format::FRAME_HEADER_BYTES,
    log::{Inner, Log},
    options::Options,
    reader::Reader,
    recovery::{Recovery, Replayed, Tail, Visitor, replay},
    segments::{Live, Segment},
    staging::Staging,
    writer::{Note, Store, Trouble, Writer, copy},
};

pub(crate) fn open(
    disk: Arc<dyn Disk>,
    options: Options,
    visitor: &mut Visitor<'_>,
) -> Result<(Log, Committer, Recovery), OpenError> {
    let lock = disk.lock()?;
    let Replayed { folder, live, tail, lost, mut recovery } = replay(&*disk, options.salvage, visitor)?;
    if folder.has_new {
        disk.remove(NEW_FILE).map_err(fault(&*disk, "remove", NEW_FILE))?;
    }
    set_aside(&*disk, &lost)?;
    let store = Store {
        disk: disk.clone(),
        id: tail.as_ref().map_or(options.store_id, |tail| tail.header.store),
        incarnation: tail.as_ref().map_or(0, |tail| tail.incarnation) + 1,
        spares: folder.spares.clone(),
    };
    recovery.store_id = store.id;
    let (incarnation, end) = (store.incarnation, recovery.end.0);
    let (writer, oldest) = match tail {
        Some(tail) => resume(store, &options, &live, &tail)?,
        None => begin(store, &options, &live, &folder, &lost)?,
    };
    // The frame that announces this opening is not staged, and takes room all the same.
    let used = writer.offset() + FRAME_HEADER_BYTES as u64;
    let staging = Staging::new(&options, end, incarnation, writer.number(), used);
    let inner = Arc::new(Inner::new(options, live, Reader::new(disk.clone()), staging, end, lock));
    let mut committer = Committer::new(inner.clone(), disk, writer, oldest, end);
    match committer.announce() {
        Ok(()) => {}
        Err(Trouble::Full(fault)) => committer.begin_full(fault),
        Err(Trouble::Broken(fault)) => return Err(fault.into()),
    }
    Ok((Log { inner }, committer, recovery))
}

/// The first segment of a store, or the first after a salvage that found nothing to keep.
fn begin(
    store: Store,
    options: &Options,
    live: &Live,
    folder: &Folder,
    lost: &[u64],
) -> Result<(Writer, u64), Fault> {
    // Frames of a former use of a spare file would be taken for this one's if the number were the same.
    let spares = folder.spares.iter().filter_map(|name| spare_number(name));
    let number = lost.iter().chain(&folder.damaged).copied().chain(spares).max().map_or(1, |last| last + 1);
    let segment = live.push(Segment::new(number, 0));
    let writer = Writer::create(store, options, segment).map_err(Trouble::fault)?;
    Ok((writer, number))
}

fn resume(store: Store, options: &Options, live: &Live, tail: &Tail) -> Result<(Writer, u64), Fault> {
    let number = tail.header.number;
    let first = live.all().first().map_or(number, |(segment, _)| segment.number);
    let oldest = tail.oldest.max(first);
    // It is in the table: recovery has just read it.
    let segment = live.numbered(number).unwrap_or_else(|| live.push(Segment::new(number, tail.header.first)));
    let disk = store.disk.clone();
    let mut writer = Writer::resume(store, options, segment, tail)?;
    if tail.is_salvaged {
        let name = segment_file(number);
        let damaged = disk.open_to_read(&name).map_err(fault(&*disk, "open", &name))?;
        let aside = damaged_file(number);
        let saved = copy(&*disk, &*damaged, &name, &aside, tail.length)?;
        saved.sync().map_err(fault(&*disk, "sync", &aside))?;
        writer.rewrite(tail.offset, std::iter::empty(), Note { synced: tail.position, oldest })?;
    }
    Ok((writer, oldest))
}

/// Takes the segments that a salvage gives up out of the log, the last one first: whatever comes between, those that are
/// left follow each other.
fn set_aside(disk: &dyn Disk, lost: &[u64]) -> Result<(), Fault> {
    for number in lost.iter().rev() {
        let name = segment_file(*number);
        disk.rename(&name, &damaged_file(*number)).map_err(fault(disk, "rename", &name))?;
        disk.sync_dir().map_err(fault(disk, "sync the names in", "."))?;
    }
    Ok(())
}
