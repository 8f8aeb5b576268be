//! Sessions: how a connection meets one and leaves it, what is sent again, how a session ends, and its will.

use std::sync::Arc;

use whimbrel_engine::{
    Attach, Attached, Coming, Count, End, Level, Limits, Standing, Wire,
    proto::{Millis, codec, server::Negotiated},
};
use whimbrel_testkit::{
    Ack, Connect, Disconnect, Packet, Property, Publish, QoS0, QoS1, QoS2, Version, publish, v5, v31, v311,
    will,
};

use super::{
    threads::settle_all,
    wire::Pipe,
    worker::{Who, Worker, text},
};

fn texts(publishes: &[Publish]) -> Vec<String> {
    publishes.iter().map(text).collect()
}

/// Somebody who gets everything.
fn listener(worker: &mut Worker) -> Who {
    let who = worker.connect(v311("listener").keep_alive(0));
    worker.subscribe(who, "#", QoS0);
    who
}

#[test]
fn v5_3_1_4_3_the_old_connection_is_told_that_it_was_taken_over() {
    for (old, told) in [(v5("s"), true), (v311("s"), false), (v31("s"), false)] {
        let mut worker = Worker::new(Limits::default());
        let old = worker.connect(old);
        let (_, ack) = worker.connect_answered(v5("s"));
        assert!(!ack.session_present);
        let expect = if told { vec![Packet::Disconnect(Disconnect::new(0x8e))] } else { vec![] };
        assert_eq!(worker.take(old), expect);
        assert!(worker.is_over(old));
        assert_eq!((worker.count(Count::Takeovers), worker.engine.connected()), (1, 1));
        assert_eq!(worker.engine.sessions(), 1);
    }
}

#[test]
fn a_takeover_waits_until_the_old_owner_has_let_go() {
    let mut first = Worker::in_memory(Limits::default());
    let mut second = Worker::of(&first.engine.clone());
    let old = first.connect(v5("s").persistent());
    first.subscribe(old, "t", QoS1);
    let from = second.connect(v5("p"));
    let new = second.start(v5("s").persistent());
    second.settle();
    assert_eq!(second.standing(new), Some(Standing::Waiting));
    assert_eq!(second.come(new), [], "no CONNACK while the old owner may still act");
    // Meanwhile the session takes messages, and the old connection nothing more.
    assert_eq!(second.say_acked(from, "t", "1"), 0);
    let mut workers = [first, second];
    settle_all(&mut workers);
    let [mut first, mut second] = workers;
    assert_eq!(first.take(old), [Packet::Disconnect(Disconnect::new(0x8e))]);
    let packets = second.take(new);
    assert!(matches!(&packets[0], Packet::ConnAck(ack) if ack.session_present && ack.code == 0));
    assert!(matches!(&packets[1], Packet::Publish(publish) if !publish.dup && text(publish) == "1"));
    assert_eq!(second.engine.connected(), 2);
}

#[test]
fn a_connection_that_gives_up_waiting_leaves_nothing_behind() {
    let mut first = Worker::in_memory(Limits::default());
    let mut second = Worker::of(&first.engine.clone());
    let old = first.connect(v5("s"));
    let (gone, stays) = (second.start(v5("s")), second.start(v5("s")));
    second.settle();
    second.cut(gone);
    assert!(second.is_over(gone));
    let mut workers = [first, second];
    settle_all(&mut workers);
    let [first, mut second] = workers;
    assert!(first.is_over(old));
    assert_eq!(second.next_connack(stays).code, 0);
    assert_eq!((second.engine.connected(), second.engine.sessions()), (1, 1));
}

#[test]
fn of_many_that_wait_for_one_session_the_last_gets_it() {
    let mut worker = Worker::in_memory(Limits::default());
    let all: Vec<Who> = (0..20).map(|_| worker.start(v5("s").persistent())).collect();
    worker.settle();
    let codes: Vec<u8> = all.iter().map(|&who| worker.next_connack(who).code).collect();
    // The first had the session, those between were overtaken while they waited: busy.
    assert_eq!((codes[0], codes[19]), (0, 0));
    assert!(codes[1..19].iter().all(|&code| code == 0x89), "{codes:x?}");
    let told = worker.take(all[0]);
    assert!(matches!(told.as_slice(), [Packet::Disconnect(told)] if told.code == 0x8e), "{told:?}");
    assert!(worker.take(all[19]).is_empty());
    assert_eq!((worker.engine.connected(), worker.engine.sessions()), (1, 1));
}

