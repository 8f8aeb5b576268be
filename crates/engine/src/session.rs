//! A session: what a client identifier stands for. It outlives the network connection; on-line and off-line delivery
//! are one code path.
//!
//! One mutex around everything that a publisher, the owner or an administrator may touch. Rules for holding it: never
//! two sessions at once, never across a write to the wire, never while routing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
};

use whimbrel_proto::{
    Incoming, Outgoing, Sent,
    codec::{self, QoS},
};

use crate::{
    Count, Limits, Notice, Turn,
    access::Bearing,
    budget::{Budget, Charge},
    drops::Drops,
    link::{Link, Sending},
    message::Fresh,
    queue::{Delivery, Queue, SubscriptionIds},
    retained::Fetch,
    store::NO_PLACE,
    subscription::Subscription,
    sync::{Mutex, MutexGuard},
    timers::TimerKey,
    will::Will,
};

/// A client's session.
pub struct Session {
    /// Unique in the life of the process, never 0.
    pub(crate) key: u64,
    pub(crate) client_id: Box<str>,
    state: Mutex<State>,
    /// What a long client identifier costs.
    _charge: Option<Charge>,
    /// Messages in flight and queued, roughly: what the least-backlog strategy of shared groups looks at.
    pub(crate) backlog: AtomicU32,
    /// Whether what it is owed is recorded: for whoever has no lock, and may be a moment late.
    pub(crate) durable: AtomicBool,
}

/// What the mutex of a session guards.
pub(crate) struct State {
    pub link: Option<Link>,
    pub outgoing: Outgoing<Delivery>,
    /// What the messages in `outgoing` cost.
    pub inflight_bytes: usize,
    /// Absent while empty.
    pub queue: Option<Box<Queue>>,
    pub incoming: Incoming,
    /// Sorted by filter.
    pub subscriptions: Vec<Subscription>,
    /// How many of them are shared.
    pub shared: u32,
    /// Absent in almost every session.
    pub rare: Option<Box<Rare>>,
    /// Connections that this session has had.
    pub epoch: u32,
    /// The latest connection that asked for this session.
    pub newest: u64,
    pub expiry_secs: u32,
    /// The session is over; whoever still holds it leaves it alone.
    pub ended: bool,
    /// The journal knows the session.
    pub recorded: bool,
    /// Where the journal says how it stands.
    pub place: u64,
    /// No record of what is open between the client and the server besides messages lies before; [`NO_PLACE`]: there is none.
    pub handshakes: u64,
    /// The end of the last record about it: what is promised without a record of its own waits for this.
    pub last: u64,
    /// Nothing of the queue is sent before the journal is here.
    pub not_before: u64,
    /// A turn has it on its list for this position, so that what waits in the queue is looked at then; 0: none has.
    pub parked_for: u64,
    /// Since when the client is absent, in seconds since 1970.
    pub absent_since: u64,
    /// How much of what it is owed may have been sent before it became absent, and from which number on nothing was.
    pub receive_maximum: u16,
    pub unsent_from: u64,
    /// What the rules mean for the client that has it, or had it last; absent where there are none or nobody knows it.
    pub bearing: Option<Box<Bearing>>,
    /// The user whose session it is; absent where nobody has proved a name.
    pub owner: Option<Arc<str>>,
    /// The journal says that it is somebody's.
    pub owner_recorded: bool,
}

impl Default for State {
    fn default() -> Self {
        State {
            link: None,
            outgoing: Outgoing::default(),
            inflight_bytes: 0,
            queue: None,
            incoming: Incoming::default(),
            subscriptions: Vec::new(),
            shared: 0,
            rare: None,
            epoch: 0,
            newest: 0,
            expiry_secs: 0,
            ended: false,
            recorded: false,
            place: NO_PLACE,
            handshakes: NO_PLACE,
            last: 0,
            not_before: 0,
            parked_for: 0,
            absent_since: 0,
            receive_maximum: 0,
            unsent_from: u64::MAX,
            bearing: None,
            owner: None,
            owner_recorded: false,
        }
    }
}

