//! The engine's journal is the shipped log, as the broker joins them; and beside each record the committer may go on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use parking_lot::Mutex;
use whimbrel_engine::{
    Journal, Level,
    store::{StageRefused, Staged, Trouble},
};
use whimbrel_journal::{Level as LogLevel, Log, Position, State};

use super::chronicle::Chronicle;
use crate::server;

/// A log for the engine.
pub(super) struct LogJournal {
    pub(super) log: Log,
    /// Somebody waits for the committer.
    pub(super) wanted: Arc<AtomicBool>,
    pub(super) chronicle: Arc<Mutex<Chronicle>>,
}

impl Journal for LogJournal {
    fn stage(&self, record: &[u8]) -> Result<Staged, StageRefused> {
        let staged = self.log.stage(record).map_err(|_| StageRefused)?;
        let staged = Staged { position: staged.position.0, end: staged.end.0 };
        self.chronicle.lock().stage(staged.position, staged.end, record);
        server::beside_a_record();
        Ok(staged)
    }

    fn ask(&self, position: u64, level: Level) -> bool {
        let level = match level {
            Level::Memory => return true,
            Level::Process => LogLevel::Process,
            Level::Power => LogLevel::Power,
        };
        let is_reached = self.log.ask(Position(position), level);
        self.wanted.fetch_or(!is_reached, Relaxed);
        is_reached
    }

    fn nudge(&self) {
        self.log.wake();
        self.wanted.store(true, Relaxed);
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
        match self.log.state() {
            State::Running => None,
            State::Full { .. } => Some(Trouble::Full),
            State::Poisoned { .. } => Some(Trouble::Failed),
        }
    }

    fn count_live(&self, position: u64, bytes: i64) {
        let live = self.log.live();
        if bytes < 0 {
            live.sub(Position(position), bytes.unsigned_abs());
        } else {
            live.add(Position(position), bytes.unsigned_abs());
        }
    }
}
