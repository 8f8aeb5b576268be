//! Where newcomers of a worker wait until they may begin, and what is measured for that while anybody comes. Not how many may:
//! that is `admission`.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};
use whimbrel_engine::{Engine, Level};

use crate::admission::{Admission, Answer, Lag, Micros, WAIT_MAX};

/// How often the lag is looked at while anybody comes.
const PROBE: Duration = Duration::from_millis(10);

/// How long nobody has to come before it is looked at no more.
const QUIET: Duration = Duration::from_secs(1);

/// Of so many who are let in, one is of those who were not here before, however many come back.
const TURN_OF_STRANGERS: u64 = 4;

/// The gate of one worker.
pub(crate) struct Gate {
    began: Instant,
    state: Mutex<State>,
    /// When somebody came last, in microseconds since the gate began.
    came: AtomicU64,
    is_probing: AtomicBool,
    /// Whether those whom nobody knows are turned away at CONNECT.
    is_busy: AtomicBool,
    /// What the journal is asked for: the level of the last door that somebody came through.
    level: Mutex<Level>,
    figures: Figures,
}

/// What is told of the gate.
#[derive(Default)]
struct Figures {
    window: AtomicUsize,
    under_way: AtomicUsize,
    waiting: AtomicUsize,
    lag: AtomicU64,
}

/// How a worker stands with its newcomers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) window: usize,
    pub(crate) under_way: usize,
    pub(crate) waiting: usize,
    /// How late the loop was when it was looked at last.
    pub(crate) lag_micros: u64,
    pub(crate) is_busy: bool,
}

#[derive(Default)]
struct State {
    admission: Admission,
    /// Who waits: those that come back, and all others. Each has a line of its own.
    returning: VecDeque<oneshot::Sender<Pass>>,
    strangers: VecDeque<oneshot::Sender<Pass>>,
    let_in: u64,
}

impl State {
    fn waiting(&self) -> usize {
        self.returning.len() + self.strangers.len()
    }

    /// Who is next, of those who have not gone.
    fn next(&mut self) -> Option<oneshot::Sender<Pass>> {
        loop {
            let strangers_first = self.let_in % TURN_OF_STRANGERS == TURN_OF_STRANGERS - 1;
            let (first, second) = match strangers_first {
                true => (&mut self.strangers, &mut self.returning),
                false => (&mut self.returning, &mut self.strangers),
            };
            let next = first.pop_front().or_else(|| second.pop_front())?;
            if !next.is_closed() {
                self.let_in += 1;
                return Some(next);
            }
        }
    }
}

/// Somebody may begin.
pub(super) struct Entered {
    pub(super) pass: Pass,
    /// It may have gone meanwhile.
    pub(super) has_waited: bool,
}

/// Leave to go through the handshakes and to be answered; it ends when it is dropped.
pub(super) struct Pass {
    gate: Arc<Gate>,
    number: u64,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let now = self.gate.now();
        let mut state = self.gate.state.lock();
        let waiting = state.waiting();
        state.admission.end(self.number, now, waiting);
        self.gate.let_in(state);
    }
}

impl Gate {
    pub(crate) fn new() -> Arc<Gate> {
        Arc::new(Gate {
            began: Instant::now(),
            state: Mutex::default(),
            came: AtomicU64::new(0),
            is_probing: AtomicBool::new(false),
            is_busy: AtomicBool::new(false),
            level: Mutex::default(),
            figures: Figures::default(),
        })
    }

    fn now(&self) -> Micros {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Somebody has come: from now on it is looked how late the loop is.
    pub(super) fn come(self: &Arc<Self>, engine: &Arc<Engine>, level: Level) {
        self.came.store(self.now(), Relaxed);
        *self.level.lock() = level;
        if !self.is_probing.swap(true, Relaxed) {
            tokio::spawn(probe(self.clone(), engine.clone()));
        }
    }

    /// Waits until this one may begin; nothing, if it is refused. `returns` says that it was here before, as far as one can
    /// see.
    pub(super) async fn enter(self: &Arc<Self>, returns: bool) -> Option<Entered> {
        let waiting = {
            let now = self.now();
            let mut state = self.state.lock();
            let in_line = state.waiting();
            match state.admission.ask(now, in_line) {
                Answer::Begin => {
                    let number = state.admission.begin(now);
                    let pass = Pass { gate: self.clone(), number };
                    return Some(Entered { pass, has_waited: false });
                }
                Answer::Refuse => return None,
                Answer::Wait => {}
            }
            let (place, waiting) = oneshot::channel();
            match returns {
                true => state.returning.push_back(place),
                false => state.strangers.push_back(place),
            }
            self.figures.waiting.store(in_line + 1, Relaxed);
            waiting
        };
        // What was foreseen may not come about: nobody is kept for longer all the same.
        let pass = timeout(Duration::from_micros(WAIT_MAX), waiting).await.ok()?.ok()?;
        Some(Entered { pass, has_waited: true })
    }

    /// Lets in as many of those who wait as may begin.
    fn let_in(self: &Arc<Self>, mut state: parking_lot::MutexGuard<'_, State>) {
        let now = self.now();
        let mut passes = Vec::new();
        while state.waiting() > 0 && state.admission.has_room(now) {
            let Some(next) = state.next() else { break };
            let number = state.admission.begin(now);
            passes.push((next, Pass { gate: self.clone(), number }));
        }
        self.note(&state);
        drop(state);
        for (next, pass) in passes {
            let _ = next.send(pass); // Who has gone meanwhile gives the pass back by dropping it.
        }
    }

    fn note(&self, state: &State) {
        self.figures.window.store(state.admission.window(), Relaxed);
        self.figures.under_way.store(state.admission.under_way(), Relaxed);
        self.figures.waiting.store(state.waiting(), Relaxed);
    }

    /// Whether those whom nobody knows are turned away at CONNECT.
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy.load(Relaxed)
    }