/// What few sessions have.
pub(crate) struct Rare {
    pub will: Option<Will>,
    /// When the will of a closed connection is due.
    pub will_due: Option<TimerKey>,
    /// When an absent session ends.
    pub expires: Option<TimerKey>,
    /// Retained messages that SUBSCRIBE asked for and that have not all been sent.
    pub fetches: Vec<Fetch>,
    /// The latest connection that waits until the present one has let go.
    pub waiter: Option<Arc<dyn crate::Wire>>,
    /// Messages that it has lost.
    pub drops: Option<Box<Drops>>,
    /// Of those dropped because of this session's limits, how many the client has not been told about.
    pub dropped_untold: u64,
    /// The operator has been told; until the queue has been empty once there is nothing new to tell.
    pub drops_noticed: bool,
    /// The session ended with a crash of the server; its will waits whether the client comes back.
    pub is_relic: bool,
    /// Its will is on its way: the record that has it is needed until it is published. Where that is no more the session's
    /// own, it is at `will_place`.
    pub is_departing: bool,
    pub will_place: u64,
}

impl Default for Rare {
    fn default() -> Self {
        Rare {
            will: None,
            will_due: None,
            expires: None,
            fetches: Vec::new(),
            waiter: None,
            drops: None,
            dropped_untold: 0,
            drops_noticed: false,
            is_relic: false,
            is_departing: false,
            will_place: NO_PLACE,
        }
    }
}

impl State {
    pub(crate) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// The link, if the connection is this one and may still be written to.
    pub(crate) fn open_link(&mut self) -> Option<&mut Link> {
        self.link.as_mut().filter(|link| link.closing.is_none())
    }

    pub(crate) fn queue_len(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.len())
    }
}

/// Retained messages, and those of groups, that a session takes over while others before them wait for the disk.
const TAKEN_AHEAD: usize = 64;

/// How an offered message fared.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// Encoded for the client.
    Sent,
    /// In the session's queue.
    Queued,
    /// Dropped and counted.
    Dropped,
    /// The session is over, or ends with its closing connection: it is no receiver.
    Over,
}

/// What one receiver is to get of a message.
pub(crate) struct Offer<'a, 'b> {
    pub fresh: &'a mut Fresh<'b>,
    pub qos: QoS,
    pub retain: bool,
    pub ids: &'a SubscriptionIds,
}

impl Session {
    pub(crate) fn new(key: u64, client_id: Box<str>, charge: Option<Charge>) -> Self {
        Session {
            key,
            client_id,
            state: Mutex::default(),
            _charge: charge,
            backlog: AtomicU32::new(0),
            durable: AtomicBool::new(false),
        }
    }

    /// The client identifier.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Unless somebody has it: for those who hold another session.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, State>> {
        self.state.try_lock()
    }
}

/// A session with its lock held and what is needed to work on it.
pub(crate) struct Locked<'a> {
    pub session: &'a Arc<Session>,
    pub state: MutexGuard<'a, State>,
    pub engine: &'a crate::Engine,
}

impl<'a> Locked<'a> {
    pub(crate) fn new(engine: &'a crate::Engine, session: &'a Arc<Session>) -> Self {
        Locked { session, state: session.lock(), engine }
    }

