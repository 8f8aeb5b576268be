//! The threads of a run as one: orders go to all, and are done when all have done them. Not what is ordered.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError, Sender as Outbox, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::{Poll, Waker};

use super::clock::{MILLI, Nanos};
use super::connection::{Connection, Job};
use super::desk::{Desk, Run};
use super::display::Display;
use super::interrupt::Interrupt;
use super::mail::Mailbox;
use super::orders::{Event, Order};
use super::plan::Work;
use super::publish_frame::filler;
use super::publisher::Publisher;
use super::receiver::Receiver;
use super::recorder::{Interval, Recorder};
use super::sequence::Seen;
use super::tally::Tally;
use super::worker::{Outfit, Place, WAKER, Worker};

/// How long an interval of the series is.
pub(super) const INTERVAL: Nanos = 250 * MILLI;
/// Broken connections after which a run is given up.
const BROKEN_MAX: u64 = 1_000;
/// How many of them are told in words.
const BROKEN_TOLD: usize = 5;
const DISPLAY_EVERY: Duration = Duration::from_millis(250);

pub(super) struct Crew {
    pub(super) run: Arc<Run>,
    orders: Vec<Outbox<Order>>,
    mailboxes: Arc<[Mailbox]>,
    events: Inbox<Event>,
    threads: Vec<JoinHandle<Result<Ending, String>>>,
    done: usize,
    pub(super) display: Display,
    pub(super) series: BTreeMap<u64, Interval>,
    /// What was wrong with the first connections that broke.
    pub(super) broken: Vec<String>,
    broken_count: u64,
    interrupt: Interrupt,
    /// Why the load has been ended early, if it has.
    ended: Option<Early>,
}

/// Why a load ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Early {
    /// The user wanted it.
    Interrupted,
    /// There is nobody left to send or to receive.
    Deserted,
}

/// What all threads leave behind.
pub(super) struct Sum {
    pub(super) tally: Tally,
    pub(super) series: BTreeMap<u64, Interval>,
    pub(super) broken: Vec<String>,
}

/// What a thread leaves behind.
struct Ending {
    tally: Tally,
    seen: Vec<Vec<Seen>>,
    corrupt_of_groups: Vec<u64>,
}

impl Crew {
    pub(super) fn start(run: Arc<Run>, display: Display, interrupt: Interrupt) -> io::Result<Crew> {
        let count = run.settings.threads;
        let mut polls = Vec::new();
        let mut mailboxes = Vec::new();
        for _ in 0..count {
            let poll = Poll::new()?;
            let waker = Waker::new(poll.registry(), WAKER)?;
            mailboxes.push(Mailbox { credits: Mutex::default(), waker });
            polls.push(poll);
        }
        let mailboxes: Arc<[Mailbox]> = mailboxes.into();
        let (clients, places) = distribute(&run);
        let (outbox, events) = channel();
        let mut orders = Vec::new();
        let mut threads = Vec::new();
        for (index, (poll, clients)) in polls.into_iter().zip(clients).enumerate() {
            let (order, inbox) = channel();
            orders.push(order);
            let outfit = Outfit {
                index,
                run: Arc::clone(&run),
                poll,
                inbox,
                outbox: outbox.clone(),
                mailboxes: Arc::clone(&mailboxes),
                places: Arc::clone(&places),
            };
            let failed = outbox.clone();
            let thread = std::thread::Builder::new().name(format!("bench-{index}"));
            threads.push(thread.spawn(move || {
                let ending = work(outfit, &clients).map_err(|error| error.to_string());
                if let Err(error) = &ending {
                    // Whoever listens has gone if this fails.
                    let _ = failed.send(Event::Failed(error.clone()));
                }
                ending
            })?);
        }
        let (series, broken) = (BTreeMap::new(), Vec::new());
        Ok(Crew {
            run,
            orders,
            mailboxes,
            events,
            threads,
            done: 0,
            display,
            series,
            broken,
            broken_count: 0,
            interrupt,
            ended: None,
        })
    }

    pub(super) fn now(&self) -> Nanos {
        self.run.clock.now()
    }

    /// Gives an order to all threads.
    pub(super) fn order(&mut self, order: Order) {
        self.done = 0;
        for (outbox, mailbox) in self.orders.iter().zip(self.mailboxes.iter()) {
            // A thread that has failed has said so by an event.
            let _ = outbox.send(order);
            let _ = mailbox.waker.wake();
        }
    }

