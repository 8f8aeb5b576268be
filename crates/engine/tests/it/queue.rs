//! What waits for an absent or busy session: its limits, the policies when it is full, and that nothing is dropped in
//! silence.

use whimbrel_engine::{Count, Limits, Notice, QueueFull};
use whimbrel_testkit::{Ack, Packet, Publish, QoS0, QoS1, QoS2, publish, v5, v311};

use super::worker::{Who, Worker, text};

fn limits(queue_full: QueueFull, messages: usize) -> Limits {
    Limits { queue_full, queue_messages_max: messages, ..Limits::default() }
}

/// What each message costs beside its own bytes.
pub(super) const MESSAGE_BYTES: usize = 224;

/// A persistent session with one subscription at QoS 1 and no connection.
fn absent(worker: &mut Worker, client_id: &str, filter: &str) {
    let who = worker.connect(v5(client_id).persistent());
    assert_eq!(worker.subscribe(who, filter, QoS1), [1]);
    worker.disconnect(who, 0);
}

fn publish_all(worker: &mut Worker, from: Who, topic: &str, payloads: &[&str]) -> Vec<u8> {
    payloads.iter().map(|payload| worker.say_acked(from, topic, payload)).collect()
}

fn texts(publishes: &[Publish]) -> Vec<String> {
    publishes.iter().map(text).collect()
}

fn told(publishes: &[Publish]) -> Vec<Option<u64>> {
    publishes.iter().map(dropped_told).collect()
}

/// Nothing waits any more and nothing is counted that is not there.
fn assert_empty(worker: &Worker) {
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
}

#[test]
fn a_full_queue_drops_its_oldest_and_tells() {
    let mut worker = Worker::new(limits(QueueFull::DropOldest, 3));
    absent(&mut worker, "s", "t");
    let from = worker.connect(v5("p"));
    assert_eq!(publish_all(&mut worker, from, "t", &["1", "2", "3", "4", "5"]), [0; 5]);
    assert_eq!(worker.count(Count::DroppedQueueOldest), 2);
    let cause = Count::DroppedQueueOldest;
    assert_eq!(worker.notices(), [Notice::QueueFull { client_id: "s".into(), cause }], "said once");
    assert_eq!(worker.engine.waiting_bytes(), (6, 0), "three messages of a byte on a topic of a byte");

    let again = worker.connect(v5("s").persistent());
    let got = worker.consume(again);
    assert_eq!(texts(&got), ["3", "4", "5"]);
    assert_eq!(told(&got), [Some(2), None, None]);
    assert_empty(&worker);
}

#[test]
fn a_full_queue_drops_the_newest_where_that_is_the_policy() {
    let mut worker = Worker::new(limits(QueueFull::DropNewest, 3));
    absent(&mut worker, "s", "t");
    let from = worker.connect(v5("p"));
    publish_all(&mut worker, from, "t", &["1", "2", "3", "4", "5"]);
    assert_eq!(worker.count(Count::DroppedQueueNewest), 2);
    let cause = Count::DroppedQueueNewest;
    assert_eq!(worker.notices(), [Notice::QueueFull { client_id: "s".into(), cause }]);

    let again = worker.connect(v5("s").persistent());
    let got = worker.consume(again);
    assert_eq!(texts(&got), ["1", "2", "3"]);
    assert_eq!(told(&got), [Some(2), None, None]);
    assert_empty(&worker);
}

#[test]
fn a_message_that_a_full_queue_loses_has_had_a_subscriber() {
    for policy in [QueueFull::DropOldest, QueueFull::DropNewest] {
        let mut worker = Worker::new(Limits { queue_bytes_max: 4, ..limits(policy, 1) });
        absent(&mut worker, "s", "t");
        let from = worker.connect(v5("p"));
        worker.say_acked(from, "t", "1");
        assert_eq!(worker.say_acked(from, "t", "2"), 0, "not 0x10: there is a subscriber ({policy:?})");
        assert_eq!(worker.say_acked(from, "t", "too large"), 0, "{policy:?}");
        assert_eq!(worker.say_acked(from, "u", "1"), 0x10);
    }
}

