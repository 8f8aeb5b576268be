//! Durability: what waits for the journal, and what is there again after a crash. Time is virtual, the journal is paper.

use whimbrel_engine::{Level, Limits};
use whimbrel_testkit::{
    Ack, Packet, Property, Publish, QoS0, QoS1, QoS2, Subscribe, publish, v5, v311, will,
};

use super::{
    paper::Paper,
    worker::{Who, Worker, messages, text},
};

pub(super) fn durable() -> Worker {
    Worker::durable(Limits::default(), &Paper::default())
}

/// A client whose session stays, connected.
pub(super) fn stayer(worker: &mut Worker, id: &str) -> Who {
    let who = worker.start(v311(id).resume().keep_alive(0));
    worker.settle();
    worker.commit();
    worker.next_connack(who);
    who
}

pub(super) fn subscribe(worker: &mut Worker, who: Who, filter: &str, qos: whimbrel_testkit::QoS) {
    worker.send(who, Packet::Subscribe(Subscribe::one(1, filter, qos)));
    worker.commit();
    assert!(matches!(worker.take(who)[..], [Packet::SubAck(_)]));
}

/// A client without a session that stays.
pub(super) fn guest(worker: &mut Worker, id: &str) -> Who {
    worker.connect(v311(id).keep_alive(0))
}

pub(super) fn send(worker: &mut Worker, who: Who, id: u16, payload: &str, qos: whimbrel_testkit::QoS) {
    worker.publish(who, publish("t", payload).at(qos, id));
}

#[test]
fn a_puback_waits_until_every_session_that_stays_has_the_message_on_disk() {
    let mut worker = durable();
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "t", QoS1);
    let writer = guest(&mut worker, "writer");
    send(&mut worker, writer, 1, "one", QoS1);
    assert_eq!(worker.take(writer), [], "before the commit");
    // QoS 1 allows the duplicate that a crash would cause: the message need not wait.
    assert_eq!(worker.payloads(reader), ["one"]);
    worker.commit();
    assert!(matches!(worker.take(writer)[..], [Packet::PubAck(_)]));
}

#[test]
fn what_nobody_durable_is_owed_is_acknowledged_without_the_disk() {
    let mut worker = durable();
    let reader = guest(&mut worker, "reader");
    worker.subscribe(reader, "t", QoS2);
    let writer = guest(&mut worker, "writer");
    let before = worker.paper.as_ref().unwrap().records();
    send(&mut worker, writer, 1, "one", QoS1);
    assert!(matches!(worker.take(writer)[..], [Packet::PubAck(_)]));
    send(&mut worker, writer, 2, "two", QoS2);
    assert!(matches!(worker.take(writer)[..], [Packet::PubRec(_)]));
    assert_eq!(worker.payloads(reader), ["one", "two"]);
    assert_eq!(worker.paper.as_ref().unwrap().records(), before, "records");
}

#[test]
fn an_acknowledgement_waits_for_the_level_of_its_listener() {
    let mut worker = durable();
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "t", QoS1);
    let [memory, process, power] = [Level::Memory, Level::Process, Level::Power].map(|level| {
        worker.level = level;
        guest(&mut worker, &format!("{level:?}"))
    });
    for who in [memory, process, power] {
        send(&mut worker, who, 1, "x", QoS1);
    }
    let acked = |worker: &mut Worker| [memory, process, power].map(|who| worker.take(who).len());
    assert_eq!(acked(&mut worker), [1, 0, 0]);
    worker.paper.as_ref().unwrap().write();
    worker.engine.release(&mut worker.turn);
    assert_eq!(acked(&mut worker), [0, 1, 0]);
    worker.commit();
    assert_eq!(acked(&mut worker), [0, 0, 1]);
}

#[test]
fn acknowledgements_leave_in_order_the_owed_and_the_not_owed() {
    let mut worker = durable();
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "t", QoS1);
    let writer = guest(&mut worker, "writer");
    send(&mut worker, writer, 1, "owed", QoS1);
    worker.publish(writer, publish("other", "not owed").at(QoS1, 2));
    assert_eq!(worker.take(writer), []);
    worker.commit();
    let ids: Vec<u16> = worker
        .take(writer)
        .iter()
        .map(|packet| match packet {
            Packet::PubAck(ack) => ack.id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, [1, 2]);
}

