//! `$SYS`: which values go out, and to whom; who may publish there.

use std::sync::Arc;

use whimbrel_engine::{Count, Limits, Wire, store::Trouble};
use whimbrel_testkit::{QoS0, QoS1, Subscribe, v5, v311, will};

use super::{
    paper::Paper,
    wire::Pipe,
    worker::{Who, Worker, text},
};

const UPTIME: &str = "$SYS/broker/uptime";
const STORED: &str = "$SYS/broker/messages/stored";

/// Lets ten seconds pass and brings what has changed to the subscribers; tells how many messages that were.
fn tick(worker: &mut Worker) -> usize {
    worker.advance(10_000);
    let nobody: Arc<dyn Wire> = Arc::new(Pipe::default());
    let publishing = worker.engine.clone().sys_tick(&mut worker.turn, &nobody);
    let count = publishing.len();
    for next in publishing {
        assert!(next.is_waiting(), "the caller lets others run between two values");
        worker.go_on(next);
    }
    worker.settle();
    count
}

fn reader(worker: &mut Worker, filter: &str) -> (Who, Vec<(String, String)>) {
    let who = worker.connect(v5("reader").keep_alive(0).persistent());
    let (_, came) = worker.subscribe_with(who, Subscribe::one(1, filter, QoS1));
    (who, came.iter().map(|message| (message.topic.clone(), text(message))).collect())
}

fn topics(worker: &mut Worker, who: Who) -> Vec<String> {
    worker.messages(who).into_iter().map(|message| message.topic).collect()
}

#[test]
fn only_values_that_have_changed_go_out_and_only_where_somebody_wants_them() {
    let mut worker = Worker::new(Limits::default());
    assert_eq!(tick(&mut worker), 0, "nobody has subscribed");
    let (who, came) = reader(&mut worker, UPTIME);
    assert_eq!(came, [(UPTIME.into(), "0 seconds".into())]);
    let version = "$SYS/broker/version";
    assert_eq!(worker.subscribe_with(who, Subscribe::one(2, version, QoS0)).1.len(), 1);
    for _ in 0..5 {
        assert_eq!(tick(&mut worker), 1);
        assert_eq!(topics(&mut worker, who), [UPTIME]);
    }
    worker.unsubscribe(who, UPTIME);
    assert_eq!(tick(&mut worker), 0);
}

#[test]
fn now_and_then_all_values_go_out() {
    let mut worker = Worker::new(Limits::default());
    let (who, _) = reader(&mut worker, "$SYS/broker/version");
    let went: Vec<usize> = (0..20).map(|_| tick(&mut worker)).collect();
    assert_eq!(went.iter().sum::<usize>(), 2, "{went:?}");
    assert_eq!(topics(&mut worker, who).len(), 2);
}

#[test]
fn who_has_subscribed_meanwhile_learns_that_a_value_is_as_before() {
    let mut worker = Worker::new(Limits::default());
    let connected = "$SYS/broker/clients/connected";
    let (first, _) = reader(&mut worker, connected);
    assert_eq!(tick(&mut worker), 0, "the value that came with SUBSCRIBE holds");
    let guest = worker.connect(v5("guest").keep_alive(0));
    let late = worker.connect(v5("late").keep_alive(0));
    let (_, came) = worker.subscribe_with(late, Subscribe::one(1, connected, QoS0));
    assert_eq!(text(&came[0]), "3");
    worker.disconnect(guest, 0);
    worker.disconnect(late, 0);
    let late = worker.connect(v5("late").keep_alive(0));
    let (_, came) = worker.subscribe_with(late, Subscribe::one(1, connected, QoS0));
    assert_eq!(text(&came[0]), "2");
    assert_eq!(tick(&mut worker), 1);
    assert_eq!((worker.payloads(first), worker.payloads(late)), (vec!["2".into()], vec!["2".into()]));
}

