//! The cleaner, which is one more thread: it goes on when the dice say so, in steps, between and beside everything else.
//! What it does is what the broker's does; when it begins is drawn, long before there is need of it.

use whimbrel_engine::{
    Engine, Now, Turn,
    store::{Reclaim, Reclaimed},
};
use whimbrel_journal::{DropError, SegmentInfo};

use super::Store;

/// How long it waits while the disk has enough to do.
const STAND_BACK_MILLIS: u64 = 20;
/// Milliseconds between two looks at most.
const LOOK_MILLIS_MAX: u64 = 1_500;

/// Gives space back.
pub(crate) struct Cleaner {
    turn: Turn,
    job: Option<(Reclaim, SegmentInfo)>,
    next: u64,
}

impl Cleaner {
    pub(crate) fn new(engine: &Engine) -> Self {
        Cleaner { turn: engine.turn(), job: None, next: 0 }
    }

    /// When it goes on.
    pub(crate) fn next(&self, store: &Store) -> u64 {
        if self.job.is_some() || store.may_clean() { self.next } else { u64::MAX }
    }

    /// One step.
    pub(crate) fn step(&mut self, engine: &Engine, store: &Store, now: u64, now_told: Now) {
        self.turn.now = now_told;
        let machine = store.machine();
        if store.log.is_over_budget() || !store.log.is_running() {
            self.next = now + STAND_BACK_MILLIS;
            return;
        }
        let Some((reclaim, oldest)) = &mut self.job else {
            self.next = now + LOOK_MILLIS_MAX;
            if let Some(oldest) = store.log.oldest() {
                self.job = Some((engine.begin_reclaim(oldest.end.0), oldest));
                self.next = now;
                machine.count("cleanings begun");
            }
            return;
        };
        let Reclaimed::Done { moved } = engine.reclaim(&mut self.turn, reclaim) else { return };
        machine.tally.borrow_mut().add("records written anew by cleaning", moved);
        match store.log.drop_segment(oldest.number, store.log.staged()) {
            Ok(()) => {
                machine.chronicle.lock().give_back(oldest.end.0);
                store.log.note_kept(oldest, reclaim.bytes());
                machine.count("segments given back");
            }
            Err(DropError::Alive { .. }) => machine.count("segments that stayed: something in them lived"),
            Err(error) => unreachable!("nobody else gives segments back: {error}"),
        }
        self.job = None;
        self.next = now + machine.dice.borrow_mut().within(1, LOOK_MILLIS_MAX);
        store.want();
    }
}

/// While all is at rest, each segment that is full can be given back. Says which cannot.
pub(crate) fn check(engine: &Engine, store: &Store, now: u64, told: Now) -> Result<(), String> {
    let log = &store.log;
    let last = log.segments().last().map_or(0, |segment| segment.number);
    let mut turn = engine.turn();
    turn.now = told;
    while let Some(oldest) = log.oldest().filter(|oldest| oldest.number < last) {
        let mut reclaim = engine.begin_reclaim(oldest.end.0);
        while engine.reclaim(&mut turn, &mut reclaim) == Reclaimed::More {}
        log.drop_segment(oldest.number, log.staged())
            .map_err(|error| format!("{error}: {}", store.machine().chronicle.lock().tell(oldest)))?;
        store.machine().chronicle.lock().give_back(oldest.end.0);
        store.want();
        store.step(now);
    }
    Ok(())
}
