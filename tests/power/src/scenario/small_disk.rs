//! A real file system of some megabytes, on a loop device: the kernel's own ENOSPC, not ours.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use whimbrel_testkit::{Version, v5};

use super::full::{count, payloads, publish_all};
use super::{collect, keep, others_go_on};
use crate::broker::Broker;

const DISK_BYTES: u64 = 24 << 20;

/// A mounted file system in a file.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    fn new() -> SmallDisk {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let disk = SmallDisk { folder };
        let image = disk.folder.path().join("image");
        File::create(&image).and_then(|file| file.set_len(DISK_BYTES)).expect("there is room for an image");
        fs::create_dir(disk.path()).expect("there is room for a folder");
        command("mkfs.ext4", &["-q", "-F", &image.display().to_string()]);
        command("mount", &["-o", "loop", &image.display().to_string(), &disk.path().display().to_string()]);
        disk
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        command("umount", &[&self.path().display().to_string()]);
    }
}

fn command(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output =
        output.unwrap_or_else(|error| panic!("{program}: {error} (it needs root, e2fsprogs and mount)"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}: {error}", output.status);
}

/// Takes all the room that is left.
fn fill(path: &Path) {
    let mut ballast = File::create(path).expect("there is room for a name");
    let block = [0; 4096];
    loop {
        match ballast.write_all(&block) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return,
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
}

pub(super) fn fills_up(whimbrel: &Path) {
    let disk = SmallDisk::new();
    let (store, ballast) = (disk.path().join("store"), disk.path().join("ballast"));
    let mut broker = Broker::start(whimbrel, &store, &["--durability", "power"]);
    let mut world = broker.world(Version::V5);
    keep(&mut world);
    fill(&ballast);
    let mut publisher = publish_all(broker.address(), v5("publisher"));
    broker.logs("ALARM");
    others_go_on(&mut world);
    let mut known = count(0, &publisher.come());
    let all = payloads();
    assert!(usize::from(known) < all.len(), "all is acknowledged on a full disk");
    fs::remove_file(&ballast).expect("it is there");
    broker.logs("takes records again");
    while usize::from(known) < all.len() {
        known = count(known, &[publisher.next().expect("the broker goes on")]);
    }
    broker.strike();
    broker.wait();
    let broker = Broker::start(whimbrel, &store, &["--durability", "power"]);
    collect(&broker, Version::V5, &all);
    drop(broker);
}
