//! Crashes at any moment, by the thousand: what was reported is there afterwards, in order, and nothing else is.

use std::io;

use whimbrel_journal::{Level, Outcome, Position, sim::SimDisk};

use super::{
    dice::Dice,
    rig::{Found, Rig, assert_same, contents, record, small, some},
};

/// What must be there and what may be, as somebody knows who never trusts the disk.
struct World {
    dice: Dice,
    disk: SimDisk,
    /// Everything staged since the oldest segment, in order, with its end.
    history: Vec<(Found, Position)>,
    /// How many were staged ever; makes records differ.
    count: u64,
    /// The highest watermarks that anybody was told.
    written: Position,
    synced: Position,
    /// Records before may have been given back.
    released: Position,
    /// How often each thing came to pass.
    crashes: u64,
    reopened: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            disk: SimDisk::new(),
            history: Vec::new(),
            count: 0,
            written: Position(0),
            synced: Position(0),
            released: Position(0),
            crashes: 0,
            reopened: 0,
        }
    }

    fn live(&mut self, rig: &mut Rig) {
        for _ in 0..self.dice.roll(12) {
            if self.dice.one_in(4) {
                self.disk.set_capacity_bytes(None);
            }
            if self.dice.one_in(8) {
                match self.dice.roll(4) {
                    3 => self.disk.set_capacity_bytes(Some(self.dice.roll(30_000) as u64)),
                    0 => self.disk.power_off_in(self.dice.roll(12) as u64),
                    1 => self.disk.fail_sync(self.dice.roll(2) as u64, io::ErrorKind::Other),
                    _ => self.disk.fail_write(self.dice.roll(3) as u64, io::ErrorKind::Other),
                }
            }
            for _ in 0..self.dice.roll(6) {
                self.stage(rig);
            }
            if self.dice.one_in(3) {
                rig.log.ask(rig.log.staged(), Level::Power);
            }
            let outcome = rig.committer.commit_once();
            self.note(rig);
            if outcome == Outcome::Poisoned && self.dice.one_in(2) && rig.committer.reopen().is_ok() {
                self.reopened += 1;
                self.note(rig);
            }
            if self.dice.one_in(3) {
                self.reclaim(rig);
            }
        }
        if self.dice.one_in(4) {
            rig.committer.close();
            self.note(rig);
        }
    }

    fn stage(&mut self, rig: &Rig) {
        // Often the same length: then leftovers lie where records are looked for.
        let length = match self.dice.roll(10) {
            0 => 3_000 + self.dice.roll(6_000),
            1..4 => 8 + self.dice.roll(400),
            _ => 100,
        };
        let record = record(self.count, length);
        if let Ok(staged) = rig.log.stage(&record) {
            self.count += 1;
            self.history.push(((staged.position, record), staged.end));
        }
    }

    /// Watermarks only rise, and never past what is staged.
    fn note(&mut self, rig: &Rig) {
        let (written, synced) = (rig.log.written(), rig.log.synced());
        assert!(synced <= written && written <= rig.log.staged(), "{synced} {written}");
        assert!(written >= self.written && synced >= self.synced, "a watermark fell");
        (self.written, self.synced) = (written, synced);
    }

    /// Gives the oldest segment back, with what is left of it re-appended or all of it dead.
    fn reclaim(&mut self, rig: &Rig) {
        let Some(oldest) = rig.log.oldest() else { return };
        if rig.log.drop_segment(oldest.number, rig.log.staged()).is_ok() {
            self.released = oldest.end;
        }
    }

    /// Compares what recovery found with what must be there.
    fn check(&mut self, rig: &Rig, promised: Position) {
        let first = rig.recovery.first;
        assert!(first <= self.released, "more was given back than may be: {first} > {}", self.released);
        self.history.retain(|((position, _), _)| *position >= first);
        let must = self.history.iter().take_while(|(_, end)| *end <= promised).count();
        assert!(rig.found.len() >= must, "{must} records were promised, {} are there", rig.found.len());
        for (found, (staged, _)) in rig.found.iter().zip(&self.history) {
            assert_eq!(found.0, staged.0);
            assert_eq!(found.1, staged.1, "at {}", found.0);
        }
        assert!(rig.found.len() <= self.history.len(), "records were invented");
        self.history.truncate(rig.found.len());
        let end = rig.log.staged();
        assert_eq!(self.history.last().map_or(first, |(_, end)| *end), end);
        assert_eq!((rig.log.written(), rig.log.synced()), (end, end));
        (self.written, self.synced) = (end, end);
    }

    fn crash(&mut self) {
        let Self { disk, dice, .. } = self;
        disk.crash(&mut |sides| dice.roll(sides));
        self.crashes += 1;
    }

    /// Opens, through crashes in the middle of it.
    fn open(&mut self) -> Rig {
        for _ in 0..3 {
            if self.dice.one_in(2) {
                self.disk.power_off_in(self.dice.roll(20) as u64);
                let capacity = self.dice.one_in(4).then(|| self.dice.roll(30_000) as u64);
                self.disk.set_capacity_bytes(capacity);
                match Rig::try_open(&self.disk, small()) {
                    Ok(rig) => {
                        // It got through; the power goes a little later, in life.
                        return rig;
                    }
                    Err(_) => self.crash(),
                }
            }
        }
        self.disk.set_capacity_bytes(None);
        Rig::open(&self.disk)
    }
}

