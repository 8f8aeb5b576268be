//! What drives the disk: its power, which can be cut at an instant, and how slow it is. Not what it keeps.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::disk::{Cut, Disk, Faults, Refusal, Survival, Sync};
use crate::draw::Draw;

/// How slow it is.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// What a sync takes besides its bytes.
    pub(crate) sync: RangeInclusive<Duration>,
    /// How many bytes of a sync it writes in a second, if that is bounded.
    pub(crate) bytes_per_sec: Option<u64>,
    /// One sync of so many takes so much longer.
    pub(crate) hiccup: Option<(usize, Duration)>,
    /// What each write takes.
    pub(crate) write: Duration,
}

impl Pace {
    /// As fast as memory.
    pub(crate) fn memory() -> Pace {
        Pace {
            sync: Duration::ZERO..=Duration::ZERO,
            bytes_per_sec: None,
            hiccup: None,
            write: Duration::ZERO,
        }
    }

    /// A sync takes so long, and there is no other bound.
    pub(crate) fn syncs(from_micros: u64, to_micros: u64) -> Pace {
        let sync = Duration::from_micros(from_micros)..=Duration::from_micros(to_micros);
        Pace { sync, ..Pace::memory() }
    }

    /// An SD card: 5 to 50 ms for a sync, 1 MB in a second, and half a second more now and then.
    pub(crate) fn sd_card() -> Pace {
        Pace {
            bytes_per_sec: Some(1_000_000),
            hiccup: Some((200, Duration::from_millis(500))),
            ..Pace::syncs(5_000, 50_000)
        }
    }

    fn is_slow(&self) -> bool {
        !self.sync.end().is_zero() || self.bytes_per_sec.is_some() || self.hiccup.is_some()
    }

    fn of_sync(&self, bytes: u64, draw: &mut Draw) -> Duration {
        let writing = self.bytes_per_sec.map_or(0.0, |rate| bytes as f64 / rate as f64);
        let hiccup = self.hiccup.filter(|(one_in, _)| draw.below(*one_in) == 0);
        draw.time(&self.sync)
            + Duration::from_secs_f64(writing)
            + hiccup.map_or(Duration::ZERO, |(_, longer)| longer)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    On,
    /// Power is gone, and those who wait for the disk do not know it yet.
    Frozen,
    Off,
}

#[derive(Debug)]
struct State {
    disk: Disk,
    power: Power,
    pace: Pace,
    /// For the cuts alone: they follow from the seed, whatever happens between them.
    draw: Draw,
}

/// A disk that many threads use.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    power_changed: Condvar,
    /// It does one sync at a time, and draws how long that takes.
    turn: Mutex<Draw>,
}

impl Device {
    pub(crate) fn new(seed: u64) -> Device {
        let state =
            State { disk: Disk::new(), power: Power::On, pace: Pace::memory(), draw: Draw::new(seed) };
        let shared = Shared {
            state: Mutex::new(state),
            power_changed: Condvar::new(),
            turn: Mutex::new(Draw::new(!seed)),
        };
        Device { shared: Arc::new(shared) }
    }

    /// Uses the disk. While the power is going it waits, and afterwards nothing is done any more.
    pub(crate) fn with<T>(&self, use_it: impl FnOnce(&mut Disk) -> Result<T, Refusal>) -> Result<T, Refusal> {
        use_it(&mut self.powered()?.disk)
    }

    /// Takes as long as a write takes.
    pub(crate) fn wait_for_write(&self) -> Result<(), Refusal> {
        let takes = self.shared.state.lock().pace.write;
        self.pass(takes)
    }

    /// Takes as long as the disk takes, and then what the sync covers is on stable storage.
    pub(crate) fn end_sync(&self, sync: Sync) -> Result<(), Refusal> {
        let pace = self.powered()?.pace.clone();
        if pace.is_slow() {
            let mut draw = self.shared.turn.lock();
            self.pass(pace.of_sync(sync.bytes, &mut draw))?;
        }
        self.with(|disk| disk.end_sync(sync))
    }

    /// Whether syncs take time, so that nobody else should have to wait meanwhile.
    pub(crate) fn is_slow(&self) -> bool {
        self.shared.state.lock().pace.is_slow()
    }

    /// Changes what is wrong with the disk.
    pub(crate) fn fault(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.shared.state.lock().disk.faults);
    }

    /// There is no more room than is taken now.
    pub(crate) fn fill_up(&self) {
        let disk = &mut self.shared.state.lock().disk;
        disk.faults.capacity = Some(disk.used_bytes());
    }

    pub(crate) fn set_pace(&self, pace: Pace) {
        self.shared.state.lock().pace = pace;
    }

    /// From this instant nothing that is asked of the disk is done or answered, until [`Self::let_go`].
    pub(crate) fn freeze(&self) {
        self.shared.state.lock().power = Power::Frozen;
        self.shared.power_changed.notify_all();
    }

    /// Whoever waits for an answer that never came gets an error: those who would believe it are dead.
    pub(crate) fn let_go(&self) {
        self.shared.state.lock().power = Power::Off;
        self.shared.power_changed.notify_all();
    }

    pub(crate) fn is_powered(&self) -> bool {
        self.shared.state.lock().power == Power::On
    }

    /// Power is back, where it was gone: what was not synced is settled.
    pub(crate) fn power_up(&self, choose: impl FnOnce(&mut Draw) -> Cut) -> Option<(Cut, Survival)> {
        let mut state = self.shared.state.lock();
        if state.power == Power::On {
            return None;
        }
        state.power = Power::On;
        let State { disk, draw, .. } = &mut *state;
        let cut = choose(draw);
        Some((cut, disk.cut(cut, draw)))
    }

    /// Lets time pass, as long as there is power.
    pub(crate) fn pass(&self, time: Duration) -> Result<(), Refusal> {
        let due = Instant::now() + time;
        let mut state = self.powered()?;
        while state.power == Power::On && Instant::now() < due {
            self.shared.power_changed.wait_until(&mut state, due);
        }
        drop(state);
        self.powered().map(drop)
    }

    fn powered(&self) -> Result<MutexGuard<'_, State>, Refusal> {
        let mut state = self.shared.state.lock();
        while state.power == Power::Frozen {
            self.shared.power_changed.wait(&mut state);
        }
        if state.power == Power::Off { Err(Refusal::Failed) } else { Ok(state) }
    }
}
