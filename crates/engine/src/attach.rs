//! A connection meets its session and leaves it: CONNECT, take-over, the end of a connection, the end of a session.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use whimbrel_access::Who;
use whimbrel_proto::{
    Stage,
    codec::{QoS, ReasonCode, Version},
    server::{Negotiated, connect::connack_fits},
};

use crate::{
    Count, Engine, Level, Publishing, Turn, Wire,
    budget::Charge,
    commit::{self, Promise},
    link::Link,
    queue::Delivery,
    session::{Locked, Session, State},
    share::Group,
    subscription::Subscription,
    timers::Timer,
    will::Will,
};

/// Client identifiers up to this many bytes are part of what a session costs; longer ones count as held memory.
const CLIENT_ID_FREE_BYTES: usize = 64;

/// A connection's hold on its session.
#[derive(Clone)]
pub struct Attached {
    pub(crate) session: Arc<Session>,
    pub(crate) wire: Arc<dyn Wire>,
    epoch: u32,
    pub(crate) version: Version,
    /// How sure what is promised on this connection has to be.
    pub(crate) level: Level,
}

impl Attached {
    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }
}

/// What a connection brings to its session; kept by the caller until it has one.
#[derive(Default)]
pub struct Coming {
    /// Its will, until the session has it.
    pub will: Option<Will>,
    /// 0 at first: of several connections that ask for one session the latest gets it.
    pub ticket: u64,
    /// Who it is, for the rules, with the client identifier that it gets. Absent where there are none.
    pub who: Option<Arc<Who>>,
    /// The user name that it has proved, if any: whose the session is.
    pub user: Option<Arc<str>>,
}

/// A CONNECT on its way to its session.
struct Arrival<'a> {
    negotiated: &'a Negotiated,
    client_id: &'a str,
    /// The client identifier, if the server has chosen it.
    assigned: Option<&'a str>,
    wire: &'a Arc<dyn Wire>,
    ticket: u64,
    /// It has been counted as a connection.
    admitted: bool,
    level: Level,
    /// What its CONNACK promises is durable from here on.
    promised: u64,
    who: Option<&'a Arc<Who>>,
    user: Option<&'a Arc<str>>,
}

/// The answer to a CONNECT.
pub enum Attach {
    /// The client is in; CONNACK and what waited are in its outbox.
    Ready(Attached),
    /// Another connection has the session and was told to leave; ask again when the wire is woken.
    Wait,
    /// CONNACK with this reason, then close.
    Refused(ReasonCode),
}

/// Why a connection ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The client sent DISCONNECT.
    Disconnect {
        /// Its reason code.
        reason: ReasonCode,
        /// The session expiry that it set, in seconds.
        session_expiry_secs: Option<u32>,
    },
    /// Anything else: the network, a violation, a take-over, the server's end.
    Lost,
}

/// What is left of a session that has ended.
struct Remains {
    subscriptions: Vec<Subscription>,
    abandoned: Vec<Delivery>,
    will: Option<Will>,
    /// Nothing was left of it but its will.
    is_relic: bool,
}

impl Engine {
    /// Finds or makes the session of a CONNECT and joins the connection to it.
    pub fn attach(
        &self,
        turn: &mut Turn,
        negotiated: &Negotiated,
        Coming { will, ticket, who, user }: &mut Coming,
        level: Level,
        wire: &Arc<dyn Wire>,
    ) -> Attach {
        let (who, user) = (who.as_ref(), user.as_ref());
        if *ticket == 0 {
            *ticket = self.new_key();
        }
        let assigned = negotiated
            .client_id
            .is_empty()
            .then(|| who.map_or_else(|| self.assign_client_id(), |who| who.client_id.to_string()));
        if !connack_fits(negotiated, assigned.as_deref(), &self.limits.connection) {
            return Attach::Refused(ReasonCode::PacketTooLarge);
        }
        let client_id = assigned.as_deref().unwrap_or(&negotiated.client_id);
        let assigned = assigned.as_deref();
        let (ticket, admitted, promised) = (*ticket, false, 0);
        if self.is_held_up(negotiated, will.is_some(), client_id) {
            turn.count(Count::WaitedForDisk, 1);
            self.store.wait(wire);
            return Attach::Wait;
        }
        let mut arrival =
            Arrival { negotiated, client_id, assigned, wire, ticket, admitted, level, promised, who, user };
        let attach = loop {
            let answer = match self.sessions.find(client_id) {
                None => self.begin_session(turn, &mut arrival, will),
                Some(session) => self.meet_session(turn, &mut arrival, will, &session),
            };
            if let Some(answer) = answer {
                break answer;
            }
        };
        if arrival.admitted && !matches!(attach, Attach::Ready(_)) {
            self.connected.fetch_sub(1, Relaxed);
        }
        attach
    }

