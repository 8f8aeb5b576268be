//! Wakes a thread's poll at a moment told in nanoseconds, which the poll itself rounds to milliseconds. Not a queue of
//! timers: there is one.

use std::io;
use std::time::Duration;

use mio::{Registry, Token};

use super::clock::Nanos;

#[cfg(target_os = "linux")]
pub(super) struct Alarm {
    file: rustix::fd::OwnedFd,
    set_to: Nanos,
}

#[cfg(target_os = "linux")]
impl Alarm {
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Alarm> {
        use std::os::fd::AsRawFd;

        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let file = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        // Events come at the edge, so that the expirations need not be read.
        registry.register(&mut mio::unix::SourceFd(&file.as_raw_fd()), token, mio::Interest::READABLE)?;
        Ok(Alarm { file, set_to: 0 })
    }

    /// Sets it to `at`; returns how long the poll may sleep, `most` at the longest.
    pub(super) fn set(&mut self, at: Nanos, now: Nanos, most: Duration) -> io::Result<Duration> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let wait = at.saturating_sub(now);
        if wait == 0 {
            return Ok(Duration::ZERO);
        }
        if u128::from(wait) < most.as_nanos() && self.set_to != at {
            let value = Timespec {
                tv_sec: (wait / super::clock::SECOND) as i64,
                tv_nsec: (wait % super::clock::SECOND) as _,
            };
            let once = Itimerspec { it_interval: Timespec::default(), it_value: value };
            timerfd_settime(&self.file, TimerfdTimerFlags::empty(), &once)?;
            self.set_to = at;
        }
        Ok(most)
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) struct Alarm;

#[cfg(not(target_os = "linux"))]
impl Alarm {
    pub(super) fn new(_: &Registry, _: Token) -> io::Result<Alarm> {
        Ok(Alarm)
    }

    /// Returns how long the poll may sleep: a millisecond too long at the worst.
    pub(super) fn set(&mut self, at: Nanos, now: Nanos, most: Duration) -> io::Result<Duration> {
        Ok(Duration::from_nanos(at.saturating_sub(now)).min(most))
    }
}
