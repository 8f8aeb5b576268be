//! What one client can cost the others of its worker: packets handled in a turn, bytes that wait for it, writes to it.

use std::sync::{Arc, Mutex, atomic::Ordering::Relaxed};

use whimbrel_engine::{Conversation, Count, Engine, Limits, Standing, Turn, Wire, Written};
use whimbrel_testkit::{Connect, Options, Packet, QoS1, Subscribe, Version, publish, v5};

use super::worker::Worker;

#[test]
fn a_client_that_reads_no_answers_is_not_read_from() {
    // A link that is blocked is not flushed, so nobody looked at it again while answers were appended to it.
    let mut worker = Worker::new(Limits { link_soft_bytes: 4_000, ..Limits::default() });
    let who = worker.connect(v5("deaf"));
    worker.pipe(who).block();
    for _ in 0..100 {
        worker.put_bytes(who, &[0xC0, 0x00].repeat(500));
        worker.settle();
    }
    assert_eq!(worker.standing(who), Some(Standing::Waiting));
    let (_, waiting) = worker.engine.waiting_bytes();
    assert!((4_000..=6_000).contains(&waiting), "{waiting} bytes wait");
    assert_eq!(worker.unread(who), 100_000 - waiting);

    worker.pipe(who).open();
    worker.settle();
    assert_eq!(worker.come(who).len(), 50_000, "nothing is lost when it reads again");
}

#[test]
fn a_client_has_its_share_of_a_turn_whatever_it_has_sent() {
    let mut worker = Worker::new(Limits::default());
    let from = worker.connect(v5("from"));
    let subscribers: Vec<_> = (0..100).map(|number| worker.connect(v5(&format!("to-{number}")))).collect();
    for &to in &subscribers {
        worker.subscribe(to, "t", QoS1);
    }
    let message = Packet::Publish(publish("t", "x")).encode(Version::V5);
    worker.put_bytes(from, &message.repeat(500));
    worker.step(from);
    assert_eq!(worker.count(Count::PublishReceived), 10, "a thousand deliveries in one turn");
    assert_eq!(worker.standing(from), Some(Standing::Working), "the rest waits for the next");
    worker.settle();
    assert_eq!(worker.unread(from), 0);
    for to in subscribers {
        assert_eq!(worker.messages(to).len(), 500);
    }

    let lonely = Packet::Publish(publish("nobody", "x")).encode(Version::V5);
    worker.put_bytes(from, &lonely.repeat(5_000));
    worker.step(from);
    assert_eq!(worker.count(Count::PublishReceived), 500 + 1_000, "messages without receivers count too");
    worker.settle();
    let filters = (0..600).map(|number| (format!("a/{number}"), Options::from(QoS1))).collect();
    let filters =
        Packet::Subscribe(Subscribe { id: 7, properties: Default::default(), filters }).encode(Version::V5);
    worker.put_bytes(from, &filters.repeat(5));
    worker.step(from);
    assert_eq!(worker.unread(from), filters.len() * 3, "and so do filters");
}

#[test]
fn a_topic_that_costs_a_long_look_up_ends_the_turn() {
    // A hundred filters that part in the first seven levels and go on with wildcards: the topic follows all of them.
    let mut worker = Worker::new(Limits::default());
    let to = worker.connect(v5("to"));
    for number in 0..100 {
        let head: String = (0..7).map(|bit| if number >> bit & 1 == 1 { "a/" } else { "+/" }).collect();
        worker.subscribe(to, &format!("{head}{}{number}", "+/".repeat(60)), QoS1);
    }
    let from = worker.connect(v5("from"));
    let topic = |last: &str| format!("{}{last}", "a/".repeat(67));
    let messages: Vec<Vec<u8>> =
        ["x", "y", "z"].map(|last| Packet::Publish(publish(&topic(last), "")).encode(Version::V5)).into();
    worker.put_bytes(from, &messages.concat());
    worker.step(from);
    assert_eq!(worker.unread(from), messages[0].len() * 2, "one message in the first turn");
    worker.settle();
    assert_eq!(worker.unread(from), 0);
}

/// An engine with `count` retained messages of one byte under `r/`.
fn with_retained(worker: &mut Worker, count: usize) {
    let from = worker.connect(v5("from"));
    for number in 0..count {
        worker.put(from, Packet::Publish(publish(&format!("r/{number}/x"), "x").retain()));
    }
    worker.settle();
}

#[test]
fn a_fetch_that_finds_nothing_lets_others_go_on() {
    let mut worker = Worker::new(Limits::default());
    with_retained(&mut worker, 20_000);
    let to = worker.connect(v5("to"));
    let before = worker.pipe(to).wakes.load(Relaxed);
    assert_eq!(worker.subscribe(to, "+/+/nothing", QoS1), [1]);
    let slices = worker.pipe(to).wakes.load(Relaxed) - before;
    assert!(slices >= 4, "twenty thousand topics in {slices} looks");
}