    /// There is no session of this client. `None`: there is one now.
    fn begin_session(
        &self,
        turn: &mut Turn,
        arrival: &mut Arrival<'_>,
        will: &mut Option<Will>,
    ) -> Option<Attach> {
        if self.awaits_departure(arrival.client_id, arrival.wire) {
            return Some(Attach::Wait);
        }
        if self.sessions.len() >= self.limits.sessions_max {
            turn.count(Count::SessionsLimit, 1);
            return Some(Attach::Refused(ReasonCode::QuotaExceeded));
        }
        let id = arrival.client_id;
        // Who has a session comes back always: what fills the memory may be its own.
        let will_bytes = will.as_ref().map_or(0, Will::size);
        if (will_bytes > 0 || id.len() > CLIENT_ID_FREE_BYTES)
            && self.budget.is_memory_full(&self.limits, will_bytes + id.len())
        {
            turn.count(Count::ConnectMemory, 1);
            return Some(Attach::Refused(ReasonCode::QuotaExceeded));
        }
        let charge = self.charge_client_id(id);
        let session = Arc::new(Session::new(self.new_key(), id.into(), charge));
        let mut locked = Locked::new(self, &session);
        if !self.admit(turn, &mut arrival.admitted) {
            return Some(Attach::Refused(ReasonCode::QuotaExceeded));
        }
        // Entered while it is locked: nobody sees it without its link.
        if !self.sessions.insert(&session) {
            return None;
        }
        locked.state.newest = arrival.ticket;
        Some(Attach::Ready(self.join(&mut locked, turn, arrival, will, false)))
    }

    /// What a long client identifier costs.
    pub(crate) fn charge_client_id(&self, id: &str) -> Option<Charge> {
        (id.len() > CLIENT_ID_FREE_BYTES).then(|| self.budget.charge(id.len()))
    }

    /// There is a session of this client. `None`: it is over.
    fn meet_session(
        &self,
        turn: &mut Turn,
        arrival: &mut Arrival<'_>,
        will: &mut Option<Will>,
        session: &Arc<Session>,
    ) -> Option<Attach> {
        let mut locked = Locked::new(self, session);
        if locked.state.ended {
            drop(locked);
            self.sessions.remove(session);
            return None;
        }
        if self.is_foreign(locked.state.bearing.as_deref(), arrival.who)
            || self.is_owned_by_another(locked.state.owner.as_deref(), arrival.user)
        {
            turn.count(Count::DeniedClientId, 1);
            return Some(Attach::Refused(ReasonCode::NotAuthorized));
        }
        if locked.state.newest > arrival.ticket {
            // A later connection has asked for the session while this one waited.
            return Some(Attach::Refused(ReasonCode::ServerBusy));
        }
        locked.state.newest = arrival.ticket;
        if locked.state.link.is_some() {
            // The limit of connections does not keep a client out that has one: it takes its own place (unless
            // somebody else takes it between the end of the one connection and the beginning of the other).
            self.take_over(&mut locked, turn, arrival.wire);
            return Some(Attach::Wait);
        }
        let rare = locked.state.rare.as_ref();
        let timers = rare.into_iter().flat_map(|rare| rare.expires.iter().chain(&rare.will_due));
        if timers.into_iter().any(|(at, _)| *at <= turn.now.mono) {
            // The reminder is late: what is due is done first, as if it had come in time.
            drop(locked);
            let due = self.remind(turn, session);
            let rest = due.and_then(|will| self.publish_will(turn, &will, arrival.wire));
            self.left_over.lock().extend(rest.map(|rest| *rest));
            return None;
        }
        if self.awaits_departure(arrival.client_id, arrival.wire) {
            // Its will is recorded as published before anything is recorded of the new connection.
            return Some(Attach::Wait);
        }
        if !self.admit(turn, &mut arrival.admitted) {
            return Some(Attach::Refused(ReasonCode::QuotaExceeded));
        }
        // What a crash has left of a session that ended with it is its will alone.
        let is_relic = locked.state.rare.as_ref().is_some_and(|rare| rare.is_relic);
        if !arrival.negotiated.clean_start && !is_relic {
            let attached = self.join(&mut locked, turn, arrival, will, true);
            drop(locked);
            // They were somebody else's rules, or other ones, when it subscribed.
            self.recheck(turn, session);
            self.resume_deliveries(turn, &attached);
            return Some(Attach::Ready(attached));
        }
        // [MQTT-3.1.2-4]: the old session is discarded, and with its end its will is due.
        let mut remains = self.end(&mut locked, turn);
        arrival.promised = arrival.promised.max(locked.state.last);
        drop(locked);
        if remains.is_relic && remains.will.take().is_some() {
            // Its client is back from a crash of the server in time.
            self.forget_will(turn, session);
        }
        let due = self.bury(turn, session, remains);
        // What is left of a large fan-out of it is the keeper's: this connection may be refused yet.
        let rest = due.and_then(|will| self.publish_will(turn, &will, arrival.wire));
        self.left_over.lock().extend(rest.map(|rest| *rest));
        None
    }

