//! Copies of a log: what is in them, what they keep in place, and that a part of one is never taken for a store.

use std::{sync::mpsc, thread};

use whimbrel_journal::{
    CopyError, Disk, DropError, OpenError, Position, copy_store, read_store, sim::SimDisk,
};

use super::rig::{Found, Rig, assert_same, some};

fn read(disk: &SimDisk) -> Vec<Found> {
    let mut found = Vec::new();
    read_store(disk, false, &mut |_, position, record| {
        found.push((position, record.to_vec()));
        Ok(())
    })
    .unwrap();
    found
}

#[test]
fn a_copy_has_every_record_and_may_be_written_on() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..100));
    rig.committer.close();
    drop(rig);
    let copy = SimDisk::new();
    let copied = copy_store(&disk, &copy, &mut |_| {}).unwrap();
    assert!(copied.segments > 3, "{copied:?}");
    let found = read(&disk);
    assert_same(&read(&copy), &found);
    assert_eq!(copied.end, Rig::open(&copy).recovery.end);
    assert!(matches!(copy_store(&disk, &copy, &mut |_| {}), Err(CopyError::NotEmpty { .. })));
}

#[test]
fn a_part_of_a_copy_is_refused() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..100));
    drop(rig);
    let copy = SimDisk::new();
    copy_store(&disk, &copy, &mut |_| {}).unwrap();
    // They come newest first, so a copy that ended early lacks the oldest.
    let names: Vec<String> = copy.names();
    for name in names.iter().take(names.len() - 1) {
        copy.remove(name).unwrap();
        let read = read_store(&copy, false, &mut |_, _, _| Ok(()));
        assert!(matches!(read, Err(OpenError::Missing { .. })), "without {name}: {read:?}");
    }
}

#[test]
fn a_copy_of_a_log_that_is_written_to_has_what_was_staged_before_and_holds_every_segment_meanwhile() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..60));
    // One that is on its way out when the copy begins.
    let oldest = rig.log.oldest().unwrap();
    rig.log.drop_segment(oldest.number, rig.log.staged()).unwrap();
    rig.stage(some(60..70));
    let Rig { log, mut committer, .. } = rig;
    let staged = log.staged();
    let (begun, waits) = mpsc::channel();
    let (seen, goes_on) = mpsc::channel();
    let runs = thread::spawn(move || committer.run());
    let copy = SimDisk::new();
    let copied = thread::scope(|scope| {
        let (log, waits) = (&log, waits);
        let writes = scope.spawn(move || {
            waits.recv().unwrap();
            let next = log.oldest().unwrap();
            assert!(log.is_held());
            let refused = log.drop_segment(next.number, log.staged());
            assert_eq!(refused, Err(DropError::Held { number: next.number }));
            seen.send(()).unwrap();
            for record in some(70..130) {
                while log.stage(&record).is_err() {
                    log.wake();
                    thread::yield_now();
                }
            }
        });
        let mut is_first = true;
        let mut look = |_| {
            if std::mem::take(&mut is_first) {
                begun.send(()).unwrap();
                goes_on.recv().unwrap(); // The copy is under way for as long as the other thread looks.
            }
        };
        let copied = log.copy_to(&copy, &mut look).unwrap();
        writes.join().unwrap();
        copied
    });
    assert!(!log.is_held());
    log.stop();
    runs.join().unwrap();
    let (all, copied_records) = (read(&disk), read(&copy));
    assert!(copied.end >= staged, "{copied:?} {staged}");
    assert_same(&copied_records, all.get(..copied_records.len()).unwrap());
    assert_eq!(copied_records.first().map(|(position, _)| *position), Some(oldest.end));
    assert_eq!(Rig::open(&copy).recovery.end, copied.end);
}

#[test]
fn a_segment_begins_where_it_is_asked_for_and_the_ones_before_can_all_go() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..5));
    let below = rig.log.staged();
    rig.log.begin_segment();
    rig.log.begin_segment();
    rig.fill(some(5..6));
    let oldest = rig.log.oldest().unwrap();
    assert_eq!((oldest.end, rig.log.segments().len()), (below, 2));
    rig.log.drop_segment(oldest.number, rig.log.staged()).unwrap();
    rig.sync();
    rig.committer.close();
    drop(rig);
    let found = read(&disk);
    assert_eq!(found.iter().map(|(position, _)| *position).collect::<Vec<Position>>(), [below]);
}
