//! The limits that are not a queue's and not a blocked link's: connections, subscriptions, retained messages, messages
//! in flight.

use whimbrel_engine::{Count, Limits, Notice, proto::server};
use whimbrel_testkit::{Packet, QoS0, QoS1, QoS2, Subscribe, publish, v5, v31, v311, will};

use super::worker::{Who, Worker, text};

#[test]
fn connections_have_a_limit_and_one_that_ends_makes_room() {
    let mut worker = Worker::new(Limits { connections_max: 2, ..Limits::default() });
    let first = worker.connect(v5("a"));
    worker.connect(v5("b"));
    for (connect, code) in [(v5("c"), 0x97), (v311("c"), 3), (v31("c"), 3)] {
        let refused = worker.start(connect);
        worker.settle();
        assert_eq!(worker.next_connack(refused).code, code);
        assert!(worker.is_closed(refused));
    }
    assert_eq!((worker.count(Count::ConnectionsLimit), worker.count(Count::ConnectRefused)), (3, 3));
    assert_eq!((worker.engine.connected(), worker.engine.sessions()), (2, 2));
    worker.disconnect(first, 0);
    worker.connect(v5("c"));
    assert_eq!((worker.engine.connected(), worker.engine.sessions()), (2, 2));
}

#[test]
fn a_client_that_comes_back_is_let_in_although_all_connections_are_taken() {
    let mut worker = Worker::new(Limits { connections_max: 2, ..Limits::default() });
    let old = worker.connect(v5("a").persistent());
    worker.connect(v5("b"));
    let (_, ack) = worker.connect_answered(v5("a").persistent());
    assert!(ack.session_present);
    assert!(worker.is_closed(old));
    assert_eq!((worker.engine.connected(), worker.count(Count::Takeovers)), (2, 1));
    assert_eq!(worker.count(Count::ConnectionsLimit), 0);
}

#[test]
fn a_connect_that_the_limit_refuses_leaves_the_session_as_it_was() {
    let mut worker = Worker::new(Limits { connections_max: 1, ..Limits::default() });
    let old = worker.connect(v5("a").persistent());
    worker.subscribe(old, "t", QoS1);
    worker.disconnect(old, 0);
    let other = worker.connect(v5("b"));
    let refused = worker.start(v5("a")); // Clean Start
    worker.settle();
    assert_eq!(worker.next_connack(refused).code, 0x97);
    assert_eq!((worker.engine.connected(), worker.engine.sessions()), (1, 2));
    worker.disconnect(other, 0);
    let (_, ack) = worker.connect_answered(v5("a").persistent());
    assert!(ack.session_present);
    assert_eq!(worker.engine.filters(), 1);
}

#[test]
fn subscriptions_of_a_session_have_a_limit() {
    for (connect, refused) in [(v5("s"), 0x97), (v311("s"), 0x80), (v31("s"), 0)] {
        let mut worker = Worker::new(Limits { subscriptions_max: 2, ..Limits::default() });
        let who = worker.connect(connect);
        let three = Subscribe::one(1, "a", QoS1).and("b", QoS0).and("c", QoS2);
        assert_eq!(worker.subscribe_with(who, three).0.codes, [1, 0, refused]);
        assert_eq!(worker.count(Count::SubscriptionsLimit), 1);
        assert_eq!((worker.engine.subscriptions(), worker.engine.filters()), (2, 2));
        assert_eq!(worker.subscribe(who, "a", QoS2), [2], "one that is there already may be changed");
        worker.say(who, "c", "1");
        assert_eq!(worker.payloads(who), Vec::<String>::new());
        worker.unsubscribe(who, "b");
        assert_eq!(worker.subscribe(who, "c", QoS0), [0]);
        worker.disconnect(who, 0);
        assert_eq!((worker.engine.subscriptions(), worker.engine.filters()), (0, 0));
    }
}