    /// Counts a connection in, once, unless there are as many as there may be.
    fn admit(&self, turn: &Turn, admitted: &mut bool) -> bool {
        if !*admitted {
            let max = self.limits.connections_max;
            let more = |connected| (connected < max).then_some(connected + 1);
            *admitted = self.connected.fetch_update(Relaxed, Relaxed, more).is_ok();
            turn.count(Count::ConnectionsLimit, u64::from(!*admitted));
        }
        *admitted
    }

    fn take_over(&self, locked: &mut Locked<'_>, turn: &mut Turn, waiter: &Arc<dyn Wire>) {
        let old = locked.state.link.as_ref().map(|link| link.wire.clone());
        if locked.state.open_link().is_some() {
            turn.count(Count::Takeovers, 1);
            self.close_link(locked, turn, ReasonCode::SessionTakenOver, None); // [MQTT-3.1.4-3]
        }
        let older = locked.state.rare().waiter.replace(waiter.clone());
        if let Some(older) = older.filter(|older| !Arc::ptr_eq(older, waiter)) {
            older.wake(); // It learns that a later one has come.
        }
        if let Some(old) = old {
            old.wake();
        }
    }

    /// Tells the client that the connection ends, and why, and lets its owner close it.
    pub(crate) fn close_link(
        &self,
        locked: &mut Locked<'_>,
        turn: &mut Turn,
        reason: ReasonCode,
        why: Option<&str>,
    ) {
        let Some(link) = locked.state.open_link() else { return };
        link.append_disconnect(turn, reason, why);
        link.closing = Some(reason);
        link.wire.wake();
        locked.mark_dirty(turn);
    }

    fn join(
        &self,
        locked: &mut Locked<'_>,
        turn: &mut Turn,
        arrival: &Arrival<'_>,
        will: &mut Option<Will>,
        session_present: bool,
    ) -> Attached {
        let Arrival { negotiated, wire, assigned, .. } = *arrival;
        turn.count(Count::Connected, 1);
        locked.identify(arrival.who);
        locked.state.owner = arrival.user.cloned();
        let state = &mut *locked.state;
        state.epoch = state.epoch.wrapping_add(1);
        state.expiry_secs = negotiated.session_expiry_secs;
        state.link = Some(Link::new(state.epoch, wire.clone(), negotiated, arrival.level, turn.now.mono));
        if let Some(rare) = &mut state.rare {
            rare.will = None; // [MQTT-3.1.3-9]: the client is back before the will was due.
            rare.expires
                .take()
                .into_iter()
                .chain(rare.will_due.take())
                .for_each(|timer| self.timers.cancel(timer));
        }
        if let Some(mut will) = will.take() {
            will.charge = Some(self.budget.charge(will.size()));
            will.who = arrival.who.cloned();
            state.rare().will = Some(will);
        }
        let epoch = state.epoch;
        let promised = locked.record_session(turn).max(arrival.promised);
        let promised = promised.max(self.recorded_ends(arrival.client_id));
        commit::leave(locked, turn, Promise::ConnAck { negotiated, session_present, assigned }, promised);
        locked.note_backlog();
        let (session, wire) = (locked.session.clone(), wire.clone());
        Attached { session, wire, epoch, version: negotiated.version, level: arrival.level }
    }

    /// What waited goes out behind CONNACK: what absent members of the session's groups had, then what it has itself.
    fn resume_deliveries(&self, turn: &mut Turn, attached: &Attached) {
        self.rescue_for(turn, &attached.session);
        if let Some(mut own) = self.lock_attached(attached) {
            own.pump(turn);
        }
    }

