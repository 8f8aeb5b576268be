//! Shared subscriptions: a message belongs to the group until a member has acknowledged it (5.0 §4.8.2).
//!
//! A member that is absent, full or dead is passed over. What nobody can take waits in the group's queue, which ends
//! with the last member's subscription.

mod stored;

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use hashbrown::HashTable;
use whimbrel_proto::{
    Sent, Stage,
    codec::{Filter, QoS},
};

use crate::{
    Count, Engine, ShareStrategy, Turn,
    message::Fresh,
    queue::{Cleared, Delivery, NO_NUMBER, Queue, SubscriptionIds},
    routing::{Interest, Seed},
    session::{Locked, Offer, Session},
    store::Record,
    subscription::delivered_qos,
    sync::Mutex,
};

/// A share name and a topic filter, with the sessions that subscribed to both.
pub(crate) struct Group {
    pub key: u64,
    name: Box<str>,
    filter: Box<str>,
    state: Mutex<GroupState>,
    /// Messages in the queue, readable without the lock.
    waiting: AtomicUsize,
    /// How often a member has left.
    left: AtomicUsize,
    /// Members whose sessions outlive a crash: what the group is owed is recorded while there are any.
    durable: AtomicUsize,
}

/// Numbers of the groups' queues begin here: what comes back to a head gets lower ones.
const FIRST_NUMBER: u64 = 1 << 40;

#[derive(Default)]
struct GroupState {
    members: Vec<Member>,
    /// The member that is next in turn.
    next: usize,
    queue: Queue,
    /// Absent sessions that left with messages of this group in flight, which others may have.
    stranded: Vec<Weak<Session>>,
    /// The last member has left; who comes later makes a new group.
    ended: bool,
    /// The journal knows messages of this group.
    recorded: bool,
}

#[derive(Clone)]
struct Member {
    session: Arc<Session>,
    durable: bool,
    qos: QoS,
    retain_as_published: bool,
    ids: SubscriptionIds,
    /// As that of an [`Interest`].
    free: u64,
}

/// What becomes of a message that is offered to a member.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reply {
    Took,
    /// It has no room now, or is gone.
    Busy,
    /// It may not read it.
    Denied,
}

/// All groups, by share name and filter.
pub(crate) struct Groups {
    groups: Mutex<HashTable<Arc<Group>>>,
    seed: Seed,
    /// Numbers that were given out at the heads and at the ends of queues: never the same to two groups, for of two that
    /// had one name after the other the journal does not tell which is meant, and the members of the first may still
    /// have messages of it.
    first_number: AtomicU64,
    next_number: AtomicU64,
}

impl Groups {
    pub(crate) fn new(seed: u64) -> Self {
        let (first_number, next_number) = (FIRST_NUMBER.into(), FIRST_NUMBER.into());
        Groups { groups: Mutex::default(), seed: Seed::new(seed), first_number, next_number }
    }

    fn hash(&self, name: &str, filter: &str) -> u64 {
        self.seed.text(name.as_bytes()).rotate_left(1) ^ self.seed.text(filter.as_bytes())
    }

    pub(crate) fn len(&self) -> usize {
        self.groups.lock().len()
    }
}

impl Group {
    /// Whether messages wait for a member with room.
    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    fn has_member(&self, key: u64) -> bool {
        self.state.lock().members.iter().any(|member| member.session.key == key)
    }

    /// A waiting message for the member `key`, with that member's options; expired ones are dropped on the way.
    /// A message that this member may not read waits for another.
    pub(crate) fn take_for(
        self: &Arc<Self>,
        engine: &Engine,
        turn: &mut Turn,
        taker: &mut Locked<'_>,
    ) -> Option<Delivery> {
        let mut state = self.state.lock();
        let key = taker.session.key;
        let member = state.members.iter().find(|member| member.session.key == key)?.clone();
        if !taker.may_read(member.free, state.queue.front()?.message.topic()) {
            return None;
        }
        while let Some(delivery) = state.queue.pop() {
            self.waiting.store(state.queue.len(), Ordering::SeqCst);
            engine.budget.dequeued(1, delivery.message.size());
            let delivery = member.delivery(self, delivery);
            if delivery.message.expires() <= turn.now.mono {
                turn.count(Count::DroppedExpired, 1);
                engine.strike_parked(turn, &delivery);
                continue;
            }
            return Some(delivery);
        }
        None
    }

