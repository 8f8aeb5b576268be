//! One login, from what a client said of itself to the verdict that it is told: heard or not, judged at once or later, and
//! told when a refusal is told. Not who is let in, and not how many tries there are.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{sync::oneshot, time::Sleep};
use whimbrel_engine::{Count, proto::Millis};
use whimbrel_net::Peer;

use super::{Bench, Door, telling::Kind, telling::Words};
use crate::{
    auth::{Answer, Credentials, Denial, Verdict},
    guard::{Admission, Empty, Hearing, Outcome},
};

/// How long a login waits before it asks anew whether others like it are still under way; each time twice as long.
const PAUSE_MILLIS: u64 = 20;
const PAUSE_MILLIS_MAX: u64 = 250;
/// How long it waits in all.
const PATIENCE_MILLIS: u64 = 10_000;

/// Who wants to connect, in the client's own words.
pub(super) struct Claim {
    /// Empty when the server shall assign one.
    pub(super) client_id: Box<str>,
    pub(super) user_name: Option<Box<str>>,
}

/// A login that has not been answered.
pub(super) struct Login {
    pub(super) claim: Claim,
    state: State,
}

enum State {
    /// It is to be judged, as soon as it is heard.
    Waiting { credentials: Credentials, turn: Turn },
    /// It is being judged.
    Asked { answer: oneshot::Receiver<Verdict>, hearing: Option<Hearing> },
    /// It was judged, or nobody has listened; the client hears of it then.
    Told { verdict: Verdict, then: Option<Pin<Box<Sleep>>> },
    /// It is over.
    Over,
}

/// A guess that waits for others like it.
pub(super) struct Turn {
    began: Millis,
    pause_millis: u64,
    pause: Option<Pin<Box<Sleep>>>,
}

/// What becomes of a guess.
pub(super) enum Admitted {
    /// It is judged; the outcome is to be told.
    Heard(Hearing),
    /// Others like it are under way.
    Wait(Turn),
    /// Nobody looks at it; the client hears of it then.
    Denied(Denial, Option<Pin<Box<Sleep>>>),
}

impl Login {
    /// Who shall be judged by what it has said, now.
    pub(super) fn new(claim: Claim, credentials: Credentials, now: Millis) -> Self {
        Login { claim, state: State::Waiting { credentials, turn: Turn::new(now) } }
    }

    /// Who has been judged already.
    pub(super) fn judged(claim: Claim, verdict: Verdict) -> Self {
        Login { claim, state: State::Told { verdict, then: None } }
    }

    /// The verdict, when the client is to be told.
    pub(super) fn poll(
        &mut self,
        bench: &mut Bench,
        door: &Door,
        address: Peer,
        context: &mut Context<'_>,
    ) -> Poll<Verdict> {
        loop {
            let next = match &mut self.state {
                State::Waiting { turn, .. } => {
                    ready!(turn.poll(context));
                    self.begin(bench, door, address)
                }
                State::Asked { answer, hearing } => {
                    // Where the channel closes without a verdict, the authenticator has been shut down.
                    let verdict = ready!(Pin::new(answer).poll(context));
                    let verdict = verdict.unwrap_or(Verdict::Deny(Denial::ServerBusy));
                    judged(bench, hearing.take(), verdict)
                }
                State::Told { then, .. } => {
                    if let Some(then) = then {
                        ready!(then.as_mut().poll(context));
                    }
                    match std::mem::replace(&mut self.state, State::Over) {
                        State::Told { verdict, .. } => return Poll::Ready(verdict),
                        _ => return Poll::Pending,
                    }
                }
                State::Over => return Poll::Pending,
            };
            self.state = next;
        }
    }

    /// Whether nothing is done for it now but to let time pass.
    pub(super) fn is_put_off(&self) -> bool {
        match &self.state {
            State::Waiting { turn, .. } => turn.is_put_off(),
            State::Told { then, .. } => then.is_some(),
            State::Asked { .. } | State::Over => false,
        }
    }