/// Joins a connection to the session `s` without a conversation.
fn attach(worker: &mut Worker, wire: &Arc<Pipe>) -> Attached {
    let connect = Negotiated {
        version: codec::Version::V5,
        client_id: "s".into(),
        clean_start: false,
        session_expiry_secs: 100,
        session_expiry_capped: false,
        keep_alive_secs: 0,
        keep_alive_imposed: false,
        receive_maximum: 10,
        packet_bytes_max: u32::MAX,
        topic_aliases_max: 0,
        problem_information: true,
        durability: None,
        authentication: None,
    };
    let wire: Arc<dyn Wire> = wire.clone();
    match worker.engine.attach(&mut worker.turn, &connect, &mut Coming::default(), Level::default(), &wire) {
        Attach::Ready(attached) => attached,
        _ => panic!("the session is free"),
    }
}

#[test]
fn what_an_old_connection_still_says_does_not_reach_the_new_one() {
    let mut worker = Worker::in_memory(Limits::default());
    let wires: [Arc<Pipe>; 2] = Default::default();
    let old = attach(&mut worker, &wires[0]);
    let engine = worker.engine.clone();
    engine.detach(&mut worker.turn, old.clone(), End::Lost);
    let new = attach(&mut worker, &wires[1]);
    engine.flush(&mut worker.turn);
    assert!(!wires[1].drain().is_empty(), "CONNACK");

    let (turn, id) = (&mut worker.turn, codec::PacketId::new(1).unwrap());
    engine.ping(turn, &old);
    engine.pubrec(turn, &old, id, codec::ReasonCode::Success);
    engine.pubrel(turn, &old, id);
    engine.puback(turn, &old, id);
    engine.pubcomp(turn, &old, id);
    engine.close(turn, &old, codec::ReasonCode::Success, None);
    engine.writable(turn, &old);
    assert!(engine.attend(turn, &old).closing.is_some(), "the old owner is told to go");
    assert!(engine.detach(turn, old, End::Lost).is_none());
    engine.flush(turn);
    assert!(wires[1].drain().is_empty(), "nothing on the new connection");
    assert_eq!((engine.connected(), engine.attend(turn, &new).closing), (1, None));
}

#[test]
fn v5_4_4_0_1_what_was_in_flight_is_sent_again_within_a_smaller_receive_maximum() {
    let mut worker = Worker::new(Limits::default());
    let first = worker.connect(v5("s").persistent().receive_maximum(10));
    worker.subscribe(first, "t", QoS2);
    let from = worker.connect(v5("p"));
    for number in 0..6_u16 {
        let qos = if number % 2 == 0 { QoS1 } else { QoS2 };
        worker.publish(from, publish("t", number.to_string()).at(qos, 100 + number));
    }
    let sent = worker.messages(first);
    assert_eq!(sent.len(), 6);
    worker.send(first, Packet::PubRec(Ack::new(sent[1].id, 0)));
    worker.cut(first);

    let again = worker.connect(v5("s").persistent().receive_maximum(2));
    worker.come(from);
    worker.say_acked(from, "t", "6");
    let mut order = Vec::new();
    loop {
        let packets = worker.take(again);
        if packets.is_empty() {
            break;
        }
        for packet in &packets {
            match packet {
                Packet::Publish(publish) => {
                    assert_eq!(publish.dup, text(publish) != "6", "{publish}");
                    let same = sent.iter().find(|before| before.payload == publish.payload);
                    assert!(same.is_none_or(|before| before.id == publish.id), "[MQTT-4.4.0-1]");
                    order.push(text(publish));
                }
                Packet::PubRel(ack) if ack.id == sent[1].id => order.push("PUBREL of 1".into()),
                _ => {}
            }
            worker.acknowledge(again, std::slice::from_ref(packet));
        }
        let publishes = packets.iter().filter(|packet| matches!(packet, Packet::Publish(_))).count();
        assert!(publishes <= 2, "{publishes} at once");
    }
    assert_eq!(order, ["0", "PUBREL of 1", "2", "3", "4", "5", "6"]);
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
}