    /// The member that the strategy names, whether it has room or not.
    fn first_choice(&self, strategy: ShareStrategy, publisher: u64) -> Option<Member> {
        let mut state = self.state.lock();
        let count = state.members.len();
        let next = state.next.checked_rem(count)?;
        let at = match strategy {
            ShareStrategy::RoundRobin => next,
            ShareStrategy::StickyByPublisher => spread(publisher) as usize % count,
            ShareStrategy::LeastBacklog => {
                let backlog = |at: &usize| state.members.get(*at).map(Member::backlog);
                (next..count).chain(0..next).min_by_key(backlog)? // Equals take turns.
            }
        };
        state.next = at + 1;
        state.members.get(at).cloned()
    }

    /// Everybody but `first`, in the order in which they shall be tried: each is tried, or a message could be lost
    /// although somebody has room.
    fn other_choices(&self, strategy: ShareStrategy, first: &Member) -> Vec<Member> {
        let state = self.state.lock();
        let is_first = |member: &Member| member.session.key == first.session.key;
        let at = state.members.iter().position(is_first).map_or(0, |at| at + 1);
        let (before, behind) = state.members.split_at_checked(at).unwrap_or_default();
        let in_turn = behind.iter().chain(before).filter(|member| !is_first(member));
        let mut others: Vec<Member> = in_turn.cloned().collect();
        if strategy == ShareStrategy::LeastBacklog {
            others.sort_by_key(Member::backlog);
        }
        others
    }

    /// The turn goes on behind this member: it has taken what another one could not.
    fn note_turn(&self, taker: &Member) {
        let mut state = self.state.lock();
        let taker = |member: &Member| member.session.key == taker.session.key;
        if let Some(at) = state.members.iter().position(taker) {
            state.next = at + 1;
        }
    }
}

/// Spreads publishers over members: keys are given out one after the other.
fn spread(publisher: u64) -> u64 {
    publisher.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33
}

/// Whether a message in flight is the group's still: at QoS 2 it stays with the session [MQTT-4.8.2-4].
fn is_of(sent: &Sent<Delivery>, group: &Group) -> bool {
    let owner = sent.message().and_then(|delivery| delivery.group.as_ref());
    sent.stage() == Stage::Published(QoS::AtLeastOnce) && owner.is_some_and(|owner| owner.key == group.key)
}

impl Locked<'_> {
    /// Takes messages of groups out of the queue, where they waited for the disk: nobody has got them, others shall.
    pub(crate) fn extract_unsent(&mut self, is_meant: impl Fn(&Group) -> bool) -> Vec<Delivery> {
        let is_unsent = |delivery: &Delivery| {
            delivery.qos == QoS::AtLeastOnce && delivery.group.as_ref().is_some_and(|group| is_meant(group))
        };
        let Some(queue) = &mut self.state.queue else { return Vec::new() };
        let unsent: Vec<Delivery> = queue.iter().filter(|one| is_unsent(one)).cloned().collect();
        if !unsent.is_empty() {
            let (messages, bytes) = queue.remove(&mut Vec::new(), is_unsent);
            if queue.is_empty() {
                self.state.queue = None;
            }
            self.engine.budget.dequeued(messages, bytes);
        }
        unsent
    }
}

impl Member {
    fn backlog(&self) -> u32 {
        self.session.backlog.load(Ordering::Relaxed)
    }

    fn delivery(&self, group: &Arc<Group>, delivery: Delivery) -> Delivery {
        let body_retain = delivery.message.body().retain;
        Delivery {
            qos: delivered_qos(delivery.message.body().qos, self.qos), // [MQTT-4.8.2-3]
            retain: self.retain_as_published && body_retain,
            ids: self.ids.clone(),
            group: Some(group.clone()),
            number: NO_NUMBER,
            ..delivery
        }
    }
}

