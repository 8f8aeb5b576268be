//! What was handed to the journal, and how much of it the journal has reported: what a recovery brings back must begin
//! like it, and reach as far.

use std::collections::BTreeMap;

/// The records of all lives, as far as they have not been lost.
#[derive(Debug, Default)]
pub(super) struct Chronicle {
    /// By position: the end and the bytes.
    staged: BTreeMap<u64, (u64, Box<[u8]>)>,
    /// Survives the end of the process, and a loss of power.
    written: u64,
    synced: u64,
}

impl Chronicle {
    pub(super) fn stage(&mut self, position: u64, end: u64, bytes: &[u8]) {
        self.staged.insert(position, (end, bytes.into()));
    }

    pub(super) fn report(&mut self, written: u64, synced: u64) {
        self.written = written.max(self.written);
        self.synced = synced.max(self.synced);
    }

    /// Compares what was recovered, in order, and forgets what was lost: positions are given out again.
    pub(super) fn recover(
        &mut self,
        records: &[(u64, Vec<u8>)],
        end: u64,
        is_power_cut: bool,
    ) -> Option<String> {
        let first = records.first().map_or(end, |(position, _)| *position);
        let floor = if is_power_cut { self.synced } else { self.written };
        if end < floor {
            return Some(format!("the store ends at {end}, and {floor} had been reported"));
        }
        self.staged.retain(|position, _| *position < end);
        let expected: Vec<_> = self.staged.range(first..).collect();
        if expected.len() != records.len() {
            let (there, due) = (records.len(), expected.len());
            return Some(format!(
                "{there} records are there from {first} to {end}, and {due} had been staged"
            ));
        }
        for ((position, bytes), (due, (_, staged))) in records.iter().zip(expected) {
            if position != due || **bytes != **staged {
                return Some(format!("the record at {position} is not the one that was staged at {due}"));
            }
        }
        (self.written, self.synced) = (end, end);
        None
    }
}
