//! Queues that are longer than memory: what is on disk alone, and how it comes back.

use whimbrel_engine::{Count, Limits, Notice, QueueFull, store::Reclaimed};
use whimbrel_testkit::{Property, Publish, QoS0, QoS1, QoS2, Subscribe, publish, v5, v311};

use super::{
    paper::Paper,
    store::{guest, returns, stayer},
    worker::{Who, Worker, text},
};

/// Everything that can be on disk alone is, but for the first two messages of a queue.
fn spilling() -> Limits {
    Limits { queues_spill_bytes: 0, queue_kept_messages: 2, ..Limits::default() }
}

fn start(limits: Limits) -> Worker {
    let mut worker = Worker::durable(limits, &Paper::default());
    worker.commits = true;
    worker
}

/// Publishes messages named by their numbers to "t", in turn at QoS 1 and 2.
fn fill(worker: &mut Worker, writer: Who, numbers: std::ops::Range<u16>) {
    for number in numbers {
        let qos = if number % 2 == 0 { QoS2 } else { QoS1 };
        worker.publish(writer, publish("t", number.to_string()).at(qos, number + 1));
        let answers = worker.take(writer);
        worker.acknowledge(writer, &answers);
        worker.settle();
        worker.take(writer);
    }
}

fn names(all: &[Publish]) -> Vec<String> {
    all.iter().map(text).collect()
}

