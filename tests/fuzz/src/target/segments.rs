//! A store whose files were damaged: no panic; what is read is what was written, from the first record on; all that lies
//! before the damage is there after a salvage, which writes and is read again; and no read asks for more than the file has.

use std::{fmt, io, sync::Arc};

use whimbrel_journal::{
    Disk, DiskFile, DiskLock, Level, LockError, Log, OpenError, Options, Recovery, read_store, sim::SimDisk,
};

use crate::draw::Draw;

/// Sizes at which segments end often.
fn options(salvage: bool) -> Options {
    Options {
        segment_bytes: 4096,
        frame_bytes_max: 1024,
        fill_bytes: 1024,
        staged_bytes_max: 8192,
        unsynced_bytes_max: 2048,
        spares_max: 2,
        store_id: *b"a store of tests",
        salvage,
    }
}

/// How many records, and what happens to the files.
pub(super) fn segments(data: &[u8]) {
    let mut draw = Draw::new(data);
    let written: Vec<Vec<u8>> = (0..1 + draw.below(70)).map(record).collect();
    let disk = SimDisk::new();
    write(&disk, false, &written).expect("a new store");
    disk.kill();
    let whole: Vec<(String, Vec<u8>)> = disk
        .names()
        .into_iter()
        .filter(|name| name.ends_with(".log"))
        .filter_map(|name| disk.contents(&name).map(|contents| (name, contents)))
        .collect();
    while !draw.is_empty() {
        damage(&disk, &whole, &mut draw);
    }
    let safe = safe(&disk, &whole, &written);
    for salvage in [false, true] {
        let (found, outcome) = read(&disk, salvage);
        assert!(found.len() <= written.len(), "{} records are more than were written", found.len());
        let differs = found.iter().zip(&written).position(|(found, written)| found != written);
        assert_eq!(differs, None, "salvage {salvage}, of {} records", found.len());
        match outcome {
            Ok(recovery) => {
                assert!(found.len() >= safe, "salvage {salvage}: {} of {safe} records", found.len());
                assert_eq!(recovery.records, found.len() as u64);
            }
            Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
        }
    }
    let fresh = [b"after the damage".to_vec(), record(3)];
    let Ok(found) = write(&disk, true, &fresh) else { return };
    disk.kill();
    let (again, outcome) = read(&disk, false);
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(again, [found, fresh.to_vec()].concat());
}

/// A record that tells its number, and is long enough for its bytes to be nowhere else.
fn record(number: usize) -> Vec<u8> {
    let mut bytes = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes().repeat(2);
    bytes.resize(100 + number % 90, number as u8);
    bytes
}

/// Opens the store, writes records and syncs each; gives what was there.
fn write(disk: &SimDisk, salvage: bool, records: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, OpenError> {
    let mut found = Vec::new();
    let bounded = Arc::new(Bounded(disk.clone()));
    let (log, mut committer, _) = Log::open(bounded, options(salvage), &mut |_, _, record| {
        found.push(record.to_vec());
        Ok(())
    })?;
    for record in records {
        log.stage(record).expect("room");
        log.ask(log.staged(), Level::Power);
        committer.commit_once();
    }
    Ok(found)
}

fn read(disk: &SimDisk, salvage: bool) -> (Vec<Vec<u8>>, Result<Recovery, OpenError>) {
    let mut found = Vec::new();
    let outcome = read_store(&Bounded(disk.clone()), salvage, &mut |_, _, record| {
        found.push(record.to_vec());
        Ok(())
    });
    (found, outcome)
}

/// One thing that happens to a file.
fn damage(disk: &SimDisk, whole: &[(String, Vec<u8>)], draw: &mut Draw<'_>) {
    let (name, _) = &whole[draw.below(whole.len())];
    let mut contents = disk.contents(name).unwrap_or_default();
    let at = (draw.below(256) * 256 + draw.below(256)) % (contents.len() + 1);
    match draw.below(6) {
        0 => contents.truncate(at),
        1 => contents.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << draw.below(8)),
        2 => contents.iter_mut().skip(at).take(1 + draw.below(200)).for_each(|byte| *byte = 0),
        3 => {
            let length = draw.below(64);
            let piece = draw.slice(length);
            contents.iter_mut().skip(at).zip(piece).for_each(|(into, byte)| *into = *byte);
        }
        // A piece of another file, or of another place of this one.
        4 => {
            let (_, other) = &whole[draw.below(whole.len())];
            let from = (draw.below(256) * 256 + draw.below(256)) % (other.len() + 1);
            let length = 1 + draw.below(256) * 4;
            contents
                .iter_mut()
                .skip(at)
                .zip(other[from..].iter().take(length))
                .for_each(|(into, byte)| *into = *byte);
        }
        _ => contents.extend_from_slice(draw.slice(32)),
    }
    disk.put(name, contents);
}

/// Records that lie before the first byte that is not as it was written.
fn safe(disk: &SimDisk, whole: &[(String, Vec<u8>)], written: &[Vec<u8>]) -> usize {
    let mut records = written.iter().peekable();
    let mut count = 0;
    for (name, contents) in whole {
        let now = disk.contents(name).unwrap_or_default();
        let same = now.iter().zip(contents).take_while(|(now, then)| now == then).count();
        let mut from = 0;
        while let Some(record) = records.peek() {
            let there = contents[from..].windows(record.len()).position(|window| window == record.as_slice());
            let Some(at) = there else { break };
            from += at + record.len();
            if from > same {
                return count;
            }
            count += 1;
            records.next();
        }
        if same < contents.len() {
            return count;
        }
    }
    count
}

/// A disk that minds how much is asked of a file at once.
struct Bounded(SimDisk);

#[derive(Debug)]
struct BoundedFile(Box<dyn DiskFile>);

impl Disk for Bounded {
    fn lock(&self) -> Result<DiskLock, LockError> {
        self.0.lock()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.0.create(name)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.0.open(name).map(|file| -> Box<dyn DiskFile> { Box::new(BoundedFile(file)) })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.0.sync_dir()
    }
}

impl fmt::Display for Bounded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl DiskFile for BoundedFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        // A header is read at its own length, whatever the file has.
        let most = self.0.len()?.max(4_096);
        assert!(into.len() as u64 <= most, "{} bytes are asked of a file that has {most}", into.len());
        self.0.read_at(offset, into)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}
