//! The log on disk as the engine's journal.

use whimbrel_engine::{
    Journal, Level,
    store::{StageRefused, Staged, Trouble},
};
use whimbrel_journal::{Log, Position, State};

pub(super) struct LogJournal(pub Log);

impl Journal for LogJournal {
    fn stage(&self, record: &[u8]) -> Result<Staged, StageRefused> {
        let staged = self.0.stage(record).map_err(|_| StageRefused)?;
        Ok(Staged { position: staged.position.0, end: staged.end.0 })
    }

    fn ask(&self, position: u64, level: Level) -> bool {
        let level = match level {
            Level::Memory => return true,
            Level::Process => whimbrel_journal::Level::Process,
            Level::Power => whimbrel_journal::Level::Power,
        };
        self.0.ask(Position(position), level)
    }

    fn nudge(&self) {
        if self.0.staged() > self.0.written() {
            self.0.wake();
        }
    }

    fn reached(&self, level: Level) -> u64 {
        match level {
            Level::Memory => u64::MAX,
            Level::Process => self.0.written().0,
            Level::Power => self.0.synced().0,
        }
    }

    fn staged(&self) -> u64 {
        self.0.staged().0
    }

    fn is_over_budget(&self) -> bool {
        self.0.is_over_budget()
    }

    fn trouble(&self) -> Option<Trouble> {
        if self.0.is_running() {
            return None;
        }
        match self.0.state() {
            State::Running => None,
            State::Full { .. } => Some(Trouble::Full),
            State::Poisoned { .. } => Some(Trouble::Failed),
        }
    }

    fn count_live(&self, position: u64, bytes: i64) {
        let live = self.0.live();
        match u64::try_from(bytes) {
            Ok(bytes) => live.add(Position(position), bytes),
            Err(_) => live.sub(Position(position), bytes.unsigned_abs()),
        }
    }
}
