//! The verifications that wait, and the threads that make them. Not what a verification is.
//!
//! The threads are plain ones that belong to one password file, not the runtime's blocking pool: their
//! number is the bound on memory and processor time that strangers can take, the pool's queue has no
//! bound and is shared with everything else that blocks, and a thread that goes from one verification to
//! the next keeps the 19 MiB that Argon2id fills, which makes it a third faster.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::verifier::Verifier;
use crate::auth::stored_hash::Scratch;
use crate::auth::{Secret, Verdict};

/// A client's user name and password, and where the verdict goes.
pub(super) struct Attempt {
    pub(super) user_name: Box<str>,
    pub(super) password: Secret,
    pub(super) reply: oneshot::Sender<Verdict>,
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
        Self {
            waiting: Mutex::new(Waiting { attempts: VecDeque::new(), closed: false }),
            arrived: Condvar::new(),
            waiting_max: waiting_max.get(),
        }
    }

    /// Adds an attempt; gives it back when the queue is full or closed.
    pub(super) fn push(&self, attempt: Attempt) -> Result<(), Attempt> {
        let mut waiting = self.waiting.lock();
        if waiting.closed || waiting.attempts.len() >= self.waiting_max {
            return Err(attempt);
        }
        waiting.attempts.push_back(attempt);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    /// The next attempt, if one waits.
    pub(super) fn try_next(&self) -> Option<Attempt> {
        self.waiting.lock().attempts.pop_front()
    }

    /// The next attempt, waited for. `None` when the queue is closed.
    fn next(&self) -> Option<Attempt> {
        let mut waiting = self.waiting.lock();
        while waiting.attempts.is_empty() && !waiting.closed {
            self.arrived.wait(&mut waiting);
        }
        waiting.attempts.pop_front()
    }

    /// Forgets what waits and lets the threads end, each after the verification it is at.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        waiting.attempts.clear();
        drop(waiting);
        self.arrived.notify_all();
    }
}

/// Starts the threads. They end when the queue is closed.
pub(super) fn start_threads(
    count: NonZeroUsize,
    queue: &Arc<Queue>,
    verifier: &Arc<Verifier>,
) -> io::Result<()> {
    for index in 0..count.get() {
        let (queue, verifier) = (Arc::clone(queue), Arc::clone(verifier));
        let thread = thread::Builder::new().name(format!("verify-{index}"));
        thread.spawn(move || verify_until_closed(&queue, &verifier))?;
    }
    Ok(())
}

fn verify_until_closed(queue: &Queue, verifier: &Verifier) {
    let mut scratch = Scratch::default();
    loop {
        let attempt = queue.try_next().or_else(|| {
            // An idle thread keeps no memory.
            scratch.release();
            queue.next()
        });
        match attempt {
            Some(attempt) => verifier.verify(attempt, &mut scratch),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::path::Path;
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::{Attempt, Queue, verify_until_closed};
    use crate::auth::Secret;
    use crate::auth::password_file::entries::Entries;
    use crate::auth::password_file::remembered::{KEY_BYTES, Remembered};
    use crate::auth::password_file::verifier::Verifier;

    fn attempt(user_name: &str) -> Attempt {
        let (reply, _) = oneshot::channel();
        Attempt { user_name: user_name.into(), password: Secret::new(Vec::new()), reply }
    }

    fn queue() -> Queue {
        Queue::new(NonZeroUsize::new(2).unwrap())
    }

    #[test]
    fn attempts_leave_in_the_order_they_came_and_no_more_wait_than_may() {
        let queue = queue();
        let taken = ["a", "b", "c"].map(|name| queue.push(attempt(name)).is_ok());
        assert_eq!(taken, [true, true, false]);
        assert_eq!(&*queue.try_next().unwrap().user_name, "a");
        assert!(queue.push(attempt("d")).is_ok());
        assert_eq!(
            [queue.next(), queue.next()].map(|next| next.unwrap().user_name),
            ["b".into(), "d".into()]
        );
        assert!(queue.try_next().is_none());
    }

    #[test]
    fn a_closed_queue_forgets_what_waited_and_ends_its_threads() {
        let queue = queue();
        assert!(queue.push(attempt("a")).is_ok());
        queue.close();
        assert!(queue.push(attempt("b")).is_err());

        let entries = Entries::parse(Path::new("passwords"), b"").unwrap();
        let remembered = Remembered::new(0, Duration::ZERO);
        let verifier =
            Verifier::new(entries, &[7; KEY_BYTES].into(), remembered, Box::new(|| Duration::ZERO));
        verify_until_closed(&queue, &verifier);
        assert_eq!(verifier.counts().denied, 0);
    }
}
