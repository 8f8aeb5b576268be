//! The handle that the program asks with.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::{mpsc, oneshot};
use whimbrel_proto::codec::ReasonCode;

use crate::{
    ConnectionError, Events, Farewell, Granted, Message, Options, PublishError, RequestError, Subscription,
    clock::Clock,
    deliveries::{Outcome, Queued},
    inbox::Inbox,
    request::{Ending, Request, Unsubscription},
    task::Task,
};

/// Requests that wait for the task; more wait in their callers.
const REQUESTS_WAITING_MAX: usize = 16;

/// A client: publishes, subscribes, disconnects. Clones are the same client.
///
/// When all clones and the [`Events`] are dropped, the network connection is closed without DISCONNECT, as if the program
/// had died: the server publishes the will. [`Client::disconnect`] is the orderly way.
#[derive(Clone, Debug)]
pub struct Client {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    inbox: Arc<Inbox>,
    publishes: mpsc::Sender<Queued>,
    requests: mpsc::Sender<Request>,
    clock: Clock,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inbox.clients_dropped();
    }
}

impl Client {
    /// Connects, and returns when the server has accepted. From then on the client reconnects by itself.
    ///
    /// # Errors
    /// The first connection did not come about. Nothing is tried again then; [`Client::start`] does.
    pub async fn connect(options: Options) -> Result<(Client, Events), ConnectionError> {
        let (accepted, first) = oneshot::channel();
        let (client, events) = spawn(options, Some(accepted));
        match first.await {
            Ok(Ok(())) => Ok((client, events)),
            Ok(Err(cause)) => Err(cause),
            Err(_) => Err(ConnectionError::Ended),
        }
    }

    /// Begins to connect, and returns at once; the events tell what comes of it. Messages may be published already: they
    /// wait.
    ///
    /// Needs to be called within a tokio runtime.
    #[must_use]
    pub fn start(options: Options) -> (Client, Events) {
        spawn(options, None)
    }

    /// Hands over a message. Returns when there is room for it; what comes of it, the [`Delivery`] tells.
    ///
    /// ```no_run
    /// # use whimbrel_client::*;
    /// # async fn example(client: Client) -> Result<(), PublishError> {
    /// // Fast: many are under way at a time.
    /// let mut deliveries = Vec::new();
    /// for reading in ["21.5", "21.6"] {
    ///     deliveries.push(client.publish(Message::new("t", reading).qos(QoS::AtLeastOnce)).await?);
    /// }
    /// // Sure: every one has been acknowledged.
    /// for delivery in deliveries {
    ///     delivery.await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The message breaks the specification, or the client has ended.
    pub async fn publish(&self, message: Message) -> Result<Delivery, PublishError> {
        let (queued, delivery) = self.queued(message)?;
        self.handle.publishes.send(queued).await.map_err(|_| PublishError::ClientEnded)?;
        Ok(delivery)
    }

    /// Hands over a message if there is room for it now.
    ///
    /// # Errors
    /// The message breaks the specification, there is no room, or the client has ended.
    pub fn try_publish(&self, message: Message) -> Result<Delivery, PublishError> {
        let (queued, delivery) = self.queued(message)?;
        match self.handle.publishes.try_send(queued) {
            Ok(()) => Ok(delivery),
            Err(mpsc::error::TrySendError::Full(_)) => Err(PublishError::QueueFull),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(PublishError::ClientEnded),
        }
    }

    fn queued(&self, message: Message) -> Result<(Queued, Delivery), PublishError> {
        let (outcome, waiting) = oneshot::channel();
        let since = self.handle.clock.now();
        Ok((Queued { message: message.into_wire()?, since, outcome }, Delivery { waiting }))
    }

    /// Subscribes, and returns the server's answer. A filter that the server refuses is no error here: look at the reasons.
    /// While there is no connection this waits for one.
    ///
    /// The client remembers what was granted, and subscribes again when the server loses the session.
    ///
    /// # Errors
    /// A filter is wrong, the server has no such subscriptions, or the client has ended.
    pub async fn subscribe(&self, subscription: Subscription) -> Result<Granted, RequestError> {
        let (reply, answer) = oneshot::channel();
        self.request(Request::Subscribe(subscription, reply)).await?;
        answer.await.map_err(|_| RequestError::ClientEnded)?
    }

