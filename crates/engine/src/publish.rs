//! PUBLISH from a client to everybody who is owed it: limits, the retained store, routing, the acknowledgement.
//!
//! Order per publisher holds because its task routes one message after the other. A large fan-out is done in slices
//! that the task goes on with between other work, reading nothing meanwhile.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use whimbrel_proto::{
    Millis, Violation,
    codec::{PacketType, Publish, QoS, ReasonCode, Version},
    server::Ack,
};

use crate::{
    Attached, Count, DiskFull, Engine, Level, Notice, QueueFull, Turn, Untold, Wire,
    access::Denied,
    commit::{self, Promise},
    ends::Departure,
    message::{Body, Fresh, Message},
    retained::{Changed, Full, Stripe},
    routing::{Matched, Target},
    session::{Locked, Offer, Offered},
    store::{Ledger, NO_PLACE, Owner, Trouble},
    subscription::delivered_qos,
    sys::is_reserved,
};

/// Nodes of the trie that cost a look-up about as much as a receiver costs the delivery.
const NODES_PER_RECEIVER: u64 = 4;
/// Links that are flushed together at the latest: their buffers are still in the cache of the core.
const DIRTY_MAX: usize = 64;

/// How far a message has come.
#[must_use]
pub enum Progress {
    /// It is with everybody.
    Done {
        /// An acknowledgement has left that gives the client its quota back.
        acknowledged: bool,
    },
    /// There is more to do: [`Engine::resume`] in a later turn, before anything else is read from the publisher.
    More(Box<Publishing>),
}

/// Whose message it is.
pub(crate) enum Origin<'a> {
    /// The server's own.
    Server,
    /// A will that has left its session.
    Will(&'a Arc<Departure>),
    /// A client's; its acknowledgement is owed at QoS 1 and 2.
    Client(&'a Attached, Option<Ack>),
}

/// The same, between two turns.
enum KeptOrigin {
    Server,
    Will(Arc<Departure>),
    Client(Attached, Option<Ack>),
}

impl Origin<'_> {
    fn keep(&self) -> KeptOrigin {
        match self {
            Origin::Server => KeptOrigin::Server,
            Origin::Will(departure) => KeptOrigin::Will((*departure).clone()),
            Origin::Client(from, ack) => KeptOrigin::Client((*from).clone(), ack.as_ref().map(copy)),
        }
    }

    /// How sure the message has to be before its publisher may forget it.
    fn level(&self) -> Level {
        match self {
            Origin::Client(from, _) => from.level,
            // The server itself publishes it again after a crash that leaves no trace of this.
            Origin::Server | Origin::Will(_) => Level::Power,
        }
    }
}

impl KeptOrigin {
    fn borrow(&self) -> Origin<'_> {
        match self {
            KeptOrigin::Server => Origin::Server,
            KeptOrigin::Will(departure) => Origin::Will(departure),
            KeptOrigin::Client(from, ack) => Origin::Client(from, ack.as_ref().map(copy)),
        }
    }
}

/// A message on its way, between two turns.
pub struct Publishing {
    message: Arc<Message>,
    origin: KeptOrigin,
    waiter: Arc<dyn Wire>,
    stage: Stage,
}

enum Stage {
    /// Another publisher has the stripe of this retained topic; the wire is woken when it is free.
    Waiting,
    /// Too much waits for the disk; the wire is woken when there is room.
    WaitingForDisk,
    Routing(Route, Ledger),
}

struct Route {
    matched: Matched,
    next: usize,
    receivers: usize,
    /// Too much waits for the disk; the wire is woken when there is room.
    is_stalled: bool,
    /// Held until the last receiver has the message.
    _stripe: Option<Stripe>,
}

impl Publishing {
    /// A message of the server's own that has not begun its way.
    pub(crate) fn new(message: Message, waiter: &Arc<dyn Wire>) -> Self {
        let (origin, stage) = (KeptOrigin::Server, Stage::Waiting);
        Publishing { message: Arc::new(message), origin, waiter: waiter.clone(), stage }
    }

