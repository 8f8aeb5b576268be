//! The disk as a whole: names and data apart, and the faults.

use super::*;

fn name(text: &str) -> &OsStr {
    OsStr::new(text)
}

fn sync(disk: &mut Disk, node: u64) -> Result<(), Refusal> {
    let sync = disk.begin_sync(node).unwrap();
    disk.end_sync(sync)
}

fn lose(disk: &mut Disk) -> Survival {
    disk.cut(Cut::Lose, &mut Draw::new(1))
}

fn file_with(disk: &mut Disk, text: &[u8]) -> u64 {
    let file = disk.create(ROOT, name("file"), false).unwrap().node;
    disk.write(file, 0, text).unwrap();
    file
}

#[test]
fn data_that_is_synced_under_a_name_that_is_not_is_lost_with_the_name() {
    let mut disk = Disk::new();
    let file = file_with(&mut disk, b"data");
    sync(&mut disk, file).unwrap();
    assert_eq!(lose(&mut disk), Survival { names: 1, ..Survival::default() });
    assert_eq!(disk.find(ROOT, name("file")), Err(Refusal::NoSuchName));
    assert_eq!(disk.status(file), Err(Refusal::NoSuchName));
}

#[test]
fn a_name_that_is_synced_without_its_data_is_an_empty_file() {
    let mut disk = Disk::new();
    let file = file_with(&mut disk, b"data");
    sync(&mut disk, ROOT).unwrap();
    assert_eq!(lose(&mut disk), Survival { sectors: 1, survivors: 0, names: 0 });
    assert_eq!(disk.find(ROOT, name("file")), Ok(Status { node: file, is_folder: false, bytes: 0 }));
}

#[test]
fn a_file_in_a_folder_needs_both_folders_synced() {
    let check = |folders: &[u64], is_there: bool| {
        let mut disk = Disk::new();
        let folder = disk.create(ROOT, name("folder"), true).unwrap().node;
        disk.create(folder, name("file"), false).unwrap();
        folders.iter().for_each(|node| sync(&mut disk, *node).unwrap());
        lose(&mut disk);
        let found = disk.find(ROOT, name("folder")).and_then(|folder| disk.find(folder.node, name("file")));
        assert_eq!(found.is_ok(), is_there, "{folders:?}");
    };
    check(&[ROOT, 2], true);
    check(&[ROOT], false);
    check(&[2], false);
}

#[test]
fn a_removal_and_a_renaming_come_back_without_a_sync_of_the_folder() {
    let mut disk = Disk::new();
    file_with(&mut disk, b"");
    sync(&mut disk, ROOT).unwrap();
    disk.rename(ROOT, name("file"), (ROOT, name("other"))).unwrap();
    disk.remove(ROOT, name("other")).unwrap();
    assert_eq!(disk.list(ROOT), Ok(vec![]));
    lose(&mut disk);
    assert!(disk.find(ROOT, name("file")).is_ok());
}

#[test]
fn a_sync_that_fails_says_so_once_and_has_written_nothing() {
    let mut disk = Disk::new();
    let file = file_with(&mut disk, b"data");
    sync(&mut disk, ROOT).unwrap();
    disk.faults.sync = Fails::Once;
    assert_eq!(sync(&mut disk, file), Err(Refusal::Failed));
    assert_eq!(sync(&mut disk, file), Ok(()));
    assert_eq!(disk.read(file, 0, 100), Ok(&b"data"[..]));
    lose(&mut disk);
    assert_eq!(disk.read(file, 0, 100), Ok(&b""[..]));
}

#[test]
fn a_full_disk_takes_what_there_is_room_for_and_what_needs_none() {
    let mut disk = Disk::new();
    let file = file_with(&mut disk, &[1; 100]);
    disk.faults.capacity = Some(150);
    assert_eq!(disk.write(file, 90, &[2; 100]), Ok(60));
    assert_eq!(disk.write(file, 150, &[3]), Err(Refusal::Full));
    assert_eq!(disk.write(file, 0, &[4; 150]), Ok(150));
    assert_eq!(disk.create(ROOT, name("other"), false), Err(Refusal::Full));
    disk.faults.capacity = None;
    assert_eq!(disk.write(file, 150, &[3]), Ok(1));
}

#[test]
fn a_read_only_disk_changes_nothing_and_a_failing_one_says_so() {
    let mut disk = Disk::new();
    let file = file_with(&mut disk, b"data");
    disk.faults.write = Fails::Once;
    assert_eq!(disk.write(file, 0, b"more"), Err(Refusal::Failed));
    assert_eq!(disk.write(file, 0, b"more"), Ok(4));
    disk.faults.is_read_only = true;
    assert_eq!(disk.write(file, 0, b"even"), Err(Refusal::ReadOnly));
    assert_eq!(disk.create(ROOT, name("other"), false), Err(Refusal::ReadOnly));
    assert_eq!(disk.remove(ROOT, name("file")), Err(Refusal::ReadOnly));
    assert_eq!(sync(&mut disk, file), Err(Refusal::ReadOnly));
}
