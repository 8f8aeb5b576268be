//! Subscriptions: what a session asked for, and SUBSCRIBE and UNSUBSCRIBE.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use whimbrel_proto::{
    codec::{Filter, QoS, ReasonCode, RetainHandling, Subscribe, SubscribeOptions, Unsubscribe, is_shared},
    server::Limits as ConnectionLimits,
};

use crate::{
    Attached, Count, Engine, Turn,
    access::Denied,
    commit::{self, Promise},
    queue::SubscriptionIds,
    retained::Fetch,
    routing::{Entry, Interest},
    session::{Locked, Session, State},
    share::Group,
    store::{NO_PLACE, Record},
};

/// What the tree of filters may cost for each subscription that there may be, on the average, and besides: filters of
/// many levels that nobody shares cost more.
const FILTER_BYTES: usize = 250;
const FILTER_BYTES_FREE: usize = 1 << 20;

/// What has been done for a SUBSCRIBE before its session is told.
struct Entered {
    group: Option<Arc<Group>>,
    fetch: Option<Fetch>,
    /// The journal has it otherwise, or not at all.
    is_news: bool,
}

/// One subscription of a session.
pub(crate) struct Subscription {
    /// The topic filter as the client wrote it, with `$share/…` where it is shared.
    pub filter: Box<str>,
    pub interest: Interest,
    /// The shared group it joins.
    pub group: Option<Arc<Group>>,
    /// Where the journal has it.
    pub place: u64,
}

impl Engine {
    /// SUBSCRIBE. Each filter is entered before the SUBACK leaves; retained messages follow it.
    pub fn subscribe(&self, turn: &mut Turn, from: &Attached, subscribe: &Subscribe<'_>) {
        let mut reasons = Vec::with_capacity(subscribe.filters.count());
        let mut why = None;
        for (filter, options) in subscribe.filters.iter() {
            let subscribed = self.subscribe_one(turn, from, filter, options, subscribe.subscription_id);
            reasons.push(subscribed.unwrap_or_else(|Denied(words)| {
                why.get_or_insert(words);
                ReasonCode::NotAuthorized
            }));
        }
        turn.work += reasons.len() as u64;
        let Some(mut own) = self.lock_attached(from) else { return };
        let last = own.state.last;
        commit::leave(&mut own, turn, Promise::SubAck(subscribe.packet_id, &reasons, why.as_deref()), last);
        drop(own);
        if subscribe.filters.iter().any(|(filter, _)| is_shared(filter)) {
            self.rescue_for(turn, &from.session);
        }
        if let Some(mut own) = self.lock_attached(from) {
            own.pump(turn);
        }
    }

    fn subscribe_one(
        &self,
        turn: &mut Turn,
        from: &Attached,
        text: &str,
        options: SubscribeOptions,
        id: Option<u32>,
    ) -> Result<ReasonCode, Denied> {
        let Ok(filter) = Filter::parse(text) else { return Ok(ReasonCode::TopicFilterInvalid) };
        if let Err(refused) = refusal(&self.limits.connection, &filter, id) {
            return Ok(refused);
        }
        let Some(mut own) = self.lock_attached(from) else { return Ok(ReasonCode::Unspecified) };
        let free = own.ask_filter(turn, text)?;
        let found = own.state.subscriptions.binary_search_by(|known| (*known.filter).cmp(text));
        if found.is_err() && own.state.subscriptions.len() >= self.limits.subscriptions_max {
            turn.count(Count::SubscriptionsLimit, 1);
            return Ok(ReasonCode::QuotaExceeded);
        }
        if found.is_err() && self.is_full_of_subscriptions(text) {
            turn.count(Count::SubscriptionsTotalLimit, 1);
            return Ok(ReasonCode::QuotaExceeded);
        }
        let granted = options.qos.min(self.limits.connection.qos_max);
        let mut interest = Interest {
            qos: granted,
            no_local: options.no_local,
            retain_as_published: options.retain_as_published,
            id: id.unwrap_or(0),
            since: 0,
            free,
        };
        // In the session's list before anybody can match it: a fan-out under way asks the list.
        let before = match found {
            Ok(at) => own.state.subscriptions.get(at).map(|known| known.interest),
            Err(at) => {
                self.enter(&mut own.state, at, text, interest);
                None
            }
        };
        let fetch = filter.share.is_none()
            && match options.retain_handling {
                RetainHandling::Send => true,
                RetainHandling::SendIfNew => before.is_none(),
                RetainHandling::DoNotSend => false,
            };
        drop(own);
        // The live stream brings what is published from here on, the fetch what was retained before. A subscription
        // that was there already misses nothing of the stream: a message that is on its way may come by both.
        let keep_since = before.map(|before| before.since);
        let mut until = 0;
        let group = match filter.share {
            Some(share) => Some(self.join_group(share, &filter, &from.session, interest)),
            None => {
                let number = || self.retained.last_number();
                until = self.router.insert(&from.session, filter.filter, interest, keep_since, number);
                interest.since = keep_since.unwrap_or(until);
                None
            }
        };
        let fetch = if fetch { self.new_fetch(turn, filter.filter, interest, until) } else { None };
        let options = |interest: Interest| Interest { since: 0, free: 0, ..interest };
        let is_news = fetch.is_some() || before.is_none_or(|before| options(before) != options(interest));
        self.note_subscription(turn, from, text, &filter, interest, Entered { group, fetch, is_news });
        Ok(ReasonCode::granted(granted))
    }

