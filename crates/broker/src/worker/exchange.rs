//! A client that authenticates by a method, and authenticates again: what it says goes to the method, what the method says
//! goes to the conversation, and of guesses there are only so many. Not the methods.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{sync::oneshot, time::Sleep};
use whimbrel_engine::{
    Method, Reply,
    proto::{Millis, server::Said as Told},
};
use whimbrel_net::Peer;

use super::{
    Bench, Door,
    login::{self, Claim, Turn},
    task::Task,
};
use crate::{
    auth::{Denial, Exchange, Said, Step, Verdict},
    guard::{Hearing, Outcome},
};

/// A connection whose CONNECT named a method.
pub(super) struct Authenticating {
    method: Box<str>,
    claim: Claim,
    /// Present while an exchange is under way.
    exchange: Option<Box<dyn Exchange>>,
    stage: Stage,
    /// Who the client has to be: its certificate says so, or it has been let in as that.
    bound_to: Option<Option<Arc<str>>>,
    /// Whether it has been let in.
    is_in: bool,
}

enum Stage {
    /// The client has to say something.
    Idle,
    /// What it has said is to be judged, as soon as it is heard.
    Waiting { data: Option<Box<[u8]>>, turn: Turn },
    /// It is being judged.
    Asked { step: oneshot::Receiver<Step>, hearing: Option<Hearing> },
    /// It was judged; the client hears of it then.
    Judged { step: Step, then: Option<Pin<Box<Sleep>>> },
}

impl Task {
    /// CONNECT names a method.
    pub(super) fn begin_exchange(&mut self, bench: &mut Bench, claim: Claim, method: Method) {
        let bound_to = match self.vouched(&claim) {
            Err(denial) => return self.hear(bench, &claim, Verdict::Deny(denial)),
            Ok(certificate) => certificate.map(Some),
        };
        let Some(exchange) = self.place.door.authenticator.begin(&method.name) else {
            return self.hear(bench, &claim, Verdict::Deny(Denial::UnknownMethod)); // [MQTT-4.12.0-1]
        };
        let stage = Stage::Waiting { data: method.data, turn: Turn::new(bench.turn.now.mono) };
        let (exchange, method) = (Some(exchange), method.name);
        let authenticating = Authenticating { method, claim, exchange, stage, bound_to, is_in: false };
        self.authenticating = Some(Box::new(authenticating));
    }

    /// Goes on with an exchange as far as it can go: ready when the client has to say something.
    pub(super) fn advance_exchange(&mut self, bench: &mut Bench, context: &mut Context<'_>) -> Poll<()> {
        let Some(authenticating) = &mut self.authenticating else { return Poll::Ready(()) };
        let door = &self.place.door;
        if let Some(said) = self.conversation.said() {
            authenticating.take_in(door, said, bench.turn.now.mono);
        }
        if let Stage::Idle = authenticating.stage {
            return Poll::Ready(());
        }
        let polled = authenticating.poll(bench, door, self.address, context);
        if polled.is_pending() && authenticating.is_put_off() {
            self.holds_nobody_up();
        }
        let step = ready!(polled);
        self.take(bench, step);
        Poll::Ready(())
    }

    fn take(&mut self, bench: &mut Bench, step: Step) {
        let Some(mut authenticating) = self.authenticating.take() else { return };
        let reply = match step {
            Step::Continue(data) => {
                self.holds_nobody_up(); // It is the client's turn.
                Reply::Continue(Some(data.into()))
            }
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
    fn take_in(&mut self, door: &Door, said: Told, now: Millis) {
        if said.is_anew {
            self.exchange = door.authenticator.begin(&self.method);
        }
        self.stage = Stage::Waiting { data: said.data, turn: Turn::new(now) };
    }

    /// What the method says, when the client is to be told.
    fn poll(
        &mut self,
        bench: &mut Bench,
        door: &Door,
        address: Peer,
        context: &mut Context<'_>,
    ) -> Poll<Step> {
        loop {
            let next = match &mut self.stage {
                Stage::Idle => return Poll::Pending,
                Stage::Waiting { turn, .. } => {
                    ready!(turn.poll(context));
                    self.begin(bench, door, address)
                }
                Stage::Asked { step, hearing } => {
                    let step = ready!(Pin::new(step).poll(context));
                    let hearing = hearing.take();
                    judged(bench, hearing, self.bind(step.unwrap_or(Step::Deny(Denial::ServerBusy))))
                }
                Stage::Judged { then, .. } => {
                    if let Some(then) = then {
                        ready!(then.as_mut().poll(context));
                    }
                    match std::mem::replace(&mut self.stage, Stage::Idle) {
                        Stage::Judged { step, .. } => return Poll::Ready(step),
                        _ => return Poll::Pending,
                    }
                }
            };
            self.stage = next;
        }
    }

    /// Whether nothing is done for it now but to let time pass.
    fn is_put_off(&self) -> bool {
        match &self.stage {
            Stage::Waiting { turn, .. } => turn.is_put_off(),
            Stage::Judged { then, .. } => then.is_some(),
            Stage::Idle | Stage::Asked { .. } => false,
        }
    }

    /// Has the method judge what the client has said, if it is heard.
    fn begin(&mut self, bench: &mut Bench, door: &Door, address: Peer) -> Stage {
        let Stage::Waiting { data, turn } = std::mem::replace(&mut self.stage, Stage::Idle) else {
            return Stage::Idle;
        };
        let Some(exchange) = &mut self.exchange else {
            // It is not offered any more.
            return Stage::Judged { step: Step::Deny(Denial::UnknownMethod), then: None };
        };
        let mut hearing = None;
        if exchange.is_guess() {
            let user = exchange.user_name().unwrap_or_default();
            match turn.admit(bench, door, address, user) {
                login::Admitted::Heard(heard) => hearing = Some(heard),
                login::Admitted::Wait(turn) => return Stage::Waiting { data, turn },
                login::Admitted::Denied(denial, then) => {
                    return Stage::Judged { step: Step::Deny(denial), then };
                }
            }
        }
        match exchange.hear(data.as_deref()) {
            Said::Now(step) => judged(bench, hearing, self.bind(step)),
            Said::Later(step) => Stage::Asked { step, hearing },
        }
    }

    /// Whoever is proved to be somebody else than the certificate, CONNECT or the first exchange says is not let in.
    fn bind(&self, step: Step) -> Step {
        let Step::Allow(identity, _) = &step else { return step };
        let is_other = self.bound_to.as_ref().is_some_and(|bound| *bound != identity.user_name);
        let named = self.claim.user_name.as_deref();
        if is_other || named.is_some_and(|named| identity.user_name.as_deref() != Some(named)) {
            return Step::Deny(Denial::NotAuthorized);
        }
        step
    }
}

/// The method has said it.
fn judged(bench: &mut Bench, hearing: Option<Hearing>, step: Step) -> Stage {
    let outcome = match &step {
        Step::Allow(..) => Outcome::Right,
        Step::Deny(Denial::BadUserNameOrPassword) => Outcome::Wrong,
        Step::Deny(_) | Step::Continue(_) => Outcome::Unjudged,
    };
    Stage::Judged { step, then: login::told(bench, hearing, outcome) }
}
