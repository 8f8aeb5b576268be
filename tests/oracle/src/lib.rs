//! Says whether what clients did and saw is what MQTT and the broker promise. It knows neither sockets nor simulated
//! links: events go in ([`event`]), findings come out.
//!
//! Each promise is a file. An oracle only claims what follows from what clients could see: where an acknowledgement was
//! under way when a connection broke, both outcomes are right.

mod counted;
pub mod event;
pub mod history;
mod leftovers;
mod lost;
mod order;
mod prompt;
mod protocol;
mod retained;
mod session;
mod share;
mod twice;
mod wanted;
mod will;

use std::fmt::{self, Write as _};

use event::{ClientNo, Event, MessageNo, What};
use history::History;
pub use leftovers::Leftovers;

/// What the driver knows beside the events.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Messages that the server has counted as dropped, for whatever cause.
    pub dropped: u64,
    /// Connections that the server may close because a queue is full.
    pub refuses: bool,
    /// Milliseconds that bytes are under way at most, one way, until the other side has dealt with them.
    pub delay_max_millis: u64,
    /// Milliseconds after which the server knows at the latest that a connection is over, keep-alive aside.
    pub notice_max_millis: u64,
    /// Seconds that the server keeps a session at most.
    pub expiry_max_secs: u32,
    /// A client that the network spared and that subscribed to everything before anybody published, and stayed.
    pub witness: Option<ClientNo>,
    /// Clients for which nothing ever waits at the server while they are connected.
    pub unqueued: Vec<ClientNo>,
    /// Milliseconds within which these have what is acknowledged to its publisher.
    pub prompt_millis: Option<u64>,
    /// Clients that are away: what is theirs has not reached them.
    pub absent: Vec<ClientNo>,
    /// Subscriptions that the server counted when all was at rest.
    pub subscriptions: Option<usize>,
    /// A client that subscribed to everything when all was over.
    pub auditor: Option<ClientNo>,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The oracle.
    pub oracle: &'static str,
    /// What is wrong.
    pub text: String,
    /// Whom it concerns.
    pub client: Option<ClientNo>,
    /// Which message.
    pub message: Option<MessageNo>,
}

impl Finding {
    fn new(oracle: &'static str, text: String) -> Finding {
        Finding { oracle, text, client: None, message: None }
    }

    fn of(self, client: ClientNo) -> Finding {
        Finding { client: Some(client), ..self }
    }

    fn on(self, message: MessageNo) -> Finding {
        Finding { message: Some(message), ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.oracle, self.text)
    }
}

/// Asks every oracle.
#[must_use]
pub fn judge(history: &History, facts: &Facts) -> Vec<Finding> {
    let oracles: [fn(&History, &Facts) -> Vec<Finding>; 11] = [
        protocol::check,
        session::check,
        lost::check,
        prompt::check,
        twice::check,
        order::check,
        wanted::check,
        retained::check,
        share::check,
        will::check,
        counted::check,
    ];
    oracles.iter().flat_map(|oracle| oracle(history, facts)).collect()
}

/// Events that a finding speaks of are shown so many at most.
const EVENTS_SHOWN: usize = 60;

/// The events that a finding speaks of: all of its message, and the last of its client.
#[must_use]
pub fn story(history: &History, finding: &Finding) -> String {
    let speaks_of = |what: &What| match (what, finding.message) {
        (_, None) => false,
        (What::Publish(one), Some(message)) => one.message == message,
        (What::Connect(terms), Some(message)) => {
            terms.will.as_ref().is_some_and(|will| will.publication.message == message)
        }
        (What::Acknowledged { message: one, .. } | What::GivenUp { message: one }, Some(message)) => {
            *one == message
        }
        (What::Received(arrival), Some(message)) => arrival.message == Some(message),
        _ => false,
    };
    let publisher = finding.message.and_then(|number| history.messages.get(&number)).map(|one| one.publisher);
    let topic =
        finding.message.and_then(|number| history.messages.get(&number)).map(|one| &*one.publication.topic);
    let is_frame = |what: &What| match what {
        What::Received(_) | What::Publish(_) | What::Acknowledged { .. } | What::GivenUp { .. } => false,
        What::Subscribe { wishes, .. } => {
            wishes.iter().any(|wish| topic.is_none_or(|topic| wish.fits(topic)))
        }
        _ => true,
    };
    let concerns = |client: ClientNo, what: &What| match finding.message {
        Some(_) => (finding.client == Some(client) || publisher == Some(client)) && is_frame(what),
        None => finding.client == Some(client),
    };
    let shown: Vec<_> = history
        .events
        .iter()
        .filter(|event| speaks_of(&event.what) || concerns(event.client, &event.what))
        .collect();
    let mut text = String::new();
    // Where it begins and where it ends.
    let begin = shown
        .iter()
        .position(|event| speaks_of(&event.what))
        .map_or(0, |at| at.saturating_sub(EVENTS_SHOWN / 4));
    let tail = shown.len().saturating_sub(EVENTS_SHOWN / 4).max(begin + EVENTS_SHOWN);
    let near = |(at, _): &(usize, &&Event)| {
        finding.message.is_none() && *at + EVENTS_SHOWN >= shown.len()
            || finding.message.is_some() && *at >= begin && (*at < begin + EVENTS_SHOWN || *at >= tail)
    };
    for (_, event) in shown.iter().enumerate().filter(near) {
        let _ = writeln!(text, "  {event}");
    }
    text
}
