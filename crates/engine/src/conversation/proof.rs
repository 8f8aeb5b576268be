//! A connection that the server ends: because what its client has proved of itself ends, or because somebody says so. Not
//! the proof.

use whimbrel_proto::{Millis, codec::ReasonCode, server::farewell};

use super::Conversation;
use crate::{Count, Engine, Turn};

impl Conversation {
    /// What the client has proved of itself counts until then, and the connection ends with it: DISCONNECT 0x87 for 5.0. Told
    /// again of a live connection, after a new proof, the later word counts.
    pub fn ends_at(&mut self, proof_ends: Millis) {
        self.proof_ends_secs = u32::try_from(proof_ends.0.div_ceil(1_000)).unwrap_or(u32::MAX);
    }

    pub(super) fn proof_ends(&self) -> Millis {
        match self.proof_ends_secs {
            u32::MAX => Millis::NEVER,
            secs => Millis(u64::from(secs) * 1_000),
        }
    }

    /// Closes the connection if that moment has come.
    pub(super) fn end_with_proof(&mut self, engine: &Engine, turn: &mut Turn) -> bool {
        let has_ended = self.proof_ends() <= turn.now.mono;
        if has_ended {
            turn.count(Count::ProofEnded, 1);
            let why = Some("what you proved of yourself has ended");
            self.close_because(engine, turn, ReasonCode::NotAuthorized, why);
        }
        has_ended
    }

    /// The server ends the connection.
    pub fn close(&mut self, engine: &Engine, turn: &mut Turn, reason: ReasonCode) {
        self.close_because(engine, turn, reason, None);
    }

    /// The server ends the connection, and tells a client that can hear it why.
    pub(super) fn close_because(
        &mut self,
        engine: &Engine,
        turn: &mut Turn,
        reason: ReasonCode,
        why: Option<&str>,
    ) {
        match &self.attached {
            Some(attached) => engine.close(turn, attached, reason, why),
            None => farewell(&self.connection, reason, why, self.last_words.get_or_insert_default()),
        }
        self.closing = true;
    }
}