#[test]
fn nothing_new_overtakes_what_is_sent_again() {
    let mut worker = Worker::new(Limits::default());
    let first = worker.connect(v5("s").persistent());
    worker.subscribe(first, "t", QoS1);
    let from = worker.connect(v5("p"));
    for number in 0..3_u16 {
        worker.publish(from, publish("t", number.to_string()).at(QoS1, 100 + number));
    }
    worker.settle();
    worker.cut(first);
    let again = worker.connect(v5("s").persistent().receive_maximum(1));
    worker.say(from, "t", "3 at QoS 0");
    worker.come(from);
    worker.say_acked(from, "t", "4");
    assert_eq!(texts(&worker.consume(again)), ["0", "1", "2", "3 at QoS 0", "4"]);
}

#[test]
fn v5_3_1_2_25_what_is_too_large_for_the_new_connection_is_left_out_and_the_rest_goes_on() {
    for qos in [QoS1, QoS2] {
        let mut worker = Worker::new(Limits::default());
        let first = worker.connect(v5("s").persistent().receive_maximum(3));
        worker.subscribe(first, "t", qos);
        let from = worker.connect(v5("p"));
        let large = "x".repeat(200);
        for (number, payload) in ["1", &large, "2", &large, "3"].into_iter().enumerate() {
            worker.publish(from, publish("t", payload).at(qos, 100 + u16::try_from(number).unwrap()));
            let packets = worker.take(from);
            worker.acknowledge(from, &packets);
        }
        worker.settle();
        worker.cut(first);
        let again = worker.connect(v5("s").persistent().packet_size_max(100).receive_maximum(3));
        let got = worker.consume(again);
        assert_eq!(texts(&got), ["1", "2", "3"]);
        assert_eq!(worker.count(Count::DroppedTooLarge), 2);
        assert_eq!(worker.engine.waiting_bytes(), (0, 0));
        // The receive maximum is whole again.
        for number in 0..3_u16 {
            worker.publish(from, publish("t", number.to_string()).at(qos, 200 + number));
        }
        assert_eq!(worker.messages(again).len(), 3);
    }
}

#[test]
fn v5_3_1_2_4_clean_start_discards_everything() {
    let mut worker = Worker::new(Limits::default());
    let old = worker.connect(v5("s").persistent().receive_maximum(1));
    worker.subscribe(old, "t", QoS2);
    worker.publish(old, publish("elsewhere", "1").at(QoS2, 9));
    let from = worker.connect(v5("p"));
    for number in 0..3_u16 {
        worker.publish(from, publish("t", number.to_string()).at(QoS2, 100 + number));
    }
    worker.cut(old);
    let (new, ack) = worker.connect_answered(v5("s").expiry(100));
    assert!(!ack.session_present);
    assert_eq!(worker.take(new), []);
    assert_eq!((worker.engine.filters(), worker.engine.subscriptions()), (0, 0));
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
    worker.publish(new, publish("elsewhere", "2").at(QoS2, 9));
    assert_eq!(worker.take(new), [Packet::PubRec(Ack::new(9, 0x10))], "a new message, not the old one");
}

#[test]
fn a_session_ends_when_its_expiry_has_passed_and_not_before() {
    let mut worker = Worker::new(Limits::default());
    let who = worker.connect(v5("s").expiry(100).keep_alive(0));
    worker.subscribe(who, "t", QoS1);
    worker.advance(200_000);
    assert_eq!(worker.engine.sessions(), 1, "it does not run while the client is connected");
    worker.cut(who);
    worker.advance(99_999);
    assert_eq!((worker.engine.sessions(), worker.engine.filters()), (1, 1));
    worker.advance(1);
    assert_eq!((worker.engine.sessions(), worker.engine.filters()), (0, 0));
    assert_eq!(worker.count(Count::SessionsExpired), 1);
    assert!(!worker.connect_answered(v5("s").persistent()).1.session_present);
}

#[test]
fn who_comes_and_goes_leaves_no_reminders_behind() {
    let mut worker = Worker::new(Limits::default());
    for _ in 0..10 {
        let who = worker.connect(v5("s").persistent().will(will("w", "1").delay(50)));
        assert_eq!(worker.engine.next_deadline(), Millis::NEVER, "while it is connected");
        worker.cut(who);
        assert_eq!(worker.engine.next_deadline(), worker.turn.now.mono + 50_000);
        worker.advance(10_000);
    }
    worker.connect(v5("s"));
    assert_eq!(worker.engine.next_deadline(), Millis::NEVER);
}

