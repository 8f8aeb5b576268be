//! How long and how deep a topic may be, and how many may have aliases.

use whimbrel_engine::Count;
use whimbrel_limits::{Heap, Worker};
use whimbrel_testkit::{Connect, Packet, Publish, QoS0, Unsubscribe, publish, v5, v311, will};

use super::reach::{LEFT, ended_with, worker};

/// Topic names and filters: `good` is taken, `bad` ends the connection; so many are counted.
fn check_topics(worker: &mut Worker, good: &str, bad: &str) -> u64 {
    let unsubscribe = |filter: &str| {
        Packet::Unsubscribe(Unsubscribe {
            id: 1,
            properties: Default::default(),
            filters: vec![filter.into()],
        })
    };
    let before = worker.count(Count::TopicLimit);
    for (connect, code) in ended_with(0x90) {
        let who = worker.connect(connect.clone());
        worker.publish(who, publish(good, "x"));
        assert!(!worker.is_closed(who));
        worker.publish(who, publish(bad, "x"));
        worker.assert_ended(who, code);
        worker.connect(connect.will(will(good, "x")));
    }
    for (connect, code) in ended_with(0x8F) {
        let who = worker.connect(connect.clone());
        assert_eq!(worker.subscribe(who, good, QoS0), [0]);
        worker.send(who, Packet::Subscribe(whimbrel_testkit::Subscribe::one(1, bad, QoS0)));
        worker.assert_ended(who, code);
        let who = worker.connect(connect);
        worker.send(who, unsubscribe(good));
        assert!(!worker.is_closed(who));
        worker.send(who, unsubscribe(bad));
        worker.assert_ended(who, code);
    }
    // A will is told of in CONNACK; in 3.1.1 no return code means it.
    worker.assert_refused(v5("w").will(will(bad, "x")), Some(0x90));
    worker.assert_refused(v311("w").will(will(bad, "x")), None);
    worker.forget_from(0);
    worker.count(Count::TopicLimit) - before
}

#[test]
pub(super) fn bytes_of_a_topic() {
    let mut heap = Heap::alone();
    let mut worker = worker(|limits| limits.topic_bytes_max = 30);
    heap.begin();
    let [good, bad] = [30, 31].map(|length| "x".repeat(length));
    assert_eq!(check_topics(&mut worker, &good, &bad), 8);
    for (connect, code) in [(v5(&bad), 0x85), (v311(&bad), 2)] {
        worker.assert_refused(connect, Some(code));
    }
    worker.connect(v5(&good));
    worker.connect(v311(&good));
    assert_eq!(worker.count(Count::ConnectRefused), 2);
    worker.forget_from(0);
    heap.assert_at_most("topics that were too long", LEFT);
}

#[test]
pub(super) fn levels_of_a_topic() {
    let mut heap = Heap::alone();
    let mut worker = worker(|limits| limits.topic_levels_max = 4);
    heap.begin();
    assert_eq!(check_topics(&mut worker, "a/b//d", "a/b/c/d/"), 8);
    heap.assert_at_most("topics that were too deep", LEFT);
}

/// A PUBLISH that sets an alias for a topic of so many bytes.
fn sets_alias(alias: u16, length: usize) -> Publish {
    publish(&format!("{alias:0>length$}"), "x").alias(alias)
}

#[test]
pub(super) fn aliases_that_a_client_sets() {
    let mut heap = Heap::alone();
    const ALIASES: u16 = 10;
    const LENGTH: usize = 5_000;
    let mut worker = worker(|limits| limits.topic_aliases_in_max = ALIASES);
    heap.begin();
    let (who, ack) = worker.connect_answered(v5("c"));
    assert_eq!(ack.properties.topic_alias_maximum(), Some(ALIASES));
    for _ in 0..20 {
        for alias in 1..=ALIASES {
            worker.publish(who, sets_alias(alias, LENGTH));
        }
    }
    worker.publish(who, publish("", "x").alias(ALIASES));
    assert!(!worker.is_closed(who));
    let names = usize::from(ALIASES) * LENGTH;
    assert!(heap.grown() >= names, "the names are kept");
    heap.assert_at_most("10 aliases, set again and again", names + LEFT);
    worker.publish(who, sets_alias(ALIASES + 1, LENGTH));
    worker.assert_ended(who, Some(0x94));
    assert_eq!(worker.count(Count::TopicAliasLimit), 1);
    worker.forget_from(0);
    heap.assert_at_most("aliases, gone with their connection", LEFT);

    let mut none = super::reach::worker(|limits| limits.topic_aliases_in_max = 0);
    let (who, ack) = none.connect_answered(v5("c"));
    assert_eq!(ack.properties.topic_alias_maximum().unwrap_or(0), 0);
    none.publish(who, sets_alias(1, 1));
    none.assert_ended(who, Some(0x94));
}

/// What a client gets of these topics: which alias each message has.
fn aliases_out(worker: &mut Worker, connect: Connect, topics: &[String]) -> Vec<Option<u16>> {
    let to = worker.connect(connect);
    worker.subscribe(to, "#", QoS0);
    let from = worker.connect(v5("from"));
    for topic in topics {
        worker.publish(from, publish(topic, "x"));
    }
    let got = worker.messages(to);
    worker.forget_from(to);
    got.iter().map(|publish| publish.properties.topic_alias()).collect()
}

#[test]
pub(super) fn aliases_that_the_server_sets() {
    let mut heap = Heap::alone();
    let mut worker = worker(|limits| limits.topic_aliases_out_max = 2);
    let short = ["a", "b", "c", "a", "b", "c"].map(String::from);
    let cases = [
        (v5("to").alias_max(10), vec![Some(1), Some(2), None, Some(1), Some(2), None]),
        (v5("to").alias_max(1), vec![Some(1), None, None, Some(1), None, None]),
        (v5("to"), vec![None; 6]),
        (v311("to"), vec![None; 6]),
    ];
    heap.begin();
    for (connect, expected) in cases {
        assert_eq!(aliases_out(&mut worker, connect, &short), expected);
    }
    let long = ["x".repeat(257), "y".repeat(256)];
    assert_eq!(aliases_out(&mut worker, v5("to").alias_max(10), &long), [None, Some(1)]);
    heap.assert_at_most("aliases, gone with their connections", LEFT);
    let mut none = super::reach::worker(|limits| limits.topic_aliases_out_max = 0);
    assert_eq!(aliases_out(&mut none, v5("to").alias_max(10), &short), [None; 6]);
}