#[test]
fn a_qos_2_message_reaches_nobody_before_its_commit_and_what_follows_does_not_overtake_it() {
    let mut worker = durable();
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "t", QoS2);
    let zero = guest(&mut worker, "zero");
    worker.subscribe(zero, "#", QoS0);
    let writer = guest(&mut worker, "writer");
    send(&mut worker, writer, 1, "two", QoS2);
    worker.say(writer, "other", "zero");
    assert_eq!((worker.take(writer), worker.take(reader), worker.take(zero)), (vec![], vec![], vec![]));
    worker.commit();
    assert!(matches!(worker.take(writer)[..], [Packet::PubRec(_)]));
    assert_eq!(worker.payloads(zero), ["two", "zero"]);
    assert_eq!(worker.payloads(reader), ["two"]);
}

#[test]
fn a_qos_2_message_of_a_publisher_who_is_promised_nothing_goes_out_when_its_packet_identifier_is_on_disk() {
    let mut worker = durable();
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "t", QoS2);
    worker.level = Level::Memory;
    let writer = guest(&mut worker, "writer");
    send(&mut worker, writer, 1, "first", QoS2);
    assert!(matches!(worker.take(writer)[..], [Packet::PubRec(_)]));
    // Lost in a crash, its packet identifier would be the next message's, which the client would not take.
    assert_eq!(worker.come(reader), [], "before the commit");
    send(&mut worker, writer, 2, "second", QoS1);
    worker.commit();
    assert_eq!(worker.payloads(reader), ["first", "second"]);
}

#[test]
fn connack_suback_and_unsuback_of_a_session_that_stays_wait_and_nothing_goes_before_connack() {
    let mut worker = durable();
    let who = worker.start(v5("reader").expiry(100));
    worker.settle();
    assert_eq!(worker.come(who), []);
    worker.send(who, Packet::Subscribe(Subscribe::one(1, "t", QoS0)));
    worker.send(who, Packet::PingReq);
    let writer = guest(&mut worker, "writer");
    worker.say(writer, "t", "early");
    assert_eq!(worker.come(who), []);
    worker.commit();
    let come = worker.take(who);
    assert!(
        matches!(&come[..], [Packet::ConnAck(_), Packet::SubAck(_), Packet::PingResp, Packet::Publish(_)]),
        "{come:?}"
    );
    worker.put_unsubscribe(who, "t");
    worker.settle();
    assert_eq!(worker.come(who), []);
    worker.commit();
    assert!(matches!(worker.take(who)[..], [Packet::UnsubAck(_)]));
}

/// What a client that comes back gets, acknowledged as it goes.
pub(super) fn returns(worker: &mut Worker, id: &str) -> (bool, Vec<Publish>) {
    let who = worker.start(v311(id).resume().keep_alive(0));
    worker.commits = true;
    worker.settle();
    let ack = worker.next_connack(who);
    let all = worker.consume(who);
    worker.cut(who);
    (ack.session_present, all)
}

#[test]
fn a_5_0_client_is_told_what_an_acknowledgement_is_worth_where_its_connack_has_room() {
    let mut worker = durable();
    worker.commits = true;
    let told = |worker: &mut Worker, connect| {
        let (_, ack) = worker.connect_answered(connect);
        let user = ack.properties.0.into_iter().filter(|one| matches!(one, Property::User(..)));
        user.collect::<Vec<_>>()
    };
    let power = vec![Property::User("whimbrel-durability".into(), "power".into())];
    assert_eq!(told(&mut worker, v5("roomy")), power);
    assert_eq!(told(&mut worker, v5("small").packet_size_max(30)), []);
    assert_eq!(told(&mut worker, v311("old")), []);
}