    /// Whether it waits to be woken rather than for its next slice.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting | Stage::WaitingForDisk) || self.is_stalled()
    }

    /// Whether some have it, and the others wait for room on the disk.
    fn is_stalled(&self) -> bool {
        matches!(&self.stage, Stage::Routing(route, _) if route.is_stalled)
    }

    /// Whether it waits for room on the disk: nobody has it yet, and nobody was promised anything.
    #[must_use]
    pub fn waits_for_disk(&self) -> bool {
        matches!(self.stage, Stage::WaitingForDisk)
    }
}

impl Engine {
    /// A client publishes. `topic` is what the packet means after topic aliases.
    ///
    /// # Errors
    /// The message cannot be taken and the client's version has no packet to say so.
    pub(crate) fn publish(
        &self,
        turn: &mut Turn,
        from: &Attached,
        publish: &Publish<'_>,
        topic: &str,
        ack: Option<Ack>,
    ) -> Result<Progress, Violation> {
        turn.count(Count::PublishReceived, 1);
        turn.count(Count::PayloadReceived, publish.payload.len() as u64);
        if publish.qos == QoS::ExactlyOnce
            && let Some(ack) = &ack
            && Locked::new(self, &from.session).state.incoming.contains(ack.packet_id)
        {
            // [MQTT-4.3.3-10]: the message is here already; only its PUBREC was lost.
            let last = Locked::new(self, &from.session).state.last;
            self.answer(turn, from, ack, ReasonCode::Success, last);
            return Ok(Progress::Done { acknowledged: true });
        }
        if let Some(reason) = refusal(turn, publish, topic) {
            return self.refuse(turn, from, ack, reason, None);
        }
        if self.has_rules()
            && let Some(denied) = self.denies_publish(turn, from, publish, topic)
        {
            return self.deny(turn, from, ack.as_ref(), &denied);
        }
        let mut forwarded = std::mem::take(&mut turn.forwarded);
        forwarded.clear();
        let mut expires = Millis::NEVER;
        if !publish.properties.is_empty() {
            publish.properties.forwarded(&mut forwarded);
            if let Some(secs) = publish.properties.message_expiry_secs {
                expires = turn.now.mono.plus_secs(u64::from(secs));
            }
        }
        let body = Body {
            topic,
            forwarded: &forwarded,
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            expires,
            publisher: from.session.key,
            number: 0,
        };
        let refused = self.refused_by_limits(turn, &body);
        let progress = match refused.or_else(|| self.refused_by_disk(turn, from, &body)) {
            Some((reason, violation)) => self.refuse(turn, from, ack, reason, Some(violation)),
            None => Ok(self.publish_body(turn, body, Origin::Client(from, ack), None, &from.wire)),
        };
        turn.forwarded = forwarded;
        progress
    }

