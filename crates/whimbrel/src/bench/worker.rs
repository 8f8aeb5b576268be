//! One thread of the generator: its poll, its connections, and what it has been told to do. Not who tells it.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver as Inbox, Sender as Outbox};
use std::time::Duration;

use mio::{Events, Poll, Token};

use super::alarm::Alarm;
use super::broken::Broken;
use super::clock::{MILLI, Nanos};
use super::connection::{Connection, Entrance, Job, State};
use super::crowd::Crowd;
use super::desk::{Desk, Run};
use super::dialler::Dialler;
use super::lazy;
use super::mail::Mailbox;
use super::orders::{Event, Order, Who};
use super::rounds::Rounds;
use super::stage::Stage;

pub(super) const WAKER: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);
/// How often a thread looks at what has no event of its own.
pub(super) const TICK: Nanos = 10 * MILLI;
/// How often it looks at every connection.
const SWEEP: Nanos = 250 * MILLI;
const READ_BYTES: usize = 256 << 10;

/// Where each sender's connection is: its thread, and its index there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) thread: usize,
    pub(super) connection: usize,
}

pub(super) struct Worker {
    pub(super) index: usize,
    pub(super) run: Arc<Run>,
    pub(super) desk: Desk,
    pub(super) connections: Vec<Connection>,
    /// Connections that publish, or connect again and again.
    pub(super) publishers: Vec<usize>,
    pub(super) stage: Stage,
    pub(super) rounds: Option<Rounds>,
    pub(super) dialler: Dialler,
    /// Connection storm: connections that are free, and the due times of those that have not begun.
    pub(super) free: Vec<usize>,
    pub(super) overdue: std::collections::VecDeque<Nanos>,
    /// Present while clients come back all at once.
    pub(super) crowd: Option<Crowd>,
    queue: Vec<usize>,
    /// Open loop: publishers whose bytes the system has not taken yet.
    pub(super) blocked: Vec<usize>,
    pub(super) poll: Poll,
    alarm: Alarm,
    pub(super) inbox: Inbox<Order>,
    pub(super) outbox: Outbox<Event>,
    pub(super) mailboxes: Arc<[Mailbox]>,
    pub(super) places: Arc<[Place]>,
    /// When it looked last, if it is to gather.
    looked_at: Nanos,
    swept_at: Nanos,
    ticked_at: Nanos,
    finished: bool,
}

/// What a thread is given to begin with.
pub(super) struct Outfit {
    pub(super) index: usize,
    pub(super) run: Arc<Run>,
    pub(super) poll: Poll,
    pub(super) inbox: Inbox<Order>,
    pub(super) outbox: Outbox<Event>,
    pub(super) mailboxes: Arc<[Mailbox]>,
    pub(super) places: Arc<[Place]>,
}

impl Worker {
    pub(super) fn new(outfit: Outfit, desk: Desk, connections: Vec<Connection>) -> io::Result<Worker> {
        let alarm = Alarm::new(outfit.poll.registry(), ALARM)?;
        let threads = outfit.run.settings.threads as f64;
        let rate = outfit.run.settings.connect_rate.map(|rate| f64::from(rate) / threads);
        let sends = |connection: &Connection| matches!(connection.job, Job::Publish(_) | Job::Churn);
        let publishers =
            connections.iter().enumerate().filter(|(_, one)| sends(one)).map(|(index, _)| index).collect();
        Ok(Worker {
            index: outfit.index,
            run: outfit.run,
            desk,
            connections,
            publishers,
            stage: Stage::Idle,
            rounds: None,
            dialler: Dialler::new(rate),
            free: Vec::new(),
            overdue: std::collections::VecDeque::new(),
            crowd: None,
            queue: Vec::new(),
            blocked: Vec::new(),
            poll: outfit.poll,
            alarm,
            inbox: outfit.inbox,
            outbox: outfit.outbox,
            mailboxes: outfit.mailboxes,
            places: outfit.places,
            looked_at: 0,
            swept_at: 0,
            ticked_at: 0,
            finished: false,
        })
    }

