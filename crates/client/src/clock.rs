//! The protocol's virtual time from tokio's clock, and back.

use tokio::time::{Duration, Instant};
use whimbrel_proto::Millis;

/// Counts from the moment that the client was started.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    pub(crate) fn now(self) -> Millis {
        Millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// When `moment` is; none for never.
    pub(crate) fn instant(self, moment: Millis) -> Option<Instant> {
        if moment == Millis::NEVER { None } else { self.start.checked_add(Duration::from_millis(moment.0)) }
    }
}

/// As the protocol counts it.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
