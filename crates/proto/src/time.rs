//! Virtual time: a monotonic count of milliseconds that the caller passes in. Nothing here reads a clock.

use core::ops::Add;

/// Milliseconds since a start that the caller chose. Deadlines are compared in it; it never goes back.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// Later than every moment that is reached.
    pub const NEVER: Millis = Millis(u64::MAX);

    /// The moment `secs` seconds after this one (saturating).
    #[must_use]
    pub const fn plus_secs(self, secs: u64) -> Millis {
        Millis(self.0.saturating_add(secs.saturating_mul(1_000)))
    }

    /// Milliseconds from `earlier` to this moment, 0 when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Millis) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for Millis {
    type Output = Millis;

    fn add(self, millis: u64) -> Millis {
        Millis(self.0.saturating_add(millis))
    }
}
