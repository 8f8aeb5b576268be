//! Clients that lose their connections all at once and come back as fast as they can, again and again until they are in. Not
//! when that happens.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::broken::Broken;
use super::clock::{MILLI, Nanos};
use super::connection::{Entrance, State};
use super::orders::Who;
use super::stage::Stage;
use super::worker::Worker;

/// How long a client rests, at the least and at the most, after it was refused or closed before it was in.
const REST_MIN: Nanos = 500 * MILLI;
const REST_MAX: Nanos = 1_500 * MILLI;

/// Those of a thread that are on their way back.
#[derive(Debug)]
pub(super) struct Crowd {
    /// How long a client waits before it gives up and tries again at once.
    patience: Nanos,
    /// When each is to try next.
    next: BinaryHeap<Reverse<(Nanos, usize)>>,
    /// By connection: since when it is not in, and when it tried last.
    out_since: Vec<Nanos>,
    tried_at: Vec<Nanos>,
    /// Makes rests unlike each other.
    seed: u64,
}

impl Crowd {
    pub(super) fn next_due(&self) -> Option<Nanos> {
        self.next.peek().map(|Reverse((due, _))| *due)
    }

    fn rest(&mut self) -> Nanos {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        REST_MIN + (self.seed >> 33) % (REST_MAX - REST_MIN)
    }
}

impl Worker {
    /// From now on whoever loses its connection comes back; with `cut` all lose them now.
    pub(super) fn scatter(&mut self, cut: bool, patience: Nanos, now: Nanos) {
        let count = self.connections.len();
        self.crowd = Some(Crowd {
            patience,
            next: BinaryHeap::new(),
            out_since: vec![now; count],
            tried_at: vec![now; count],
            seed: now ^ self.index as u64,
        });
        self.dialler.entrance = Entrance::Return;
        self.stage = Stage::Returning;
        if cut {
            for index in self.those(Who::All) {
                self.drop_out(index, now);
            }
        }
    }

    /// It tries again at `due`.
    fn drop_out(&mut self, index: usize, due: Nanos) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        connection.drop_link(self.poll.registry(), &mut self.desk);
        if let Some(crowd) = &mut self.crowd {
            crowd.next.push(Reverse((due, index)));
        }
    }

    /// A connection is of no more use: its client tries again. Whether it is one of those that do.
    pub(super) fn comes_again(&mut self, index: usize, broken: &Broken) -> bool {
        let now = self.run.clock.now();
        let state = self.connections.get(index).map(|connection| connection.state);
        let Some(crowd) = &mut self.crowd else { return false };
        if state == Some(State::Up) {
            // It was in: from now on it is not.
            if let Some(since) = crowd.out_since.get_mut(index) {
                *since = now;
            }
        } else {
            self.desk.tally.tries_failed += 1;
            self.desk.tally.tries_refused += u64::from(matches!(broken, Broken::Refused(_)));
        }
        let due = now + crowd.rest();
        self.drop_out(index, due);
        true
    }

    /// Those whose time has come try again.
    pub(super) fn dial_again(&mut self, now: Nanos) {
        while let Some(crowd) = &mut self.crowd
            && let Some(&Reverse((due, index))) = crowd.next.peek()
            && due <= now
        {
            crowd.next.pop();
            if let Some(tried_at) = crowd.tried_at.get_mut(index) {
                *tried_at = now;
            }
            let since = crowd.out_since.get(index).copied().unwrap_or(now);
            self.dial(index, since);
        }
    }

    /// Those who have waited too long give up, and try again at once.
    pub(super) fn give_up_in_crowd(&mut self, now: Nanos) {
        let Some(crowd) = &self.crowd else { return };
        let waits = |(index, tried_at): (usize, &Nanos)| {
            let is_late = now.saturating_sub(*tried_at) > crowd.patience;
            let state = self.connections.get(index).map(|connection| connection.state);
            (is_late && state == Some(State::AwaitsConnAck)).then_some(index)
        };
        let late: Vec<usize> = crowd.tried_at.iter().enumerate().filter_map(waits).collect();
        for index in late {
            self.desk.tally.tries_given_up += 1;
            self.drop_out(index, now);
        }
    }

    /// Whether all have come back.
    pub(super) fn has_returned(&mut self) -> bool {
        let is_back = |index: &usize| self.connections.get(*index).is_some_and(|one| one.has_returned());
        let all = self.those(Who::All).iter().all(is_back);
        if all {
            self.crowd = None;
            self.dialler.entrance = Entrance::New;
        }
        all
    }
}
