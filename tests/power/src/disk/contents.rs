//! One file's bytes: what a reader gets, what is on stable storage, and every sector written in between. Not its names.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Cut;
use crate::draw::Draw;

/// What a disk writes whole or not at all.
pub(crate) const SECTOR_BYTES: usize = 512;

/// One file.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    cached: Vec<u8>,
    durable: Vec<u8>,
    pending: VecDeque<Change>,
    /// The number of the next change.
    next: u64,
}

/// A sector that no sync has covered, as it was after a write, or a new length alone.
#[derive(Debug)]
struct Change {
    number: u64,
    /// How long the file was then.
    length: usize,
    sector: Option<(usize, Box<[u8]>)>,
}

impl Contents {
    pub(crate) fn len(&self) -> u64 {
        self.cached.len() as u64
    }

    pub(crate) fn read(&self, offset: u64, bytes: usize) -> &[u8] {
        let start = (offset as usize).min(self.cached.len());
        let end = start.saturating_add(bytes).min(self.cached.len());
        &self.cached[start..end]
    }

    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let (start, before) = (offset as usize, self.cached.len());
        let end = start + bytes.len();
        if before < end {
            self.cached.resize(end, 0);
        }
        self.cached[start..end].copy_from_slice(bytes);
        let mut at = start / SECTOR_BYTES * SECTOR_BYTES;
        while at < end {
            let length = before.max(end.min(at + SECTOR_BYTES));
            let sector = self.cached[at..length.min(at + SECTOR_BYTES)].into();
            self.push(length, Some((at, sector)));
            at += SECTOR_BYTES;
        }
    }

    pub(crate) fn set_len(&mut self, length: u64) {
        self.cached.resize(length as usize, 0);
        self.push(length as usize, None);
    }

    /// Sectors that no sync has covered.
    pub(crate) fn unsynced_sectors(&self) -> usize {
        self.pending.iter().filter(|change| change.sector.is_some()).count()
    }

    /// What a sync has to write: a sector that was written twice is written once.
    pub(crate) fn unsynced_bytes(&self) -> usize {
        let sectors = self.pending.iter().filter_map(|change| change.sector.as_ref());
        sectors.map(|(at, _)| *at).collect::<BTreeSet<_>>().len() * SECTOR_BYTES
    }

    /// The changes before this mark are those that have been made until now.
    pub(crate) fn mark(&self) -> u64 {
        self.next
    }

    /// A sync that began at `mark` has ended well.
    pub(crate) fn sync(&mut self, mark: u64) {
        let covered = self.pending.partition_point(|change| change.number < mark);
        self.pending.drain(..covered).for_each(|change| change.apply(&mut self.durable));
    }

    /// A sync that began at `mark` has failed: as Linux has it, what it covered is clean from now on, still to be read,
    /// and never written to the disk.
    pub(crate) fn forsake(&mut self, mark: u64) {
        self.pending.retain(|change| change.number >= mark);
    }

    /// Settles what is unsynced. Returns how many of its sectors have survived.
    pub(crate) fn cut(&mut self, cut: Cut, draw: &mut Draw) -> usize {
        let changes: Vec<_> = self.pending.drain(..).collect();
        let survivors = match cut {
            Cut::Lose => 0,
            Cut::Tear => {
                let kept = draw.below(changes.len() + 1);
                changes.iter().take(kept).for_each(|change| change.apply(&mut self.durable));
                changes.iter().take(kept).filter(|change| change.sector.is_some()).count()
            }
            Cut::Reorder => reorder(&mut self.durable, &changes, draw),
        };
        self.cached.clone_from(&self.durable);
        survivors
    }

    fn push(&mut self, length: usize, sector: Option<(usize, Box<[u8]>)>) {
        self.pending.push_back(Change { number: self.next, length, sector });
        self.next += 1;
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        bytes.resize(self.length, 0);
        if let Some((at, sector)) = &self.sector {
            bytes[*at..*at + sector.len()].copy_from_slice(sector);
        }
    }
}