#[test]
fn a_full_queue_refuses_the_publish_and_nobody_gets_it() {
    let mut worker = Worker::new(limits(QueueFull::Refuse, 2));
    absent(&mut worker, "s", "t");
    let other = worker.connect(v5("other"));
    worker.subscribe(other, "t", QoS1);
    let from = worker.connect(v5("p"));
    assert_eq!(publish_all(&mut worker, from, "t", &["1", "2", "3"]), [0, 0, 0x97]);
    worker.publish(from, publish("t", "4").retain().at(QoS2, 7));
    assert_eq!(worker.take(from), [Packet::PubRec(Ack::new(7, 0x97))]);
    assert_eq!(worker.count(Count::RefusedQueueFull), 2);
    assert_eq!(texts(&worker.consume(other)), ["1", "2"]);
    assert_eq!(worker.engine.retained(), (0, 0), "nor is it retained");

    // The identifier of the refused message is free: the next message that carries it is a new one.
    let again = worker.connect(v5("s").persistent());
    let got = worker.consume(again);
    assert_eq!((texts(&got), told(&got)), (vec!["1".into(), "2".into()], vec![None, None]));
    worker.publish(from, publish("t", "5").at(QoS2, 7));
    assert_eq!(texts(&worker.consume(again)), ["5"]);
    assert_empty(&worker);
}

#[test]
fn v311_a_publisher_that_cannot_be_told_is_closed_by_the_refuse_policy() {
    let mut worker = Worker::new(limits(QueueFull::Refuse, 1));
    absent(&mut worker, "s", "t");
    let from = worker.connect(v311("p"));
    assert_eq!(worker.say_acked(from, "t", "1"), 0);
    worker.publish(from, publish("t", "2").at(QoS1, 2));
    assert_eq!(worker.take(from), [], "no acknowledgement");
    assert!(worker.is_closed(from));
    assert_eq!(worker.count(Count::RefusedQueueFull), 1);
    assert_eq!(worker.engine.waiting_bytes(), (2, 0));
}

#[test]
fn the_refuse_policy_does_not_mind_who_is_busy_and_has_room() {
    let mut worker = Worker::new(limits(QueueFull::Refuse, 1));
    let slow = worker.connect(v5("slow").receive_maximum(1));
    worker.subscribe(slow, "t", QoS1);
    let from = worker.connect(v5("p"));
    assert_eq!(publish_all(&mut worker, from, "t", &["1", "2", "3"]), [0, 0, 0x97]);
    assert_eq!(texts(&worker.consume(slow)), ["1", "2"]);
    worker.say(from, "t", "QoS 0 is never refused");
    assert_eq!(worker.payloads(slow), ["QoS 0 is never refused"]);
}

#[test]
fn the_limit_of_bytes_counts_topic_properties_and_payload() {
    let mut worker = Worker::new(Limits { queue_bytes_max: 30, ..limits(QueueFull::DropOldest, usize::MAX) });
    absent(&mut worker, "s", "topic");
    let from = worker.connect(v5("p"));
    publish_all(&mut worker, from, "topic", &["12345", "12345", "abcde", "abcdef"]);
    assert_eq!(worker.count(Count::DroppedQueueOldest), 2, "41 bytes: two of the four have to go");
    assert_eq!(worker.engine.waiting_bytes(), (21, 0));
    let again = worker.connect(v5("s").persistent());
    assert_eq!(texts(&worker.consume(again)), ["abcde", "abcdef"]);
    assert_empty(&worker);
}

#[test]
fn a_message_larger_than_the_queue_may_be_does_not_empty_it() {
    let large = "x".repeat(600);
    let own = Limits { queue_bytes_max: 100, ..limits(QueueFull::DropOldest, 10) };
    let all = Limits { queues_bytes_max: 100 + 3 * MESSAGE_BYTES, ..limits(QueueFull::DropOldest, 10) };
    for (limits, cause) in [(own, Count::DroppedQueueNewest), (all, Count::DroppedQueuesMemory)] {
        let mut worker = Worker::new(limits);
        absent(&mut worker, "s", "t");
        let from = worker.connect(v5("p"));
        publish_all(&mut worker, from, "t", &["1", "2", &large, "3"]);
        assert_eq!(worker.count(cause), 1, "{cause:?}");
        let again = worker.connect(v5("s").persistent());
        let got = worker.consume(again);
        assert_eq!(texts(&got), ["1", "2", "3"], "{cause:?}");
        assert_eq!(told(&got), [Some(1), None, None]);
        assert_empty(&worker);
    }
}

