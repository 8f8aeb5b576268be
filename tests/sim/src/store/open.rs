//! What one life of the server has of its disk: the log, and the committer, which is one more thread: it goes on when
//! the dice say so, between the turns of workers and beside their records.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use whimbrel_engine::Level;
use whimbrel_journal::{Committer, Disk, Log, Outcome, ReopenError};

use super::Machine;

/// A full disk is tried again after so long, and so is one that fails.
const PATIENCE_MILLIS: u64 = 1_000;

/// The log of one life.
pub(crate) struct Store {
    pub(super) machine: Rc<Machine>,
    pub(super) log: Log,
    pub(super) wanted: Arc<AtomicBool>,
    committer: RefCell<Committer>,
    /// The committer has come further.
    has_reported: Arc<AtomicBool>,
    /// When it goes on.
    ready_at: Cell<u64>,
    /// It goes on in the middle of somebody's record, whose locks are held.
    is_beside: Cell<bool>,
    is_dead: Cell<bool>,
    /// There is a segment that cleaning may begin with.
    may_clean: Cell<bool>,
}

impl Store {
    pub(super) fn new(machine: &Rc<Machine>, log: Log, mut committer: Committer) -> Rc<Store> {
        let has_reported = Arc::new(AtomicBool::new(false));
        let (told, chronicle) = (has_reported.clone(), machine.chronicle.clone());
        committer.on_reached(move |reached| {
            chronicle.lock().report(reached.written.0, reached.synced.0);
            told.store(true, Relaxed);
        });
        Rc::new(Store {
            machine: machine.clone(),
            log,
            wanted: Arc::default(),
            committer: RefCell::new(committer),
            has_reported,
            ready_at: Cell::new(u64::MAX),
            is_beside: Cell::new(false),
            is_dead: Cell::new(false),
            may_clean: Cell::new(false),
        })
    }

    pub(crate) fn machine(&self) -> &Rc<Machine> {
        &self.machine
    }

    pub(crate) fn level_of(&self, client: u32) -> Level {
        self.machine.level_of(client)
    }

    pub(crate) fn wall_secs(&self, now: u64) -> u64 {
        self.machine.wall_secs(now)
    }

