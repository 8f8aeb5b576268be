//! What an administrator sees of sessions and does to them: views, slices of the table, kicks.

use std::collections::BTreeSet;

use whimbrel_engine::{Count, Kicked, Limits, SessionView, proto::Millis};
use whimbrel_testkit::{Packet, QoS0, QoS1, QoS2, publish, v5, v311, will};

use super::worker::{Who, Worker};

const ADMINISTRATIVE_ACTION: u8 = 0x98;

#[track_caller]
fn view(worker: &Worker, client_id: &str) -> SessionView {
    worker.engine.session(client_id).and_then(|session| session.view()).expect("there is a session")
}

/// Kicks as the control door does it: with its own turn, which it flushes.
fn kick(worker: &mut Worker, client_id: &str, with_session: bool) -> Option<Kicked> {
    let mut turn = worker.engine.turn();
    turn.now = worker.turn.now;
    let kicked = worker.engine.kick(&mut turn, client_id, with_session);
    worker.engine.flush(&mut turn);
    assert!(!turn.has_output());
    kicked
}

#[track_caller]
fn assert_told_to_go(worker: &mut Worker, who: Who) {
    let farewell = worker.come(who).pop();
    assert!(
        matches!(&farewell, Some(Packet::Disconnect(disconnect)) if disconnect.code == ADMINISTRATIVE_ACTION),
        "{farewell:?}"
    );
    assert!(worker.is_over(who));
}

#[test]
fn a_view_has_what_the_session_and_its_connection_have() {
    let mut worker = Worker::new(Limits::default());
    worker.advance(5_000);
    let last = will("w", "gone").qos(QoS1).delay(7);
    let to = worker.connect(v5("to").keep_alive(60).persistent().receive_maximum(2).will(last));
    worker.subscribe(to, "t/+", QoS2.no_local());
    worker.subscribe(to, "$share/g/s", QoS0);
    let from = worker.connect(v5("from"));
    for number in 1..=5 {
        worker.publish(from, publish("t/a", "x").at(QoS1, number));
    }
    worker.send(to, Packet::Publish(publish("q", "x").at(QoS2, 1)));
    worker.settle();

    let seen = view(&worker, "to");
    assert_eq!((seen.subscriptions, seen.queued_messages, seen.queued_bytes), (2, 3, 3 * 4));
    assert_eq!((seen.inflight_messages, seen.incoming_messages), (2, 1));
    assert!(
        seen.inflight_bytes > 0 && seen.expiry_secs > 0 && seen.expires.is_none() && seen.drops.is_empty()
    );
    let last = seen.will.expect("a will");
    assert_eq!((&*last.topic, last.qos as u8, last.retain, last.delay_secs), ("w", 1, false, 7));
    let connection = seen.connection.expect("a connection");
    assert_eq!(
        (connection.version.level(), connection.keep_alive_secs, connection.receive_maximum),
        (5, 60, 2)
    );
    assert_eq!((connection.since, connection.blocked, connection.closing), (Millis(6_000), false, None));

    let session = worker.engine.session("to").expect("a session");
    let filters = |after, at_most| -> Vec<String> {
        session.subscriptions(after, at_most).iter().map(|one| one.filter.to_string()).collect()
    };
    assert_eq!(filters(None, 9), ["$share/g/s", "t/+"]);
    assert_eq!(filters(None, 1), ["$share/g/s"]);
    assert_eq!(filters(Some("$share/g/s"), 9), ["t/+"]);
    assert_eq!(filters(Some("t/+"), 9), [""; 0]);
    let one = &session.subscriptions(Some("a"), 1)[0];
    assert_eq!((one.qos as u8, one.no_local, one.retain_as_published, one.id), (2, true, false, 0));

    worker.cut(to);
    let seen = view(&worker, "to");
    assert!(seen.connection.is_none());
    let ends = worker.turn.now.mono.plus_secs(seen.expiry_secs.into());
    assert_eq!(seen.expires, Some(ends));
}