#[test]
fn retained_messages_have_a_limit_of_number() {
    let mut worker = Worker::new(Limits { retained_messages_max: 2, ..Limits::default() });
    let from = worker.connect(v5("p"));
    let live = worker.connect(v5("live"));
    worker.subscribe(live, "#", QoS0);
    for topic in ["a", "b", "c", "a"] {
        worker.publish(from, publish(topic, "12").retain());
    }
    assert_eq!(worker.engine.retained(), (2, 6));
    assert_eq!(worker.count(Count::RetainedLimit), 1);
    assert_eq!(worker.notices(), [Notice::RetainedFull { topic: "c".into() }]);
    assert_eq!(worker.messages(live).len(), 4, "it is delivered all the same");
    worker.publish(from, publish("b", "").retain());
    worker.publish(from, publish("c", "12").retain());
    let late = worker.connect(v5("late"));
    let (_, kept) = worker.subscribe_with(late, Subscribe::one(1, "#", QoS0));
    let mut topics: Vec<_> = kept.iter().map(|publish| publish.topic.as_str()).collect();
    topics.sort_unstable();
    assert_eq!(topics, ["a", "c"]);
    for topic in ["a", "c", "d"] {
        worker.publish(from, publish(topic, "").retain());
    }
    assert_eq!(worker.engine.retained(), (0, 0));
}

#[test]
fn retained_messages_have_a_limit_of_bytes() {
    let mut worker = Worker::new(Limits { retained_bytes_max: 20, ..Limits::default() });
    let from = worker.connect(v5("p"));
    for (topic, payload) in [("a", "123456789"), ("b", "123456789"), ("c", ""), ("a", "1234567890")] {
        worker.publish(from, publish(topic, payload).retain());
    }
    // What cannot be kept has replaced the old message all the same: nobody gets a stale one.
    assert_eq!((worker.engine.retained(), worker.count(Count::RetainedLimit)), ((1, 10), 1));
    worker.publish(from, publish("b", "12345678").retain());
    worker.publish(from, publish("a", "1234567890").retain());
    assert_eq!((worker.engine.retained(), worker.count(Count::RetainedLimit)), ((2, 20), 1));
    let late = worker.connect(v5("late"));
    let (_, kept) = worker.subscribe_with(late, Subscribe::one(1, "a", QoS0));
    assert_eq!(kept.iter().map(text).collect::<Vec<_>>(), ["1234567890"]);
}

#[test]
fn a_retained_message_without_room_is_refused_where_the_version_can_say_so() {
    for qos in [QoS1, QoS2] {
        let mut worker =
            Worker::new(Limits { retained_messages_max: 1, retained_bytes_max: 20, ..Limits::default() });
        let [new, old] = [v5("new"), v311("old")].map(|connect| worker.connect(connect));
        let live = worker.connect(v5("live"));
        worker.subscribe(live, "#", QoS0);
        worker.publish(new, publish("a", "kept").at(qos, 1).retain());
        worker.take(new);
        worker.take(live);
        for (topic, payload) in [("b", "1".to_owned()), ("a", "x".repeat(30))] {
            worker.publish(new, publish(topic, payload).at(qos, 2).retain());
            let answers = worker.take(new);
            assert!(
                matches!(&answers[..], [Packet::PubAck(ack) | Packet::PubRec(ack)] if ack.id == 2 && ack.code == 0x97),
                "{answers:?}"
            );
            assert_eq!(worker.take(live), [], "nobody gets what is refused");
        }
        assert_eq!((worker.engine.retained(), worker.count(Count::RetainedLimit)), ((1, 5), 2));
        worker.publish(old, publish("b", "1").at(qos, 2).retain());
        assert_eq!((worker.take(old).len(), worker.messages(live).len()), (1, 1), "3.1.1 has no word for it");
        assert_eq!((worker.engine.retained(), worker.count(Count::RetainedLimit)), ((1, 5), 3));
        // The refused identifier is free again, and so is the quota.
        worker.publish(new, publish("a", "new").at(qos, 2).retain());
        assert!(
            matches!(&worker.take(new)[..], [Packet::PubAck(ack) | Packet::PubRec(ack)] if ack.code == 0)
        );
        assert_eq!(worker.engine.retained(), (1, 4));
    }
}

#[test]
fn an_expired_retained_message_gives_its_room_back() {
    let mut worker = Worker::new(Limits { retained_messages_max: 1, ..Limits::default() });
    let from = worker.connect(v5("p").keep_alive(0));
    worker.publish(from, publish("a", "1").retain().expiry(10));
    worker.publish(from, publish("a", "2").retain().expiry(20));
    worker.advance(10_000);
    assert_eq!((worker.engine.retained().0, worker.count(Count::RetainedExpired)), (1, 0));
    worker.advance(10_000);
    assert_eq!((worker.engine.retained(), worker.count(Count::RetainedExpired)), ((0, 0), 1));
    worker.publish(from, publish("b", "1").retain());
    assert_eq!((worker.engine.retained().0, worker.count(Count::RetainedLimit)), (1, 0));
}

