//! Who is to connect next, and when: the ramp. Not the connecting.

use std::collections::VecDeque;

use super::clock::{Nanos, SECOND};
use super::connection::Entrance;

/// Handshakes of one thread that may be under way, so that they do not overrun the broker's backlog.
const UNDER_WAY_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Dialler {
    waiting: VecDeque<usize>,
    pub(super) entrance: Entrance,
    under_way: usize,
    /// Nanoseconds between two connections, if there is a rate.
    interval: Option<f64>,
    next_due: f64,
}

impl Dialler {
    pub(super) fn new(per_second: Option<f64>) -> Dialler {
        let interval = per_second.map(|rate| SECOND as f64 / rate);
        Dialler { waiting: VecDeque::new(), entrance: Entrance::New, under_way: 0, interval, next_due: 0.0 }
    }

    pub(super) fn begin(&mut self, connections: Vec<usize>, entrance: Entrance, now: Nanos) {
        self.waiting = connections.into();
        self.entrance = entrance;
        self.next_due = now as f64;
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The next connection that may be dialled now, and when it was due.
    pub(super) fn take(&mut self, now: Nanos) -> Option<(usize, Nanos)> {
        if self.under_way >= UNDER_WAY_MAX || (self.next_due as Nanos) > now {
            return None;
        }
        let connection = self.waiting.pop_front()?;
        let due = if let Some(interval) = self.interval {
            let due = self.next_due as Nanos;
            self.next_due += interval;
            due
        } else {
            now
        };
        self.under_way += 1;
        Some((connection, due))
    }

    /// A handshake has ended, well or not.
    pub(super) fn ended(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// When the next may go, if the rate and nothing else holds it back.
    pub(super) fn next_due(&self) -> Option<Nanos> {
        let waits = !self.waiting.is_empty() && self.under_way < UNDER_WAY_MAX;
        waits.then_some(self.next_due as Nanos)
    }
}
