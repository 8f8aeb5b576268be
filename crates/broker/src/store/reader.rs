//! The thread that reads back what long queues have on disk alone. Workers call it and never wait for it.

use std::{io, sync::Arc, thread, time::Duration};

use parking_lot::{Condvar, Mutex};
use whimbrel_engine::{Notice, Turn, store::ReadBack};

use crate::worker::Shared;

/// How long it waits before it tries again what could not be read.
const TRY_AGAIN: Duration = Duration::from_millis(20);
/// The same after the disk has failed.
const TRY_AGAIN_FAILED: Duration = Duration::from_secs(1);

/// Rung by whoever wants something read.
#[derive(Default)]
pub(super) struct Call {
    state: Mutex<Wanted>,
    bell: Condvar,
}

#[derive(Default)]
struct Wanted {
    called: bool,
    ends: bool,
}

impl Call {
    pub(super) fn ring(&self) {
        self.state.lock().called = true;
        self.bell.notify_one();
    }

    /// The thread ends.
    pub(super) fn end(&self) {
        self.state.lock().ends = true;
        self.bell.notify_one();
    }

    /// Blocks until somebody calls, or for so long. False when the thread is to end.
    fn wait(&self, patience: Option<Duration>) -> bool {
        let mut state = self.state.lock();
        while !state.called && !state.ends {
            match patience {
                None => self.bell.wait(&mut state),
                Some(patience) if self.bell.wait_for(&mut state, patience).timed_out() => break,
                Some(_) => {}
            }
        }
        state.called = false;
        !state.ends
    }
}

pub(super) fn start(shared: Arc<Shared>, call: Arc<Call>) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("reader".into()).spawn(move || {
        let mut turn = shared.engine.turn();
        let mut patience = None;
        while call.wait(patience) {
            turn.now = shared.now();
            patience = loop {
                match shared.engine.read_back(&mut turn) {
                    ReadBack::Idle => break None,
                    ReadBack::Done => {}
                    ReadBack::Later => {
                        break Some(if tell(&mut turn) { TRY_AGAIN_FAILED } else { TRY_AGAIN });
                    }
                }
            };
        }
    })
}

/// Says what cannot be read. True if something cannot.
fn tell(turn: &mut Turn) -> bool {
    let mut failed = false;
    for notice in turn.notices.drain(..) {
        if let Notice::Unreadable { client_id, what } = notice {
            failed = true;
            tracing::error!(
                "ALARM: a message that client {client_id:?} is owed cannot be read from the store: {what}; its queue waits, and it is tried again; look at the store with `whimbrel store check`"
            );
        }
    }
    failed
}
