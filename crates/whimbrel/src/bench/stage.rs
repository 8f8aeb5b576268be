//! What a thread is about at the moment, and when that is done. Not the connections.

use std::sync::atomic::Ordering;

use super::clock::{Nanos, SECOND};
use super::connection::{Entrance, Job, State};
use super::orders::{Event, Order, Who};
use super::publisher::Schedule;
use super::rounds::Rounds;
use super::settings::Drive;
use super::worker::Worker;

/// How long nothing may come before what is missing counts as lost.
const QUIET: Nanos = SECOND;

#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    Idle,
    /// So many connections are wanted, and so many have come, done what they came for, and gone.
    Connecting {
        who: Who,
        wanted: usize,
        gone: usize,
    },
    /// Clients come back, each by itself.
    Returning,
    Loading {
        stop_at: Nanos,
        limited: bool,
    },
    /// `asked`: whether receivers have been asked for a sign that nothing more comes.
    Settling {
        since: Nanos,
        deadline: Nanos,
        asked: bool,
    },
}

impl Stage {
    /// A connection that came to do one thing has done it.
    pub(super) fn one_is_ready(&mut self) {
        if let Stage::Connecting { gone, .. } = self {
            *gone += 1;
        }
    }
}

impl Worker {
    pub(super) fn obey(&mut self, order: Order, now: Nanos) {
        match order {
            Order::Connect { who, entrance } => {
                let wanted = self.begin_dialling(who, entrance, now);
                self.stage = Stage::Connecting { who, wanted, gone: 0 };
            }
            Order::Scatter { cut, patience } => self.scatter(cut, patience, now),
            Order::Leave(who) => self.leave(who),
            Order::Measure(measured) => self.desk.measured = measured,
            Order::Load { who, start, stop_at, limit } => self.load(who, (start, stop_at), limit, now),
            Order::Stop => {
                self.desk.stop_at = self.desk.stop_at.min(now);
                if let Stage::Loading { stop_at, .. } = &mut self.stage {
                    *stop_at = now.min(*stop_at);
                }
            }
            Order::Settle { deadline } => {
                self.stage = Stage::Settling { since: now, deadline, asked: false };
            }
            Order::Finish => self.finish(now),
        }
    }

    fn load(&mut self, who: Who, (start, stop_at): (Nanos, Nanos), limit: Option<u64>, now: Nanos) {
        self.desk.stop_at = stop_at;
        self.stage = Stage::Loading { stop_at, limited: limit.is_some() };
        if who != Who::Receivers {
            self.rounds = self.open_loop(start);
            let publishers = std::mem::take(&mut self.publishers);
            for (turn, &index) in publishers.iter().enumerate() {
                match self.connections.get_mut(index).map(|connection| &mut connection.job) {
                    Some(Job::Publish(publisher)) if publisher.clears == (who == Who::Cleaners) => {
                        publisher.start(limit, Schedule::new(self.rounds, turn), now);
                        self.enqueue(index);
                    }
                    Some(Job::Churn) => self.free.push(index),
                    _ => {}
                }
            }
            self.publishers = publishers;
        }
        if who == Who::All || who == Who::Receivers {
            let run = std::sync::Arc::clone(&self.run);
            for index in self.those(Who::Receivers) {
                let Some(connection) = self.connections.get_mut(index) else { continue };
                let begins = matches!(&connection.job, Job::Receive(one) if one.subscribes_later());
                if begins && connection.state == State::Up {
                    connection.subscribe(now, &run);
                    if let Err(broken) = connection.flush(&run) {
                        self.on_broken(index, &broken);
                    }
                }
            }
        }
    }

    /// This thread's share of the rate, by its share of the publishers.
    fn open_loop(&self, start: Nanos) -> Option<Rounds> {
        let Drive::Open { per_second } = self.run.settings.pace else { return None };
        let churning = self.run.plan.senders.is_empty();
        let all = if churning { self.run.plan.clients.len() } else { self.run.plan.senders.len() };
        let own = self.publishers.len();
        if own == 0 {
            return None;
        }
        let whole_interval = SECOND as f64 * self.run.settings.batch as f64 / per_second;
        let interval = whole_interval * all as f64 / own as f64;
        let first = start as f64 + whole_interval * self.index as f64;
        Some(Rounds::new(first, interval, own, self.run.settings.gather))
    }