    /// The session of a connection, locked, if it is still that connection's.
    pub(crate) fn lock_attached<'a>(&'a self, from: &'a Attached) -> Option<Locked<'a>> {
        let locked = Locked::new(self, &from.session);
        let own = locked.state.link.as_ref().is_some_and(|link| link.epoch == from.epoch);
        own.then_some(locked)
    }

    /// Ends a connection from the server's side with DISCONNECT (5.0), this reason and, where it fits, its text.
    pub fn close(&self, turn: &mut Turn, from: &Attached, reason: ReasonCode, why: Option<&str>) {
        if let Some(mut own) = self.lock_attached(from) {
            self.close_link(&mut own, turn, reason, why);
        }
    }

    /// The connection is over; its owner has let go of the socket and finished what it was publishing. Gives the will
    /// that is due, if there is more to do for it.
    pub fn detach(&self, turn: &mut Turn, from: Attached, end: End) -> Option<Box<Publishing>> {
        let ends = self.note_end(&from, end)?;
        let mut own = self.lock_attached(&from)?;
        self.connected.fetch_sub(1, Relaxed);
        turn.count(Count::Disconnected, 1);
        if let Some(mut link) = own.state.link.take() {
            self.budget.forget(&mut link);
            link.out.finish(turn);
        }
        own.state.outgoing.link_lost();
        own.state.incoming.link_lost();
        let waiter = own.state.rare.as_mut().and_then(|rare| rare.waiter.take());
        let will = if ends {
            self.end_detached(own, turn, &from.session)
        } else {
            self.leave_absent(own, turn, &from)
        };
        if let Some(waiter) = waiter {
            waiter.wake();
        }
        will.and_then(|will| self.publish_will(turn, &will, &from.wire))
    }

    /// Closes the link to everybody and takes over what DISCONNECT says. Whether the session ends; `None` when the
    /// connection has no session any more.
    fn note_end(&self, from: &Attached, end: End) -> Option<bool> {
        let mut own = self.lock_attached(from)?;
        if let Some(link) = &mut own.state.link {
            link.closing.get_or_insert(ReasonCode::Success);
        }
        if let End::Disconnect { reason, session_expiry_secs } = end {
            if let Some(secs) = session_expiry_secs {
                own.state.expiry_secs = secs.min(self.limits.connection.session_expiry_secs_max);
            }
            if reason == ReasonCode::NORMAL_DISCONNECTION
                && let Some(rare) = &mut own.state.rare
            {
                rare.will = None; // [MQTT-3.14.4-3]
            }
        }
        Some(own.state.expiry_secs == 0)
    }

    fn end_detached(&self, mut own: Locked<'_>, turn: &mut Turn, session: &Arc<Session>) -> Option<Will> {
        let remains = self.end(&mut own, turn);
        drop(own);
        self.bury(turn, session, remains)
    }

    /// The session stays without a connection.
    fn leave_absent(&self, mut own: Locked<'_>, turn: &mut Turn, from: &Attached) -> Option<Will> {
        if !self.limits.queue_qos0
            && let Some(queue) = &mut own.state.queue
        {
            let (messages, bytes) = queue.remove(&mut Vec::new(), |delivery| delivery.qos == QoS::AtMostOnce);
            self.budget.dequeued(messages, bytes);
            if queue.is_empty() {
                own.state.queue = None;
            }
            own.lose(turn, Count::DroppedQos0Absent, messages as u64);
        }
        let groups = groups_in_flight(&own.state);
        own.state.subscriptions.shrink_to_fit();
        let now = turn.now.mono;
        let expiry_secs = own.state.expiry_secs;
        let expires = now.plus_secs(u64::from(expiry_secs));
        let rare = own.state.rare();
        rare.expires = Some(self.timers.add(expires, Timer::Session(from.session.clone())));
        let mut due = None;
        match rare.will.as_ref().map(|will| will.delay_secs) {
            None => {}
            Some(0) => due = self.take_will(&from.session, &mut own.state),
            Some(delay) if delay < expiry_secs => {
                let at = now.plus_secs(u64::from(delay));
                rare.will_due = Some(self.timers.add(at, Timer::Session(from.session.clone())));
            }
            Some(_) => {} // It is published when the session ends.
        }
        own.note_backlog();
        own.record_absence(turn, due.is_some());
        drop(own);
        self.strand(turn, &from.session, &groups);
        due
    }