#[test]
fn a_hundred_subscribes_in_one_turn_append_no_more_than_one() {
    // Each brought its own share of the retained messages before anything was written.
    let mut worker = Worker::new(Limits { link_soft_bytes: 4_000, ..Limits::default() });
    with_retained(&mut worker, 2_000);
    let to = worker.connect(v5("to"));
    let subscribe = Packet::Subscribe(Subscribe::one(1, "#", QoS1)).encode(Version::V5);
    worker.pipe(to).block();
    worker.put_bytes(to, &subscribe.repeat(100));
    worker.step(to);
    worker.engine.flush(&mut worker.turn);
    let (_, waiting) = worker.engine.waiting_bytes();
    assert!((4_000..5_000).contains(&waiting), "{waiting} bytes");
    worker.pipe(to).open();
    worker.settle();
    assert_eq!(worker.unread(to), 0);
    assert!(worker.come(to).len() >= 2_100, "100 SUBACKs and the messages of the last at least");
}

type Meddling = Box<dyn FnMut() + Send>;

/// A wire that takes everything, and while it does so another thread goes on: here, `meddle`.
struct Meddler {
    meddle: Mutex<Option<Meddling>>,
    sizes: Mutex<Vec<usize>>,
}

impl Wire for Meddler {
    fn write(&self, parts: &[&[u8]]) -> Written {
        let bytes = parts.iter().map(|part| part.len()).sum();
        self.sizes.lock().unwrap().push(bytes);
        let meddling = self.meddle.lock().unwrap().take();
        if let Some(mut meddle) = meddling {
            meddle();
            *self.meddle.lock().unwrap() = Some(meddle);
        }
        Written::Bytes(bytes)
    }

    fn wake(&self) {}
}

/// A subscriber of `t` on a wire that meddles, and the turn of the worker that writes to it.
fn subscriber(engine: &Engine) -> (Arc<Meddler>, Conversation, Turn) {
    let meddler = Arc::new(Meddler { meddle: Mutex::default(), sizes: Mutex::default() });
    let wire: Arc<dyn Wire> = meddler.clone();
    let mut turn = engine.turn();
    let mut to = Conversation::new(engine, turn.now.mono);
    let connect: Connect = v5("to");
    to.receive(engine, &mut turn, &Packet::Connect(Box::new(connect)).encode(Version::V5));
    assert!(to.question().is_some());
    to.answer(engine, &mut turn, Ok(()), &wire);
    let subscribe = Packet::Subscribe(Subscribe::one(1, "t", QoS1));
    to.receive(engine, &mut turn, &subscribe.encode(Version::V5));
    engine.flush(&mut turn);
    meddler.sizes.lock().unwrap().clear();
    (meddler, to, turn)
}

#[test]
fn what_another_thread_is_writing_counts_as_waiting() {
    // Two full outboxes, one being written and one appended meanwhile, were one too many when the write stopped: a
    // client that read as fast as it could was disconnected.
    let limits = Limits { link_hard_bytes: 10_000, link_soft_bytes: 1_000, ..Limits::default() };
    let engine = Arc::new(Engine::new(limits, 1));
    let (meddler, _to, mut turn) = subscriber(&engine);
    let mut other = Worker::of(&engine);
    let from = other.connect(v5("from"));
    other.say(from, "t", &"x".repeat(9_000));
    meddler.sizes.lock().unwrap().clear();

    let mut publisher = Worker::of(&engine);
    let second = publisher.connect(v5("second"));
    let mut left = 5;
    *meddler.meddle.lock().unwrap() = Some(Box::new(move || {
        while left > 0 {
            publisher.say(second, "t", &"x".repeat(6_000));
            left -= 1;
        }
    }));
    other.say(from, "t", &"x".repeat(9_000));
    engine.flush(&mut turn);
    let dropped = engine.count(Count::DroppedQos0Blocked);
    assert_eq!(dropped, 4, "9,000 bytes are under way and 6,000 behind them");
}

#[test]
fn a_flush_ends_although_others_append_as_fast_as_it_writes() {
    let engine = Arc::new(Engine::new(Limits::default(), 1));
    let (meddler, _to, mut turn) = subscriber(&engine);
    let mut other = Worker::of(&engine);
    let from = other.connect(v5("from"));
    *meddler.meddle.lock().unwrap() = Some(Box::new(move || other.say(from, "t", "more")));
    let mut first = Worker::of(&engine);
    let starter = first.connect(v5("starter"));
    first.put(starter, Packet::Publish(publish("t", "first")));
    first.step(starter);
    engine.flush(&mut first.turn);
    assert_eq!(meddler.sizes.lock().unwrap().len(), 4, "writes in a row");
    assert!(first.turn.has_output(), "what is left is for the next flush");
    *meddler.meddle.lock().unwrap() = None;
    engine.flush(&mut first.turn);
    engine.flush(&mut turn);
    assert!(!first.turn.has_output());
    assert_eq!(meddler.sizes.lock().unwrap().len(), 5);
}
