//! The thread that writes the journal, and how it tells the workers. It mends what can be mended: a full disk is tried
//! again, a failed one is reopened and verified; until then no promise leaves.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::SeqCst},
    },
    task::Waker,
    thread,
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use whimbrel_journal::{Committer, Log, Reached, State, Stopped};

use super::Measures;

/// How long after a failure the disk is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// What a worker can wait for.
pub(crate) const WRITTEN: u8 = 1;
pub(crate) const SYNCED: u8 = 2;

/// One for each worker: rung when the journal has come further and the worker waits for that.
#[derive(Default)]
pub(crate) struct Bells {
    bells: RwLock<Vec<Arc<Bell>>>,
}

/// A worker's bell.
#[derive(Default)]
pub(crate) struct Bell {
    /// For what the worker waits.
    waits: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

impl Bells {
    /// A bell for one more worker.
    pub(crate) fn add(&self) -> Arc<Bell> {
        let bell = Arc::new(Bell::default());
        self.bells.write().push(bell.clone());
        bell
    }

    /// Rings for whoever waits for any of `what`.
    fn ring(&self, what: u8) {
        for bell in self.bells.read().iter() {
            if bell.waits.load(SeqCst) & what != 0 {
                bell.ring();
            }
        }
    }
}

impl Bell {
    /// Wakes this task from now on.
    pub(crate) fn register(&self, waker: &Waker) {
        *self.waker.lock() = Some(waker.clone());
    }

    /// The worker waits for `what`. True if it did not wait for all of that before: then it has to look once more whether
    /// something has come meanwhile.
    pub(crate) fn wait(&self, what: u8) -> bool {
        self.waits.swap(what, SeqCst) & what != what
    }

    /// As if the journal had come further.
    pub(crate) fn ring(&self) {
        self.waits.store(0, SeqCst);
        if let Some(waker) = &*self.waker.lock() {
            waker.wake_by_ref();
        }
    }
}

pub(super) fn start(
    mut committer: Committer,
    log: Log,
    bells: Arc<Bells>,
    measures: Arc<Measures>,
    folder: PathBuf,
) -> io::Result<thread::JoinHandle<()>> {
    let mut alarm = Alarm { folder, log, state: State::Running };
    let hook = {
        let mut alarm = alarm.clone();
        let mut before = Reached::default();
        move |reached: Reached| {
            measures.note(reached);
            alarm.tell();
            let written = if reached.written > before.written { WRITTEN } else { 0 };
            let synced = if reached.synced > before.synced { SYNCED } else { 0 };
            before = reached;
            bells.ring(written | synced);
        }
    };
    committer.on_reached(hook);
    thread::Builder::new().name("journal".into()).spawn(move || {
        while let Stopped::Poisoned = committer.run() {
            alarm.tell();
            while let Err(error) = committer.reopen() {
                tracing::error!("the store in {} cannot be reopened yet: {error}", alarm.folder.display());
                if alarm.log.wait_for_stop(TRY_AGAIN) {
                    return;
                }
            }
            tracing::info!("the store in {} is reopened and verified", alarm.folder.display());
        }
    })
}

/// Says once when the disk stops taking records, and once when it goes on.
#[derive(Clone)]
struct Alarm {
    folder: PathBuf,
    log: Log,
    state: State,
}

impl Alarm {
    fn tell(&mut self) {
        if self.log.is_running() && self.state.is_running() {
            return;
        }
        let state = self.log.state();
        let folder: &Path = &self.folder;
        match (&self.state, &state) {
            (State::Running, State::Full { fault, .. }) => tracing::error!(
                "ALARM: the disk of the store in {} is full: {fault}; what has to be kept is not acknowledged until there is room, everything else goes on",
                folder.display()
            ),
            (State::Running | State::Full { .. }, State::Poisoned { fault, .. }) => tracing::error!(
                "ALARM: the disk of the store in {} has failed: {fault}; nothing that has to be kept is acknowledged until the store is reopened and verified",
                folder.display()
            ),
            (State::Full { .. } | State::Poisoned { .. }, State::Running) => {
                tracing::info!("the store in {} takes records again", folder.display());
            }
            _ => {}
        }
        self.state = state;
    }
}