#[test]
fn all_queues_together_have_a_limit() {
    let mut worker = Worker::resident(Limits {
        queues_bytes_max: 20 + 5 * MESSAGE_BYTES,
        ..limits(QueueFull::DropOldest, usize::MAX)
    });
    absent(&mut worker, "a", "a");
    absent(&mut worker, "b", "b");
    let from = worker.connect(v5("p"));
    publish_all(&mut worker, from, "a", &["111", "222", "333", "444", "555"]);
    assert_eq!((worker.engine.waiting_bytes().0, worker.count(Count::DroppedQueuesMemory)), (20, 0));
    // Its own queue has nothing to give, so the new message is the one to go.
    assert_eq!(worker.say_acked(from, "b", "111"), 0);
    assert_eq!(worker.count(Count::DroppedQueuesMemory), 1);
    // This one has, and gives no more than is needed.
    worker.say_acked(from, "a", "666");
    assert_eq!((worker.engine.waiting_bytes().0, worker.count(Count::DroppedQueuesMemory)), (20, 2));
    let noticed: Vec<Notice> = worker.notices();
    assert_eq!(noticed.len(), 2, "once for each session: {noticed:?}");

    let a = worker.connect(v5("a").persistent());
    assert_eq!(texts(&worker.consume(a)), ["222", "333", "444", "555", "666"]);
    let b = worker.connect(v5("b").persistent());
    worker.say_acked(from, "b", "222");
    let got = worker.consume(b);
    assert_eq!((texts(&got), told(&got)), (vec!["222".into()], vec![Some(1)]));
    assert_empty(&worker);
}

#[test]
fn what_has_expired_makes_room_before_anything_is_dropped() {
    let mut worker = Worker::resident(limits(QueueFull::DropOldest, 3));
    absent(&mut worker, "s", "t");
    let from = worker.connect(v5("p"));
    publish_all(&mut worker, from, "t", &["1"]);
    worker.publish(from, publish("t", "2").expiry(5).at(QoS1, 2));
    worker.publish(from, publish("t", "3").expiry(50).at(QoS1, 3));
    worker.advance(6_000);
    worker.come(from);
    publish_all(&mut worker, from, "t", &["4"]);
    let counts = (worker.count(Count::DroppedExpired), worker.count(Count::DroppedQueueOldest));
    assert_eq!(counts, (1, 0));
    let again = worker.connect(v5("s").persistent());
    let got = worker.consume(again);
    assert_eq!(texts(&got), ["1", "3", "4"]);
    assert_eq!(got[1].properties.message_expiry(), Some(44), "[MQTT-3.3.2-6]");
    assert_eq!(told(&got), [None; 3], "an expired message is not a drop");
    assert_empty(&worker);
}

#[test]
fn v5_3_3_2_5_an_expired_message_is_not_sent_from_the_queue() {
    let mut worker = Worker::new(Limits::default());
    absent(&mut worker, "s", "t");
    let from = worker.connect(v5("p"));
    worker.publish(from, publish("t", "1").expiry(5).at(QoS1, 2));
    worker.publish(from, publish("t", "2").at(QoS1, 3));
    worker.advance(5_000);
    let again = worker.connect(v5("s").persistent());
    assert_eq!(texts(&worker.consume(again)), ["2"]);
    assert_eq!(worker.count(Count::DroppedExpired), 1);
    assert_empty(&worker);
}

#[test]
fn qos_0_never_pushes_out_what_has_a_higher_qos() {
    let mut worker = Worker::resident(Limits { queue_qos0: true, ..limits(QueueFull::DropOldest, 2) });
    absent(&mut worker, "s", "t");
    let from = worker.connect(v5("p"));
    publish_all(&mut worker, from, "t", &["1", "2"]);
    worker.say(from, "t", "3");
    assert_eq!(worker.count(Count::DroppedQueueNewest), 1);
    let again = worker.connect(v5("s").persistent());
    let got = worker.consume(again);
    assert_eq!((texts(&got), told(&got)), (vec!["1".into(), "2".into()], vec![Some(1), None]));
    assert_empty(&worker);
}

#[test]
fn qos_0_waits_for_an_absent_session_only_by_option() {
    for (queue_qos0, expect) in [(false, vec![]), (true, vec!["1".to_owned()])] {
        let mut worker = Worker::new(Limits { queue_qos0, ..Limits::default() });
        absent(&mut worker, "s", "t");
        let from = worker.connect(v5("p"));
        worker.say(from, "t", "1");
        assert_eq!(worker.count(Count::DroppedQos0Absent), u64::from(!queue_qos0));
        let again = worker.connect(v5("s").persistent());
        assert_eq!(worker.payloads(again), expect);
        assert_empty(&worker);
    }
}

#[test]
fn qos_0_that_waited_behind_others_goes_with_the_connection() {
    let mut worker = Worker::new(Limits::default());
    let slow = worker.connect(v5("slow").persistent().receive_maximum(1));
    worker.subscribe(slow, "t", QoS1);
    let from = worker.connect(v5("p"));
    publish_all(&mut worker, from, "t", &["1", "2"]);
    worker.say(from, "t", "QoS 0");
    worker.cut(slow);
    assert_eq!(worker.count(Count::DroppedQos0Absent), 1);
    let again = worker.connect(v5("slow").persistent());
    assert_eq!(texts(&worker.consume(again)), ["1", "2"]);
    assert_empty(&worker);
}