    pub(crate) fn enter(&self, state: &mut State, at: usize, text: &str, interest: Interest) {
        if state.subscriptions.is_empty() {
            state.subscriptions.reserve_exact(1); // Most sessions have one.
        }
        state
            .subscriptions
            .insert(at, Subscription { filter: text.into(), interest, group: None, place: NO_PLACE });
        state.shared += u32::from(is_shared(text));
        self.subscriptions.fetch_add(1, Relaxed);
        self.filter_bytes.fetch_add(text.len(), Relaxed);
    }

    /// Completes the subscription in the session, and records it as it stands then; the second look after the filter was
    /// entered into the router.
    fn note_subscription(
        &self,
        turn: &mut Turn,
        from: &Attached,
        text: &str,
        filter: &Filter<'_>,
        interest: Interest,
        entered: Entered,
    ) {
        let Entered { group, fetch, is_news } = entered;
        let mut own = Locked::new(self, &from.session);
        if own.state.ended {
            drop(own);
            self.drop_subscription(turn, &from.session, filter, group.as_ref());
            return;
        }
        let subscriptions = &mut own.state.subscriptions;
        let found = subscriptions.binary_search_by(|known| (*known.filter).cmp(text)).ok();
        let Some(known) = found.and_then(|at| subscriptions.get_mut(at)) else {
            // New rules have ended it before it was whole.
            drop(own);
            self.drop_subscription(turn, &from.session, filter, group.as_ref());
            return;
        };
        known.interest = interest;
        known.group = group;
        let has_fetch = fetch.is_some();
        if let Some(fetch) = fetch {
            let fetches = &mut own.state.rare().fetches;
            // What an earlier SUBSCRIBE has not brought yet, this one brings; not at a lower QoS, at which it could be lost.
            fetches.retain(|known| !known.is_for(filter.filter) || known.qos() > interest.qos);
            fetches.push(fetch);
        }
        if is_news {
            own.record_subscription(turn, text, interest);
        }
        let last = own.state.last;
        if has_fetch && let Some(fetch) = own.state.rare().fetches.last_mut() {
            fetch.after = last;
        }
    }

    /// Whether one subscription more would exceed what all sessions together may have.
    fn is_full_of_subscriptions(&self, filter: &str) -> bool {
        self.subscriptions.load(Relaxed) >= self.limits.subscriptions_total_max
            || self.router.bytes()
                > self
                    .limits
                    .subscriptions_total_max
                    .saturating_mul(FILTER_BYTES)
                    .saturating_add(FILTER_BYTES_FREE)
            || self.filter_bytes.load(Relaxed) + filter.len() > self.limits.filter_bytes_total_max
    }

    /// Brings what is retained up to the number `until`, if there is anything.
    fn new_fetch(&self, turn: &mut Turn, filter: &str, interest: Interest, until: u64) -> Option<Fetch> {
        let ids: SubscriptionIds = (interest.id != 0).then(|| Arc::from([interest.id]));
        let current = self.sys_values(turn, filter);
        let is_vain = self.retained.is_empty() && current.is_empty();
        (!is_vain).then(|| Fetch::new(filter, interest, until, ids, current))
    }

    /// Whether so much waits for the disk that this client waits with what has to be recorded; its wire is woken then.
    pub(crate) fn must_wait_for_disk(&self, from: &Attached) -> bool {
        let waits = self.store.is_over_budget() && from.session.durable.load(Relaxed);
        if waits {
            self.store.wait(&from.wire);
        }
        waits
    }

