//! The rounds: start, look, resume, load, kill, and at the end wait for what is owed. Not what it amounts to.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use whimbrel_codec::{QoS, Version};

use super::super::interrupt::Interrupt;
use super::account::{Lane, Tally, lane};
use super::broker::Broker;
use super::draw::Draw;
use super::look::{Watch, look, ping};
use super::publisher::{Publisher, RETAINED_TOPICS};
use super::receiver::Receiver;
use super::socket::{Broken, Socket};

/// How long a thread waits for packets before it looks whether it shall end.
const GLANCE: Duration = Duration::from_millis(50);
/// A publisher that could not send for so many messages does not make up for them.
const ARREARS_MAX: u32 = 20;

/// What is done to the broker.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) kills: u32,
    /// How long the load runs before a kill.
    pub(super) moments: RangeInclusive<Duration>,
    /// Messages per second of all publishers together.
    pub(super) rate: f64,
    /// Unacknowledged messages of one publisher.
    pub(super) window: usize,
    pub(super) payload_bytes: usize,
    /// How long to wait for what is missing, since something came last.
    pub(super) patience: Duration,
    pub(super) seed: u64,
    /// The start of client identifiers and topics, another in every run.
    pub(super) prefix: String,
    /// Told after every kill.
    pub(super) progress: fn(u32),
    /// Whether it shall end with fewer kills.
    pub(super) interrupt: Interrupt,
}

/// One run.
pub(super) struct Campaign<'a> {
    broker: &'a mut dyn Broker,
    load: Load,
    publishers: Vec<Publisher>,
    receivers: Vec<Receiver>,
    /// What was found on the way, by publisher.
    tallies: Vec<Tally>,
}

/// Whoever takes part in a round has a connection.
type Attending<'a, T> = (&'a mut T, Socket);

