//! What the threads are told, and what they tell. Not how either is done.

use super::clock::Nanos;
use super::connection::Entrance;
use super::desk::Measured;
use super::recorder::Interval;

/// Told to every thread; each answers with [`Event::Done`] where there is something to wait for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// Connect and subscribe. Done when all are up.
    Connect { who: Who, entrance: Entrance },
    /// Say goodbye. Nothing to wait for.
    Leave(Who),
    /// Whoever loses its connection comes back, and gives up a try after `patience`; with `cut`, all lose theirs now. Done
    /// when all are back.
    Scatter { cut: bool, patience: Nanos },
    /// What follows is measured from one moment to another. Nothing to wait for.
    Measure(Measured),
    /// Send until `stop_at`, or each publisher so many messages. Done when all is acknowledged.
    Load { who: Who, start: Nanos, stop_at: Nanos, limit: Option<u64> },
    /// Send no more. The load is done when all is acknowledged.
    Stop,
    /// Wait for what is on its way. Done when all has come, or nothing comes any more.
    Settle { deadline: Nanos },
    /// Say goodbye and end.
    Finish,
}

/// Some of the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Publishers,
    /// Those that clear retained messages.
    Cleaners,
    Receivers,
    All,
}

#[derive(Debug)]
pub(super) enum Event {
    /// A thread has done what it was told.
    Done,
    /// A connection is of no more use, and why.
    Broken(String),
    Interval(Interval),
    /// A thread cannot go on.
    Failed(String),
}
