//! SCRAM on one connection: the client proves that it knows the password, and believes no server that does not prove that it
//! knows the user. Not the messages, which are `whimbrel-scram`'s.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{sync::oneshot, task::JoinHandle};
use whimbrel_proto::{client::Misuse, codec::ReasonCode};
use whimbrel_scram::{Client, Fault, Hash, Keys, Proof, Question, prepare};

use super::Link;
use crate::{AuthenticationError, ConnectionError, Options, RequestError, Version, request::Request};

/// Random bytes of the client's part of a nonce.
const NONCE_BYTES: usize = 18;

/// Where the exchange of a connection stands.
#[derive(Debug)]
pub(crate) struct Exchange {
    hash: Hash,
    stage: Stage,
    /// Who waits for a re-authentication.
    waiting: Option<oneshot::Sender<Result<(), RequestError>>>,
}

#[derive(Debug)]
enum Stage {
    /// The server is to ask.
    Begun(Client),
    /// What it has asked for takes its time, on a thread for that.
    Deriving {
        question: Question,
        keys: JoinHandle<Keys>,
    },
    /// The server is to prove itself.
    Answered(Proof),
    Idle,
}

/// What was derived last, for the next connection: a server mostly asks for the same.
#[derive(Debug)]
pub(crate) struct Derived {
    salt: Vec<u8>,
    iterations: u32,
    keys: Keys,
}

impl Exchange {
    /// Begins, if the options ask for it; gives the data of CONNECT with it.
    pub(crate) fn begin(options: &Options) -> Result<Option<(Exchange, String)>, AuthenticationError> {
        let Some(hash) = options.scram else { return Ok(None) };
        if options.version != Version::V5 {
            return Err(AuthenticationError::Version);
        }
        let password = options.credentials.password.as_deref().ok_or(AuthenticationError::Credentials)?;
        let password = str::from_utf8(password).map_err(|_| AuthenticationError::Characters)?;
        prepare(password).map_err(|_| AuthenticationError::Characters)?;
        let (client, first) = begin(hash, options)?;
        Ok(Some((Exchange { hash, stage: Stage::Begun(client), waiting: None }, first)))
    }
}

fn begin(hash: Hash, options: &Options) -> Result<(Client, String), AuthenticationError> {
    let user_name = options.credentials.user_name.as_deref().ok_or(AuthenticationError::Credentials)?;
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|_| AuthenticationError::Randomness)?;
    let nonce: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
    Client::new(hash, user_name, &nonce).map_err(|_| AuthenticationError::Characters)
}

impl Link<'_> {
    /// AUTH has come.
    pub(super) fn auth(&mut self, reason: ReasonCode, data: Option<&[u8]>) -> Result<(), ConnectionError> {
        let Some(exchange) = &mut self.exchange else { return Err(ConnectionError::AuthenticationExchange) };
        let data = data.unwrap_or_default();
        match (std::mem::replace(&mut exchange.stage, Stage::Idle), reason) {
            (Stage::Begun(client), ReasonCode::ContinueAuthentication) => {
                let question = client.question(data).map_err(AuthenticationError::Fault)?;
                self.asked(question);
                Ok(())
            }
            (Stage::Answered(proof), ReasonCode::Success) => {
                proof.confirm(data).map_err(AuthenticationError::Fault)?;
                if let Some(waiting) = exchange.waiting.take() {
                    let _ = waiting.send(Ok(()));
                }
                Ok(())
            }
            _ => Err(AuthenticationError::Fault(Fault::Malformed).into()),
        }
    }

    /// CONNACK has come: it counts if the server has proved itself in it.
    pub(super) fn check_server(&mut self, data: Option<&[u8]>) -> Result<(), AuthenticationError> {
        let Some(exchange) = &mut self.exchange else { return Ok(()) };
        match std::mem::replace(&mut exchange.stage, Stage::Idle) {
            Stage::Answered(proof) => {
                proof.confirm(data.unwrap_or_default()).map_err(AuthenticationError::Fault)
            }
            _ => Err(AuthenticationError::Fault(Fault::Server)),
        }
    }

    fn asked(&mut self, question: Question) {
        let known = self.work.derived.as_ref();
        let known =
            known.filter(|known| (&known.salt, known.iterations) == (&question.salt, question.iterations));
        if let Some(keys) = known.map(|known| known.keys.clone()) {
            self.answer(&question, &keys);
            return;
        }
        let Some(exchange) = &mut self.exchange else { return };
        let password = self.work.options.credentials.password.clone().unwrap_or_default();
        let (hash, salt, iterations) = (exchange.hash, question.salt.clone(), question.iterations);
        let derive = move || Keys::derive(hash, &password, &salt, iterations);
        exchange.stage = Stage::Deriving { question, keys: tokio::task::spawn_blocking(derive) };
    }

    fn answer(&mut self, question: &Question, keys: &Keys) {
        let Some(exchange) = &mut self.exchange else { return };
        let (proof, message) = question.answer(keys);
        exchange.stage = Stage::Answered(proof);
        // It is our turn, and fits wherever the server's own message did.
        let now = self.work.clock.now();
        if let Err(misuse) = self.connection.authenticate(Some(message.as_bytes()), now, &mut self.out) {
            tracing::debug!(%misuse, "the proof cannot be sent");
        }
    }

    /// Goes on when the keys are there. Whether anything was done.
    pub(super) fn poll_exchange(&mut self, cx: &mut Context<'_>) -> Result<bool, ConnectionError> {
        let Some(exchange) = &mut self.exchange else { return Ok(false) };
        let Stage::Deriving { keys, .. } = &mut exchange.stage else { return Ok(false) };
        let Poll::Ready(keys) = Pin::new(keys).poll(cx) else { return Ok(false) };
        let keys = keys.map_err(|_| ConnectionError::Ended)?; // The runtime is going down.
        if let Stage::Deriving { question, .. } = std::mem::replace(&mut exchange.stage, Stage::Idle) {
            self.answer(&question, &keys);
            self.work.derived = Some(Derived { salt: question.salt, iterations: question.iterations, keys });
        }
        Ok(true)
    }

    /// The program wants to prove itself anew.
    pub(super) fn reauthenticate(&mut self, reply: oneshot::Sender<Result<(), RequestError>>) {
        let begun = match &self.exchange {
            None => Err(Misuse::NoAuthenticationMethod),
            Some(Exchange { stage: Stage::Idle, hash, .. }) => {
                begin(*hash, &self.work.options).map_err(|_| Misuse::NoAuthenticationMethod)
            }
            Some(_) => Err(Misuse::AuthOutOfTurn),
        };
        let now = self.work.clock.now();
        let begun = begun.and_then(|(client, first)| {
            self.connection.reauthenticate(Some(first.as_bytes()), now, &mut self.out).map(|()| client)
        });
        match (begun, &mut self.exchange) {
            (Ok(client), Some(exchange)) => {
                exchange.stage = Stage::Begun(client);
                exchange.waiting = Some(reply);
            }
            (Err(misuse), _) => {
                let _ = reply.send(Err(RequestError::Misuse(misuse)));
            }
            (Ok(_), None) => {}
        }
    }

    /// The connection is gone, and with it the exchange: the next one authenticates from the start, and again for whoever
    /// waits for that.
    pub(super) fn leave_exchange(&mut self) {
        if let Some(waiting) = self.exchange.take().and_then(|exchange| exchange.waiting) {
            self.work.unanswered.push_front(Request::Reauthenticate(waiting));
        }
    }
}
