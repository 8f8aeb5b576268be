//! What the program asks of the server beside publishing: subscriptions, their end, an echo, the farewell.

use tokio::sync::oneshot;
use whimbrel_proto::codec::{QoS, ReasonCode, SubscribeOptions};

use crate::RequestError;

/// Topic filters to subscribe to, in one SUBSCRIBE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// The filters, each with its options; before 5.0 only the QoS is of use.
    pub filters: Vec<(String, SubscribeOptions)>,
    /// The identifier that messages which came by these filters carry, in 5.0.
    pub id: Option<u32>,
    /// User properties of SUBSCRIBE, in 5.0.
    pub user_properties: Vec<(String, String)>,
}

impl Subscription {
    /// One filter with the most usual options.
    pub fn new(filter: impl Into<String>, qos: QoS) -> Subscription {
        Subscription::default().and(filter, SubscribeOptions::with_qos(qos))
    }

    /// One filter more.
    #[must_use]
    pub fn and(mut self, filter: impl Into<String>, options: SubscribeOptions) -> Subscription {
        self.filters.push((filter.into(), options));
        self
    }
}

/// Topic filters to unsubscribe from, in one UNSUBSCRIBE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unsubscription {
    pub(crate) filters: Vec<String>,
    pub(crate) user_properties: Vec<(String, String)>,
}

/// The server's answer to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// One reason per filter, in the order of the request. Before 5.0 an UNSUBACK has none.
    pub reasons: Vec<ReasonCode>,
    /// The server's words.
    pub reason_string: Option<String>,
}

/// How to part from the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Farewell {
    /// Why; a normal disconnection by default. With `DisconnectWithWill` the will is published. In 5.0.
    pub reason: ReasonCode,
    /// Seconds that the server keeps the session from here on, in 5.0. By default what CONNECT said, and 0 for a client that
    /// starts clean.
    pub session_expiry_secs: Option<u32>,
    /// Words for a person, in 5.0.
    pub reason_string: Option<String>,
    /// User properties of DISCONNECT, in 5.0.
    pub user_properties: Vec<(String, String)>,
}

pub(crate) type Reply = oneshot::Sender<Result<Granted, RequestError>>;

/// A request on its way. It survives the connection: what was not answered is asked again on the next one.
#[derive(Debug)]
pub(crate) enum Request {
    Subscribe(Subscription, Reply),
    /// A subscription that was lost with the session.
    Resubscribe(Subscription),
    Unsubscribe(Unsubscription, Reply),
    Ping(oneshot::Sender<()>),
    Reauthenticate(oneshot::Sender<Result<(), RequestError>>),
}

/// The wish to end, with the answer to whoever asked.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) farewell: Farewell,
    pub(crate) reply: oneshot::Sender<Result<(), RequestError>>,
}
