//! Reads a store from its beginning to its end, changes nothing, and tells what it holds and whether it is sound.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Serialize;
use whimbrel_engine::store::{Fold, Record, Summary};
use whimbrel_journal::{
    Corruption, FileDisk, Live, OpenError, Position, RECORD_HEADER_BYTES, Recovery, read_store,
};

use super::{
    dump::kind_of,
    tool::{self, ToolError},
};

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Checked {
    /// The folder.
    pub folder: PathBuf,
    /// Nothing is wrong.
    pub sound: bool,
    /// The id of the store, in hexadecimal digits.
    pub store_id: String,
    /// Segments that could be read.
    pub segments: usize,
    /// Bytes of all files in the folder.
    pub bytes: u64,
    /// The position of the first record.
    pub first: u64,
    /// The position behind the last record.
    pub end: u64,
    /// Records.
    pub records: u64,
    /// Records of each kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Sessions.
    pub sessions: usize,
    /// Their subscriptions.
    pub subscriptions: usize,
    /// Messages that are kept, each once however many are owed it.
    pub messages: usize,
    /// Messages that sessions and shared groups are owed; one counts for each.
    pub owed: usize,
    /// Retained messages.
    pub retained: usize,
    /// Wills that are due unless their clients come back.
    pub wills: usize,
    /// Publishes that had not been recorded whole: a start leaves them out, and nobody was told that they were taken.
    pub open_publishes: usize,
    /// A write at the end that was not whole: a start cuts it, and nobody was promised it.
    pub torn_end: Option<Trouble>,
    /// What is wrong. The figures are of what lies before the first of them.
    pub damage: Vec<Trouble>,
    /// Messages that are owed and not there.
    pub missing: usize,
    /// Files that are none of the store's.
    pub foreign_files: Vec<String>,
    /// Who writes to the store right now, where something looks wrong: its end may be on the way still.
    pub in_use_by: Option<String>,
}

/// A place where something is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// What, where, and what to do, in words.
    pub message: String,
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The byte in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The position in the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
}

impl Checked {
    /// What is wrong first of all.
    #[must_use]
    pub fn first_trouble(&self) -> &str {
        self.damage.first().map_or("nothing is wrong", |trouble| &trouble.message)
    }
}

/// Reads the whole store in a folder. A broker may write to it meanwhile; then its end may look torn or damaged.
///
/// # Errors
/// There is no store.
pub fn check(folder: &Path) -> Result<Checked, ToolError> {
    let disk = tool::disk(folder)?;
    let (tally, read) = Tally::read(&disk, false);
    let (tally, recovery, error) = match read {
        Ok(recovery) => (tally, recovery, None),
        Err(error) => {
            // Once more, up to the damage.
            let (tally, read) = Tally::read(&disk, true);
            (tally, read.unwrap_or_default(), Some(error))
        }
    };
    let mut damage: Vec<Trouble> = error.iter().map(trouble).collect();
    damage.extend(tally.unknown.iter().map(|position| Trouble {
        message: format!(
            "the record at position {position} is of no kind that this program knows; use a newer one"
        ),
        position: Some(*position),
        ..Trouble::default()
    }));
    let summary = tally.fold.summary();
    damage.extend(missing(&summary));
    let torn_end = recovery.cut.as_ref().map(|cut| at(cut, cut.to_string()));
    let looks_wrong = torn_end.is_some() || !damage.is_empty();
    Ok(Checked {
        folder: folder.to_owned(),
        sound: damage.is_empty(),
        store_id: recovery.store_id.iter().map(|byte| format!("{byte:02x}")).collect(),
        segments: recovery.segments,
        bytes: tool::bytes_in(folder),
        first: recovery.first.0,
        end: recovery.end.0,
        records: recovery.records,
        kinds: tally.kinds,
        sessions: summary.sessions,
        subscriptions: summary.subscriptions,
        messages: summary.messages,
        owed: summary.owed,
        retained: summary.retained,
        wills: summary.wills,
        open_publishes: summary.dropped,
        torn_end,
        damage,
        missing: summary.missing,
        foreign_files: recovery.foreign_files,
        in_use_by: if looks_wrong { disk.holder() } else { None },
    })
}

/// The same for a store that has to be sound.
pub(super) fn must_be_sound(folder: &Path) -> Result<Checked, ToolError> {
    let checked = check(folder)?;
    if checked.sound { Ok(checked) } else { Err(ToolError::Damaged(Box::new(checked))) }
}

#[derive(Default)]
struct Tally {
    fold: Fold,
    kinds: BTreeMap<&'static str, u64>,
    /// Positions of records that this version does not know.
    unknown: Vec<u64>,
}

impl Tally {
    fn read(disk: &FileDisk, salvage: bool) -> (Self, Result<Recovery, OpenError>) {
        let mut tally = Tally::default();
        let mut visit = |_: &Live, position: Position, bytes: &[u8]| {
            tally.take(position.0, bytes);
            Ok(())
        };
        let read = read_store(disk, salvage, &mut visit);
        (tally, read)
    }

    fn take(&mut self, position: u64, bytes: &[u8]) {
        let Some(record) = Record::decode(bytes) else {
            self.unknown.push(position);
            return;
        };
        *self.kinds.entry(kind_of(&record)).or_default() += 1;
        let end = position + (RECORD_HEADER_BYTES + bytes.len()) as u64;
        if self.fold.take(position, end, bytes).is_err() {
            self.unknown.push(position);
        }
    }
}

fn at(corruption: &Corruption, message: String) -> Trouble {
    let Corruption { file, offset, position, .. } = corruption;
    Trouble { message, file: Some(file.clone()), offset: Some(*offset), position: Some(position.0) }
}

/// What the journal says of damage, with its place for programs.
pub(super) fn trouble(error: &OpenError) -> Trouble {
    let message = error.to_string();
    match error {
        OpenError::Corrupt(corruption) => at(corruption, message),
        OpenError::Missing { file, .. }
        | OpenError::Foreign { file, .. }
        | OpenError::WrongNumber { file, .. }
        | OpenError::OtherStore { file, .. }
        | OpenError::UnknownVersion { file, .. } => {
            Trouble { message, file: Some(file.clone()), ..Trouble::default() }
        }
        _ => Trouble { message, ..Trouble::default() },
    }
}

fn missing(summary: &Summary) -> impl Iterator<Item = Trouble> {
    let more = summary.missing.saturating_sub(summary.named.len());
    let named = summary.named.iter().map(|missing| Trouble {
        message: format!(
            "message {}, {} by the record at position {}, is not there; restore a backup, or go on without it with `whimbrel store compact --salvage`",
            missing.message, missing.debt, missing.place
        ),
        position: Some(missing.place),
        ..Trouble::default()
    });
    let more = (more > 0).then(|| Trouble {
        message: format!("{more} more messages that somebody is owed are not there"),
        ..Trouble::default()
    });
    named.chain(more).collect::<Vec<_>>().into_iter()
}