/// Each sector is as it was after any of the writes to it, or as before them; so is the length.
fn reorder(durable: &mut Vec<u8>, changes: &[Change], draw: &mut Draw) -> usize {
    let mut versions: BTreeMap<usize, Vec<&[u8]>> = BTreeMap::new();
    for (at, sector) in changes.iter().filter_map(|change| change.sector.as_ref()) {
        versions.entry(*at).or_default().push(sector);
    }
    let lengths: Vec<_> =
        [durable.len()].into_iter().chain(changes.iter().map(|change| change.length)).collect();
    let length = lengths[draw.below(lengths.len())];
    let mut survivors = 0;
    for (at, versions) in versions {
        let Some(version) = draw.below(versions.len() + 1).checked_sub(1) else { continue };
        let (sector, end) = (versions[version], at + versions[version].len());
        if durable.len() < end {
            durable.resize(end, 0);
        }
        durable[at..end].copy_from_slice(sector);
        survivors += usize::from(end <= length);
    }
    durable.resize(length, 0);
    survivors
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `old` everywhere, synced; then `new` everywhere, not synced, and a sector more.
    fn rewritten() -> Contents {
        let mut contents = Contents::default();
        contents.write(0, &[b'o'; 4 * SECTOR_BYTES]);
        contents.sync(contents.mark());
        contents.write(0, &[b'n'; 5 * SECTOR_BYTES]);
        contents
    }

    /// The first byte of each sector.
    fn sectors(contents: &Contents) -> String {
        contents.read(0, usize::MAX).chunks(SECTOR_BYTES).map(|sector| char::from(sector[0])).collect()
    }

    fn cut(cut: Cut, seed: u64) -> String {
        let mut contents = rewritten();
        assert_eq!(sectors(&contents), "nnnnn");
        contents.cut(cut, &mut Draw::new(seed));
        assert!(
            contents
                .read(0, usize::MAX)
                .chunks(SECTOR_BYTES)
                .all(|one| one.iter().all(|byte| *byte == one[0]))
        );
        sectors(&contents)
    }

    #[test]
    fn what_is_synced_survives_every_cut() {
        for kind in [Cut::Lose, Cut::Tear, Cut::Reorder] {
            let mut contents = rewritten();
            contents.sync(contents.mark());
            assert_eq!(contents.cut(kind, &mut Draw::new(1)), 0);
            assert_eq!(sectors(&contents), "nnnnn", "{kind:?}");
        }
    }

    #[test]
    fn what_is_not_synced_is_lost_torn_or_reordered() {
        let all = |kind| (0..2_000).map(|seed| cut(kind, seed)).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(all(Cut::Lose), ["oooo".to_owned()].into());
        let torn = ["oooo", "nooo", "nnoo", "nnno", "nnnn", "nnnnn"].map(str::to_owned);
        assert_eq!(all(Cut::Tear), torn.into());
        let reordered = all(Cut::Reorder);
        // Five lengths' changes, of which one is longer; a sector that is counted in the length and was not written is zeros.
        for some in ["onoo", "ooon", "nonn", "oooo\0", "ooonn"] {
            assert!(reordered.contains(some), "{some:?} not in {reordered:?}");
        }
        assert_eq!(cut(Cut::Reorder, 7), cut(Cut::Reorder, 7));
    }

    #[test]
    fn a_torn_write_keeps_the_old_bytes_of_its_sectors() {
        let mut contents = Contents::default();
        contents.write(0, &[b'o'; 600]);
        contents.sync(contents.mark());
        contents.write(500, &[b'n'; 200]);
        contents.cut(Cut::Lose, &mut Draw::new(1));
        assert_eq!(contents.read(0, 1000), [b'o'; 600]);
    }

    #[test]
    fn a_sync_covers_what_was_written_before_it_began() {
        let mut contents = Contents::default();
        contents.write(0, b"before");
        let mark = contents.mark();
        contents.write(0, b"beyond");
        contents.sync(mark);
        assert_eq!(contents.unsynced_sectors(), 1);
        contents.cut(Cut::Lose, &mut Draw::new(1));
        assert_eq!(contents.read(0, 100), b"before");
    }

    #[test]
    fn what_a_failed_sync_covered_is_read_and_never_written() {
        let mut contents = Contents::default();
        contents.write(0, b"kept");
        contents.sync(contents.mark());
        contents.write(0, b"gone");
        contents.forsake(contents.mark());
        contents.sync(contents.mark());
        assert_eq!(contents.read(0, 100), b"gone");
        contents.cut(Cut::Tear, &mut Draw::new(1));
        assert_eq!(contents.read(0, 100), b"kept");
    }

    #[test]
    fn a_new_length_waits_for_a_sync_as_well() {
        let mut contents = Contents::default();
        contents.write(0, b"long and synced");
        contents.sync(contents.mark());
        contents.set_len(4);
        assert_eq!(contents.len(), 4);
        contents.cut(Cut::Lose, &mut Draw::new(1));
        assert_eq!(contents.read(0, 100), b"long and synced");
        contents.set_len(4);
        contents.sync(contents.mark());
        contents.cut(Cut::Lose, &mut Draw::new(1));
        assert_eq!(contents.read(0, 100), b"long");
    }
}
