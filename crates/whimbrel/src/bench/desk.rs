//! What the connections of one thread write to: counters, latencies, credits. Not the connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::arrival::Arrivals;
use super::clock::{Clock, Nanos};
use super::plan::Plan;
use super::recorder::Recorder;
use super::sequence::Seen;
use super::settings::{Drive, Settings};
use super::tally::Tally;

/// What all threads of a run see.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) clock: Clock,
    pub(super) plan: Plan,
    pub(super) settings: Settings,
    /// How many messages each sender has sent; final once its thread has stopped publishing.
    pub(super) sent: Vec<AtomicU64>,
    /// By group: how many messages its members have got, each counted once per thread.
    pub(super) group_arrivals: Vec<AtomicU64>,
    /// Live counters: sent, delivered, connections that are up.
    pub(super) live: Live,
}

#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) sent: AtomicU64,
    pub(super) delivered: AtomicU64,
    pub(super) up: AtomicU64,
}

impl Run {
    pub(super) fn new(clock: Clock, plan: Plan, settings: Settings) -> Run {
        let sent = plan.senders.iter().map(|_| AtomicU64::new(0)).collect();
        let group_arrivals = plan.groups.iter().map(|_| AtomicU64::new(0)).collect();
        Run { clock, plan, settings, sent, group_arrivals, live: Live::default() }
    }
}

/// The measured time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) from: Nanos,
    pub(super) to: Nanos,
    /// No latency counts from an earlier moment than this one.
    pub(super) since: Nanos,
}

impl Measured {
    /// No time at all.
    pub(super) const NEVER: Measured = Measured { from: Nanos::MAX, to: Nanos::MAX, since: 0 };

    #[inline]
    pub(super) fn holds(self, time: Nanos) -> bool {
        self.from <= time && time < self.to
    }
}

pub(super) struct Desk {
    pub(super) run: Arc<Run>,
    pub(super) measured: Measured,
    pub(super) tally: Tally,
    pub(super) recorder: Recorder,
    pub(super) arrivals: Arrivals,
    /// Senders whose messages have arrived, with how many, since the end of the last turn.
    pub(super) credits: Vec<(u32, u32)>,
    /// By group and sender of the group: what members of this thread have got.
    pub(super) seen: Vec<Vec<Seen>>,
    /// By group: what members of this thread have got and could not read.
    pub(super) corrupt_of_groups: Vec<u64>,
    /// Connections of this thread that have come up and have not gone since.
    pub(super) up: usize,
    /// When nobody begins anything any more.
    pub(super) stop_at: Nanos,
    live_sent: u64,
    live_delivered: u64,
    live_up: usize,
    live_groups: Vec<u64>,
}

impl Desk {
    pub(super) fn new(run: Arc<Run>, recorder: Recorder) -> Desk {
        let seen = run.plan.groups.iter().map(|senders| vec![Seen::default(); senders.len()]).collect();
        let corrupt_of_groups = vec![0; run.plan.groups.len()];
        let live_groups = corrupt_of_groups.clone();
        let arrivals = Arrivals::new(run.clock);
        Desk {
            run,
            measured: Measured::NEVER,
            tally: Tally::default(),
            recorder,
            arrivals,
            credits: Vec::new(),
            seen,
            corrupt_of_groups,
            up: 0,
            stop_at: 0,
            live_sent: 0,
            live_delivered: 0,
            live_up: 0,
            live_groups,
        }
    }

    #[inline]
    pub(super) fn settings(&self) -> &Settings {
        &self.run.settings
    }

    /// A message of this sender has arrived for the first time.
    #[inline]
    pub(super) fn arrived(&mut self, sender: u32, due: Nanos, now: Nanos, payload_len: usize) {
        self.tally.delivered += 1;
        self.tally.last_arrival = now;
        self.recorder.delivered();
        if self.measured.holds(now) {
            self.tally.delivered_measured += 1;
            self.tally.bytes_measured += payload_len as u64;
        }
        if self.measured.holds(due.max(self.measured.since)) {
            self.recorder.latency(now.saturating_sub(due.max(self.measured.since)));
        }
        if let Drive::Open { .. } = self.run.settings.pace {
            // Nobody waits for it.
            return;
        }
        match self.credits.last_mut() {
            Some((last, count)) if *last == sender => *count += 1,
            _ => self.credits.push((sender, 1)),
        }
    }

    /// A message that was due then has its last acknowledgement.
    #[inline]
    pub(super) fn acknowledged(&mut self, due: Nanos, now: Nanos) {
        if self.measured.holds(due) {
            self.recorder.acknowledgement(now.saturating_sub(due));
        }
    }

    /// A connection that was to be made at `due` has come up.
    pub(super) fn connected(&mut self, now: Nanos, due: Nanos) {
        self.tally.delivered += 1;
        self.tally.last_arrival = now;
        self.recorder.delivered();
        if self.measured.holds(now) {
            self.tally.delivered_measured += 1;
        }
        self.tally.due_sent += u64::from(self.measured.holds(due));
    }

    #[inline]
    pub(super) fn has_sent(&mut self, messages: u64, due: Nanos, now: Nanos) {
        self.tally.sent += messages;
        self.recorder.sent(messages);
        if self.measured.holds(now) {
            self.tally.sent_measured += messages;
        }
        if self.measured.holds(due) {
            self.tally.due_sent += messages;
            self.tally.latest = self.tally.latest.max(now.saturating_sub(due));
        }
    }

    /// Tells the others how far this thread is.
    pub(super) fn publish_live(&mut self) {
        let live = &self.run.live;
        live.sent.fetch_add(self.tally.sent - self.live_sent, Ordering::Relaxed);
        live.delivered.fetch_add(self.tally.delivered - self.live_delivered, Ordering::Relaxed);
        if self.up >= self.live_up {
            live.up.fetch_add((self.up - self.live_up) as u64, Ordering::Relaxed);
        } else {
            live.up.fetch_sub((self.live_up - self.up) as u64, Ordering::Relaxed);
        }
        for (group, seen) in self.seen.iter().enumerate() {
            let arrivals: u64 = seen.iter().map(Seen::count).sum();
            if let (Some(total), Some(told)) =
                (self.run.group_arrivals.get(group), self.live_groups.get_mut(group))
            {
                total.fetch_add(arrivals - *told, Ordering::Relaxed);
                *told = arrivals;
            }
        }
        (self.live_sent, self.live_delivered, self.live_up) =
            (self.tally.sent, self.tally.delivered, self.up);
    }
}
