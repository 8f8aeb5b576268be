//! The log as its many users hold it: staging, watermarks, and what lives. Files are written by the
//! [`Committer`](crate::Committer) alone.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use crate::{
    disk::{Disk, DiskLock},
    error::{DropError, OpenError, ReadError, StageError},
    format::{RECORD_BYTES_MAX, RECORD_HEADER_BYTES, record_sum},
    options::Options,
    position::Position,
    reader::Reader,
    recovery::{Recovery, Visitor},
    segments::{Live, Segment, SegmentInfo},
    staging::{Chunk, Staging},
    state::{Level, Reached, State},
    survey::Survey,
};

/// From how many unwritten bytes on staging wakes the committer by itself.
const WAKE_BYTES: u64 = 256 * 1024;

/// A log is worth cleaning only beyond this many segments.
const RECLAIM_FLOOR_SEGMENTS: u64 = 4;

/// A record has its place.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// Where it is: for reading it back, and for the count of what lives.
    pub position: Position,
    /// The position after it: once a watermark is here or beyond, the record has that level.
    pub end: Position,
    /// More than the budget waits for the disk: whoever brings records that can wait should wait now.
    pub is_over_budget: bool,
}

impl Staged {
    /// What the record takes in the log.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.end.0 - self.position.0
    }
}

/// A log that is open. Clones are the same log; it is closed when the last of them and the committer are dropped.
///
/// The order of calls: [`stage`](Self::stage) records, as many as belong together; [`ask`](Self::ask) for what an answer
/// waits for, or [`wake`](Self::wake) where nothing waits; then the committer reports what it has reached.
#[derive(Clone)]
pub struct Log {
    pub(crate) inner: Arc<Inner>,
}