    /// Publishes a message, from whomever it is. `shared` is its owned form where there is one already.
    pub(crate) fn publish_body(
        &self,
        turn: &mut Turn,
        mut body: Body<'_>,
        origin: Origin<'_>,
        shared: Option<Arc<Message>>,
        waiter: &Arc<dyn Wire>,
    ) -> Progress {
        let mut ledger = Ledger::new(origin.level());
        ledger.begin_slice(turn);
        if self.store.is_on() && (body.qos > QoS::AtMostOnce || body.retain) {
            let asks = body.qos == QoS::ExactlyOnce || self.store.is_over_budget();
            let is_kept = asks && self.is_kept(turn, &body, &origin);
            if is_kept && matches!(origin, Origin::Client(..)) && self.store.is_over_budget() {
                turn.count(Count::WaitedForDisk, 1);
                self.store.wait(waiter);
                return wait(&body, &origin, waiter, Stage::WaitingForDisk);
            }
            ledger.waits = is_kept && body.qos == QoS::ExactlyOnce && ledger.level != Level::Memory;
        }
        let mut stripe = None;
        let mut shared = shared.filter(|_| !ledger.waits);
        if body.retain {
            stripe = self.stripes.take(self.router.hash(body.topic), waiter);
            if stripe.is_none() {
                return wait(&body, &origin, waiter, Stage::Waiting);
            }
            match self.retain(turn, &mut body, &origin, &mut ledger) {
                Ok(message) => shared = message,
                Err(Full) => return Progress::Done { acknowledged: true },
            }
        }
        ledger.end_slice(turn);
        // Retained first, matched after: a subscriber finds the message in the one or is found by the other.
        let matched = self.targets(turn, body.topic);
        let several = matched.targets.len() > 1;
        let fresh = Fresh::new(body, shared, ledger, several, std::mem::take(&mut turn.frames));
        let route = Route { matched, next: 0, receivers: 0, is_stalled: false, _stripe: stripe };
        self.go_on(turn, fresh, route, origin, waiter)
    }

    /// Goes on with a message.
    pub fn resume(&self, turn: &mut Turn, publishing: Box<Publishing>) -> Progress {
        if publishing.is_stalled() && self.store.is_over_budget() {
            self.store.wait(&publishing.waiter);
            return Progress::More(publishing);
        }
        let Publishing { message, origin, waiter, stage } = *publishing;
        let Stage::Routing(route, ledger) = stage else {
            return self.publish_body(turn, message.body(), origin.borrow(), Some(message.clone()), &waiter);
        };
        let scratch = std::mem::take(&mut turn.frames);
        let fresh = Fresh::new(message.body(), Some(message.clone()), ledger, true, scratch);
        self.go_on(turn, fresh, route, origin.borrow(), &waiter)
    }

    /// The next slice; behind the last one the message is whole, and its publisher is told.
    fn go_on(
        &self,
        turn: &mut Turn,
        mut fresh: Fresh<'_>,
        mut route: Route,
        origin: Origin<'_>,
        waiter: &Arc<dyn Wire>,
    ) -> Progress {
        fresh.ledger.begin_slice(turn);
        self.route(turn, &mut fresh, &mut route);
        fresh.ledger.end_slice(turn);
        if route.next < route.matched.targets.len() {
            let message = fresh.share(&mut turn.spares).clone();
            let (scratch, ledger, _) = fresh.into_parts();
            turn.frames = scratch;
            let (origin, waiter) = (origin.keep(), waiter.clone());
            // The records of a large fan-out are many: they keep the budget, too.
            route.is_stalled = ledger.is_open() && self.store.is_over_budget();
            if route.is_stalled {
                self.store.wait(&waiter);
            }
            let stage = Stage::Routing(route, ledger);
            return Progress::More(Box::new(Publishing { message, origin, waiter, stage }));
        }
        let (scratch, mut ledger, message) = fresh.into_parts();
        turn.frames = scratch;
        let closed = self.close_ledger(turn, &mut ledger, message.as_deref(), &origin);
        let receivers = route.receivers;
        drop(route); // The topic's next message is recorded behind this one's end.
        match (origin, closed) {
            (Origin::Client(from, Some(ack)), Some(position)) => {
                self.finish(turn, from, &ack, receivers, position)
            }
            (Origin::Client(from, Some(ack)), None) => self.take_back(turn, from, &ack),
            _ => Progress::Done { acknowledged: false },
        }
    }

    /// The message cannot be kept, as its publisher is told.
    fn take_back(&self, turn: &mut Turn, from: &Attached, ack: &Ack) -> Progress {
        turn.count(Count::RefusedDisk, 1);
        if from.version == Version::V5 {
            self.answer(turn, from, ack, ReasonCode::ImplementationSpecific, 0);
        } else {
            self.close(turn, from, ReasonCode::ImplementationSpecific, None);
        }
        Progress::Done { acknowledged: from.version == Version::V5 }
    }

