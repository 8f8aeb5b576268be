//! Many clients that each stay within their own limits: what all of them together cost, and that it comes back.

use whimbrel_broker::config::Auto;
use whimbrel_engine::Count;
use whimbrel_limits::{Heap, Who, Worker};
use whimbrel_testkit::{Packet, Publish, QoS0, QoS1, QoS2, Version, publish, v5, v311, will};

use super::{
    queues::{MESSAGE_BYTES, MESSAGE_BYTES_MOST},
    reach::{LEFT, TOPIC_REMEMBERED_BYTES, TOPICS_REMEMBERED, worker},
    stores::{NODE_BYTES, RETAINED_BYTES},
};

/// What an absent session costs, with room in the tables, and what a connection costs.
const SESSION_BYTES: usize = 760;
const CONNECTION_BYTES: usize = 1_536;

/// What a queue costs besides the messages in it.
const QUEUE_BYTES: usize = 64;

/// What a client may have in flight whatever the others have.
const STEP_BYTES: usize = 4 << 10;

#[test]
fn ten_thousand_absent_sessions_with_full_queues() {
    let mut heap = Heap::alone();
    const SESSIONS: usize = 10_000;
    const MESSAGES: usize = 10;
    const SIZE: usize = 60;
    let mut worker = worker(|limits| limits.queue_messages_max = MESSAGES as u32);
    let from = worker.connect(v5("from").keep_alive(0));
    heap.begin();
    for at in 0..SESSIONS {
        let name = format!("client-{at:05}");
        let connect = if at % 2 == 0 { v5(&name) } else { v311(&name) };
        let who = worker.connect(connect.persistent());
        worker.subscribe(who, &format!("to/{at:05}"), QoS1);
        worker.forget_last();
    }
    heap.assert_at_most("10,000 absent sessions", SESSIONS * (SESSION_BYTES + NODE_BYTES) + LEFT);
    for round in 0..MESSAGES + 5 {
        for at in 0..SESSIONS {
            let payload = format!("{round:0>width$}", width = SIZE - 8);
            let one = publish(&format!("to/{at:05}"), payload).at(QoS1, 1);
            assert_eq!(worker.acked(from, one), 0);
        }
    }
    assert_eq!(worker.engine.waiting_bytes().0, SESSIONS * MESSAGES * SIZE);
    assert_eq!(worker.count(Count::DroppedQueueOldest) as usize, SESSIONS * 5);
    let each = SESSION_BYTES + NODE_BYTES + QUEUE_BYTES + MESSAGES * (SIZE + MESSAGE_BYTES_MOST);
    heap.assert_at_most("10,000 sessions with ten messages each", SESSIONS * each + LEFT);
    worker.advance(7 * 24 * 3_600 * 1_000 + 1_000);
    assert_eq!((worker.engine.sessions(), worker.engine.waiting_bytes().0), (0, 0));
    worker.notices();
    // What the worker remembers of their topics keeps ended sessions until it looks.
    worker.sweep();
    heap.assert_at_most("10,000 sessions, gone", LEFT);
}

#[test]
fn one_message_for_ten_thousand_absent_sessions_is_there_once() {
    let mut heap = Heap::alone();
    const SESSIONS: usize = 10_000;
    const SIZE: usize = 10_000;
    let mut worker = worker(|_| {});
    let from = worker.connect(v5("from").keep_alive(0));
    for at in 0..SESSIONS {
        let who = worker.connect(v5(&format!("client-{at:05}")).persistent());
        worker.subscribe(who, "all", QoS1);
        worker.forget_last();
    }
    heap.begin();
    assert_eq!(worker.acked(from, publish("all", vec![b'x'; SIZE - 3]).at(QoS1, 1)), 0);
    assert_eq!(worker.engine.waiting_bytes().0, SESSIONS * SIZE, "it counts once for each queue");
    // A queue that has begun has places for four.
    heap.assert_at_most("a message in 10,000 queues", SIZE + SESSIONS * 3 * MESSAGE_BYTES + LEFT);
    worker.advance(3_601_000);
    assert_eq!(worker.engine.waiting_bytes().0, 0);
}

#[test]
fn a_hundred_thousand_retained_messages() {
    let mut heap = Heap::alone();
    const MESSAGES: usize = 100_000;
    const SIZE: usize = 60;
    let mut worker = worker(|_| {});
    let kept = |number: usize| {
        let topic = format!("site/{:03}/device/{number:06}/state", number % 1_000);
        let payload = vec![b'x'; SIZE - topic.len()];
        publish(&topic, payload).retain()
    };
    let from = worker.connect(v5("from").keep_alive(0));
    heap.begin();
    let remembered = TOPICS_REMEMBERED * (28 + TOPIC_REMEMBERED_BYTES);
    for round in 0..2 {
        for number in 0..MESSAGES {
            worker.publish(from, kept(number));
        }
        assert_eq!(worker.engine.retained(), (MESSAGES, MESSAGES * SIZE));
        heap.assert_at_most("100,000 retained messages", MESSAGES * (SIZE + RETAINED_BYTES) + LEFT);
        for number in 0..MESSAGES {
            worker.publish(from, Publish { payload: Vec::new(), ..kept(number) });
        }
        assert_eq!(worker.engine.retained(), (0, 0));
        heap.assert_at_most(&format!("100,000 retained messages, deleted, round {round}"), remembered + LEFT);
    }
}

