//! Shared subscriptions: who gets a message, and what becomes of it when nobody has room or the one who had it goes.

use std::collections::BTreeMap;

use whimbrel_engine::{Count, Limits, QueueFull, ShareStrategy};
use whimbrel_testkit::{
    Ack, Connect, Packet, Publish, QoS, QoS0, QoS1, QoS2, Subscribe, publish, v5, v31, v311,
};

use super::{
    queue::MESSAGE_BYTES,
    worker::{Who, Worker, messages, text},
};

const ALL: [ShareStrategy; 3] =
    [ShareStrategy::RoundRobin, ShareStrategy::LeastBacklog, ShareStrategy::StickyByPublisher];

fn worker(share_strategy: ShareStrategy) -> Worker {
    Worker::new(Limits { share_strategy, ..Limits::default() })
}

fn member(worker: &mut Worker, connect: Connect, qos: QoS) -> Who {
    let who = worker.connect(connect);
    assert_eq!(worker.subscribe(who, "$share/g/t/+", qos), [qos as u8]);
    who
}

fn texts(publishes: &[Publish]) -> Vec<String> {
    publishes.iter().map(text).collect()
}

/// Publishes numbers and tells who got which, with acknowledgements.
fn spread(worker: &mut Worker, from: Who, to: &[Who], qos: QoS, count: u16) -> Vec<Vec<String>> {
    let mut got = vec![Vec::new(); to.len()];
    for number in 0..count {
        worker.publish(from, publish("t/1", number.to_string()).at(qos, 100 + number));
        for (who, got) in to.iter().zip(&mut got) {
            got.extend(worker.consume(*who).iter().map(text));
        }
    }
    got
}

#[test]
fn round_robin_takes_one_after_the_other() {
    for qos in QoS::ALL {
        let mut worker = worker(ShareStrategy::RoundRobin);
        let members = [v5("a"), v311("b"), v31("c")].map(|connect| member(&mut worker, connect, QoS2));
        let from = worker.connect(v5("p"));
        let got = spread(&mut worker, from, &members, qos, 6);
        assert_eq!(got, [["0", "3"], ["1", "4"], ["2", "5"]], "{qos:?}");
    }
}

#[test]
fn least_backlog_takes_who_has_the_least_under_way_and_equals_take_turns() {
    let mut worker = worker(ShareStrategy::LeastBacklog);
    let members = ["a", "b", "c"].map(|id| member(&mut worker, v5(id), QoS1));
    let from = worker.connect(v5("p"));
    let got = spread(&mut worker, from, &members, QoS1, 6);
    assert_eq!(got.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2]);
    // The first acknowledges nothing any more.
    for number in 0..9 {
        worker.publish(from, publish("t/1", number.to_string()).at(QoS1, 200 + number));
        worker.consume(members[1]);
        worker.consume(members[2]);
    }
    assert_eq!(worker.messages(members[0]).len(), 1);
}

#[test]
fn sticky_keeps_a_publisher_with_one_member_while_it_has_room() {
    let mut worker = worker(ShareStrategy::StickyByPublisher);
    let members = ["a", "b", "c", "d"].map(|id| member(&mut worker, v5(id).receive_maximum(2), QoS1));
    let mut chosen = BTreeMap::new();
    for at in 0..12 {
        let from = worker.connect(v5(&format!("p{at}")));
        let got = spread(&mut worker, from, &members, QoS1, 4);
        let with: Vec<usize> = (0..4).filter(|at| !got[*at].is_empty()).collect();
        assert_eq!(with.len(), 1, "all messages of one publisher went to one member");
        *chosen.entry(with[0]).or_insert(0) += 1;
    }
    assert!(chosen.len() > 1, "different publishers go to different members: {chosen:?}");

    // A member that is full is passed over, and comes back into its right.
    let from = worker.connect(v5("p"));
    for number in 0..3 {
        worker.publish(from, publish("t/1", number.to_string()).at(QoS1, 100 + number));
    }
    let held: Vec<Vec<Packet>> = members.iter().map(|who| worker.take(*who)).collect();
    let first = held.iter().position(|packets| packets.len() == 2).expect("the member of this publisher");
    assert_eq!(held.iter().map(Vec::len).sum::<usize>(), 3);
    for (who, packets) in members.iter().zip(&held) {
        worker.acknowledge(*who, packets);
    }
    let got = spread(&mut worker, from, &members, QoS1, 2);
    assert_eq!(got[first], ["0", "1"]);
}