    /// Ends a session: nobody finds or uses it any more.
    fn end(&self, locked: &mut Locked<'_>, turn: &mut Turn) -> Remains {
        let unsent = locked.extract_unsent(|_| true);
        let will = self.take_will(locked.session, &mut locked.state);
        let old = std::mem::take(&mut *locked.state);
        locked.state.ended = true;
        locked.session.durable.store(false, Relaxed);
        let State {
            mut outgoing, inflight_bytes, queue, subscriptions, rare, recorded, place, mut last, ..
        } = old;
        self.budget.inflight_changed(inflight_bytes, 0);
        let (mut gone, mut away) = <(Vec<Delivery>, _)>::default();
        if let Some(mut queue) = queue {
            let (of_disk, cleared) = (queue.away(), queue.clear());
            self.budget.dequeued(cleared.messages, cleared.bytes);
            self.budget.not_away(of_disk.0, of_disk.1);
            turn.count(Count::DroppedSessionEnded, (cleared.messages + of_disk.0) as u64);
            (gone, away) = (cleared.recorded, cleared.away);
        }
        if let Some(rare) = &rare {
            rare.expires.iter().chain(&rare.will_due).for_each(|timer| self.timers.cancel(*timer));
        }
        // What it had not acknowledged at QoS 1 goes back to its group; QoS 2 ends with it [MQTT-4.8.2-5].
        let mut abandoned = outgoing.extract(|sent| {
            sent.stage() == Stage::Published(QoS::AtLeastOnce)
                && sent.message().is_some_and(|one| one.group.is_some())
        });
        abandoned.extend(unsent);
        let lost = outgoing.iter().filter(|sent| sent.message().is_some()).count();
        turn.count(Count::DroppedSessionEnded, lost as u64);
        gone.extend(
            outgoing.iter().filter_map(|sent| sent.message()).filter(|one| one.is_recorded()).cloned(),
        );
        locked.give_back(turn, &mut abandoned);
        // Or it has left before: it is kept until it is published.
        let has_will = rare.as_ref().is_some_and(|rare| rare.is_departing);
        if recorded {
            last = self.record_end(turn, locked.session, has_will, &gone, &subscriptions);
            away.iter().for_each(|away| self.store.forget(away));
            if has_will {
                let rare = locked.state.rare();
                (rare.is_departing, rare.will_place) = (true, place);
            } else {
                self.store.needs_not(place);
            }
        }
        locked.state.last = last;
        let is_relic = rare.as_ref().is_some_and(|rare| rare.is_relic);
        Remains { subscriptions, abandoned, will, is_relic }
    }

    /// Takes what is left of an ended session out of the tables. Gives its will, which is due.
    fn bury(&self, turn: &mut Turn, session: &Arc<Session>, remains: Remains) -> Option<Will> {
        self.sessions.remove(session);
        self.drop_subscriptions(turn, session, remains.subscriptions);
        self.hand_over(turn, remains.abandoned);
        remains.will
    }

    /// A reminder for an absent session: its will, or its end.
    pub(crate) fn remind(&self, turn: &mut Turn, session: &Arc<Session>) -> Option<Will> {
        let now = turn.now.mono;
        let mut locked = Locked::new(self, session);
        if locked.state.ended || locked.state.link.is_some() {
            return None;
        }
        let rare = locked.state.rare.as_mut()?;
        if rare.expires.is_some_and(|(at, _)| at <= now) {
            turn.count(Count::SessionsExpired, 1); // [MQTT-4.1.0-2]
            let remains = self.end(&mut locked, turn);
            drop(locked);
            return self.bury(turn, session, remains);
        }
        if rare.will_due.is_some_and(|(at, _)| at <= now) {
            rare.will_due = None;
            return self.take_will(session, &mut locked.state);
        }
        None
    }
}

/// The shared groups of messages that a client has not acknowledged, or not got yet.
fn groups_in_flight(state: &State) -> Vec<Arc<Group>> {
    let mut groups: Vec<Arc<Group>> = Vec::new();
    let sent = state.outgoing.iter().filter_map(|sent| sent.message());
    let unsent = state.queue.iter().flat_map(|queue| queue.iter());
    for group in sent.chain(unsent).filter_map(|delivery| delivery.group.as_ref()) {
        if !groups.iter().any(|known| Arc::ptr_eq(known, group)) {
            groups.push(group.clone());
        }
    }
    groups
}
