//! The server: one engine, several workers, each with a turn and its tasks, and a keeper. Whose turn it is the dice
//! say; a worker may go on in the middle of another one's write and wherever another one holds no lock, as threads do.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
};

use whimbrel_engine::{Count, Engine, Limits, Now, Progress, Publishing, Turn, Wire, Written, proto::Millis};
use whimbrel_locks::Moment;

use crate::{
    dice::Dice,
    link::{Ready, SimLink},
    plan::Weather,
    store::{Cleaner, Store, cleaning},
    task::Task,
};

/// Workers that go on in each other's writes at most.
const DEPTH_MAX: u32 = 3;
/// Turns of workers while a sync takes long, at most.
const LINGER_STEPS: u32 = 40;
/// The keeper looks so often, and at each connection four times less often.
pub const TICK_MILLIS: u64 = 250;
const SWEEP_MILLIS: u64 = 1_000;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Server>>> = const { RefCell::new(None) };
}

/// A wire calls it where other threads may go on.
pub(crate) fn interrupt() {
    if let Some(server) = current() {
        server.interrupt(server.weather.interrupt_percent * 10, &server.interrupts);
    }
}

/// The disk calls it: while it works, workers go on.
pub(crate) fn while_disk_works() {
    let Some(server) = current() else { return };
    let per_mille = server.store.as_ref().map_or(0, |store| store.meanwhile_per_mille());
    server.interrupt(per_mille, &server.meanwhile);
}

/// The disk calls it: a sync may take so long that workers hear what has been written before it, and act on that.
pub(crate) fn while_disk_syncs() {
    let Some(server) = current() else { return };
    if let Some(store) = server.store.as_ref().filter(|store| store.lingers()) {
        server.linger(store);
        store.linger_over();
    }
}

/// The journal calls it, whose caller holds locks: the committer goes on meanwhile.
pub(crate) fn beside_a_record() {
    let Some(server) = current() else { return };
    if let Some(store) = &server.store {
        store.beside_a_record(server.now.get());
        server.hear_report(store);
    }
}

fn current() -> Option<Rc<Server>> {
    CURRENT.with(|current| current.try_borrow().ok().and_then(|current| current.clone()))
}

/// The locks of the engine call it: where a worker holds none, other threads may go on.
fn heed(moment: Moment) {
    match moment {
        Moment::Between { held: 0 } => {
            if let Some(server) = current() {
                server.interrupt(server.weather.interleave_per_mille, &server.interleaved);
            }
        }
        Moment::Between { .. } => {}
        Moment::Waiting => unreachable!("a worker waits for a lock that it holds itself"),
    }
}

struct Worker {
    turn: Turn,
    tasks: Vec<Option<Task>>,
    free: Vec<usize>,
    ready: Arc<Ready>,
    flush_due: bool,
    /// The committer has come further.
    release_due: bool,
    /// Wills on their way, and those that wait for another publisher.
    jobs: VecDeque<Box<Publishing>>,
    waiting: VecDeque<Box<Publishing>>,
    /// The engine has more that is due.
    reminds: bool,
    nobody: Arc<dyn Wire>,
}

impl Worker {
    fn is_busy(&self) -> bool {
        self.flush_due
            || self.release_due
            || self.reminds
            || !self.jobs.is_empty()
            || !self.ready.lock().is_empty()
    }
}

/// Stands in for a client where the server itself publishes.
struct NoWire;

impl Wire for NoWire {
    fn write(&self, _parts: &[&[u8]]) -> Written {
        Written::Gone
    }

    fn wake(&self) {}
}

/// The server.
pub struct Server {
    /// The engine.
    pub engine: Arc<Engine>,
    workers: Vec<RefCell<Worker>>,
    dice: RefCell<Dice>,
    weather: Weather,
    depth: Cell<u32>,
    /// A worker has its turn.
    is_running: Cell<bool>,
    /// Turns of one worker in the middle of another's write.
    pub interrupts: Cell<u64>,
    /// Turns of one worker where another one held no lock.
    pub interleaved: Cell<u64>,
    now: Cell<u64>,
    last_tick: Cell<u64>,
    active: Cell<bool>,
    /// Its disk, if it has one.
    pub(crate) store: Option<Rc<Store>>,
    /// The committer has reported, and the workers have not heard of it.
    has_report: Cell<bool>,
    /// Gives space on the disk back.
    cleaner: RefCell<Cleaner>,
    /// Turns of workers while the disk worked.
    pub meanwhile: Cell<u64>,
}

