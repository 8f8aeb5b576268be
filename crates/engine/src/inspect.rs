//! What an administrator sees of sessions: copies, made under the lock of one session at a time. It changes nothing.
//!
//! None of it is for the hot path: a table of sessions is walked in slices ([`Engine::session_slice`]), and a caller
//! lets others run between them.

use std::sync::Arc;

use whimbrel_access::Who;
use whimbrel_proto::{
    Millis,
    codec::{QoS, ReasonCode, Version},
};

use crate::{Count, Engine, Session, Wire, link::Link, session::State, subscription::Subscription};

/// A session at one moment.
#[derive(Clone)]
pub struct SessionView {
    /// Its connection, if there is one.
    pub connection: Option<ConnectionView>,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Messages that wait to be sent.
    pub queued_messages: usize,
    /// Bytes of their topics, properties and payloads.
    pub queued_bytes: usize,
    /// Messages at QoS 1 and 2 that were sent and that the client has not completed.
    pub inflight_messages: usize,
    /// What they cost, in bytes.
    pub inflight_bytes: usize,
    /// Messages at QoS 2 of the client that it has not released.
    pub incoming_messages: usize,
    /// How long the session outlives its connection, in seconds.
    pub expiry_secs: u32,
    /// When it ends, if the client does not come back before.
    pub expires: Option<Millis>,
    /// Its will, while it has one.
    pub will: Option<WillView>,
    /// Messages that it has lost since it began, by cause.
    pub drops: Vec<(Count, u64)>,
}

/// The connection of a session.
#[derive(Clone)]
pub struct ConnectionView {
    /// The other end. Asked for its address only when no lock is held.
    pub wire: Arc<dyn Wire>,
    /// Protocol version.
    pub version: Version,
    /// Keep-alive in force, in seconds; 0 for none.
    pub keep_alive_secs: u16,
    /// When CONNECT was accepted.
    pub since: Millis,
    /// Messages at QoS 1 and 2 that may be in flight to the client.
    pub receive_maximum: u16,
    /// Encoded bytes that its socket has not taken.
    pub outbox_bytes: usize,
    /// Whether its socket takes nothing now.
    pub blocked: bool,
    /// It is about to be closed, for this reason.
    pub closing: Option<ReasonCode>,
}

/// A will that waits; what it says is the client's own affair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WillView {
    /// Where it will be published.
    pub topic: Box<str>,
    /// Its QoS.
    pub qos: QoS,
    /// Whether it will be retained.
    pub retain: bool,
    /// Seconds after the end of the connection.
    pub delay_secs: u32,
}

/// One subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionView {
    /// The topic filter as the client wrote it, with `$share/…` where it is shared.
    pub filter: Box<str>,
    /// The QoS that was granted.
    pub qos: QoS,
    /// Whether the client does not get its own messages by it.
    pub no_local: bool,
    /// Whether RETAIN stays as the publisher set it.
    pub retain_as_published: bool,
    /// The subscription identifier, 0 for none.
    pub id: u32,
}

impl Engine {
    /// The session of a client.
    #[must_use]
    pub fn session(&self, client_id: &str) -> Option<Arc<Session>> {
        self.sessions.find(client_id)
    }

    /// The sessions of one slice of the table, from 0 on, in no order; `None` behind the last slice. Who walks all of
    /// them sees every session that lives all the while exactly once.
    #[must_use]
    pub fn session_slice(&self, slice: usize) -> Option<Vec<Arc<Session>>> {
        self.sessions.slice(slice)
    }

    /// Messages in all queues.
    #[must_use]
    pub fn queued_messages(&self) -> usize {
        self.budget.queued_messages()
    }

    /// Bytes that queues, messages in flight, wills and long client identifiers cost: what `queues_bytes_max` bounds.
    #[must_use]
    pub fn messages_bytes(&self) -> usize {
        self.budget.used()
    }

    /// Shared groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }
}

impl Session {
    /// What there is to see of it; `None` when it is over.
    #[must_use]
    pub fn view(&self) -> Option<SessionView> {
        let state = self.lock();
        (!state.ended).then(|| view(&state))
    }

    /// Who its client is, or was last, as the rules ask; none where there are no rules or nobody knows it.
    #[must_use]
    pub fn who(&self) -> Option<Arc<Who>> {
        self.lock().bearing.as_ref().map(|bearing| bearing.who().clone())
    }

    /// Whether it has a connection; `None` when it is over.
    #[must_use]
    pub fn is_connected(&self) -> Option<bool> {
        let state = self.lock();
        (!state.ended).then_some(state.link.is_some())
    }

    /// At most so many of its subscriptions, in the order of their filters, from behind `after` on.
    #[must_use]
    pub fn subscriptions(&self, after: Option<&str>, at_most: usize) -> Vec<SubscriptionView> {
        let state = self.lock();
        let all = &state.subscriptions;
        let from = after.map_or(0, |after| all.partition_point(|known| *known.filter <= *after));
        all.iter().skip(from).take(at_most).map(Subscription::view).collect()
    }
}

fn view(state: &State) -> SessionView {
    let rare = state.rare.as_ref();
    SessionView {
        connection: state.link.as_ref().map(Link::view),
        subscriptions: state.subscriptions.len(),
        queued_messages: state.queue_len(),
        queued_bytes: state.queue.as_ref().map_or(0, |queue| queue.bytes()),
        inflight_messages: state.outgoing.len(),
        inflight_bytes: state.inflight_bytes,
        incoming_messages: state.incoming.len(),
        expiry_secs: state.expiry_secs,
        expires: rare.and_then(|rare| rare.expires).map(|(at, _)| at),
        will: rare.and_then(|rare| rare.will.as_ref()).map(|will| will.view()),
        drops: rare
            .and_then(|rare| rare.drops.as_ref())
            .map(|drops| drops.iter().collect())
            .unwrap_or_default(),
    }
}

impl Link {
    fn view(&self) -> ConnectionView {
        ConnectionView {
            wire: self.wire.clone(),
            version: self.version,
            keep_alive_secs: self.keep_alive_secs,
            since: self.since,
            receive_maximum: self.receive_maximum,
            outbox_bytes: self.waiting(),
            blocked: self.blocked,
            closing: self.closing,
        }
    }
}

impl Subscription {
    fn view(&self) -> SubscriptionView {
        let interest = self.interest;
        SubscriptionView {
            filter: self.filter.clone(),
            qos: interest.qos,
            no_local: interest.no_local,
            retain_as_published: interest.retain_as_published,
            id: interest.id,
        }
    }
}