fn run(seed: u64, lives: usize) -> World {
    let mut world = World::new(seed);
    let mut rig = world.open();
    for _ in 0..lives {
        let name_failures = world.disk.counts().name_failures;
        world.live(&mut rig);
        // A folder that could not be synced may lose a name that everybody still sees: only a reopening mends that.
        let is_kill = world.dice.one_in(4) && world.disk.counts().name_failures == name_failures;
        drop(rig);
        let crashes = world.crashes;
        if is_kill {
            world.disk.kill();
        } else {
            world.crash();
        }
        rig = world.open();
        let lost_power = world.crashes > crashes;
        let promised = if lost_power { world.synced } else { world.written };
        world.check(&rig, promised);
    }
    world
}

/// Set `JOURNAL_SEED` to run one of them alone, `JOURNAL_SEEDS` to run more.
#[test]
fn what_was_reported_is_there_after_any_crash() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = match number("JOURNAL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("JOURNAL_SEEDS").unwrap_or(600),
    };
    let mut totals = [0; 10];
    for seed in seeds.clone() {
        let result = std::panic::catch_unwind(|| run(seed, 8));
        let world = result.unwrap_or_else(|_| panic!("replay with JOURNAL_SEED={seed}"));
        let counts = world.disk.counts();
        let of_this = [
            world.crashes,
            world.reopened,
            counts.failures,
            counts.full,
            counts.lost,
            counts.torn,
            counts.reordered,
            counts.names_lost,
            world.count,
            world.history.len() as u64,
        ];
        totals.iter_mut().zip(of_this).for_each(|(total, this)| *total += this);
    }
    println!(
        "crashes, reopened, failures, full, lost, torn, reordered, names lost, staged, left at the end: {totals:?}"
    );
    if seeds.end - seeds.start > 100 {
        assert!(totals.iter().all(|total| *total > 50), "some fault never came to pass: {totals:?}");
    }
}

/// A store whose disk lost the first of three unsynced frames and kept the other two. The record of the second begins
/// with a sector.
fn with_leftovers() -> (SimDisk, Rig) {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill([record(0, 400)]);
    for (number, length) in [(1, 448), (2, 400), (3, 400)] {
        rig.stage([record(number, length)]);
        rig.committer.commit_once();
    }
    drop(rig);
    // The names; each write for itself: zeros kept, the first frame lost, the second, zeros and the third kept.
    choose(&disk, &[0, 2, 0, 1, 0, 0, 0]);
    let rig = Rig::open(&disk);
    assert_eq!(rig.found.len(), 1);
    (disk, rig)
}

fn choose(disk: &SimDisk, choices: &[usize]) {
    let mut choices = choices.iter();
    disk.crash(&mut |sides| choices.next().map_or(0, |choice| *choice).min(sides - 1));
}

/// As long as the first two that were lost, and in one frame: behind the frame that announces the opening it ends where
/// the third leftover begins, at its very position.
#[test]
fn a_leftover_frame_behind_a_cut_does_not_come_back() {
    let (disk, mut rig) = with_leftovers();
    rig.stage([record(11, 448), record(12, 400)]);
    rig.sync();
    drop(rig);
    disk.kill();
    let rig = Rig::open(&disk);
    assert_same(&contents(&rig.found), &[record(0, 400), record(11, 448), record(12, 400)]);
}

/// The same frame, torn: where its second record should be lies a leftover of the same position.
#[test]
fn a_leftover_record_in_a_torn_frame_does_not_come_back() {
    let (disk, mut rig) = with_leftovers();
    rig.stage([record(11, 448), record(12, 400)]);
    rig.committer.commit_once();
    drop(rig);
    // The names; each write for itself: of the one, the first of two sectors.
    choose(&disk, &[0, 2, 2, 0, 1]);
    let rig = Rig::open(&disk);
    assert_same(&contents(&rig.found), &[record(0, 400)]);
    assert!(rig.recovery.cut.is_some());
}

/// The system goes on showing what it failed to write, and says yes to the next process that asks for a sync.
#[test]
fn a_process_that_died_of_a_failed_sync_leaves_nothing_in_doubt() {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..3));
    rig.stage(some(3..5));
    rig.committer.commit_once();
    disk.fail_sync(0, io::ErrorKind::Other);
    assert_eq!(rig.sync(), Outcome::Poisoned);
    drop(rig);
    disk.kill();
    assert_eq!(Rig::open(&disk).found.len(), 5);
    disk.crash(&mut |_| 1);
    assert_same(&contents(&Rig::open(&disk).found), &some(0..5).collect::<Vec<_>>());
}

/// The first frame of an opening vouches for all before it: it must not be on the disk without it.
#[test]
fn a_crash_at_any_step_of_an_opening_leaves_a_whole_store() {
    for step in 0..24 {
        for seed in 0..60 {
            let mut dice = Dice::new(seed);
            let disk = SimDisk::new();
            let mut rig = Rig::open(&disk);
            rig.fill(some(0..2));
            for record in some(2..7) {
                rig.stage([record]);
                rig.committer.commit_once();
            }
            drop(rig);
            disk.kill();
            disk.power_off_in(step);
            drop(Rig::try_open(&disk, small()));
            disk.crash(&mut |sides| dice.roll(sides));
            let rig = Rig::try_open(&disk, small());
            let found = rig.unwrap_or_else(|error| panic!("step {step} seed {seed}: {error}")).found;
            let all: Vec<_> = some(0..7).collect();
            assert!(found.len() >= 2);
            assert_same(&contents(&found), &all[..found.len()]);
        }
    }
}
