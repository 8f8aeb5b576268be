//! SCRAM with the verifiers of the password file: one client's exchange. Not the messages, which are `whimbrel-scram`'s.
//!
//! All of it is done on a worker: an exchange costs the server a look into the file and four short hashes. What takes time
//! is the client's.

use std::sync::Arc;

use base64ct::{Base64, Encoding as _};
use whimbrel_scram::{Challenge, Fault, Hash, Opening};

use super::verifier::{Claimed, Verifier};
use crate::auth::{Denial, Exchange, Identity, Said, Step};

/// Random bytes of the server's part of a nonce.
const NONCE_BYTES: usize = 18;

/// One client's exchange.
pub(super) struct Scram {
    verifier: Arc<Verifier>,
    hash: Hash,
    stage: Stage,
}

enum Stage {
    /// The client has said nothing; whether it was asked to begin.
    New { asked: bool },
    /// It has said who it is, and was asked for a proof.
    Asked { user_name: Box<str>, claimed: Claimed, challenge: Challenge },
    /// It was judged.
    Over { user_name: Option<Box<str>> },
}

impl Scram {
    pub(super) fn new(verifier: Arc<Verifier>, hash: Hash) -> Self {
        Self { verifier, hash, stage: Stage::New { asked: false } }
    }

    fn open(&mut self, message: &[u8]) -> Step {
        let opening = match Opening::read(message) {
            Ok(opening) => opening,
            Err(fault) => return self.refuse(fault),
        };
        let mut nonce = [0; NONCE_BYTES];
        if getrandom::fill(&mut nonce).is_err() {
            return Step::Deny(self.verifier.refuse(Denial::ServerBusy));
        }
        let user_name: Box<str> = opening.user_name().into();
        let (verifier, claimed) = self.verifier.claim(&user_name, self.hash);
        let (challenge, message) = opening.challenge(verifier, &Base64::encode_string(&nonce));
        self.stage = Stage::Asked { user_name, claimed, challenge };
        Step::Continue(message.into_bytes())
    }

    fn judge(&mut self, claimed: &Claimed, challenge: &Challenge, message: &[u8]) -> Step {
        let proved = challenge.judge(message);
        // Nobody gets in by a line that went meanwhile, or by one that was made up.
        match (proved, self.verifier.still(claimed)) {
            (Ok(proof), Some(user_name)) => {
                self.verifier.count_accepted();
                Step::Allow(Identity::named(user_name), Some(proof.into_bytes()))
            }
            (Err(fault), _) if fault != Fault::Proof => self.refuse(fault),
            _ => Step::Deny(self.verifier.refuse(Denial::BadUserNameOrPassword)),
        }
    }

    /// What is no proof is no guess either.
    fn refuse(&self, fault: Fault) -> Step {
        tracing::debug!(method = self.hash.method(), "refused: {fault}");
        Step::Deny(self.verifier.refuse(Denial::NotAuthorized))
    }
}

impl Exchange for Scram {
    fn hear(&mut self, data: Option<&[u8]>) -> Said {
        let stage = std::mem::replace(&mut self.stage, Stage::Over { user_name: None });
        Said::Now(match (stage, data) {
            // The client is to begin; one that has not is asked to by a message without content.
            (Stage::New { asked: false }, None) => {
                self.stage = Stage::New { asked: true };
                Step::Continue(Vec::new())
            }
            (Stage::New { .. }, data) => self.open(data.unwrap_or_default()),
            (Stage::Asked { user_name, claimed, challenge }, data) => {
                let step = self.judge(&claimed, &challenge, data.unwrap_or_default());
                self.stage = Stage::Over { user_name: Some(user_name) };
                step
            }
            (Stage::Over { .. }, _) => Step::Deny(Denial::NotAuthorized),
        })
    }

    fn is_guess(&self) -> bool {
        matches!(self.stage, Stage::Asked { .. })
    }

    fn user_name(&self) -> Option<&str> {
        match &self.stage {
            Stage::New { .. } => None,
            Stage::Asked { user_name, .. } => Some(user_name),
            Stage::Over { user_name } => user_name.as_deref(),
        }
    }
}
