//! Clients as a list: by the order of their identifiers, a few figures for each. Not everything about one.

use std::{sync::Arc, vec};

use serde::{Deserialize, Serialize};
use tokio::task::yield_now;
use whimbrel_engine::Session;

use super::{Control, Moment, PATTERN_BYTES_MAX, Refusal, pattern::matches};

/// Sessions looked at before others have their turn.
const SLICE: usize = 256;

/// Which clients are asked for. Without anything: all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// What the client identifier looks like: `*` is any characters, `?` is one.
    pub pattern: Option<String>,
    /// Only those with a connection, or only those without.
    pub connected: Option<bool>,
    /// Only those behind this client identifier.
    pub after: Option<String>,
    /// So many at most.
    pub limit: Option<usize>,
}

/// A client in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSummary {
    /// Its identifier.
    pub client_id: String,
    /// Whether it has a connection.
    pub connected: bool,
    /// Where it is connected from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The version of MQTT that it speaks, while it is connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Since when it is connected, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_since: Option<u64>,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Messages that wait for it.
    pub queued_messages: usize,
    /// Messages under way to it.
    pub inflight_messages: usize,
    /// Messages that it has lost since its session began.
    pub dropped_messages: u64,
}

/// A list of clients that is read in slices. It names those that there were when it was made.
pub struct Clients {
    sessions: vec::IntoIter<Arc<Session>>,
    moment: Moment,
    matching: usize,
    left: usize,
}

impl Control {
    /// Finds clients. What it costs grows with the number of sessions, and the sort with that of those that match; it
    /// lets others run meanwhile.
    ///
    /// # Errors
    /// [`Refusal::PatternTooLong`].
    pub async fn clients(&self, query: &Query) -> Result<Clients, Refusal> {
        if query.pattern.as_ref().is_some_and(|pattern| pattern.len() > PATTERN_BYTES_MAX) {
            return Err(Refusal::PatternTooLong { bytes_max: PATTERN_BYTES_MAX });
        }
        let mut found = Vec::new();
        let mut slice = 0;
        while let Some(sessions) = self.engine().session_slice(slice) {
            found.extend(sessions.into_iter().filter(|session| query.wants(session)));
            slice += 1;
            yield_now().await;
        }
        let matching = found.len();
        let limit = query.limit.unwrap_or(usize::MAX).min(matching);
        let by_id = |one: &Arc<Session>, other: &Arc<Session>| one.client_id().cmp(other.client_id());
        if limit < matching {
            found.select_nth_unstable_by(limit, by_id);
            found.truncate(limit);
        }
        found.sort_unstable_by(by_id);
        let left = matching - found.len();
        Ok(Clients { sessions: found.into_iter(), moment: self.moment(), matching, left })
    }
}

impl Query {
    fn wants(&self, session: &Session) -> bool {
        let id = session.client_id();
        self.after.as_deref().is_none_or(|after| id > after)
            && self.pattern.as_deref().is_none_or(|pattern| matches(pattern, id))
            && match (self.connected, session.is_connected()) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(wanted), Some(connected)) => wanted == connected,
            }
    }
}

impl Clients {
    /// How many clients match.
    #[must_use]
    pub fn matching(&self) -> usize {
        self.matching
    }

    /// How many of those are not in the list, because of its limit.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left
    }

    /// The next of them; none at the end. Who has gone since the list was made is passed over.
    pub async fn next_slice(&mut self) -> Vec<ClientSummary> {
        loop {
            yield_now().await;
            let sessions = self.sessions.by_ref().take(SLICE);
            let moment = self.moment;
            let (mut looked, mut slice) = (0, Vec::with_capacity(SLICE));
            for session in sessions {
                looked += 1;
                slice.extend(summary(&session, moment));
            }
            if !slice.is_empty() || looked == 0 {
                return slice;
            }
        }
    }
}

fn summary(session: &Session, moment: Moment) -> Option<ClientSummary> {
    let view = session.view()?;
    let connection = view.connection.as_ref();
    Some(ClientSummary {
        client_id: session.client_id().to_owned(),
        connected: connection.is_some(),
        address: connection.and_then(|connection| connection.wire.peer()),
        version: connection.map(|connection| connection.version.to_string()),
        connected_since: connection.map(|connection| moment.unix_secs_of(connection.since)),
        subscriptions: view.subscriptions,
        queued_messages: view.queued_messages,
        inflight_messages: view.inflight_messages,
        dropped_messages: view.drops.iter().map(|(_, messages)| messages).sum(),
    })
}