impl<'a> Campaign<'a> {
    /// A publisher for each version and each QoS, those that promise something first, and two subscribers to each: one that is
    /// there, and one of the other version that is away every other time.
    pub(super) fn new(broker: &'a mut dyn Broker, load: Load) -> Campaign<'a> {
        let versions = [(Version::V311, Version::V5), (Version::V5, Version::V311)];
        let promised = versions
            .into_iter()
            .flat_map(|versions| [QoS::AtLeastOnce, QoS::ExactlyOnce].map(|qos| (versions, qos)));
        let kinds = promised.chain(versions.map(|versions| (versions, QoS::AtMostOnce)));
        let (mut publishers, mut receivers) = (Vec::new(), Vec::new());
        for (at, ((version, other), qos)) in kinds.enumerate() {
            let publisher = Publisher::new(at, &load.prefix, (version, qos), load.window, load.payload_bytes);
            receivers.push(Receiver::new(&publisher, &load.prefix, version, false));
            receivers.push(Receiver::new(&publisher, &load.prefix, other, true));
            publishers.push(publisher);
        }
        let tallies = vec![Tally::default(); publishers.len()];
        Campaign { broker, load, publishers, receivers, tallies }
    }

    /// Runs all rounds, or those until the user wants an end, and draws up the account. Returns also how many kills
    /// that were.
    pub(super) fn run(mut self) -> Result<(u32, Vec<Lane>), String> {
        let mut draw = Draw::new(self.load.seed);
        let mut kills = 0;
        for round in 0..=self.load.kills {
            kills = round;
            let address = self.broker.start()?;
            let told = |broken: Broken| format!("round {round}: {broken}");
            if round > 0 {
                self.check_retained(address).map_err(told)?;
            }
            if round == self.load.kills || self.load.interrupt.has_come() {
                self.settle(address).map_err(told)?;
                self.check_retained(address).map_err(told)?;
                break;
            }
            let moment = draw.time(&self.load.moments);
            self.strike(address, round, moment).map_err(told)?;
            (self.load.progress)(round + 1);
        }
        self.broker.kill()?;
        let lanes = self.publishers.iter().zip(&self.tallies);
        Ok((kills, lanes.map(|(publisher, tally)| lane(publisher, &self.receivers, tally)).collect()))
    }

    /// Loads the broker and kills it after `moment`.
    fn strike(&mut self, address: SocketAddr, round: u32, moment: Duration) -> Result<(), Broken> {
        let patience = self.load.patience;
        let interval = Duration::from_secs_f64(self.publishers.len() as f64 / self.load.rate);
        let receivers =
            attend_receivers(&mut self.receivers, &self.publishers, address, patience, |receiver| {
                !receiver.is_sleeper || round.is_multiple_of(2)
            })?;
        let publishers = attend_publishers(&mut self.publishers, address, patience)?;
        let stop = AtomicBool::new(false);
        let (killed, ended) = thread::scope(|scope| {
            let stop = &stop;
            let receiving = receivers.into_iter().map(|(receiver, socket)| {
                scope.spawn(move || receive(receiver, &mut { socket }, &mut |_| !stop.load(Relaxed)))
            });
            let publishing = publishers.into_iter().map(|(publisher, socket)| {
                scope.spawn(move || publish(publisher, socket, Some(interval), &mut |_| !stop.load(Relaxed)))
            });
            let threads: Vec<_> = receiving.chain(publishing).collect();
            let due = Instant::now() + moment;
            while let Some(left) = due.checked_duration_since(Instant::now())
                && !self.load.interrupt.has_come()
            {
                thread::sleep(left.min(GLANCE));
            }
            let killed = self.broker.kill();
            stop.store(true, Relaxed);
            (killed, threads.into_iter().map(join).collect::<Vec<_>>())
        });
        killed.map_err(Broken::Wrong)?;
        for end in ended {
            match end {
                // That is what was done to it.
                Ok(()) | Err(Broken::Gone(_)) => {}
                Err(broken) => return Err(broken),
            }
        }
        Ok(())
    }

    /// Nobody is killed any more: everything under way is finished, and each subscriber takes what it is owed, until
    /// nothing has come for long enough.
    fn settle(&mut self, address: SocketAddr) -> Result<(), Broken> {
        let patience = self.load.patience;
        let mut receivers =
            attend_receivers(&mut self.receivers, &self.publishers, address, patience, |_| true)?;
        let publishers = attend_publishers(&mut self.publishers, address, patience)?;
        let stop = AtomicBool::new(false);
        let ended = thread::scope(|scope| {
            let stop = &stop;
            let receiving: Vec<_> = receivers
                .iter_mut()
                .map(|(receiver, socket)| {
                    scope.spawn(|| receive(receiver, socket, &mut |_| !stop.load(Relaxed)))
                })
                .collect();
            let publishing = publishers.into_iter().map(|(publisher, socket)| {
                let mut watch = Watch::new(patience);
                let mut goes_on =
                    move |publisher: &Publisher| !publisher.is_settled() && watch.sees(publisher.answers);
                scope.spawn(move || publish(publisher, socket, None, &mut goes_on))
            });
            let publishing: Vec<_> = publishing.collect();
            let mut ended: Vec<_> = publishing.into_iter().map(join).collect();
            stop.store(true, Relaxed);
            ended.extend(receiving.into_iter().map(join));
            ended
        });
        ended.into_iter().collect::<Result<(), _>>()?;
        let publishers = &self.publishers;
        let ended = thread::scope(|scope| {
            let collecting = receivers.iter_mut().map(|(receiver, socket)| {
                let publisher = publishers.iter().find(|publisher| publisher.lane == receiver.lane);
                scope.spawn(move || {
                    publisher.map_or(Ok(()), |publisher| collect(receiver, socket, publisher, patience))
                })
            });
            let collecting: Vec<_> = collecting.collect();
            collecting.into_iter().map(join).collect::<Vec<_>>()
        });
        ended.into_iter().collect()
    }

    /// Asks a new client's view of every retained topic.
    fn check_retained(&mut self, address: SocketAddr) -> Result<(), Broken> {
        let patience = self.load.patience;
        let all = self.publishers.iter_mut().zip(&mut self.tallies);
        let looks = thread::scope(|scope| {
            let looking: Vec<_> = all
                .map(|(publisher, tally)| {
                    scope.spawn(move || check_retained_of(publisher, tally, address, patience))
                })
                .collect();
            looking.into_iter().map(join).collect::<Vec<_>>()
        });
        looks.into_iter().collect()
    }
}

/// Compares what a new client gets for a publisher's retained topics with what it may get.
fn check_retained_of(
    publisher: &mut Publisher,
    tally: &mut Tally,
    address: SocketAddr,
    patience: Duration,
) -> Result<(), Broken> {
    let topics: Vec<_> = (0..RETAINED_TOPICS).map(|slot| publisher.retained_topic(slot)).collect();
    let with_state = topics.iter().zip(&publisher.retained);
    let owed: Vec<_> =
        with_state.filter(|(_, retained)| retained.is_owed()).map(|(topic, _)| topic).collect();
    let found = look(address, publisher, &owed, patience)?;
    for (topic, retained) in topics.iter().zip(&mut publisher.retained) {
        tally.count_retained(retained.check(found.get(topic).copied()));
    }
    Ok(())
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Connects those publishers that resume, and sends what was under way again.
fn attend_publishers(
    publishers: &mut [Publisher],
    address: SocketAddr,
    patience: Duration,
) -> Result<Vec<Attending<'_, Publisher>>, Broken> {
    let attend = |publisher| -> Result<_, Broken> {
        let publisher: &mut Publisher = publisher;
        let (mut socket, welcome) =
            Socket::connect(address, publisher.version, &publisher.client_id, true, patience)?;
        let mut out = Vec::new();
        publisher.resume(welcome.session_present, welcome.receive_maximum, &mut out);
        socket.send(&out)?;
        Ok((publisher, socket))
    };
    publishers.iter_mut().map(attend).collect()
}

/// Connects those subscribers that are there this time, and subscribes where the broker does not know it already.
fn attend_receivers<'r>(
    receivers: &'r mut [Receiver],
    publishers: &[Publisher],
    address: SocketAddr,
    patience: Duration,
    is_there: impl Fn(&Receiver) -> bool,
) -> Result<Vec<Attending<'r, Receiver>>, Broken> {
    let mut attending = Vec::new();
    for receiver in receivers.iter_mut().filter(|receiver| is_there(receiver)) {
        let Some(publisher) = publishers.iter().find(|publisher| publisher.lane == receiver.lane) else {
            continue;
        };
        let (mut socket, welcome) =
            Socket::connect(address, receiver.version, &receiver.client_id, true, patience)?;
        let mut out = Vec::new();
        if receiver.resume(welcome.session_present, publisher, &mut out) {
            socket.send(&out)?;
            while !receiver.is_subscribed() {
                let Some(packet) = socket.next(patience)? else { return Err(Broken::Silent("SUBACK")) };
                out.clear();
                if !receiver.handle(&packet, &mut out) {
                    return Err(Broken::Wrong(format!("{packet:?}: it refuses a subscription")));
                }
                socket.send(&out)?;
            }
        }
        attending.push((receiver, socket));
    }
    Ok(attending)
}

