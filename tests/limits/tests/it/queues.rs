//! Messages that wait for a client, and messages that it has not acknowledged.

use whimbrel_broker::config::{Auto, Config, QueueFull};
use whimbrel_engine::Count;
use whimbrel_limits::{Heap, Worker, engine_limits};
use whimbrel_testkit::{Ack, Packet, Publish, QoS1, QoS2, publish, v5, v311, will};

use super::reach::{LEFT, worker};

/// What a message in a queue or in flight counts besides its bytes, by the reference of the configuration.
pub(super) const MESSAGE_BYTES: usize = 224;

/// What it costs where it is small and waits for nobody else: itself, and a place in a list that may be half empty.
pub(super) const MESSAGE_BYTES_MOST: usize = 256;

/// A message of 100 bytes that no other message resembles.
fn hundred(number: usize) -> Publish {
    publish("queue", format!("{number:0>95}")).at(QoS1, 1)
}

fn number_of(publish: &Publish) -> usize {
    String::from_utf8_lossy(&publish.payload).trim_start_matches('0').parse().unwrap_or(0)
}

/// A worker with an absent session that wants `queue`, and a publisher of 5.0; the policy is this one.
fn absent(policy: QueueFull, change: impl FnOnce(&mut Config)) -> (Worker, usize) {
    let mut worker = Worker::new(engine_limits(|config| {
        config.session.queue_full = policy;
        change(config);
    }));
    let to = worker.connect(v5("to").persistent());
    worker.subscribe(to, "queue", QoS1);
    worker.forget_last();
    let from = worker.connect(v5("from").keep_alive(0));
    (worker, from)
}

/// What is left for the absent session when it comes back.
fn waited(worker: &mut Worker) -> Vec<usize> {
    let (to, ack) = worker.connect_answered(v5("to").persistent());
    assert!(ack.session_present);
    let got = worker.consume(to).iter().map(number_of).collect();
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
    worker.forget_last();
    got
}

/// Publishes more than the queue of an absent session takes, which is `room` messages of 100 bytes.
fn check_full_queue(heap: &mut Heap, room: usize, change: impl Fn(&mut Config)) {
    let bound = room * (100 + MESSAGE_BYTES) + LEFT;
    let more = room + 5_000;
    for (policy, count, left) in [
        (QueueFull::DropOldest, Count::DroppedQueueOldest, more - room..more),
        (QueueFull::DropNewest, Count::DroppedQueueNewest, 0..room),
    ] {
        let (mut worker, from) = absent(policy, &change);
        heap.begin();
        for number in 0..more {
            assert_eq!(worker.acked(from, hundred(number)), 0);
        }
        assert_eq!((worker.count(count), worker.count(Count::DroppedQueuesMemory)), (5_000, 0));
        assert_eq!(worker.engine.waiting_bytes(), (room * 100, 0));
        heap.assert_at_most("a full queue", bound);
        assert!(waited(&mut worker).into_iter().eq(left), "{policy:?}");
        heap.assert_at_most("a queue that was full, empty", LEFT);
    }
    let (mut worker, from) = absent(QueueFull::Refuse, &change);
    let old = worker.connect(v311("old"));
    for number in 0..room {
        assert_eq!(worker.acked(from, hundred(number)), 0);
    }
    heap.begin();
    for number in 0..5_000 {
        assert_eq!(worker.acked(from, hundred(number)), 0x97);
    }
    assert_eq!(worker.acked(from, Publish { qos: 2, ..hundred(7) }), 0x97);
    worker.publish(old, hundred(7));
    worker.assert_ended(old, None); // It cannot be told.
    worker.forget_last();
    assert_eq!(worker.count(Count::RefusedQueueFull), 5_002);
    heap.assert_at_most("what a full queue refused", LEFT);
    assert!(waited(&mut worker).into_iter().eq(0..room));
    assert_eq!(worker.acked(from, hundred(1)), 0, "there is room again");
}

#[test]
pub(super) fn messages_of_a_queue() {
    let mut heap = Heap::alone();
    check_full_queue(&mut heap, 2_000, |config| config.limits.queue_messages_max = 2_000);
}