    /// Records that the publish is whole, and a QoS 2 identifier as open; gives what the acknowledgement waits for, `None`
    /// where the message cannot be kept.
    fn close_ledger(
        &self,
        turn: &mut Turn,
        ledger: &mut Ledger,
        message: Option<&Message>,
        origin: &Origin<'_>,
    ) -> Option<u64> {
        match origin {
            Origin::Client(from, Some(ack)) if ack.qos == QoS::ExactlyOnce => {
                let mut own = Locked::new(self, &from.session);
                let mut owner = Owner::Nobody;
                if !own.state.ended {
                    own.state.incoming.open(ack.packet_id);
                    if own.is_durable() {
                        own.state.handshakes = own.state.handshakes.min(self.store.end());
                        owner = Owner::Publisher(from.session.key, ack.packet_id);
                    }
                }
                let closed = ledger.close(&self.store, turn, message, owner);
                match closed {
                    Some(end) => own.state.last = own.state.last.max(end),
                    None if !own.state.ended => {
                        own.state.incoming.release(ack.packet_id); // An error in PUBREC ends it.
                    }
                    None => {}
                }
                closed
            }
            Origin::Will(departure) => {
                let session = &departure.session;
                let closed = ledger.close(&self.store, turn, message, Owner::Will(session.key));
                if let Some(end) = closed.filter(|_| self.store.is_on()) {
                    self.end_departure(session, end);
                }
                closed
            }
            _ => ledger.close(&self.store, turn, message, Owner::Nobody),
        }
    }

    /// Whether something of the message is kept on disk.
    fn is_kept(&self, turn: &mut Turn, body: &Body<'_>, origin: &Origin<'_>) -> bool {
        let own = match origin {
            Origin::Client(from, _) if body.qos == QoS::ExactlyOnce => from.session.durable.load(Relaxed),
            _ => false,
        };
        own || body.retain || self.targets(turn, body.topic).targets.iter().any(Target::is_durable)
    }

    /// Why the disk takes nothing, where the policy says that publishers shall hear of it.
    fn refused_by_disk(
        &self,
        turn: &mut Turn,
        from: &Attached,
        body: &Body<'_>,
    ) -> Option<(ReasonCode, Violation)> {
        if body.qos == QoS::AtMostOnce || self.limits.disk_full == DiskFull::Wait {
            return None;
        }
        let reason = match self.store.trouble()? {
            Trouble::Full => ReasonCode::QuotaExceeded,
            Trouble::Failed => ReasonCode::ImplementationSpecific,
        };
        let is_kept = self.is_kept(turn, body, &Origin::Client(from, None));
        is_kept.then_some((reason, Violation::DiskTakesNothing))
    }

    pub(crate) fn targets(&self, turn: &mut Turn, topic: &str) -> Matched {
        let before = turn.cache.visited();
        let (matched, missed) = turn.cache.targets(&self.router, topic);
        if missed {
            turn.work += (turn.cache.visited() - before) as u64 / NODES_PER_RECEIVER;
            turn.count(Count::MatchCacheMisses, 1);
        }
        matched
    }

    /// One slice of the fan-out. Links are flushed on the way, so that their buffers stay few and small.
    fn route(&self, turn: &mut Turn, fresh: &mut Fresh<'_>, route: &mut Route) {
        let matched = &route.matched;
        let end = matched.targets.len().min(route.next + self.limits.fan_out_slice);
        for target in matched.targets.get(route.next..end).unwrap_or_default() {
            route.receivers += usize::from(self.deliver(turn, fresh, target, matched));
            if turn.urgent || turn.dirty.len() >= DIRTY_MAX {
                self.flush(turn);
            }
        }
        turn.work += (end - route.next).max(1) as u64;
        route.next = end;
    }