    /// Why the load should end now, if that has not been heeded yet.
    fn is_to_end(&self) -> Option<Early> {
        // Clients that come and go are never counted as up.
        let has_clients = !self.run.plan.clients.iter().any(|client| client.work == Work::Churn);
        let deserted = has_clients && self.broken_count > 0 && self.run.live.up.load(Ordering::Relaxed) == 0;
        match self.ended {
            Some(_) => None,
            None if self.interrupt.has_come() => Some(Early::Interrupted),
            None => deserted.then_some(Early::Deserted),
        }
    }

    /// Ends the load if there is a reason to.
    pub(super) fn heed(&mut self) {
        if let Some(why) = self.is_to_end() {
            self.ended = Some(why);
            let done = self.done;
            self.order(Order::Stop);
            // Whoever has done what he was told before has nothing to stop.
            self.done = done;
        }
    }

    /// Why the load was ended early, if it was.
    pub(super) fn ended(&self) -> Option<Early> {
        self.ended
    }

    /// Waits until all threads have stopped to send, before their time if there is a reason to.
    pub(super) fn wait_sent(&mut self, deadline: Nanos, what: &str) -> Result<(), String> {
        loop {
            // Also at the end: publishers whose connections broke have nothing more to send.
            self.heed();
            if self.done >= self.threads.len() {
                return Ok(());
            }
            let now = self.now();
            if now >= deadline {
                return Err(format!("{what}: not done in time"));
            }
            self.listen(deadline - now)?;
        }
    }

    /// Waits until all threads have done what they were told.
    pub(super) fn wait_done(&mut self, deadline: Nanos, what: &str) -> Result<(), String> {
        while self.done < self.threads.len() {
            let now = self.now();
            if now >= deadline {
                return Err(format!("{what}: not done in time"));
            }
            self.listen(deadline - now)?;
        }
        Ok(())
    }

    /// The same where a broken connection is the end of it, or the user's wish.
    pub(super) fn wait_unbroken(&mut self, deadline: Nanos, what: &str) -> Result<(), String> {
        let broken = self.broken_count;
        while self.done < self.threads.len() {
            if self.broken_count > broken {
                let reason = self.broken.last().cloned().unwrap_or_default();
                return Err(format!("{what}: {reason}"));
            }
            if self.is_to_end() == Some(Early::Interrupted) {
                return Err(format!("{what}: interrupted"));
            }
            let now = self.now();
            if now >= deadline {
                return Err(format!("{what}: not done in time"));
            }
            self.listen(deadline - now)?;
        }
        Ok(())
    }

    /// Waits until a moment, and keeps what the threads tell meanwhile. Why the moment has not come, if there was a
    /// reason to end before it.
    pub(super) fn wait_until(&mut self, moment: Nanos) -> Result<Option<Early>, String> {
        while let Some(left) = moment.checked_sub(self.now()).filter(|left| *left > 0) {
            let why = self.is_to_end();
            if why.is_some() {
                return Ok(why);
            }
            self.listen(left)?;
        }
        Ok(None)
    }

