//! What a worker remembers of its matches never hides a change: subscriptions and their ends are seen at once by every
//! worker. And what has nothing to do with a change is not forgotten for it.

use std::sync::{Arc, Barrier};

use whimbrel_engine::{Count, Engine, Limits};
use whimbrel_testkit::{Packet, QoS0, QoS1, QoS2, Subscribe, publish, v5};

use super::{
    dice::Dice,
    worker::{Worker, messages, text},
};

fn payloads(worker: &mut Worker, who: usize) -> Vec<String> {
    messages(worker.take(who)).iter().map(text).collect()
}

#[test]
fn every_worker_sees_a_subscription_and_its_end_at_once() {
    let engine = Arc::new(Engine::new(Limits::default(), 1));
    let [mut here, mut there] = [Worker::of(&engine), Worker::of(&engine)];
    let to = here.connect(v5("to"));
    let from = [here.connect(v5("from")), there.connect(v5("other"))];
    for filter in ["a/b/c", "a/+/c", "#", "a/#", "+/b/+", "$share/g/a/b/c", "$share/g/#"] {
        for _ in 0..2 {
            here.say(from[0], "a/b/c", "to nobody");
            there.say(from[1], "a/b/c", "to nobody");
            assert_eq!(here.subscribe(to, filter, QoS1), [1]);
            here.say(from[0], "a/b/c", "1");
            there.say(from[1], "a/b/c", "2");
            assert_eq!(payloads(&mut here, to), ["1", "2"], "{filter}");
            here.unsubscribe(to, filter);
        }
        there.say(from[1], "a/b/c", "to nobody");
        assert_eq!(payloads(&mut here, to), [""; 0], "{filter}");
    }
}

#[test]
fn every_worker_sees_changed_options_at_once() {
    let engine = Arc::new(Engine::new(Limits::default(), 1));
    let [mut here, mut there] = [Worker::of(&engine), Worker::of(&engine)];
    let to = here.connect(v5("to"));
    let from = there.connect(v5("from"));
    for (qos, id) in [(QoS0, 1), (QoS2, 2), (QoS1, 3), (QoS1, 4)] {
        here.subscribe_with(to, Subscribe::one(1, "a", qos).subscription_id(id));
        there.publish(from, publish("a", "x").at(QoS2, u16::try_from(id).unwrap()));
        let packets = there.take(from);
        there.acknowledge(from, &packets);
        let got = here.consume(to).remove(0).expect_qos(qos);
        got.expect_subscription_ids(&[id]);
    }
}

#[test]
fn every_worker_sees_the_end_of_a_session_at_once() {
    let engine = Arc::new(Engine::new(Limits::default(), 1));
    let [mut here, mut there] = [Worker::of(&engine), Worker::of(&engine)];
    let from = there.connect(v5("from"));
    let to = here.connect(v5("to"));
    here.subscribe(to, "a/#", QoS1);
    assert_eq!(there.say_acked(from, "a/b", "1"), 0);
    here.cut(to);
    assert_eq!(there.say_acked(from, "a/b", "2"), 0x10, "nobody is there");
    let again = here.connect(v5("to"));
    here.subscribe(again, "a/#", QoS1);
    assert_eq!(there.say_acked(from, "a/b", "3"), 0);
    assert_eq!(payloads(&mut here, again), ["3"]);
}

#[test]
fn who_subscribes_to_a_topic_of_its_own_flushes_nobody_elses_results() {
    let mut worker = Worker::new(Limits::default());
    let from = worker.connect(v5("from"));
    let others: Vec<String> = (0..50).map(|number| format!("busy/{number}")).collect();
    let publish_all = |worker: &mut Worker| {
        let before = worker.count(Count::MatchCacheMisses);
        for topic in &others {
            worker.put(from, Packet::Publish(publish(topic, "x")));
        }
        worker.settle();
        worker.count(Count::MatchCacheMisses) - before
    };
    assert_eq!(publish_all(&mut worker), 50);
    assert_eq!(publish_all(&mut worker), 0);
    let client = worker.connect(v5("client"));
    worker.subscribe(client, "command/client", QoS1);
    let few = publish_all(&mut worker);
    assert!(few <= 2, "{few} of 50 share a counter of 1,024 with it");
    worker.subscribe(client, "command/+", QoS1);
    assert_eq!(publish_all(&mut worker), 50, "a wildcard may match anything");
}

#[test]
fn more_topics_than_a_cache_takes_are_matched_all_the_same() {
    let mut worker = Worker::new(Limits { match_cache_topics_max: 10, ..Limits::default() });
    let from = worker.connect(v5("from"));
    let to = worker.connect(v5("to"));
    worker.subscribe(to, "t/+", QoS0);
    for _ in 0..3 {
        for number in 0..100 {
            worker.say(from, &format!("t/{number}"), &number.to_string());
        }
        let expect: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(payloads(&mut worker, to), expect);
    }
    assert!(worker.count(Count::MatchCacheMisses) > 200);
    let engine = worker.engine.clone();
    engine.sweep(&mut worker.turn);
    worker.say(from, "t/1", "after a sweep");
    assert_eq!(payloads(&mut worker, to), ["after a sweep"]);
}

#[test]
fn a_subscription_in_the_middle_of_a_look_up_is_not_missed_for_ever() {
    const TIMES: usize = 4_000;
    let engine = Arc::new(Engine::new(Limits::default(), 1));
    let barrier = Barrier::new(2);
    let publisher = |mut worker: Worker| {
        let who = worker.connect(v5("p"));
        for time in 0..TIMES {
            let topic = format!("t/{time}");
            barrier.wait();
            worker.put(who, Packet::Publish(publish(&topic, "early")));
            worker.step(who);
            barrier.wait();
            worker.say(who, &topic, "late");
            barrier.wait();
        }
    };
    let subscriber = |mut worker: Worker| {
        let who = worker.connect(v5("s"));
        let (mut dice, mut missed) = (Dice::new(1), Vec::new());
        for time in 0..TIMES {
            worker.put(who, Packet::Subscribe(Subscribe::one(1, &format!("t/{time}"), QoS0)));
            barrier.wait();
            (0..dice.below(200)).for_each(|_| std::hint::spin_loop());
            worker.step(who);
            barrier.wait();
            barrier.wait();
            if worker.payloads(who).last().is_none_or(|last| last != "late") {
                missed.push(time);
            }
            worker.unsubscribe(who, &format!("t/{time}"));
        }
        missed
    };
    let missed = std::thread::scope(|scope| {
        let (one, other) = (Worker::of(&engine), Worker::of(&engine));
        scope.spawn(move || publisher(one));
        scope.spawn(move || subscriber(other)).join().unwrap()
    });
    assert_eq!(missed, [0; 0]);
}