impl Group {
    /// The rules say something else of what a member may read.
    pub(crate) fn restamp(&self, key: u64, free: u64) {
        let mut state = self.state.lock();
        if let Some(member) = state.members.iter_mut().find(|member| member.session.key == key) {
            member.free = free;
        }
    }

    /// Remembers an absent session with messages of this group in flight.
    pub(crate) fn strand(&self, session: &Arc<Session>) {
        let mut state = self.state.lock();
        state.stranded.retain(|known| known.strong_count() > 0 && known.as_ptr() != Arc::as_ptr(session));
        state.stranded.push(Arc::downgrade(session));
    }
}

impl Engine {
    /// Adds a session to a group, or changes its options there; the group is made if it is not there.
    pub(crate) fn join_group(
        &self,
        name: &str,
        filter: &Filter<'_>,
        session: &Arc<Session>,
        interest: Interest,
    ) -> Arc<Group> {
        let member = Member {
            session: session.clone(),
            durable: session.durable.load(Ordering::Relaxed),
            qos: interest.qos,
            retain_as_published: interest.retain_as_published,
            ids: (interest.id != 0).then(|| Arc::from([interest.id])),
            free: interest.free,
        };
        let mut groups = self.groups.groups.lock();
        let hash = self.groups.hash(name, filter.filter);
        let known =
            groups.find(hash, |group| *group.name == *name && *group.filter == *filter.filter).cloned();
        let group = known.unwrap_or_else(|| {
            let group = Arc::new(Group {
                key: self.new_key(),
                name: name.into(),
                filter: filter.filter.into(),
                state: Mutex::default(),
                waiting: AtomicUsize::new(0),
                left: AtomicUsize::new(0),
                durable: AtomicUsize::new(0),
            });
            let rehash = |known: &Arc<Group>| self.groups.hash(&known.name, &known.filter);
            groups.insert_unique(hash, group.clone(), rehash);
            group
        });
        let mut state = group.state.lock();
        match state.members.iter_mut().find(|known| known.session.key == session.key) {
            Some(known) => *known = member,
            None => state.members.push(member),
        }
        group.count_durable(&state);
        let first = state.members.len() == 1;
        drop(state);
        if first {
            self.router.insert_group(&group.filter, &group);
        }
        group
    }

    /// Removes a session from a group; with the last one the group and its queue end.
    pub(crate) fn leave_group(&self, turn: &mut Turn, group: &Arc<Group>, key: u64) {
        let mut groups = self.groups.groups.lock();
        let mut state = group.state.lock();
        state.members.retain(|member| member.session.key != key);
        group.count_durable(&state);
        group.left.fetch_add(1, Ordering::SeqCst);
        if !state.members.is_empty() || state.ended {
            return;
        }
        state.ended = true;
        let Cleared { messages, bytes, recorded: gone, .. } = state.queue.clear();
        group.waiting.store(0, Ordering::SeqCst);
        self.budget.dequeued(messages, bytes);
        if state.recorded {
            let (share, filter) = group.names();
            self.store.stage(turn, &Record::GroupEnd { share, filter });
        }
        for delivery in gone {
            self.store.needs_not(delivery.place);
            self.store.release(&delivery.message);
        }
        turn.count(Count::DroppedSessionEnded, messages as u64);
        drop(state);
        let hash = self.groups.hash(&group.name, &group.filter);
        if let Ok(entry) = groups.find_entry(hash, |known| Arc::ptr_eq(known, group)) {
            entry.remove();
        }
        self.router.remove(&group.filter, group.key);
    }

    /// Gives a message to one member of the group, or keeps it until one has room. True when the group has it, whatever
    /// became of it there.
    pub(crate) fn offer_to_group(&self, turn: &mut Turn, group: &Arc<Group>, fresh: &mut Fresh<'_>) -> bool {
        // Messages that wait go first: a new one does not overtake them.
        let may_go = fresh.body.qos == QoS::AtMostOnce || !group.has_waiting();
        if may_go && self.offer_to_members(turn, group, fresh) {
            return true;
        }
        if fresh.body.qos == QoS::AtMostOnce {
            turn.count(Count::DroppedShareNoMember, 1);
            return true;
        }
        let (qos, retain) = (fresh.body.qos, fresh.body.retain);
        let mut delivery = Delivery::new(fresh.share(&mut turn.spares).clone(), None, qos, retain);
        self.record_parked(turn, group, &mut delivery, &mut fresh.ledger);
        self.park_in_group(turn, group, vec![delivery], false)
    }