#[test]
fn the_expiry_is_that_of_the_last_word() {
    // What CONNECT asks for, what DISCONNECT says, and how long the session lives.
    for (connect, disconnect, lives) in [
        (v5("s").expiry(100), None, 100),
        (v5("s").expiry(100), Some(10), 10),
        (v5("s").expiry(100), Some(0), 0),
        (v5("s").expiry(100), Some(1_000), 1_000),
        (v5("s").expiry(u32::MAX), None, 604_800),
        (v5("s").expiry(100), Some(u32::MAX), 604_800),
        (v5("s"), None, 0),
        (v311("s"), None, 0),
        (v311("s").resume(), None, 604_800),
        (v31("s").resume(), None, 604_800),
    ] {
        let mut worker = Worker::new(Limits::default());
        let who = worker.connect(connect.keep_alive(0));
        let mut bye = Disconnect::new(0);
        if let Some(seconds) = disconnect {
            bye = bye.with(Property::SessionExpiry(seconds));
        }
        worker.send(who, Packet::Disconnect(bye));
        if lives > 0 {
            worker.advance(lives * 1_000 - 1);
            assert_eq!(worker.engine.sessions(), 1, "{lives}");
            worker.advance(1);
        }
        assert_eq!(worker.engine.sessions(), 0, "{lives}");
    }
}

#[test]
fn v311_a_session_that_5_0_made_is_taken_over_by_3_1_1_and_back() {
    let mut worker = Worker::new(Limits::default());
    let first = worker.connect(v5("s").persistent());
    worker.subscribe(first, "t", QoS1);
    worker.cut(first);
    let from = worker.connect(v5("p"));
    worker.publish(from, publish("t", "1").with(Property::User("a".into(), "b".into())).at(QoS1, 1));
    let (old, ack) = worker.connect_answered(v311("s").persistent());
    assert!(ack.session_present);
    assert_eq!(worker.payloads(old), ["1"]);
    worker.cut(old);
    let (new, ack) = worker.connect_answered(v5("s").persistent());
    assert!(ack.session_present);
    let got = worker.consume(new);
    assert!(got[0].dup);
    assert_eq!(got[0].properties.user(), [("a", "b")]);
}

/// How the client goes, and what becomes of a will with this delay at which second.
fn check_will(connect: Connect, go: impl Fn(&mut Worker, Who), published_after_secs: Option<u64>) {
    let mut worker = Worker::new(Limits::default());
    let listener = listener(&mut worker);
    let who = worker.connect(connect.keep_alive(0));
    worker.advance(500_000);
    assert_eq!(worker.payloads(listener), Vec::<String>::new(), "not while it is connected");
    go(&mut worker, who);
    let mut at = None;
    for second in 0..300 {
        let got = worker.payloads(listener);
        if !got.is_empty() {
            assert_eq!((got, at), (vec!["gone".into()], None));
            at = Some(second);
        }
        worker.advance(1_000);
    }
    assert_eq!(at, published_after_secs);
    assert_eq!(worker.count(Count::WillsPublished), u64::from(at.is_some()));
}

fn cut(worker: &mut Worker, who: Who) {
    worker.cut(who);
}

#[test]
fn v5_3_1_2_8_a_will_is_published_when_its_delay_has_passed_or_the_session_ends() {
    let last = |delay| will("w", "gone").delay(delay);
    check_will(v5("s").will(will("w", "gone")), cut, Some(0));
    check_will(v311("s").will(will("w", "gone")), cut, Some(0));
    check_will(v311("s").persistent().will(will("w", "gone")), cut, Some(0));
    check_will(v5("s").will(last(10)), cut, Some(0)); // The session ends at once.
    check_will(v5("s").expiry(100).will(last(10)), cut, Some(10));
    check_will(v5("s").expiry(100).will(last(100)), cut, Some(100));
    check_will(v5("s").expiry(100).will(last(200)), cut, Some(100));
    check_will(v5("s").expiry(100).will(last(0)), cut, Some(0));
}

#[test]
fn v5_3_14_4_3_disconnect_0_takes_the_will_back_and_4_does_not() {
    for (code, at) in [(0, None), (4, Some(0)), (0x80, Some(0)), (0x98, Some(0))] {
        let go = |worker: &mut Worker, who| worker.disconnect(who, code);
        check_will(v5("s").will(will("w", "gone")), go, at);
        check_will(v5("s").expiry(100).will(will("w", "gone").delay(20)), go, at.map(|_| 20));
    }
    check_will(v311("s").will(will("w", "gone")), |worker, who| worker.disconnect(who, 0), None);
    // DISCONNECT 0x04 that ends the session as well.
    let end_now = |worker: &mut Worker, who| {
        let bye = Disconnect::new(4).with(Property::SessionExpiry(0));
        worker.send(who, Packet::Disconnect(bye));
    };
    check_will(v5("s").expiry(100).will(will("w", "gone").delay(20)), end_now, Some(0));
}

