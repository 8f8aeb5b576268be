//! The log on disk as the engine's journal.

use std::sync::Arc;

use whimbrel_engine::{
    Journal, Level,
    store::{Figures, StageRefused, Staged, Trouble},
};
use whimbrel_journal::{Log, Position, State};

use super::Measures;

pub(super) struct LogJournal {
    log: Log,
    /// For the writer to keep.
    pub measures: Arc<Measures>,
    staged_bytes_max: u64,
}

impl LogJournal {
    pub(super) fn new(log: Log, staged_bytes_max: u64) -> Self {
        LogJournal { log, measures: Arc::default(), staged_bytes_max }
    }
}

impl Journal for LogJournal {
    fn stage(&self, record: &[u8]) -> Result<Staged, StageRefused> {
        let staged = self.log.stage(record).map_err(|_| StageRefused)?;
        Ok(Staged { position: staged.position.0, end: staged.end.0 })
    }

    fn ask(&self, position: u64, level: Level) -> bool {
        let level = match level {
            Level::Memory => return true,
            Level::Process => whimbrel_journal::Level::Process,
            Level::Power => whimbrel_journal::Level::Power,
        };
        self.log.ask(Position(position), level)
    }

    fn nudge(&self) {
        if self.log.staged() > self.log.written() {
            self.log.wake();
        }
    }

    fn reached(&self, level: Level) -> u64 {
        match level {
            Level::Memory => u64::MAX,
            Level::Process => self.log.written().0,
            Level::Power => self.log.synced().0,
        }
    }

    fn staged(&self) -> u64 {
        self.log.staged().0
    }

    fn is_over_budget(&self) -> bool {
        self.log.is_over_budget()
    }

    fn trouble(&self) -> Option<Trouble> {
        if self.log.is_running() {
            return None;
        }
        match self.log.state() {
            State::Running => None,
            State::Full { .. } => Some(Trouble::Full),
            State::Poisoned { .. } => Some(Trouble::Failed),
        }
    }

    fn figures(&self) -> Figures {
        let (log, measures) = (&self.log, &self.measures);
        Figures {
            syncs: measures.commits(),
            commit_micros_p50: measures.sync_micros(0.5).unwrap_or(0),
            commit_micros_p99: measures.sync_micros(0.99).unwrap_or(0),
            batch_bytes: measures.bytes().checked_div(measures.commits()).unwrap_or(0),
            staged_bytes: log.staged().0.saturating_sub(log.synced().0),
            staged_bytes_max: self.staged_bytes_max,
            bytes: log.bytes(),
            live_bytes: log.live().bytes(),
        }
    }

    fn count_live(&self, position: u64, bytes: i64) {
        let live = self.log.live();
        match u64::try_from(bytes) {
            Ok(bytes) => live.add(Position(position), bytes),
            Err(_) => live.sub(Position(position), bytes.unsigned_abs()),
        }
    }
}