    /// Has it judged, if it is heard.
    fn begin(&mut self, bench: &mut Bench, door: &Door, address: Peer) -> State {
        let State::Waiting { credentials, turn } = std::mem::replace(&mut self.state, State::Over) else {
            return State::Over;
        };
        let mut hearing = None;
        if door.authenticator.is_guess(&credentials) {
            let user = credentials.user_name.as_deref().unwrap_or_default();
            match turn.admit(bench, door, address, user) {
                Admitted::Heard(heard) => hearing = Some(heard),
                Admitted::Wait(turn) => return State::Waiting { credentials, turn },
                Admitted::Denied(denial, then) => {
                    return State::Told { verdict: Verdict::Deny(denial), then };
                }
            }
        }
        match door.authenticator.authenticate(credentials) {
            Answer::Now(verdict) => judged(bench, hearing, verdict),
            Answer::Later(answer) => State::Asked { answer, hearing },
        }
    }
}

impl Turn {
    pub(super) fn new(now: Millis) -> Self {
        Turn { began: now, pause_millis: PAUSE_MILLIS, pause: None }
    }

    /// Ready when it is to ask whether it is heard.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.pause.as_mut().map_or(Poll::Ready(()), |pause| pause.as_mut().poll(context))
    }

    /// Whether it has asked and was told to wait.
    pub(super) fn is_put_off(&self) -> bool {
        self.pause.is_some()
    }

    /// Asks whether somebody looks at this user's password now.
    pub(super) fn admit(self, bench: &mut Bench, door: &Door, address: Peer, user: &str) -> Admitted {
        let now = bench.turn.now.mono;
        match bench.shared.guards.logins.admit(user, address.ip(), now.0) {
            Admission::Heard(hearing) => Admitted::Heard(hearing),
            Admission::Unheard(empty) => {
                let then = unheard(bench, door, address, user, empty);
                Admitted::Denied(Denial::BadUserNameOrPassword, Some(then))
            }
            Admission::Wait if now.since(self.began) >= PATIENCE_MILLIS => {
                Admitted::Denied(Denial::ServerBusy, None)
            }
            Admission::Wait => {
                let pause_millis = (self.pause_millis * 2).min(PAUSE_MILLIS_MAX);
                Admitted::Wait(Turn { pause_millis, pause: Some(sleep(self.pause_millis)), ..self })
            }
        }
    }
}

/// Nobody looks at its password; the client cannot tell that from a wrong one, nor by when it is told.
fn unheard(bench: &mut Bench, door: &Door, address: Peer, user: &str, empty: Empty) -> Pin<Box<Sleep>> {
    let now = bench.turn.now.mono;
    bench.turn.count(
        match empty {
            Empty::UserAtAddress => Count::LoginsUserAtAddress,
            Empty::Address => Count::LoginsAddress,
            Empty::User => Count::LoginsUser,
        },
        1,
    );
    bench.telling.tell(Kind::Unheard, now, || {
        let (user, listener, who) = (Words(user), &door.name, empty.in_words());
        tracing::warn!(%user, %address, %listener, "too many wrong passwords: {who} is not heard for a while");
    });
    sleep(bench.shared.guards.logins.unheard_until(now.0).saturating_sub(now.0))
}

/// The verdict has come.
fn judged(bench: &mut Bench, hearing: Option<Hearing>, verdict: Verdict) -> State {
    let outcome = match verdict {
        Verdict::Allow(_) => Outcome::Right,
        Verdict::Deny(Denial::BadUserNameOrPassword) => Outcome::Wrong,
        Verdict::Deny(_) => Outcome::Unjudged,
    };
    State::Told { verdict, then: told(bench, hearing, outcome) }
}

/// A guess was judged: when the client hears of it.
pub(super) fn told(bench: &mut Bench, hearing: Option<Hearing>, outcome: Outcome) -> Option<Pin<Box<Sleep>>> {
    bench.turn.count(Count::LoginsWrong, u64::from(outcome == Outcome::Wrong));
    let now = bench.turn.now.mono.0;
    let until = hearing.map_or(now, |hearing| hearing.tell(outcome, now));
    (until > now).then(|| sleep(until - now))
}

fn sleep(millis: u64) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep(Duration::from_millis(millis)))
}