    /// Looks whether the stage is done, and moves it on.
    pub(super) fn pursue(&mut self, now: Nanos) {
        let done = match self.stage {
            Stage::Idle => false,
            Stage::Connecting { who, wanted, gone } => {
                let up = |index: &usize| {
                    self.connections.get(*index).is_some_and(|connection| connection.state == State::Up)
                };
                gone + self.those(who).iter().filter(|index| up(index)).count() >= wanted
            }
            Stage::Returning => self.has_returned(),
            Stage::Loading { stop_at, limited } => self.has_loaded(stop_at, limited, now),
            Stage::Settling { since, deadline, asked } => self.has_settled(since, deadline, asked, now),
        };
        if done {
            self.stage = Stage::Idle;
            self.desk.publish_live();
            // Whoever gave the order has gone if this fails.
            let _ = self.outbox.send(Event::Done);
        }
    }

    fn has_loaded(&mut self, stop_at: Nanos, limited: bool, now: Nanos) -> bool {
        let over = now >= stop_at;
        let patience = self.run.settings.drain;
        if over && self.overdue.len() > self.publishers.len() {
            // What was due and could not begin in time is not begun any more.
            self.desk.tally.unsent += self.overdue.len() as u64;
            self.overdue.clear();
        }
        let mut waiting = self.overdue.len();
        for &index in &self.publishers {
            let Some(connection) = self.connections.get_mut(index) else { continue };
            match &mut connection.job {
                Job::Publish(publisher) => {
                    if over {
                        publisher.stop(&mut self.desk);
                    }
                    if publisher.has_waited_in_vain(now, patience) {
                        publisher.give_up(&mut self.desk);
                    }
                    waiting += usize::from(!publisher.is_done());
                }
                Job::Churn => {
                    let in_vain = now >= stop_at.saturating_add(patience);
                    waiting += usize::from(connection.state != State::Down && !in_vain);
                }
                _ => {}
            }
        }
        let done = (over || limited) && waiting == 0;
        if done {
            self.rounds = None;
            self.dialler.clear();
            self.dialler.entrance = Entrance::New;
            self.tell_sent();
        }
        done
    }

    fn has_settled(&mut self, since: Nanos, deadline: Nanos, asked: bool, now: Nanos) -> bool {
        if !asked {
            let quiet = now.saturating_sub(self.desk.tally.last_arrival.max(since)) > QUIET;
            if quiet || self.is_complete() {
                self.ask_receivers();
                self.stage = Stage::Settling { since, deadline, asked: true };
            } else if now >= deadline {
                return true;
            }
            return false;
        }
        let unanswered = self.unanswered();
        if unanswered > 0 && now >= deadline {
            self.desk.tally.broken += unanswered as u64;
            return true;
        }
        unanswered == 0
    }

    /// Whether everything has come that was sent to this thread's receivers, or to groups of which they are.
    fn is_complete(&self) -> bool {
        let of_groups = self.run.plan.groups.iter().enumerate().all(|(group, senders)| {
            let sent: u64 = senders.clone().map(|sender| self.sent(sender)).sum();
            self.run.group_arrivals.get(group).is_some_and(|arrived| arrived.load(Ordering::Acquire) >= sent)
        });
        of_groups && self.missing().0 == 0
    }

    /// How many messages this thread's receivers miss, and how many of these at QoS 0; those of groups are not
    /// among them.
    pub(super) fn missing(&self) -> (u64, u64) {
        let mut missing = (0, 0);
        for connection in &self.connections {
            if let Job::Receive(receiver) = &connection.job {
                let (all, qos0) = receiver.missing(&self.run.plan, |sender| self.sent(sender));
                missing = (missing.0 + all, missing.1 + qos0);
            }
        }
        missing
    }

    fn sent(&self, sender: usize) -> u64 {
        self.run.sent.get(sender).map_or(0, |sent| sent.load(Ordering::Acquire))
    }
}
