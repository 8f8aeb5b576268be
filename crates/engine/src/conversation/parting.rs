//! The server ends a conversation, or does not begin it; and how a conversation has ended. Not the end of a session.

use whimbrel_proto::{Millis, codec::ReasonCode, server::farewell};

use super::Conversation;
use crate::{End, Engine, Turn};

impl Conversation {
    /// The server ends the connection.
    pub fn close(&mut self, engine: &Engine, turn: &mut Turn, reason: ReasonCode) {
        self.close_because(engine, turn, reason, None);
    }

    /// The server ends the connection, and says why where there are words for it.
    pub fn close_because(&mut self, engine: &Engine, turn: &mut Turn, reason: ReasonCode, why: Option<&str>) {
        match &self.attached {
            Some(attached) => engine.close(turn, attached, reason, why),
            None => farewell(&self.connection, reason, why, self.last_words.get_or_insert_default()),
        }
        self.attention.closing = Some(reason);
        self.closing = true;
    }

    /// The client is not let in, whoever it is, and is told why. In place of [`Conversation::answer`].
    pub fn keep_out(&mut self, turn: &Turn, reason: ReasonCode, why: &str) {
        self.refuse(turn, reason, Some(why));
    }

    /// The client is not read from before that moment, whatever it sends: its silence says nothing meanwhile.
    pub fn rest_until(&mut self, until: Millis) {
        self.deaf_until = self.deaf_until.max(until);
    }

    /// Whether a client that was let in has lost its connection, and has neither announced it nor was sent away by an
    /// administrator, or since what it had proved of itself has ended.
    #[must_use]
    pub fn has_fallen(&self) -> bool {
        use ReasonCode::{AdministrativeAction, ServerShuttingDown};
        let sent_away = matches!(self.attention.closing, Some(AdministrativeAction | ServerShuttingDown));
        let ended = self.attention.closing == Some(ReasonCode::NotAuthorized);
        self.attached.is_some() && self.end == End::Lost && !sent_away && !(ended && self.has_proof_end())
    }
}
