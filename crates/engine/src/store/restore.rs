//! What the fold has found becomes the engine's again, by the ways on which live traffic enters: subscriptions into the
//! router, messages into queues, reminders into the timers.

use std::sync::{
    Arc,
    atomic::Ordering::{Relaxed, SeqCst},
};

use whimbrel_proto::codec::Filter;

use super::{
    NO_PLACE, ReadFailed, Store,
    fold::{Content, Fold, FoldMessages, FoldSession, Numbered, Owed},
    spill::message_of,
    staging::mono_of,
};
use crate::{
    Engine, Will,
    message::Message,
    queue::{Away, Delivery},
    retained::Fetch,
    routing::Interest,
    session::{Locked, Session},
    timers::Timer,
    turn::Now,
};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Sessions that are back, all of them without their clients.
    pub sessions: usize,
    /// Their subscriptions.
    pub subscriptions: usize,
    /// Messages that sessions and shared groups are owed; one counts for each.
    pub owed: usize,
    /// Retained messages.
    pub retained: usize,
    /// Wills that are published unless their clients come back in time.
    pub wills: usize,
    /// Publishes that had not been recorded whole: nobody was told that they were taken.
    pub dropped: usize,
    /// Messages that somebody is owed and that are not there. 0 unless the store is damaged.
    pub missing: usize,
    /// What could not be read although the journal has it: the disk fails, and some of what is missing may be there.
    pub unreadable: Option<String>,
}

/// Messages by name, made once however many are owed them.
struct Messages<'e> {
    folded: FoldMessages,
    made: Numbered<Arc<Message>>,
    store: &'e Store,
    now: Now,
    missing: usize,
    unreadable: Option<String>,
}

impl Messages<'_> {
    fn get(&mut self, id: u64, number: u64) -> Option<Arc<Message>> {
        if let Some(known) = self.made.get(&id) {
            return Some(known.clone());
        }
        let made = self.make(id, number);
        self.missing += usize::from(made.is_none());
        let message = Arc::new(made?);
        self.made.insert(id, message.clone());
        Some(message)
    }

    fn make(&mut self, id: u64, number: u64) -> Option<Message> {
        let content = self.folded.get_mut(id)?.content.as_mut()?;
        let record = match content.record.take() {
            Some(record) => Vec::from(record),
            None => match self.store.journal()?.read(content.position) {
                Ok(record) => record,
                Err(ReadFailed::Broken(what)) => {
                    self.unreadable.get_or_insert(what);
                    return None;
                }
                Err(ReadFailed::NotYet | ReadFailed::Gone) => return None,
            },
        };
        let message = message_of(&record, mono_of(self.now, content.expires), number)?;
        message.stored.restore(id, content.position, content.bytes);
        Some(message)
    }

    /// Where the journal has a delivery that stays on disk alone.
    fn away(&mut self, number: u64, owed: &Owed) -> Option<Away> {
        let content = self.folded.get_mut(owed.message).and_then(|folded| folded.content.as_mut());
        self.missing += usize::from(content.is_none());
        let content = content?;
        let Content { position: message, bytes, size, expires, .. } = *content;
        let expires = mono_of(self.now, expires);
        Some(Away { number, place: owed.place, message, bytes, size, expires })
    }
}

impl Fold {
    /// Gives an engine that has seen no client yet what the records say. `now.wall_secs` is the present time; where the
    /// clock stands before what the records tell, no time has passed.
    pub fn restore(mut self, engine: &Engine, now: Now) -> Restored {
        let mut restored = Restored { dropped: self.drop_open(), ..Restored::default() };
        let now = Now { wall_secs: now.wall_secs.max(self.wall_secs), ..now };
        engine.keys.fetch_max(self.key, SeqCst);
        engine.end_given_back(&self.drop_given_back());
        for (name, (value, place)) in std::mem::take(&mut self.notes) {
            engine.restore_note(name, value, place);
        }
        let folded = std::mem::take(&mut self.messages);
        let store = &engine.store;
        let mut messages =
            Messages { folded, made: Numbered::default(), store, now, missing: 0, unreadable: None };
        // In the order in which the topics were retained: their numbers ascend.
        let mut retained: Vec<(u64, u64)> = self.retained.values().map(|(id, place)| (*place, *id)).collect();
        retained.sort_unstable();
        for (place, id) in retained {
            let Some(message) = messages.get(id, engine.retained.next_number()) else { continue };
            engine.store.hold(&message);
            engine.store.needs(place);
            engine.retained.restore(&message, place, &engine.timers);
            restored.retained += 1;
        }
        let mut sessions: Vec<(u64, FoldSession)> = self.sessions.drain().collect();
        sessions.sort_unstable_by_key(|(key, _)| *key);
        for (key, session) in sessions {
            engine.restore_session(key, session, &mut messages, &mut restored);
        }
        self.groups.retain(|_, queue| !queue.is_empty());
        for ((share, filter), queue) in std::mem::take(&mut self.groups) {
            let Some(group) = engine.find_group(&share, &filter) else {
                engine.end_restored_group(&share, &filter);
                continue;
            };
            for (number, owed) in queue {
                let Some(message) = messages.get(owed.message, 0) else { continue };
                engine.store.hold(&message);
                engine.store.needs(owed.place);
                let body = message.body();
                let mut delivery = Delivery::new(message.clone(), None, body.qos, body.retain);
                (delivery.place, delivery.parked) = (owed.place, number);
                engine.restore_parked(&group, delivery);
                restored.owed += 1;
            }
        }
        restored.missing = messages.missing;
        restored.unreadable = messages.unreadable;
        restored
    }
}

