//! Watches deadlines: each connection's with a coarse sweep instead of a timer of its own, and, on worker 0,
//! those of the engine.

use std::{
    collections::VecDeque,
    num::NonZeroU32,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};
use whimbrel_engine::{Progress, Publishing, Wire, Written, proto::Millis};

use super::{Shared, link::SocketWire, with_bench};

/// How often deadlines are looked at: so late may one be noticed.
const TICK: Duration = Duration::from_millis(250);
/// Ticks between two looks through the match cache for what it keeps in vain.
const TICKS_PER_CACHE_SWEEP: u64 = 40;

/// Where the keeper finds a wire: its place, and one more, so that no number stands for none.
#[derive(Clone, Copy)]
pub(super) struct Peg(NonZeroU32);

impl Peg {
    fn at(place: usize) -> Peg {
        Peg(NonZeroU32::MIN.saturating_add(u32::try_from(place).unwrap_or(u32::MAX)))
    }

    fn place(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// The wires of a worker's connections and their deadlines, by place.
#[derive(Default)]
pub(super) struct Wires {
    places: Vec<Option<Arc<SocketWire>>>,
    /// By themselves, so that a sweep reads eight of them at a time and touches no connection that is not due.
    deadlines: Vec<Millis>,
    free: Vec<Peg>,
}

impl Wires {
    /// Remembers a wire and tells where.
    pub(super) fn add(&mut self, wire: Arc<SocketWire>) -> Peg {
        if let Some(peg) = self.free.pop() {
            if let Some(slot) = self.places.get_mut(peg.place()) {
                *slot = Some(wire);
            }
            return peg;
        }
        self.places.push(Some(wire));
        self.deadlines.push(Millis::NEVER);
        Peg::at(self.places.len() - 1)
    }

    pub(super) fn remove(&mut self, peg: Peg) {
        if let Some(slot) = self.places.get_mut(peg.place())
            && slot.take().is_some()
        {
            self.set_deadline(peg, Millis::NEVER);
            self.free.push(peg);
        }
        if self.free.len() == self.places.len() {
            *self = Wires::default(); // Idle again: the memory of the busiest moment goes back.
        }
    }

    /// When the owner of the wire there is to be woken.
    pub(super) fn set_deadline(&mut self, peg: Peg, deadline: Millis) {
        if let Some(slot) = self.deadlines.get_mut(peg.place()) {
            *slot = deadline;
        }
    }

    /// Wakes the owners of connections whose deadline has come.
    fn sweep(&self, now: Millis) {
        for (deadline, place) in self.deadlines.iter().zip(&self.places) {
            if *deadline <= now
                && let Some(wire) = place
            {
                wire.wake();
            }
        }
    }

    /// Wakes everybody.
    pub(super) fn wake_all(&self) {
        for wire in self.places.iter().flatten() {
            wire.wake();
        }
    }
}

/// Stands in for a client where the server itself publishes and may have to wait.
struct NoWire;

impl Wire for NoWire {
    fn write(&self, _parts: &[&[u8]]) -> Written {
        Written::Gone
    }

    fn wake(&self) {} // The next tick looks anyway.
}

/// Runs for as long as the worker.
pub(super) async fn run(shared: Arc<Shared>, keeps_engine: bool) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let waiter: Arc<dyn Wire> = Arc::new(NoWire);
    let mut publishing = VecDeque::new();
    let (mut count, mut sys_due, mut told) = (0_u64, Millis(0), false);
    let mut trust_seen = shared.trust_changes.load(Relaxed);
    loop {
        ticks.tick().await;
        count += 1;
        with_bench(|bench| {
            bench.begin();
            let now = bench.turn.now.mono;
            bench.wires.sweep(now);
            if count % TICKS_PER_CACHE_SWEEP == 0 {
                shared.engine.sweep(&mut bench.turn);
            }
            if shared.stopping.load(Relaxed) && !told {
                told = true;
                bench.wires.wake_all();
            }
            let trust_changes = shared.trust_changes.load(Relaxed);
            if std::mem::replace(&mut trust_seen, trust_changes) != trust_changes {
                bench.wires.wake_all(); // Each looks whether its client may stay.
            }
            if keeps_engine {
                shared.follow_clock();
                shared.engine.nudge();
            }
            if keeps_engine && sys_due <= now {
                sys_due = now.plus_secs(shared.sys_interval_secs);
                publishing.extend(shared.engine.sys_tick(&mut bench.turn, &waiter));
            }
            bench.finish();
        });
        if keeps_engine {
            remind(&shared, &waiter, &mut publishing).await;
        }
        go_on(&shared, &mut publishing).await; // What is left goes on after the next look at the deadlines.
    }
}

fn tick_millis() -> u64 {
    u64::try_from(TICK.as_millis()).unwrap_or(u64::MAX)
}

/// Handles what is due, some at a time, for as long as a tick: others run in between.
async fn remind(shared: &Shared, waiter: &Arc<dyn Wire>, publishing: &mut VecDeque<Box<Publishing>>) {
    let mut more = true;
    let until = shared.mono() + tick_millis();
    while more && shared.mono() < until {
        more = with_bench(|bench| {
            bench.begin();
            let ticked = shared.engine.tick(&mut bench.turn, waiter);
            publishing.extend(ticked.publishing);
            bench.finish();
            ticked.next <= bench.turn.now.mono
        })
        .unwrap_or(false);
        if more {
            tokio::task::yield_now().await;
        }
    }
}

/// Brings wills to all who are owed them, a slice at a time, for as long as a tick.
async fn go_on(shared: &Shared, publishing: &mut VecDeque<Box<Publishing>>) {
    let mut waiting = VecDeque::new();
    let until = shared.mono() + tick_millis();
    while shared.mono() < until
        && let Some(next) = publishing.pop_front()
    {
        with_bench(|bench| {
            bench.begin();
            let was_waiting = next.is_waiting();
            if let Progress::More(rest) = shared.engine.resume(&mut bench.turn, next) {
                if was_waiting && rest.is_waiting() {
                    waiting.push_back(rest); // Another publisher has the topic; the next tick tries again.
                } else {
                    publishing.push_back(rest);
                }
            }
            bench.finish();
        });
        tokio::task::yield_now().await;
    }
    publishing.append(&mut waiting);
}