    pub(crate) fn limits(&self) -> &'a Limits {
        &self.engine.limits
    }

    /// Puts the session on the turn's list, so that its link is flushed.
    pub(crate) fn mark_dirty(&mut self, turn: &mut Turn) {
        let soft = self.limits().link_soft_bytes;
        let Some(link) = &mut self.state.link else { return };
        turn.urgent |= link.out.len() >= soft;
        if !link.dirty {
            link.dirty = true;
            turn.dirty.push(self.session.clone());
        }
    }

    /// Notes how much is under way, for the least-backlog strategy.
    pub(crate) fn note_backlog(&self) {
        let backlog = self.state.outgoing.len() + self.state.queue_len();
        // Who is absent comes last.
        let backlog =
            if self.state.link.is_some() { u32::try_from(backlog).unwrap_or(u32::MAX) } else { u32::MAX };
        self.session.backlog.store(backlog, Relaxed);
    }

    /// Whether the client's outbox holds as much as it may while the client takes nothing.
    fn is_blocked(&self) -> bool {
        let Some(link) = &self.state.link else { return true };
        let waiting = link.waiting();
        // Not blocked yet, but beyond any bound: nobody has flushed it, the turn is `urgent`.
        waiting >= self.limits().link_hard_bytes
            || (link.blocked && waiting >= self.engine.budget.soft_limit(self.limits()))
    }

    /// Offers a message: appended to the link, queued, or dropped by policy and counted.
    pub(crate) fn offer(&mut self, turn: &mut Turn, offer: Offer<'_, '_>) -> Offered {
        if self.state.ended {
            return Offered::Over;
        }
        if self.state.open_link().is_none() {
            return self.offer_absent(turn, offer);
        }
        let blocked = self.is_blocked();
        let waiting = self.state.queue.is_some()
            || self.state.outgoing.must_resend()
            || self.is_opening()
            || offer.fresh.ledger.waits
            || self.enters_first(offer.qos);
        if offer.qos == QoS::AtMostOnce {
            if blocked {
                self.lose(turn, Count::DroppedQos0Blocked, 1);
                return Offered::Dropped;
            }
            if !waiting {
                return self.send_fresh(turn, offer);
            }
        } else if !blocked && !waiting && self.has_room() {
            return self.send_fresh(turn, offer);
        }
        // What waits goes first: a new message never overtakes the queue.
        self.enqueue_fresh(turn, offer)
    }

    fn offer_absent(&mut self, turn: &mut Turn, offer: Offer<'_, '_>) -> Offered {
        if self.state.expiry_secs == 0 {
            return Offered::Over; // The connection is closing and the session ends with it.
        }
        if offer.qos == QoS::AtMostOnce && !self.limits().queue_qos0 {
            self.lose(turn, Count::DroppedQos0Absent, 1);
            return Offered::Dropped;
        }
        if offer.qos == QoS::AtMostOnce && self.state.queue.as_ref().is_some_and(|queue| queue.away().0 > 0) {
            // It is not on disk, and would hold in memory whatever comes behind it until the client is back.
            self.lose(turn, Count::DroppedQos0Absent, 1);
            return Offered::Dropped;
        }
        self.enqueue_fresh(turn, offer)
    }

    /// Whether CONNACK has not left yet.
    pub(crate) fn is_opening(&self) -> bool {
        self.state.link.as_ref().is_some_and(|link| link.opening)
    }

    /// Whether a subscription that is not shared matches the topic.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        let wants = |one: &Subscription| one.group.is_none() && codec::matches(&one.filter, topic);
        self.state.subscriptions.iter().any(wants)
    }

    /// Whether Receive Maximum lets one more QoS 1 or 2 message go.
    pub(crate) fn has_room(&self) -> bool {
        self.engine.budget.may_fly(self.limits(), self.state.inflight_bytes)
            && self.state.link.as_ref().is_some_and(|link| self.state.outgoing.has_room(link.receive_maximum))
    }

    /// Whether a message that nobody has asked for by its turn may be taken over: a retained one, or a group's. Where the
    /// queue waits for the disk alone, some go into it.
    pub(crate) fn may_take_more(&mut self) -> bool {
        let on_its_way = self.state.queue_len() + self.state.outgoing.len();
        self.has_room()
            && !self.is_opening()
            && !self.is_blocked()
            && self.state.queue_len() < TAKEN_AHEAD
            && self.state.queue.as_ref().is_none_or(|queue| !queue.is_front_away())
            && self.state.link.as_ref().is_some_and(|link| on_its_way < usize::from(link.receive_maximum))
            && self
                .state
                .queue
                .as_ref()
                .and_then(|queue| queue.front())
                .is_none_or(|front| self.awaits(front).is_some())
    }

    /// Whether a message of a shared group could be sent to this session at once.
    pub(crate) fn is_free(&mut self, qos: QoS) -> bool {
        !self.state.ended
            && self.state.open_link().is_some()
            && self.state.queue.is_none()
            && !self.is_blocked()
            && !self.is_opening()
            && (qos == QoS::AtMostOnce || self.has_room())
    }

    fn send_fresh(&mut self, turn: &mut Turn, offer: Offer<'_, '_>) -> Offered {
        let Offer { fresh, qos, retain, ids } = offer;
        let dropped_untold = self.state.rare.as_ref().map_or(0, |rare| rare.dropped_untold);
        let subscription_ids = ids.as_deref().unwrap_or_default();
        let sending = Sending { qos, retain, dup: false, subscription_ids, dropped_untold };
        let now = turn.now.mono;
        let State { link: Some(link), .. } = &mut *self.state else {
            return Offered::Dropped;
        };
        if !link.takes(&fresh.body, &sending, now) {
            self.lose(turn, Count::DroppedTooLarge, 1); // [MQTT-3.1.2-25]
            return Offered::Dropped;
        }
        let packet_id = (qos > QoS::AtMostOnce).then(|| {
            let mut delivery = Delivery::new(fresh.share(&mut turn.spares).clone(), ids.clone(), qos, retain);
            self.enter(turn, &mut delivery, Some(&mut fresh.ledger));
            self.took_off(delivery.message.size());
            self.state.outgoing.send_numbered(delivery.number, qos, delivery)
        });
        let State { link: Some(link), .. } = &mut *self.state else {
            return Offered::Dropped;
        };
        let told = link.append_publish(turn, fresh, &sending, packet_id);
        self.after_append(turn, told);
        Offered::Sent
    }

    /// Sends a kept delivery for the first time, or puts it into the queue where it has to wait for the disk. The caller
    /// has asked [`Self::is_free`], or seen that what waits in the queue waits for the disk.
    pub(crate) fn send_kept(&mut self, turn: &mut Turn, mut delivery: Delivery) -> Offered {
        if delivery.message.expires() <= turn.now.mono {
            turn.count(Count::DroppedExpired, 1); // [MQTT-3.3.2-5]
            self.strike(turn, &delivery);
            return Offered::Dropped;
        }
        self.enter(turn, &mut delivery, None);
        if self.state.queue.is_some() {
            self.enqueue(delivery);
            return Offered::Queued;
        }
        if let Some((position, level)) = self.awaits(&delivery) {
            self.enqueue(delivery);
            self.park_head(turn, position, level);
            return Offered::Queued;
        }
        self.send_entered(turn, delivery)
    }

    /// Sends a delivery that has its number.
    pub(crate) fn send_entered(&mut self, turn: &mut Turn, delivery: Delivery) -> Offered {
        let dropped_untold = self.state.rare.as_ref().map_or(0, |rare| rare.dropped_untold);
        let message = delivery.message.clone();
        let is_denied = !self.may_read(0, message.topic());
        let ids = delivery.ids.clone();
        let sending = Sending {
            qos: delivery.qos,
            retain: delivery.retain,
            dup: false,
            subscription_ids: ids.as_deref().unwrap_or_default(),
            dropped_untold,
        };
        let now = turn.now.mono;
        let State { link: Some(link), outgoing, .. } = &mut *self.state else {
            return Offered::Dropped;
        };
        if message.stored.is_given_up() {
            self.strike(turn, &delivery); // Its publisher was not told that it was taken.
            return Offered::Dropped;
        }
        let cause = if message.expires() <= now {
            Some(Count::DroppedExpired) // [MQTT-3.3.2-5]
        } else if is_denied {
            Some(Count::DeniedReceive)
        } else if !link.takes(&message.body(), &sending, now) {
            Some(Count::DroppedTooLarge)
        } else {
            None
        };
        if let Some(cause) = cause {
            self.lose(turn, cause, 1);
            self.strike(turn, &delivery);
            return Offered::Dropped;
        }
        let packet_id = (delivery.qos > QoS::AtMostOnce)
            .then(|| outgoing.send_numbered(delivery.number, delivery.qos, delivery));
        let told = link.append_kept(turn, &message, &sending, packet_id);
        if packet_id.is_some() {
            self.took_off(message.size());
        }
        self.after_append(turn, told);
        Offered::Sent
    }

    /// `told`: the packet has told the client how many messages were dropped.
    pub(crate) fn after_append(&mut self, turn: &mut Turn, told: bool) {
        if told && let Some(rare) = &mut self.state.rare {
            rare.dropped_untold = 0;
        }
        if let Some(link) = &mut self.state.link {
            self.engine.budget.follow(link);
        }
        self.note_backlog();
        self.mark_dirty(turn);
    }

    fn enqueue_fresh(&mut self, turn: &mut Turn, offer: Offer<'_, '_>) -> Offered {
        let Offer { fresh, qos, retain, ids } = offer;
        let size = fresh.share(&mut turn.spares).size();
        if !self.make_room(turn, size, qos) {
            return Offered::Dropped;
        }
        let mut delivery = Delivery::new(fresh.share(&mut turn.spares).clone(), ids.clone(), qos, retain);
        self.enter(turn, &mut delivery, Some(&mut fresh.ledger));
        self.enqueue(delivery);
        if fresh.ledger.waits && self.state.link.is_some() {
            fresh.ledger.owe(self.session);
        } else if self.enters_first(qos) {
            self.await_entry(turn);
        }
        // Who looks at the queue next has been told by now: its head may be on disk alone then.
        self.spill(turn);
        Offered::Queued
    }

    /// Puts a delivery into the queue; room was made.
    pub(crate) fn enqueue(&mut self, delivery: Delivery) {
        self.engine.budget.queued(delivery.message.size());
        self.state.queue.get_or_insert_default().push(delivery);
        self.note_backlog();
    }

    /// Whether a QoS 1 or 2 message would have to be dropped by policy.
    pub(crate) fn is_full(&mut self, size: usize) -> bool {
        if self.state.ended || (self.is_free(QoS::AtLeastOnce)) {
            return false;
        }
        let (messages, bytes) =
            self.state.queue.as_ref().map_or((0, 0), |queue| (queue.len(), queue.bytes()));
        self.engine.budget.is_queue_full(self.limits(), messages, bytes, size)
    }

    /// Makes room in the queue for `size` bytes by the policy. False when the new message is the one to be dropped.
    fn make_room(&mut self, turn: &mut Turn, size: usize, qos: QoS) -> bool {
        let limits = self.limits();
        let queue = self.state.queue.get_or_insert_default();
        let made = self.engine.budget.make_room(limits, queue, size, qos, turn.now.mono);
        if !made.room && queue.is_empty() {
            self.state.queue = None;
        }
        self.lose(turn, Count::DroppedExpired, made.expired);
        self.note_drops(turn, made.cause(), made.lost());
        self.strike_dropped(turn, &made.recorded);
        self.strike_away(turn, &made.away);
        made.room
    }

    fn note_drops(&mut self, turn: &mut Turn, cause: Count, lost: u64) {
        if lost == 0 {
            return;
        }
        self.lose(turn, cause, lost);
        let rare = self.state.rare();
        rare.dropped_untold += lost;
        if !std::mem::replace(&mut rare.drops_noticed, true) {
            turn.notice(Notice::QueueFull { client_id: self.session.client_id.clone(), cause });
        }
    }

    /// Whether so many bytes wait that the rest comes after the next flush.
    pub(crate) fn is_soft_full(&self) -> bool {
        self.state.link.as_ref().is_some_and(|link| link.waiting() >= self.limits().link_soft_bytes)
    }

    /// Takes deliveries out of flight that somebody else shall have, or nobody.
    pub(crate) fn extract(&mut self, give_up: impl FnMut(&Sent<Delivery>) -> bool) -> Vec<Delivery> {
        let given = self.state.outgoing.extract(give_up);
        given.iter().for_each(|delivery| self.landed(delivery));
        given
    }

    /// A delivery is in flight no more: the client has it, or never will.
    pub(crate) fn landed(&mut self, delivery: &Delivery) {
        let before = self.state.inflight_bytes;
        self.state.inflight_bytes -= Budget::inflight_cost(delivery.message.size());
        self.engine.budget.inflight_changed(before, self.state.inflight_bytes);
    }

    /// A message of so many bytes is in flight now.
    pub(crate) fn took_off(&mut self, size: usize) {
        let before = self.state.inflight_bytes;
        self.state.inflight_bytes += Budget::inflight_cost(size);
        self.engine.budget.inflight_changed(before, self.state.inflight_bytes);
    }
}
