//! A log on a simulated disk, with what a test needs to open, fill and compare it.

use std::sync::Arc;

use whimbrel_journal::{Committer, Log, OpenError, Options, Outcome, Position, Recovery, sim::SimDisk};

/// A record as recovery gives it.
pub(crate) type Found = (Position, Vec<u8>);

/// Sizes at which segments, frames and fillings end often.
pub(crate) fn small() -> Options {
    Options {
        segment_bytes: 4096,
        frame_bytes_max: 1024,
        fill_bytes: 1024,
        staged_bytes_max: 8192,
        unsynced_bytes_max: 2048,
        spares_max: 2,
        store_id: *b"a store of tests",
        salvage: false,
    }
}

pub(crate) struct Rig {
    pub(crate) log: Log,
    pub(crate) committer: Committer,
    pub(crate) recovery: Recovery,
    pub(crate) found: Vec<Found>,
}

impl Rig {
    pub(crate) fn open(disk: &SimDisk) -> Self {
        Self::try_open(disk, small()).unwrap()
    }

    pub(crate) fn try_open(disk: &SimDisk, options: Options) -> Result<Self, OpenError> {
        let mut found = Vec::new();
        let (log, committer, recovery) =
            Log::open(Arc::new(disk.clone()), options, &mut |_, position, record| {
                found.push((position, record.to_vec()));
                Ok(())
            })?;
        Ok(Self { log, committer, recovery, found })
    }

    /// Stages records and syncs them.
    pub(crate) fn fill(&mut self, records: impl IntoIterator<Item = Vec<u8>>) {
        for record in records {
            self.log.stage(&record).unwrap();
            self.sync();
        }
    }

    /// Stages records and leaves them there.
    pub(crate) fn stage(&mut self, records: impl IntoIterator<Item = Vec<u8>>) {
        for record in records {
            self.log.stage(&record).unwrap();
        }
    }

    pub(crate) fn sync(&mut self) -> Outcome {
        self.log.ask(self.log.staged(), whimbrel_journal::Level::Power);
        self.committer.commit_once()
    }
}

/// A record that tells its number and is `length` bytes long, at least eight.
pub(crate) fn record(number: u64, length: usize) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(length.max(8), number as u8);
    bytes
}

/// Some records of a length that fills a small segment with about twenty.
pub(crate) fn some(numbers: std::ops::Range<u64>) -> impl Iterator<Item = Vec<u8>> {
    numbers.map(|number| record(number, 100 + (number % 90) as usize))
}

pub(crate) fn contents(found: &[Found]) -> Vec<Vec<u8>> {
    found.iter().map(|(_, record)| record.clone()).collect()
}

/// Equality that says where it fails and does not print thousands of bytes.
pub(crate) fn assert_same<T: PartialEq>(found: &[T], expected: &[T]) {
    let differs = found.iter().zip(expected).position(|(found, expected)| found != expected);
    assert_eq!((found.len(), differs), (expected.len(), None), "number of records, first that differs");
}