impl Log {
    /// Takes the store that is on `disk`, or begins one, and gives every record that it holds to `visitor`, in order.
    ///
    /// What the visitor has seen is durable when this returns. A disk without room opens all the same, see [`State::Full`].
    ///
    /// # Errors
    /// Another process has the store; the disk fails; what was durable is damaged or missing; a record is refused by the
    /// visitor. The disk is unchanged then, but for the lock file, unless the disk itself failed.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        visitor: &mut Visitor<'_>,
    ) -> Result<(Self, crate::Committer, Recovery), OpenError> {
        crate::open::open(disk, options, visitor)
    }

    /// Takes a record, for the next commit. It is cheap, waits for no disk, and wakes nobody: call [`ask`](Self::ask) or
    /// [`wake`](Self::wake) after the last record of what belongs together, else it may wait for long.
    ///
    /// A log that is full or poisoned goes on taking records, since it writes them when it can again; so does one that is
    /// over its budget. What has begun has to be recorded to its end, or memory and disk would tell different stories: the
    /// budget is kept by whoever begins something, see [`is_over_budget`](Self::is_over_budget).
    ///
    /// # Errors
    /// The record is longer than [`RECORD_BYTES_MAX`]. It has no place then.
    pub fn stage(&self, record: &[u8]) -> Result<Staged, StageError> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(StageError::TooLong { bytes: record.len() });
        }
        let inner = &*self.inner;
        let sum = record_sum(record);
        let mut staging = inner.staging.lock();
        let waiting = staging.end() - inner.synced.load(Ordering::Relaxed);
        let position = staging.push(record, sum, &inner.live);
        let end = staging.end();
        inner.staged.store(end, Ordering::Release);
        drop(staging);
        if end - inner.written.load(Ordering::Relaxed) > WAKE_BYTES
            && !inner.is_wanted.load(Ordering::Relaxed)
        {
            self.wake();
        }
        let length = (RECORD_HEADER_BYTES + record.len()) as u64;
        let is_over_budget = waiting + length > inner.options.staged_bytes_max as u64;
        Ok(Staged { position: Position(position), end: Position(end), is_over_budget })
    }

    /// Asks that everything before `position` reaches `level`, and tells whether it has already.
    pub fn ask(&self, position: Position, level: Level) -> bool {
        let inner = &*self.inner;
        let reached = match level {
            Level::Process => inner.written.load(Ordering::Acquire),
            Level::Power => inner.synced.load(Ordering::Acquire),
        };
        if reached >= position.0 {
            return true;
        }
        if level == Level::Power {
            // What is not staged yet is asked for when it is.
            let staged = inner.staged.load(Ordering::Acquire);
            inner.asked.fetch_max(position.0.min(staged), Ordering::SeqCst);
        }
        self.wake();
        false
    }

    /// Has the committer write what is staged.
    pub fn wake(&self) {
        self.inner.wake();
    }

    /// Ends [`Committer::run`](crate::Committer::run) when everything that is staged is synced.
    pub fn stop(&self) {
        self.inner.is_stopping.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Has the next record begin a segment: then all before it can be given back, once nothing in it lives.
    pub fn begin_segment(&self) {
        self.inner.staging.lock().begin_segment();
    }

    /// The position after the last staged record.
    #[must_use]
    pub fn staged(&self) -> Position {
        Position(self.inner.staged.load(Ordering::Acquire))
    }

    /// Everything before survives the end of the process.
    #[must_use]
    pub fn written(&self) -> Position {
        Position(self.inner.written.load(Ordering::Acquire))
    }

    /// Everything before survives a loss of power.
    #[must_use]
    pub fn synced(&self) -> Position {
        Position(self.inner.synced.load(Ordering::Acquire))
    }

    /// Whether more waits for the disk than [`Options::staged_bytes_max`]: nothing that can wait should be begun.
    #[must_use]
    pub fn is_over_budget(&self) -> bool {
        let waiting = self.staged().0.saturating_sub(self.synced().0);
        waiting > self.inner.options.staged_bytes_max as u64
    }

    /// Whether the log is neither full nor poisoned. Cheap.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.inner.is_running.load(Ordering::Acquire)
    }

    /// Blocks for so long, or until somebody wants the log to stop: then true. For an owner whose committer is poisoned.
    #[must_use]
    pub fn wait_for_stop(&self, patience: Duration) -> bool {
        self.inner.wait_for_stop(patience)
    }

    /// Whether the log can go on.
    #[must_use]
    pub fn state(&self) -> State {
        self.inner.state.lock().clone()
    }

    /// The count of what lives, for the owner to keep.
    #[must_use]
    pub fn live(&self) -> &Live {
        &self.inner.live
    }

    /// All segments, oldest first; the last may not have its file yet.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let end = self.staged().0;
        let infos = self.inner.live.all().into_iter().filter(|(segment, _)| !segment.is_leaving());
        infos.map(|(segment, next)| info(&segment, next.unwrap_or(end))).collect()
    }

    /// The oldest segment, if it is written in full and can be given back once nothing in it lives.
    #[must_use]
    pub fn oldest(&self) -> Option<SegmentInfo> {
        let all = self.inner.live.all();
        let mut staying = all.iter().filter(|(segment, _)| !segment.is_leaving());
        let ((segment, end), (next, _)) = (staying.next()?, staying.next()?);
        // The next one has a file once the committer has left this one.
        (next.bytes() > 0).then(|| info(segment, end.unwrap_or(next.first)))
    }

    /// Bytes of all files that are in use.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.inner.live.file_bytes()
    }

    /// Whether the log is worth cleaning: it takes more than twice what lives, and a few segments.
    #[must_use]
    pub fn needs_reclaim(&self) -> bool {
        let floor = RECLAIM_FLOOR_SEGMENTS * self.inner.options.segment_bytes();
        let alive = self.inner.live.bytes().saturating_add(self.inner.survey.lock().uncounted());
        self.bytes() > alive.saturating_mul(2).saturating_add(floor)
    }

    /// So many bytes of records had to be staged for the oldest segment to go, as it was before they were: where that is
    /// more than the owner had counted as alive in it, the log is cleaned less often.
    pub fn note_kept(&self, oldest: &SegmentInfo, bytes: u64) {
        self.inner.survey.lock().note(oldest, bytes, self.staged().0);
    }

    /// Gives the oldest segment back, once all before `dead_at` is synced: the position after the records that made dead
    /// what was in it, the re-appended survivors among them. The committer does it, and syncs for it.
    ///
    /// # Errors
    /// It is not the oldest, it is not written in full, something in it lives, or somebody holds it.
    pub fn drop_segment(&self, number: u64, dead_at: Position) -> Result<(), DropError> {
        let oldest = self.oldest().filter(|oldest| oldest.number == number);
        let oldest = oldest.ok_or(DropError::NotOldest { number })?;
        if oldest.live_bytes > 0 {
            return Err(DropError::Alive { number, live_bytes: oldest.live_bytes });
        }
        let mut drops = self.inner.drops.lock();
        if self.is_held() {
            return Err(DropError::Held { number });
        }
        let segment = self.inner.live.numbered(number).filter(|segment| segment.leave());
        segment.ok_or(DropError::NotOldest { number })?;
        drops.push_back(Leaving { number, dead_at: dead_at.0 });
        drop(drops);
        self.wake();
        Ok(())
    }

    /// Reads one record back by the position that [`stage`](Self::stage) gave it.
    ///
    /// # Errors
    /// It is not written yet, its segment has been given back, or the disk fails or holds something else.
    pub fn read_at(&self, position: Position) -> Result<Vec<u8>, ReadError> {
        self.inner.reader.record(position, self.written(), &self.inner.live)
    }

    /// Reads the records of a segment that is written in full, in order, until the visitor breaks.
    ///
    /// # Errors
    /// As for [`read_at`](Self::read_at).
    pub fn read_segment(
        &self,
        number: u64,
        visitor: &mut dyn FnMut(Position, &[u8]) -> std::ops::ControlFlow<()>,
    ) -> Result<(), ReadError> {
        self.inner.reader.segment(number, self.written(), &self.inner.live, visitor)
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = formatter.debug_struct("Log");
        out.field("staged", &self.staged()).field("written", &self.written()).field("synced", &self.synced());
        out.field("state", &self.state()).finish_non_exhaustive()
    }
}

