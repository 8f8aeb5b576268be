//! What outlives the server: the disk, the clock on the wall, and what the next start is to find.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use parking_lot::Mutex;
use whimbrel_engine::{
    Engine, Level, Limits, Now,
    proto::Millis,
    store::{Fold, Restored},
};
use whimbrel_journal::{Committer, Disk, Log, OpenError, Options, Recovery, sim::SimDisk};

use super::{
    Faults,
    chronicle::{Chronicle, Found},
    disk::SlowDisk,
    journal::LogJournal,
    open::Store,
};
use crate::{dice::Dice, log::Tally};

/// What a record has before it in the log.
const RECORD_HEADER_BYTES: u64 = 8;
/// By the wall clock, when virtual time is 0.
const WALL_SECS: u64 = 1_700_000_000;
/// A number of client from which on the clients are part of the test, which are promised the most.
const OWN_CLIENTS: u32 = 1_000_000;

type Opened = (Log, Committer, Recovery);

/// A server's machine.
pub struct Machine {
    pub(super) faults: Faults,
    pub(super) disk: SimDisk,
    pub(super) dice: RefCell<Dice>,
    pub(super) chronicle: Arc<Mutex<Chronicle>>,
    pub(super) tally: RefCell<Tally>,
    limits: Limits,
    seed: u64,
    levels_seed: u64,
    wall_secs: Cell<u64>,
    /// Lives so far.
    lives: Cell<u32>,
    pub(super) crashes: Cell<u32>,
    /// The power goes in the middle of some operation to come.
    pub(super) is_armed: Cell<bool>,
    /// Until then the disk is full; 0 when it is not.
    pub(super) full_until: Cell<u64>,
    /// Until then the disk lies; 0 when it does not.
    pub(super) lies_until: Cell<u64>,
    /// Something is lost that the disk had said it had: nobody can rely on anything any more.
    has_lost: Cell<bool>,
    /// No more faults.
    pub(super) is_calm: Cell<bool>,
}

impl Machine {
    /// A machine with an empty disk.
    #[must_use]
    pub fn new(faults: Faults, limits: Limits, seed: u64, mut dice: Dice) -> Rc<Machine> {
        let levels_seed = dice.draw();
        Rc::new(Machine {
            faults,
            disk: SimDisk::new(),
            dice: RefCell::new(dice),
            chronicle: Arc::default(),
            tally: RefCell::default(),
            limits,
            seed,
            levels_seed,
            wall_secs: Cell::new(WALL_SECS),
            lives: Cell::new(0),
            crashes: Cell::new(0),
            is_armed: Cell::new(false),
            full_until: Cell::new(0),
            lies_until: Cell::new(0),
            has_lost: Cell::new(false),
            is_calm: Cell::new(true),
        })
    }

    /// What a client is promised on the listener that it uses.
    #[must_use]
    pub fn level_of(&self, client: u32) -> Level {
        if client >= OWN_CLIENTS {
            return Level::Power;
        }
        let mut dice = Dice::new(self.levels_seed ^ u64::from(client));
        dice.pick(&self.faults.levels).copied().unwrap_or_default()
    }

    /// Whether the clock has jumped.
    #[must_use]
    pub fn jumps(&self) -> bool {
        self.faults.jump_secs_max > 0
    }

    /// Whether the disk has lost what it had said it had.
    #[must_use]
    pub fn has_lost(&self) -> bool {
        self.has_lost.get()
    }

    pub(super) fn count(&self, name: &'static str) {
        self.tally.borrow_mut().add(name, 1);
    }

    /// By the clock on the wall.
    pub(super) fn wall_secs(&self, now: u64) -> u64 {
        self.wall_secs.get() + now / 1_000
    }

    /// How often which fault has happened.
    pub fn tell(&self, into: &mut Tally) {
        into.merge(&self.tally.borrow());
        let counts = self.disk.counts();
        for (name, count) in [
            ("disk: writes", counts.writes),
            ("disk: syncs", counts.syncs),
            ("disk: syncs that lied", counts.lies),
            ("disk: writes refused, full", counts.full),
            ("disk: writes and syncs that failed", counts.failures),
            ("disk: unsynced writes lost", counts.lost),
            ("disk: unsynced writes torn", counts.torn),
            ("disk: unsynced writes reordered", counts.reordered),
            ("disk: names lost", counts.names_lost),
        ] {
            into.add(name, count);
        }
    }

    /// The server dies. True when the power was lost.
    pub(super) fn die(&self) -> bool {
        let mut dice = self.dice.borrow_mut();
        let is_power_cut = dice.percent(self.faults.power_percent);
        if is_power_cut {
            self.disk.crash(&mut |possibilities| dice.below(possibilities));
        } else {
            self.disk.kill();
        }
        drop(dice);
        self.is_armed.set(false);
        self.count(if is_power_cut { "crashes: power lost" } else { "crashes: process killed" });
        is_power_cut
    }

