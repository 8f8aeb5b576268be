//! Where records go: the seam to whatever keeps them. The engine knows no disk.

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

/// The journal takes no record: far more waits for the disk than it may, or the record is too long.
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

/// An ordered log of records with group commit. Every call but [`read`](Self::read) is cheap and waits for no disk: they are
/// made while a session is locked.
pub trait Journal: Send + Sync {
    /// Takes a record behind all others.
    ///
    /// # Errors
    /// The record has no place then.
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

    /// Whether the disk takes records: false while it is full or has failed.
    fn is_running(&self) -> bool;

    /// The bytes of the record at `position`. It waits for the disk; [`crate::Engine::read_back`] and cleaning alone call it,
    /// and with nothing locked.
    ///
    /// # Errors
    /// The record is not there, or not yet.
    fn read(&self, position: u64) -> Result<Vec<u8>, ReadFailed>;

    /// Somebody wants [`crate::Engine::read_back`] to be called.
    fn call_reader(&self);

    /// So many bytes of the record at `position` are needed (negative: no more).
    fn count_live(&self, position: u64, bytes: i64);
}