    /// Gives a message to the first member with room. False when nobody has any.
    fn offer_to_members(&self, turn: &mut Turn, group: &Arc<Group>, fresh: &mut Fresh<'_>) -> bool {
        let strategy = self.limits.share_strategy;
        let left = group.left.load(Ordering::SeqCst);
        let Some(first) = group.first_choice(strategy, fresh.body.publisher) else { return false };
        let first_reply = self.offer_to_member(turn, group, &first, left, fresh);
        if first_reply == Reply::Took {
            return true;
        }
        let others = group.other_choices(strategy, &first);
        turn.work += others.len() as u64;
        let mut all_denied = first_reply == Reply::Denied;
        for other in &others {
            match self.offer_to_member(turn, group, other, left, fresh) {
                Reply::Took => {
                    group.note_turn(other);
                    return true;
                }
                Reply::Busy => all_denied = false,
                Reply::Denied => {}
            }
        }
        turn.count(Count::DeniedReceive, u64::from(all_denied));
        all_denied // It would wait for somebody who never comes.
    }

    fn offer_to_member(
        &self,
        turn: &mut Turn,
        group: &Arc<Group>,
        member: &Member,
        left: usize,
        fresh: &mut Fresh<'_>,
    ) -> Reply {
        let qos = delivered_qos(fresh.body.qos, member.qos);
        let retain = member.retain_as_published && fresh.body.retain;
        let mut locked = Locked::new(self, &member.session);
        let is_free = if fresh.ledger.waits { locked.may_take_more() } else { locked.is_free(qos) };
        if !locked.may_read(member.free, fresh.body.topic) {
            return Reply::Denied;
        }
        if !is_free {
            return Reply::Busy;
        }
        if group.left.load(Ordering::SeqCst) != left && !group.has_member(member.session.key) {
            return Reply::Busy; // [MQTT-3.10.4-2]: its UNSUBACK may have left.
        }
        if qos == QoS::AtMostOnce {
            locked.offer(turn, Offer { fresh, qos, retain, ids: &member.ids });
        } else {
            let mut delivery =
                Delivery::new(fresh.share(&mut turn.spares).clone(), member.ids.clone(), qos, retain);
            delivery.group = Some(group.clone());
            // At QoS 2 it ends with the session that was sent it [MQTT-4.8.2-5].
            if !locked.is_durable() && qos == QoS::AtLeastOnce {
                self.record_parked(turn, group, &mut delivery, &mut fresh.ledger);
            }
            locked.enter(turn, &mut delivery, Some(&mut fresh.ledger));
            if fresh.ledger.waits {
                fresh.ledger.owe(&member.session);
            }
            locked.send_kept(turn, delivery);
        }
        Reply::Took
    }

    /// Puts messages into the group's queue (at its head when they were with a member already), then looks again
    /// whether a member has got room meanwhile.
    fn park_in_group(
        &self,
        turn: &mut Turn,
        group: &Arc<Group>,
        parked: Vec<Delivery>,
        at_head: bool,
    ) -> bool {
        let mut state = group.state.lock();
        // Where messages wait already, a member that gets room sees them: only the first needs the second look.
        let first = state.queue.is_empty() || at_head;
        if state.ended {
            drop(state);
            turn.count(Count::DroppedSessionEnded, parked.len() as u64);
            for delivery in &parked {
                self.strike_parked(turn, &Delivery { group: Some(group.clone()), ..delivery.clone() });
            }
            return false;
        }
        if at_head {
            for delivery in &parked {
                self.budget.queued(delivery.message.size());
            }
            state.queue.push_front(parked);
        } else {
            for delivery in parked {
                self.park(turn, group, &mut state.queue, delivery);
            }
        }
        group.waiting.store(state.queue.len(), Ordering::SeqCst);
        let looked_at = if first { state.members.len() } else { 0 };
        let members: Vec<Arc<Session>> =
            state.members.iter().take(looked_at).map(|member| member.session.clone()).collect();
        drop(state);
        turn.work += members.len() as u64;
        for session in members {
            if !group.has_waiting() {
                break;
            }
            Locked::new(self, &session).pump(turn);
        }
        true
    }