impl Engine {
    fn restore_session(
        &self,
        key: u64,
        folded: FoldSession,
        messages: &mut Messages<'_>,
        restored: &mut Restored,
    ) {
        let Some(client_id) = &folded.client_id else { return };
        if folded.expiry_secs == 0 && folded.will.is_none() {
            return; // It ended with its connection.
        }
        let charge = self.charge_client_id(client_id);
        let session = Arc::new(Session::new(key, client_id.clone(), charge));
        if folded.ended {
            // Its client may have another session already, which it does not stand in the way of.
            self.restore_due_will(&session, &folded, messages.now, restored);
            return;
        }
        if !self.sessions.insert(&session) {
            return; // Its client identifier has a later session.
        }
        restored.sessions += 1;
        let mut locked = Locked::new(self, &session);
        let state = &mut *locked.state;
        state.recorded = true;
        state.place = folded.place;
        self.store.needs(folded.place);
        state.expiry_secs = folded.expiry_secs;
        state.receive_maximum = folded.receive_maximum;
        state.unsent_from = folded.unsent_from;
        folded.open.iter().for_each(|id| state.incoming.restore(*id));
        // Where their records are was not kept: the next cleaning records them anew.
        state.handshakes = if folded.open.is_empty() && folded.received.is_empty() { NO_PLACE } else { 0 };
        session.durable.store(folded.expiry_secs > 0, Relaxed);
        drop(locked);
        if folded.expiry_secs > 0 {
            self.restore_subscriptions(&session, &folded, restored);
            self.restore_owed(&session, &folded, messages, restored);
        }
        self.restore_presence(&session, &folded, messages.now, restored);
    }

    fn restore_subscriptions(&self, session: &Arc<Session>, folded: &FoldSession, restored: &mut Restored) {
        for (text, kept) in &folded.subscriptions {
            let Ok(filter) = Filter::parse(text) else { continue };
            let interest = Interest {
                qos: kept.qos,
                no_local: kept.no_local,
                retain_as_published: kept.retain_as_published,
                id: kept.id,
                since: 0,
                free: 0,
            };
            let mut group = None;
            match filter.share {
                Some(share) => group = Some(self.join_group(share, &filter, session, interest)),
                None => {
                    self.router.insert(session, filter.filter, interest, Some(0), || 0);
                }
            }
            let mut locked = Locked::new(self, session);
            let at = locked.state.subscriptions.len(); // They come sorted.
            self.enter(&mut locked.state, at, text, interest);
            if let Some(entered) = locked.state.subscriptions.last_mut() {
                (entered.group, entered.place) = (group, kept.place);
            }
            self.store.needs(kept.place);
            if let Some(qos) = kept.fetch {
                let interest = Interest { qos, ..interest };
                let ids = (interest.id != 0).then(|| Arc::from([interest.id]));
                let until = self.retained.last_number();
                let fetch = Fetch::new(filter.filter, interest, until, ids, Vec::new());
                locked.state.rare().fetches.push(fetch);
            }
            restored.subscriptions += 1;
        }
    }