#[test]
fn v5_3_1_3_9_a_client_that_is_back_in_time_is_not_mourned() {
    let with_will = |delay| v5("s").expiry(100).will(will("w", "gone").delay(delay));
    let back = |worker: &mut Worker, who| {
        worker.cut(who);
        worker.advance(9_000);
        worker.connect(v5("s").resume().expiry(100).keep_alive(0));
    };
    check_will(with_will(10), back, None);
    // Nor when it goes again, without a will then.
    let back_and_gone = |worker: &mut Worker, who| {
        worker.cut(who);
        let again = worker.connect(v5("s").resume().expiry(100).keep_alive(0));
        worker.cut(again);
    };
    check_will(with_will(10), back_and_gone, None);
    let too_late = |worker: &mut Worker, who| {
        worker.cut(who);
        worker.advance(5_000);
        worker.connect(v5("s").keep_alive(0)); // Clean Start ends the session.
    };
    check_will(with_will(10), too_late, Some(0));
}

#[test]
fn what_is_due_before_a_client_comes_back_is_done_although_the_reminder_is_late() {
    for (expiry, delay, present) in [(100, 10, true), (10, 10, false), (10, 100, false)] {
        let mut worker = Worker::new(Limits::default());
        let listener = listener(&mut worker);
        let who = worker.connect(v5("s").expiry(expiry).will(will("w", "gone").delay(delay)).keep_alive(0));
        worker.cut(who);
        worker.turn.now.mono = worker.turn.now.mono + 10_000; // Nobody has ticked since.
        let (_, connack) = worker.connect_answered(v5("s").resume().expiry(100).keep_alive(0));
        assert_eq!(connack.session_present, present, "expiry {expiry} delay {delay}");
        assert_eq!(worker.payloads(listener), ["gone"]);
    }
}

#[test]
fn a_takeover_publishes_a_will_without_delay_and_one_whose_session_it_ends() {
    let resume = |worker: &mut Worker, _| {
        worker.connect(v5("s").resume().expiry(100).keep_alive(0));
    };
    let clean = |worker: &mut Worker, _| {
        worker.connect(v5("s").keep_alive(0));
    };
    check_will(v5("s").expiry(100).will(will("w", "gone")), resume, Some(0));
    check_will(v5("s").expiry(100).will(will("w", "gone").delay(10)), resume, None);
    check_will(v5("s").expiry(100).will(will("w", "gone").delay(10)), clean, Some(0));
    check_will(v5("s").will(will("w", "gone").delay(10)), resume, Some(0));
}

#[test]
fn every_connection_has_the_will_that_it_brought() {
    let mut worker = Worker::new(Limits::default());
    let listener = listener(&mut worker);
    let first = worker.connect(v5("s").expiry(100).will(will("w", "first").delay(10)));
    worker.cut(first);
    let second = worker.connect(v5("s").resume().expiry(100).will(will("w", "second")));
    worker.cut(second);
    assert_eq!(worker.payloads(listener), ["second"]);
    let third = worker.connect(v5("s").resume().expiry(100));
    worker.cut(third);
    worker.advance(200_000);
    assert_eq!(worker.payloads(listener), Vec::<String>::new(), "the third brought none");
}

#[test]
fn v5_3_14_4_a_will_may_be_retained_and_expires_from_its_publication() {
    let mut worker = Worker::new(Limits::default());
    let last = will("w", "gone").delay(10).retain().with(Property::MessageExpiry(30));
    let who = worker.connect(v5("s").expiry(100).will(last));
    worker.cut(who);
    worker.advance(20_000);
    assert_eq!(worker.engine.retained().0, 1);
    let late = worker.connect(v5("late"));
    worker.put(late, Packet::Subscribe(whimbrel_testkit::Subscribe::one(1, "w", QoS0)));
    assert_eq!(worker.messages(late)[0].properties.message_expiry(), Some(20));
    worker.advance(20_000);
    assert_eq!(worker.engine.retained().0, 0);
}

