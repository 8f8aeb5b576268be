//! The protocol by which bytes leave a link, with threads: everybody appends, one writes, wires stop and go on. Whatever
//! the interleaving, nothing is lost, nothing overtakes, nothing comes twice, and nothing is left behind.

use std::{collections::BTreeMap, sync::Arc};

use whimbrel_engine::{Count, Engine, Limits};
use whimbrel_testkit::{Packet, QoS, QoS0, QoS2, publish, v5, v311};

use super::{
    dice::Dice,
    threads::{run, settle},
    worker::{Who, Worker, messages, text},
};

const WORKERS: usize = 4;
const PUBLISHERS: usize = 2;
const SUBSCRIBERS: usize = 2;
const TOPICS: usize = 2;

/// What one worker's clients have done and seen.
#[derive(Default)]
struct Log {
    publishers: Vec<Publisher>,
    subscribers: Vec<Subscriber>,
}

struct Publisher {
    who: Who,
    name: usize,
    /// Numbers given to messages so far, by topic.
    numbers: [u32; TOPICS],
    /// Messages at QoS 1 and 2, by topic.
    owed: [Vec<u32>; TOPICS],
    next_id: u16,
    open: usize,
}

struct Subscriber {
    who: Who,
    /// Packets that it has not answered.
    unanswered: Vec<Packet>,
    /// By publisher and topic, the messages in order: number and QoS.
    got: BTreeMap<(usize, usize), Vec<(u32, u8)>>,
}

fn crews(engine: &Arc<Engine>, seed: u64) -> Vec<(Worker, Log)> {
    let mut dice = Dice::new(seed);
    let crew = |number: usize| {
        let mut worker = Worker::of(engine);
        let mut log = Log::default();
        for at in 0..SUBSCRIBERS {
            let id = format!("s{number}.{at}");
            let connect = match dice.below(3) {
                0 => v311(&id),
                _ => v5(&id).receive_maximum(*dice.pick(&[5, 30, 1_000])),
            };
            let who = worker.connect(connect.keep_alive(0));
            worker.subscribe(who, "t/#", QoS2);
            worker.pipe(who).jitter(dice.next() | 1);
            log.subscribers.push(Subscriber { who, unanswered: Vec::new(), got: BTreeMap::new() });
        }
        for at in 0..PUBLISHERS {
            let name = number * PUBLISHERS + at;
            let who = worker.connect(v5(&format!("p{name}")).keep_alive(0));
            let (numbers, owed) = Default::default();
            log.publishers.push(Publisher { who, name, numbers, owed, next_id: 0, open: 0 });
        }
        (worker, log)
    };
    (0..WORKERS).map(crew).collect()
}

fn act(worker: &mut Worker, log: &mut Log, dice: &mut Dice) {
    match dice.below(10) {
        0..4 => {
            let at = dice.below(PUBLISHERS);
            say(worker, &mut log.publishers[at], dice);
        }
        4 => {
            let who = any(log, dice);
            let room = *dice.pick(&[0, 1, 10, 100, 1_000, 20_000, usize::MAX, usize::MAX]);
            worker.pipe(who).allow(room);
        }
        5 => {
            let who = any(log, dice);
            worker.pipe(who).step(*dice.pick(&[50, 500, usize::MAX, usize::MAX]));
        }
        6 | 7 => {
            let at = dice.below(SUBSCRIBERS);
            hear(worker, &mut log.subscribers[at], dice.one_in(2));
        }
        _ => {
            worker.round();
        }
    }
}

fn any(log: &Log, dice: &mut Dice) -> Who {
    let at = dice.below(SUBSCRIBERS + PUBLISHERS);
    log.subscribers.get(at).map_or_else(|| log.publishers[at - SUBSCRIBERS].who, |one| one.who)
}

fn say(worker: &mut Worker, publisher: &mut Publisher, dice: &mut Dice) {
    let packets = worker.come(publisher.who);
    publisher.open -= packets.iter().filter(|packet| ends(packet)).count();
    worker.acknowledge(publisher.who, &packets);
    if publisher.open > 900 {
        return; // The server's receive maximum is 1,000.
    }
    let topic = dice.below(TOPICS);
    publisher.numbers[topic] += 1;
    let number = publisher.numbers[topic];
    let length = *dice.pick(&[0, 0, 10, 10, 200, 200, 4_090, 4_097]);
    let payload = format!("{}/{topic}/{number}/{}", publisher.name, "x".repeat(length));
    let qos = *dice.pick(&QoS::ALL);
    let message = publish(&format!("t/{}/{topic}", publisher.name), payload);
    publisher.next_id = publisher.next_id % 60_000 + 1;
    worker.put(publisher.who, Packet::Publish(message.at(qos, publisher.next_id)));
    if qos != QoS0 {
        publisher.owed[topic].push(number);
        publisher.open += 1;
    }
}

/// Whether this packet ends a message of the publisher's.
fn ends(packet: &Packet) -> bool {
    matches!(packet, Packet::PubAck(_) | Packet::PubComp(_))
}

