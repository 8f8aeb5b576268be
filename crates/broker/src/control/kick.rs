//! Ends a client's connection, and its session if that is asked for. Not how a connection ends: that is the engine's.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, interval};
use whimbrel_engine::{Held, Kicked as Found};

use super::{Control, Refusal};
use crate::worker::Words;

/// How long a client may take to be gone after it was told.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked whether it is gone.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What has become of a client that was to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kicked {
    /// Its identifier.
    pub client_id: String,
    /// It had a connection, which is gone. It may have come back with another one since.
    pub disconnected: bool,
    /// Its session has ended, with its subscriptions and its queue.
    pub session_ended: bool,
}

impl Control {
    /// Ends the connection of a client with DISCONNECT 0x98, which clients before 5.0 see as a close, and if
    /// `with_session` its session. Its will is published as after any loss. Answers when it is gone; needs the clock of
    /// a tokio runtime.
    ///
    /// # Errors
    /// [`Refusal::NoSuchClient`]; [`Refusal::NotConnected`] where only a connection was to end;
    /// [`Refusal::NotGone`].
    pub async fn kick(&self, client_id: &str, with_session: bool) -> Result<Kicked, Refusal> {
        let no_such_client = || Refusal::NoSuchClient { client_id: client_id.to_owned() };
        let not_connected = || Refusal::NotConnected { client_id: client_id.to_owned() };
        let (disconnected, held) = match self.tell(client_id, with_session).ok_or_else(no_such_client)? {
            Found::Told(held) => (true, held),
            Found::Due(held) => (false, held),
            Found::Absent => return Err(not_connected()),
        };
        tracing::info!(client = %Words(client_id), session = with_session, "control: a client is told to go");
        let end = Instant::now() + GONE_WITHIN;
        let (mut looks, mut told_again) = (interval(LOOK_EVERY), !disconnected);
        while self.is_there(client_id, held, with_session, &mut told_again) {
            if Instant::now() >= end {
                let secs = GONE_WITHIN.as_secs();
                return Err(Refusal::NotGone { client_id: client_id.to_owned(), secs });
            }
            looks.tick().await;
        }
        let session_ended = with_session && !self.engine().has_session(client_id, held);
        Ok(Kicked { client_id: client_id.to_owned(), disconnected, session_ended })
    }

    fn tell(&self, client_id: &str, with_session: bool) -> Option<Found> {
        let mut turn = self.0.turn.lock();
        turn.now = self.0.shared.now();
        let found = self.engine().kick(&mut turn, client_id, with_session);
        self.engine().flush(&mut turn);
        turn.notices.clear();
        found
    }

    /// Whether what was to go is still there. Where the client's own DISCONNECT came in between and asked for a longer
    /// session, the session is told once more to end.
    fn is_there(&self, client_id: &str, held: Held, with_session: bool, told_again: &mut bool) -> bool {
        if self.engine().has_connection(client_id, held) {
            return true;
        }
        if !with_session || !self.engine().has_session(client_id, held) {
            return false;
        }
        // With another connection the client is back: that is not the one which was to go.
        let session = self.engine().session(client_id);
        let is_absent = session.and_then(|session| session.is_connected()) == Some(false);
        if is_absent && !std::mem::replace(told_again, true) {
            self.tell(client_id, true);
        }
        is_absent
    }
}
