//! Tokens that wait to be verified, and the threads that do it. Not the verifying.
//!
//! They have threads of their own: behind a thousand passwords, each of which takes tens of milliseconds, a token that takes
//! a tenth of one would wait for half a minute.

use std::{collections::VecDeque, io, num::NonZeroUsize, sync::Arc, thread, time::Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::auth::{Denial, Secret, Verdict};

/// A client's token, and where the verdict goes.
pub(super) struct Attempt {
    pub(super) token: Secret,
    pub(super) client_id: Box<str>,
    pub(super) arrived: Instant,
    /// Keys were fetched for it: if its key is not among them there is none.
    pub(super) is_last: bool,
    pub(super) reply: oneshot::Sender<Verdict>,
}

impl Attempt {
    /// Its client has gone if nobody hears it.
    pub(super) fn answer(self, verdict: Verdict) {
        let _ = self.reply.send(verdict);
    }
}

/// Attempts in the order of their arrival, bounded.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    waiting_max: usize,
}

struct Waiting {
    attempts: VecDeque<Attempt>,
    closed: bool,
}

impl Queue {
    pub(super) fn new(waiting_max: NonZeroUsize) -> Self {
        let waiting = Mutex::new(Waiting { attempts: VecDeque::new(), closed: false });
        Self { waiting, arrived: Condvar::new(), waiting_max: waiting_max.get() }
    }

    /// Adds an attempt, or tells its client that the server is busy.
    pub(super) fn push(&self, attempt: Attempt) {
        let mut waiting = self.waiting.lock();
        if waiting.closed || waiting.attempts.len() >= self.waiting_max {
            drop(waiting);
            return attempt.answer(Verdict::Deny(Denial::ServerBusy));
        }
        waiting.attempts.push_back(attempt);
        drop(waiting);
        self.arrived.notify_one();
    }

    /// The next attempt, waited for. `None` when the queue is closed.
    fn next(&self) -> Option<Attempt> {
        let mut waiting = self.waiting.lock();
        while waiting.attempts.is_empty() && !waiting.closed {
            self.arrived.wait(&mut waiting);
        }
        waiting.attempts.pop_front()
    }

    /// Forgets what waits and lets the threads end.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        waiting.attempts.clear();
        drop(waiting);
        self.arrived.notify_all();
    }

    pub(super) fn waiting_max(&self) -> usize {
        self.waiting_max
    }
}

/// Starts the threads. They end when the queue is closed.
pub(super) fn start_threads(
    count: NonZeroUsize,
    queue: &Arc<Queue>,
    verify: &Arc<impl Fn(Attempt) + Send + Sync + 'static>,
) -> io::Result<()> {
    for index in 0..count.get() {
        let (queue, verify) = (queue.clone(), verify.clone());
        thread::Builder::new().name(format!("token-{index}")).spawn(move || {
            while let Some(attempt) = queue.next() {
                if !attempt.reply.is_closed() {
                    verify(attempt);
                }
            }
        })?;
    }
    Ok(())
}
