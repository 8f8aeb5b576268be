//! Gives the disk space of the journal back: what lives in its oldest segment is recorded anew at the end, then the segment
//! goes. Slowly, on a thread of its own; whoever publishes or connects goes first.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use whimbrel_engine::{Turn, store::Reclaimed};
use whimbrel_journal::{Log, SegmentInfo};

use crate::worker::Shared;

/// How often the log is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long it waits while the disk has enough to do.
const STAND_BACK: Duration = Duration::from_millis(20);
/// Steps between two looks whether the disk keeps up.
const STEPS: usize = 64;

/// Ends when the other end of `stop` is dropped.
pub(super) fn start(shared: Arc<Shared>, log: Log, stop: Receiver<()>) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("cleaner".into()).spawn(move || {
        let mut cleaner = Cleaner { turn: shared.engine.turn(), shared, log, stop };
        while cleaner.rests(LOOK) {
            // While the store is copied nothing of it can go.
            while !cleaner.log.is_held()
                && cleaner.log.needs_reclaim()
                && let Some(oldest) = cleaner.log.oldest()
                && cleaner.clean(oldest)
            {}
        }
    })
}

struct Cleaner {
    shared: Arc<Shared>,
    turn: Turn,
    log: Log,
    stop: Receiver<()>,
}

impl Cleaner {
    /// False when it is to end.
    fn rests(&self, time: Duration) -> bool {
        self.stop.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
    }

    /// True when the segment goes.
    fn clean(&mut self, oldest: SegmentInfo) -> bool {
        let engine = self.shared.engine.clone();
        let mut reclaim = engine.begin_reclaim(oldest.end.0);
        let moved = loop {
            self.turn.now = self.shared.now();
            for _ in 0..STEPS {
                if let Reclaimed::Done { .. } = engine.reclaim(&mut self.turn, &mut reclaim) {
                    break;
                }
            }
            if let Reclaimed::Done { moved } = engine.reclaim(&mut self.turn, &mut reclaim) {
                break moved;
            }
            while self.log.is_over_budget() || !self.log.is_running() {
                if !self.rests(STAND_BACK) {
                    return false;
                }
            }
        };
        let bytes = oldest.bytes;
        match self.log.drop_segment(oldest.number, self.log.staged()) {
            Ok(()) => {
                self.log.note_kept(&oldest, reclaim.bytes());
                tracing::debug!(
                    segment = oldest.number,
                    bytes,
                    moved,
                    "a segment of the store is given back"
                );
                true
            }
            // A publish under way needs something of it still; the next look finds it done.
            Err(error) => {
                tracing::debug!(segment = oldest.number, moved, %error, "a segment of the store stays");
                false
            }
        }
    }
}
