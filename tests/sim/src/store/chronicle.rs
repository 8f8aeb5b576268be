//! What was handed to the journal, and how much of it the journal has reported: what a recovery brings back must begin
//! like it, reach as far, and amount to the same where cleaning has given the beginning back.

use std::collections::BTreeMap;

use whimbrel_engine::store::{Fold, Record, describe};
use whimbrel_journal::SegmentInfo;

/// The records of all lives, as far as they have not been lost.
#[derive(Debug, Default)]
pub(super) struct Chronicle {
    /// By position: the end and the bytes.
    staged: BTreeMap<u64, (u64, Box<[u8]>)>,
    /// Survives the end of the process, and a loss of power.
    written: u64,
    synced: u64,
    /// What was synced when the disk began to lie: whatever was reported since may be missing.
    trusted: Option<u64>,
    /// Where the last segment ended that was given back.
    given_back: u64,
}

/// What a recovery has brought back.
pub(super) struct Found<'a> {
    pub records: &'a [(u64, Vec<u8>)],
    pub end: u64,
    pub is_power_cut: bool,
    /// The store did not open, and was opened as far as it is whole.
    pub is_salvaged: bool,
}

impl Chronicle {
    pub(super) fn stage(&mut self, position: u64, end: u64, bytes: &[u8]) {
        self.staged.insert(position, (end, bytes.into()));
    }

    pub(super) fn report(&mut self, written: u64, synced: u64) {
        self.written = written.max(self.written);
        self.synced = synced.max(self.synced);
    }

    /// From now on the disk lies.
    pub(super) fn mistrust(&mut self) {
        self.trusted.get_or_insert(self.synced);
    }

    /// A segment up to here may go: what lived in it has been staged anew.
    pub(super) fn give_back(&mut self, end: u64) {
        self.given_back = self.given_back.max(end);
    }

    /// Whether the disk has lied about what nothing has shown to be there since.
    pub(super) fn is_mistrusted(&self) -> bool {
        self.trusted.is_some()
    }

    /// The records of a segment, in words, with what each takes.
    pub(super) fn tell(&self, segment: SegmentInfo) -> String {
        let records = self.staged.range(segment.first.0..segment.end.0);
        let told = records.map(|(position, (end, bytes))| {
            format!(
                "{position} ({} bytes) {}",
                end - position,
                Record::decode(bytes).as_ref().map(describe).unwrap_or_default()
            )
        });
        told.collect::<Vec<_>>().join("; ")
    }

    /// Compares what was recovered, in order, and forgets what was lost: positions are given out again. Tells whether
    /// something is missing that had been reported, which only the disk's lies excuse.
    pub(super) fn recover(&mut self, found: &Found<'_>, lies_still: bool) -> Result<bool, String> {
        let Found { records, end, is_power_cut, is_salvaged } = *found;
        let reported = if is_power_cut { self.synced } else { self.written };
        // Where all that was synced before the lie has been given back, what has taken its place was synced by a lie.
        let trusted = self.trusted.map(|trusted| if self.given_back < trusted { trusted } else { 0 });
        let trusted = trusted.filter(|_| is_power_cut).unwrap_or(reported).min(reported);
        if end < trusted && !is_salvaged {
            return Err(format!("the store ends at {end}, and {trusted} had been reported"));
        }
        self.staged.retain(|position, _| *position < end);
        let first = records.first().map_or(end, |(position, _)| *position);
        let expected: Vec<_> = self.staged.range(first..).collect();
        if expected.len() != records.len() {
            let (there, due) = (records.len(), expected.len());
            return Err(format!(
                "{there} records are there from {first} to {end}, and {due} had been staged"
            ));
        }
        for ((position, bytes), (due, (_, staged))) in records.iter().zip(expected) {
            if position != due || **bytes != **staged {
                return Err(format!("the record at {position} is not the one that was staged at {due}"));
            }
        }
        let has_lost = is_salvaged || end < reported;
        if !has_lost {
            self.compare(records, first)?;
        }
        if is_salvaged {
            self.staged.retain(|position, _| *position >= first);
        }
        (self.written, self.synced) = (end, end);
        self.given_back = self.given_back.min(end);
        if is_power_cut {
            self.trusted = lies_still.then_some(end);
        }
        Ok(has_lost)
    }

    /// What cleaning has left amounts to what all records amount to.
    fn compare(&self, records: &[(u64, Vec<u8>)], first: u64) -> Result<(), String> {
        if self.staged.range(..first).next().is_none() {
            return Ok(());
        }
        let all = self.staged.iter().map(|(position, (end, bytes))| (*position, *end, &**bytes));
        let left = records.iter().map(|(position, bytes)| {
            let end = self.staged.get(position).map_or(0, |(end, _)| *end);
            (*position, end, &**bytes)
        });
        let (due, there) = (account(all)?, account(left)?);
        let missing = due.iter().find(|line| !there.contains(line));
        let risen = there.iter().find(|line| !due.contains(line));
        if missing.is_none() && risen.is_none() {
            return Ok(());
        }
        Err(format!("cleaning has changed what there is: {missing:?} became {risen:?}, from {first} on"))
    }
}

fn account<'r>(records: impl Iterator<Item = (u64, u64, &'r [u8])>) -> Result<Vec<String>, String> {
    let mut fold = Fold::new();
    for (position, end, bytes) in records {
        fold.take(position, end, bytes).map_err(|bad| bad.to_string())?;
    }
    Ok(fold.account())
}
