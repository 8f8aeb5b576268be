//! A disk in memory that keeps what was not synced apart, loses it as its owner chooses, and fails on command. It draws
//! nothing itself: the same calls with the same choices end in the same bytes.

mod file;

use std::{collections::BTreeMap, fmt, io, sync::Arc};

use parking_lot::{Mutex, MutexGuard};

use self::file::{Contents, SimFile};
use crate::disk::{Disk, DiskFile, DiskLock, LockError};

/// Chooses for the disk: gets a number of possibilities, at least one, and gives one of `0..possibilities`.
pub type Choose<'a> = dyn FnMut(usize) -> usize + 'a;

/// A disk in memory. Clones are the same disk.
///
/// What is written can be read at once, and is on stable storage after a sync; names of files likewise after
/// [`sync_dir`](Disk::sync_dir). A sector of 512 bytes is written whole or not at all: that is what the log asks of real
/// disks too.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// How often which fault came to pass.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimCounts {
    /// Operations of any kind.
    pub operations: u64,
    /// Writes that went through.
    pub writes: u64,
    /// Syncs of files and of the folder that went through, and those that lied.
    pub syncs: u64,
    /// Syncs that said yes and did nothing.
    pub lies: u64,
    /// Writes that were refused because the disk was full.
    pub full: u64,
    /// Writes and syncs that failed on command.
    pub failures: u64,
    /// Syncs of the folder among them.
    pub name_failures: u64,
    /// Unsynced writes that a crash lost whole.
    pub lost: u64,
    /// Unsynced writes of which a crash kept some sectors.
    pub torn: u64,
    /// Unsynced writes that a crash kept although it lost an earlier one.
    pub reordered: u64,
    /// Changes of names that a crash lost.
    pub names_lost: u64,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<Contents>,
    /// As a process sees them now.
    names: BTreeMap<String, usize>,
    /// As a crash would leave them.
    durable_names: BTreeMap<String, usize>,
    changes: Vec<NameChange>,
    /// Counts crashes and kills: what a dead process had open or locked is of no use to anybody.
    life: u64,
    is_locked: bool,
    is_off: bool,
    lies: bool,
    capacity_bytes: Option<u64>,
    operations_left: Option<u64>,
    fail_write: Option<Failure>,
    fail_sync: Option<Failure>,
    counts: SimCounts,
}

#[derive(Copy, Clone, Debug)]
struct Failure {
    /// How many go well before.
    after: u64,
    kind: io::ErrorKind,
}

#[derive(Debug)]
enum NameChange {
    Set(String, usize),
    Remove(String),
    Rename(String, String, usize),
}

/// What an operation is, for the faults that it may meet.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Operation {
    Read,
    Write,
    Sync,
    Name,
}

impl SimDisk {
    /// An empty disk without limit and without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The power goes: every unsynced write is kept, lost or kept in part, every unsynced name likewise, as `choose` says.
    /// Open files and the lock are dead; planned failures are forgotten, the capacity stays.
    pub fn crash(&self, choose: &mut Choose<'_>) {
        let mut state = self.state.lock();
        let State { files, durable_names, changes, counts, .. } = &mut *state;
        settle_names(durable_names, changes, counts, choose);
        for file in files {
            file.crash(counts, choose);
        }
        state.names = state.durable_names.clone();
        state.die();
    }

    /// The process dies and the machine goes on: nothing that was written is lost, and nothing is synced by it.
    pub fn kill(&self) {
        self.state.lock().die();
    }

    /// How many bytes all files together may have; `None` for no limit. Writes into what a file has already always fit.
    pub fn set_capacity_bytes(&self, capacity_bytes: Option<u64>) {
        self.state.lock().capacity_bytes = capacity_bytes;
    }

    /// After `after` more writes that go well, one fails with `kind`, half of it written.
    pub fn fail_write(&self, after: u64, kind: io::ErrorKind) {
        self.state.lock().fail_write = Some(Failure { after, kind });
    }

    /// After `after` more syncs (of files or the folder) that go well, one fails with `kind`. As on Linux, what it should
    /// have made durable is never written any more, can be read until the next crash, and later syncs say yes.
    pub fn fail_sync(&self, after: u64, kind: io::ErrorKind) {
        self.state.lock().fail_sync = Some(Failure { after, kind });
    }

    /// From now on syncs say yes and do nothing, or work again.
    pub fn set_lies(&self, lies: bool) {
        self.state.lock().lies = lies;
    }

    /// After `operations` more, in the middle of the next, the power goes: everything fails until [`crash`](Self::crash).
    pub fn power_off_in(&self, operations: u64) {
        self.state.lock().operations_left = Some(operations);
    }

    /// Flips one bit of a file, in what is read now and in what is on stable storage. `false`: there is no such bit.
    pub fn flip_bit(&self, name: &str, bit: u64) -> bool {
        let mut state = self.state.lock();
        match state.names.get(name).copied() {
            Some(file) => state.files.get_mut(file).is_some_and(|file| file.flip(bit)),
            None => false,
        }
    }

