//! The end of what a client has proved of itself, and of its connection with it. Not the proof.

use whimbrel_proto::{Millis, codec::ReasonCode};

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

    pub(super) fn has_proof_end(&self) -> bool {
        self.proof_ends_secs != u32::MAX
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
}