#[test]
fn drops_are_told_although_deliveries_are_sent_again_first() {
    let mut worker = Worker::new(limits(QueueFull::DropOldest, 1));
    let slow = worker.connect(v5("s").persistent().receive_maximum(1));
    worker.subscribe(slow, "t", QoS1);
    let from = worker.connect(v5("p"));
    publish_all(&mut worker, from, "t", &["1", "2", "3", "4"]);
    worker.cut(slow);
    let again = worker.connect(v5("s").persistent());
    let got = worker.consume(again);
    assert_eq!(texts(&got), ["1", "4"]);
    assert_eq!(told(&got).iter().flatten().sum::<u64>(), 2, "{got:?}");
}

#[test]
fn drops_are_told_although_the_next_packet_has_no_room_for_it() {
    let mut worker = Worker::new(limits(QueueFull::DropOldest, 1));
    absent(&mut worker, "s", "t");
    let from = worker.connect(v5("p"));
    publish_all(&mut worker, from, "t", &["1", "2", &"x".repeat(40)]);
    let again = worker.connect(v5("s").persistent().packet_size_max(50));
    let got = worker.consume(again);
    assert_eq!((got.len(), told(&got)), (1, vec![None]));
    worker.say_acked(from, "t", "5");
    let got = worker.consume(again);
    assert_eq!((texts(&got), told(&got)), (vec!["5".into()], vec![Some(2)]));
}

#[test]
fn an_older_client_learns_of_its_drops_when_it_comes_back_with_5_0() {
    let mut worker = Worker::new(limits(QueueFull::DropOldest, 2));
    let old = worker.connect(v311("s").persistent());
    worker.subscribe(old, "t", QoS1);
    worker.cut(old);
    let from = worker.connect(v5("p"));
    publish_all(&mut worker, from, "t", &["1", "2", "3"]);
    let old = worker.connect(v311("s").persistent());
    assert_eq!(texts(&worker.consume(old)), ["2", "3"]);
    worker.disconnect(old, 0);
    publish_all(&mut worker, from, "t", &["4"]);
    let new = worker.connect(v5("s").persistent());
    let got = worker.consume(new);
    assert_eq!((texts(&got), told(&got)), (vec!["4".into()], vec![Some(1)]));
}

#[test]
fn a_slow_reader_of_a_full_queue_is_one_notice_not_one_per_message() {
    let mut worker = Worker::new(limits(QueueFull::DropOldest, 4));
    let slow = worker.connect(v5("s").receive_maximum(1));
    worker.subscribe(slow, "t", QoS1);
    let from = worker.connect(v5("p"));
    for _ in 0..20 {
        publish_all(&mut worker, from, "t", &["1", "2", "3"]);
        let packets = worker.take(slow);
        worker.acknowledge(slow, &packets);
        worker.settle();
    }
    assert!(worker.count(Count::DroppedQueueOldest) > 30);
    assert_eq!(worker.notices().len(), 1);
    worker.consume(slow);
    publish_all(&mut worker, from, "t", &["1", "2", "3", "4", "5", "6"]);
    assert_eq!(worker.notices().len(), 1, "it had caught up, so it is told anew");
}

#[test]
fn what_an_ended_session_had_is_counted_and_its_memory_given_back() {
    let mut worker = Worker::new(Limits::default());
    absent(&mut worker, "s", "t");
    let from = worker.connect(v5("p"));
    publish_all(&mut worker, from, "t", &["1", "2"]);
    let clean = worker.connect(v5("s"));
    assert_eq!(worker.payloads(clean), Vec::<String>::new());
    assert_eq!(worker.count(Count::DroppedSessionEnded), 2);
    assert_empty(&worker);
    assert_eq!((worker.engine.subscriptions(), worker.engine.filters()), (0, 0));
}

#[test]
fn a_large_payload_is_one_in_memory_however_many_queues_it_waits_in() {
    let mut worker = Worker::new(Limits::default());
    for at in 0..10 {
        absent(&mut worker, &format!("s{at}"), "t");
    }
    let from = worker.connect(v5("p"));
    worker.say_acked(from, "t", &"x".repeat(10_000));
    assert_eq!(worker.engine.waiting_bytes().0, 10 * 10_001, "it counts once for each queue");
    for at in 0..10 {
        let again = worker.connect(v5(&format!("s{at}")).persistent());
        assert_eq!(worker.consume(again)[0].payload.len(), 10_000);
    }
    assert_empty(&worker);
    worker.subscribe(from, "t", QoS0);
}

/// How many messages the `whimbrel-dropped` property says were lost.
fn dropped_told(publish: &Publish) -> Option<u64> {
    let found = publish.properties.user().into_iter().find(|(name, _)| *name == "whimbrel-dropped");
    found.map(|(_, value)| value.parse().expect("a number"))
}
