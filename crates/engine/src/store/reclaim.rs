//! Cleaning: what lives in the oldest part of the journal is recorded anew at its end, so that the part can go.
//!
//! What lives is what is in memory: nothing is read back. Everything is recorded under the lock under which it changes, with
//! its number, so that it keeps its place in every line.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use whimbrel_proto::{
    Stage,
    codec::{PacketId, QoS},
};

use super::{NO_PLACE, Record, StoredSession, spill::Moved};
use crate::{
    Count, Engine, Turn,
    queue::{Delivery, NO_NUMBER},
    retained::Cursor,
    routing::Interest,
    session::{Locked, Session},
    share::Group,
};

/// Deliveries that are recorded anew while one session is locked, at least; of a long queue a sixteenth.
const AT_ONCE: usize = 256;
/// Nodes of the retained tree that are looked at while nobody can change it.
const STEPS: usize = 256;

/// How far a cleaning has come. It goes on in steps, with everything else in between.
pub struct Reclaim {
    /// What lies before this position is recorded anew.
    below: u64,
    sessions: Vec<Arc<Session>>,
    groups: Vec<Arc<Group>>,
    /// Notes have not all been looked at.
    has_notes: bool,
    retained: Cursor,
    away: Moved,
    /// Records that were written anew, and their bytes.
    moved: u64,
    bytes: u64,
}

impl Reclaim {
    /// Bytes of the records that were written anew so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// What a step of cleaning has done.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Reclaimed {
    /// There is more to look at.
    More,
    /// Everything has been looked at. So many records were written anew; what is staged by now makes the old ones dead.
    Done {
        /// Records.
        moved: u64,
    },
}

impl Engine {
    /// Begins to clean what lies before `below` in the journal.
    pub fn begin_reclaim(&self, below: u64) -> Reclaim {
        let (mut sessions, groups) = (self.sessions.all(), self.all_groups());
        sessions.append(&mut self.ends.restored());
        let (retained, away) = (Cursor::default(), Moved::default());
        Reclaim { below, sessions, groups, has_notes: true, retained, away, moved: 0, bytes: 0 }
    }

    /// One step: one session, one group, or some retained messages.
    pub fn reclaim(&self, turn: &mut Turn, reclaim: &mut Reclaim) -> Reclaimed {
        let before = turn.staged_bytes;
        let reclaimed = self.reclaim_some(turn, reclaim);
        reclaim.bytes += turn.staged_bytes - before;
        reclaimed
    }

    fn reclaim_some(&self, turn: &mut Turn, reclaim: &mut Reclaim) -> Reclaimed {
        if let Some(session) = reclaim.sessions.last().cloned() {
            if self.reclaim_session(turn, reclaim, &session) {
                reclaim.sessions.pop();
            }
            return Reclaimed::More;
        }
        if let Some(group) = reclaim.groups.pop() {
            reclaim.moved += self.reclaim_group(turn, &group, reclaim.below);
            return Reclaimed::More;
        }
        if reclaim.has_notes {
            let (moved, done) = self.reclaim_notes(turn, reclaim.below);
            reclaim.moved += moved;
            reclaim.has_notes = !done;
            return Reclaimed::More;
        }
        let Reclaim { below, retained, moved, .. } = reclaim;
        let done = self.retained.visit(retained, STEPS, |kept| {
            let place = kept.place.load(Relaxed);
            if place == NO_PLACE {
                return; // The journal does not have it as retained: whoever else needs the message moves it.
            }
            let _gate = kept.message.stored.gate();
            if place < *below {
                let (message, topic) = (kept.message.stored.id(), kept.message.topic());
                let closed = kept.message.is_closed();
                let staged = self.store.stage(turn, &Record::Retain { message, topic, closed });
                if !staged.is_refused() {
                    self.store.needs_not(place);
                    self.store.needs(staged.position);
                    kept.place.store(staged.position, Relaxed);
                    *moved += 1;
                }
            }
            *moved += self.store.move_before(turn, &kept.message, *below);
        });
        if !done {
            return Reclaimed::More;
        }
        self.record_keys(turn);
        Reclaimed::Done { moved: reclaim.moved }
    }

    /// True when nothing of the session lies before any more.
    fn reclaim_session(&self, turn: &mut Turn, reclaim: &mut Reclaim, session: &Arc<Session>) -> bool {
        let below = reclaim.below;
        // First what is on disk alone: what is read back meanwhile is found in memory afterwards.
        let (moved, done) = self.reclaim_away(turn, session, below, &mut reclaim.away);
        reclaim.moved += moved;
        if !done {
            return false;
        }
        let mut locked = Locked::new(self, session);
        reclaim.moved += locked.reclaim_due_will(turn, below);
        if locked.state.ended {
            return true;
        }
        // A will on its way is in that record alone: it stays until the will is published, and its segment with it.
        let is_departing = locked.state.rare.as_ref().is_some_and(|rare| rare.is_departing);
        if locked.state.recorded && locked.state.place < below && !is_departing {
            locked.record_session(turn);
            reclaim.moved += 1;
        }
        reclaim.moved += locked.reclaim_subscriptions(turn, below);
        locked.drop_expired(turn);
        let (moved, done) = locked.reclaim_deliveries(turn, below);
        reclaim.moved += moved;
        if done && locked.is_durable() && locked.state.handshakes < below {
            reclaim.moved += locked.record_handshakes(turn);
        }
        done
    }
}