    /// Unsubscribes, and returns the server's answer.
    ///
    /// # Errors
    /// A filter is wrong, or the client has ended.
    pub async fn unsubscribe(
        &self,
        filters: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Granted, RequestError> {
        self.unsubscribe_with(filters, Vec::new()).await
    }

    /// Unsubscribes with user properties in UNSUBSCRIBE, and returns the server's answer.
    ///
    /// # Errors
    /// A filter is wrong, or the client has ended.
    pub async fn unsubscribe_with(
        &self,
        filters: impl IntoIterator<Item = impl Into<String>>,
        user_properties: Vec<(String, String)>,
    ) -> Result<Granted, RequestError> {
        let (reply, answer) = oneshot::channel();
        let filters = filters.into_iter().map(Into::into).collect();
        self.request(Request::Unsubscribe(Unsubscription { filters, user_properties }, reply)).await?;
        answer.await.map_err(|_| RequestError::ClientEnded)?
    }

    /// Asks the server for a sign of life, and returns when it came. All that was sent before has been read by then.
    ///
    /// # Errors
    /// The client has ended.
    pub async fn ping(&self) -> Result<(), RequestError> {
        let (reply, answer) = oneshot::channel();
        self.request(Request::Ping(reply)).await?;
        answer.await.map_err(|_| RequestError::ClientEnded)
    }

    /// Proves once more who the client is, by the method of [`Options::scram`], and returns when the server has accepted and
    /// proved itself. Messages flow meanwhile. Where the server refuses, the connection ends.
    ///
    /// # Errors
    /// The client has no method, it is authenticating already, or it has ended.
    pub async fn reauthenticate(&self) -> Result<(), RequestError> {
        let (reply, answer) = oneshot::channel();
        self.request(Request::Reauthenticate(reply)).await?;
        answer.await.map_err(|_| RequestError::ClientEnded)?
    }

    async fn request(&self, request: Request) -> Result<(), RequestError> {
        self.handle.requests.send(request).await.map_err(|_| RequestError::ClientEnded)
    }

    /// Parts from the server, and returns when the connection is closed. Messages that wait are sent before, as far as the
    /// server takes them; whoever needs to know awaits the deliveries first.
    ///
    /// # Errors
    /// The client has ended already.
    pub async fn disconnect(&self) -> Result<(), RequestError> {
        self.disconnect_with(Farewell::default()).await
    }

    /// Parts from the server with these words.
    ///
    /// # Errors
    /// The words cannot be sent, and the connection goes on; or the client has ended already.
    pub async fn disconnect_with(&self, farewell: Farewell) -> Result<(), RequestError> {
        let (reply, answer) = oneshot::channel();
        if self.handle.inbox.ask_end(Ending { farewell, reply }).is_some() {
            return Err(RequestError::ClientEnded);
        }
        answer.await.map_err(|_| RequestError::ClientEnded)?
    }
}

fn spawn(options: Options, first: Option<oneshot::Sender<Result<(), ConnectionError>>>) -> (Client, Events) {
    let inbox = Arc::new(Inbox::new(options.limits, options.manual_ack));
    let (publishes, publishes_in) = mpsc::channel(options.limits.publishes_waiting_max.max(1));
    let (requests, requests_in) = mpsc::channel(REQUESTS_WAITING_MAX);
    let clock = Clock::start();
    let task = Task::new(options, Arc::clone(&inbox), clock, publishes_in, requests_in);
    tokio::spawn(task.run(first));
    let handle = Arc::new(Handle { inbox: Arc::clone(&inbox), publishes, requests, clock });
    (Client { handle }, Events { inbox })
}

/// The outcome of a published message: resolves when the server has acknowledged it, at QoS 0 when it has left this
/// machine, or with the reason why not. It may be dropped; the message goes its way.
#[derive(Debug)]
#[must_use = "await the delivery, or drop it to say that the outcome does not matter"]
pub struct Delivery {
    waiting: oneshot::Receiver<Outcome>,
}

impl Future for Delivery {
    /// The server's reason code, none of them an error: it may say that nobody has subscribed.
    type Output = Result<ReasonCode, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.waiting).poll(cx).map(|told| told.unwrap_or(Err(PublishError::ClientEnded)))
    }
}