/// A flood by which nothing is to grow: `rounds` times what `round` does.
fn flood(heap: &mut Heap, worker: &mut Worker, rounds: usize, mut round: impl FnMut(&mut Worker, usize)) {
    for number in 0..100 {
        round(worker, number);
    }
    heap.begin();
    for number in 100..rounds {
        round(worker, number);
    }
    heap.assert_at_most("a flood that everybody takes", LEFT);
    heap.assert_never_above("a flood that everybody takes", 4 * LEFT);
}

#[test]
fn floods_leave_nothing() {
    let mut heap = Heap::alone();
    let mut worker = worker(|_| {});
    let to = worker.connect(v311("to").keep_alive(0));
    worker.subscribe(to, "t/#", QoS2);
    worker.pipe(to).open_unseen();
    let from = worker.connect(v5("from").keep_alive(0));
    worker.pipe(from).open_unseen();
    // At QoS 0 to a reader, on topics that never come again.
    flood(&mut heap, &mut worker, 30_000, |worker, number| {
        worker.publish(from, publish(&format!("t/{}", number % 100), vec![b'x'; 500]));
    });
    // Subscriptions that come and go, sessions that come and go, retained messages that replace each other.
    flood(&mut heap, &mut worker, 5_000, |worker, number| {
        let who = worker.connect(v5(&format!("passing-{number}")).will(will("gone", "x")));
        worker.subscribe(who, &format!("own/{number}/+"), QoS1);
        worker.publish(who, publish("last", number.to_string()).retain());
        worker.forget_last();
    });
    assert_eq!((worker.engine.filters(), worker.engine.retained().0), (1, 1));
    // At QoS 1 and 2 to nobody.
    flood(&mut heap, &mut worker, 20_000, |worker, _| {
        worker.publish(from, publish("nobody", "x").at(QoS1, 1));
    });
}

#[test]
fn a_flood_of_ever_new_topics_keeps_what_a_worker_remembers_of_them_bounded() {
    let mut heap = Heap::alone();
    let mut worker = worker(|_| {});
    let from = worker.connect(v5("from").keep_alive(0));
    let to = worker.connect(v5("to").keep_alive(0));
    worker.subscribe(to, "new/+/0", QoS0);
    worker.pipe(to).open_unseen();
    heap.begin();
    for number in 0..3 * TOPICS_REMEMBERED {
        worker.publish(from, publish(&format!("new/topic-{number:06}/{}", number % 3), "x"));
    }
    heap.assert_at_most(
        "topics that a worker has looked up",
        TOPICS_REMEMBERED * (18 + TOPIC_REMEMBERED_BYTES) + LEFT,
    );
}

/// So many clients, and a topic of its own for each.
fn connect_all(worker: &mut Worker, count: usize) -> Vec<Who> {
    let connect = |worker: &mut Worker, at: usize| {
        let name = format!("to{at}");
        let connect = if at.is_multiple_of(2) { v5(&name) } else { v311(&name) };
        let who = worker.connect(connect.persistent().keep_alive(0));
        worker.subscribe(who, &format!("to/{at:03}"), QoS2);
        worker.pipe(who).open_unseen();
        who
    };
    (0..count).map(|at| connect(worker, at)).collect()
}

#[test]
fn a_hundred_clients_that_acknowledge_nothing() {
    let mut heap = Heap::alone();
    const CLIENTS: usize = 100;
    const ALL: usize = 4 << 20;
    let mut worker = worker(|limits| limits.queues_bytes_max = Auto::Set(ALL as u64));
    let from = worker.connect(v5("from").keep_alive(0));
    let clients = connect_all(&mut worker, CLIENTS);
    heap.begin();
    for number in 0..200 {
        for at in 0..CLIENTS {
            let qos = if number % 2 == 0 { QoS1 } else { QoS2 };
            let one = publish(&format!("to/{at:03}"), vec![b'x'; 1_000]).at(qos, 1);
            assert_eq!(worker.acked(from, one), 0);
            if qos == QoS2 {
                worker.send(from, Packet::PubRel(whimbrel_testkit::Ack::new(1, 0)));
                worker.take(from);
            }
        }
    }
    let (queued, _) = worker.engine.waiting_bytes();
    let bound = ALL + CLIENTS * (STEP_BYTES + 1_000 + MESSAGE_BYTES);
    assert!(queued + worker.engine.held_bytes() <= bound);
    assert!(worker.count(Count::DroppedQueuesMemory) > 10_000);
    heap.assert_at_most("messages that nobody acknowledges", bound + LEFT);
    worker.forget_from(clients[0]);
    worker.notices();
    worker.advance(7 * 24 * 3_600 * 1_000 + 1_000);
    assert_eq!((worker.engine.held_bytes(), worker.engine.waiting_bytes()), (0, (0, 0)));
    heap.assert_at_most("messages that nobody acknowledged, gone with the sessions", LEFT);
}

