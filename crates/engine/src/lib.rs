//! What a message means for everyone: sessions, routing, retained messages, shared subscriptions, wills, limits.
//!
//! Pure: no socket, no clock, no disk, no randomness. Callers pass in a [`Turn`] that carries the time and takes up
//! what is to be done; bytes leave by [`Wire`]s that the caller supplies.
//!
//! # How it is driven
//! * [`Engine::new`] once; [`Engine::turn`] once per worker.
//! * Per connection a [`Conversation`], which takes the client's bytes and calls the engine.
//! * After every turn: [`Engine::flush`].
//! * One worker calls [`Engine::tick`] when [`Engine::next_deadline`] has come.
//! * What outlives the process: a [`Journal`] at the start ([`Engine::with_journal`]), [`store::Fold`] for what it holds, then
//!   [`Engine::begin_records`]; [`Engine::release`] for each turn that [`Turn::has_parked`], and for one at least if
//!   [`Engine::has_waiting`], when the journal has come further, and [`Engine::nudge`] now and then.
//!
//! # Locks
//! The order is: one session, then a leaf (router, retained tree, group, timers), then a message's gate, then the
//! journal's staging. Never two sessions; no lock while a wire writes.
#![forbid(unsafe_code)]

mod access;
mod acknowledge;
mod attach;
mod attention;
mod budget;
mod commit;
mod conversation;
mod counters;
mod delivery;
mod drops;
mod ends;
mod flush;
mod inspect;
mod kick;
mod limits;
mod link;
mod message;
mod notes;
mod outbox;
mod presence;
mod publish;
mod pump;
mod queue;
pub mod retained;
pub mod routing;
mod session;
mod sessions;
mod share;
pub mod store;
mod subscription;
mod sync;
mod sys;
mod timers;
mod turn;
mod will;
mod wire;

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use whimbrel_proto::{Millis, server::connect::Durability};

use crate::sync::Mutex;
pub use access::{AccessOptions, ClientIdOf, DeniedWill, Untold};
pub use attach::{Attach, Attached, Coming, End};
pub use attention::Attention;
pub use conversation::{Conversation, Method, Question, Reply, Standing};
pub use counters::{Count, Counters};
pub use inspect::{ConnectionView, SessionView, SubscriptionView, WillView};
pub use kick::{Held, Kicked};
pub use limits::{DiskFull, Limits, QueueFull, ShareStrategy};
pub use message::Message;
pub use publish::{Progress, Publishing};
pub use session::Session;
pub use store::{Journal, Level};
pub use turn::{Notice, Now, Turn};
pub use whimbrel_access as rules;
pub use whimbrel_proto as proto;
pub use will::Will;
pub use wire::{Wire, Written};

/// Reminders handled in one [`Engine::tick`]; more wait for the next.
const REMINDERS_PER_TICK: usize = 256;

/// Everything that connections share.
pub struct Engine {
    /// Absent where everybody may do everything.
    access: Option<Box<access::Access>>,
    limits: Limits,
    budget: budget::Budget,
    connected: AtomicUsize,
    counters: counters::AllCounters,
    ends: ends::Ends,
    groups: share::Groups,
    keys: AtomicU64,
    /// Wills under way that no connection goes on with.
    left_over: Mutex<Vec<Publishing>>,
    notes: notes::Notes,
    retained: retained::Retained,
    router: routing::Router,
    seed: u64,
    sessions: sessions::Sessions,
    store: store::Store,
    stripes: Arc<retained::Stripes>,
    subscriptions: AtomicUsize,
    filter_bytes: AtomicUsize,
    sys: sys::Sys,
    timers: timers::Timers,
}

/// What a tick has brought up.
pub struct Ticked {
    /// Wills under way, for the caller to go on with.
    pub publishing: Vec<Box<Publishing>>,
    /// When to tick again.
    pub next: Millis,
}

