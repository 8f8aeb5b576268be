//! What a CONNECT waits for: room on the disk, and that the end of its client's session before is recorded, its will published.
//! Not the sessions and the wills themselves.
//!
//! By the hash of the client identifier, in a table that does not grow: whose place is another's, too, waits a moment in
//! vain now and then.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
};

use whimbrel_proto::server::Negotiated;

use crate::{
    Engine, Turn, Wire,
    session::{Session, State},
    store::{NO_PLACE, Record},
    sync::Mutex,
    will::Will,
};

const PLACES: usize = 1_024;

#[derive(Default)]
struct Place {
    /// Everything that is promised with a CONNACK is durable from here on.
    recorded: AtomicU64,
    /// Wills on their way.
    departing: AtomicUsize,
    waiting: Mutex<Vec<Arc<dyn Wire>>>,
}

/// All places.
pub(crate) struct Ends {
    places: Box<[Arc<Place>]>,
    /// Sessions of an earlier life of the server that were over but for their wills, which are due. No table has them.
    restored: Mutex<Vec<Weak<Session>>>,
}

/// A will that is on its way from its session to everybody; dropping it lets the next connection of its client in.
pub(crate) struct Departure {
    pub session: Arc<Session>,
    place: Option<Arc<Place>>,
}

impl std::fmt::Debug for Departure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Departure").field(&self.session.client_id).finish()
    }
}

impl Default for Ends {
    fn default() -> Self {
        Ends { places: (0..PLACES).map(|_| Arc::default()).collect(), restored: Mutex::default() }
    }
}

impl Ends {
    /// Notes what cleaning would not find otherwise.
    pub(crate) fn note_restored(&self, session: &Arc<Session>) {
        self.restored.lock().push(Arc::downgrade(session));
    }

    /// Those that are left.
    pub(crate) fn restored(&self) -> Vec<Arc<Session>> {
        let mut restored = self.restored.lock();
        restored.retain(|session| session.strong_count() > 0);
        restored.iter().filter_map(Weak::upgrade).collect()
    }

    fn place(&self, hash: u64) -> Option<&Arc<Place>> {
        self.places.get(hash as usize % PLACES)
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        if let Some(place) = &self.place
            && place.departing.fetch_sub(1, SeqCst) == 1
        {
            let waiting = std::mem::take(&mut *place.waiting.lock());
            waiting.iter().for_each(|waiter| waiter.wake());
        }
    }
}

impl Engine {
    /// Takes the will out of a session, since it is due. The journal keeps it until [`Self::end_departure`].
    pub(crate) fn take_will(&self, session: &Arc<Session>, state: &mut State) -> Option<Will> {
        let rare = state.rare.as_mut()?;
        let mut will = rare.will.take()?;
        let mut place = None;
        if self.store.is_on() {
            rare.is_departing = true;
            place = self.ends.place(self.sessions.hash(&session.client_id)).cloned();
            place.iter().for_each(|place| {
                place.departing.fetch_add(1, SeqCst);
            });
        }
        will.departure = Some(Arc::new(Departure { session: session.clone(), place }));
        Some(will)
    }

    /// Nobody gets a will that was taken out of its session.
    pub(crate) fn forget_will(&self, turn: &mut Turn, session: &Arc<Session>) {
        let end = self.store.stage(turn, &Record::WillGone { key: session.key }).end;
        self.end_departure(session, end);
    }

    /// A will is with everybody, or nobody gets it: that is recorded up to `end`.
    pub(crate) fn end_departure(&self, session: &Arc<Session>, end: u64) {
        self.note_recorded_end(session, end);
        let mut state = session.lock();
        let Some(rare) = &mut state.rare else { return };
        rare.is_departing = false;
        let place = std::mem::replace(&mut rare.will_place, NO_PLACE);
        drop(state);
        self.store.needs_not(place);
    }

    /// The next CONNACK of this client waits until the journal has come so far.
    pub(crate) fn note_recorded_end(&self, session: &Session, end: u64) {
        if let Some(place) =
            self.ends.place(self.sessions.hash(&session.client_id)).filter(|_| end < u64::MAX)
        {
            place.recorded.fetch_max(end, SeqCst);
        }
    }

    /// What a CONNACK for this client promises of what was before.
    pub(crate) fn recorded_ends(&self, client_id: &str) -> u64 {
        self.ends.place(self.sessions.hash(client_id)).map_or(0, |place| place.recorded.load(SeqCst))
    }

    /// Whether a will of this client is on its way. The wire is woken when it has come.
    pub(crate) fn awaits_departure(&self, client_id: &str, waiter: &Arc<dyn Wire>) -> bool {
        let Some(place) = self.ends.place(self.sessions.hash(client_id)) else { return false };
        if place.departing.load(SeqCst) == 0 {
            return false;
        }
        let mut waiting = place.waiting.lock();
        if !waiting.iter().any(|known| Arc::ptr_eq(known, waiter)) {
            waiting.push(waiter.clone());
        }
        // The second look, behind the entry: whoever comes last wakes who has entered.
        place.departing.load(SeqCst) > 0
    }

    /// Whether so much waits for the disk that nothing begins that has to be recorded, as this connection has.
    pub(crate) fn is_held_up(&self, negotiated: &Negotiated, has_will: bool, client_id: &str) -> bool {
        let is_recorded = || self.sessions.find(client_id).is_some_and(|session| session.lock().recorded);
        self.store.is_over_budget() && (negotiated.session_expiry_secs > 0 || has_will || is_recorded())
    }
}