    /// Whether the target is a receiver of this message, whatever became of it there.
    fn deliver(&self, turn: &mut Turn, fresh: &mut Fresh<'_>, target: &Target, matched: &Matched) -> bool {
        let (session, granted) = match target {
            Target::Group(group) => return self.offer_to_group(turn, group, fresh),
            Target::Session { session, granted, own } => {
                let Some(granted) = Target::granted(session, granted, own, fresh.body.publisher) else {
                    return false; // [MQTT-3.8.3-3]
                };
                (session, granted)
            }
        };
        if fresh.body.number != 0 && fresh.body.number <= granted.since {
            return true; // The subscription is younger than the retained message: SUBSCRIBE brings it.
        }
        let offer = Offer {
            qos: delivered_qos(fresh.body.qos, granted.qos),
            retain: granted.retain_as_published && fresh.body.retain, // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
            ids: &granted.ids,
            fresh,
        };
        let mut locked = Locked::new(self, session);
        if !locked.may_read(granted.free, offer.fresh.body.topic) {
            locked.lose(turn, Count::DeniedReceive, 1);
            return false;
        }
        if matched.is_stale(&self.router) && !locked.is_subscribed_to(offer.fresh.body.topic) {
            return false; // [MQTT-3.10.4-2]: its UNSUBACK may have left.
        }
        locked.offer(turn, offer) != Offered::Over
    }

    /// Stores or clears the retained message; gives its shared form.
    ///
    /// # Errors
    /// There is no room, and the publisher has been told so: nobody gets the message.
    fn retain(
        &self,
        turn: &mut Turn,
        body: &mut Body<'_>,
        origin: &Origin<'_>,
        ledger: &mut Ledger,
    ) -> Result<Option<Arc<Message>>, Full> {
        if let Ok(changed) = self.retained.set(turn, body, self, ledger) {
            return Ok(self.note_retained(changed, ledger));
        }
        turn.count(Count::RetainedLimit, 1);
        turn.notice(Notice::RetainedFull { topic: body.topic.into() });
        if let Origin::Client(from, Some(ack)) = origin
            && from.version == Version::V5
        {
            self.answer(turn, from, ack, ReasonCode::QuotaExceeded, 0);
            return Err(Full); // The message that was retained before stays.
        }
        // The publisher cannot be told. Who subscribes later gets nothing, not a stale message.
        let cleared = self.retained.clear(turn, body, self);
        Ok(self.note_retained(cleared, ledger))
    }

    /// What a retained message has replaced is needed until the publish is whole; the acknowledgement waits for the change.
    fn note_retained(&self, changed: Changed, ledger: &mut Ledger) -> Option<Arc<Message>> {
        ledger.wait_for(changed.end);
        if let Some((message, place)) = changed.replaced
            && place != NO_PLACE
        {
            ledger.open();
            ledger.replaces(message, place);
        }
        changed.message
    }

    /// Why a message is taken by nobody although it is well-formed: somebody's queue is full and the policy says that
    /// the publisher shall hear of it.
    fn refused_by_limits(&self, turn: &mut Turn, body: &Body<'_>) -> Option<(ReasonCode, Violation)> {
        if self.limits.queue_full != QueueFull::Refuse || body.qos == QoS::AtMostOnce {
            return None;
        }
        let size = body.topic.len() + body.forwarded.len() + body.payload.len();
        let targets = self.targets(turn, body.topic).targets;
        turn.work += targets.len() as u64;
        let full = targets.iter().any(|target| match target {
            Target::Group(group) => self.is_group_full(group, size),
            Target::Session { session, granted, own } => {
                Target::granted(session, granted, own, body.publisher)
                    .is_some_and(|granted| delivered_qos(body.qos, granted.qos) > QoS::AtMostOnce)
                    && Locked::new(self, session).is_full(size)
            }
        });
        full.then_some((ReasonCode::QuotaExceeded, Violation::QuotaExceeded))
    }

