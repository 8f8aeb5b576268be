//! A message to very many: done in slices, with everybody else served in between, and never left half done.

use whimbrel_engine::{Count, Limits, Standing};
use whimbrel_testkit::{Packet, Publish, QoS0, QoS1, QoS2, Subscribe, publish, v5, v311};

use super::{
    crowd::Crowd,
    worker::{Who, Worker, text},
};

/// Receivers of one slice.
const SLICE: u64 = 1_000;

fn numbered(number: u32) -> Publish {
    publish("t", number.to_be_bytes())
}

/// Goes round by round while this publisher is at work; tells how many rounds that took and the most that one did.
fn rounds_of(worker: &mut Worker, from: Who) -> (usize, u64) {
    let (mut rounds, mut most) = (0, 0);
    loop {
        let before = worker.count(Count::PublishSent);
        worker.round();
        most = most.max(worker.count(Count::PublishSent) - before);
        if worker.standing(from) != Some(Standing::Working) {
            return (rounds, most);
        }
        rounds += 1;
    }
}

#[test]
fn a_hundred_thousand_receivers_do_not_stall_the_others() {
    let mut worker = Worker::new(Limits::default());
    let crowd = Crowd::gather(&mut worker, 100_000);
    assert_eq!(worker.engine.filters(), 100_000);
    let from = worker.connect(v5("from"));
    let [one, two] = ["one", "two"].map(|id| worker.connect(v5(id)));
    worker.subscribe(two, "small", QoS1);

    worker.put(from, Packet::Publish(numbered(1).at(QoS1, 7)));
    worker.put(from, Packet::Publish(numbered(2)));
    worker.round();
    assert_eq!(worker.standing(from), Some(Standing::Working));
    // Half way through, others talk to each other.
    for turn in 0..20 {
        worker.put(one, Packet::Publish(publish("small", turn.to_string())));
        worker.put(one, Packet::PingReq);
        worker.round();
        worker.round();
        let got: Vec<String> = super::worker::messages(worker.come(two)).iter().map(text).collect();
        assert_eq!(got, [turn.to_string()]);
        assert_eq!(worker.come(one), [Packet::PingResp]);
        assert_eq!(worker.come(from), [], "acknowledged when everybody has it");
    }
    let (rounds, most) = rounds_of(&mut worker, from);
    assert!((50..=200).contains(&rounds), "{rounds} rounds for the rest of the two");
    assert!(most <= SLICE, "{most} in one round");
    worker.settle();
    assert_eq!(crowd.count_with(2, 2), 100_000);
    assert!(matches!(&worker.take(from)[..], [Packet::PubAck(ack)] if ack.id == 7 && ack.code == 0));
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
    crowd.leave(&mut worker);
    assert_eq!((worker.engine.filters(), worker.engine.sessions()), (1, 3));
}

#[test]
fn a_publisher_that_is_cut_in_the_middle_still_reaches_everybody() {
    for qos in [QoS0, QoS1, QoS2] {
        let mut worker = Worker::new(Limits::default());
        let crowd = Crowd::gather(&mut worker, 5_000);
        let from = worker.connect(v5("from").persistent());
        worker.put(from, Packet::Publish(numbered(1).at(qos, 7)));
        worker.round();
        assert_eq!(worker.standing(from), Some(Standing::Working));
        worker.put_cut(from);
        worker.round();
        assert!(!worker.is_over(from));
        assert!(crowd.count_with(1, 1) < 5_000);
        // A new connection of the same client waits until the old one has done its duty.
        let again = worker.start(v5("from").persistent());
        worker.settle();
        assert!(worker.is_over(from));
        assert_eq!(crowd.count_with(1, 1), 5_000);
        assert_eq!(worker.next_connack(again).code, 0);
        // At QoS 2 the message was taken, and comes again in vain.
        worker.publish(again, numbered(9).at(qos, 7));
        let expect = if qos as u8 == 2 { (1, 1) } else { (2, 9) };
        assert_eq!(crowd.count_with(expect.0, expect.1), 5_000, "{qos:?}");
    }
}

#[test]
fn a_publisher_that_leaves_in_the_middle_has_its_will_after_its_message() {
    let mut worker = Worker::new(Limits::default());
    let crowd = Crowd::gather(&mut worker, 5_000);
    let mut last = whimbrel_testkit::will("t", 2_u32.to_be_bytes());
    last.retain = true;
    let from = worker.connect(v5("from").will(last));
    worker.put(from, Packet::Publish(numbered(1).retain()));
    worker.round();
    worker.put_cut(from);
    worker.settle();
    assert_eq!(crowd.count_with(2, 2), 5_000);
    assert!(worker.is_over(from));
    assert_eq!(worker.engine.retained().0, 1);
}

#[test]
fn a_publisher_that_is_taken_over_in_the_middle_still_reaches_everybody() {
    let mut worker = Worker::new(Limits::default());
    let crowd = Crowd::gather(&mut worker, 5_000);
    let from = worker.connect(v5("from"));
    worker.put(from, Packet::Publish(numbered(1).at(QoS1, 7)));
    worker.put(from, Packet::Publish(numbered(2).at(QoS1, 8)));
    worker.round();
    let newer = worker.connect(v5("from"));
    assert!(worker.is_closed(from));
    assert_eq!(crowd.count_with(1, 1), 5_000, "what was begun is done, what was not read is not");
    worker.publish(newer, numbered(3));
    assert_eq!(crowd.count_with(2, 3), 5_000);
}