    fn listen(&mut self, most: Nanos) -> Result<(), String> {
        match self.events.recv_timeout(Duration::from_nanos(most).min(DISPLAY_EVERY)) {
            Ok(event) => self.keep(event)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err("the generator's threads have ended".to_owned());
            }
        }
        self.display.refresh(&self.run, &self.series);
        Ok(())
    }

    fn keep(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Done => self.done += 1,
            Event::Failed(reason) => return Err(reason),
            Event::Interval(interval) => match self.series.get_mut(&interval.index) {
                None => {
                    self.series.insert(interval.index, interval);
                }
                Some(known) => {
                    known.sent += interval.sent;
                    known.delivered += interval.delivered;
                    // Both have the same bounds.
                    let _ = known.latencies.add(&interval.latencies);
                    let _ = known.acknowledgements.add(&interval.acknowledgements);
                }
            },
            Event::Broken(reason) => {
                self.broken_count += 1;
                if self.broken.len() < BROKEN_TOLD {
                    self.broken.push(reason);
                }
                if self.broken_count >= BROKEN_MAX {
                    let first = self.broken.first().cloned().unwrap_or_default();
                    return Err(format!("{BROKEN_MAX} connections broke; the first: {first}"));
                }
            }
        }
        Ok(())
    }

    /// Ends the threads and adds up what they counted.
    pub(super) fn finish(mut self) -> Result<Sum, String> {
        self.order(Order::Finish);
        let mut tally = Tally::default();
        let run = Arc::clone(&self.run);
        let groups = &run.plan.groups;
        let mut seen: Vec<Vec<Seen>> =
            groups.iter().map(|senders| vec![Seen::default(); senders.len()]).collect();
        let mut corrupt = vec![0; groups.len()];
        for thread in std::mem::take(&mut self.threads) {
            let ending = thread.join().map_err(|_| "a thread of the generator panicked".to_owned())??;
            tally.add(&ending.tally);
            for (all, theirs) in seen.iter_mut().flatten().zip(ending.seen.iter().flatten()) {
                let twice = all.join(theirs);
                tally.duplicated += twice;
                tally.delivered -= twice;
            }
            for (all, theirs) in corrupt.iter_mut().zip(ending.corrupt_of_groups) {
                *all += theirs;
            }
        }
        while let Ok(event) = self.events.try_recv() {
            self.keep(event)?;
        }
        for ((senders, seen), corrupt) in groups.iter().zip(&seen).zip(corrupt) {
            let (lost, qos0) = lost_of_group(&run, senders.clone(), seen);
            let lost = lost.saturating_sub(corrupt);
            tally.lost += lost;
            tally.lost_qos0 += lost.min(qos0);
        }
        Ok(Sum { tally, series: self.series, broken: self.broken })
    }
}

fn lost_of_group(run: &Run, senders: Range<usize>, seen: &[Seen]) -> (u64, u64) {
    let (mut lost, mut qos0) = (0, 0);
    for (sender, seen) in senders.zip(seen) {
        let sent = run.sent.get(sender).map_or(0, |sent| sent.load(std::sync::atomic::Ordering::Acquire));
        let missing = sent.saturating_sub(seen.count());
        lost += missing;
        let is_qos0 = run.plan.senders.get(sender).is_some_and(|sender| sender.qos.bits() == 0);
        qos0 += if is_qos0 { missing } else { 0 };
    }
    (lost, qos0)
}

/// Each thread's clients, and where each sender's connection is.
fn distribute(run: &Run) -> (Vec<Vec<usize>>, Arc<[Place]>) {
    let mut clients = vec![Vec::new(); run.settings.threads];
    let mut places = vec![Place { thread: 0, connection: 0 }; run.plan.senders.len()];
    for (index, client) in run.plan.clients.iter().enumerate() {
        let thread = client.lane % run.settings.threads;
        let Some(of_thread) = clients.get_mut(thread) else { continue };
        if let Work::Publish { sender } = client.work
            && let Some(place) = places.get_mut(sender)
        {
            *place = Place { thread, connection: of_thread.len() };
        }
        of_thread.push(index);
    }
    (clients, places.into())
}

fn work(outfit: Outfit, clients: &[usize]) -> io::Result<Ending> {
    let run = Arc::clone(&outfit.run);
    let filler: Rc<[u8]> = filler(&run.settings.filler, run.settings.size.max);
    let job = |client: usize| {
        let client = run.plan.clients.get(client)?;
        Some(match &client.work {
            Work::Publish { sender } => {
                let plan = run.plan.senders.get(*sender)?;
                Job::Publish(Box::new(Publisher::new(*sender, plan, &run.settings, Rc::clone(&filler))))
            }
            Work::Receive(receive) => {
                Job::Receive(Box::new(Receiver::new(receive, client.qos, &run.plan.groups)))
            }
            Work::Hold => Job::Hold,
            Work::Churn => Job::Churn,
        })
    };
    let connections =
        clients.iter().filter_map(|&client| Some(Connection::new(client, job(client)?))).collect();
    let desk = Desk::new(Arc::clone(&run), Recorder::new(INTERVAL, run.clock.now()));
    let mut worker = Worker::new(outfit, desk, connections)?.work()?;
    let (lost, lost_qos0) = worker.missing();
    worker.desk.tally.lost += lost;
    worker.desk.tally.lost_qos0 += lost_qos0;
    worker.desk.tally.doubted = worker.desk.arrivals.doubted();
    let Desk { tally, seen, corrupt_of_groups, .. } = worker.desk;
    Ok(Ending { tally, seen, corrupt_of_groups })
}