fn numbers(range: std::ops::Range<u16>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// A session that is absent and owed 300 messages, nearly all of them on disk alone.
fn owed(limits: Limits) -> (Worker, Who) {
    let mut worker = start(limits);
    let reader = stayer(&mut worker, "reader");
    worker.subscribe(reader, "t", QoS2);
    worker.cut(reader);
    let writer = guest(&mut worker, "writer");
    fill(&mut worker, writer, 0..300);
    (worker, writer)
}

#[test]
fn what_is_on_disk_alone_comes_back_in_order() {
    let (mut worker, _) = owed(spilling());
    let (messages, bytes) = worker.engine.queued_on_disk();
    assert!((290..300).contains(&messages), "{messages} on disk");
    assert!(bytes > 290 * 3, "{bytes} bytes");
    assert_eq!(worker.engine.queued_messages(), 300);
    assert_eq!(names(&returns(&mut worker, "reader").1), numbers(0..300));
    assert_eq!((worker.engine.queued_messages(), worker.engine.queued_on_disk()), (0, (0, 0)));
}

#[test]
fn a_message_on_disk_alone_costs_64_bytes_of_memory() {
    let (spilled, _) = owed(spilling());
    let (whole, _) = owed(Limits::default());
    let (spilled, whole) = (spilled.engine.messages_bytes(), whole.engine.messages_bytes());
    assert!(whole > 300 * 200, "{whole} bytes");
    assert!(spilled < 300 * 64 + 10 * 300, "{spilled} bytes");
}

#[test]
fn what_comes_while_others_are_on_disk_stands_behind_them() {
    let (mut worker, writer) = owed(spilling());
    let reader = worker.connect(v311("reader").resume().keep_alive(0));
    let mut all = worker.take(reader);
    fill(&mut worker, writer, 300..400);
    worker.acknowledge(reader, &all);
    all.extend(worker.take(reader));
    let first = super::worker::messages(all);
    let rest = worker.consume(reader);
    assert_eq!(names(&[first, rest].concat()), numbers(0..400));
}

#[test]
fn what_is_on_disk_alone_survives_a_crash_and_is_left_there() {
    let (worker, _) = owed(spilling());
    let mut worker = worker.crash(spilling(), usize::MAX);
    worker.commits = true;
    assert!(worker.engine.queued_on_disk().0 >= 298);
    assert_eq!(names(&returns(&mut worker, "reader").1), numbers(0..300));
    // Acknowledged, it is gone for good.
    let mut worker = worker.crash(spilling(), usize::MAX);
    assert_eq!(names(&returns(&mut worker, "reader").1), numbers(0..0));
}

#[test]
fn a_crash_in_the_middle_of_reading_back_loses_nothing() {
    let (mut worker, _) = owed(spilling());
    let reader = worker.connect(v5("reader").resume().expiry(1_000).keep_alive(0).receive_maximum(20));
    let some = worker.take(reader);
    worker.acknowledge(reader, &some);
    worker.settle();
    let had = super::worker::messages(some).len();
    assert!((2..100).contains(&had), "{had} at first");
    let mut worker = worker.crash(spilling(), usize::MAX);
    let again = names(&returns(&mut worker, "reader").1);
    assert!(again.ends_with(&numbers(100..300)), "{again:?}");
}

#[test]
fn cleaning_records_anew_what_is_on_disk_alone() {
    let (mut worker, writer) = owed(spilling());
    let second = stayer(&mut worker, "second");
    worker.subscribe(second, "t", QoS1);
    worker.cut(second);
    fill(&mut worker, writer, 300..400);
    let paper = worker.paper.clone().unwrap();
    let below = paper.end();
    let clean = |worker: &mut Worker| {
        let mut reclaim = worker.engine.begin_reclaim(below);
        while worker.engine.reclaim(&mut worker.turn, &mut reclaim) == Reclaimed::More {}
    };
    clean(&mut worker);
    assert_eq!(paper.live_before(below), 0, "{:?}", paper.needed_before(below));
    paper.commit();
    // A message that two are owed is written once.
    let copies = paper.told(0).iter().filter(|told| told.contains("payload: [51, 53, 48]")).count();
    assert!(copies <= 3, "{copies} times");
    let mut later = Worker::durable(spilling(), &paper.without_before(below));
    later.commits = true;
    assert_eq!(names(&returns(&mut later, "reader").1), numbers(0..400));
    assert_eq!(names(&returns(&mut later, "second").1), numbers(300..400));
    // And the server that cleaned reads from the new places.
    assert_eq!(names(&returns(&mut worker, "reader").1), numbers(0..400));
    assert_eq!(names(&returns(&mut worker, "second").1), numbers(300..400));
}

#[test]
fn a_full_queue_drops_what_is_oldest_wherever_it_is() {
    let limits = Limits { queue_messages_max: 100, ..spilling() };
    let (worker, _) = owed(limits.clone());
    assert_eq!(worker.count(Count::DroppedQueueOldest), 200);
    let mut worker = worker.crash(limits, usize::MAX);
    worker.commits = true;
    assert_eq!(names(&returns(&mut worker, "reader").1), numbers(200..300));
    let newest = Limits { queue_full: QueueFull::DropNewest, queue_messages_max: 100, ..spilling() };
    let (mut worker, _) = owed(newest);
    assert_eq!(names(&returns(&mut worker, "reader").1), numbers(0..100));
}

#[test]
fn the_disk_may_not_have_more_than_the_limit() {
    let limits = Limits { queues_disk_bytes_max: 50, ..spilling() };
    let (mut worker, _) = owed(limits);
    let (_, bytes) = worker.engine.queued_on_disk();
    assert!((40..=50).contains(&bytes), "{bytes} bytes");
    assert!(worker.count(Count::QueuesDiskLimit) > 0);
    assert_eq!(names(&returns(&mut worker, "reader").1), numbers(0..300));
}

#[test]
fn a_session_that_ends_gives_back_what_it_had_on_disk() {
    let (mut worker, _) = owed(spilling());
    worker.connect(v311("reader").keep_alive(0));
    worker.settle();
    assert_eq!((worker.engine.queued_messages(), worker.engine.queued_on_disk()), (0, (0, 0)));
    assert_eq!(worker.paper.as_ref().unwrap().live(), 0);
}

#[test]
fn nothing_is_needed_of_what_has_come_back_and_was_acknowledged() {
    let (mut worker, _) = owed(spilling());
    assert_eq!(returns(&mut worker, "reader").1.len(), 300);
    worker.connect(v311("reader").keep_alive(0));
    worker.settle();
    assert_eq!(worker.paper.as_ref().unwrap().live(), 0);
}

#[test]
fn what_cannot_be_read_is_told_and_not_lost() {
    let (mut worker, _) = owed(spilling());
    let paper = worker.paper.clone().unwrap();
    paper.set_unreadable(true);
    let reader = worker.connect(v311("reader").resume().keep_alive(0));
    let mut all = worker.consume(reader);
    assert!(all.len() < 10, "{} came", all.len());
    assert!(worker.turn.notices.iter().any(|notice| matches!(notice, Notice::Unreadable { .. })));
    assert!(worker.count(Count::ReadBackFailed) > 0);
    paper.set_unreadable(false);
    all.extend(worker.consume(reader));
    assert_eq!(names(&all), numbers(0..300));
}

#[test]
fn a_client_that_leaves_while_its_messages_are_read_finds_them_when_it_is_back() {
    let (mut worker, _) = owed(spilling());
    worker.reads_back = false;
    let reader = worker.connect(v311("reader").resume().keep_alive(0));
    worker.take(reader);
    worker.cut(reader);
    worker.reads_back = true;
    worker.settle();
    let reads = worker.paper.as_ref().unwrap().reads();
    assert_eq!(reads, 0, "for nobody");
    assert_eq!(names(&returns(&mut worker, "reader").1), numbers(0..300));
}

#[test]
fn subscription_identifiers_and_options_come_back_too() {
    let mut worker = start(spilling());
    let connect = || v5("reader").resume().expiry(1_000).keep_alive(0);
    let reader = worker.connect(connect());
    worker.subscribe_with(reader, Subscribe::one(1, "t", QoS1).subscription_id(77));
    worker.cut(reader);
    let writer = guest(&mut worker, "writer");
    fill(&mut worker, writer, 0..50);
    let reader = worker.connect(connect());
    let all = worker.consume(reader);
    assert_eq!(names(&all), numbers(0..50));
    assert!(all.iter().all(|one| one.properties.0 == [Property::SubscriptionId(77)]), "{all:?}");
}

#[test]
fn messages_of_qos_0_do_not_wait_behind_what_is_on_disk() {
    let (mut worker, _) = owed(Limits { queue_qos0: true, ..spilling() });
    let writer = guest(&mut worker, "other");
    worker.publish(writer, publish("t", "zero").at(QoS0, 0));
    assert_eq!(worker.count(Count::DroppedQos0Absent), 1);
    assert_eq!(returns(&mut worker, "reader").1.len(), 300);
}