#[test]
fn who_is_absent_is_passed_over() {
    for strategy in ALL {
        for qos in QoS::ALL {
            for (count, absent) in [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)] {
                let mut worker = worker(strategy);
                let members: Vec<Who> = ["a", "b", "c"][..count]
                    .iter()
                    .map(|id| member(&mut worker, v5(id).persistent(), QoS2))
                    .collect();
                worker.cut(members[absent]);
                let from = worker.connect(v5("p"));
                let got = spread(&mut worker, from, &members, qos, 12);
                let sum: usize = got.iter().map(Vec::len).sum();
                assert_eq!((sum, got[absent].len()), (12, 0), "{strategy:?} {qos:?}: {got:?}");
                assert_eq!(worker.count(Count::DroppedShareNoMember), 0);
                assert_eq!(worker.engine.waiting_bytes(), (0, 0));
            }
        }
    }
}

#[test]
fn who_is_blocked_or_full_is_passed_over() {
    for strategy in ALL {
        for qos in QoS::ALL {
            for (count, busy) in [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)] {
                let limits = Limits { share_strategy: strategy, link_soft_bytes: 100, ..Limits::default() };
                let mut worker = Worker::new(limits);
                let members: Vec<Who> = ["a", "b", "c"][..count]
                    .iter()
                    .map(|id| member(&mut worker, v5(id).receive_maximum(1), QoS2))
                    .collect();
                let from = worker.connect(v5("p"));
                worker.subscribe(members[busy], "busy", QoS1);
                worker.pipe(members[busy]).block();
                worker.say_acked(from, "busy", &"x".repeat(200));
                let got = spread(&mut worker, from, &members, qos, 12);
                let sum: usize = got.iter().map(Vec::len).sum();
                assert_eq!((sum, got[busy].len()), (12, 0), "{strategy:?} {qos:?}: {got:?}");
                worker.pipe(members[busy]).open();
                worker.consume(members[busy]);
                assert_eq!(worker.engine.waiting_bytes(), (0, 0));
            }
        }
    }
}

#[test]
fn what_nobody_can_take_waits_in_order_for_the_first_who_has_room() {
    for strategy in ALL {
        let mut worker = worker(strategy);
        let [a, b] = ["a", "b"].map(|id| member(&mut worker, v5(id).receive_maximum(1), QoS1));
        let from = worker.connect(v5("p"));
        for number in 0..8_u16 {
            let ack = worker.say_acked(from, "t/1", &number.to_string());
            assert_eq!(ack, 0, "the group has taken it");
        }
        assert_eq!(worker.engine.waiting_bytes(), (6 * 4, 0));
        let first: Vec<String> = [a, b].iter().flat_map(|who| texts(&worker.messages(*who))).collect();
        assert_eq!(first.len(), 2, "one each: {first:?}");
        // Only b acknowledges: it gets all the rest, in order.
        worker.puback(b, 1);
        let rest = texts(&worker.consume(b));
        assert_eq!(rest, ["2", "3", "4", "5", "6", "7"], "{strategy:?}");
        assert_eq!(worker.engine.waiting_bytes(), (0, 0));
    }
}