    /// What a file holds, synced or not.
    #[must_use]
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state.lock();
        state.files.get(*state.names.get(name)?).map(|file| file.cached.clone())
    }

    /// Puts a file there, synced, in place of one that has the name.
    pub fn put(&self, name: &str, contents: Vec<u8>) {
        let mut state = self.state.lock();
        let file = state.files.len();
        state.files.push(Contents::durable(contents));
        state.names.insert(name.to_owned(), file);
        state.durable_names.insert(name.to_owned(), file);
    }

    /// Takes a file away for good.
    pub fn put_away(&self, name: &str) {
        let mut state = self.state.lock();
        state.names.remove(name);
        state.durable_names.remove(name);
    }

    /// The names of all files, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.state.lock().names.keys().cloned().collect()
    }

    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> SimCounts {
        self.state.lock().counts
    }
}

fn settle_names(
    durable: &mut BTreeMap<String, usize>,
    changes: &mut Vec<NameChange>,
    counts: &mut SimCounts,
    choose: &mut Choose<'_>,
) {
    // Mostly all or none: single losses alone would rarely lose everything.
    let fate = choose(3);
    for change in changes.drain(..) {
        if fate == 1 || (fate == 2 && choose(2) == 0) {
            counts.names_lost += 1;
            continue;
        }
        match change {
            NameChange::Set(name, file) => {
                durable.insert(name, file);
            }
            NameChange::Remove(name) => {
                durable.remove(&name);
            }
            NameChange::Rename(from, to, file) => {
                durable.remove(&from);
                durable.insert(to, file);
            }
        }
    }
}

impl State {
    fn die(&mut self) {
        self.life += 1;
        self.is_locked = false;
        self.is_off = false;
        self.operations_left = None;
        self.fail_write = None;
        self.fail_sync = None;
    }

    /// Counts an operation; an error says that it fails. A write whose error is returned is half done by its caller.
    fn begin(&mut self, operation: Operation) -> io::Result<()> {
        if self.is_off {
            return Err(io::Error::other("the simulated power is off"));
        }
        self.counts.operations += 1;
        match &mut self.operations_left {
            Some(0) => {
                self.is_off = true;
                return Err(io::Error::other("the simulated power goes off"));
            }
            Some(left) => *left -= 1,
            None => {}
        }
        let planned = match operation {
            Operation::Write => &mut self.fail_write,
            Operation::Sync => &mut self.fail_sync,
            Operation::Read | Operation::Name => return Ok(()),
        };
        match planned {
            Some(Failure { after: 0, kind }) => {
                let kind = *kind;
                *planned = None;
                self.counts.failures += 1;
                Err(kind.into())
            }
            Some(failure) => {
                failure.after -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// How far all files may still grow.
    fn free_bytes(&self) -> u64 {
        let used: u64 = self.names.values().filter_map(|file| self.files.get(*file)).map(Contents::len).sum();
        self.capacity_bytes.map_or(u64::MAX, |capacity| capacity.saturating_sub(used))
    }

    /// The file of a name; an error as the system would word it.
    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl fmt::Display for SimDisk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the simulated disk")
    }
}

impl Disk for SimDisk {
    fn lock(&self) -> Result<DiskLock, LockError> {
        let mut state = self.state.lock();
        if state.is_locked {
            return Err(LockError::Held {
                place: self.to_string(),
                holder: format!("life {} of the simulation", state.life),
            });
        }
        state.is_locked = true;
        Ok(DiskLock::new(SimLock { disk: self.clone(), life: state.life }))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.begin(Operation::Name)?;
        let file = state.files.len();
        state.files.push(Contents::default());
        state.names.insert(name.to_owned(), file);
        state.changes.push(NameChange::Set(name.to_owned(), file));
        Ok(Box::new(SimFile { disk: self.clone(), file, life: state.life }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.begin(Operation::Read)?;
        let file = state.find(name)?;
        Ok(Box::new(SimFile { disk: self.clone(), file, life: state.life }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(Operation::Name)?;
        let file = state.find(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), file);
        state.changes.push(NameChange::Rename(from.to_owned(), to.to_owned(), file));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(Operation::Name)?;
        state.find(name)?;
        state.names.remove(name);
        state.changes.push(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        state.begin(Operation::Read)?;
        Ok(state.names.keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if let Err(error) = state.begin(Operation::Sync) {
            // What the power takes is for the crash to settle; what fails is lost.
            if !state.is_off {
                state.changes.clear();
                state.counts.name_failures += 1;
            }
            return Err(error);
        }
        state.counts.syncs += 1;
        if state.lies {
            state.counts.lies += 1;
            return Ok(());
        }
        state.changes.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }
}

/// Lets go of the disk, unless the process that took it has died meanwhile.
struct SimLock {
    disk: SimDisk,
    life: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state: MutexGuard<'_, State> = self.disk.state.lock();
        if state.life == self.life {
            state.is_locked = false;
        }
    }
}
