//! What the program is told: messages, and every change of the connection.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use whimbrel_proto::{client::ServerLimits, codec::ReasonCode};

use crate::{ConnectionError, Received, inbox::Inbox};

/// Something that the program may want to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message came.
    Message(Received),
    /// There is a connection.
    Connected(Connected),
    /// There is no connection, or no longer one.
    Disconnected {
        /// Why.
        cause: ConnectionError,
        /// When the next attempt is made. `None`: the client has ended, and this is the last event.
        retry_in: Option<Duration>,
    },
    /// The session was lost, and subscriptions of it have been made again.
    Resubscribed {
        /// Filters that the server did not grant this time.
        refused: Vec<(String, ReasonCode)>,
    },
    /// The program has not taken events for so long that this many changes of the connection were left out here. Messages
    /// never are.
    Skipped(u64),
}

/// A connection that the server has accepted.
#[derive(Clone, Debug)]
pub struct Connected {
    /// Whether the server still had the session. If not, and if there was one, subscriptions are being made again.
    pub session_present: bool,
    /// The client's name, also where the server chose it.
    pub client_id: String,
    /// What the server allows.
    pub limits: ServerLimits,
    /// Seconds that the server keeps the session, where it changed them.
    pub session_expiry_secs: Option<u32>,
    /// Where answers to requests may be sent.
    pub response_information: Option<String>,
    /// The server's words.
    pub reason_string: Option<String>,
    /// User properties of CONNACK.
    pub user_properties: Vec<(String, String)>,
}

/// The stream of events of one client.
///
/// While nobody takes them, the client reads as much as [`Limits`](crate::Limits) allow and then no further. When this is
/// dropped, messages that come are dropped too; those of QoS 1 and 2 are not acknowledged and stay with the server.
#[derive(Debug)]
pub struct Events {
    pub(crate) inbox: Arc<Inbox>,
}

impl Events {
    /// The next event; `None` when the client has ended and all has been told. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| Inbox::poll_next(&self.inbox, cx)).await
    }
}

impl Events {
    /// The next event if there is one now; `None` says nothing about later.
    pub fn try_next(&mut self) -> Option<Event> {
        match Inbox::poll_next(&self.inbox, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.inbox.events_dropped();
    }
}