    /// Whether somebody waits for the committer.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Relaxed) || self.ready_at.get() < u64::MAX
    }

    /// When the committer goes on, if nobody wants it before.
    pub(crate) fn next(&self, now: u64) -> u64 {
        if self.wanted.load(Relaxed) && self.ready_at.get() == u64::MAX {
            let takes = self.machine.dice.borrow_mut().within(0, self.machine.faults.commit_millis_max);
            self.ready_at.set(now + takes);
        }
        self.ready_at.get()
    }

    /// Whether it can go on now.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        self.next(now) <= now && self.committer.try_borrow_mut().is_ok()
    }

    /// Whether cleaning may begin: any time while faults happen, later where there is need of it.
    pub(crate) fn may_clean(&self) -> bool {
        self.may_clean.get() && (!self.machine.is_calm.get() || self.log.needs_reclaim())
    }

    /// Somebody waits for the committer.
    pub(super) fn want(&self) {
        self.wanted.store(true, Relaxed);
    }

    /// Whether it has reported since this was asked.
    pub(crate) fn take_report(&self) -> bool {
        self.has_reported.swap(false, Relaxed)
    }

    /// One commit.
    pub(crate) fn step(&self, now: u64) {
        let Ok(mut committer) = self.committer.try_borrow_mut() else { return };
        if self.is_dead.get() {
            return;
        }
        self.ready_at.set(u64::MAX);
        self.trouble(now);
        self.wanted.store(false, Relaxed);
        let machine = &self.machine;
        machine.count("commits");
        let was_poisoned = self.log.state().is_poisoned();
        let outcome = match was_poisoned.then(|| committer.reopen()) {
            Some(Err(ReopenError::Io(_))) => Outcome::Poisoned,
            Some(reopened) => {
                assert!(reopened.is_ok(), "reopen: {reopened:?}");
                committer.commit_once()
            }
            None => committer.commit_once(),
        };
        self.may_clean.set(machine.faults.cleans && self.log.oldest().is_some());
        if self.log.state().is_poisoned() != was_poisoned {
            machine.count(if was_poisoned { "journals reopened" } else { "journals poisoned" });
        }
        if self.is_off() {
            machine.count("crashes in a commit");
            self.is_dead.set(true);
        } else if matches!(outcome, Outcome::Full(_) | Outcome::Poisoned) {
            self.ready_at.set(now + PATIENCE_MILLIS);
        }
    }

    fn is_off(&self) -> bool {
        self.machine.is_armed.get() && self.machine.disk.list().is_err()
    }

    /// The committer goes on while somebody hands over a record.
    pub(crate) fn beside_a_record(&self, now: u64) {
        let per_mille = self.machine.faults.beside_per_mille;
        let goes_on = per_mille > 0 && self.machine.dice.borrow_mut().per_mille(per_mille);
        if goes_on && self.committer.try_borrow_mut().is_ok() {
            self.machine.count("commits beside a record");
            self.is_beside.set(true);
            self.step(now);
            self.is_beside.set(false);
        }
    }

    /// Whether a sync takes long this time.
    pub(crate) fn lingers(&self) -> bool {
        let per_mille = self.machine.faults.linger_per_mille;
        per_mille > 0 && !self.is_beside.get() && self.machine.dice.borrow_mut().per_mille(per_mille)
    }

    /// The power goes at the end of a long sync, perhaps.
    pub(crate) fn linger_over(&self) {
        self.machine.count("syncs that took long");
        if !self.machine.is_armed.get() {
            self.machine.arm(self.machine.faults.linger_cut_percent, 1);
        }
    }

    /// How often workers go on while the disk works, in a thousand operations.
    pub(crate) fn meanwhile_per_mille(&self) -> u32 {
        if self.is_beside.get() { 0 } else { self.machine.faults.meanwhile_per_mille }
    }

    /// The disk begins to be full, is it no more, fails, or dies.
    fn trouble(&self, now: u64) {
        let machine = &self.machine;
        let faults = &machine.faults;
        if machine.full_until.get() > 0 && (machine.full_until.get() <= now || machine.is_calm.get()) {
            machine.full_until.set(0);
            machine.disk.set_capacity_bytes(None);
        }
        if machine.lies_until.get() > 0 && (machine.lies_until.get() <= now || machine.is_calm.get()) {
            machine.lies_until.set(0);
            machine.disk.set_lies(false);
        }
        if machine.is_calm.get() {
            return;
        }
        let mut dice = machine.dice.borrow_mut();
        if machine.full_until.get() == 0 && dice.per_mille(faults.full_per_mille) {
            let names = machine.disk.names();
            let used =
                names.iter().filter_map(|name| machine.disk.contents(name)).map(|file| file.len() as u64);
            let more = dice.within(0, 2_000);
            machine.disk.set_capacity_bytes(Some(used.sum::<u64>() + more));
            machine.full_until.set(now + dice.within(1, faults.full_millis_max));
            machine.count("times that the disk was full");
        }
        if machine.lies_until.get() == 0 && dice.per_mille(faults.lie_per_mille) {
            machine.disk.set_lies(true);
            machine.lies_until.set(now + dice.within(1, faults.lie_millis_max));
            machine.chronicle.lock().mistrust();
            machine.count("times that the disk began to lie");
        }
        if dice.per_mille(faults.fail_per_mille) {
            if dice.percent(70) {
                machine.disk.fail_sync(dice.within(0, 2), std::io::ErrorKind::Other);
            } else {
                machine.disk.fail_write(dice.within(0, 3), std::io::ErrorKind::Other);
            }
        }
        let torn = dice.per_mille(faults.torn_per_mille);
        drop(dice);
        if torn && !machine.is_armed.get() {
            machine.arm(100, 10);
        }
    }

    /// Whether the server dies here: somebody has had a turn.
    pub(crate) fn dies_now(&self) -> bool {
        if self.is_dead.get() || self.is_off() {
            return true;
        }
        let machine = &self.machine;
        let may_die = machine.crashes.get() < machine.faults.crashes_max && !machine.is_calm.get();
        let dies =
            may_die && machine.dice.borrow_mut().draw() % 10_000 < u64::from(machine.faults.crash_per_myriad);
        if dies {
            machine.crashes.set(machine.crashes.get() + 1);
        }
        dies
    }
}