impl Server {
    /// A server without a disk, which is the one of this thread from now on.
    #[must_use]
    pub fn new(limits: Limits, workers: usize, weather: &Weather, seed: u64, dice: Dice) -> Rc<Server> {
        Self::of(Arc::new(Engine::new(limits, seed)), None, workers, weather, dice)
    }

    /// A server that has started after this one has died.
    pub(crate) fn successor(&self, engine: Arc<Engine>, store: Rc<Store>) -> Rc<Server> {
        let dice = self.dice.borrow_mut().fork();
        Self::of(engine, Some(store), self.workers.len(), &self.weather, dice)
    }

    /// A server around an engine.
    pub(crate) fn of(
        engine: Arc<Engine>,
        store: Option<Rc<Store>>,
        workers: usize,
        weather: &Weather,
        dice: Dice,
    ) -> Rc<Server> {
        let worker = || Worker {
            turn: engine.turn(),
            tasks: Vec::new(),
            free: Vec::new(),
            ready: Arc::default(),
            flush_due: false,
            release_due: false,
            jobs: VecDeque::new(),
            waiting: VecDeque::new(),
            reminds: false,
            nobody: Arc::new(NoWire),
        };
        let server = Rc::new(Server {
            cleaner: RefCell::new(Cleaner::new(&engine)),
            workers: (0..workers).map(|_| RefCell::new(worker())).collect(),
            engine,
            dice: RefCell::new(dice),
            weather: weather.clone(),
            depth: Cell::new(0),
            is_running: Cell::new(false),
            interrupts: Cell::new(0),
            interleaved: Cell::new(0),
            now: Cell::new(0),
            last_tick: Cell::new(0),
            active: Cell::new(store.is_some()),
            store,
            has_report: Cell::new(false),
            meanwhile: Cell::new(0),
        });
        CURRENT.set(Some(server.clone()));
        whimbrel_locks::tell((weather.interleave_per_mille > 0).then_some(heed));
        server
    }

    /// The time moves on.
    pub fn advance(&self, now: u64) {
        self.now.set(now);
        self.links().iter().for_each(|link| link.advance(now));
    }

    /// Takes the server away from its thread.
    pub fn dismiss() {
        CURRENT.set(None);
        whimbrel_locks::tell(None);
    }

    /// A client dials.
    pub fn accept(&self, weather: &Weather, client: u32, now: u64) -> Arc<SimLink> {
        let mut dice = self.dice.borrow_mut();
        let at = dice.below(self.workers.len());
        let late = dice.percent(self.weather.verdict_percent);
        let verdict_millis = if late { dice.within(1, 3_000) } else { 0 };
        let fork = dice.fork();
        drop(dice);
        let level = self.store.as_ref().map(|store| store.level_of(client)).unwrap_or_default();
        let mut worker = self.workers[at].borrow_mut();
        let place = worker.free.pop().unwrap_or(worker.tasks.len());
        if place == worker.tasks.len() {
            worker.tasks.push(None);
        }
        let link = SimLink::new(weather, fork, worker.ready.clone(), place, now);
        worker.tasks[place] = Some(Task::new(&self.engine, link.clone(), now, verdict_millis, level));
        link.schedule();
        link
    }

    /// Workers that have something to do; behind them the committer and the cleaner.
    pub fn busy(&self) -> Vec<usize> {
        (0..self.workers.len() + 2).filter(|at| self.is_busy(*at)).collect()
    }

    fn is_busy(&self, at: usize) -> bool {
        if let Some(worker) = self.workers.get(at) {
            return worker.try_borrow().is_ok_and(|worker| worker.is_busy());
        }
        let Some(store) = &self.store else { return false };
        if at == self.workers.len() {
            return store.is_due(self.now.get());
        }
        self.cleaner.try_borrow_mut().is_ok_and(|cleaner| cleaner.next(store) <= self.now.get())
    }