    /// UNSUBSCRIBE. What has been queued or sent is still delivered [MQTT-3.10.4-3].
    pub fn unsubscribe(&self, turn: &mut Turn, from: &Attached, unsubscribe: &Unsubscribe<'_>) {
        let mut reasons = Vec::with_capacity(unsubscribe.filters.count());
        for text in unsubscribe.filters.iter() {
            let mut own = Locked::new(self, &from.session);
            let found = own.state.subscriptions.binary_search_by(|known| (*known.filter).cmp(text));
            let removed = found.ok().map(|at| own.state.subscriptions.remove(at));
            if let Some(subscription) = &removed {
                own.forget_subscription(turn, subscription);
            }
            drop(own);
            reasons.push(match removed {
                Some(subscription) => {
                    self.drop_subscriptions(turn, &from.session, vec![subscription]);
                    ReasonCode::Success
                }
                None => ReasonCode::NoSubscriptionExisted,
            });
        }
        turn.work += reasons.len() as u64;
        let Some(mut own) = self.lock_attached(from) else { return };
        let last = own.state.last;
        commit::leave(&mut own, turn, Promise::UnsubAck(unsubscribe.packet_id, &reasons), last);
    }

    /// Takes subscriptions that left a session out of the router and the groups.
    pub(crate) fn drop_subscriptions(
        &self,
        turn: &mut Turn,
        session: &Arc<Session>,
        gone: Vec<Subscription>,
    ) {
        self.subscriptions.fetch_sub(gone.len(), Relaxed);
        self.filter_bytes.fetch_sub(gone.iter().map(|one| one.filter.len()).sum(), Relaxed);
        for subscription in gone {
            if let Ok(filter) = Filter::parse(&subscription.filter) {
                self.drop_subscription(turn, session, &filter, subscription.group.as_ref());
            }
        }
    }

    fn drop_subscription(
        &self,
        turn: &mut Turn,
        session: &Arc<Session>,
        filter: &Filter<'_>,
        group: Option<&Arc<Group>>,
    ) {
        match group {
            Some(group) => self.leave_group(turn, group, session.key),
            None => self.router.remove(filter.filter, session.key),
        }
    }
}

/// Why a filter is not taken although it is well-formed.
fn refusal(limits: &ConnectionLimits, filter: &Filter<'_>, id: Option<u32>) -> Result<(), ReasonCode> {
    if filter.share.is_some() && !limits.shared_available {
        return Err(ReasonCode::SharedSubscriptionsNotSupported);
    }
    if filter.has_wildcard() && !limits.wildcard_available {
        return Err(ReasonCode::WildcardSubscriptionsNotSupported);
    }
    if id.is_some() && !limits.subscription_ids_available {
        return Err(ReasonCode::SubscriptionIdsNotSupported);
    }
    Ok(())
}

impl Locked<'_> {
    /// Records a subscription, or its new options, of a session that outlives a crash, with what it is owed still: the
    /// record takes the place of all before.
    pub(crate) fn record_subscription(&mut self, turn: &mut Turn, text: &str, interest: Interest) {
        if !self.is_durable() {
            return;
        }
        let store = &self.engine.store;
        let fetches = self.state.rare.as_ref().map(|rare| rare.fetches.as_slice()).unwrap_or_default();
        let fetch = fetches.iter().filter(|fetch| fetch.is_for(text)).map(Fetch::qos).max();
        let record = Record::Subscribe {
            key: self.session.key,
            filter: text,
            qos: interest.qos,
            no_local: interest.no_local,
            retain_as_published: interest.retain_as_published,
            id: interest.id,
            fetch,
        };
        let staged = store.stage(turn, &record);
        let subscriptions = &mut self.state.subscriptions;
        let found = subscriptions.binary_search_by(|known| (*known.filter).cmp(text)).ok();
        if let Some(known) = found.and_then(|at| subscriptions.get_mut(at)).filter(|_| !staged.is_refused()) {
            store.needs_not(known.place);
            store.needs(staged.position);
            known.place = staged.position;
        }
        self.state.last = staged.end;
    }

    pub(crate) fn record_unsubscribe(&mut self, turn: &mut Turn, subscription: &Subscription) {
        if subscription.place == NO_PLACE {
            return;
        }
        let store = &self.engine.store;
        let record = Record::Unsubscribe { key: self.session.key, filter: &subscription.filter };
        self.state.last = store.stage(turn, &record).end;
        store.needs_not(subscription.place);
    }
}

impl Entry {
    /// The entry of one session.
    pub(crate) fn of(session: &Arc<Session>, interest: Interest) -> Entry {
        Entry::Session { session: session.clone(), interest }
    }
}

/// The lower of the two, what a delivery may have at most [MQTT-3.8.4-8].
pub(crate) fn delivered_qos(published: QoS, granted: QoS) -> QoS {
    published.min(granted)
}
