//! Space comes back: what lives is counted, survivors move on, dead segments are used again.

use std::ops::ControlFlow;

use whimbrel_journal::{DropError, Level, Options, Outcome, Position, ReadError, sim::SimDisk};

use super::rig::{Rig, contents, record, small, some};

fn drop_oldest(rig: &mut Rig) -> u64 {
    let oldest = rig.log.oldest().unwrap();
    rig.log.drop_segment(oldest.number, rig.log.staged()).unwrap();
    rig.sync();
    oldest.number
}

#[test]
fn a_dead_segment_is_used_again_under_another_number() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..100));
    let segments = rig.log.segments();
    assert!(segments.len() > 4);
    assert_eq!(segments.iter().map(|segment| segment.bytes).sum::<u64>(), rig.log.bytes());
    assert_eq!(drop_oldest(&mut rig), 1);
    assert_eq!(drop_oldest(&mut rig), 2);
    assert_eq!(drop_oldest(&mut rig), 3);
    let spares = |disk: &SimDisk| disk.names().iter().filter(|name| name.starts_with("spare")).count();
    assert_eq!(spares(&disk), 2, "{:?}", disk.names());
    let files = disk.names().len();
    rig.fill(some(100..140));
    assert_eq!(spares(&disk), 0);
    assert_eq!(disk.names().len(), files);
    let first = rig.log.segments()[0].first;
    drop(rig);
    disk.crash(&mut |_| 1);
    let rig = Rig::open(&disk);
    assert_eq!(rig.recovery.first, first);
    let all: Vec<_> = some(0..140).collect();
    let found = contents(&rig.found);
    assert_eq!(found, all[140 - found.len()..]);
}

#[test]
fn a_segment_goes_only_when_what_made_it_dead_is_synced() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..60));
    let number = rig.log.oldest().unwrap().number;
    let grave = rig.log.stage(b"all of segment 1 is dead").unwrap();
    rig.log.drop_segment(number, grave.end).unwrap();
    assert!(disk.contents("0000000000000001.log").is_some());
    assert!(!rig.log.ask(grave.end, Level::Process));
    rig.committer.commit_once();
    assert!(disk.contents("0000000000000001.log").is_none());
    assert!(rig.log.synced() >= grave.end);
    assert!(matches!(rig.log.read_at(Position(0)), Err(ReadError::Gone(_))));
}

#[test]
fn a_segment_stays_while_a_full_disk_keeps_back_what_made_it_dead() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..60));
    disk.set_capacity_bytes(Some(0));
    rig.stage(some(60..100));
    let number = rig.log.oldest().unwrap().number;
    rig.log.drop_segment(number, rig.log.staged()).unwrap();
    assert!(matches!(rig.sync(), Outcome::Full(_)));
    assert!(disk.contents("0000000000000001.log").is_some());
    disk.set_capacity_bytes(None);
    rig.sync();
    assert!(disk.contents("0000000000000001.log").is_none());
}

#[test]
fn segments_go_oldest_first_when_written_in_full_and_dead() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..2));
    assert_eq!(rig.log.oldest(), None);
    assert_eq!(rig.log.drop_segment(1, Position(0)), Err(DropError::NotOldest { number: 1 }));
    rig.fill(some(2..60));
    let oldest = rig.log.oldest().unwrap();
    assert_eq!(rig.log.drop_segment(2, Position(0)), Err(DropError::NotOldest { number: 2 }));
    rig.log.live().add(oldest.first, 7);
    assert_eq!(rig.log.oldest().unwrap().live_bytes, 7);
    assert_eq!(rig.log.drop_segment(1, Position(0)), Err(DropError::Alive { number: 1, live_bytes: 7 }));
    rig.log.live().sub(oldest.first, 7);
    assert_eq!(rig.log.drop_segment(1, rig.log.staged()), Ok(()));
    assert_eq!(rig.log.drop_segment(1, rig.log.staged()), Err(DropError::NotOldest { number: 1 }));
    assert_eq!(rig.log.oldest().unwrap().number, 2);
}