    /// Workers hear of what the committer has reported, as soon as they can.
    fn hear_report(&self, store: &Store) {
        if store.take_report() || self.has_report.get() {
            let mut heard = 0;
            for mut worker in self.workers.iter().filter_map(|worker| worker.try_borrow_mut().ok()) {
                worker.release_due = true;
                heard += 1;
            }
            self.has_report.set(heard < self.workers.len());
        }
    }

    /// Messages that were dropped, for whatever cause.
    pub(crate) fn dropped(&self) -> u64 {
        let causes = [
            Count::DroppedQueueOldest,
            Count::DroppedQueueNewest,
            Count::DroppedQueuesMemory,
            Count::DroppedTooLarge,
        ];
        causes.iter().map(|cause| self.engine.count(*cause)).sum()
    }

    /// When workers that have something to do have their turns: now, or at the next beat.
    pub fn next_beat(&self) -> u64 {
        self.now.get().next_multiple_of(self.weather.beat_millis.max(1))
    }

    /// One of the things that a worker has to do, drawn.
    pub fn step(&self, at: usize) {
        let was_running = self.is_running.replace(true);
        self.step_once(at);
        self.is_running.set(was_running);
        if let Some(store) = &self.store {
            self.hear_report(store);
        }
    }

    fn step_once(&self, at: usize) {
        if let (true, Some(store)) = (at == self.workers.len(), &self.store) {
            store.step(self.now.get());
            return;
        }
        let now = self.now.get();
        let wall_secs = self.store.as_ref().map(|store| store.wall_secs(now));
        let wall_secs = wall_secs.unwrap_or(1_700_000_000 + now / 1_000);
        let now_told = Now { mono: Millis(now), wall_secs };
        if let (true, Some(store)) = (at > self.workers.len(), &self.store) {
            if let Ok(mut cleaner) = self.cleaner.try_borrow_mut() {
                cleaner.step(&self.engine, store, now, now_told);
            }
            return;
        }
        let Ok(mut worker) = self.workers[at].try_borrow_mut() else { return };
        self.active.set(true);
        worker.turn.now = now_told;
        let tasks = worker.ready.lock().len();
        let others = [worker.flush_due, worker.reminds, worker.release_due, !worker.jobs.is_empty()];
        let count = tasks + others.iter().filter(|other| **other).count();
        if count == 0 {
            return;
        }
        let mut drawn = self.dice.borrow_mut().below(count);
        if drawn < tasks {
            self.run_task(&mut worker, drawn);
        } else {
            drawn -= tasks;
            let chosen = others.iter().enumerate().filter(|(_, other)| **other).nth(drawn).map(|(at, _)| at);
            match chosen {
                Some(0) => {
                    worker.flush_due = false;
                    self.engine.flush(&mut worker.turn);
                }
                Some(1) => self.remind(&mut worker),
                Some(2) => {
                    worker.release_due = false;
                    self.engine.release(&mut worker.turn);
                }
                _ => self.go_on(&mut worker),
            }
        }
        worker.turn.notices.clear();
        if worker.turn.has_output() {
            worker.flush_due = true;
        }
    }

    fn run_task(&self, worker: &mut Worker, drawn: usize) {
        let Some(place) = worker.ready.lock().remove(drawn) else { return };
        let Some(mut task) = worker.tasks.get_mut(place).and_then(Option::take) else { return };
        task.link.begin();
        if task.turn(&self.engine, &mut worker.turn) {
            worker.ready.lock().retain(|ready| *ready != place);
            worker.free.push(place);
        } else {
            worker.tasks[place] = Some(task);
        }
    }

    fn remind(&self, worker: &mut Worker) {
        let Worker { turn, nobody, jobs, .. } = worker;
        let ticked = self.engine.tick(turn, nobody);
        jobs.extend(ticked.publishing);
        worker.reminds = ticked.next <= turn.now.mono;
    }

    fn go_on(&self, worker: &mut Worker) {
        let Some(next) = worker.jobs.pop_front() else { return };
        let was_waiting = next.is_waiting();
        if let Progress::More(rest) = self.engine.resume(&mut worker.turn, next) {
            if was_waiting && rest.is_waiting() {
                worker.waiting.push_back(rest);
            } else {
                worker.jobs.push_back(rest);
            }
        }
    }

