//! A store of format version 1 as it was written once: it is readable for ever, and today's writer still makes it.

use std::{fs, path::PathBuf, sync::Arc};

use whimbrel_journal::{FileDisk, Log, Position, read_store, sim::SimDisk};

use super::rig::{Rig, assert_same, record, small};

/// Two openings, three segments of which the oldest has been given back, and a spare file.
fn written_today() -> SimDisk {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill((0..6).map(|number| record(number, 1_500)));
    let oldest = rig.log.oldest().unwrap();
    rig.log.drop_segment(oldest.number, rig.log.staged()).unwrap();
    rig.sync();
    rig.committer.close();
    drop(rig);
    let mut rig = Rig::open(&disk);
    rig.log.stage(b"of the second opening").unwrap();
    rig.log.stage(b"").unwrap();
    rig.sync();
    drop(rig);
    disk
}

/// What the fixture holds, in words of this test alone.
fn expected() -> Vec<(Position, Vec<u8>)> {
    let mut records: Vec<_> =
        (2..6).map(|number| (Position(number * 1_508), record(number, 1_500))).collect();
    records.push((Position(9_048), b"of the second opening".to_vec()));
    records.push((Position(9_077), Vec::new()));
    records
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

#[test]
fn version_1_is_readable() {
    let disk = FileDisk::new(folder()).unwrap();
    let mut found = Vec::new();
    let recovery = read_store(&disk, false, &mut |_, position, record| {
        found.push((position, record.to_vec()));
        Ok(())
    })
    .unwrap();
    assert_same(&found, &expected());
    assert_eq!(recovery.store_id, *b"a store of tests");
    assert_eq!((recovery.segments, recovery.records), (2, 6));
    assert_eq!((recovery.first, recovery.end), (Position(3_016), Position(9_085)));
    assert!(recovery.cut.is_none());
}

#[test]
fn version_1_is_written_on() {
    let disk = SimDisk::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        disk.put(path.file_name().unwrap().to_str().unwrap(), fs::read(&path).unwrap());
    }
    let mut rig = Rig::open(&disk);
    rig.fill([b"of a later version".to_vec()]);
    drop(rig);
    let mut found = Vec::new();
    let visit = &mut |_: &_, position, record: &[u8]| {
        found.push((position, record.to_vec()));
        Ok(())
    };
    Log::open(Arc::new(disk), small(), visit).unwrap();
    let mut expected = expected();
    expected.push((Position(9_085), b"of a later version".to_vec()));
    assert_same(&found, &expected);
}

/// A change of the format is a new version with a fixture of its own, not another fixture of this one.
#[test]
fn todays_writer_makes_the_same_bytes() {
    let disk = written_today();
    let mut names: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, disk.names());
    for name in names {
        assert!(fs::read(folder().join(&name)).unwrap() == disk.contents(&name).unwrap(), "{name} differs");
    }
}
