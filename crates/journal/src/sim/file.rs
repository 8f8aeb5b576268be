//! One file of the simulated disk: what is read, what is durable, and the writes between the two.

use std::io;

use super::{Choose, Operation, SimCounts, SimDisk, State};
use crate::disk::DiskFile;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Contents {
    /// What a reader gets.
    pub(super) cached: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Write>,
}

/// A write that no sync has covered, widened to whole sectors as they were after it.
#[derive(Debug)]
struct Write {
    offset: usize,
    bytes: Vec<u8>,
}

impl Contents {
    pub(super) fn durable(bytes: Vec<u8>) -> Self {
        Self { cached: bytes.clone(), durable: bytes, pending: Vec::new() }
    }

    pub(super) fn len(&self) -> u64 {
        self.cached.len() as u64
    }

    pub(super) fn flip(&mut self, bit: u64) -> bool {
        let Some(at) = usize::try_from(bit / 8).ok().filter(|at| *at < self.cached.len()) else {
            return false;
        };
        for bytes in [&mut self.cached, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << (bit % 8);
            }
        }
        true
    }

    /// Settles every unsynced write as a loss of power does.
    pub(super) fn crash(&mut self, counts: &mut SimCounts, choose: &mut Choose<'_>) {
        // All kept, all lost, or each for itself.
        let fate = choose(4);
        let mut has_lost = false;
        for write in self.pending.drain(..) {
            let kept = match (fate, if fate < 2 { 0 } else { choose(3) }) {
                (0, _) | (2.., 0) => Kept::All,
                (1, _) | (2.., 1) => Kept::Nothing,
                _ => Kept::Some,
            };
            match kept {
                Kept::All => {
                    counts.reordered += u64::from(has_lost);
                    apply(&mut self.durable, write.offset, &write.bytes);
                }
                Kept::Nothing => {
                    counts.lost += 1;
                    has_lost = true;
                }
                Kept::Some => {
                    counts.torn += 1;
                    has_lost = true;
                    tear(&mut self.durable, &write, choose);
                }
            }
        }
        self.cached.clone_from(&self.durable);
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        apply(&mut self.cached, offset, bytes);
        let start = offset / SECTOR_BYTES * SECTOR_BYTES;
        let end = (offset + bytes.len()).next_multiple_of(SECTOR_BYTES).min(self.cached.len());
        let sectors = self.cached.get(start..end).unwrap_or_default().to_vec();
        self.pending.push(Write { offset: start, bytes: sectors });
    }

    fn sync(&mut self) {
        for write in self.pending.drain(..) {
            apply(&mut self.durable, write.offset, &write.bytes);
        }
    }
}

enum Kept {
    All,
    Nothing,
    Some,
}

/// Keeps the first sectors, the last ones, or any.
fn tear(durable: &mut Vec<u8>, write: &Write, choose: &mut Choose<'_>) {
    let sectors = write.bytes.len().div_ceil(SECTOR_BYTES);
    let shape = choose(3);
    let cut = choose(sectors + 1);
    for (number, sector) in write.bytes.chunks(SECTOR_BYTES).enumerate() {
        let is_kept = match shape {
            0 => number < cut,
            1 => number >= cut,
            _ => choose(2) == 0,
        };
        if is_kept {
            apply(durable, write.offset + number * SECTOR_BYTES, sector);
        }
    }
}

fn apply(bytes: &mut Vec<u8>, offset: usize, write: &[u8]) {
    let end = offset + write.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    if let Some(into) = bytes.get_mut(offset..end) {
        into.copy_from_slice(write);
    }
}

/// An open file; dead with the process that opened it.
#[derive(Debug)]
pub(super) struct SimFile {
    pub(super) disk: SimDisk,
    pub(super) file: usize,
    pub(super) life: u64,
}

impl SimFile {
    fn with<T>(&self, run: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.state.lock();
        if state.life != self.life {
            return Err(io::Error::other("the process that opened this file is dead"));
        }
        run(&mut state)
    }
}

fn contents(state: &mut State, file: usize) -> io::Result<&mut Contents> {
    state.files.get_mut(file).ok_or_else(|| io::ErrorKind::NotFound.into())
}

impl DiskFile for SimFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.with(|state| {
            let was_off = state.is_off;
            if let Err(error) = state.begin(Operation::Write) {
                if !was_off {
                    let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
                    contents(state, self.file)?.write(offset, half);
                }
                return Err(error);
            }
            let free_bytes = state.free_bytes();
            let file = contents(state, self.file)?;
            let growth = ((offset + bytes.len()) as u64).saturating_sub(file.len());
            if growth > free_bytes {
                let missing = usize::try_from(growth - free_bytes).unwrap_or(usize::MAX);
                let fits = bytes.len().saturating_sub(missing);
                file.write(offset, bytes.get(..fits).unwrap_or_default());
                state.counts.full += 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
            file.write(offset, bytes);
            state.counts.writes += 1;
            Ok(())
        })
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.with(|state| {
            state.begin(Operation::Read)?;
            let file = contents(state, self.file)?;
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let there = file.cached.get(start..).unwrap_or_default();
            let length = there.len().min(into.len());
            for (into, byte) in into.iter_mut().zip(there) {
                *into = *byte;
            }
            Ok(length)
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|state| {
            let begun = state.begin(Operation::Sync);
            let (is_off, lies) = (state.is_off, state.lies);
            let file = contents(state, self.file)?;
            if let Err(error) = begun {
                if !is_off {
                    file.pending.clear();
                }
                return Err(error);
            }
            if !lies {
                file.sync();
            }
            state.counts.syncs += 1;
            state.counts.lies += u64::from(lies);
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|state| contents(state, self.file).map(|file| file.len()))
    }
}
