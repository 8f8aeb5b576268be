//! What is on the disk is not what was written: told apart, reported, and opened as far as it is whole when asked.

use whimbrel_journal::{Damage, Log, OpenError, Options, Position, read_store, sim::SimDisk};

use super::rig::{Rig, assert_same, contents, record, small, some};

fn filled() -> (SimDisk, usize) {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..60));
    let segments = rig.log.segments().len();
    drop(rig);
    (disk, segments)
}

fn refusal(disk: &SimDisk) -> OpenError {
    Rig::try_open(disk, small()).err().expect("damage is refused")
}

fn salvage(disk: &SimDisk) -> Rig {
    Rig::try_open(disk, Options { salvage: true, ..small() }).unwrap()
}

/// Every bit of every frame but the last: found, and never served.
#[test]
fn a_flipped_bit_anywhere_is_found_or_cuts_the_last_frame() {
    let all: Vec<_> = some(0..60).collect();
    let (disk, _) = filled();
    for name in disk.names() {
        let whole = disk.contents(&name).unwrap();
        for bit in (0..whole.len() as u64 * 8).step_by(37) {
            assert!(disk.flip_bit(&name, bit));
            let mut found = Vec::new();
            let outcome = read_store(&disk, false, &mut |_, _, record| {
                found.push(record.to_vec());
                Ok(())
            });
            assert_eq!(found, all[..found.len()], "{name} bit {bit}");
            assert!(outcome.is_err() || found.len() >= 59, "{name} bit {bit}: {} served", found.len());
            assert!(disk.flip_bit(&name, bit));
        }
    }
}

#[test]
fn damage_is_reported_with_file_offset_and_position() {
    let (disk, _) = filled();
    // The second frame: the first announces the opening and has no records.
    disk.flip_bit("0000000000000002.log", (512 + 40 + 20) * 8);
    let error = refusal(&disk);
    let OpenError::Corrupt(corruption) = &error else { panic!("{error}") };
    assert_eq!(corruption.offset, 512);
    assert_eq!(corruption.damage, Damage::Record { position: corruption.position });
    let text = error.to_string();
    assert!(text.contains("0000000000000002.log") && text.contains("byte 512"), "{text}");
    // A refusal changes nothing.
    disk.flip_bit("0000000000000002.log", (512 + 40 + 20) * 8);
    assert_eq!(Rig::open(&disk).found.len(), 60);
}

#[test]
fn a_salvage_keeps_what_lies_before_and_sets_the_rest_aside() {
    let (disk, segments) = filled();
    let flipped = (1024 + 80) * 8;
    disk.flip_bit("0000000000000002.log", flipped);
    let OpenError::Corrupt(corruption) = refusal(&disk) else { panic!() };
    let mut rig = salvage(&disk);
    let kept = rig.found.len();
    assert!(kept > 20 && kept < 45, "{kept}");
    assert_eq!(rig.recovery.end, corruption.position);
    assert!(matches!(rig.recovery.salvaged, Some(OpenError::Corrupt(_))));
    let aside = disk.names().iter().filter(|name| name.starts_with("damaged-")).count();
    assert_eq!(aside, segments - 1);
    rig.fill([record(99, 100)]);
    drop(rig);
    disk.crash(&mut |_| 1);
    let found = contents(&Rig::open(&disk).found);
    let mut expected: Vec<_> = some(0..60).take(kept).collect();
    expected.push(record(99, 100));
    assert_same(&found, &expected);
}

#[test]
fn a_salvage_of_nothing_begins_anew() {
    let (disk, segments) = filled();
    disk.flip_bit("0000000000000001.log", 20 * 8);
    let OpenError::Corrupt(corruption) = refusal(&disk) else { panic!() };
    assert_eq!(corruption.damage, Damage::SegmentHeader);
    let mut rig = salvage(&disk);
    assert!(rig.found.is_empty());
    rig.fill([record(7, 50)]);
    assert_eq!(rig.log.segments()[0].number, segments as u64 + 1);
    drop(rig);
    assert_eq!(contents(&Rig::open(&disk).found), [record(7, 50)]);
}

#[test]
fn where_all_segments_are_gone_and_a_spare_file_is_left_the_store_is_not_taken_for_new() {
    let (disk, _) = filled();
    let mut rig = Rig::open(&disk);
    let oldest = rig.log.oldest().unwrap();
    rig.log.drop_segment(oldest.number, rig.log.staged()).unwrap();
    rig.sync();
    drop(rig);
    disk.crash(&mut |_| 1);
    let left = disk.names().into_iter().filter(|name| name.starts_with("spare"));
    let other = SimDisk::new();
    left.for_each(|name| other.put(&name, disk.contents(&name).unwrap()));
    assert_eq!(other.names().len(), 1);
    let missing = refusal(&other);
    assert!(
        matches!(&missing, OpenError::Missing { file, .. } if file.starts_with("0000000000000002")),
        "{missing}"
    );
    let salvaged = Rig::try_open(&other, Options { salvage: true, ..small() }).unwrap();
    assert_eq!(salvaged.found, []);
    // Its number is one that no leftover has.
    assert_eq!(salvaged.log.segments()[0].number, 2);
}