    /// What was on its way goes out again under its packet identifier; the rest waits in the queue.
    fn restore_owed(
        &self,
        session: &Arc<Session>,
        folded: &FoldSession,
        messages: &mut Messages<'_>,
        restored: &mut Restored,
    ) {
        let mut groups = Vec::new();
        let mut locked = Locked::new(self, session);
        let mut received = folded.received.iter().copied().peekable();
        let mut sent = folded.received.len();
        for (number, owed) in &folded.owed {
            while let Some(earlier) = received.next_if(|one| one < number) {
                locked.state.outgoing.restore(earlier, None);
            }
            let group = owed.rare.as_ref().and_then(|rare| rare.group.as_ref());
            if (*number >= folded.unsent_from || sent >= usize::from(folded.receive_maximum))
                && group.is_none()
                && locked.leaves_restored()
            {
                let Some(away) = messages.away(*number, owed) else { continue };
                locked.restore_away(away);
                restored.owed += 1;
                continue;
            }
            let Some(mut delivery) = self.restore_delivery(*number, owed, messages) else { continue };
            if let Some((share, filter)) = group {
                delivery.group = self.find_group(share, filter);
                groups.extend(delivery.group.clone());
            }
            restored.owed += 1;
            // Only what the client's Receive Maximum let go can have been sent before the crash.
            if *number < folded.unsent_from && sent < usize::from(folded.receive_maximum) {
                sent += 1;
                locked.took_off(delivery.message.size());
                locked.state.outgoing.restore(*number, Some((owed.qos, delivery)));
            } else {
                locked.enqueue(delivery);
            }
        }
        received.for_each(|number| locked.state.outgoing.restore(number, None));
        locked.state.outgoing.skip_to(folded.next_number);
        locked.note_backlog();
        drop(locked);
        groups.iter().for_each(|group| group.strand(session));
    }

    fn restore_delivery(&self, number: u64, owed: &Owed, messages: &mut Messages<'_>) -> Option<Delivery> {
        let message = messages.get(owed.message, 0)?;
        self.store.hold(&message);
        self.store.needs(owed.place);
        let ids = owed.rare.as_ref().map(|rare| rare.ids.as_slice()).unwrap_or_default();
        let ids = (!ids.is_empty()).then(|| Arc::from(ids));
        let mut delivery = Delivery::new(message, ids, owed.qos, owed.retain);
        (delivery.number, delivery.place) = (number, owed.place);
        Some(delivery)
    }

    /// The will of a session that had ended: it is published, whoever comes back [MQTT-3.1.2-8].
    fn restore_due_will(
        &self,
        session: &Arc<Session>,
        folded: &FoldSession,
        now: Now,
        restored: &mut Restored,
    ) {
        let Some(kept) = &folded.will else { return };
        restored.wills += 1;
        let mut will = Will::restore(&kept.stored());
        will.charge = Some(self.budget.charge(will.size()));
        let mut locked = Locked::new(self, session);
        let rare = locked.state.rare();
        rare.will = Some(will);
        rare.will_due = Some(self.timers.add(now.mono, Timer::Session(session.clone())));
        self.store.needs(folded.place);
        rare.will_place = folded.place;
        self.ends.note_restored(session);
    }

    /// When the session ends and its will is due: what was connected at the crash is absent since now.
    fn restore_presence(
        &self,
        session: &Arc<Session>,
        folded: &FoldSession,
        now: Now,
        restored: &mut Restored,
    ) {
        let mut locked = Locked::new(self, session);
        let was_connected = folded.absent_since == 0;
        let absent_since = if was_connected { now.wall_secs } else { folded.absent_since };
        locked.state.absent_since = absent_since;
        let grace = now.mono + self.limits.will_grace_millis;
        let mut ends = mono_of(now, absent_since.saturating_add(u64::from(folded.expiry_secs)));
        let Some(kept) = &folded.will else {
            let reminder = self.timers.add(ends, Timer::Session(session.clone()));
            locked.state.rare().expires = Some(reminder);
            return;
        };
        restored.wills += 1;
        let mut will = Will::restore(&kept.stored());
        let due = mono_of(now, absent_since.saturating_add(u64::from(will.delay_secs))).max(grace);
        // With the end of the session its will is due [MQTT-3.1.2-8]; a client has time to come back first.
        ends = ends.max(grace);
        will.charge = Some(self.budget.charge(will.size()));
        let rare = locked.state.rare();
        rare.is_relic = folded.expiry_secs == 0;
        rare.will = Some(will);
        rare.will_due = Some(self.timers.add(due, Timer::Session(session.clone())));
        rare.expires = Some(self.timers.add(ends, Timer::Session(session.clone())));
    }
}
