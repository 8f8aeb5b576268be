//! Retained messages against SUBSCRIBE, with threads: between what a subscription brings at once and what is published
//! from then on nothing is lost, comes twice, or goes back in time, and everybody ends with the value that is kept.

use std::sync::{Arc, Barrier};

use whimbrel_engine::{Engine, Limits};
use whimbrel_testkit::{Packet, QoS1, Subscribe, Unsubscribe, publish, v5};

use super::{
    dice::Dice,
    threads::{run, settle},
    worker::{Who, Worker, text},
};

const WORKERS: usize = 3;
const TOPICS: usize = 3;
const FILTERS: [&str; 5] = ["r/0", "r/1", "r/2", "r/+", "r/#"];

struct Log {
    publisher: Who,
    name: usize,
    number: u32,
    next_id: u16,
    open: usize,
    /// Subscribed to everything before anything was published.
    observer: Seen,
    churning: Seen,
    clients: usize,
    /// What clients that have gone have seen.
    gone: Vec<Vec<Event>>,
}

/// A client and what it has seen.
struct Seen {
    who: Who,
    events: Vec<Event>,
    unanswered: Vec<Packet>,
    /// The filter that it is subscribed to.
    filter: Option<&'static str>,
}

#[derive(Debug)]
enum Event {
    /// SUBACK has come.
    Subscribed,
    /// UNSUBACK has come.
    Unsubscribed,
    Value {
        topic: usize,
        value: String,
        retain: bool,
    },
}

impl Seen {
    fn new(who: Who) -> Self {
        Seen { who, events: Vec::new(), unanswered: Vec::new(), filter: None }
    }

    fn hear(&mut self, worker: &mut Worker, answer: bool) -> bool {
        let packets = worker.come(self.who);
        self.events.extend(packets.iter().filter_map(|packet| match packet {
            Packet::SubAck(_) => Some(Event::Subscribed),
            Packet::UnsubAck(_) => Some(Event::Unsubscribed),
            Packet::Publish(message) => {
                let topic = message.topic[2..].parse().unwrap();
                Some(Event::Value { topic, value: text(message), retain: message.retain })
            }
            _ => None,
        }));
        self.unanswered.extend(packets);
        let answered = answer && !self.unanswered.is_empty();
        if answered {
            worker.acknowledge(self.who, &std::mem::take(&mut self.unanswered));
        }
        answered
    }
}

fn crew(engine: &Arc<Engine>, name: usize) -> (Worker, Log) {
    let mut worker = Worker::of(engine);
    let publisher = worker.connect(v5(&format!("p{name}")).keep_alive(0));
    let observer = worker.connect(v5(&format!("o{name}")).keep_alive(0));
    worker.subscribe(observer, "r/#", QoS1);
    let churning = worker.connect(v5(&format!("c{name}.0")).keep_alive(0));
    let (observer, churning) = (Seen::new(observer), Seen::new(churning));
    let log =
        Log { publisher, name, number: 0, next_id: 0, open: 0, observer, churning, clients: 1, gone: vec![] };
    (worker, log)
}

fn act(worker: &mut Worker, log: &mut Log, dice: &mut Dice) {
    match dice.below(12) {
        0..4 => retain(worker, log, dice),
        4 | 5 => subscribe(worker, log, dice),
        6 => unsubscribe(worker, log),
        7 if dice.one_in(3) => start_anew(worker, log),
        8 => {
            let room = *dice.pick(&[0, 10, 300, usize::MAX, usize::MAX]);
            worker.pipe(log.churning.who).allow(room);
        }
        9 => {
            let answer = dice.one_in(2);
            log.churning.hear(worker, answer);
            log.observer.hear(worker, true);
        }
        _ => {
            worker.round();
        }
    }
}

fn retain(worker: &mut Worker, log: &mut Log, dice: &mut Dice) {
    let acks = worker.come(log.publisher);
    log.open -= acks.len();
    if log.open > 900 {
        return;
    }
    log.number += 1;
    let value = if dice.one_in(5) { String::new() } else { format!("{}:{}", log.name, log.number) };
    let message = publish(&format!("r/{}", dice.below(TOPICS)), value).retain();
    log.next_id = log.next_id % 60_000 + 1;
    log.open += 1;
    worker.put(log.publisher, Packet::Publish(message.at(QoS1, log.next_id)));
    worker.step(log.publisher);
}