#[test]
fn wills_of_everybody_are_published_when_the_server_ends() {
    let mut worker = Worker::new(Limits::default());
    let listener = listener(&mut worker);
    for at in 0..3 {
        worker.connect(v5(&format!("s{at}")).expiry(100).will(will("w", at.to_string()).delay(10)));
    }
    let nobody: Arc<dyn Wire> = Arc::new(Pipe::default());
    let engine = worker.engine.clone();
    assert!(engine.publish_all_wills(&mut worker.turn, &nobody).is_empty());
    let mut got = worker.payloads(listener);
    got.sort_unstable();
    assert_eq!(got, ["0", "1", "2"]);
    assert!(engine.publish_all_wills(&mut worker.turn, &nobody).is_empty());
    assert_eq!(worker.count(Count::WillsPublished), 3, "each once");
}

#[test]
fn a_publisher_may_be_its_own_subscriber() {
    let mut worker = Worker::new(Limits::default());
    let who = worker.connect(v5("s").will(will("t", "gone")));
    worker.subscribe(who, "t", QoS2);
    worker.subscribe(who, "$share/g/t", QoS2);
    for (number, qos) in [(1_u16, QoS1), (2, QoS2)] {
        worker.publish(who, publish("t", number.to_string()).retain().at(qos, number));
        assert_eq!(worker.consume(who).len(), 2);
    }
    worker.say(who, "t", "3");
    assert_eq!(worker.payloads(who), ["3", "3"]);
    worker.cut(who);
    assert_eq!((worker.engine.sessions(), worker.engine.waiting_bytes()), (0, (0, 0)));
}

#[test]
fn v5_4_3_3_10_a_qos_2_message_that_comes_again_on_the_next_connection_is_delivered_once() {
    let mut worker = Worker::new(Limits::default());
    let listener = listener(&mut worker);
    let first = worker.connect(v5("s").persistent());
    worker.publish(first, publish("t", "1").at(QoS2, 9));
    worker.cut(first);
    let again = worker.connect(v5("s").persistent());
    worker.publish(again, publish("t", "1").at(QoS2, 9).dup());
    assert_eq!(worker.take(again), [Packet::PubRec(Ack::new(9, 0))]);
    worker.send(again, Packet::PubRel(Ack::new(9, 0)));
    assert_eq!(worker.take(again), [Packet::PubComp(Ack::new(9, 0))]);
    worker.send(again, Packet::PubRel(Ack::new(9, 0)));
    assert_eq!(worker.take(again), [Packet::PubComp(Ack::new(9, 0x92))]);
    worker.publish(again, publish("t", "2").at(QoS2, 9));
    assert_eq!(worker.payloads(listener), ["1", "2"]);
}

#[test]
fn acknowledgements_of_what_nobody_sent_change_nothing() {
    let mut worker = Worker::new(Limits::default());
    let who = worker.connect(v5("s").receive_maximum(2));
    worker.subscribe(who, "t", QoS2);
    let from = worker.connect(v5("p"));
    for id in [1, 2, 77, 65_535] {
        worker.send(who, Packet::PubAck(Ack::new(id, 0)));
        worker.send(who, Packet::PubComp(Ack::new(id, 0)));
        worker.send(who, Packet::PubRec(Ack::new(id, 0)));
        assert_eq!(worker.take(who), [Packet::PubRel(Ack::new(id, 0x92))]);
        worker.send(who, Packet::PubRec(Ack::new(id, 0x80)));
        assert_eq!(worker.take(who), []);
    }
    for number in 0..3_u16 {
        worker.publish(from, publish("t", number.to_string()).at(QoS1, 1 + number));
    }
    assert_eq!(worker.messages(who).len(), 2, "the receive maximum is what it was");
    // A PUBREC for a message of QoS 1 does not end it, nor does a PUBACK end one of QoS 2.
    worker.send(who, Packet::PubRec(Ack::new(1, 0)));
    worker.take(who);
    assert_eq!(worker.engine.waiting_bytes().0, 2);
    worker.puback(who, 1);
    assert_eq!(worker.messages(who).len(), 1);
}

#[test]
fn assigned_client_identifiers_are_each_of_their_own() {
    let mut worker = Worker::new(Limits::default());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let (_, ack) = worker.connect_answered(v5(""));
        assert!(seen.insert(ack.properties.assigned_client_id().expect("[MQTT-3.2.2-16]")));
    }
    let who = worker.start(Connect::new(Version::V311, ""));
    worker.settle();
    assert_eq!(worker.next_connack(who).code, 0);
    assert_eq!((worker.engine.connected(), worker.engine.sessions()), (51, 51));
}
