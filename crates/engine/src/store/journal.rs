//! Where records go: the seam to whatever keeps them. The engine knows no disk.

use super::NO_PLACE;

/// How sure a record has to be before a promise that depends on it leaves.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing is waited for: what is in memory is lost with the process.
    Memory,
    /// Written: it survives the end of the process, `kill -9` included.
    Process,
    /// Synced: it survives a loss of power.
    #[default]
    Power,
}

/// A record has its place.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// Where it begins.
    pub position: u64,
    /// Where it ends: once a watermark is here, the record has that level. Never 0.
    pub end: u64,
}

impl Staged {
    /// What a refused record has instead: no watermark ever comes there.
    pub(crate) const REFUSED: Staged = Staged { position: NO_PLACE, end: u64::MAX };

    /// Whether the journal has not taken the record.
    pub(crate) fn is_refused(self) -> bool {
        self.end == u64::MAX
    }
}

/// The journal takes this record never: it is longer than any. A full disk, a failed one, and much that waits are no reason.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct StageRefused;

/// A record cannot be read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadFailed {
    /// It is not written yet.
    NotYet,
    /// There is none any more: what was there has been recorded anew elsewhere, or nobody needs it.
    Gone,
    /// The disk fails, or holds something else. What and where, for people.
    Broken(String),
}

/// Why a disk takes no records.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It has no room; it is tried again.
    Full,
    /// It has failed, or nobody may write to it: nothing is promised until it has been verified.
    Failed,
}

/// What a journal has done and what it holds, for whoever looks.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Synced commits since the start.
    pub syncs: u64,
    /// Half of them took at most so many microseconds.
    pub commit_micros_p50: u64,
    /// Ninety-nine of a hundred took at most so many microseconds.
    pub commit_micros_p99: u64,
    /// Bytes of records in a commit, on the average.
    pub batch_bytes: u64,
    /// Bytes that wait to be synced.
    pub staged_bytes: u64,
    /// So many may wait.
    pub staged_bytes_max: u64,
    /// Bytes on the disk.
    pub bytes: u64,
    /// Bytes of records that are needed still.
    pub live_bytes: u64,
}

/// An ordered log of records with group commit. Every call but [`read`](Self::read) is cheap and waits for no disk: they are
/// made while a session is locked.
pub trait Journal: Send + Sync {
    /// Takes a record behind all others, also while the disk takes nothing: what has begun has to be recorded to its end.
    /// What begins asks [`Self::is_over_budget`] before.
    ///
    /// # Errors
    /// The record has no place then, and nothing that it was to make true is promised.
    fn stage(&self, record: &[u8]) -> Result<Staged, StageRefused>;

    /// Asks that everything before `position` reaches the level, and tells whether it has already.
    fn ask(&self, position: u64, level: Level) -> bool;

    /// Has what is staged written in its own time; nobody waits for it.
    fn nudge(&self);

    /// Everything before has this level.
    fn reached(&self, level: Level) -> u64;

    /// The end of the last record.
    fn staged(&self) -> u64;

    /// Whether so much waits for the disk that who brings messages should wait.
    fn is_over_budget(&self) -> bool;

    /// Why the disk takes no records, if it takes none.
    fn trouble(&self) -> Option<Trouble>;

    /// Looked at now and then, by whoever wants to know how the journal does.
    fn figures(&self) -> Figures {
        Figures::default()
    }

    /// The bytes of the record at `position`. It waits for the disk: a start calls it, and [`crate::Engine::read_back`]
    /// and cleaning do with nothing locked.
    ///
    /// # Errors
    /// The record is not there, or not yet.
    fn read(&self, position: u64) -> Result<Vec<u8>, ReadFailed>;

    /// Somebody wants [`crate::Engine::read_back`] to be called.
    fn call_reader(&self);

    /// So many bytes of the record at `position` are needed (negative: no more).
    fn count_live(&self, position: u64, bytes: i64);
}