impl Engine {
    /// An engine without sessions. `seed` keys its hash tables and the identifiers that it assigns: fixed in tests,
    /// from the system's randomness in a server.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        Engine {
            access: None,
            limits,
            budget: budget::Budget::default(),
            connected: AtomicUsize::new(0),
            counters: counters::AllCounters::default(),
            ends: ends::Ends::default(),
            groups: share::Groups::new(seed ^ 0x67),
            keys: AtomicU64::new(0),
            left_over: Mutex::default(),
            notes: notes::Notes::default(),
            retained: retained::Retained::new(seed ^ 0x72),
            router: routing::Router::new(seed ^ 0x74),
            seed,
            sessions: sessions::Sessions::new(seed ^ 0x73),
            store: store::Store::default(),
            stripes: retained::Stripes::new(),
            subscriptions: AtomicUsize::new(0),
            filter_bytes: AtomicUsize::new(0),
            sys: sys::Sys::default(),
            timers: timers::Timers::default(),
        }
    }

    /// Has the engine record what outlives it. What the journal holds already is to be restored first
    /// ([`store::Fold`]).
    #[must_use]
    pub fn with_journal(mut self, journal: Arc<dyn Journal>) -> Self {
        self.store = store::Store::new(Some(journal));
        self
    }

    /// What a client is told of the level of its connection: nothing where there is no journal.
    fn told_durability(&self, level: Level) -> Option<Durability> {
        self.store.is_on().then_some(match level {
            Level::Memory => Durability::Memory,
            Level::Process => Durability::Process,
            Level::Power => Durability::Power,
        })
    }

    /// A server begins to write: the journal learns the time.
    pub fn begin_records(&self, now: Now) {
        self.store.stage(&mut self.turn_to_record(), &store::Record::Start { wall_secs: now.wall_secs });
    }

    /// A turn in which nothing is routed.
    fn turn_to_record(&self) -> Turn {
        Turn::new(routing::MatchCache::new(1), self.counters.register())
    }

    /// Has what is recorded and what nobody waits for written in its time; called now and then.
    pub fn nudge(&self) {
        if let Some(journal) = self.store.journal() {
            journal.nudge();
            self.store.let_in(); // Whoever waits for room and has nobody who is rung for.
        }
    }

    /// A turn for one worker, to be used again and again.
    #[must_use]
    pub fn turn(&self) -> Turn {
        Turn::new(routing::MatchCache::new(self.limits.match_cache_topics_max), self.counters.register())
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Handles what is due: ends of sessions, delayed wills, expired retained messages.
    pub fn tick(&self, turn: &mut Turn, waiter: &Arc<dyn Wire>) -> Ticked {
        let mut publishing: Vec<Box<Publishing>> =
            std::mem::take(&mut *self.left_over.lock()).into_iter().map(Box::new).collect();
        for _ in 0..REMINDERS_PER_TICK {
            match self.timers.pop(turn.now.mono) {
                None => break,
                Some(timers::Timer::Retained { topic, number }) => {
                    if self.retained.expire(&topic, number, &self.store) {
                        turn.count(Count::RetainedExpired, 1);
                    }
                }
                Some(timers::Timer::Session(session)) => {
                    let will = self.remind(turn, &session);
                    publishing.extend(will.and_then(|will| self.publish_will(turn, &will, waiter)));
                }
            }
        }
        Ticked { publishing, next: self.timers.next() }
    }

    /// When [`Self::tick`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Millis {
        self.timers.next()
    }

    /// Forgets what a worker's cache keeps in vain; called now and then.
    pub fn sweep(&self, turn: &mut Turn) {
        turn.cache.sweep(&self.router);
    }

    /// The server is about to end, and with it every session: all wills are published now, while those who want them
    /// are still connected.
    pub fn publish_all_wills(&self, turn: &mut Turn, waiter: &Arc<dyn Wire>) -> Vec<Box<Publishing>> {
        let mut publishing = Vec::new();
        for session in self.sessions.all() {
            let will = self.take_will(&session, &mut session.lock());
            publishing.extend(will.and_then(|will| self.publish_will(turn, &will, waiter)));
        }
        publishing
    }

    /// Counters for a thread that has no turn but something to count. One thread writes them.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.register()
    }

    /// A count over all workers.
    #[must_use]
    pub fn count(&self, count: Count) -> u64 {
        self.counters.sum(count)
    }

    /// Connected clients.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.connected.load(Relaxed)
    }

    /// Sessions, with a connection or without.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Subscriptions of all sessions.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.load(Relaxed)
    }

    /// Filters in the router: one per session and filter, one per shared group.
    #[must_use]
    pub fn filters(&self) -> usize {
        self.router.len()
    }

    /// Retained messages, and their bytes of topic, properties and payload.
    #[must_use]
    pub fn retained(&self) -> (usize, usize) {
        (self.retained.len(), self.retained.bytes())
    }

    /// Bytes in all queues, and bytes that wait for blocked clients.
    #[must_use]
    pub fn waiting_bytes(&self) -> (usize, usize) {
        (self.budget.queue_bytes(), self.budget.outbox_bytes())
    }

    /// Bytes in flight to clients (in steps), in wills and in long client identifiers.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.budget.held_bytes()
    }

    fn new_key(&self) -> u64 {
        self.keys.fetch_add(1, Relaxed) + 1
    }

    /// Keeps the count of what waits for blocked clients up to date after an append.
    fn follow(&self, state: &mut session::State) {
        if let Some(link) = &mut state.link
            && link.blocked
        {
            self.budget.follow(link);
        }
    }

    /// A client identifier that no session has [MQTT-3.2.2-16].
    fn assign_client_id(&self) -> String {
        loop {
            let id =
                format!("whimbrel-{:016x}", self.sessions.spread(self.seed.wrapping_add(self.new_key())));
            if self.sessions.find(&id).is_none() {
                return id;
            }
        }
    }
}