    /// The group's queue has the limits and the policy of a session's.
    fn park(&self, turn: &mut Turn, group: &Arc<Group>, queue: &mut Queue, delivery: Delivery) {
        let (size, qos) = (delivery.message.size(), delivery.qos);
        let made = self.budget.make_room(&self.limits, queue, size, qos, turn.now.mono);
        turn.count(Count::DroppedExpired, made.expired);
        turn.count(made.cause(), made.lost());
        let mut gone = made.recorded;
        if made.room {
            self.budget.queued(size);
            queue.push(delivery);
        } else {
            gone.push(delivery);
        }
        for delivery in gone {
            self.strike_parked(turn, &Delivery { group: Some(group.clone()), ..delivery });
        }
    }

    /// Whether a message to this group would have to be dropped by policy.
    pub(crate) fn is_group_full(&self, group: &Group, size: usize) -> bool {
        let state = group.state.lock();
        group.has_waiting()
            && self.budget.is_queue_full(&self.limits, state.queue.len(), state.queue.bytes(), size)
    }

    /// What a member had not acknowledged when it left goes to the others: QoS 1 always, QoS 2 stays where it must
    /// [MQTT-4.8.2-4], [MQTT-4.8.2-5]. `abandoned` is in the order of sending.
    pub(crate) fn hand_over(&self, turn: &mut Turn, abandoned: Vec<Delivery>) {
        let mut rest = abandoned;
        while let Some(group) = rest.first().and_then(|delivery| delivery.group.clone()) {
            let (same, others): (Vec<_>, Vec<_>) = rest
                .into_iter()
                .partition(|delivery| delivery.group.as_ref().is_some_and(|other| other.key == group.key));
            rest = others;
            let parked = same
                .into_iter()
                .map(|delivery| Delivery { group: None, ids: None, number: NO_NUMBER, ..delivery })
                .collect();
            self.park_in_group(turn, &group, parked, true);
        }
    }

    /// A session has become absent with messages of these groups in flight. Each group remembers it; where another
    /// member is connected, the messages go there at once.
    pub(crate) fn strand(&self, turn: &mut Turn, session: &Arc<Session>, groups: &[Arc<Group>]) {
        for group in groups {
            group.strand(session);
            let state = group.state.lock();
            let members: Vec<Arc<Session>> =
                state.members.iter().map(|member| member.session.clone()).collect();
            drop(state);
            // Remembered first, looked second; who connects does it the other way round: one of the two sees the other.
            if members
                .iter()
                .any(|member| !Arc::ptr_eq(member, session) && member.lock().open_link().is_some())
            {
                self.rescue(turn, group);
            }
        }
    }

    /// A member has connected: what absent ones have in flight is for it, too.
    pub(crate) fn rescue_for(&self, turn: &mut Turn, session: &Session) {
        let groups: Vec<Arc<Group>> = {
            let state = session.lock();
            state.subscriptions.iter().filter_map(|one| one.group.clone()).collect()
        };
        groups.iter().for_each(|group| self.rescue(turn, group));
    }

    /// Gives the group back what its absent members had in flight at QoS 1, or still to be sent.
    pub(crate) fn rescue(&self, turn: &mut Turn, group: &Arc<Group>) {
        let stranded = std::mem::take(&mut group.state.lock().stranded);
        for session in stranded.iter().filter_map(Weak::upgrade) {
            let mut locked = Locked::new(self, &session);
            if locked.state.link.is_some() {
                continue; // It is back and sends them again itself.
            }
            let mut abandoned = locked.extract(|sent| is_of(sent, group));
            abandoned.extend(locked.extract_unsent(|owner| owner.key == group.key));
            locked.note_backlog();
            locked.give_back(turn, &mut abandoned);
            drop(locked);
            self.hand_over(turn, abandoned);
        }
    }
}
