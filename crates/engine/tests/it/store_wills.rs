//! Wills and the journal: none is lost while it is on its way, and no CONNACK leaves before the will of the connection before
//! is recorded as published.

use whimbrel_engine::{Limits, store::Reclaimed};
use whimbrel_testkit::{Connect, QoS1, QoS2, publish, v5, v311, will};

use super::{
    paper::Paper,
    store::{guest, returns, stayer, subscribe},
    worker::{Who, Worker, text},
};

/// A will that is on its way: somebody else is in the middle of a large fan-out on its topic. Gives the worker and the
/// number of its client.
fn departing(mortal: Connect) -> (Worker, Who) {
    let limits = Limits { fan_out_slice: 1, ..Limits::default() };
    let mut worker = Worker::durable(limits, &Paper::default());
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "w", QoS2);
    worker.cut(reader);
    let mortal = worker.start(mortal.keep_alive(0).will(will("w", "last words").qos(QoS1).retain()));
    worker.settle();
    worker.commit();
    worker.next_connack(mortal);
    let writer = guest(&mut worker, "writer");
    let listener = guest(&mut worker, "listener");
    worker.subscribe(listener, "#", QoS1);
    worker.commit();
    worker.put_publish(writer, publish("w", "before").at(QoS1, 1).retain());
    assert!(worker.step(writer), "one slice of two");
    worker.put_cut(mortal);
    worker.step(mortal);
    assert!(!worker.is_over(mortal), "its will waits for the topic");
    (worker, mortal)
}

/// Records what lies before the end anew; gives how much of that is needed still, and what is left without it.
fn clean(worker: &mut Worker) -> (i64, Paper) {
    let paper = worker.paper.clone().unwrap();
    let below = paper.end();
    let mut reclaim = worker.engine.begin_reclaim(below);
    while worker.engine.reclaim(&mut worker.turn, &mut reclaim) == Reclaimed::More {}
    (paper.live_before(below), paper.without_before(below))
}

fn heard(worker: &mut Worker) -> Vec<String> {
    returns(worker, "reader").1.iter().map(text).collect()
}

#[test]
fn cleaning_keeps_a_will_that_is_on_its_way_until_it_is_published() {
    for mortal in [v5("mortal"), v5("mortal").expiry(1_000)] {
        let (mut worker, _) = departing(mortal);
        worker.paper.as_ref().unwrap().commit();
        assert!(clean(&mut worker).0 > 0, "the part with the will may go");
        worker.paper.as_ref().unwrap().commit();
        // It dies here: the will is due, whoever comes back.
        let mut after = Worker::durable(Limits::default(), &worker.paper.as_ref().unwrap().crash(0));
        after.commits = true;
        after.advance(60_000);
        assert_eq!(heard(&mut after).last().map(String::as_str), Some("last words"));
        // Or it is cleaned and dies once more before that will has gone.
        let mut after = Worker::durable(Limits::default(), &worker.paper.as_ref().unwrap().crash(0));
        after.commits = true;
        let (needed, cleaned) = clean(&mut after);
        assert_eq!(needed, 0);
        let mut after = Worker::durable(Limits::default(), &cleaned);
        after.commits = true;
        after.advance(60_000);
        assert_eq!(heard(&mut after).last().map(String::as_str), Some("last words"));
        // It does not die: then all may go.
        worker.settle();
        worker.commit();
        assert_eq!(clean(&mut worker).0, 0);
        assert_eq!(heard(&mut worker), ["before", "last words"]);
    }
}

#[test]
fn a_connack_waits_until_the_will_of_the_connection_before_is_recorded_as_published() {
    for (mortal, again) in [
        (v5("mortal"), v5("mortal")),
        (v5("mortal").expiry(1_000), v5("mortal").resume().expiry(1_000)),
        (v5("mortal").expiry(1_000), v5("mortal")),
        (v5("mortal"), v5("mortal").will(will("w", "new will"))),
    ] {
        let (mut worker, _) = departing(mortal);
        let again = worker.start(again.keep_alive(0));
        worker.step(again);
        worker.step(again);
        worker.settle();
        assert_eq!(worker.come(again), [], "before the will is on the disk");
        worker.commit();
        worker.next_connack(again);
        let mut worker = worker.crash(Limits::default(), 0);
        worker.commits = true;
        assert_eq!(heard(&mut worker), ["before", "last words"]);
        // The new connection's will is its own.
        worker.advance(60_000);
    }
}

#[test]
fn a_connack_waits_for_the_end_of_the_session_before() {
    let limits = Limits::default();
    let mut worker = Worker::durable(limits.clone(), &Paper::default());
    worker.commits = true;
    let reader = stayer(&mut worker, "reader");
    worker.subscribe(reader, "w", QoS1);
    let mortal = worker.connect(v311("mortal").keep_alive(0).will(will("w", "last words").qos(QoS1)));
    worker.commits = false;
    worker.cut(mortal);
    assert!(worker.is_over(mortal));
    let again = worker.start(v311("mortal").keep_alive(0));
    worker.settle();
    assert_eq!(worker.come(again), []);
    worker.commit();
    worker.next_connack(again);
    // Somebody else need not wait for anything.
    let other = worker.start(v311("other").keep_alive(0));
    worker.settle();
    worker.next_connack(other);
}

#[test]
fn the_will_of_a_new_connection_is_not_taken_for_the_one_before() {
    let (mut worker, _) = departing(v5("mortal"));
    let again = worker.start(v5("mortal").keep_alive(0).will(will("w", "new will").qos(QoS1)));
    worker.settle();
    worker.commit();
    worker.next_connack(again);
    let mut worker = worker.crash(Limits::default(), 0);
    worker.commits = true;
    worker.advance(60_000); // Nobody comes back.
    assert_eq!(heard(&mut worker), ["before", "last words", "new will"]);
}