#[test]
fn what_was_acknowledged_is_there_after_the_crash_with_sessions_subscriptions_and_order() {
    let mut worker = durable();
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "t", QoS2);
    worker.cut(reader);
    let writer = guest(&mut worker, "writer");
    for (id, qos) in [(1, QoS1), (2, QoS2), (3, QoS1)] {
        send(&mut worker, writer, id, &format!("m{id}"), qos);
    }
    worker.commit();
    assert_eq!(worker.take(writer).len(), 3);
    let mut worker = worker.crash(Limits::default(), 0);
    let (present, all) = returns(&mut worker, "reader");
    assert!(present);
    assert_eq!(all.iter().map(text).collect::<Vec<_>>(), ["m1", "m2", "m3"]);
    assert!(all.iter().all(|publish| !publish.dup), "nothing of it had been sent before");
    // And live again.
    let writer = worker.connect(v311("writer").keep_alive(0));
    send(&mut worker, writer, 1, "later", QoS1);
    assert_eq!(returns(&mut worker, "reader").1.iter().map(text).collect::<Vec<_>>(), ["later"]);
    let mut worker = worker.crash(Limits::default(), usize::MAX);
    assert_eq!(returns(&mut worker, "reader"), (true, vec![]));
}

#[test]
fn v311_4_4_0_1_what_was_in_flight_goes_out_again_with_dup_and_its_packet_identifier_after_a_crash() {
    let mut worker = durable();
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "t", QoS2);
    let writer = guest(&mut worker, "writer");
    for (id, qos) in [(1, QoS1), (2, QoS2), (3, QoS2), (4, QoS2)] {
        send(&mut worker, writer, id, &format!("m{id}"), qos);
        worker.commit();
    }
    let sent = worker.messages(reader);
    assert_eq!(sent.len(), 4);
    // The second is received, the third is done.
    worker.send(reader, Packet::PubRec(Ack::new(sent[1].id, 0)));
    worker.send(reader, Packet::PubRec(Ack::new(sent[2].id, 0)));
    assert_eq!(worker.take(reader), [], "a PUBREL waits for the record of the PUBREC");
    worker.commit();
    assert_eq!(worker.take(reader).len(), 2);
    worker.send(reader, Packet::PubComp(Ack::new(sent[2].id, 0)));
    worker.commit();
    let mut worker = worker.crash(Limits::default(), 0);
    let who = worker.start(v311("reader").resume().keep_alive(0));
    worker.settle();
    worker.commit();
    worker.next_connack(who);
    let again = worker.take(who);
    let told: Vec<(u16, bool)> = again
        .iter()
        .map(|packet| match packet {
            Packet::Publish(publish) => (publish.id, publish.dup),
            Packet::PubRel(ack) => (ack.id, false),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [(sent[0].id, true), (sent[1].id, false), (sent[3].id, true)]);
}

#[test]
fn a_qos_2_message_that_is_sent_again_after_the_crash_is_taken_once() {
    let mut worker = durable();
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "t", QoS2);
    let writer = stayer(&mut worker, "writer");
    send(&mut worker, writer, 7, "once", QoS2);
    worker.commit();
    assert!(matches!(worker.take(writer)[..], [Packet::PubRec(_)]));
    let mut worker = worker.crash(Limits::default(), 0);
    worker.commits = true;
    let writer = worker.connect(v311("writer").resume().keep_alive(0));
    worker.publish(writer, publish("t", "once").at(QoS2, 7).dup());
    worker.send(writer, Packet::PubRel(Ack::new(7, 0)));
    assert!(matches!(worker.take(writer)[..], [Packet::PubRec(_), Packet::PubComp(_)]));
    assert_eq!(returns(&mut worker, "reader").1.len(), 1);
    // Released and recorded: the identifier is new.
    let mut worker = worker.crash(Limits::default(), 0);
    worker.commits = true;
    let writer = worker.connect(v311("writer").resume().keep_alive(0));
    worker.publish(writer, publish("t", "new").at(QoS2, 7));
    assert_eq!(returns(&mut worker, "reader").1.iter().map(text).collect::<Vec<_>>(), ["new"]);
}

