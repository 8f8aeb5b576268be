//! How the log stands: what it has reached, and whether it can go on.

use std::sync::Arc;

use crate::{error::Fault, position::Position};

/// How sure a record is to be there after which mishap. What need not be there after any waits for nothing.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Written: it survives the end of the process, `kill -9` included.
    Process,
    /// Synced: it survives a loss of power.
    Power,
}

/// Whether the log can go on.
#[derive(Clone, Debug, Default)]
pub enum State {
    /// All is well.
    #[default]
    Running,
    /// The disk has no room for what is staged. Each commit tries again; nothing that was reported is in doubt.
    Full {
        /// What was reached when it began.
        since: Position,
        /// What the disk said.
        fault: Arc<Fault>,
    },
    /// A write or a sync failed: what is on the disk beyond `synced` is unknown. No watermark moves until
    /// [`Committer::reopen`](crate::Committer::reopen) succeeds.
    Poisoned {
        /// What was synced when it happened.
        since: Position,
        /// What the disk said.
        fault: Arc<Fault>,
    },
}

impl State {
    /// Whether all is well.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running)
    }

    /// Whether the log waits for room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Whether the log must be reopened.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        matches!(self, Self::Poisoned { .. })
    }
}

/// What a commit has reached. Everything that ends at or before a watermark has that level.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Survives the end of the process.
    pub written: Position,
    /// Survives a loss of power; never beyond `written`.
    pub synced: Position,
}

/// How a commit ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was nothing to do.
    Idle,
    /// All that was staged is written, and synced where somebody asked.
    Committed(Reached),
    /// The disk is full: what did not fit waits for the next commit.
    Full(Reached),
    /// The log is poisoned, now or since before.
    Poisoned,
}

/// Why [`Committer::run`](crate::Committer::run) came back.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Somebody asked for it, and all that was staged is synced.
    Clean,
    /// Somebody asked for it while the disk was full: what did not fit is not kept.
    Unfinished,
    /// The log is poisoned: reopen it and run again, or give up.
    Poisoned,
}
