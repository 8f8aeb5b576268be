//! Full disks, failing disks and lying disks, one at a time.

use std::{
    io,
    sync::{Arc, Mutex},
};

use whimbrel_journal::{Level, OpenError, Options, Outcome, ReopenError, Stopped, sim::SimDisk};

use super::{
    dice::Dice,
    rig::{Rig, assert_same, contents, record, small, some},
};

#[test]
fn a_full_disk_takes_nothing_back_and_resumes_by_itself() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..10));
    let before = rig.log.synced();
    disk.set_capacity_bytes(Some(4096));
    rig.fill(some(10..40));
    assert!(rig.log.state().is_full(), "{:?}", rig.log.state());
    let while_full = rig.log.synced();
    assert!(while_full > before, "what fits the file goes on");
    assert!(rig.log.staged() > while_full);
    assert!(matches!(rig.sync(), Outcome::Full(_)));
    assert_eq!(rig.log.synced(), while_full);
    assert_eq!(
        rig.log.read_at(rig.found.first().map_or(Default::default(), |found| found.0)).unwrap(),
        record(0, 100)
    );
    disk.set_capacity_bytes(None);
    assert!(matches!(rig.sync(), Outcome::Committed(_)));
    assert!(rig.log.state().is_running());
    assert_eq!(rig.log.synced(), rig.log.staged());
    disk.crash(&mut |_| 1);
    assert_same(&contents(&Rig::open(&disk).found), &some(0..40).collect::<Vec<_>>());
}

#[test]
fn a_full_disk_opens_and_tells_what_it_has() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    // Up to the end of what is filled, so that not even the first frame of the next opening fits.
    let mut number = 0;
    while disk.contents("0000000000000001.log").unwrap().len() < 4096 || rig.log.segments()[0].bytes < 4070 {
        let room = 4096 - rig.log.segments()[0].bytes as usize;
        rig.fill([record(number, if room > 400 { 100 } else { room.saturating_sub(60).max(8) })]);
        number += 1;
        assert!(number < 100);
    }
    assert_eq!(rig.log.segments().len(), 1);
    drop(rig);
    disk.kill();
    disk.set_capacity_bytes(Some(4096));
    let mut rig = Rig::open(&disk);
    assert_eq!(rig.found.len() as u64, number);
    assert!(rig.log.state().is_full());
    rig.log.stage(b"later").unwrap();
    assert!(matches!(rig.sync(), Outcome::Full(_)));
    disk.set_capacity_bytes(None);
    assert!(matches!(rig.sync(), Outcome::Committed(_)));
    drop(rig);
    disk.crash(&mut |_| 1);
    assert_eq!(Rig::open(&disk).found.len() as u64, number + 1);
}

#[test]
fn a_failed_sync_poisons_and_a_reopening_keeps_every_promise() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    let states = Arc::new(Mutex::new(Vec::new()));
    let (log, seen) = (rig.log.clone(), states.clone());
    rig.committer.on_reached(move |reached| seen.lock().unwrap().push((reached, log.state().is_poisoned())));
    rig.fill(some(0..5));
    // Written, and told so; not synced.
    rig.stage(some(5..8));
    rig.committer.commit_once();
    let (written, synced) = (rig.log.written(), rig.log.synced());
    disk.fail_sync(0, io::ErrorKind::Other);
    rig.stage(some(8..10));
    assert_eq!(rig.sync(), Outcome::Poisoned);
    assert!(states.lock().unwrap().last().unwrap().1);
    // Later syncs would say yes: nobody asks them.
    assert_eq!(rig.sync(), Outcome::Poisoned);
    assert_eq!(rig.log.synced(), synced);
    assert!(rig.log.written() >= written);
    rig.stage(some(10..12));
    let reached = rig.committer.reopen().unwrap();
    assert!(reached.synced >= written, "what was written is durable now");
    assert!(matches!(rig.sync(), Outcome::Committed(_)));
    assert_eq!(rig.log.synced(), rig.log.staged());
    drop(rig);
    disk.crash(&mut |_| 1);
    assert_same(&contents(&Rig::open(&disk).found), &some(0..12).collect::<Vec<_>>());
}

#[test]
fn a_failed_write_poisons() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..5));
    let synced = rig.log.synced();
    disk.fail_write(0, io::ErrorKind::Other);
    rig.log.stage(b"lost in between").unwrap();
    assert_eq!(rig.sync(), Outcome::Poisoned);
    assert_eq!((rig.log.written(), rig.log.synced()), (synced, synced));
    assert!(rig.log.state().is_poisoned());
    rig.committer.reopen().unwrap();
    rig.sync();
    drop(rig);
    disk.crash(&mut |_| 0);
    let found = contents(&Rig::open(&disk).found);
    assert_eq!((found.len(), &*found[5]), (6, &b"lost in between"[..]));
}

#[test]
fn a_reopening_that_fails_can_be_tried_again() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..5));
    for fault in 0..2 {
        rig.log.stage(b"again").unwrap();
        disk.fail_sync(0, io::ErrorKind::Other);
        assert_eq!(rig.sync(), Outcome::Poisoned);
        if fault == 0 {
            disk.fail_write(0, io::ErrorKind::StorageFull);
        } else {
            disk.fail_sync(1, io::ErrorKind::Other);
        }
        assert!(matches!(rig.committer.reopen(), Err(ReopenError::Io(_))));
        assert!(rig.log.state().is_poisoned());
        rig.committer.reopen().unwrap();
        rig.sync();
    }
    drop(rig);
    disk.crash(&mut |_| 1);
    assert_eq!(Rig::open(&disk).found.len(), 7);
}