#[test]
fn a_publish_is_recovered_whole_or_not_at_all_wherever_the_journal_is_cut() {
    let mut worker = durable();
    for id in ["a", "b"] {
        let reader = stayer(&mut worker, id);
        subscribe(&mut worker, reader, "t", QoS2);
        worker.cut(reader);
    }
    worker.commit();
    let writer = stayer(&mut worker, "writer");
    let from = worker.paper.as_ref().unwrap().records();
    worker.publish(writer, publish("t", "whole").at(QoS2, 7).retain());
    let paper = worker.paper.clone().unwrap();
    let last = paper.records();
    assert!(last >= from + 4, "{:?}", paper.told(from));
    for keep in from..=last {
        let mut worker = Worker::durable(Limits::default(), &paper.crash(keep));
        let whole = keep == last;
        assert_eq!(worker.engine.retained().0, usize::from(whole), "cut at {}", keep - from);
        worker.commits = true;
        let writer = worker.connect(v311("writer").resume().keep_alive(0));
        worker.publish(writer, publish("t", "whole").at(QoS2, 7).dup().retain());
        for id in ["a", "b"] {
            let come = returns(&mut worker, id).1;
            assert_eq!(come.iter().map(text).collect::<Vec<_>>(), ["whole"], "{id}, cut at {}", keep - from);
        }
    }
}

#[test]
fn retained_messages_come_back_the_last_of_each_topic() {
    let mut worker = durable();
    let writer = guest(&mut worker, "writer");
    for (topic, payload) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1"), ("c", "")] {
        worker.publish(writer, publish(topic, payload).at(QoS1, 1).retain());
        assert_eq!(worker.take(writer), [], "{topic} {payload} waits");
        worker.commit();
        assert!(matches!(worker.take(writer)[..], [Packet::PubAck(_)]));
    }
    let mut worker = worker.crash(Limits::default(), 0);
    let reader = guest(&mut worker, "reader");
    let (_, mut retained) = worker.subscribe_with(reader, Subscribe::one(1, "#", QoS0));
    retained.sort_by(|one, other| one.topic.cmp(&other.topic));
    let told: Vec<_> = retained.iter().map(|one| (one.topic.as_str(), text(one))).collect();
    assert_eq!(told, [("a", "2".into()), ("b", "1".into())]);
}

#[test]
fn retained_messages_that_a_subscription_was_owed_come_after_the_crash() {
    let mut worker = durable();
    let writer = guest(&mut worker, "writer");
    for at in 0..5 {
        worker.publish(writer, publish(&format!("r/{at}"), "x").at(QoS1, 1).retain());
    }
    worker.commit();
    let reader = worker.start(v5("reader").expiry(1_000).receive_maximum(2));
    worker.settle();
    worker.commit();
    worker.next_connack(reader);
    worker.send(reader, Packet::Subscribe(Subscribe::one(1, "r/#", QoS1)));
    worker.commit();
    assert_eq!(messages(worker.take(reader)).len(), 2, "as many as Receive Maximum allows");
    let mut worker = worker.crash(Limits::default(), 0);
    let mut topics: Vec<String> = returns(&mut worker, "reader").1.into_iter().map(|one| one.topic).collect();
    topics.sort();
    topics.dedup();
    assert_eq!(topics, ["r/0", "r/1", "r/2", "r/3", "r/4"]);
}

#[test]
fn a_will_of_a_client_that_does_not_come_back_after_the_crash_is_published_after_the_grace() {
    for stays in [false, true] {
        let of = |id: &str| if stays { v311(id).resume() } else { v311(id) };
        let mut worker = durable();
        let dead = worker.start(of("dead").keep_alive(0).will(will("w", "gone")));
        let back = worker.start(of("back").keep_alive(0).will(will("w", "wrong")));
        let polite = worker.start(of("polite").keep_alive(0).will(will("w", "wrong")));
        worker.settle();
        assert_eq!(worker.come(dead), [], "CONNACK promises to keep the will");
        worker.commit();
        assert!(worker.next(dead).is_some() && worker.next(back).is_some() && worker.next(polite).is_some());
        worker.disconnect(polite, 0);
        worker.commit();
        let mut worker = worker.crash(Limits::default(), 0);
        worker.commits = true;
        let listener = guest(&mut worker, "listener");
        worker.subscribe(listener, "w", QoS0);
        worker.connect(of("back").keep_alive(0));
        assert_eq!(worker.payloads(listener), [] as [String; 0], "stays: {stays}");
        worker.advance(31_000);
        assert_eq!(worker.payloads(listener), ["gone"], "stays: {stays}");
        assert_eq!(worker.engine.sessions(), if stays { 4 } else { 2 });
        // It is published once.
        worker.paper.as_ref().unwrap().commit();
        let mut worker = worker.crash(Limits::default(), 0);
        worker.commits = true;
        let listener = guest(&mut worker, "listener");
        worker.subscribe(listener, "w", QoS0);
        worker.advance(31_000);
        assert_eq!(worker.payloads(listener), [] as [String; 0]);
    }
}