#[test]
fn the_values_fill_no_queue_of_a_client_that_is_away() {
    let mut worker = Worker::new(Limits::default());
    let (who, _) = reader(&mut worker, "$SYS/#");
    worker.cut(who);
    for _ in 0..3 {
        assert!(tick(&mut worker) > 0, "its subscription stands");
    }
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
    let who = worker.connect(v5("reader").keep_alive(0).persistent());
    assert_eq!(worker.payloads(who), [""; 0]);
}

#[test]
fn stored_messages_are_the_retained_and_the_queued_ones() {
    let mut worker = Worker::new(Limits::default());
    let (who, came) = reader(&mut worker, STORED);
    assert_eq!(came, [(STORED.into(), "0".into())]);
    let away = worker.connect(v5("away").persistent());
    worker.subscribe(away, "a", QoS1);
    worker.cut(away);
    for _ in 0..3 {
        worker.say_acked(who, "a", "x");
    }
    worker.publish(who, whimbrel_testkit::publish("kept", "x").retain());
    tick(&mut worker);
    assert_eq!(worker.payloads(who), ["4"]);
    let away = worker.connect(v5("away").persistent());
    assert_eq!(worker.consume(away).len(), 3);
    tick(&mut worker);
    assert_eq!(worker.payloads(who), ["1"]);
}

#[test]
fn the_store_tells_how_it_does_where_there_is_one() {
    let mut worker = Worker::in_memory(Limits::default());
    let store =
        |came: &[(String, String)]| came.iter().filter(|(topic, _)| topic.contains("/store/s")).count();
    assert_eq!(store(&reader(&mut worker, "$SYS/#").1), 0);
    let mut worker = Worker::durable(Limits::default(), &Paper::default());
    worker.commits = true;
    let (who, came) = reader(&mut worker, "$SYS/broker/store/#");
    let value = |name: &str| {
        let topic = format!("$SYS/broker/store/{name}");
        came.iter().find(|(known, _)| *known == topic).map(|(_, value)| value.as_str())
    };
    assert_eq!([value("state"), value("alarms")], [Some("running"), Some("0")]);
    for name in
        ["syncs", "commit/micros/median", "commit/micros/99percent", "commit/bytes", "bytes", "live/bytes"]
    {
        assert!(value(name).is_some_and(|value| value.parse::<u64>().is_ok()), "{name}");
    }
    assert!(value("staged/bytes").is_some_and(|value| value != "0"));
    for (trouble, state) in [(Trouble::Full, "full"), (Trouble::Failed, "failed")] {
        worker.paper.as_ref().unwrap().set_trouble(Some(trouble));
        tick(&mut worker);
        let told = worker.messages(who);
        let told = |name: &str| told.iter().find(|one| one.topic.ends_with(name)).map(text);
        assert_eq!(told("store/state").as_deref(), Some(state));
    }
    assert_eq!(tick(&mut worker), 0, "nothing has changed");
    worker.paper.as_ref().unwrap().set_trouble(None);
    tick(&mut worker);
    let alarms = worker.messages(who).into_iter().find(|one| one.topic.ends_with("store/alarms"));
    assert_eq!(alarms.map(|one| text(&one)).as_deref(), Some("0"));
}

#[test]
fn v5_4_7_2_a_will_is_refused_under_sys_and_nowhere_else() {
    for (topic, published) in [("$SYSTEM/x", true), ("$SYS/x", false), ("$SYS", false), ("$SYSx", true)] {
        let mut worker = Worker::new(Limits::default());
        let sub = worker.connect(v311("sub"));
        worker.subscribe(sub, topic, QoS0);
        let mortal = worker.connect(v5("mortal").will(will(topic, "gone")));
        worker.cut(mortal);
        assert_eq!(worker.payloads(sub).len(), usize::from(published), "{topic}");
        assert_eq!(worker.count(Count::WillsPublished), u64::from(published));
        assert_eq!(worker.count(Count::RefusedReservedTopic), u64::from(!published));
    }
}