fn hear(worker: &mut Worker, subscriber: &mut Subscriber, answer: bool) {
    let packets = worker.come(subscriber.who);
    for message in messages(packets.clone()) {
        assert!(!message.dup, "a second time on one connection");
        let whole = text(&message);
        let mut parts = whole.split('/').map(|part| part.parse::<usize>().unwrap_or(0));
        let (publisher, topic, number) = (parts.next(), parts.next(), parts.next());
        let key = (publisher.unwrap(), topic.unwrap());
        let number = u32::try_from(number.unwrap()).unwrap();
        subscriber.got.entry(key).or_default().push((number, message.qos));
    }
    subscriber.unanswered.extend(packets);
    if answer {
        let packets = std::mem::take(&mut subscriber.unanswered);
        worker.acknowledge(subscriber.who, &packets);
    }
}

/// Opens every wire and lets every client answer until nothing more comes.
fn drain(mut crews: Vec<(Worker, Log)>) -> Vec<(Worker, Log)> {
    for (worker, _) in &crews {
        for who in 0..worker.clients() {
            worker.pipe(who).step(usize::MAX);
            worker.pipe(who).open();
        }
    }
    loop {
        crews = settle(crews);
        let mut busy = false;
        for (worker, log) in &mut crews {
            for publisher in &mut log.publishers {
                let packets = worker.come(publisher.who);
                busy |= !packets.is_empty();
                publisher.open -= packets.iter().filter(|packet| ends(packet)).count();
                worker.acknowledge(publisher.who, &packets);
            }
            for subscriber in &mut log.subscribers {
                hear(worker, subscriber, false);
                busy |= !subscriber.unanswered.is_empty();
                hear(worker, subscriber, true);
            }
        }
        if !busy {
            return crews;
        }
    }
}

fn check(crews: &[(Worker, Log)]) {
    let engine = crews[0].0.engine.clone();
    assert_eq!(engine.waiting_bytes(), (0, 0), "nothing is stuck");
    let mut received = 0;
    for (_, log) in crews {
        for subscriber in &log.subscribers {
            for publisher in crews.iter().flat_map(|(_, log)| &log.publishers) {
                assert_eq!(publisher.open, 0, "every message was acknowledged");
                for (topic, owed) in publisher.owed.iter().enumerate() {
                    let empty = Vec::new();
                    let got = subscriber.got.get(&(publisher.name, topic)).unwrap_or(&empty);
                    assert!(got.is_sorted_by(|one, next| one.0 < next.0), "in order, each once");
                    let sure = got.iter().filter(|(_, qos)| *qos > 0).map(|(number, _)| number);
                    assert!(sure.eq(owed), "nothing at QoS 1 and 2 is lost");
                    received += got.len() as u64;
                }
            }
        }
    }
    let published: u64 = crews
        .iter()
        .flat_map(|(_, log)| &log.publishers)
        .map(|publisher| u64::from(publisher.numbers.iter().sum::<u32>()))
        .sum();
    let subscribers = (WORKERS * SUBSCRIBERS) as u64;
    let dropped = engine.count(Count::DroppedQos0Blocked);
    assert_eq!(received + dropped, published * subscribers, "every loss is counted");
    assert!(dropped > 0 && received > dropped, "{received} received, {dropped} dropped");
}

#[test]
fn nothing_is_lost_overtaken_doubled_or_stuck_while_wires_stop_and_go() {
    for seed in 1..=12 {
        let limits = Limits { link_soft_bytes: 20_000, queue_messages_max: 1 << 20, ..Limits::default() };
        let limits = Limits { queue_bytes_max: usize::MAX, queues_bytes_max: usize::MAX, ..limits };
        let engine = Arc::new(Engine::new(limits, seed));
        let crews = run(crews(&engine, seed), seed, 500, act);
        check(&drain(crews));
    }
}

#[test]
fn everybody_writes_to_one_link() {
    // One subscriber with an ever open wire: the second look of the writer, and nothing else, finds what others append.
    for seed in 1..=10 {
        let engine = Arc::new(Engine::new(Limits::default(), seed));
        let mut crews: Vec<(Worker, Who)> = (0..WORKERS)
            .map(|at| {
                let mut worker = Worker::of(&engine);
                let who = worker.connect(v311(&format!("p{at}")));
                (worker, who)
            })
            .collect();
        let one = crews[0].0.connect(v311("one"));
        crews[0].0.subscribe(one, "t", QoS0);
        crews[0].0.pipe(one).jitter(seed);
        let crews = run(crews, seed, 300, |worker, who, dice| {
            for _ in 0..=dice.below(3) {
                worker.put(*who, Packet::Publish(publish("t", [u8::try_from(*who).unwrap()])));
            }
            worker.round();
        });
        let sent = engine.count(Count::PublishReceived);
        assert_eq!(engine.count(Count::PublishSent), sent);
        // Nobody is woken any more: what was appended must have left by itself.
        let mut workers: Vec<Worker> = crews.into_iter().map(|(worker, _)| worker).collect();
        for worker in &mut workers {
            while worker.turn.has_output() {
                engine.flush(&mut worker.turn);
            }
        }
        let mut worker = workers.swap_remove(0);
        assert_eq!(messages(worker.come(one)).len() as u64, sent);
    }
}
