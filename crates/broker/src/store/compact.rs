//! Gives back at once all the space that nothing lives in, of a store that nobody has open: what lives is recorded anew in
//! a new segment, as the cleaner of a running broker does it bit by bit, and all older ones go.

use std::{fs, path::Path, sync::Arc};

use serde::Serialize;
use whimbrel_engine::{
    Engine, Now,
    proto::Millis,
    store::{Fold, Reclaimed},
};
use whimbrel_journal::{
    Committer, Level, Live, Log, OpenError, Options, Outcome, Position, RECORD_HEADER_BYTES, State,
};

use super::{
    adapter::LogJournal,
    check,
    tool::{self, ToolError},
};
use crate::{config::Config, mapping, worker::wall_secs};

/// Files are filled with zeros up to a multiple of this.
const FILL_BYTES: u64 = 4_096;

/// What has come of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Compacted {
    /// Bytes of the files before.
    pub bytes_before: u64,
    /// Bytes of the files now.
    pub bytes_after: u64,
    /// Segments that have gone.
    pub segments_gone: u64,
    /// Records that were written anew.
    pub moved: u64,
    /// Messages that were owed and are not there; nobody is owed them any more.
    pub given_up: usize,
    /// The damage up to which the store was kept, in words. What cannot be read lies beside the store, under names that begin
    /// with `damaged-`.
    pub salvaged: Option<String>,
}

/// Compacts the store in a folder. With `salvage` one that is damaged, too: it is kept up to the damage.
///
/// # Errors
/// A broker has the store; it is damaged; the disk fails or is full. What was in the store is there still.
pub fn compact(config: &Config, folder: &Path, salvage: bool) -> Result<Compacted, ToolError> {
    let disk = tool::disk(folder)?;
    let bytes_before = tool::bytes_in(folder);
    // No room ahead: nobody goes on writing here.
    let options = Options { spares_max: 0, fill_bytes: FILL_BYTES, salvage, ..Options::default() };
    let mut fold = Fold::new();
    let mut visit = |_: &Live, position: Position, record: &[u8]| {
        let end = position.0 + (RECORD_HEADER_BYTES + record.len()) as u64;
        fold.take(position.0, end, record).map_err(Into::into)
    };
    let opened = Log::open(Arc::new(disk), options, &mut visit);
    let (log, committer, recovery) = opened.map_err(|error| match error {
        OpenError::Locked(error) => ToolError::Lock(error),
        error => match check::check(folder) {
            Ok(checked) if !checked.sound => ToolError::Damaged(Box::new(checked)),
            _ => ToolError::Open(error),
        },
    })?;
    let engine = Engine::new(mapping::limits(config, 1), 0)
        .with_journal(Arc::new(LogJournal::new(log.clone(), config.store.staged_bytes_max)));
    let now = Now { mono: Millis(0), wall_secs: wall_secs() };
    let given_up = fold.restore(&engine, now).missing;
    if given_up > 0 && !salvage {
        return Err(ToolError::Damaged(Box::new(check::check(folder)?)));
    }
    let below = log.staged().0;
    log.begin_segment();
    engine.begin_records(now);
    let mut compaction = Compaction { folder, engine, log, committer };
    let moved = compaction.move_all(now, below)?;
    let segments_gone = compaction.drop_before(below)?;
    compaction.committer.close();
    // While the store is locked still.
    remove_spares(folder)?;
    Ok(Compacted {
        bytes_before,
        bytes_after: tool::bytes_in(folder),
        segments_gone,
        moved,
        given_up,
        salvaged: recovery.salvaged.as_ref().map(what),
    })
}

/// The damage without what could be done: it is done.
fn what(error: &OpenError) -> String {
    let told = error.to_string();
    told.split("; restore a backup").next().unwrap_or_default().to_owned()
}

struct Compaction<'a> {
    folder: &'a Path,
    engine: Engine,
    log: Log,
    committer: Committer,
}

impl Compaction<'_> {
    /// Records anew what lives before `below`. Gives how many records.
    fn move_all(&mut self, now: Now, below: u64) -> Result<u64, ToolError> {
        let mut turn = self.engine.turn();
        turn.now = now;
        let mut reclaim = self.engine.begin_reclaim(below);
        let moved = loop {
            if let Reclaimed::Done { moved } = self.engine.reclaim(&mut turn, &mut reclaim) {
                break moved;
            }
            if self.log.is_over_budget() {
                self.commit()?;
            }
        };
        self.commit()?;
        Ok(moved)
    }

    fn drop_before(&mut self, below: u64) -> Result<u64, ToolError> {
        let mut gone = 0;
        while let Some(oldest) = self.log.oldest().filter(|oldest| oldest.end.0 <= below) {
            self.log.drop_segment(oldest.number, self.log.staged()).map_err(|error| ToolError::Stays {
                folder: self.folder.to_owned(),
                number: oldest.number,
                why: error.to_string(),
            })?;
            gone += 1;
        }
        self.commit()?;
        Ok(gone)
    }

    fn commit(&mut self) -> Result<(), ToolError> {
        self.log.ask(self.log.staged(), Level::Power);
        match (self.committer.commit_once(), self.log.state()) {
            (
                Outcome::Full(_) | Outcome::Poisoned,
                State::Full { fault, .. } | State::Poisoned { fault, .. },
            ) => Err(ToolError::Disk { folder: self.folder.to_owned(), fault }),
            _ => Ok(()),
        }
    }
}

/// Files that were kept to be used again.
fn remove_spares(folder: &Path) -> Result<(), ToolError> {
    let failed = || ToolError::system(folder, "a spare file cannot be removed");
    for entry in fs::read_dir(folder).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("spare-") && name.ends_with(".log") {
            fs::remove_file(entry.path()).map_err(failed())?;
        }
    }
    Ok(())
}