impl Locked<'_> {
    /// What is left of a session that was over before the server started is its will, which is due.
    fn reclaim_due_will(&mut self, turn: &mut Turn, below: u64) -> u64 {
        let Some(rare) = self.state.rare.as_mut().filter(|rare| rare.will_place < below) else { return 0 };
        let Some(will) = rare.will.as_ref() else { return 0 };
        let store = &self.engine.store;
        let session = StoredSession {
            key: self.session.key,
            client_id: &self.session.client_id,
            expiry_secs: 0,
            receive_maximum: 0,
            absent_since: turn.now.wall_secs.max(1),
            unsent_from: 0,
            next_number: 0,
            will: Some(will.stored()),
        };
        let staged = store.stage(turn, &Record::Session(session));
        if staged.is_refused() {
            return 0;
        }
        store.stage(turn, &Record::SessionEnd { key: self.session.key, has_will: true });
        store.needs_not(rare.will_place);
        store.needs(staged.position);
        rare.will_place = staged.position;
        2
    }

    fn reclaim_subscriptions(&mut self, turn: &mut Turn, below: u64) -> u64 {
        let is_there = self.state.open_link().is_some();
        if is_there && !self.is_durable() {
            // The session ends with this connection, and its record says so: after a crash nobody asks for them.
            for known in self.state.subscriptions.iter_mut().filter(|known| known.place < below) {
                self.engine.store.needs_not(std::mem::replace(&mut known.place, NO_PLACE));
            }
            return 0;
        }
        let old = self.state.subscriptions.iter().filter(|one| one.place < below);
        let old: Vec<(Box<str>, Interest)> = old.map(|one| (one.filter.clone(), one.interest)).collect();
        for (filter, interest) in &old {
            self.record_subscription(turn, filter, *interest);
        }
        old.len() as u64
    }

    /// What has expired need not be kept.
    fn drop_expired(&mut self, turn: &mut Turn) {
        let Some(queue) = &mut self.state.queue else { return };
        let mut gone = Vec::new();
        let (messages, bytes) = queue.remove_expired(&mut gone, turn.now.mono);
        if queue.is_empty() {
            self.state.queue = None;
        }
        self.engine.budget.dequeued(messages, bytes);
        turn.count(Count::DroppedExpired, messages as u64);
        gone.iter().for_each(|delivery| self.strike(turn, delivery));
    }

    /// Records some deliveries anew; true when none lies before.
    fn reclaim_deliveries(&mut self, turn: &mut Turn, below: u64) -> (u64, bool) {
        let key = self.session.key;
        let engine = self.engine;
        let state = &mut *self.state;
        let queued = state.queue.iter_mut().flat_map(|queue| queue.iter_mut());
        let most = AT_ONCE.max(queued.size_hint().0 / 16);
        let mut moved = 0;
        for delivery in state.outgoing.messages_mut().chain(queued) {
            moved += engine.move_delivery(turn, key, delivery, below);
            if moved as usize >= most {
                return (moved, false);
            }
        }
        if moved > 0 {
            state.last = engine.store.end();
        }
        (moved, true)
    }

    /// What is open between the client and the server besides messages: it is not counted as needed, and recorded anew as
    /// soon as the oldest record of it may go.
    fn record_handshakes(&mut self, turn: &mut Turn) -> u64 {
        let (key, store) = (self.session.key, &self.engine.store);
        let first = store.end();
        let released = self.state.outgoing.iter().filter(|sent| sent.stage() == Stage::Released);
        let numbers: Vec<u64> = released.map(|sent| sent.number()).collect();
        for number in &numbers {
            store.stage(turn, &Record::Received { key, number: *number });
        }
        let packet_ids: Vec<PacketId> = self.state.incoming.iter().collect();
        let moved = numbers.len() as u64 + u64::from(!packet_ids.is_empty());
        if !packet_ids.is_empty() {
            store.stage(turn, &Record::Open { key, packet_ids });
        }
        self.state.handshakes = if moved > 0 { first } else { NO_PLACE };
        moved
    }
}

impl Engine {
    /// Records a delivery anew if it lies before, and its message. Gives the number of records.
    pub(crate) fn move_delivery(
        &self,
        turn: &mut Turn,
        key: u64,
        delivery: &mut Delivery,
        below: u64,
    ) -> u64 {
        if !delivery.is_recorded() {
            return 0;
        }
        let store = &self.store;
        let shared = delivery.message.clone();
        let _gate = shared.stored.gate();
        let mut moved = store.move_before(turn, &shared, below);
        if delivery.place >= below {
            return moved;
        }
        moved += 1;
        let (message, closed) = (shared.stored.id(), shared.is_closed());
        let record = match delivery.group.as_ref().filter(|_| delivery.parked != NO_NUMBER) {
            Some(group) => Record::Park { parked: group.parked(delivery.parked), message, closed },
            None => delivery.record(key, closed, None),
        };
        let staged = store.stage(turn, &record);
        if staged.is_refused() {
            return moved - 1; // The old one stays needed, and its segment with it.
        }
        store.needs_not(delivery.place);
        store.needs(staged.position);
        delivery.place = staged.position;
        debug_assert!(delivery.qos > QoS::AtMostOnce, "nothing of QoS 0 is recorded");
        moved
    }
}
