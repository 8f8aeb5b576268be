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
    began: Millis,
    state: State,
}

enum State {
    /// Others like it are under way.
    Waiting { credentials: Credentials, pause_millis: u64, pause: Option<Pin<Box<Sleep>>> },
    /// It is being judged.
    Asked { answer: oneshot::Receiver<Verdict>, hearing: Option<Hearing> },
    /// It was judged, or nobody has listened; the client hears of it then.
    Told { verdict: Verdict, then: Option<Pin<Box<Sleep>>> },
    /// It is over.
    Over,
}

impl Login {
    /// Who shall be judged by what it has said, now.
    pub(super) fn new(claim: Claim, credentials: Credentials, now: Millis) -> Self {
        let state = State::Waiting { credentials, pause_millis: PAUSE_MILLIS, pause: None };
        Login { claim, began: now, state }
    }

    /// Who has been judged already.
    pub(super) fn judged(claim: Claim, verdict: Verdict, now: Millis) -> Self {
        Login { claim, began: now, state: State::Told { verdict, then: None } }
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
                State::Waiting { pause, .. } => {
                    if let Some(pause) = pause {
                        ready!(pause.as_mut().poll(context));
                    }
                    self.begin(bench, door, address)
                }
                State::Asked { answer, hearing } => {
                    // Where the channel closes without a verdict, the authenticator has been shut down.
                    let verdict = ready!(Pin::new(answer).poll(context));
                    let verdict = verdict.unwrap_or(Verdict::Deny(Denial::ServerBusy));
                    told(bench, hearing.take(), verdict)
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

    /// Has it judged, if it is heard.
    fn begin(&mut self, bench: &mut Bench, door: &Door, address: Peer) -> State {
        let State::Waiting { credentials, pause_millis, .. } =
            std::mem::replace(&mut self.state, State::Over)
        else {
            return State::Over;
        };
        let hearing = if door.authenticator.is_guess(&credentials) {
            let now = bench.turn.now.mono;
            let user = credentials.user_name.as_deref().unwrap_or_default();
            match bench.shared.guard.admit(user, address.ip(), now.0) {
                Admission::Heard(hearing) => Some(hearing),
                Admission::Unheard(empty) => return self.unheard(bench, door, address, empty),
                Admission::Wait if now.since(self.began) >= PATIENCE_MILLIS => {
                    let verdict = Verdict::Deny(Denial::ServerBusy);
                    return State::Told { verdict, then: None };
                }
                Admission::Wait => {
                    let pause = Some(sleep(pause_millis));
                    let pause_millis = (pause_millis * 2).min(PAUSE_MILLIS_MAX);
                    return State::Waiting { credentials, pause_millis, pause };
                }
            }
        } else {
            None
        };
        match door.authenticator.authenticate(credentials) {
            Answer::Now(verdict) => told(bench, hearing, verdict),
            Answer::Later(answer) => State::Asked { answer, hearing },
        }
    }

    /// Nobody looks at its password; the client cannot tell that from a wrong one.
    fn unheard(&self, bench: &mut Bench, door: &Door, address: Peer, empty: Empty) -> State {
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
            let user = Words(self.claim.user_name.as_deref().unwrap_or_default());
            let (listener, who) = (&door.name, empty.in_words());
            tracing::warn!(%user, %address, %listener, "too many wrong passwords: {who} is not heard for a while");
        });
        let until = bench.shared.guard.unheard_until(now.0);
        let verdict = Verdict::Deny(Denial::BadUserNameOrPassword);
        State::Told { verdict, then: Some(sleep(until.saturating_sub(now.0))) }
    }
}

/// The verdict has come.
fn told(bench: &mut Bench, hearing: Option<Hearing>, verdict: Verdict) -> State {
    let outcome = match verdict {
        Verdict::Allow(_) => Outcome::Right,
        Verdict::Deny(Denial::BadUserNameOrPassword) => Outcome::Wrong,
        Verdict::Deny(_) => Outcome::Unjudged,
    };
    bench.turn.count(Count::LoginsWrong, u64::from(outcome == Outcome::Wrong));
    let now = bench.turn.now.mono.0;
    let until = hearing.map_or(now, |hearing| hearing.tell(outcome, now));
    State::Told { verdict, then: (until > now).then(|| sleep(until - now)) }
}

fn sleep(millis: u64) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep(Duration::from_millis(millis)))
}
