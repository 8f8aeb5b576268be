//! Open loop at QoS 0: a thread that nothing wakes but the moment when something is due. What arrives meanwhile has the
//! kernel's stamp and is read when the thread is up anyhow. Not the reading, and not the sending.
//!
//! A thread that every arrival wakes costs more than what it measures. Where something has to be answered (QoS 1 and
//! 2) or waits to be written, it is woken as in a closed loop: the broker must not see that nobody looks.

use std::time::Duration;

use super::clock::{MILLI, Nanos};
use super::connection::Job;
use super::desk::Run;
use super::rounds::Rounds;
use super::stage::Stage;
use super::worker::{TICK, Worker};

/// Has the system wake this thread when it is to wake, and not when it suits. It saves others' wake-ups to be late.
pub(super) fn wake_in_time() {
    #[cfg(target_os = "linux")]
    // Without it all goes as well, up to 50 µs later.
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}

/// The longest nap of a thread that waits for what is due.
const NAP_MAX: Nanos = TICK;
/// How long, and how often at the most, waking is tried out.
const TRIAL: Nanos = 200 * MILLI;
const TRIALS_MAX: u64 = 200;

/// What it costs on this machine to sleep and to be woken by the clock, and nothing else, in nanoseconds of processor
/// time: on some it is more than a broker spends on a message.
pub(super) fn price_of_a_nap(length: Nanos) -> Option<Nanos> {
    let length = length.clamp(1, NAP_MAX);
    let trials = (TRIAL / length).clamp(1, TRIALS_MAX);
    let trial = std::thread::spawn(move || {
        wake_in_time();
        let before = processor_time();
        for _ in 0..trials {
            std::thread::sleep(Duration::from_nanos(length));
        }
        Some((processor_time()? - before?) / trials)
    });
    trial.join().ok().flatten()
}

/// What this thread has used, in nanoseconds.
#[cfg(target_os = "linux")]
fn processor_time() -> Option<Nanos> {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(u64::try_from(used.tv_sec).ok()? * super::clock::SECOND + u64::try_from(used.tv_nsec).ok()?)
}

#[cfg(not(target_os = "linux"))]
fn processor_time() -> Option<Nanos> {
    None
}

impl Worker {
    /// Whether nothing but the clock need wake this thread.
    pub(super) fn may_be_late(&self) -> bool {
        self.run.settings.reads_late && self.blocked.is_empty() && matches!(self.stage, Stage::Loading { .. })
    }

    /// Sleeps until something is due, though not for long, and sends it before it looks at what has come.
    pub(super) fn doze(&mut self, run: &Run) {
        let now = run.clock.now();
        let due = self.rounds.as_ref().map(Rounds::next_due).filter(|due| *due < self.desk.stop_at);
        let until = due.unwrap_or(Nanos::MAX).min(now + NAP_MAX);
        if until > now {
            std::thread::sleep(Duration::from_nanos(until - now));
            self.desk.tally.naps_measured += u64::from(self.desk.measured.holds(now));
        }
        let now = run.clock.now();
        self.release_due(now);
        self.send_queued(now, run);
    }

    /// Keeps in mind whose bytes the system did not take.
    pub(super) fn note_blocked(&mut self, index: usize) {
        if self.connections.get(index).is_some_and(|one| one.is_blocked()) && !self.blocked.contains(&index) {
            self.blocked.push(index);
        }
    }

    /// Forgets those whose bytes have gone.
    pub(super) fn forget_unblocked(&mut self) {
        let connections = &self.connections;
        self.blocked.retain(|index| {
            connections.get(*index).is_some_and(|one| one.is_blocked() && matches!(one.job, Job::Publish(_)))
        });
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_nap_has_a_price_and_is_no_waiting_in_circles() {
        let price = price_of_a_nap(2 * MILLI).unwrap();
        assert!(price > 100 && price < MILLI, "{price}");
    }
}