    /// Runs until it is told to finish.
    pub(super) fn work(mut self) -> io::Result<Worker> {
        let mut events = Events::with_capacity(1_024);
        let mut buffer = vec![0; READ_BYTES];
        let run = Arc::clone(&self.run);
        lazy::wake_in_time();
        while !self.finished {
            let sleep = if self.may_be_late() {
                self.doze(&run);
                Duration::ZERO
            } else {
                self.gather();
                self.sleep()?
            };
            match self.poll.poll(&mut events, Some(sleep)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            self.turn(&events, &mut buffer, &run);
        }
        Ok(self)
    }

    /// Lets things come together, if that was asked for.
    fn gather(&mut self) {
        let gather = self.run.settings.gather;
        if gather == 0 || !matches!(self.stage, Stage::Loading { .. }) {
            return;
        }
        let now = self.run.clock.now();
        let rest = (self.looked_at + gather).saturating_sub(now);
        if rest > 0 {
            std::thread::sleep(Duration::from_nanos(rest));
        }
        self.looked_at = now + rest;
    }

    /// How long nothing is to be done if nothing happens.
    fn sleep(&mut self) -> io::Result<Duration> {
        let now = self.run.clock.now();
        let rounds = self.rounds.as_ref().map(Rounds::next_due).filter(|due| *due < self.desk.stop_at);
        let again = self.crowd.as_ref().and_then(Crowd::next_due);
        let due = [rounds, self.dialler.next_due(), again].into_iter().flatten().min();
        let tick = Duration::from_nanos(TICK);
        match due {
            Some(due) => self.alarm.set(due, now, tick),
            None => Ok(tick),
        }
    }

    fn turn(&mut self, events: &Events, buffer: &mut Vec<u8>, run: &Run) {
        let mut mail = false;
        if run.settings.reads_late {
            self.desk.arrivals.begin_turn();
        }
        for event in events {
            match event.token() {
                WAKER => mail = true,
                ALARM => {}
                Token(index) => self.on_ready(index, event, buffer, run),
            }
        }
        let now = run.clock.now();
        if mail {
            self.take_mail(now);
        }
        self.dial_due(now);
        self.dial_again(now);
        self.release_due(now);
        self.hand_out_credits(now);
        self.send_queued(now, run);
        if now.saturating_sub(self.ticked_at) >= TICK {
            self.ticked_at = now;
            self.tick(now, run);
        }
    }

    fn on_ready(&mut self, index: usize, event: &mio::event::Event, buffer: &mut Vec<u8>, run: &Run) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        let before = connection.state;
        let result = connection.on_ready(event, buffer, run, &mut self.desk);
        let after = connection.state;
        if matches!(connection.job, Job::Publish(_)) {
            self.enqueue(index);
        }
        if before == State::AwaitsConnAck && after != before {
            self.dialler.ended();
        }
        match result {
            Ok(()) if after == State::Done => self.on_done(index),
            Ok(()) => {}
            Err(broken) => self.on_broken(index, &broken),
        }
    }

    /// A connection has come to do one thing and has done it.
    fn on_done(&mut self, index: usize) {
        let run = Arc::clone(&self.run);
        let Some(connection) = self.connections.get_mut(index) else { return };
        connection.leave(&run, self.poll.registry(), &mut self.desk);
        if matches!(connection.job, Job::Churn) {
            self.free.push(index);
        } else {
            self.stage.one_is_ready();
        }
    }

    pub(super) fn on_broken(&mut self, index: usize, broken: &Broken) {
        if self.comes_again(index, broken) {
            return;
        }
        let Some(connection) = self.connections.get_mut(index) else { return };
        if connection.state == State::AwaitsConnAck {
            self.dialler.ended();
        }
        connection.drop_link(self.poll.registry(), &mut self.desk);
        self.desk.tally.broken += 1;
        if let Job::Publish(publisher) = &mut connection.job {
            publisher.stop(&mut self.desk);
            publisher.give_up(&mut self.desk);
        }
        if matches!(connection.job, Job::Churn) {
            self.free.push(index);
        }
        let client = self.run.plan.clients.get(connection.client).map_or("", |client| client.id.as_str());
        // Whoever listens has gone if this fails, and with him the run.
        let _ =
            self.outbox.send(Event::Broken(format!("{client}: {}", broken.told(&self.run.settings.target))));
    }

    pub(super) fn enqueue(&mut self, index: usize) {
        if let Some(connection) = self.connections.get_mut(index)
            && !std::mem::replace(&mut connection.queued, true)
        {
            self.queue.push(index);
        }
    }