    /// `violation`: as what the refusal is counted, and the end of a client that cannot be told.
    fn refuse(
        &self,
        turn: &mut Turn,
        from: &Attached,
        ack: Option<Ack>,
        reason: ReasonCode,
        violation: Option<Violation>,
    ) -> Result<Progress, Violation> {
        let told = from.version == Version::V5 || reason == ReasonCode::NotAuthorized;
        match ack {
            Some(ack) if told => {
                // Where the client is closed, that is what is counted.
                violation.iter().for_each(|violation| turn.count(Count::of(*violation), 1));
                self.answer(turn, from, &ack, reason, 0);
                Ok(Progress::Done { acknowledged: true })
            }
            Some(_) => Err(violation.unwrap_or(Violation::QuotaExceeded)),
            None if reason == ReasonCode::PayloadFormatInvalid => Err(Violation::PayloadNotUtf8),
            None => Ok(Progress::Done { acknowledged: false }),
        }
    }

    /// The rules deny the message to its publisher, who is told where its version can tell it.
    fn deny(
        &self,
        turn: &mut Turn,
        from: &Attached,
        ack: Option<&Ack>,
        Denied(why): &Denied,
    ) -> Result<Progress, Violation> {
        let is_told = from.version == Version::V5 && ack.is_some();
        let untold = self.access_options().map(|options| options.untold);
        if let Some(mut own) = self.lock_attached(from) {
            own.lose(turn, Count::DeniedPublish, 1);
            if let Some(ack) = ack.filter(|_| is_told || untold != Some(Untold::Disconnect)) {
                let kind = match ack.qos {
                    QoS::ExactlyOnce => PacketType::PubRec,
                    _ => PacketType::PubAck,
                };
                commit::leave(&mut own, turn, Promise::Denied(kind, ack.packet_id, why), 0);
            }
        }
        if !is_told && untold == Some(Untold::Disconnect) {
            return Err(Violation::NotAuthorized);
        }
        Ok(Progress::Done { acknowledged: ack.is_some() })
    }

    fn finish(&self, turn: &mut Turn, from: &Attached, ack: &Ack, matched: usize, position: u64) -> Progress {
        let reason = if matched == 0 { ReasonCode::NoMatchingSubscribers } else { ReasonCode::Success };
        self.answer(turn, from, ack, reason, position);
        Progress::Done { acknowledged: ack.qos == QoS::AtLeastOnce }
    }

    /// Acknowledges, once the journal has come to `position`.
    fn answer(&self, turn: &mut Turn, from: &Attached, ack: &Ack, reason: ReasonCode, position: u64) {
        let Some(mut own) = self.lock_attached(from) else { return };
        let promise = match ack.qos {
            QoS::ExactlyOnce => Promise::PubRec(ack.packet_id, reason),
            _ => Promise::PubAck(ack.packet_id, reason),
        };
        commit::leave(&mut own, turn, promise, position);
    }
}

/// A message that goes on when the wire is woken.
fn wait(body: &Body<'_>, origin: &Origin<'_>, waiter: &Arc<dyn Wire>, stage: Stage) -> Progress {
    let (message, origin, waiter) = (Arc::new(Message::new(body)), origin.keep(), waiter.clone());
    Progress::More(Box::new(Publishing { message, origin, waiter, stage }))
}

/// An acknowledgement that waits with its message while it is published anew.
fn copy(ack: &Ack) -> Ack {
    Ack { packet_id: ack.packet_id, qos: ack.qos }
}

/// Why the message itself is refused.
fn refusal(turn: &Turn, publish: &Publish<'_>, topic: &str) -> Option<ReasonCode> {
    if is_reserved(topic) {
        turn.count(Count::RefusedReservedTopic, 1);
        return Some(ReasonCode::NotAuthorized);
    }
    if publish.properties.payload_is_utf8 == Some(true) && std::str::from_utf8(publish.payload).is_err() {
        turn.count(Count::RefusedPayloadFormat, 1);
        return Some(ReasonCode::PayloadFormatInvalid);
    }
    None
}