fn subscribe(worker: &mut Worker, log: &mut Log, dice: &mut Dice) {
    let seen = &mut log.churning;
    let filter = *seen.filter.get_or_insert_with(|| *dice.pick(&FILTERS));
    worker.put(seen.who, Packet::Subscribe(Subscribe::one(1, filter, QoS1)));
    worker.step(seen.who);
}

fn unsubscribe(worker: &mut Worker, log: &mut Log) {
    if let Some(filter) = log.churning.filter.take() {
        let (id, properties) = (2, Default::default());
        let filters = vec![filter.into()];
        worker.put(log.churning.who, Packet::Unsubscribe(Unsubscribe { id, properties, filters }));
        worker.step(log.churning.who);
    }
}

/// Another client takes the place of the churning one.
fn start_anew(worker: &mut Worker, log: &mut Log) {
    log.churning.hear(worker, false);
    worker.put_cut(log.churning.who);
    worker.step(log.churning.who);
    let who = worker.start(v5(&format!("c{}.{}", log.name, log.clients)).keep_alive(0));
    log.clients += 1;
    let old = std::mem::replace(&mut log.churning, Seen::new(who));
    log.gone.push(old.events);
    // CONNECT, then the answer to it.
    for _ in 0..3 {
        worker.step(who);
    }
}

fn drain(mut crews: Vec<(Worker, Log)>) -> Vec<(Worker, Log)> {
    for (worker, log) in &crews {
        worker.pipe(log.churning.who).open();
    }
    loop {
        crews = settle(crews);
        let mut busy = false;
        for (worker, log) in &mut crews {
            busy |= log.churning.hear(worker, true);
            busy |= log.observer.hear(worker, true);
        }
        if !busy {
            return crews;
        }
    }
}

/// The values of a topic in their order, as an observer has seen them.
fn history(observer: &Seen, topic: usize) -> Vec<&str> {
    let value = |event| match event {
        &Event::Value { topic: of, ref value, .. } if of == topic => Some(value.as_str()),
        _ => None,
    };
    observer.events.iter().filter_map(value).collect()
}

/// Checks one client's life against the history of a topic. Gives the last value that it has seen.
fn follow<'a>(events: &'a [Event], topic: usize, history: &[&str]) -> Option<&'a str> {
    let (mut at, mut last) = (0, None);
    let mut subscribed = 0;
    for event in events {
        match event {
            Event::Subscribed => subscribed += 1,
            Event::Unsubscribed => {
                // What a new subscription brings may be what is known; that a topic was cleared meanwhile it does not
                // say.
                (last, subscribed) = (None, 2);
            }
            Event::Value { topic: of, value, retain } if *of == topic => {
                let again = last == Some(value.as_str());
                assert!(!(again && subscribed < 2 && !value.is_empty()), "{value} twice: {events:?}");
                assert!(!(*retain && value.is_empty()), "an empty message is not kept");
                if !again || value.is_empty() {
                    let from = if last.is_some() { at + 1 } else { at };
                    let next = history.iter().skip(from).position(|known| known == value);
                    at = from + next.unwrap_or_else(|| panic!("{value} is from the past: {events:?}"));
                }
                last = Some(value.as_str());
            }
            Event::Value { .. } => {}
        }
    }
    last
}

fn check(mut crews: Vec<(Worker, Log)>) {
    let (mut last, mut worker) = (Vec::new(), Worker::of(&crews[0].0.engine));
    let late = worker.connect(v5("late"));
    let (_, kept) = worker.subscribe_with(late, Subscribe::one(1, "#", QoS1));
    for topic in 0..TOPICS {
        let history = history(&crews[0].1.observer, topic);
        assert!(history.len() > 20, "{history:?}");
        let kept = kept.iter().find(|publish| publish.topic == format!("r/{topic}")).map(text);
        assert_eq!(kept.unwrap_or_default(), *history.last().unwrap(), "the last is the one that is kept");
        for (_, log) in &crews {
            assert_eq!(self::history(&log.observer, topic), history, "one order for everybody");
            for events in &log.gone {
                follow(events, topic, &history);
            }
            let seen = follow(&log.churning.events, topic, &history);
            last.push((
                log.name,
                topic,
                seen.unwrap_or_default().to_owned(),
                history.last().unwrap().to_string(),
            ));
        }
    }
    for (name, topic, seen, kept) in last {
        let log = &mut crews[name].1;
        let covers = |filter: &str| {
            filter.len() == 3 && (filter.ends_with(['+', '#']) || filter == format!("r/{topic}"))
        };
        if log.churning.filter.is_some_and(covers) {
            assert_eq!(seen, kept, "the last value of r/{topic}: {:?}", log.churning.events);
        }
    }
}