fn info(segment: &Segment, end: u64) -> SegmentInfo {
    SegmentInfo {
        number: segment.number,
        first: Position(segment.first),
        end: Position(end),
        bytes: segment.bytes(),
        live_bytes: segment.live_bytes(),
    }
}

/// A segment that may go when what made it dead is synced.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Leaving {
    pub(crate) number: u64,
    pub(crate) dead_at: u64,
}

/// What the log's users and its committer have in common.
pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) live: Live,
    pub(crate) reader: Reader,
    pub(crate) drops: Mutex<VecDeque<Leaving>>,
    /// Who wants that no segment goes; changed under the lock of `drops`.
    pub(crate) holds: AtomicUsize,
    survey: Mutex<Survey>,
    staging: Mutex<Staging>,
    state: Mutex<State>,
    /// Where the committer waits, under the staging lock.
    bell: Condvar,
    is_wanted: AtomicBool,
    is_idle: AtomicBool,
    is_stopping: AtomicBool,
    is_running: AtomicBool,
    /// Up to where somebody asked for a sync.
    asked: AtomicU64,
    staged: AtomicU64,
    written: AtomicU64,
    synced: AtomicU64,
    _lock: DiskLock,
}

impl Inner {
    pub(crate) fn new(
        options: Options,
        live: Live,
        reader: Reader,
        staging: Staging,
        end: u64,
        lock: DiskLock,
    ) -> Self {
        Self {
            options,
            live,
            reader,
            drops: Mutex::default(),
            holds: AtomicUsize::new(0),
            survey: Mutex::default(),
            staging: Mutex::new(staging),
            state: Mutex::default(),
            bell: Condvar::new(),
            is_wanted: AtomicBool::new(false),
            is_idle: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            is_running: AtomicBool::new(true),
            asked: AtomicU64::new(0),
            staged: AtomicU64::new(end),
            written: AtomicU64::new(end),
            synced: AtomicU64::new(end),
            _lock: lock,
        }
    }

    fn wake(&self) {
        self.is_wanted.store(true, Ordering::SeqCst);
        // Either the committer sees the wish before it sleeps, or it is seen here to be going to: it says so before it
        // looks the last time, and sleeps by letting go of the lock.
        if self.is_idle.swap(false, Ordering::SeqCst) {
            drop(self.staging.lock());
            self.bell.notify_one();
        }
    }

    /// Blocks until there is something to do, or for `patience`. `true`: somebody wants the committer to stop.
    pub(crate) fn wait(&self, patience: Option<Duration>) -> bool {
        let mut staging = self.staging.lock();
        loop {
            self.is_idle.store(true, Ordering::SeqCst);
            let is_wanted = self.is_wanted.swap(false, Ordering::SeqCst);
            let is_stopping = self.is_stopping.load(Ordering::SeqCst);
            if is_wanted || is_stopping {
                self.is_idle.store(false, Ordering::SeqCst);
                return is_stopping;
            }
            match patience {
                None => self.bell.wait(&mut staging),
                Some(patience) => {
                    if self.bell.wait_for(&mut staging, patience).timed_out() {
                        self.is_idle.store(false, Ordering::SeqCst);
                        return false;
                    }
                }
            }
        }
    }

    /// Blocks until somebody wants the log to stop (true), or for `patience`.
    fn wait_for_stop(&self, patience: Duration) -> bool {
        let until = std::time::Instant::now() + patience;
        let mut staging = self.staging.lock();
        while !self.is_stopping.load(Ordering::SeqCst) {
            self.is_idle.store(true, Ordering::SeqCst);
            if self.bell.wait_until(&mut staging, until).timed_out() {
                break;
            }
        }
        self.is_idle.store(false, Ordering::SeqCst);
        // What was wanted meanwhile is wanted still.
        self.is_wanted.store(true, Ordering::SeqCst);
        self.is_stopping.load(Ordering::SeqCst)
    }

    pub(crate) fn take(&self, into: &mut impl Extend<Chunk>) {
        self.staging.lock().take(into);
    }

    pub(crate) fn reuse(&self, buffers: impl Iterator<Item = Vec<u8>>) {
        let mut staging = self.staging.lock();
        buffers.for_each(|buffer| staging.reuse(buffer));
    }

    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn ask_for_all(&self) {
        self.asked.fetch_max(self.staged.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    pub(crate) fn reached(&self) -> Reached {
        // In this order, so that nobody sees more synced than written.
        let synced = Position(self.synced.load(Ordering::Acquire));
        Reached { written: Position(self.written.load(Ordering::Acquire)), synced }
    }

    pub(crate) fn publish(&self, written: u64, synced: u64) {
        self.written.store(written, Ordering::Release);
        self.synced.store(synced, Ordering::Release);
    }

    /// Tells whether it is another kind of state than before.
    pub(crate) fn set_state(&self, state: State) -> bool {
        let mut now = self.state.lock();
        let is_new = std::mem::discriminant(&*now) != std::mem::discriminant(&state);
        if is_new {
            self.is_running.store(state.is_running(), Ordering::Release);
            *now = state;
        }
        is_new
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.state.lock().is_poisoned()
    }
}