#[test]
fn v5_3_1_2_8_the_will_of_a_session_that_had_ended_is_published_after_the_crash_whoever_comes_back() {
    let mut worker = durable();
    let dead = worker.start(v5("dead").keep_alive(0).will(will("w", "gone")));
    worker.settle();
    worker.commit();
    worker.next_connack(dead);
    worker.cut(dead);
    let told = worker.paper.as_ref().unwrap().told(0);
    let ended = told.iter().position(|one| one.starts_with("SessionEnd")).unwrap();
    assert!(told.iter().skip(ended).any(|one| one.contains("owner: Will")), "{told:?}");
    // Its end is on the disk, the publication of its will is not.
    let mut worker = worker.crash(Limits::default(), ended + 1);
    worker.commits = true;
    let listener = guest(&mut worker, "listener");
    worker.subscribe(listener, "w", QoS0);
    let (_, connack) = worker.connect_answered(v5("dead").resume().keep_alive(0));
    assert!(!connack.session_present);
    worker.advance(1_000);
    assert_eq!(worker.payloads(listener), ["gone"]);
    let mut worker = worker.crash(Limits::default(), 0);
    let listener = guest(&mut worker, "listener");
    worker.subscribe(listener, "w", QoS0);
    worker.advance(31_000);
    assert_eq!(worker.payloads(listener), [] as [String; 0], "once");
}

#[test]
fn a_session_that_ended_does_not_rise_again() {
    let mut worker = durable();
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "t", QoS1);
    worker.cut(reader);
    let writer = guest(&mut worker, "writer");
    send(&mut worker, writer, 1, "old", QoS1);
    worker.commit();
    let clean = worker.start(v311("reader").keep_alive(0));
    worker.settle();
    assert_eq!(worker.come(clean), [], "CONNACK promises that the old session is gone");
    worker.commit();
    worker.next_connack(clean);
    let mut worker = worker.crash(Limits::default(), 0);
    assert_eq!(returns(&mut worker, "reader"), (false, vec![]));
    let live = worker.paper.as_ref().unwrap().live();
    assert!(live <= 40, "{live} bytes are needed, but for one session nothing is");
}

#[test]
fn a_message_of_a_shared_group_is_there_after_the_crash_once() {
    let mut worker = durable();
    let member = stayer(&mut worker, "member");
    subscribe(&mut worker, member, "$share/g/t", QoS2);
    let writer = guest(&mut worker, "writer");
    worker.cut(member);
    for (id, qos) in [(1, QoS1), (2, QoS2), (3, QoS1)] {
        send(&mut worker, writer, id, &format!("m{id}"), qos);
    }
    worker.commit();
    assert_eq!(worker.take(writer).len(), 3);
    let mut worker = worker.crash(Limits::default(), 0);
    let come = returns(&mut worker, "member").1;
    assert_eq!(come.iter().map(text).collect::<Vec<_>>(), ["m1", "m2", "m3"]);
    let mut worker = worker.crash(Limits::default(), usize::MAX);
    assert_eq!(returns(&mut worker, "member"), (true, vec![]));
}

#[test]
fn what_a_member_without_a_session_had_of_a_durable_group_comes_to_another_after_the_crash() {
    let mut worker = durable();
    let stayer = stayer(&mut worker, "stayer");
    subscribe(&mut worker, stayer, "$share/g/t", QoS1);
    worker.cut(stayer);
    worker.commit();
    let fleeting = guest(&mut worker, "fleeting");
    worker.subscribe(fleeting, "$share/g/t", QoS1);
    let writer = guest(&mut worker, "writer");
    send(&mut worker, writer, 1, "taken", QoS1);
    send(&mut worker, writer, 2, "open", QoS1);
    worker.commit();
    let come = worker.messages(fleeting);
    assert_eq!(come.len(), 2);
    worker.puback(fleeting, come[0].id);
    worker.commit();
    let mut worker = worker.crash(Limits::default(), 0);
    let come = returns(&mut worker, "stayer").1;
    assert_eq!(come.iter().map(text).collect::<Vec<_>>(), ["open"]);
}
