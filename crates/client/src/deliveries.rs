//! The messages whose publishers wait for the outcome.

use std::collections::{HashMap, VecDeque};

use tokio::sync::oneshot;
use whimbrel_proto::{
    Millis,
    client::{Message, Token, Unfinished},
    codec::{QoS, ReasonCode},
};

use crate::PublishError;

pub(crate) type Outcome = Result<ReasonCode, PublishError>;

/// A message that waits to be sent.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) message: Message,
    /// When the program handed it over.
    pub(crate) since: Millis,
    pub(crate) outcome: oneshot::Sender<Outcome>,
}

/// Who waits for what. A publisher that does not wait any more is no reason to stop: its message goes its way.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    next: u64,
    /// QoS 1 and 2, until the server has acknowledged.
    acknowledged: HashMap<Token, oneshot::Sender<Outcome>>,
    /// QoS 0, until the byte of the connection with this number has left.
    left: VecDeque<(u64, oneshot::Sender<Outcome>)>,
}

impl Deliveries {
    /// A new name for a message.
    pub(crate) fn token(&mut self) -> Token {
        self.next += 1;
        Token(self.next)
    }

    /// The message has been sent under this name.
    pub(crate) fn wait_acknowledged(&mut self, token: Token, outcome: oneshot::Sender<Outcome>) {
        self.acknowledged.insert(token, outcome);
    }

    /// The message of QoS 0 ends with this byte of the connection.
    pub(crate) fn wait_left(&mut self, byte: u64, outcome: oneshot::Sender<Outcome>) {
        self.left.push_back((byte, outcome));
    }

    /// The server has told the outcome.
    pub(crate) fn resolve(&mut self, token: Token, outcome: Outcome) {
        if let Some(waiting) = self.acknowledged.remove(&token) {
            let _ = waiting.send(outcome);
        }
    }

    /// So many bytes of the connection have left.
    pub(crate) fn bytes_left(&mut self, bytes: u64) {
        while self.left.front().is_some_and(|(byte, _)| *byte <= bytes) {
            if let Some((_, outcome)) = self.left.pop_front() {
                let _ = outcome.send(Ok(ReasonCode::Success));
            }
        }
    }

    /// The connection is gone: what had not left never will.
    pub(crate) fn connection_gone(&mut self) {
        for (_, outcome) in self.left.drain(..) {
            let _ = outcome.send(Err(PublishError::NotSent));
        }
    }

    /// The session did not live to see the outcome. Gives back what is to be sent again, as a new message.
    pub(crate) fn session_gone(&mut self, unfinished: Unfinished) -> Option<Again> {
        let Unfinished { token, message, since } = unfinished;
        match message {
            // PUBREC came: the server has it.
            None => self.resolve(token, Ok(ReasonCode::Success)),
            Some(message) if message.qos() == QoS::AtLeastOnce => {
                return Some(Again { message, token, since });
            }
            Some(_) => self.resolve(token, Err(PublishError::SessionLost)),
        }
        None
    }
}

/// A message of QoS 1 that is sent again in a new session.
#[derive(Debug)]
pub(crate) struct Again {
    pub(crate) message: Message,
    pub(crate) token: Token,
    pub(crate) since: Millis,
}