#[test]
fn wills_of_a_crowd() {
    let mut heap = Heap::alone();
    const ALL: usize = 1 << 20;
    const SIZE: usize = 20_000;
    let mut worker = worker(|limits| limits.queues_bytes_max = Auto::Set(ALL as u64));
    heap.begin();
    let mut taken = 0;
    for at in 0..200 {
        let name = format!("c{at}");
        let connect = if at % 2 == 0 { v5(&name) } else { v311(&name) };
        let last = will("will", vec![b'x'; SIZE]).qos(QoS1).retain();
        match worker.try_connect(connect.will(last)).1.map(|ack| ack.code) {
            Some(0) => taken += 1,
            Some(0x97) if at % 2 == 0 => worker.forget_last(),
            Some(3) if at % 2 == 1 => worker.forget_last(),
            other => panic!("{other:?}"),
        }
    }
    assert!((ALL / SIZE - 1..=ALL / SIZE).contains(&taken), "{taken} wills are kept");
    assert_eq!(worker.count(Count::ConnectMemory), 200 - taken as u64);
    heap.assert_at_most("wills of a crowd", ALL + taken * CONNECTION_BYTES + LEFT);
    worker.forget_from(0);
    worker.notices();
    assert_eq!((worker.count(Count::WillsPublished), worker.engine.held_bytes()), (taken as u64, 0));
    assert_eq!(worker.engine.retained(), (1, SIZE + 4));
    heap.assert_at_most("one will of them, retained", SIZE + LEFT);
}

#[test]
fn long_client_identifiers_of_a_crowd() {
    let mut heap = Heap::alone();
    const ALL: usize = 1 << 20;
    const SIZE: usize = 60_000;
    let mut worker = worker(|limits| limits.queues_bytes_max = Auto::Set(ALL as u64));
    heap.begin();
    let mut taken = 0;
    for at in 0..100 {
        let name = format!("{at:0>SIZE$}");
        let connect = if at % 2 == 0 { v5(&name) } else { v311(&name) };
        match worker.try_connect(connect.persistent()).1.map(|ack| ack.code) {
            Some(0) => taken += 1,
            Some(0x97 | 3) => {}
            other => panic!("{other:?}"),
        }
        worker.forget_last();
        worker.notices();
    }
    assert_eq!((taken, worker.engine.sessions()), (ALL / SIZE, ALL / SIZE));
    assert_eq!(worker.count(Count::ConnectMemory) as usize, 100 - taken);
    heap.assert_at_most("long client identifiers", ALL + taken * SESSION_BYTES + LEFT);
    worker.advance(7 * 24 * 3_600 * 1_000 + 1_000);
    assert_eq!((worker.engine.sessions(), worker.engine.held_bytes()), (0, 0));
    heap.assert_at_most("long client identifiers, gone with the sessions", LEFT);
}

#[test]
fn aliases_of_a_crowd_in_both_directions() {
    let mut heap = Heap::alone();
    const CLIENTS: usize = 100;
    const ALIASES: u16 = 64;
    const LENGTH: usize = 256;
    let mut worker = worker(|_| {});
    let limits = &worker.engine.limits().connection;
    assert_eq!((limits.topic_aliases_in_max, limits.topic_aliases_out_max), (ALIASES, ALIASES));
    let topic = |at: u16| format!("{at:0>LENGTH$}");
    heap.begin();
    let first = worker.open(Version::V5);
    for at in 0..CLIENTS {
        let who = worker.connect(v5(&format!("c{at}")).alias_max(u16::MAX).keep_alive(0));
        worker.subscribe(who, "#", QoS0);
        worker.pipe(who).open_unseen();
    }
    heap.begin();
    for alias in 1..=ALIASES {
        for who in first + 1..=first + CLIENTS {
            worker.publish(who, publish(&topic(alias), "x").alias(alias));
        }
    }
    // A name behind an alias has its place in a list besides, which may be half empty.
    let each = usize::from(ALIASES) * (LENGTH + 2 * size_of::<Box<str>>());
    heap.assert_at_most("64 aliases each way of 100 clients", 2 * CLIENTS * each + CLIENTS * 512 + 2 * LEFT);
    assert_eq!(worker.count(Count::TopicAliasLimit), 0);
    worker.forget_from(first);
    worker.sweep();
    heap.assert_at_most("aliases, gone with their connections", LEFT);
}
