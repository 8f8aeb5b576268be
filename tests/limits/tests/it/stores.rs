//! Subscriptions and retained messages: how many, and how much they hold.

use whimbrel_engine::Count;
use whimbrel_limits::{Heap, Worker};
use whimbrel_testkit::{Connect, Publish, QoS, QoS0, QoS1, QoS2, Subscribe, publish, v5, v31, v311};

use super::reach::{LEFT, TOPIC_REMEMBERED_BYTES, TOPICS_REMEMBERED, worker};

/// What a subscription or the place of a retained message costs at most on the average, by the reference of the
/// configuration.
pub(super) const NODE_BYTES: usize = 250;

/// What a retained message costs besides its topic, properties and payload: itself, and its place in the tree.
pub(super) const RETAINED_BYTES: usize = 120 + NODE_BYTES;

/// What the tree of topics may cost beyond that, so that few messages may have deep topics.
const TREE_BYTES_FREE: usize = 1 << 20;

/// A client of each version, with what the refusal of one filter is called in SUBACK. MQTT 3.1 has no word for it: the
/// client is told QoS 0 and gets nothing.
fn refused(id: &str) -> [(Connect, u8); 3] {
    [(v5(id), 0x97), (v311(id), 0x80), (v31(id), 0)]
}

#[test]
pub(super) fn subscriptions_of_a_client() {
    let mut heap = Heap::alone();
    const MOST: usize = 500;
    let mut worker = worker(|limits| limits.subscriptions_max = MOST as u32);
    for (connect, refused) in refused("c") {
        heap.begin();
        let before = worker.count(Count::SubscriptionsLimit);
        let who = worker.connect(connect);
        for at in 0..MOST {
            assert_eq!(worker.subscribe(who, &format!("site/{at}/state"), QoS1), [1]);
        }
        heap.assert_at_most("500 subscriptions of a client", MOST * NODE_BYTES + LEFT);
        assert_eq!(
            worker.subscribe_all(who, Subscribe::one(1, "more", QoS0).and("site/7/state", QoS0)),
            [refused, 0]
        );
        assert_eq!(worker.subscribe(who, "$share/group/more", QoS0), [refused]);
        assert_eq!(worker.count(Count::SubscriptionsLimit) - before, 2);
        assert_eq!((worker.engine.subscriptions(), worker.engine.filters()), (MOST, MOST));
        worker.publish(who, publish("more", "x"));
        assert_eq!(worker.messages(who), [], "what is refused brings nothing, whatever SUBACK says");
        worker.forget_last();
        assert_eq!((worker.engine.subscriptions(), worker.engine.filters()), (0, 0));
        heap.assert_at_most("subscriptions, gone with their session", LEFT);
    }
}

/// Fills the tree of filters from several clients until one is refused, and gives how many were taken.
fn fill(worker: &mut Worker, each: usize) -> usize {
    let mut taken = 0;
    let before = worker.count(Count::SubscriptionsTotalLimit);
    for client in 0.. {
        let [new, old, older] = refused(&format!("c{client}"));
        // The one that meets the limit, the sixth, is of each version in turn.
        let (connect, refused) = match (client + each) % 3 {
            0 => new,
            1 => old,
            _ => older,
        };
        let who = worker.connect(connect);
        for at in 0..each {
            let code = worker.subscribe(who, &format!("site-{client:04}/device-{at:04}"), QoS0)[0];
            if worker.count(Count::SubscriptionsTotalLimit) > before {
                assert_eq!(code, refused);
                return taken;
            }
            assert_eq!(code, 0);
            taken += 1;
        }
    }
    taken
}

fn check_subscriptions(heap: &mut Heap, mut worker: Worker, most: usize) {
    heap.begin();
    for per_client in [1_000, 999, 998] {
        assert_eq!(fill(&mut worker, per_client), most);
        assert_eq!((worker.engine.subscriptions(), worker.engine.filters()), (most, most));
        heap.assert_at_most("all subscriptions that there may be", most * NODE_BYTES + LEFT);
        let first = 0;
        assert_eq!(worker.subscribe(first, "site-0000/device-0001", QoS2), [2], "it is there already");
        worker.forget_from(0);
        assert_eq!((worker.engine.subscriptions(), worker.engine.filters()), (0, 0));
        heap.assert_at_most("subscriptions, gone with their sessions", LEFT);
    }
    assert_eq!(worker.count(Count::SubscriptionsTotalLimit), 3);
}

#[test]
pub(super) fn subscriptions_of_all() {
    let mut heap = Heap::alone();
    let worker = worker(|limits| limits.subscriptions_total_max = 5_500);
    check_subscriptions(&mut heap, worker, 5_500);
}

#[test]
pub(super) fn bytes_of_all_filters() {
    let mut heap = Heap::alone();
    let length = "site-0000/device-0000".len();
    let worker = worker(|limits| limits.filter_bytes_total_max = (5_500 * length + length - 1) as u64);
    check_subscriptions(&mut heap, worker, 5_500);
}

/// A retained message of 100 bytes with its topic.
fn kept(number: usize) -> Publish {
    publish(&format!("site/{:04}/state/{number:06}", number % 1_000), vec![b'x'; 78]).at(QoS1, 1).retain()
}

/// Retains as many messages of 100 bytes as there may be.
fn check_retained(heap: &mut Heap, mut worker: Worker, most: usize) {
    assert_eq!(kept(0).topic.len() + kept(0).payload.len(), 100);
    let new = worker.connect(v5("new").keep_alive(0));
    let old = worker.connect(v311("old").keep_alive(0));
    let live = worker.connect(v5("live").keep_alive(0));
    worker.subscribe(live, "more", QoS0);
    heap.begin();
    for number in 0..most {
        assert_eq!(worker.acked(new, kept(number)), 0x10, "nobody subscribes to it");
    }
    assert_eq!(worker.engine.retained(), (most, most * 100));
    heap.assert_at_most("all messages that may be retained", most * (100 + RETAINED_BYTES) + TREE_BYTES_FREE);
    let more = |qos: QoS| publish("more", vec![b'x'; 90]).at(qos, 1).retain();
    for qos in [QoS1, QoS2] {
        assert_eq!(worker.acked(new, more(qos)), 0x97);
        assert_eq!(worker.take(live), [], "nobody gets what is refused");
    }
    // Where the publisher cannot be told it is delivered all the same.
    worker.publish(new, more(QoS0));
    assert_eq!(worker.acked(old, more(QoS1)), 0);
    assert_eq!(worker.messages(live).len(), 2);
    assert_eq!(worker.count(Count::RetainedLimit), 4);
    assert_eq!(worker.engine.retained(), (most, most * 100));
    assert_eq!(worker.acked(new, kept(7)), 0x10, "one takes the place of another");
    for number in 0..most {
        worker.publish(new, Publish { payload: Vec::new(), ..kept(number) });
    }
    worker.take(new);
    worker.notices();
    assert_eq!(worker.engine.retained(), (0, 0));
    let remembered = most.min(TOPICS_REMEMBERED) * (22 + TOPIC_REMEMBERED_BYTES);
    heap.assert_at_most("retained messages, deleted", remembered + LEFT);
    assert_eq!(worker.take(old), []);
}

#[test]
pub(super) fn retained_messages() {
    let mut heap = Heap::alone();
    let worker = worker(|limits| limits.retained_messages_max = 5_000);
    check_retained(&mut heap, worker, 5_000);
}

#[test]
pub(super) fn bytes_of_retained_messages() {
    let mut heap = Heap::alone();
    let worker = worker(|limits| limits.retained_bytes_max = 500_050);
    check_retained(&mut heap, worker, 5_000);
}
