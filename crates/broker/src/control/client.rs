//! One client and everything about it that is not its own affair: of messages only numbers, of the will the topic.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio::task::yield_now;
use whimbrel_engine::{ConnectionView, SubscriptionView, WillView};

use super::{Control, Gauge, Moment, Refusal};

/// Subscriptions in one answer, and bytes of their filters after which no more are put into it.
pub const SUBSCRIPTIONS_MAX: usize = 1_000;
const FILTER_BYTES_MAX: usize = 1 << 20;
/// Subscriptions copied while their session is locked.
const SLICE: usize = 64;

/// A client's session and its connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its identifier.
    pub client_id: String,
    /// Its connection, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// How long the session outlives its connection, in seconds.
    pub session_expiry_secs: u32,
    /// When the session ends if the client stays away, in seconds since 1970; only while it is away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_ends: Option<u64>,
    /// Subscriptions, of those that it may have.
    pub subscriptions: Gauge,
    /// Messages that wait for it, of those that may.
    pub queued_messages: Gauge,
    /// Bytes of their topics, properties and payloads.
    pub queued_bytes: Gauge,
    /// Messages at QoS 1 and 2 that were sent to it and that it has not completed.
    pub inflight_messages: usize,
    /// What they cost, in bytes.
    pub inflight_bytes: usize,
    /// Messages at QoS 2 from it that it has not released.
    pub incoming_messages: usize,
    /// Messages that it has lost since its session began, by cause.
    pub dropped_messages: BTreeMap<String, u64>,
    /// Its will, while it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub will: Option<Will>,
}

/// A client's connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Where it comes from; absent where the socket has gone already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The version of MQTT: `3.1`, `3.1.1` or `5.0`.
    pub version: String,
    /// When it was accepted, in seconds since 1970.
    pub since: u64,
    /// Keep-alive in force, in seconds; 0 for none.
    pub keep_alive_secs: u16,
    /// Messages at QoS 1 and 2 that may be under way to it.
    pub receive_maximum: u16,
    /// Encoded bytes that its socket has not taken.
    pub outbox_bytes: usize,
    /// Whether its socket takes nothing now.
    pub blocked: bool,
    /// It is about to be closed, for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closing: Option<String>,
}

/// A will that waits. What it says is not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Will {
    /// Where it will be published.
    pub topic: String,
    /// Its QoS.
    pub qos: u8,
    /// Whether it will be retained.
    pub retain: bool,
    /// Seconds after the end of the connection.
    pub delay_secs: u32,
}

/// Some of a client's subscriptions, in the order of their filters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscriptions {
    /// The subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// Whether there are more behind the last of them.
    pub more: bool,
}

/// One subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The topic filter as the client wrote it, with `$share/…` where it is shared.
    pub filter: String,
    /// The QoS that was granted.
    pub qos: u8,
    /// Whether the client does not get its own messages by it.
    pub no_local: bool,
    /// Whether RETAIN stays as the publisher set it.
    pub retain_as_published: bool,
    /// The subscription identifier, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
}

impl Control {
    /// Everything about one client but its subscriptions.
    ///
    /// # Errors
    /// [`Refusal::NoSuchClient`].
    pub async fn client(&self, client_id: &str) -> Result<Client, Refusal> {
        let session = self.engine().session(client_id);
        let view =
            session.as_ref().and_then(|session| session.view()).ok_or_else(|| no_such_client(client_id))?;
        let (moment, limits) = (self.moment(), self.engine().limits());
        Ok(Client {
            client_id: client_id.to_owned(),
            connection: view.connection.as_ref().map(|connection| Connection::of(connection, moment)),
            session_expiry_secs: view.expiry_secs,
            session_ends: view.expires.map(|at| moment.unix_secs_of(at)),
            subscriptions: Gauge::new(view.subscriptions, limits.subscriptions_max),
            queued_messages: Gauge::new(view.queued_messages, limits.queue_messages_max),
            queued_bytes: Gauge::new(view.queued_bytes, limits.queue_bytes_max),
            inflight_messages: view.inflight_messages,
            inflight_bytes: view.inflight_bytes,
            incoming_messages: view.incoming_messages,
            dropped_messages: view
                .drops
                .iter()
                .map(|(cause, count)| (cause.name().to_owned(), *count))
                .collect(),
            will: view.will.map(Will::of),
        })
    }

    /// The subscriptions of a client from behind `after` on, as many as go into one answer: [`SUBSCRIPTIONS_MAX`], or
    /// fewer if their filters are long.
    ///
    /// # Errors
    /// [`Refusal::NoSuchClient`].
    pub async fn subscriptions(
        &self,
        client_id: &str,
        after: Option<&str>,
    ) -> Result<Subscriptions, Refusal> {
        let session = self.engine().session(client_id).ok_or_else(|| no_such_client(client_id))?;
        let (mut after, mut bytes) = (after.map(str::to_owned), 0);
        let mut subscriptions: Vec<Subscription> = Vec::new();
        while subscriptions.len() < SUBSCRIPTIONS_MAX && bytes < FILTER_BYTES_MAX {
            let at_most = SLICE.min(SUBSCRIPTIONS_MAX - subscriptions.len());
            let slice = session.subscriptions(after.as_deref(), at_most);
            let Some(last) = slice.last() else { return Ok(Subscriptions { subscriptions, more: false }) };
            after = Some(last.filter.to_string());
            bytes += slice.iter().map(|one| one.filter.len()).sum::<usize>();
            subscriptions.extend(slice.into_iter().map(Subscription::of));
            yield_now().await;
        }
        let more = !session.subscriptions(after.as_deref(), 1).is_empty();
        Ok(Subscriptions { subscriptions, more })
    }
}

fn no_such_client(client_id: &str) -> Refusal {
    Refusal::NoSuchClient { client_id: client_id.to_owned() }
}

impl Connection {
    fn of(view: &ConnectionView, moment: Moment) -> Self {
        Self {
            address: view.wire.peer(),
            version: view.version.to_string(),
            since: moment.unix_secs_of(view.since),
            keep_alive_secs: view.keep_alive_secs,
            receive_maximum: view.receive_maximum,
            outbox_bytes: view.outbox_bytes,
            blocked: view.blocked,
            closing: view.closing.map(|reason| reason.name().to_owned()),
        }
    }
}

impl Will {
    fn of(view: WillView) -> Self {
        let WillView { topic, qos, retain, delay_secs } = view;
        Self { topic: topic.into(), qos: qos as u8, retain, delay_secs }
    }
}

impl Subscription {
    fn of(view: SubscriptionView) -> Self {
        Self {
            filter: view.filter.into(),
            qos: view.qos as u8,
            no_local: view.no_local,
            retain_as_published: view.retain_as_published,
            id: (view.id > 0).then_some(view.id),
        }
    }
}