#[test]
pub(super) fn bytes_of_a_queue() {
    let mut heap = Heap::alone();
    check_full_queue(&mut heap, 2_000, |config| config.limits.queue_bytes_max = 200_099);
}

/// All queues together: `each` bytes of topic and payload in each message.
fn check_all_queues(heap: &mut Heap, each: usize) {
    const SESSIONS: usize = 50;
    const ALL: usize = 1 << 20;
    let mut worker = worker(|limits| limits.queues_bytes_max = Auto::Set(ALL as u64));
    for at in 0..SESSIONS {
        let who = worker.connect(v5(&format!("to{at}")).persistent());
        worker.subscribe(who, &format!("{at:02}"), QoS1);
        worker.forget_last();
    }
    let from = worker.connect(v5("from").keep_alive(0));
    heap.begin();
    let offered = 2 * ALL / (each + MESSAGE_BYTES);
    for number in 0..offered {
        let topic = format!("{:02}", number % SESSIONS);
        let payload = vec![b'x'; each - 2];
        assert_eq!(worker.acked(from, publish(&topic, payload).at(QoS1, 1)), 0);
    }
    let (bytes, _) = worker.engine.waiting_bytes();
    let messages = bytes / each;
    assert!(bytes + messages * MESSAGE_BYTES <= ALL + MESSAGE_BYTES, "{bytes} bytes of {messages} messages");
    assert!(messages >= offered / 2 - SESSIONS, "{messages} of {offered} messages");
    assert_eq!(worker.count(Count::DroppedQueuesMemory) as usize, offered - messages);
    let more = messages * (MESSAGE_BYTES_MOST - MESSAGE_BYTES);
    heap.assert_at_most(&format!("all queues full of messages of {each} bytes"), ALL + more + LEFT);
    // A will has no room; who brings none is let in.
    for (connect, code) in [(v5("w"), 0x97), (v311("w"), 3)] {
        worker.assert_refused(connect.clone().will(will("w", vec![0; 2_000])), Some(code));
        worker.connect(connect);
        worker.forget_last();
    }
    assert_eq!(worker.count(Count::ConnectMemory), 2);
    worker.advance(3_601_000);
    assert_eq!((worker.engine.sessions(), worker.engine.waiting_bytes()), (0, (0, 0)));
    heap.assert_at_most("all queues, gone with their sessions", LEFT);
}

#[test]
pub(super) fn bytes_of_all_queues() {
    let mut heap = Heap::alone();
    for each in [4, 100, 2_000] {
        check_all_queues(&mut heap, each);
    }
}

#[test]
pub(super) fn messages_in_flight() {
    let mut heap = Heap::alone();
    let mut worker = worker(|limits| limits.inflight_max = 3);
    let from = worker.connect(v5("from"));
    heap.begin();
    for (connect, most) in
        [(v5("to"), 3), (v5("to").receive_maximum(100), 3), (v5("to").receive_maximum(2), 2), (v311("to"), 3)]
    {
        let to = worker.connect(connect);
        worker.subscribe(to, "queue", QoS2);
        for number in 0..500 {
            worker.acked(from, hundred(number));
        }
        let first = worker.messages(to);
        assert_eq!(first.iter().map(number_of).collect::<Vec<_>>(), (0..most).collect::<Vec<_>>());
        assert_eq!(worker.engine.waiting_bytes(), ((500 - most) * 100, 0), "the others wait");
        heap.assert_at_most(
            "500 messages for a client that acknowledges none",
            500 * (100 + MESSAGE_BYTES) + LEFT,
        );
        worker.send(to, Packet::PubAck(Ack::new(first[0].id, 0)));
        let next = worker.messages(to);
        assert_eq!(next.iter().map(number_of).collect::<Vec<_>>(), [most], "one place, one message");
        for publish in first[1..].iter().chain(&next) {
            worker.send(to, Packet::PubAck(Ack::new(publish.id, 0)));
        }
        assert_eq!(worker.consume(to).len(), 500 - most - 1);
        worker.forget_last();
    }
    assert_eq!((worker.engine.waiting_bytes(), worker.engine.held_bytes()), ((0, 0), 0));
    heap.assert_at_most("all acknowledged", LEFT);
}
