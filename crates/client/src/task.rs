//! The task behind a client: attempts to connect, one connection after the other, and the pauses between them.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep},
};
use whimbrel_net::Dialler;
use whimbrel_proto::{
    client::{Connection, Session, Settings},
    codec::Version,
};

use crate::{
    ConnectionError, Event, Options,
    backoff::{Pauses, chance},
    clock::{Clock, millis},
    deliveries::{Again, Deliveries, Queued},
    inbox::Inbox,
    link::{Derived, Exchange, Link},
    request::Request,
    subscriptions::Subscriptions,
};

/// What outlives a connection.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) options: Options,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) clock: Clock,
    pub(crate) publishes: mpsc::Receiver<Queued>,
    /// The message that was taken from the channel and has to wait for room.
    pub(crate) head: Option<Queued>,
    /// Messages that a lost session left, to be sent before all others.
    pub(crate) again: VecDeque<Again>,
    pub(crate) requests: mpsc::Receiver<Request>,
    /// Requests that the last connection left unanswered.
    pub(crate) unanswered: VecDeque<Request>,
    pub(crate) deliveries: Deliveries,
    pub(crate) subscriptions: Subscriptions,
    /// Who waits for the first connection.
    pub(crate) first: Option<oneshot::Sender<Result<(), ConnectionError>>>,
    /// Since when the connection has been accepted.
    pub(crate) connected_since: Option<Instant>,
    /// Whether any connection has been accepted: later ones resume.
    pub(crate) was_connected: bool,
    /// What was derived from the password last.
    pub(crate) derived: Option<Derived>,
}

#[derive(Debug)]
pub(crate) struct Task {
    work: Work,
    session: Session,
    dialler: Dialler,
}

impl Task {
    pub(crate) fn new(
        options: Options,
        inbox: Arc<Inbox>,
        clock: Clock,
        publishes: mpsc::Receiver<Queued>,
        requests: mpsc::Receiver<Request>,
    ) -> Task {
        // Who does not start clean says that the session of an earlier process may go on.
        let session = if options.clean_start { Session::default() } else { Session::continued() };
        let dialler = Dialler::new(options.tls.clone());
        let work = Work {
            options,
            inbox,
            clock,
            publishes,
            head: None,
            again: VecDeque::new(),
            requests,
            unanswered: VecDeque::new(),
            deliveries: Deliveries::default(),
            subscriptions: Subscriptions::default(),
            first: None,
            connected_since: None,
            was_connected: false,
            derived: None,
        };
        Task { work, session, dialler }
    }

    pub(crate) async fn run(mut self, first: Option<oneshot::Sender<Result<(), ConnectionError>>>) {
        self.work.first = first;
        let mut pauses = self.work.options.reconnect.map(Pauses::new);
        loop {
            let cause = self.attempt().await;
            let stood = self.work.connected_since.take().map(|since| since.elapsed()).unwrap_or_default();
            tracing::debug!(%cause, "no connection");
            if let Some(first) = self.work.first.take() {
                let _ = first.send(Err(cause));
                break;
            }
            let again = !cause.is_final() && !self.work.inbox.wants_end();
            let pause = pauses.as_mut().filter(|_| again).map(|pauses| {
                pauses.stood(stood);
                pauses.next(chance())
            });
            self.work.inbox.push_change(Event::Disconnected { cause, retry_in: pause });
            let Some(pause) = pause else { break };
            if self.work.or_end(sleep(pause)).await.is_none() {
                let ended = Event::Disconnected { cause: ConnectionError::Ended, retry_in: None };
                self.work.inbox.push_change(ended);
                break;
            }
        }
        let ending = self.work.inbox.take_ending();
        self.work.inbox.end();
        // The receivers close, and everybody who still waits for something learns that the client has ended.
        drop(self);
        if let Some(ending) = ending {
            let _ = ending.reply.send(Ok(()));
        }
    }

    /// One connection from dialling to its end; why it ended.
    async fn attempt(&mut self) -> ConnectionError {
        let Work { options, clock, was_connected, .. } = &self.work;
        let (address, within, clock) = (options.address.clone(), options.timeouts.dial, *clock);
        // Before 5.0 Clean Session says also how long the session lasts, so it stays as it is.
        let clean_start = options.clean_start && !(*was_connected && options.version == Version::V5);
        let stream = match self.work.or_end(self.dialler.dial(&address, within)).await {
            None => return ConnectionError::Ended,
            Some(Ok(stream)) => stream,
            Some(Err(error)) => return ConnectionError::Dial(Arc::new(error)),
        };
        let exchange = match Exchange::begin(&self.work.options) {
            Ok(exchange) => exchange,
            Err(error) => return error.into(),
        };
        let (exchange, first) = exchange.unzip();
        let options = &self.work.options;
        let settings = Settings {
            connack_timeout_millis: millis(options.timeouts.connack),
            ping_timeout_millis: millis(options.timeouts.ping),
            topic_aliases_out_max: options.topic_aliases_out_max,
        };
        let session = std::mem::take(&mut self.session);
        let mut out = Vec::new();
        let connection = options.with_connect(clean_start, first.as_deref(), |connect| {
            Connection::new(connect, settings, session, clock.now(), &mut out)
        });
        let connection = match connection {
            Ok(connection) => connection,
            Err(misuse) => return ConnectionError::Options(misuse),
        };
        let mut link = Link::new(stream, connection, exchange, out, &mut self.work);
        let cause = link.run().await;
        self.session = link.close();
        cause
    }
}

impl Work {
    /// What `future` gives, or nothing when the program wants to end before.
    async fn or_end<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.inbox.register_task(cx.waker());
            if self.inbox.wants_end() {
                return Poll::Ready(None);
            }
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }
}