/// One record in ten lives for ever: the log stays within a few segments of twice what lives.
#[test]
fn survivors_move_on_and_the_log_stays_small() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    let mut survivors: Vec<(Position, u64)> = Vec::new();
    let mut staged_bytes = 0;
    for number in 0..2_000 {
        let staged = rig.log.stage(&record(number, 100)).unwrap();
        staged_bytes += staged.bytes();
        if number % 40 == 0 {
            rig.log.live().add(staged.position, staged.bytes());
            survivors.push((staged.position, number));
        }
        rig.sync();
        while rig.log.needs_reclaim() {
            let Some(oldest) = rig.log.oldest() else { break };
            let mut moved = Vec::new();
            let log = rig.log.clone();
            log.read_segment(oldest.number, &mut |position, record| {
                if let Some(survivor) = survivors.iter_mut().find(|survivor| survivor.0 == position) {
                    let staged = log.stage(record).unwrap();
                    log.live().add(staged.position, staged.bytes());
                    log.live().sub(position, staged.bytes());
                    survivor.0 = staged.position;
                    moved.push(staged.bytes());
                }
                ControlFlow::Continue(())
            })
            .unwrap();
            staged_bytes += moved.iter().sum::<u64>();
            drop_oldest(&mut rig);
        }
    }
    let live = rig.log.live().bytes();
    assert_eq!(live, 50 * 108);
    assert!(rig.log.bytes() <= 2 * live + 5 * 4096, "{} bytes for {live} that live", rig.log.bytes());
    assert!(staged_bytes < 2_000 * 108 * 2, "{staged_bytes} bytes staged");
    for (position, number) in &survivors {
        assert_eq!(rig.log.read_at(*position).unwrap(), record(*number, 100));
    }
    drop(rig);
    disk.crash(&mut |_| 1);
    let rig = Rig::open(&disk);
    let last: Vec<_> = survivors.iter().map(|(position, number)| (*position, record(*number, 100))).collect();
    assert!(last.iter().all(|survivor| rig.found.contains(survivor)));
}

#[test]
fn every_record_is_read_back_by_its_position() {
    let disk = SimDisk::new();
    let options = Options {
        segment_bytes: 200_000,
        frame_bytes_max: 8_192,
        unsynced_bytes_max: 1 << 20,
        staged_bytes_max: 1 << 22,
        ..small()
    };
    let mut rig = Rig::try_open(&disk, options).unwrap();
    let mut positions = Vec::new();
    for number in 0..3_000_u64 {
        // From tiny ones to some that are longer than a frame, a first read, or a segment.
        let length = match number % 500 {
            499 => 250_000,
            0 => 20_000,
            other => 8 + (other as usize * 7) % 300,
        };
        let staged = rig.log.stage(&record(number, length)).unwrap();
        positions.push((staged.position, length));
        assert!(matches!(rig.log.read_at(staged.position), Err(ReadError::NotWritten(_))));
        if number % 11 == 0 {
            rig.committer.commit_once();
        }
    }
    rig.sync();
    let check = |rig: &Rig| {
        for (number, (position, length)) in positions.iter().enumerate() {
            assert_eq!(rig.log.read_at(*position).unwrap(), record(number as u64, *length));
        }
    };
    check(&rig);
    assert!(matches!(rig.log.read_at(Position(positions[1].0.0 + 1)), Err(ReadError::Corrupt(_))));
    drop(rig);
    disk.crash(&mut |_| 1);
    let rig = Rig::open(&disk);
    assert_eq!(rig.found.len(), positions.len());
    check(&rig);
}

#[test]
fn a_flipped_bit_is_found_when_it_is_read_back() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill([record(1, 100)]);
    disk.flip_bit("0000000000000001.log", (512 + 40 + 40 + 8 + 50) * 8);
    let error = rig.log.read_at(Position(0)).unwrap_err();
    assert!(matches!(error, ReadError::Corrupt(_)), "{error}");
}

#[test]
fn what_lives_may_be_counted_while_a_store_is_read() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..60));
    let segments = rig.log.segments();
    drop(rig);
    let (log, _committer, _) =
        whimbrel_journal::Log::open(std::sync::Arc::new(disk), small(), &mut |live, position, record| {
            live.add(position, record.len() as u64 + 8);
            Ok(())
        })
        .unwrap();
    for (before, now) in segments.iter().zip(log.segments()) {
        assert_eq!((now.number, now.first, now.end), (before.number, before.first, before.end));
        assert_eq!(now.live_bytes, now.end.0 - now.first.0);
    }
}
