//! The simulated disk, between whose operations other threads go on.

use std::{fmt, io};

use whimbrel_journal::{Disk, DiskFile, DiskLock, LockError, sim::SimDisk};

use crate::server;

/// A disk that takes its time.
#[derive(Clone, Debug)]
pub(super) struct SlowDisk(pub(super) SimDisk);

#[derive(Debug)]
struct SlowFile(Box<dyn DiskFile>);

fn slow(file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
    Box::new(SlowFile(file))
}

impl fmt::Display for SlowDisk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl Disk for SlowDisk {
    fn lock(&self) -> Result<DiskLock, LockError> {
        self.0.lock()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.0.create(name).map(slow)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.0.open(name).map(slow)
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
        server::while_disk_works();
        self.0.sync_dir()
    }
}

impl DiskFile for SlowFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        server::while_disk_works();
        self.0.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, into)
    }

    fn sync(&self) -> io::Result<()> {
        server::while_disk_works();
        server::while_disk_syncs();
        let synced = self.0.sync();
        server::while_disk_works();
        synced
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}
