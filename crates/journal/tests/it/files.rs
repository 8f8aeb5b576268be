//! The log in a folder of the file system, and with threads of its own.

use std::{sync::Arc, thread};

use tempfile::TempDir;
use whimbrel_journal::{Committer, Disk, FileDisk, Level, LockError, Log, OpenError, Options, Stopped};

use super::rig::{Found, assert_same, contents, record, small, some};

type Opened = (Log, Committer, Vec<Found>);

fn open(folder: &TempDir, options: Options) -> Result<Opened, OpenError> {
    let disk = FileDisk::new(folder.path().join("journal")).unwrap();
    let mut found = Vec::new();
    let (log, committer, _) = Log::open(Arc::new(disk), options, &mut |_, position, record| {
        found.push((position, record.to_vec()));
        Ok(())
    })?;
    Ok((log, committer, found))
}

#[test]
fn a_folder_keeps_what_was_committed() {
    let folder = TempDir::new().unwrap();
    for round in 0..3 {
        let (log, mut committer, found) = open(&folder, small()).unwrap();
        assert_same(&contents(&found), &some(0..round * 50).collect::<Vec<_>>());
        for record in some(round * 50..(round + 1) * 50) {
            let staged = log.stage(&record).unwrap();
            log.ask(staged.end, Level::Power);
            committer.commit_once();
            assert_eq!(log.read_at(staged.position).unwrap(), record);
        }
        assert_eq!(log.synced(), log.staged());
    }
}

#[test]
fn a_second_process_is_told_who_has_the_folder() {
    let folder = TempDir::new().unwrap();
    let held = open(&folder, small()).unwrap();
    let error = open(&folder, small()).err().unwrap();
    let OpenError::Locked(LockError::Held { holder, .. }) = &error else { panic!("{error}") };
    assert!(holder.starts_with(&format!("process {}, started 2", std::process::id())), "{holder}");
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    // The lock is let go when the last of the two is gone.
    let (log, committer, _) = held;
    drop(committer);
    assert!(open(&folder, small()).is_err());
    drop(log);
    open(&folder, small()).unwrap();
}

#[test]
fn a_folder_is_its_owners_alone_and_spares_are_used_again() {
    let folder = TempDir::new().unwrap();
    let (log, mut committer, _) = open(&folder, small()).unwrap();
    let mut fill = |numbers| {
        for record in some(numbers) {
            log.stage(&record).unwrap();
            log.ask(log.staged(), Level::Power);
            committer.commit_once();
        }
    };
    fill(0..100);
    for _ in 0..3 {
        log.drop_segment(log.oldest().unwrap().number, log.staged()).unwrap();
    }
    fill(100..101);
    let disk = FileDisk::new(folder.path().join("journal")).unwrap();
    let names = || {
        let mut names = disk.list().unwrap();
        names.sort();
        names
    };
    assert_eq!(names().iter().filter(|name| name.starts_with("spare-")).count(), 2);
    fill(101..150);
    assert_eq!(names().iter().filter(|name| name.starts_with("spare-")).count(), 0);
    drop((log, committer));
    let (_log, _committer, found) = open(&folder, small()).unwrap();
    let all: Vec<_> = some(0..150).collect();
    assert_eq!(contents(&found), all[150 - found.len()..]);
    #[cfg(unix)]
    for name in names().iter().map(String::as_str).chain(["", "lock"]) {
        use std::os::unix::fs::PermissionsExt;
        let mode = disk.folder().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}

#[test]
fn threads_stage_while_one_commits() {
    let folder = TempDir::new().unwrap();
    let (log, mut committer, _) =
        open(&folder, Options { segment_bytes: 65_536, ..Options::default() }).unwrap();
    let (told, reached) = std::sync::mpsc::channel();
    committer.on_reached(move |reached| told.send(reached).unwrap());
    let committer = thread::spawn(move || committer.run());
    let writers: Vec<_> = (0..4_u64)
        .map(|writer| {
            let log = log.clone();
            thread::spawn(move || {
                let mut positions = Vec::new();
                for number in 0..500 {
                    let record = record(writer * 1_000 + number, 80);
                    positions.push((log.stage(&record).unwrap().position, record));
                    if number % 7 == 0 {
                        log.ask(log.staged(), if number % 2 == 0 { Level::Power } else { Level::Process });
                    }
                }
                log.ask(log.staged(), Level::Power);
                positions
            })
        })
        .collect();
    let mut staged: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
    staged.sort();
    let mut last = reached.recv().unwrap();
    while last.synced < log.staged() {
        let next = reached.recv().unwrap();
        assert!(next.written >= last.written && next.synced >= last.synced && next.written >= next.synced);
        last = next;
    }
    log.stop();
    assert_eq!(committer.join().unwrap(), Stopped::Clean);
    assert_eq!(log.read_at(staged[77].0).unwrap(), staged[77].1);
    drop(log);
    assert_eq!(open(&folder, small()).unwrap().2, staged);
}

#[test]
fn a_salvage_writes_a_damaged_file_anew() {
    let folder = TempDir::new().unwrap();
    let (log, mut committer, _) = open(&folder, small()).unwrap();
    for record in some(0..40) {
        log.stage(&record).unwrap();
        log.ask(log.staged(), Level::Power);
        committer.commit_once();
    }
    drop((log, committer));
    let name = folder.path().join("journal/0000000000000001.log");
    let mut bytes = std::fs::read(&name).unwrap();
    bytes[2_000] ^= 1;
    std::fs::write(&name, &bytes).unwrap();
    let error = open(&folder, small()).err().unwrap();
    assert!(error.to_string().contains("0000000000000001.log"), "{error}");
    let (log, committer, found) = open(&folder, Options { salvage: true, ..small() }).unwrap();
    assert!(!found.is_empty() && found.len() < 15, "{}", found.len());
    assert_eq!(std::fs::read(folder.path().join("journal/damaged-0000000000000001.log")).unwrap(), bytes);
    drop((log, committer));
    assert_same(&open(&folder, small()).unwrap().2, &found);
}