#[test]
fn a_reopening_that_misses_what_was_synced_says_so() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..3));
    disk.fail_sync(0, io::ErrorKind::Other);
    rig.log.stage(b"x").unwrap();
    assert_eq!(rig.sync(), Outcome::Poisoned);
    assert!(disk.flip_bit("0000000000000001.log", 600 * 8));
    let error = rig.committer.reopen().unwrap_err();
    assert!(matches!(error, ReopenError::Lost(_)), "{error}");
    assert!(error.to_string().contains("0000000000000001.log"), "{error}");
    assert!(rig.log.state().is_poisoned());
}

/// A disk that says yes and does nothing cannot be held to anything. What can be told afterwards is told: a hole with
/// something genuine behind it. A tail that is lost as a whole looks like a tail that never was.
#[test]
fn a_lying_disk_is_found_out_wherever_it_left_a_trace() {
    let (mut refused, mut lost, mut whole) = (0, 0, 0);
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let disk = SimDisk::new();
        let mut rig = Rig::open(&disk);
        rig.fill(some(0..5));
        disk.set_lies(true);
        rig.fill(some(5..15));
        drop(rig);
        disk.crash(&mut |sides| dice.roll(sides));
        disk.set_lies(false);
        match Rig::try_open(&disk, small()) {
            Err(OpenError::Corrupt(_)) => refused += 1,
            Err(error) => panic!("seed {seed}: {error}"),
            Ok(rig) => {
                let all: Vec<_> = some(0..15).collect();
                assert!(rig.found.len() >= 5);
                assert_eq!(contents(&rig.found), all[..rig.found.len()], "seed {seed}");
                if rig.found.len() == 15 { whole += 1 } else { lost += 1 }
            }
        }
    }
    assert!(refused > 50 && lost > 20 && whole > 20, "{refused} refused, {lost} lost, {whole} whole");
}

#[test]
fn a_budget_is_told_at_once_and_what_has_begun_goes_on() {
    let disk = SimDisk::new();
    let mut rig = Rig::try_open(&disk, Options { staged_bytes_max: 1000, ..small() }).unwrap();
    let staged: Vec<_> = (0..10).map(|number| rig.log.stage(&record(number, 92)).unwrap()).collect();
    assert!(staged.iter().all(|staged| !staged.is_over_budget && staged.bytes() == 100));
    assert!(!rig.log.is_over_budget());
    assert!(rig.log.stage(&record(10, 92)).unwrap().is_over_budget);
    assert!(rig.log.is_over_budget());
    assert!((0..40).all(|number| rig.log.stage(&record(number, 92)).is_ok()));
    rig.sync();
    assert!(!rig.log.is_over_budget());
}

#[test]
fn a_sync_comes_when_asked_for_or_when_much_is_written_without() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    let first = rig.log.stage(&record(0, 100)).unwrap();
    assert!(!rig.log.ask(first.end, Level::Process));
    assert!(matches!(rig.committer.commit_once(), Outcome::Committed(_)));
    assert!(rig.log.ask(first.end, Level::Process));
    assert!(rig.log.synced() < first.end);
    assert_eq!(rig.committer.commit_once(), Outcome::Idle);
    // A later wish, with nothing new to write.
    assert!(!rig.log.ask(first.end, Level::Power));
    assert!(matches!(rig.committer.commit_once(), Outcome::Committed(_)));
    assert!(rig.log.ask(first.end, Level::Power));
    let syncs = disk.counts().syncs;
    for number in 0..40 {
        rig.log.stage(&record(number, 100)).unwrap();
        rig.committer.commit_once();
        assert!(rig.log.written().0 - rig.log.synced().0 <= 2048 + 1024, "retained without bound");
    }
    assert!(disk.counts().syncs > syncs);
}

#[test]
fn the_hook_hears_of_written_before_synced() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = heard.clone();
    rig.committer.on_reached(move |reached| ear.lock().unwrap().push((reached.written.0, reached.synced.0)));
    rig.fill([record(0, 92)]);
    assert_eq!(*heard.lock().unwrap(), [(100, 0), (100, 100)]);
}

#[test]
fn after_a_clean_end_the_last_frame_is_watched_too() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..3));
    let last_byte = rig.log.segments()[0].bytes - 1;
    rig.log.stop();
    assert_eq!(rig.committer.run(), Stopped::Clean);
    drop(rig);
    assert!(disk.flip_bit("0000000000000001.log", last_byte * 8));
    assert!(matches!(Rig::try_open(&disk, small()), Err(OpenError::Corrupt(_))));
}

#[test]
fn a_second_opening_names_the_first() {
    let disk = SimDisk::new();
    let rig = Rig::open(&disk);
    let error = Rig::try_open(&disk, small()).err().unwrap();
    assert!(error.to_string().contains("in use by"), "{error}");
    drop(rig);
    Rig::open(&disk);
}
