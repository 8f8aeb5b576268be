//! What the journal says of a session itself: that it is there, whether its client is, and that it is over.

use std::sync::atomic::Ordering::Relaxed;

use crate::{
    Engine, Turn,
    queue::{Delivery, NO_NUMBER},
    retained::Fetch,
    session::{Locked, Session},
    store::{Record, StoredSession},
    subscription::Subscription,
};

impl Locked<'_> {
    /// Records how the session stands, if it outlives its connection or has a will. Gives the end of what was recorded of
    /// it, 0 if there is nothing.
    pub(crate) fn record_session(&mut self, turn: &mut Turn) -> u64 {
        let has_will = self.state.rare.as_ref().is_some_and(|rare| rare.will.is_some());
        let outlives = self.state.expiry_secs > 0;
        let store = &self.engine.store;
        if !store.is_on() || !(outlives || has_will || self.state.recorded) {
            return 0;
        }
        self.session.durable.store(outlives, Relaxed);
        self.state.recorded = true;
        let user_place = self.record_user(turn);
        let absent_since = if self.state.link.is_some() { 0 } else { self.state.absent_since.max(1) };
        let state = &*self.state;
        let record = Record::Session(StoredSession {
            key: self.session.key,
            client_id: &self.session.client_id,
            expiry_secs: state.expiry_secs,
            receive_maximum: state.link.as_ref().map_or(state.receive_maximum, |link| link.receive_maximum),
            absent_since,
            unsent_from: if state.link.is_some() { u64::MAX } else { state.unsent_from },
            next_number: state.outgoing.next_number(),
            will: state.rare.as_ref().and_then(|rare| rare.will.as_ref()).map(|will| will.stored()),
        });
        let staged = store.stage(turn, &record);
        if !staged.is_refused() {
            // The two are one: who it belongs to is recorded anew with it.
            let place = user_place.unwrap_or(staged.position);
            store.needs_not(state.place);
            store.needs(place);
            self.state.place = place;
        }
        self.state.last = staged.end;
        staged.end
    }

    /// Records whose the session is, before the session itself: after a crash between the two there is none. Gives the place
    /// where there is anything to say.
    fn record_user(&mut self, turn: &mut Turn) -> Option<u64> {
        let state = &mut *self.state;
        if state.owner.is_none() && !state.owner_recorded {
            return None;
        }
        let record = Record::User { key: self.session.key, user: state.owner.as_deref() };
        let staged = self.engine.store.stage(turn, &record);
        state.owner_recorded = state.owner.is_some();
        (!staged.is_refused()).then_some(staged.position)
    }

    /// The connection has ended, the session stays. Nobody waits for that: after a crash the client counts as gone anyway.
    pub(crate) fn record_absence(&mut self, turn: &mut Turn, will_is_due: bool) {
        let state = &mut *self.state;
        state.absent_since = turn.now.wall_secs;
        let numbers = state.queue.iter().flat_map(|queue| queue.iter()).map(|delivery| delivery.number);
        let numbers = numbers.chain(state.queue.iter().filter_map(|queue| queue.first_number_away()));
        let unsent_from = numbers.filter(|number| *number != NO_NUMBER).min();
        state.unsent_from = unsent_from.unwrap_or_else(|| state.outgoing.next_number());
        state.receive_maximum = u16::try_from(state.outgoing.len()).unwrap_or(u16::MAX);
        if state.recorded {
            let record = Record::Absent {
                key: self.session.key,
                since: turn.now.wall_secs,
                expiry_secs: state.expiry_secs,
                unsent_from: state.unsent_from,
                // A will that is due is kept until it is published.
                has_will: will_is_due || state.rare.as_ref().is_some_and(|rare| rare.will.is_some()),
            };
            state.last = self.engine.store.stage(turn, &record).end;
        }
    }

    /// A subscription has got all retained messages that it was owed, but for what other fetches bring.
    pub(crate) fn note_fetched(&mut self, turn: &mut Turn, fetch: &Fetch) {
        if !self.is_durable() {
            return;
        }
        let filter = fetch.filter();
        let record = Record::Fetched { key: self.session.key, filter };
        self.state.last = self.engine.store.stage(turn, &record).end;
        let others = self.state.rare.as_ref().map(|rare| rare.fetches.as_slice()).unwrap_or_default();
        if others.iter().any(|other| other.is_for(filter))
            && let Some(known) = self.state.subscriptions.iter().find(|known| *known.filter == *filter)
        {
            let interest = known.interest;
            self.record_subscription(turn, filter, interest);
        }
    }
}

impl Engine {
    /// The highest key of a session is perhaps told by nothing but what is about to go, and no key is given out twice: one
    /// more is given out, to nobody, and its session is over.
    pub(crate) fn record_keys(&self, turn: &mut Turn) {
        self.store.stage(turn, &Record::SessionEnd { key: self.new_key(), has_will: false });
    }

    /// A session is over, with all that it was owed. Gives where that is recorded.
    pub(crate) fn record_end(
        &self,
        turn: &mut Turn,
        session: &Session,
        has_will: bool,
        gone: &[Delivery],
        subscriptions: &[Subscription],
    ) -> u64 {
        let end = self.store.stage(turn, &Record::SessionEnd { key: session.key, has_will }).end;
        self.note_recorded_end(session, end);
        for delivery in gone {
            self.store.needs_not(delivery.place);
            self.store.release(&delivery.message);
        }
        subscriptions.iter().for_each(|one| self.store.needs_not(one.place));
        end
    }
}