#[test]
fn a_second_publisher_of_a_retained_topic_waits_for_the_first() {
    let mut worker = Worker::in_memory(Limits::default());
    let crowd = Crowd::gather(&mut worker, 5_000);
    let [first, second, third] = ["first", "second", "third"].map(|id| worker.connect(v5(id)));
    worker.put(first, Packet::Publish(numbered(1).retain()));
    worker.round();
    worker.put(second, Packet::Publish(numbered(2).retain().at(QoS1, 1)));
    worker.put(second, Packet::Publish(publish("quick", "behind it")));
    worker.put(third, Packet::Publish(publish("quick", "1").retain().at(QoS1, 2)));
    worker.round();
    assert_eq!(worker.standing(second), Some(Standing::Waiting));
    assert_eq!(worker.standing(first), Some(Standing::Working));
    assert_ne!(worker.come(third), [], "another topic does not wait");
    assert!(matches!(&worker.take(second)[..], [Packet::PubAck(ack)] if ack.id == 1));
    let late = worker.connect(v5("late"));
    let (_, kept) = worker.subscribe_with(late, Subscribe::one(1, "t", QoS0));
    assert_eq!(kept[0].payload, 2_u32.to_be_bytes(), "the value that everybody ended with");
    assert_eq!(crowd.count_with(2, 2), 5_000);
}

#[test]
fn a_publisher_that_is_cut_while_it_waits_for_a_topic_is_heard_all_the_same() {
    let mut worker = Worker::new(Limits::default());
    let crowd = Crowd::gather(&mut worker, 5_000);
    let [first, second] = ["first", "second"].map(|id| worker.connect(v5(id)));
    worker.put(first, Packet::Publish(numbered(1).retain()));
    worker.round();
    worker.put(second, Packet::Publish(numbered(2).retain()));
    worker.round();
    assert_eq!(worker.standing(second), Some(Standing::Waiting));
    worker.put_cut(second);
    worker.put_cut(first);
    worker.settle();
    assert_eq!(crowd.count_with(2, 2), 5_000);
    assert!(worker.is_over(first) && worker.is_over(second));
}

#[test]
fn many_publishers_of_one_retained_topic_have_their_turn_in_the_end() {
    let mut worker = Worker::new(Limits::default());
    let listener = worker.connect(v5("listener"));
    worker.subscribe(listener, "t", QoS0);
    let many: Vec<Who> = (0..1_200).map(|at| worker.start(v311(&format!("c{at}")))).collect();
    for who in many {
        worker.put(who, Packet::Subscribe(Subscribe::one(1, "t", QoS0)));
    }
    worker.settle();
    let all: Vec<Who> = (0..30).map(|at| worker.connect(v5(&format!("p{at}")))).collect();
    for (number, who) in all.iter().enumerate() {
        worker.put(*who, Packet::Publish(publish("t", number.to_string()).retain().at(QoS1, 1)));
    }
    worker.settle();
    for who in all {
        assert_eq!(worker.come(who).len(), 1, "its PUBACK");
    }
    let got = worker.messages(listener);
    assert_eq!(got.len(), 30);
    let late = worker.connect(v5("late"));
    let (_, kept) = worker.subscribe_with(late, Subscribe::one(1, "t", QoS0));
    assert_eq!(kept[0].payload, got[29].payload, "the last that was delivered is the one that is kept");
}

#[test]
fn many_small_fan_outs_in_one_read_are_bounded_too() {
    let mut worker = Worker::new(Limits::default());
    let crowd = Crowd::gather(&mut worker, 900);
    let from = worker.connect(v5("from"));
    for number in 1..=100 {
        worker.put(from, Packet::Publish(numbered(number)));
    }
    let mut most = 0;
    loop {
        let before = worker.count(Count::PublishSent);
        let busy = worker.round();
        most = most.max(worker.count(Count::PublishSent) - before);
        if !busy {
            break;
        }
    }
    assert!(most <= 2 * SLICE, "{most} in one round");
    assert_eq!(crowd.count_with(100, 100), 900);
}

#[test]
fn v5_3_10_4_2_who_has_unsubscribed_gets_nothing_more_of_a_fan_out_under_way() {
    for filter in ["t", "+"] {
        let mut worker = Worker::new(Limits::default());
        let crowd = Crowd::gather(&mut worker, 3_000);
        // Last in turn, and one of them subscribed twice.
        let [gone, twice, stays] = ["gone", "twice", "stays"].map(|id| worker.connect(v5(id)));
        for who in [gone, twice, stays] {
            worker.subscribe(who, filter, QoS1);
        }
        worker.subscribe(twice, "t/#", QoS1);
        let from = worker.connect(v5("from"));
        worker.put(from, Packet::Publish(numbered(1).at(QoS1, 7)));
        worker.round();
        assert_eq!(worker.standing(from), Some(Standing::Working));
        for who in [gone, twice] {
            worker.put_unsubscribe(who, filter);
        }
        worker.round();
        assert_eq!(worker.standing(from), Some(Standing::Working), "the fan-out is still under way");
        worker.settle();
        assert!(matches!(&worker.come(gone)[..], [Packet::UnsubAck(_)]), "{filter}");
        assert_eq!(worker.come(twice).len(), 2, "its other subscription still matches");
        assert_eq!(worker.messages(stays).len(), 1);
        assert_eq!(crowd.count_with(1, 1), 3_000);
        crowd.leave(&mut worker);
    }
}