#[test]
fn a_missing_segment_is_named() {
    let (disk, segments) = filled();
    let check = |number: usize| {
        let name = format!("{number:016x}.log");
        let copy = disk.contents(&name).unwrap();
        let other = SimDisk::new();
        for file in disk.names().into_iter().filter(|file| *file != name) {
            other.put(&file, disk.contents(&file).unwrap());
        }
        let missing = refusal(&other);
        assert!(matches!(&missing, OpenError::Missing { file, .. } if *file == name), "{missing}");
        other.put(&name, copy);
        assert_eq!(Rig::open(&other).found.len(), 60);
    };
    // The oldest one is missed too, since every frame says which is.
    (1..segments).for_each(check);
}

#[test]
fn a_file_that_is_not_ours_is_named() {
    let check = |name: &str, contents: Vec<u8>, expect: fn(&OpenError) -> bool| {
        let (disk, _) = filled();
        disk.put(name, contents);
        let error = refusal(&disk);
        assert!(expect(&error), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    };
    let (disk, segments) = filled();
    let next = format!("{:016x}.log", segments + 1);
    let first = disk.contents("0000000000000001.log").unwrap();
    check(&next, b"something else".repeat(99), |error| matches!(error, OpenError::Foreign { .. }));
    check(&next, Vec::new(), |error| matches!(error, OpenError::Foreign { .. }));
    check(&next, first.clone(), |error| matches!(error, OpenError::WrongNumber { found: 1, .. }));
    let mut newer = first;
    newer[8] = 2;
    check("0000000000000002.log", newer, |error| matches!(error, OpenError::UnknownVersion { found: 2, .. }));
    let other = SimDisk::new();
    let mut rig = Rig::try_open(&other, Options { store_id: [9; 16], ..small() }).unwrap();
    rig.fill(some(0..60));
    let stranger = other.contents("0000000000000002.log").unwrap();
    check("0000000000000002.log", stranger, |error| matches!(error, OpenError::OtherStore { .. }));
}

#[test]
fn other_files_are_left_alone_and_told() {
    let (disk, _) = filled();
    disk.put("notes.txt", b"mine".to_vec());
    disk.put("0000000000000002.log.bak", b"mine".to_vec());
    let rig = Rig::open(&disk);
    assert_eq!(rig.recovery.foreign_files, ["0000000000000002.log.bak", "notes.txt"]);
    assert_eq!(disk.contents("notes.txt").unwrap(), b"mine");
    assert_eq!(rig.recovery.store_id, *b"a store of tests");
}

#[test]
fn a_visitor_that_refuses_ends_the_opening() {
    let (disk, _) = filled();
    let mut left = 30;
    let error = Log::open(std::sync::Arc::new(disk.clone()), small(), &mut |_, _, _| {
        left -= 1;
        if left == 0 { Err("what is this?".into()) } else { Ok(()) }
    })
    .err()
    .unwrap();
    assert!(matches!(error, OpenError::Refused { position: Position(1..), .. }), "{error}");
    assert_eq!(Rig::open(&disk).found.len(), 60);
}

#[test]
fn a_torn_end_is_cut_and_told() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..3));
    rig.log.stage(&record(3, 900)).unwrap();
    rig.committer.commit_once();
    drop(rig);
    // The zeros are kept, and of the frame the first two sectors.
    let mut draws = [0, 2, 0, 2, 0, 2].into_iter();
    disk.crash(&mut |sides| draws.next().unwrap_or(0).min(sides - 1));
    let rig = Rig::open(&disk);
    assert_same(&contents(&rig.found), &some(0..3).collect::<Vec<_>>());
    let cut = rig.recovery.cut.expect("a frame had begun");
    assert!(matches!(cut.damage, Damage::Record { .. }), "{cut}");
}

/// A file that was cut holds, behind the damage, a header of what lay further away than the file is long now. Were it passed
/// over, it would be found when the file has grown again, and what was written meanwhile be refused.
#[test]
fn a_promise_is_found_however_short_the_file_has_become() {
    let (disk, segments) = filled();
    (2..=segments).for_each(|number| disk.put_away(&format!("{number:016x}.log")));
    let name = "0000000000000001.log";
    let whole = disk.contents(name).unwrap();
    let of = |number: u64| some(number..number + 1).next().unwrap();
    let frames: Vec<usize> = (0..60)
        .filter_map(|number| whole.windows(100).position(|window| *window == of(number)[..100]))
        .map(|record| record - 48)
        .collect();
    let (second, last) = (frames[1], *frames.last().unwrap());
    assert!(last - second > second + 60, "the last frame lies further away than the cut file is long");
    let cut = [&whole[..second], &[0; 20], &whole[last..last + 40]].concat();
    disk.put(name, cut);
    assert!(matches!(refusal(&disk), OpenError::Corrupt(_)));
    let mut rig = salvage(&disk);
    rig.fill(some(0..3));
    drop(rig);
    disk.kill();
    drop(Rig::open(&disk));
}