    pub(super) fn send_queued(&mut self, now: Nanos, run: &Run) {
        let queue = std::mem::take(&mut self.queue);
        for &index in &queue {
            let Some(connection) = self.connections.get_mut(index) else { continue };
            connection.queued = false;
            if let Err(broken) = connection.send(now, &mut self.desk) {
                self.on_broken(index, &broken);
            }
            if run.settings.reads_late {
                self.note_blocked(index);
            }
        }
        if !self.blocked.is_empty() {
            self.forget_unblocked();
        }
        // The list is used again: nobody is added to it while it is walked.
        self.queue = queue;
        self.queue.clear();
    }

    fn dial_due(&mut self, now: Nanos) {
        while let Some((index, due)) = self.dialler.take(now) {
            self.dial(index, due);
        }
        while (now < self.desk.stop_at || self.rounds.is_some())
            && let Some(&index) = self.free.last()
            && let Some(due) = self.next_overdue(now)
        {
            self.free.pop();
            self.dial(index, due);
        }
    }

    /// Connection storm: when the next connection was due, or now in a closed loop.
    fn next_overdue(&mut self, now: Nanos) -> Option<Nanos> {
        if self.rounds.is_some() { self.overdue.pop_front() } else { Some(now) }
    }

    pub(super) fn dial(&mut self, index: usize, due: Nanos) {
        let run = Arc::clone(&self.run);
        let Some(connection) = self.connections.get_mut(index) else { return };
        let sources = &run.settings.sources;
        let source: Option<IpAddr> =
            connection.client.checked_rem(sources.len()).and_then(|turn| sources.get(turn)).copied();
        let entrance = self.dialler.entrance;
        let place = (self.poll.registry(), Token(index));
        if let Err(error) = connection.dial(due, entrance, source, place, &run) {
            self.dialler.ended();
            self.on_broken(index, &Broken::Io(error));
        }
    }

    /// Open loop: whatever has become due may be sent.
    pub(super) fn release_due(&mut self, now: Nanos) {
        let Some(mut rounds) = self.rounds else { return };
        let batch = self.run.settings.batch;
        while let Some((publisher, due)) = rounds.take(now, self.desk.stop_at) {
            let Some(&index) = self.publishers.get(publisher) else { continue };
            let Some(connection) = self.connections.get_mut(index) else { continue };
            match &mut connection.job {
                Job::Publish(publisher) => {
                    let messages = publisher.batch_due(batch);
                    self.desk.tally.due_measured += if self.desk.measured.holds(due) { messages } else { 0 };
                    self.enqueue(index);
                }
                Job::Churn => {
                    self.overdue.push_back(due);
                    self.desk.tally.due_measured += u64::from(self.desk.measured.holds(due));
                }
                _ => {}
            }
        }
        self.rounds = Some(rounds);
    }

    fn tick(&mut self, now: Nanos, run: &Run) {
        self.desk.publish_live();
        if self.desk.recorder.is_over(now) {
            let interval = self.desk.recorder.take(now);
            let _ = self.outbox.send(Event::Interval(interval));
        }
        if now.saturating_sub(self.swept_at) >= SWEEP {
            self.swept_at = now;
            self.give_up_in_crowd(now);
            for index in 0..self.connections.len() {
                self.look_after(index, now, run);
            }
        }
        self.pursue(now);
    }

    fn look_after(&mut self, index: usize, now: Nanos, run: &Run) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        let result = connection.look_after(now, run);
        let goes_on = match &mut connection.job {
            Job::Publish(publisher) => publisher.look_after(now, &mut self.desk),
            _ => false,
        };
        if goes_on {
            self.enqueue(index);
        }
        if let Err(broken) = result {
            self.on_broken(index, &broken);
        }
    }

    pub(super) fn begin_dialling(&mut self, who: Who, entrance: Entrance, now: Nanos) -> usize {
        let connections = self.those(who);
        let wanted = connections.len();
        self.dialler.begin(connections, entrance, now);
        wanted
    }

    /// The thread's work is done.
    pub(super) fn finish(&mut self, now: Nanos) {
        self.leave(Who::All);
        self.desk.publish_live();
        let interval = self.desk.recorder.take(now);
        let _ = self.outbox.send(Event::Interval(interval));
        self.finished = true;
    }

    /// Tells how much each of its senders has sent.
    pub(super) fn tell_sent(&self) {
        for connection in &self.connections {
            if let Job::Publish(publisher) = &connection.job
                && let Some(sent) = self.run.sent.get(publisher.sender())
            {
                sent.store(publisher.number(), Ordering::Release);
            }
        }
    }
}
