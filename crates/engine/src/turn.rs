//! The value that a caller owns and passes in: the time, scratch memory, and what has to be done afterwards.

use std::sync::Arc;

use whimbrel_proto::{Millis, codec::ReasonCode};

use std::collections::VecDeque;

use crate::{
    Count, Counters, Level,
    message::{Frames, Spares},
    routing::MatchCache,
    session::Session,
};

/// Outbound buffers that a worker keeps for reuse, and how large one may be to be kept.
const POOL_BUFFERS: usize = 256;
const POOL_BUFFER_BYTES: usize = 64 << 10;
const BUFFER_BYTES_FIRST: usize = 512;

/// The present moment, twice: deadlines run on the first, people and files read the second.
#[derive(Copy, Clone, Debug, Default)]
pub struct Now {
    /// Monotonic.
    pub mono: Millis,
    /// Seconds since 1970 by the wall clock, which may jump.
    pub wall_secs: u64,
}

impl Now {
    /// When the wall clock will show this, if nobody sets it; now, if it has shown it already.
    #[must_use]
    pub fn mono_at(self, wall_secs: u64) -> Millis {
        Millis(self.mono.0.saturating_add(wall_secs.saturating_sub(self.wall_secs).saturating_mul(1_000)))
    }
}

/// Something that an operator wants to read about. Never one per message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The first message was dropped for a session since it was last told about drops.
    QueueFull {
        /// The session's client identifier.
        client_id: Box<str>,
        /// Where and why the message was dropped.
        cause: Count,
    },
    /// A message that a client is owed cannot be read back from the disk. It is tried again.
    Unreadable {
        /// The client's identifier.
        client_id: Box<str>,
        /// What is wrong, and where.
        what: String,
    },
    /// A retained message was not kept because of a limit.
    RetainedFull {
        /// Its topic.
        topic: Box<str>,
    },
    /// A CONNECT is refused for a reason of the server's own: a limit, or a later connection of the same client.
    ConnectRefused {
        /// Its client identifier.
        client_id: Box<str>,
        /// What the client is told.
        reason: ReasonCode,
    },
    /// The rules deny something to a client; the first time on its connection.
    Denied {
        /// Its client identifier.
        client_id: Box<str>,
        /// What it wanted.
        what: String,
        /// The rule, and where it stands.
        by: String,
    },
    /// A subscription ended because the rules no longer allow it.
    SubscriptionEnded {
        /// The client's identifier.
        client_id: Box<str>,
        /// The topic filter.
        filter: Box<str>,
    },
    /// A client is disconnected because it does not take what is sent to it.
    SlowClient {
        /// Its client identifier.
        client_id: Box<str>,
        /// [`Count::SlowOverflow`] or [`Count::SlowStalled`].
        cause: Count,
    },
}

/// One worker's turn. The engine returns everything through it and does nothing else.
///
/// Who fills and empties: the caller sets `now` before each call; the engine adds to `dirty` and `notices`;
/// [`crate::Engine::flush`] empties `dirty`, the caller drains `notices`.
pub struct Turn {
    /// The time of this turn.
    pub now: Now,
    /// Events for the operator; at most [`Turn::NOTICES_MAX`] wait, more are only counted.
    pub notices: Vec<Notice>,
    pub(crate) dirty: Vec<Arc<Session>>,
    /// An outbox has grown beyond its soft limit in this turn: flush before going on.
    pub(crate) urgent: bool,
    /// Receivers served and filters entered so far; who bounds its work looks how far it has moved.
    pub(crate) work: u64,
    pub(crate) cache: MatchCache,
    pub(crate) counters: Arc<Counters>,
    pub(crate) frames: Frames,
    pub(crate) forwarded: Vec<u8>,
    /// Scratch memory for a record.
    pub(crate) record: Vec<u8>,
    /// Records that the journal has refused.
    pub(crate) refused: u64,
    /// Bytes that the journal has taken.
    pub(crate) staged_bytes: u64,
    /// Something was handed to the journal since the last flush.
    pub(crate) staged: bool,
    /// What the journal is to be asked for at the next flush: written, synced up to here.
    pub(crate) wanted: [u64; 2],
    /// Something is parked that waits for nothing.
    pub(crate) is_releasable: bool,
    /// Sessions with promises or messages that wait for the disk, and for what: to be written, to be synced.
    pub(crate) parked: [VecDeque<(u64, Arc<Session>)>; 2],
    pub(crate) spares: Spares,
    pool: Vec<Vec<u8>>,
}

impl Turn {
    /// Notices that wait at most.
    pub const NOTICES_MAX: usize = 64;

    pub(crate) fn new(cache: MatchCache, counters: Arc<Counters>) -> Self {
        Turn {
            now: Now::default(),
            notices: Vec::new(),
            dirty: Vec::new(),
            urgent: false,
            work: 0,
            cache,
            counters,
            frames: Frames::default(),
            forwarded: Vec::new(),
            record: Vec::new(),
            refused: 0,
            staged_bytes: 0,
            staged: false,
            wanted: [0; 2],
            is_releasable: false,
            parked: Default::default(),
            spares: Spares::default(),
            pool: Vec::new(),
        }
    }

    /// Whether links wait for [`crate::Engine::flush`], or records.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.dirty.is_empty() || self.staged || self.wanted != [0; 2] || self.is_releasable
    }

    /// Whether something waits to be written, and to be synced.
    #[must_use]
    pub fn parks(&self) -> [bool; 2] {
        [0, 1].map(|at| self.parked.get(at).is_some_and(|parked| !parked.is_empty()))
    }

    /// Whether something waits for the disk that [`crate::Engine::release`] lets go.
    #[must_use]
    pub fn has_parked(&self) -> bool {
        self.parked.iter().any(|parked| !parked.is_empty())
    }

    /// How many looks [`crate::Engine::release`] will take at sessions at most.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.parked.iter().map(VecDeque::len).sum()
    }

    /// The next flush asks the journal for this.
    pub(crate) fn want(&mut self, position: u64, level: Level) {
        let [written, synced] = &mut self.wanted;
        match level {
            Level::Memory => {}
            Level::Process => *written = position.max(*written),
            Level::Power => *synced = position.max(*synced),
        }
    }

    /// The session is looked at again when the journal has come so far.
    pub(crate) fn park(&mut self, position: u64, level: Level, session: Arc<Session>) {
        if position == u64::MAX {
            return; // The journal has refused the record: nobody will ever report it.
        }
        let [written, synced] = &mut self.parked;
        let parked = if level == Level::Power { synced } else { written };
        if parked.front().is_some_and(|(first, _)| position < *first) {
            parked.push_front((position, session)); // It does not wait for those who wait for more.
        } else {
            parked.push_back((position, session));
        }
    }

    /// Counts `more` of something that the caller saw: bytes read, connections refused.
    pub fn count(&self, count: Count, more: u64) {
        self.counters.add(count, more);
    }

    /// What this worker has counted so far.
    #[must_use]
    pub fn counted(&self, count: Count) -> u64 {
        self.counters.value(count)
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        if self.notices.len() < Self::NOTICES_MAX {
            self.notices.push(notice);
        }
    }

    /// A buffer to encode into, from the pool if there is one.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.pool.pop().unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES_FIRST))
    }

    /// Takes a buffer back that an idle link needs no more.
    pub(crate) fn recycle(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() > 0 && buffer.capacity() <= POOL_BUFFER_BYTES && self.pool.len() < POOL_BUFFERS {
            buffer.clear();
            self.pool.push(buffer);
        }
    }
}