/// Publishes a message per interval, if there is one, and takes the answers, while `goes_on`.
fn publish(
    publisher: &mut Publisher,
    mut socket: Socket,
    interval: Option<Duration>,
    goes_on: &mut dyn FnMut(&Publisher) -> bool,
) -> Result<(), Broken> {
    let mut due = Instant::now();
    let mut out = Vec::new();
    while goes_on(publisher) {
        let mut wait = GLANCE;
        if let Some(interval) = interval {
            let now = Instant::now();
            if now > due + interval * ARREARS_MAX {
                due = now;
            }
            while due <= now && publisher.has_room() {
                publisher.publish(&mut out);
                due += interval;
            }
            if publisher.has_room() {
                wait = wait.min(due.saturating_duration_since(now));
            }
        }
        socket.send(&out)?;
        out.clear();
        if let Some(packet) = socket.next(wait)? {
            publisher.handle(&packet, &mut out);
        }
    }
    socket.send(&out)
}

/// Takes and acknowledges messages while `goes_on`.
fn receive(
    receiver: &mut Receiver,
    socket: &mut Socket,
    goes_on: &mut dyn FnMut(&Receiver) -> bool,
) -> Result<(), Broken> {
    let mut out = Vec::new();
    while goes_on(receiver) {
        out.clear();
        if let Some(packet) = socket.next(GLANCE)? {
            receiver.handle(&packet, &mut out);
        }
        socket.send(&out)?;
    }
    Ok(())
}

/// Takes what is owed, while it comes, and then what is on its way already: a message too many is one too.
fn collect(
    receiver: &mut Receiver,
    socket: &mut Socket,
    publisher: &Publisher,
    patience: Duration,
) -> Result<(), Broken> {
    let mut watch = Watch::new(patience);
    receive(receiver, socket, &mut |receiver| {
        !receiver.missing(publisher).is_empty() && watch.sees(receiver.publishes)
    })?;
    loop {
        let before = receiver.publishes;
        ping(socket, receiver.version, &mut |packet, out| {
            receiver.handle(packet, out);
        })?;
        if receiver.publishes == before {
            return Ok(());
        }
    }
}