#[test]
fn new_messages_do_not_overtake_what_waits_for_the_group() {
    let mut worker = worker(ShareStrategy::RoundRobin);
    let only = member(&mut worker, v5("a").receive_maximum(2), QoS1);
    let from = worker.connect(v5("p"));
    let mut got = Vec::new();
    for number in 0..30_u16 {
        worker.publish(from, publish("t/1", number.to_string()).at(QoS1, 100 + number));
        if number % 3 == 0 {
            let packets = worker.take(only);
            got.extend(messages(packets.clone()).iter().map(text));
            worker.acknowledge(only, &packets);
        }
    }
    got.extend(worker.consume(only).iter().map(text));
    assert_eq!(got, (0..30).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[test]
fn qos_0_without_a_member_with_room_is_dropped_and_counted() {
    for strategy in ALL {
        let mut worker = worker(strategy);
        let only = member(&mut worker, v5("a").persistent(), QoS2);
        worker.cut(only);
        let from = worker.connect(v5("p"));
        worker.say(from, "t/1", "1");
        assert_eq!(worker.count(Count::DroppedShareNoMember), 1);
        assert_eq!(worker.engine.waiting_bytes(), (0, 0));
    }
}

#[test]
fn a_member_that_comes_back_or_joins_gets_what_waits() {
    let mut worker = worker(ShareStrategy::RoundRobin);
    let first = member(&mut worker, v5("a").persistent(), QoS1);
    worker.cut(first);
    let from = worker.connect(v5("p"));
    worker.say_acked(from, "t/1", "1");
    worker.publish(from, publish("t/1", "expires").expiry(10).at(QoS1, 3));
    worker.come(from);
    worker.say_acked(from, "t/1", "2");
    worker.advance(11_000);
    let joining = worker.connect(v5("b"));
    let (_, got) = worker.subscribe_with(joining, Subscribe::one(1, "$share/g/t/+", QoS1));
    assert_eq!(texts(&got), ["1", "2"]);
    assert_eq!(worker.count(Count::DroppedExpired), 1);
    worker.disconnect(joining, 0); // It had acknowledged nothing.
    let again = worker.connect(v5("a").persistent());
    assert_eq!(texts(&worker.consume(again)), ["1", "2"]);
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
}

#[test]
fn v5_4_8_2_what_a_dead_member_had_at_qos_1_goes_to_another_in_order() {
    for persistent in [false, true] {
        for strategy in ALL {
            let mut worker = worker(strategy);
            let connect = if persistent { v5("a").persistent() } else { v5("a") };
            let dying = member(&mut worker, connect, QoS1);
            let from = worker.connect(v5("p"));
            for number in 0..3_u16 {
                worker.publish(from, publish("t/1", number.to_string()).at(QoS1, 100 + number));
            }
            assert_eq!(worker.messages(dying).len(), 3);
            worker.puback(dying, 2);
            let other = member(&mut worker, v5("b"), QoS1);
            worker.cut(dying);
            let got = worker.consume(other);
            assert_eq!(texts(&got), ["0", "2"], "persistent {persistent} {strategy:?}");
            assert!(got.iter().all(|publish| !publish.dup), "it is new to this member");
            assert_eq!(worker.engine.waiting_bytes(), (0, 0));
            if persistent {
                let again = worker.connect(v5("a").persistent());
                assert_eq!(texts(&worker.consume(again)), Vec::<String>::new(), "it is not sent twice");
            }
        }
    }
}

#[test]
fn v5_4_8_2_4_qos_2_stays_with_its_member() {
    let mut worker = worker(ShareStrategy::RoundRobin);
    let stays = member(&mut worker, v5("a").persistent(), QoS2);
    let from = worker.connect(v5("p"));
    worker.publish(from, publish("t/1", "half way").at(QoS2, 1));
    worker.publish(from, publish("t/1", "received").at(QoS2, 2));
    let got = worker.messages(stays);
    worker.send(stays, Packet::PubRec(Ack::new(got[1].id, 0)));
    let other = member(&mut worker, v5("b"), QoS2);
    worker.cut(stays);
    assert_eq!(texts(&worker.consume(other)), Vec::<String>::new());
    let again = worker.connect(v5("a").persistent());
    let packets = worker.take(again);
    assert!(matches!(&packets[0], Packet::Publish(publish) if publish.dup && text(publish) == "half way"));
    assert!(matches!(&packets[1], Packet::PubRel(ack) if ack.id == got[1].id));
}

#[test]
fn v5_4_8_2_5_qos_2_is_not_given_to_another_when_the_session_ends() {
    let mut worker = worker(ShareStrategy::RoundRobin);
    let dying = member(&mut worker, v5("a").expiry(10), QoS2);
    let from = worker.connect(v5("p"));
    worker.publish(from, publish("t/1", "QoS 2").at(QoS2, 1));
    worker.publish(from, publish("t/1", "QoS 1").at(QoS1, 2));
    worker.settle();
    worker.cut(dying);
    worker.advance(9_000);
    let other = worker.connect(v5("b"));
    let (_, got) = worker.subscribe_with(other, Subscribe::one(1, "$share/g/t/+", QoS2));
    assert_eq!(texts(&got), ["QoS 1"], "it may come back for the other");
    worker.advance(2_000);
    assert_eq!(worker.engine.sessions(), 2);
    assert_eq!(texts(&worker.consume(other)), Vec::<String>::new());
}

#[test]
fn v5_4_8_2_6_what_a_member_refuses_goes_to_nobody_else() {
    let mut worker = worker(ShareStrategy::RoundRobin);
    let [a, b] = ["a", "b"].map(|id| member(&mut worker, v5(id), QoS2));
    let from = worker.connect(v5("p"));
    worker.publish(from, publish("t/1", "1").at(QoS1, 1));
    worker.publish(from, publish("t/1", "2").at(QoS2, 2));
    let (one, two) = (worker.messages(a), worker.messages(b));
    worker.send(a, Packet::PubAck(Ack::new(one[0].id, 0x80)));
    worker.send(b, Packet::PubRec(Ack::new(two[0].id, 0x80)));
    worker.cut(a);
    assert_eq!(worker.take(b), []);
    worker.cut(b);
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
}

#[test]
fn the_queue_of_a_group_ends_with_its_last_member() {
    type Leave = fn(&mut Worker);
    let leave: [(&str, Leave); 3] = [
        ("unsubscribe", |worker| {
            let again = worker.connect(v5("a").persistent().receive_maximum(1));
            worker.come(again);
            worker.unsubscribe(again, "$share/g/t/+");
        }),
        ("clean start", |worker| {
            worker.connect(v5("a"));
        }),
        ("expiry", |worker| worker.advance(3_700_000)),
    ];
    for (how, leave) in leave {
        let mut worker = worker(ShareStrategy::RoundRobin);
        let last = member(&mut worker, v5("a").persistent().receive_maximum(1), QoS1);
        let from = worker.connect(v5("p").keep_alive(0));
        for number in 0..4_u16 {
            worker.publish(from, publish("t/1", number.to_string()).at(QoS1, 100 + number));
        }
        worker.settle();
        worker.cut(last);
        assert_eq!((worker.engine.waiting_bytes().0, worker.engine.filters()), (3 * 4, 1), "{how}");
        leave(&mut worker);
        assert_eq!((worker.engine.waiting_bytes(), worker.engine.filters()), ((0, 0), 0), "{how}");
        assert!(worker.count(Count::DroppedSessionEnded) >= 3, "{how}");
        let fresh = member(&mut worker, v5("b"), QoS1);
        assert_eq!(worker.take(fresh), [], "{how}: a new group begins with nothing");
        assert_eq!(worker.engine.filters(), 1);
    }
}

#[test]
fn the_queue_of_a_group_has_the_limits_and_the_policy_of_a_session() {
    let large = "x".repeat(500);
    for (queue_full, codes, expect, cause) in [
        (QueueFull::DropOldest, [0, 0, 0, 0, 0], ["3", "4"], Some(Count::DroppedQueueOldest)),
        (QueueFull::DropNewest, [0, 0, 0, 0, 0], ["1", "2"], Some(Count::DroppedQueueNewest)),
        (QueueFull::Refuse, [0, 0, 0x97, 0x97, 0x97], ["1", "2"], Some(Count::RefusedQueueFull)),
    ] {
        let limits = Limits { queue_full, queue_messages_max: 2, queue_bytes_max: 100, ..Limits::default() };
        let mut worker = Worker::new(limits);
        let only = member(&mut worker, v5("a").persistent(), QoS1);
        worker.cut(only);
        let from = worker.connect(v5("p"));
        let got = ["1", "2", "3", &large, "4"].map(|payload| worker.say_acked(from, "t/1", payload));
        assert_eq!(got, codes, "{queue_full:?}");
        if let Some(cause) = cause {
            assert!(worker.count(cause) >= 2, "{queue_full:?}: {}", worker.count(cause));
        }
        let again = worker.connect(v5("a").persistent());
        assert_eq!(texts(&worker.consume(again)), expect, "{queue_full:?}");
        assert_eq!(worker.engine.waiting_bytes(), (0, 0));
    }
}

#[test]
fn all_queues_together_bound_a_group_as_well() {
    let mut worker = Worker::new(Limits { queues_bytes_max: 10 + 2 * MESSAGE_BYTES, ..Limits::default() });
    let only = member(&mut worker, v5("a").persistent(), QoS1);
    worker.cut(only);
    let from = worker.connect(v5("p"));
    let codes = ["1", "2", "3"].map(|payload| worker.say_acked(from, "t/1", payload));
    assert_eq!(codes, [0; 3]);
    assert_eq!((worker.count(Count::DroppedQueuesMemory), worker.engine.waiting_bytes().0), (1, 8));
    let again = worker.connect(v5("a").persistent());
    assert_eq!(texts(&worker.consume(again)), ["2", "3"]);
}

#[test]
fn a_member_gets_its_own_options() {
    let mut worker = worker(ShareStrategy::RoundRobin);
    let first = worker.connect(v5("a"));
    worker.subscribe_with(first, Subscribe::one(1, "$share/g/t/+", QoS0).subscription_id(7));
    let second = worker.connect(v5("b"));
    let options = QoS1.retain_as_published();
    worker.subscribe_with(second, Subscribe::one(1, "$share/g/t/+", options).subscription_id(8));
    let from = worker.connect(v5("p"));
    for number in 0..2_u16 {
        worker.publish(from, publish("t/1", number.to_string()).retain().at(QoS2, 100 + number));
    }
    let one = worker.messages(first).remove(0).expect_qos(QoS0).expect_retain(false);
    one.expect_subscription_ids(&[7]);
    let two = worker.messages(second).remove(0).expect_qos(QoS1).expect_retain(true);
    two.expect_subscription_ids(&[8]);
    // The same where the message waited: nobody has room, then the second gets it.
    worker.cut(first);
    worker.pipe(second).block();
    worker.send(second, Packet::Subscribe(Subscribe::one(500, "other", QoS0)));
    worker.say(from, "other", &"x".repeat(70_000));
    worker.publish(from, publish("t/1", "waited").retain().at(QoS2, 200));
    assert_ne!(worker.engine.waiting_bytes().0, 0);
    worker.pipe(second).open();
    let got = worker.messages(second).pop().expect("the message").expect_qos(QoS1).expect_retain(true);
    got.expect_subscription_ids(&[8]);
}

#[test]
fn a_member_of_two_groups_is_no_reason_to_forget_the_second() {
    let mut worker = worker(ShareStrategy::RoundRobin);
    let only = worker.connect(v5("a").receive_maximum(1));
    worker.subscribe(only, "$share/g/a", QoS1);
    worker.subscribe(only, "$share/h/b", QoS1);
    worker.subscribe(only, "c", QoS1);
    let from = worker.connect(v5("p"));
    for topic in ["c", "a", "b", "c", "a", "b"] {
        worker.say_acked(from, topic, topic);
    }
    let mut got = texts(&worker.consume(only));
    assert_eq!(got.len(), 6);
    got.sort_unstable();
    assert_eq!(got, ["a", "a", "b", "b", "c", "c"]);
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
}

#[test]
fn a_group_and_a_subscription_of_its_own_bring_two_copies() {
    let mut worker = worker(ShareStrategy::RoundRobin);
    let both = member(&mut worker, v5("a"), QoS1);
    worker.subscribe(both, "t/1", QoS0);
    let other = worker.connect(v5("b"));
    worker.subscribe(other, "$share/h/t/1", QoS1);
    let from = worker.connect(v5("p"));
    worker.say_acked(from, "t/1", "1");
    assert_eq!(worker.consume(both).len(), 2);
    assert_eq!(worker.consume(other).len(), 1, "another group has a copy of its own");
    assert_eq!(worker.engine.filters(), 3);
}

#[test]
fn v5_4_8_2_what_an_absent_member_had_at_qos_1_goes_to_one_that_comes_later() {
    for strategy in ALL {
        for joins in [false, true] {
            let mut worker = Worker::in_memory(Limits { share_strategy: strategy, ..Limits::default() });
            let absent = member(&mut worker, v5("a").persistent(), QoS2);
            let back = v5("b").persistent();
            if !joins {
                let other = member(&mut worker, back.clone(), QoS1);
                worker.cut(other);
            }
            let from = worker.connect(v5("p"));
            for (number, qos) in [QoS1, QoS2, QoS1].into_iter().enumerate() {
                worker.publish(from, publish("t/1", number.to_string()).at(qos, 100 + number as u16));
            }
            assert_eq!(worker.messages(absent).len(), 3, "{strategy:?}");
            worker.take(from);
            worker.cut(absent); // Nobody is there who could have them.
            worker.say_acked(from, "t/1", "3");
            let got = if joins {
                let other = worker.connect(back);
                worker.subscribe_with(other, Subscribe::one(1, "$share/g/t/+", QoS1)).1
            } else {
                let other = worker.connect(back);
                worker.consume(other)
            };
            assert_eq!(texts(&got), ["0", "2", "3"], "joins {joins} {strategy:?}: in the order of the group");
            assert!(got.iter().all(|publish| !publish.dup));
            let again = worker.connect(v5("a").persistent());
            let left = worker.consume(again);
            assert_eq!(texts(&left), ["1"], "[MQTT-4.8.2-4]: QoS 2 stays");
            assert!(left[0].dup);
            assert_eq!(worker.engine.waiting_bytes(), (0, 0));
        }
    }
}

#[test]
fn a_member_that_comes_back_itself_sends_its_own_again_with_dup() {
    let mut worker = worker(ShareStrategy::RoundRobin);
    let only = member(&mut worker, v5("a").persistent(), QoS1);
    let from = worker.connect(v5("p"));
    worker.say_acked(from, "t/1", "1");
    assert_eq!(worker.messages(only).len(), 1);
    worker.cut(only);
    let again = worker.connect(v5("a").persistent());
    let got = worker.messages(again);
    assert_eq!((texts(&got), got[0].dup), (vec!["1".to_owned()], true));
    // It is there: nobody takes it from it.
    let other = worker.connect(v5("b"));
    let (_, got) = worker.subscribe_with(other, Subscribe::one(1, "$share/g/t/+", QoS1));
    assert_eq!(texts(&got), Vec::<String>::new());
}