#[test]
fn everybody_ends_with_the_value_that_is_kept() {
    for seed in 1..=20 {
        let limits = Limits { queue_messages_max: 1 << 20, link_soft_bytes: 2_000, ..Limits::default() };
        let engine = Arc::new(Engine::new(limits, seed));
        let crews = (0..WORKERS).map(|name| crew(&engine, name)).collect();
        check(drain(run(crews, seed, 600, act)));
    }
}

#[test]
fn the_first_retained_message_of_all_meets_a_subscription() {
    // The store is empty before and after, so that a subscriber might think that there is nothing to fetch.
    const TIMES: usize = 8_000;
    let engine = Arc::new(Engine::new(Limits::default(), 3));
    let barrier = Barrier::new(2);
    let publisher = |mut worker: Worker| {
        let who = worker.connect(v5("p"));
        let mut dice = Dice::new(5);
        for time in 1..=TIMES {
            barrier.wait();
            (0..dice.below(60)).for_each(|_| std::hint::spin_loop());
            worker.publish(who, publish("t", time.to_string()).retain().at(QoS1, 1));
            barrier.wait();
            barrier.wait();
            worker.publish(who, publish("t", "").retain());
        }
    };
    let subscriber = |mut worker: Worker| {
        let mut dice = Dice::new(6);
        let mut wrong = Vec::new();
        for time in 1..=TIMES {
            let who = worker.connect(v5("s"));
            worker.put(who, Packet::Subscribe(Subscribe::one(1, "t", QoS1)));
            barrier.wait();
            (0..dice.below(60)).for_each(|_| std::hint::spin_loop());
            worker.step(who);
            barrier.wait();
            let got = worker.payloads(who);
            if got != [time.to_string()] {
                wrong.push((time, got));
            }
            worker.forget(who);
            barrier.wait();
        }
        wrong
    };
    let wrong = std::thread::scope(|scope| {
        let (one, other) = (Worker::of(&engine), Worker::of(&engine));
        scope.spawn(move || publisher(one));
        scope.spawn(move || subscriber(other)).join().unwrap()
    });
    assert!(wrong.is_empty(), "{} of {TIMES} have not got the value once: {:?}", wrong.len(), &wrong[..1]);
}

#[test]
fn v5_3_8_4_4_a_subscription_that_is_replaced_misses_nothing_of_the_stream() {
    // What was retained is cleared while the client subscribes again: the clearing message must come.
    const TIMES: usize = 20_000;
    let engine = Arc::new(Engine::new(Limits::default(), 3));
    let barrier = Barrier::new(2);
    let publisher = |mut worker: Worker| {
        let who = worker.connect(v5("p"));
        let mut dice = Dice::new(5);
        for time in 1..=TIMES {
            worker.publish(who, publish("t", time.to_string()).retain().at(QoS1, 1));
            barrier.wait();
            (0..dice.below(600)).for_each(|_| std::hint::spin_loop());
            worker.publish(who, publish("t", "").retain().at(QoS1, 2));
            barrier.wait();
            barrier.wait();
        }
    };
    let subscriber = |mut worker: Worker| {
        let mut dice = Dice::new(6);
        let who = worker.connect(v5("s"));
        worker.send(who, Packet::Subscribe(Subscribe::one(1, "t", QoS1)));
        let mut wrong = Vec::new();
        for time in 1..=TIMES {
            worker.put(who, Packet::Subscribe(Subscribe::one(1, "t", QoS1)));
            barrier.wait();
            (0..dice.below(600)).for_each(|_| std::hint::spin_loop());
            worker.step(who);
            barrier.wait();
            let got: Vec<String> = worker.consume(who).iter().map(text).collect();
            if got.last().is_none_or(|last| !last.is_empty()) {
                wrong.push((time, got));
            }
            barrier.wait();
        }
        wrong
    };
    let wrong = std::thread::scope(|scope| {
        let (one, other) = (Worker::of(&engine), Worker::of(&engine));
        scope.spawn(move || publisher(one));
        scope.spawn(move || subscriber(other)).join().unwrap()
    });
    assert!(wrong.is_empty(), "{} of {TIMES} have not heard of the clearing: {:?}", wrong.len(), &wrong[..1]);
}
