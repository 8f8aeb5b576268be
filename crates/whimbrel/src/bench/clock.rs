//! The one clock of a run: nanoseconds since it began. Not a calendar.

use std::time::{Duration, Instant};

/// Nanoseconds since the run began.
pub(super) type Nanos = u64;

pub(super) const SECOND: Nanos = 1_000_000_000;
pub(super) const MILLI: Nanos = 1_000_000;

/// Every thread of a run holds a copy, so that a time that one wrote into a message means the same to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    epoch: Instant,
}

impl Clock {
    pub(super) fn start() -> Clock {
        Clock { epoch: Instant::now() }
    }

    #[inline]
    pub(super) fn now(self) -> Nanos {
        nanos(self.epoch.elapsed())
    }
}

/// A length of time; 584 years and more are all the same.
#[inline]
pub(super) fn nanos(length: Duration) -> Nanos {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}
