//! Retained messages that a SUBSCRIBE has asked for and that have not come yet.

use whimbrel_engine::{Limits, store::Reclaimed};
use whimbrel_testkit::{Packet, Publish, QoS0, QoS1, QoS2, Subscribe, publish, v5};

use super::{
    paper::Paper,
    store::{durable, guest},
    worker::{Who, Worker},
};

const TOPICS: usize = 9;

/// A client that takes two messages at once has asked for nine, at QoS 1, and then once more at QoS 0.
fn asked_twice() -> (Worker, Who) {
    let mut worker = durable();
    worker.commits = true;
    let writer = guest(&mut worker, "writer");
    for at in 0..TOPICS {
        worker.publish(writer, publish(&format!("r/{at}"), "kept").at(QoS2, 1).retain());
        worker.consume(writer);
    }
    let reader = worker.connect(v5("reader").expiry(1_000).receive_maximum(2).keep_alive(0));
    worker.send(reader, Packet::Subscribe(Subscribe::one(1, "r/+", QoS1)));
    worker.send(reader, Packet::Subscribe(Subscribe::one(2, "r/+", QoS0)));
    (worker, reader)
}

/// How many topics have come at QoS 1, each counted once.
fn at_qos_1(came: &[Publish]) -> usize {
    let mut topics: Vec<&str> =
        came.iter().filter(|one| one.qos == 1).map(|one| one.topic.as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    topics.len()
}

#[test]
fn what_one_subscribe_has_not_brought_yet_is_not_lost_to_a_later_one_at_qos_0() {
    let (mut worker, reader) = asked_twice();
    let came = worker.consume(reader);
    assert_eq!(at_qos_1(&came), TOPICS);
    assert_eq!(came.iter().filter(|one| one.qos == 0).count(), TOPICS, "the later one brings its own");
    // Nothing is owed any more.
    let mut worker = worker.crash(Limits::default(), usize::MAX);
    worker.commits = true;
    let reader = worker.connect(v5("reader").resume().expiry(1_000).keep_alive(0));
    assert_eq!(worker.consume(reader), []);
}

#[test]
fn a_later_subscribe_at_the_same_qos_takes_the_place_of_the_one_before() {
    let (mut worker, reader) = asked_twice();
    for id in 3..20 {
        worker.send(reader, Packet::Subscribe(Subscribe::one(id, "r/+", QoS1)));
    }
    let came = worker.consume(reader);
    assert_eq!(at_qos_1(&came), TOPICS);
    assert!(came.len() < 5 * TOPICS, "{} messages", came.len());
}

#[test]
fn what_is_owed_at_a_higher_qos_than_the_subscription_has_survives_a_crash_and_cleaning() {
    for cleans in [false, true] {
        let (mut worker, _) = asked_twice();
        let mut paper = worker.paper.clone().unwrap();
        if cleans {
            let below = paper.end();
            let mut reclaim = worker.engine.begin_reclaim(below);
            while worker.engine.reclaim(&mut worker.turn, &mut reclaim) == Reclaimed::More {}
            assert_eq!(paper.live_before(below), 0);
            paper = paper.without_before(below);
        }
        let mut worker = Worker::durable(Limits::default(), &paper.crash(usize::MAX));
        worker.commits = true;
        let reader = worker.connect(v5("reader").resume().expiry(1_000).keep_alive(0));
        assert_eq!(at_qos_1(&worker.consume(reader)), TOPICS, "cleaned: {cleans}");
        // The subscription is the later one.
        let writer = guest(&mut worker, "writer");
        worker.publish(writer, publish("r/new", "live").at(QoS1, 1));
        assert_eq!(worker.messages(reader)[0].qos, 0);
    }
}

/// What is left when all has been written anew.
fn cleaned(worker: &mut Worker) -> Paper {
    let paper = worker.paper.clone().unwrap();
    let below = paper.end();
    let mut reclaim = worker.engine.begin_reclaim(below);
    while worker.engine.reclaim(&mut worker.turn, &mut reclaim) == Reclaimed::More {}
    assert_eq!(paper.live_before(below), 0, "{:?}", paper.needed_before(below));
    paper.without_before(below)
}

#[test]
fn what_an_earlier_subscribe_is_owed_is_in_the_record_of_a_later_one_that_asks_for_nothing() {
    let (mut worker, reader) = asked_twice();
    worker.send(reader, Packet::Subscribe(Subscribe::one(3, "r/+", QoS1.retain_handling(2))));
    // All that is before its record is gone.
    let paper = worker.paper.clone().unwrap();
    let told = paper.told(0);
    let last = told.iter().rposition(|record| record.starts_with("Subscribe")).unwrap();
    assert!(told[last].contains("fetch: Some(AtLeastOnce)"), "{}", told[last]);
    let mut worker = Worker::durable(Limits::default(), &cleaned(&mut worker));
    worker.commits = true;
    let reader = worker.connect(v5("reader").resume().expiry(1_000).keep_alive(0));
    assert_eq!(at_qos_1(&worker.consume(reader)), TOPICS);
}
