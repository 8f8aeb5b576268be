//! Clients that do not read: what waits for one and for all, and for how long.

use whimbrel_engine::Count;
use whimbrel_limits::{Heap, Who, Worker};
use whimbrel_testkit::{Connect, Packet, QoS1, publish, v5, v311};

use super::reach::{LEFT, worker};

const PAYLOAD: usize = 1_000;
/// A message of the tests on the wire: header, topic and properties besides the payload.
const PACKET: usize = PAYLOAD + 16;

/// A subscriber of `t` that reads nothing from here on.
fn deaf(worker: &mut Worker, connect: Connect) -> Who {
    let who = worker.connect(connect.keep_alive(0));
    worker.subscribe(who, "t", QoS1);
    worker.pipe(who).block();
    who
}

#[test]
pub(super) fn bytes_for_a_slow_reader() {
    let mut heap = Heap::alone();
    const SOFT: usize = 20_000;
    for connect in [v5("to"), v311("to")] {
        let mut worker = worker(|limits| limits.link_soft_bytes = SOFT as u32);
        let from = worker.connect(v5("from").keep_alive(0));
        heap.begin();
        let to = deaf(&mut worker, connect);
        for _ in 0..5_000 {
            worker.publish(from, publish("t", vec![b'x'; PAYLOAD]));
        }
        let (queued, waiting) = worker.engine.waiting_bytes();
        assert!(queued == 0 && (SOFT - PACKET..SOFT + PACKET).contains(&waiting), "{waiting} bytes wait");
        let sent = waiting / (PAYLOAD + 6);
        assert_eq!(worker.count(Count::DroppedQos0Blocked) as usize, 5_000 - sent);
        heap.assert_at_most("what waits for a client that does not read", 2 * SOFT + LEFT);
        // At QoS 1 they wait in the queue.
        for _ in 0..10 {
            assert_eq!(worker.acked(from, publish("t", vec![b'x'; PAYLOAD]).at(QoS1, 1)), 0);
        }
        assert_eq!(worker.engine.waiting_bytes(), (10 * (PAYLOAD + 1), waiting));
        worker.pipe(to).open();
        worker.settle();
        assert_eq!(worker.consume(to).len(), sent + 10);
        assert_eq!(worker.engine.waiting_bytes(), (0, 0));
        worker.forget_last();
        heap.assert_at_most("it has read all", LEFT);
    }
}

#[test]
pub(super) fn bytes_for_one_that_asks_and_does_not_read() {
    let mut heap = Heap::alone();
    for connect in [v5("to"), v311("to")] {
        let mut worker = worker(|limits| {
            limits.packet_bytes_max = 2_000;
            limits.link_soft_bytes = 4_000;
            limits.link_hard_bytes = 5_000;
        });
        let from = worker.connect(v5("from"));
        heap.begin();
        let to = deaf(&mut worker, connect);
        worker.publish(from, publish("t", vec![b'x'; PAYLOAD]));
        // A question of two bytes has an answer of two.
        worker.send_bytes(to, &[0xc0, 0].repeat(3_000 - PACKET / 2));
        assert!(!worker.is_closed(to), "it is read no further");
        worker.pipe(to).open_unseen();
        worker.settle();
        worker.pipe(to).block();
        worker.publish(from, publish("t", vec![b'x'; PAYLOAD]));
        worker.send_bytes(to, &[0xc0, 0].repeat(3_500));
        worker.assert_ended(to, None); // It takes no DISCONNECT either.
        assert_eq!((worker.count(Count::SlowOverflow), worker.count(Count::SlowStalled)), (1, 0));
        assert_eq!((worker.engine.waiting_bytes(), worker.engine.connected()), ((0, 0), 1));
        heap.assert_never_above("what waited for it, twice where it grows", 3 * (7_000 + PACKET) + LEFT);
        worker.forget_last();
        heap.assert_at_most("what waited, gone with the connection", LEFT);
    }
}

#[test]
pub(super) fn time_without_progress() {
    let mut heap = Heap::alone();
    for connect in [v5("to"), v311("to")] {
        let mut worker = worker(|limits| limits.link_stall_secs = 5);
        let from = worker.connect(v5("from").keep_alive(0));
        heap.begin();
        let to = deaf(&mut worker, connect);
        worker.advance(60_000);
        assert!(!worker.is_closed(to), "nothing waits for it");
        for _ in 0..200 {
            worker.publish(from, publish("t", vec![b'x'; PAYLOAD]));
        }
        worker.advance(4_999);
        assert!(!worker.is_closed(to));
        worker.advance(1);
        worker.assert_ended(to, None);
        assert_eq!((worker.count(Count::SlowStalled), worker.engine.sessions()), (1, 1));
        assert_eq!(worker.engine.waiting_bytes(), (0, 0));
        worker.forget_last();
        heap.assert_at_most("what waited, gone with the connection", LEFT);
    }
}

#[test]
pub(super) fn bytes_for_all_slow_readers() {
    let mut heap = Heap::alone();
    const ALL: usize = 1 << 20;
    const SOFT: usize = 64 << 10;
    const CLIENTS: usize = 100;
    let bound = ALL + CLIENTS * (SOFT / 16 + PACKET);
    let mut worker = worker(|limits| limits.outbox_bytes_max = ALL as u64);
    assert_eq!(worker.engine.limits().link_soft_bytes, SOFT);
    let from = worker.connect(v5("from").keep_alive(0));
    for at in 0..CLIENTS {
        let connect = if at % 2 == 0 { v5(&format!("to{at}")) } else { v311(&format!("to{at}")) };
        deaf(&mut worker, connect);
    }
    heap.begin();
    for _ in 0..1_000 {
        worker.publish(from, publish("t", vec![b'x'; PAYLOAD]));
    }
    let (queued, waiting) = worker.engine.waiting_bytes();
    assert!(queued == 0 && waiting <= bound, "{waiting} bytes wait");
    let sent = waiting / (PAYLOAD + 6);
    assert!(worker.count(Count::DroppedQos0Blocked) as usize >= CLIENTS * 1_000 - sent);
    // Buffers double as they grow.
    heap.assert_at_most("what waits for 100 clients that do not read", 2 * bound + LEFT);
    // Nobody is without anything, and all can be told again what happens.
    for who in from + 1..=from + CLIENTS {
        worker.pipe(who).open();
        worker.settle();
        assert!(worker.take(who).len() >= SOFT / 16 / PACKET);
    }
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
    worker.publish(from, publish("t", "again"));
    for who in from + 1..=from + CLIENTS {
        assert!(matches!(&worker.take(who)[..], [Packet::Publish(one)] if one.payload == b"again"));
    }
    worker.forget_from(from + 1);
    // A worker keeps buffers of up to 64 KiB for those who come next, 256 at most.
    heap.assert_at_most("they have read all", 2 * bound + LEFT);
}