    fn interrupt(&self, per_mille: u32, count: &Cell<u64>) {
        if per_mille == 0 || self.depth.get() >= DEPTH_MAX || !self.is_running.get() {
            return;
        }
        let Ok(mut dice) = self.dice.try_borrow_mut() else { return };
        if !dice.per_mille(per_mille) {
            return;
        }
        let others = self.busy();
        let Some(at) = dice.pick(&others).copied() else { return };
        drop(dice);
        self.depth.set(self.depth.get() + 1);
        count.set(count.get() + 1);
        self.step(at);
        self.depth.set(self.depth.get() - 1);
    }

    fn linger(&self, store: &Store) {
        if self.depth.get() > 0 || !self.is_running.get() {
            return;
        }
        self.depth.set(1);
        for _ in 0..LINGER_STEPS {
            self.hear_report(store);
            let others = self.busy();
            let Some(at) = self.dice.borrow_mut().pick(&others).copied() else { break };
            self.meanwhile.set(self.meanwhile.get() + 1);
            self.step(at);
        }
        self.depth.set(0);
    }

    /// While all is at rest, each segment that is full can be given back. Says which cannot.
    pub(crate) fn check_space(&self) -> Result<(), String> {
        let Some(store) = &self.store else { return Ok(()) };
        let now = self.now.get();
        let told = Now { mono: Millis(now), wall_secs: store.wall_secs(now) };
        cleaning::check(&self.engine, store, now, told)
    }

    /// When the keepers look next; never while nothing is due and nothing has happened.
    pub fn next_tick(&self) -> u64 {
        let workers = self.workers.iter().map(|worker| {
            let worker = worker.borrow();
            let deadlines = worker.tasks.iter().flatten().map(|task| task.deadline);
            let waits = !worker.waiting.is_empty();
            deadlines.min().unwrap_or(u64::MAX).min(if waits { 0 } else { u64::MAX })
        });
        let due = workers.min().unwrap_or(u64::MAX).min(self.engine.next_deadline().0);
        let due = if self.active.get() { 0 } else { due };
        if due == u64::MAX {
            return u64::MAX;
        }
        let next = self.last_tick.get() + TICK_MILLIS;
        next.max(due.div_ceil(TICK_MILLIS) * TICK_MILLIS)
    }

    /// The keepers look: at some of the connections that are due, and at the engine's reminders.
    pub fn tick(&self, now: u64) {
        self.last_tick.set(now);
        self.active.set(false);
        for (at, worker) in self.workers.iter().enumerate() {
            let mut worker = worker.borrow_mut();
            let mut dice = self.dice.borrow_mut();
            for task in worker.tasks.iter().flatten().filter(|task| task.deadline <= now) {
                if task.deadline + SWEEP_MILLIS <= now || dice.percent(30) {
                    task.link.wake();
                }
            }
            if at == 0 {
                worker.reminds = true;
                let waiting = std::mem::take(&mut worker.waiting);
                worker.jobs.extend(waiting);
            }
            if dice.percent(3) {
                self.engine.sweep(&mut worker.turn);
            }
        }
    }

    /// Verdicts that are due are told, and the next one's time is given.
    pub fn tell_verdicts(&self, now: u64) -> u64 {
        let mut next = self
            .store
            .as_ref()
            .map_or(u64::MAX, |store| store.next(now).min(self.cleaner.borrow().next(store)));
        for worker in &self.workers {
            for task in worker.borrow().tasks.iter().flatten() {
                match task.verdict_at {
                    Some(at) if at <= now => task.link.schedule(),
                    Some(at) => next = next.min(at),
                    None => {}
                }
            }
        }
        next
    }

    /// Where all tasks stand, one line each.
    pub fn describe(&self) -> String {
        let of = |worker: &RefCell<Worker>| -> Vec<String> {
            worker.borrow().tasks.iter().flatten().map(Task::describe).collect()
        };
        self.workers.iter().flat_map(of).collect::<Vec<_>>().join("\n  ")
    }

    /// The connections of all tasks.
    pub fn links(&self) -> Vec<Arc<SimLink>> {
        let of = |worker: &RefCell<Worker>| -> Vec<Arc<SimLink>> {
            worker.borrow().tasks.iter().flatten().map(|task| task.link.clone()).collect()
        };
        self.workers.iter().flat_map(of).collect()
    }
}