#[test]
fn what_a_session_loses_is_counted_by_cause() {
    let limits = Limits { queue_messages_max: 2, link_soft_bytes: 1_000, ..Limits::default() };
    let mut worker = Worker::new(limits);
    let to = worker.connect(v5("to").keep_alive(0).persistent().packet_size_max(3_000));
    worker.subscribe(to, "t", QoS1);
    let from = worker.connect(v5("from").keep_alive(0));
    worker.say(from, "t", &"x".repeat(4_000)); // Larger than the client takes.
    worker.pipe(to).block();
    for _ in 0..3 {
        worker.say(from, "t", &"x".repeat(900)); // The second still fits, the third does not.
    }
    worker.cut(to);
    worker.say(from, "t", "nobody is there");
    for number in 1..=5 {
        worker.publish(from, publish("t", "x").at(QoS1, number)); // Two are kept.
    }
    let seen = view(&worker, "to").drops;
    let expect = [
        (Count::DroppedQos0Blocked, 1),
        (Count::DroppedQos0Absent, 1),
        (Count::DroppedQueueOldest, 3),
        (Count::DroppedTooLarge, 1),
    ];
    assert_eq!(seen, expect);
    for (cause, messages) in expect {
        assert_eq!(worker.count(cause), messages, "{cause:?}");
    }
    assert_eq!(view(&worker, "from").drops, []);
}

#[test]
fn a_walk_through_the_slices_meets_every_session_once() {
    let mut worker = Worker::new(Limits::default());
    let expect: BTreeSet<String> = (0..500).map(|number| format!("c{number}")).collect();
    for id in &expect {
        worker.connect(v5(id));
    }
    let mut seen = Vec::new();
    let mut slice = 0;
    while let Some(sessions) = worker.engine.session_slice(slice) {
        seen.extend(sessions.iter().map(|session| session.client_id().to_owned()));
        slice += 1;
    }
    assert_eq!(seen.len(), 500);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expect);
}

#[test]
fn v5_3_14_2_1_a_kicked_client_is_told_0x98_and_its_will_is_published() {
    let mut worker = Worker::new(Limits::default());
    let watcher = worker.connect(v5("watcher"));
    worker.subscribe(watcher, "w", QoS0);
    let kicked = worker.connect(v5("one").persistent().will(will("w", "gone")));
    worker.subscribe(kicked, "t", QoS1);
    let Some(Kicked::Told(held)) = kick(&mut worker, "one", false) else { panic!("it is connected") };
    assert!(worker.engine.has_connection("one", held));
    worker.settle();
    assert!(!worker.engine.has_connection("one", held) && worker.engine.has_session("one", held));
    assert_told_to_go(&mut worker, kicked);
    assert_eq!(worker.payloads(watcher), ["gone"]);

    let (again, answer) = worker.connect_answered(v5("one").persistent());
    assert!(answer.session_present, "the session stays");
    assert!(!worker.engine.has_connection("one", held), "the new connection is another one");
    worker.say(watcher, "t", "still subscribed");
    assert_eq!(worker.payloads(again), ["still subscribed"]);
}

#[test]
fn v311_a_kicked_client_is_closed_without_a_word() {
    let mut worker = Worker::new(Limits::default());
    let who = worker.connect(v311("one"));
    assert!(matches!(kick(&mut worker, "one", false), Some(Kicked::Told(_))));
    worker.settle();
    assert!(worker.come(who).is_empty() && worker.is_over(who));
}

#[test]
fn a_client_that_is_kicked_with_its_session_leaves_nothing_behind() {
    let mut worker = Worker::new(Limits::default());
    let who = worker.connect(v5("one").persistent());
    worker.subscribe(who, "t", QoS1);
    assert!(matches!(kick(&mut worker, "one", true), Some(Kicked::Told(_))));
    worker.settle();
    assert_told_to_go(&mut worker, who);
    assert_eq!((worker.engine.sessions(), worker.engine.subscriptions(), worker.engine.filters()), (0, 0, 0));
}

#[test]
fn an_absent_session_ends_with_the_next_tick_and_its_will_comes_before_its_time() {
    let mut worker = Worker::new(Limits::default());
    let watcher = worker.connect(v5("watcher").keep_alive(0));
    worker.subscribe(watcher, "w", QoS0);
    let who = worker.connect(v5("one").persistent().will(will("w", "gone").delay(3_600)));
    worker.subscribe(who, "t", QoS1);
    worker.cut(who);
    assert_eq!(kick(&mut worker, "one", false), Some(Kicked::Absent));
    let Some(Kicked::Due(held)) = kick(&mut worker, "one", true) else { panic!("it is absent") };
    assert!(worker.engine.has_session("one", held));
    worker.advance(1);
    assert!(!worker.engine.has_session("one", held));
    assert_eq!(worker.payloads(watcher), ["gone"]);
    assert_eq!((worker.engine.sessions(), worker.engine.subscriptions()), (1, 1));
    assert_eq!(kick(&mut worker, "one", true), None);
    assert_eq!(worker.engine.next_deadline(), Millis::NEVER, "no reminder is left");
}