    /// The server starts, and finds what it can rely on; `died`: it has been killed or lost its power before.
    ///
    /// # Panics
    /// Where the store does not open without a fault of the disk, or holds something else than it must.
    pub(crate) fn start(self: &Rc<Self>, now: u64, died: Option<bool>) -> (Arc<Engine>, Rc<Store>, bool) {
        let mut was_cut = died.unwrap_or(false);
        self.lives.set(self.lives.get() + 1);
        self.jump();
        loop {
            self.arm(self.faults.opening_percent, 25);
            let mut records = Vec::new();
            let error = match self.open(false, &mut records) {
                Ok(opened) => return self.begin(now, records, opened, (was_cut, false)),
                Err(error) => error,
            };
            if self.is_armed.get() && self.disk.list().is_err() {
                self.count("crashes while opening");
                was_cut |= self.die();
                continue;
            }
            let is_told = matches!(
                error,
                OpenError::Corrupt(_)
                    | OpenError::Missing { .. }
                    | OpenError::Foreign { .. }
                    | OpenError::WrongNumber { .. }
            );
            let is_excused = was_cut && self.chronicle.lock().is_mistrusted();
            assert!(is_told && is_excused, "recovery (excused by a lie: {is_excused}): {error}");
            self.count("stores refused for what a lie had lost");
            records.clear();
            self.disarm();
            // What is set aside now must not be back after the next crash.
            self.lies_until.set(0);
            self.disk.set_lies(false);
            self.disk.set_capacity_bytes(None);
            match self.open(true, &mut records) {
                Ok(opened) => return self.begin(now, records, opened, (was_cut, true)),
                // A file that was used again before its new name was there. Somebody has to move it away.
                Err(OpenError::WrongNumber { .. }) => {
                    self.count("stores given up for what a lie had lost");
                    self.disk.names().iter().for_each(|name| self.disk.put_away(name));
                    records.clear();
                }
                Err(error) => unreachable!("salvage: {error}"),
            }
            match self.open(false, &mut records) {
                Ok(opened) => return self.begin(now, records, opened, (was_cut, true)),
                Err(error) => unreachable!("an empty folder: {error}"),
            }
        }
    }

    /// A store is open.
    fn begin(
        self: &Rc<Self>,
        now: u64,
        records: Vec<(u64, Vec<u8>)>,
        (log, committer, recovery): Opened,
        (is_power_cut, is_salvaged): (bool, bool),
    ) -> (Arc<Engine>, Rc<Store>, bool) {
        let found = Found { records: &records, end: recovery.end.0, is_power_cut, is_salvaged };
        let lies_still = self.lies_until.get() > 0;
        let has_lost = self.chronicle.lock().recover(&found, lies_still);
        match has_lost {
            Ok(has_lost) => {
                self.tally
                    .borrow_mut()
                    .add("recoveries that missed what a lie had lost", u64::from(has_lost));
                self.has_lost.set(has_lost || self.has_lost.get());
            }
            Err(wrong) => unreachable!("recovery: {wrong}"),
        }
        self.tally.borrow_mut().add("records recovered", recovery.records);
        self.tally.borrow_mut().add("torn ends cut off", u64::from(recovery.cut.is_some()));
        let (engine, store) = self.raise(now, records, log, committer);
        (engine, store, is_power_cut)
    }

    /// The next opening finds another time.
    fn jump(&self) {
        let mut dice = self.dice.borrow_mut();
        let most = self.faults.jump_secs_max;
        if self.lives.get() > 1 && most > 0 {
            let wall_secs = (self.wall_secs.get() + dice.within(0, 2 * most)).saturating_sub(most);
            self.wall_secs.set(wall_secs);
            drop(dice);
            self.count("jumps of the clock");
        }
    }

    /// Perhaps the power goes within so many operations of the disk.
    pub(super) fn arm(&self, percent: u32, operations_max: usize) {
        let mut dice = self.dice.borrow_mut();
        let may_die = self.crashes.get() < self.faults.crashes_max && !self.is_calm.get();
        if may_die && dice.percent(percent) {
            self.disk.power_off_in(dice.below(operations_max) as u64);
            self.is_armed.set(true);
            self.crashes.set(self.crashes.get() + 1);
        }
    }

    /// The power stays on after all.
    fn disarm(&self) {
        if self.is_armed.replace(false) {
            self.disk.power_off_in(u64::MAX);
            self.crashes.set(self.crashes.get() - 1);
        }
    }

    fn open(&self, salvage: bool, records: &mut Vec<(u64, Vec<u8>)>) -> Result<Opened, OpenError> {
        let disk = Arc::new(SlowDisk(self.disk.clone()));
        let options = Options { salvage, ..self.faults.options.clone() };
        Log::open(disk, options, &mut |_, position, bytes| {
            records.push((position.0, bytes.to_vec()));
            Ok(())
        })
    }

    fn raise(
        self: &Rc<Self>,
        now: u64,
        records: Vec<(u64, Vec<u8>)>,
        log: Log,
        committer: Committer,
    ) -> (Arc<Engine>, Rc<Store>) {
        let mut fold = Fold::new();
        for (position, bytes) in &records {
            let end = position + RECORD_HEADER_BYTES + bytes.len() as u64;
            let taken = fold.take(*position, end, bytes);
            assert!(taken.is_ok(), "recovery: {taken:?}");
        }
        let store = Store::new(self, log, committer);
        let journal = LogJournal {
            log: store.log.clone(),
            wanted: store.wanted.clone(),
            chronicle: self.chronicle.clone(),
        };
        let seed = self.seed ^ u64::from(self.lives.get());
        let engine = Engine::new(self.limits.clone(), seed).with_journal(Arc::new(journal));
        let restored = fold.restore(&engine, Now { mono: Millis(now), wall_secs: self.wall_secs(now) });
        assert!(restored.missing == 0 || self.has_lost.get(), "recovery: {restored:?}");
        self.note(&restored);
        (Arc::new(engine), store)
    }

    fn note(&self, restored: &Restored) {
        let mut tally = self.tally.borrow_mut();
        for (name, count) in [
            ("restored: sessions", restored.sessions),
            ("restored: subscriptions", restored.subscriptions),
            ("restored: messages owed", restored.owed),
            ("restored: retained messages", restored.retained),
            ("restored: wills", restored.wills),
            ("restored: publishes that were not whole", restored.dropped),
        ] {
            tally.add(name, count as u64);
        }
    }
}
