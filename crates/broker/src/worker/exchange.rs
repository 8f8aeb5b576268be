//! A client that authenticates by a method, and authenticates again: what it says goes to the method, what the method says
//! goes to the conversation. Not the methods.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::oneshot;
use whimbrel_engine::{Method, Reply};

use super::{Bench, login::Claim, task::Task};
use crate::auth::{Denial, Exchange, Said, Step, Verdict};

/// A connection whose CONNECT named a method.
pub(super) struct Authenticating {
    method: Box<str>,
    claim: Claim,
    /// Present while an exchange is under way.
    exchange: Option<Box<dyn Exchange>>,
    /// A step that comes later.
    awaited: Option<oneshot::Receiver<Step>>,
    /// Who the client has to be: its certificate says so, or it has been let in as that.
    bound_to: Option<Option<Arc<str>>>,
    /// Whether it has been let in.
    is_in: bool,
}

impl Task {
    /// CONNECT names a method.
    pub(super) fn begin_exchange(&mut self, bench: &mut Bench, claim: Claim, method: Method) {
        let bound_to = match self.vouched(&claim) {
            Err(denial) => return self.hear(bench, &claim, Verdict::Deny(denial)),
            Ok(certificate) => certificate.map(Some),
        };
        let Some(mut exchange) = self.place.door.authenticator.begin(&method.name) else {
            return self.hear(bench, &claim, Verdict::Deny(Denial::UnknownMethod)); // [MQTT-4.12.0-1]
        };
        let said = exchange.hear(method.data.as_deref());
        let (exchange, method) = (Some(exchange), method.name);
        self.authenticating =
            Some(Box::new(Authenticating { method, claim, exchange, awaited: None, bound_to, is_in: false }));
        self.follow(bench, said);
    }

    /// Goes on with an exchange as far as it can go: ready when nothing is awaited.
    pub(super) fn advance_exchange(&mut self, bench: &mut Bench, context: &mut Context<'_>) -> Poll<()> {
        if let Some(said) = self.conversation.said() {
            let authenticator = &self.place.door.authenticator;
            let Some(authenticating) = &mut self.authenticating else { return Poll::Ready(()) };
            if said.is_anew {
                authenticating.exchange = authenticator.begin(&authenticating.method);
            }
            let said = match &mut authenticating.exchange {
                Some(exchange) => exchange.hear(said.data.as_deref()),
                None => Said::Now(Step::Deny(Denial::UnknownMethod)), // It is not offered any more.
            };
            self.follow(bench, said);
        }
        let awaited = self.authenticating.as_mut().and_then(|authenticating| authenticating.awaited.as_mut());
        let Some(awaited) = awaited else { return Poll::Ready(()) };
        let Poll::Ready(step) = Pin::new(awaited).poll(context) else { return Poll::Pending };
        self.take(bench, step.unwrap_or(Step::Deny(Denial::ServerBusy)));
        Poll::Ready(())
    }

    fn follow(&mut self, bench: &mut Bench, said: Said) {
        match said {
            Said::Now(step) => self.take(bench, step),
            Said::Later(step) => {
                if let Some(authenticating) = &mut self.authenticating {
                    authenticating.awaited = Some(step);
                }
            }
        }
    }

    fn take(&mut self, bench: &mut Bench, step: Step) {
        let Some(mut authenticating) = self.authenticating.take() else { return };
        authenticating.awaited = None;
        let reply = match authenticating.judge(step) {
            Step::Continue(data) => Reply::Continue(Some(data.into())),
            Step::Allow(identity, data) => {
                authenticating.exchange = None;
                if !std::mem::replace(&mut authenticating.is_in, true) {
                    authenticating.bound_to = Some(identity.user_name.clone());
                    let _ = self.note(bench, &authenticating.claim, Verdict::Allow(identity));
                }
                Reply::Success(data.map(Box::from))
            }
            Step::Deny(denial) => {
                if let Some(exchange) = authenticating.exchange.take() {
                    // For the log: the user is named within the method.
                    authenticating.claim.user_name = exchange.user_name().map(Box::from);
                }
                let _ = self.note(bench, &authenticating.claim, Verdict::Deny(denial));
                Reply::Denied(denial.reason())
            }
        };
        self.authenticating = Some(authenticating);
        let engine = bench.shared.engine.clone();
        let wire = self.dyn_wire();
        self.conversation.reply(&engine, &mut bench.turn, reply, &wire);
    }
}

impl Authenticating {
    /// Whoever is proved to be somebody else than the certificate, CONNECT or the first exchange says is not let in.
    fn judge(&self, step: Step) -> Step {
        let Step::Allow(identity, _) = &step else { return step };
        let is_other = self.bound_to.as_ref().is_some_and(|bound| *bound != identity.user_name);
        let named = self.claim.user_name.as_deref();
        if is_other || named.is_some_and(|named| identity.user_name.as_deref() != Some(named)) {
            return Step::Deny(Denial::NotAuthorized);
        }
        step
    }
}