    pub(crate) fn standing(&self) -> Standing {
        let Figures { window, under_way, waiting, lag } = &self.figures;
        Standing {
            window: window.load(Relaxed),
            under_way: under_way.load(Relaxed),
            waiting: waiting.load(Relaxed),
            lag_micros: lag.load(Relaxed),
            is_busy: self.is_busy(),
        }
    }

    fn observe(self: &Arc<Self>, lag: Lag) {
        self.figures.lag.store(lag.of_loop, Relaxed);
        let mut state = self.state.lock();
        state.admission.observe(self.now(), lag);
        self.is_busy.store(state.admission.is_busy(), Relaxed);
        self.let_in(state);
    }

    /// Whether it is looked no more.
    fn rests(&self) -> bool {
        let quiet = u64::try_from(QUIET.as_micros()).unwrap_or(u64::MAX);
        let mut state = self.state.lock();
        if self.came.load(Relaxed) + quiet > self.now() || state.waiting() > 0 {
            return false;
        }
        state.admission.rest();
        self.note(&state);
        self.figures.lag.store(0, Relaxed);
        self.is_busy.store(false, Relaxed);
        self.is_probing.store(false, Relaxed);
        true
    }
}

/// Looks how late the loop is and how far behind the journal, for as long as anybody comes.
async fn probe(gate: Arc<Gate>, engine: Arc<Engine>) {
    let mut commits = Commits::default();
    loop {
        let due = Instant::now() + PROBE;
        sleep_until(due).await;
        let now = Instant::now();
        let of_loop = u64::try_from((now - due).as_micros()).unwrap_or(u64::MAX);
        let level = *gate.level.lock();
        let (staged, reached) = engine.commits_under_way(level);
        let of_commits = commits.oldest(staged, reached, gate.now());
        gate.observe(Lag { of_loop, of_commits });
        if gate.rests() {
            return;
        }
    }
}

/// For how long the oldest commit has been under way, as far as it was seen.
#[derive(Default)]
struct Commits {
    /// A position that was not reached when it was seen first, and when that was.
    seen: Option<(u64, Micros)>,
}

impl Commits {
    fn oldest(&mut self, staged: u64, reached: u64, now: Micros) -> Micros {
        match self.seen {
            Some((position, since)) if position > reached => now.saturating_sub(since),
            _ => {
                self.seen = (staged > reached).then_some((staged, now));
                0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_as_old_as_it_has_been_seen() {
        let mut commits = Commits::default();
        for (staged, reached, now, expect) in [
            (0, 0, 0, 0),
            (10, 0, 5, 0),
            (20, 0, 9, 4),
            (20, 9, 12, 7),
            (20, 10, 13, 0),
            (20, 10, 15, 2),
            (20, 20, 16, 0),
            (20, 20, 17, 0),
        ] {
            assert_eq!(commits.oldest(staged, reached, now), expect, "at {now}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_goes_first_and_no_stranger_waits_for_all_of_them() {
        let gate = Gate::new();
        let mut inside = Vec::new();
        while gate.state.lock().admission.ask(0, 0) == Answer::Begin {
            inside.push(gate.enter(false).await.unwrap());
        }
        let order = Arc::new(Mutex::new(String::new()));
        let mut tasks = Vec::new();
        for (name, returns) in
            [('s', false), ('s', false), ('r', true), ('r', true), ('r', true), ('r', true)]
        {
            let (gate, order) = (gate.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                let pass = gate.enter(returns).await.unwrap();
                order.lock().push(name);
                tokio::task::yield_now().await;
                drop(pass);
            }));
            tokio::task::yield_now().await;
        }
        drop(inside.pop());
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(order.lock().as_str(), "rrrsrs");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_that_and_who_has_gone_is_passed_over() {
        let gate = Gate::new();
        let mut inside = Vec::new();
        while gate.state.lock().admission.ask(gate.now(), 0) == Answer::Begin {
            inside.push(gate.enter(false).await.unwrap());
        }
        let gone = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter(true).await.is_some() }
        });
        tokio::task::yield_now().await;
        gone.abort();
        assert!(gone.await.is_err());
        let begun = Instant::now();
        let late = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter(false).await.is_some() }
        });
        assert!(!late.await.unwrap());
        assert_eq!(begun.elapsed().as_micros() as u64 / 1_000, WAIT_MAX / 1_000);
        assert_eq!(gate.state.lock().next().map(drop), None, "nobody is left in line");
    }
}