#[test]
fn v5_3_3_4_9_no_more_is_in_flight_than_the_client_and_the_server_allow() {
    let few = server::Limits { inflight_max: 3, ..server::Limits::default() };
    for (connect, expect) in [
        (v5("s").receive_maximum(2), 2),
        (v5("s").receive_maximum(100), 3),
        (v5("s"), 3),
        (v311("s"), 3),
        (v31("s"), 3),
    ] {
        let mut worker = Worker::new(Limits { connection: few.clone(), ..Limits::default() });
        let who = worker.connect(connect);
        worker.subscribe(who, "t", QoS2);
        let from = worker.connect(v5("p"));
        for number in 0..10_u16 {
            let qos = if number % 2 == 0 { QoS1 } else { QoS2 };
            worker.publish(from, publish("t", number.to_string()).at(qos, 100 + number));
        }
        let mut got = Vec::new();
        let mut open = 0_usize;
        loop {
            let packets = worker.take(who);
            let fresh = super::worker::messages(packets.clone());
            open += fresh.len();
            assert!(open <= expect, "{open} in flight");
            got.extend(fresh.iter().map(text));
            // One answer after the other: each lets at most one message go.
            let Some((first, rest)) = packets.split_first() else { break };
            for packet in std::iter::once(first).chain(rest) {
                worker.acknowledge(who, std::slice::from_ref(packet));
            }
            open -= packets.iter().filter(|packet| ends_delivery(packet)).count();
        }
        assert_eq!(got, (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!(worker.engine.waiting_bytes(), (0, 0));
    }
}

/// Whether the client's answer to this packet ends a delivery.
fn ends_delivery(packet: &whimbrel_testkit::Packet) -> bool {
    use whimbrel_testkit::Packet;
    matches!(packet, Packet::PubRel(_)) || matches!(packet, Packet::Publish(publish) if publish.qos == 1)
}

#[test]
fn sessions_have_a_limit_whether_they_have_a_connection_or_not() {
    let mut worker = Worker::new(Limits { sessions_max: 2, ..Limits::default() });
    let first = worker.connect(v5("a").persistent());
    worker.cut(first);
    let second = worker.connect(v5("b"));
    let refused = worker.start(v5("c"));
    worker.settle();
    assert_eq!(worker.next_connack(refused).code, 0x97);
    assert_eq!(worker.count(Count::SessionsLimit), 1);
    assert_eq!((worker.engine.connected(), worker.engine.sessions()), (1, 2));
    // Who has a session comes back to it, or to a new one in its place.
    assert!(worker.connect_answered(v5("a").persistent()).1.session_present);
    assert!(!worker.connect_answered(v5("a")).1.session_present);
    worker.disconnect(second, 0);
    worker.connect(v5("c"));
    assert_eq!((worker.engine.connected(), worker.engine.sessions()), (2, 2));
}

#[test]
fn all_subscriptions_together_have_a_limit_of_number_and_of_bytes() {
    for limits in [
        Limits { subscriptions_total_max: 2, ..Limits::default() },
        Limits { filter_bytes_total_max: 12, ..Limits::default() },
    ] {
        let mut worker = Worker::new(limits);
        let [a, b] = ["a", "b"].map(|id| worker.connect(v5(id)));
        assert_eq!(worker.subscribe(a, "five5", QoS1), [1]);
        assert_eq!(worker.subscribe(b, "seven77", QoS1), [1]);
        assert_eq!(worker.subscribe(b, "x", QoS1), [0x97]);
        assert_eq!(worker.count(Count::SubscriptionsTotalLimit), 1);
        assert_eq!(worker.subscribe(b, "seven77", QoS2), [2], "one that is there already may be changed");
        worker.unsubscribe(a, "five5");
        assert_eq!(worker.subscribe(b, "x", QoS1), [1]);
        worker.disconnect(b, 0);
        assert_eq!(worker.subscribe(a, "five5", QoS1), [1], "what an ended session had is free");
        assert_eq!((worker.engine.subscriptions(), worker.engine.filters()), (1, 1));
    }
}

#[test]
fn what_clients_do_not_acknowledge_counts_towards_the_memory_of_all() {
    let mut worker = Worker::new(Limits { queues_bytes_max: 100_000, ..Limits::default() });
    let from = worker.connect(v5("p").keep_alive(0));
    let silent: Vec<Who> = (0..20)
        .map(|at| {
            let who = worker.connect(v5(&format!("silent{at}")).expiry(10).keep_alive(0));
            worker.subscribe(who, &format!("big/{at}"), QoS1);
            who
        })
        .collect();
    let payload = "x".repeat(10_000);
    for at in 0..silent.len() {
        for _ in 0..3 {
            worker.say_acked(from, &format!("big/{at}"), &payload);
        }
    }
    assert!(worker.engine.held_bytes() <= 110_000 + 20 * 10_000, "{}", worker.engine.held_bytes());
    assert!(worker.count(Count::DroppedQueuesMemory) > 20);
    // Who behaves is served all the same.
    let good = worker.connect(v5("good").keep_alive(0));
    worker.subscribe(good, "small", QoS1);
    for number in 0..50 {
        worker.say_acked(from, "small", &number.to_string());
        assert_eq!(worker.consume(good).len(), 1);
    }
    for who in silent {
        worker.cut(who);
    }
    assert!(worker.engine.held_bytes() > 50_000, "an absent session has them still");
    worker.advance(11_000);
    assert_eq!((worker.engine.held_bytes(), worker.engine.waiting_bytes()), (0, (0, 0)));
}

#[test]
fn wills_and_long_client_identifiers_count_towards_the_memory_of_all() {
    let mut worker = Worker::new(Limits { queues_bytes_max: 100_000, ..Limits::default() });
    let mut taken = Vec::new();
    for at in 0..20 {
        let id = format!("{at}{}", "i".repeat(5_000));
        let who = worker.start(v5(&id).will(will("w", vec![0_u8; 15_000])));
        worker.settle();
        match worker.next_connack(who).code {
            0 => taken.push(who),
            code => assert_eq!(code, 0x97),
        }
    }
    assert_eq!(taken.len(), 4);
    assert_eq!(worker.count(Count::ConnectMemory), 16);
    worker.connect(v5("short and without a will"));
    for who in taken {
        worker.disconnect(who, 0);
    }
    assert_eq!(worker.engine.held_bytes(), 0);
}

#[test]
fn topics_and_filters_of_many_levels_do_not_cost_more_than_the_limits_bear() {
    let limits = Limits { retained_messages_max: 1_000, subscriptions_total_max: 1_000, ..Limits::default() };
    let mut worker = Worker::new(limits);
    let who = worker.connect(v5("p"));
    for at in 0..1_000 {
        let topic: String = (0..126).map(|level| format!("/{at}-{level}")).collect();
        worker.publish(who, publish(&topic, "1").retain());
        worker.send(who, Packet::Subscribe(Subscribe::one(7, &format!("{topic}/+"), QoS0)));
    }
    worker.take(who);
    assert!((50..500).contains(&worker.engine.retained().0), "{:?}", worker.engine.retained());
    assert!((50..500).contains(&worker.engine.filters()), "{}", worker.engine.filters());
    assert!(worker.count(Count::RetainedLimit) > 500 && worker.count(Count::SubscriptionsTotalLimit) > 500);
}

#[test]
fn who_has_a_session_comes_back_although_its_queue_fills_the_memory() {
    let mut worker = Worker::resident(Limits { queues_bytes_max: 10_000, ..Limits::default() });
    let connect = || v5("s").persistent().keep_alive(0).will(will("w", vec![0_u8; 500]));
    let who = worker.connect(connect());
    worker.subscribe(who, "t", QoS1);
    worker.disconnect(who, 0);
    let from = worker.connect(v5("p").keep_alive(0));
    for _ in 0..200 {
        worker.say_acked(from, "t", &"x".repeat(100));
    }
    assert!(worker.count(Count::DroppedQueuesMemory) > 100);
    let stranger = worker.start(v5("other").will(will("w", vec![0_u8; 500])));
    worker.settle();
    assert_eq!(worker.next_connack(stranger).code, 0x97, "there is room for nobody new");
    let again = worker.connect(connect());
    assert!(worker.consume(again).len() > 20);
    worker.say_acked(from, "t", "the memory is free again");
    assert_eq!(worker.consume(again).len(), 1);
    worker.connect(v5("other").will(will("w", vec![0_u8; 500])));
}
