//! Answers that a client has to get: what happens when they are too large for it, and what they give back of its quota.

use whimbrel_engine::{Count, Limits};
use whimbrel_testkit::{
    Ack, Disconnect, Packet, Property, QoS0, QoS2, Subscribe, Version, bytes, publish, v5,
};

use super::worker::{Who, Worker};

fn size(packet: &Packet) -> usize {
    packet.encode(Version::V5).len()
}

#[test]
fn v5_3_1_2_24_connack_leaves_out_what_the_client_can_do_without() {
    for most in 5..64 {
        let mut worker = Worker::new(Limits::default());
        let who = worker.start(v5("small").packet_size_max(most));
        let packets = worker.take(who);
        let [answer @ Packet::ConnAck(ack)] = &packets[..] else { panic!("{most}: {packets:?}") };
        assert!(size(answer) <= most as usize, "{most}: {ack:?}");
        // The client must know of the receive maximum, which takes 3 bytes of 8.
        assert_eq!(ack.code, if most < 8 { 0x95 } else { 0 }, "{most}");
        assert_eq!(ack.properties.receive_maximum().is_some(), most >= 8);
        assert_eq!(ack.properties.maximum_packet_size().is_some(), most >= 13);
        assert_eq!(ack.properties.topic_alias_maximum().is_some(), most >= 16);
        assert_eq!((worker.is_over(who), worker.engine.sessions()), (most < 8, usize::from(most >= 8)));
    }
}

#[test]
fn v5_3_1_2_24_a_connack_that_never_fits_is_a_close_and_no_session() {
    for connect in [v5("small").packet_size_max(4), v5("").packet_size_max(35)] {
        let mut worker = Worker::new(Limits::default());
        let refused = connect.client_id.is_empty();
        let who = worker.start(connect);
        let codes: Vec<u8> = worker
            .take(who)
            .iter()
            .map(|packet| if let Packet::ConnAck(a) = packet { a.code } else { 0 })
            .collect();
        assert_eq!(codes, if refused { vec![0x95] } else { vec![] });
        assert!(worker.is_over(who));
        assert_eq!((worker.engine.sessions(), worker.engine.connected()), (0, 0));
        assert_eq!(worker.count(Count::ConnectRefused), 1);
    }
}

#[test]
fn v5_3_1_2_24_a_suback_that_is_too_large_ends_the_connection() {
    let mut worker = Worker::new(Limits::default());
    let who = worker.connect(v5("small").packet_size_max(30));
    let filters = |count: u16| {
        (1..count).fold(Subscribe::one(7, "t/0", QoS0), |packet, n| packet.and(&format!("t/{n}"), QoS0))
    };
    worker.send(who, Packet::Subscribe(filters(25)));
    assert!(matches!(&worker.take(who)[..], [Packet::SubAck(ack)] if ack.codes.len() == 25));
    worker.send(who, Packet::Subscribe(filters(40)));
    assert_eq!(worker.take(who), [Packet::Disconnect(Disconnect::new(0x95))]);
    assert!(worker.is_over(who));
    assert_eq!((worker.count(Count::AnswerTooLarge), worker.engine.connected()), (1, 0));
}

#[test]
fn v5_3_2_2_19_a_refusal_has_no_text_that_the_client_cannot_take() {
    for (most, has_text) in [(5, false), (40, false), (1_000, true)] {
        let mut worker = Worker::new(Limits::default());
        let mut connect = v5("wrong").packet_size_max(most);
        for n in 0..100 {
            connect = connect.with(Property::User(n.to_string(), "v".into()));
        }
        let who = worker.start(connect);
        let packets = worker.take(who);
        let [answer @ Packet::ConnAck(ack)] = &packets[..] else { panic!("{most}: {packets:?}") };
        assert!(ack.code >= 0x80 && size(answer) <= most as usize, "{most}: {ack:?}");
        assert_eq!(ack.properties.has(0x1F), has_text, "{most}");
    }
}

/// Opens QoS 2 identifiers from `first`; tells how many were taken before the connection ended.
fn open(worker: &mut Worker, who: Who, first: u16, count: u16) -> usize {
    for id in first..first + count {
        worker.publish(who, publish("a", "x").at(QoS2, id));
    }
    let packets = worker.take(who);
    packets.iter().filter(|packet| matches!(packet, Packet::PubRec(ack) if ack.code < 0x80)).count()
}

fn release(worker: &mut Worker, who: Who, id: u16) -> u8 {
    worker.send(who, Packet::PubRel(Ack::new(id, 0)));
    match &worker.take(who)[..] {
        [Packet::PubComp(ack)] => ack.code,
        other => panic!("instead of PUBCOMP: {other:?}"),
    }
}

fn exceeds(worker: &mut Worker, who: Who, id: u16) {
    worker.publish(who, publish("a", "x").at(QoS2, id));
    let packets = worker.take(who);
    assert!(matches!(&packets[..], [Packet::Disconnect(told)] if told.code == 0x93), "{packets:?}");
}

fn narrow() -> Worker {
    let mut limits = Limits::default();
    limits.connection.receive_maximum = 4;
    Worker::new(limits)
}

#[test]
fn v5_3_3_4_7_a_pubrel_of_an_unknown_identifier_gives_nothing_back() {
    let mut worker = narrow();
    let who = worker.connect(v5("p"));
    assert_eq!(open(&mut worker, who, 1, 4), 4);
    for id in 100..110 {
        assert_eq!(release(&mut worker, who, id), 0x92);
    }
    exceeds(&mut worker, who, 5);
}

#[test]
fn v5_3_3_4_7_a_pubrel_gives_back_what_its_message_took() {
    let mut worker = narrow();
    let who = worker.connect(v5("p"));
    assert_eq!(open(&mut worker, who, 1, 4), 4);
    for round in 0..10 {
        assert_eq!(release(&mut worker, who, 1 + round), 0);
        assert_eq!(release(&mut worker, who, 1 + round), 0x92);
        assert_eq!(open(&mut worker, who, 5 + round, 1), 1);
    }
    exceeds(&mut worker, who, 100);
}

#[test]
fn v5_4_9_identifiers_of_an_earlier_connection_take_and_give_nothing() {
    let mut worker = narrow();
    let who = worker.connect(v5("p").persistent());
    assert_eq!(open(&mut worker, who, 1, 4), 4);
    worker.cut(who);
    let who = worker.connect(v5("p").persistent());
    assert_eq!(open(&mut worker, who, 11, 4), 4);
    for id in 1..=4 {
        assert_eq!(release(&mut worker, who, id), 0);
    }
    exceeds(&mut worker, who, 15);

    let who = worker.connect(v5("p").persistent());
    // The same message again stands for the one that is open already.
    worker.publish(who, publish("a", "x").at(QoS2, 11).dup());
    assert!(matches!(&worker.take(who)[..], [Packet::PubRec(ack)] if ack.id == 11));
    assert_eq!(release(&mut worker, who, 11), 0);
    assert_eq!(open(&mut worker, who, 20, 4), 4);
    exceeds(&mut worker, who, 25);
}

#[test]
fn v5_3_14_2_2_2_the_expiry_that_connect_asked_for_may_be_changed() {
    let mut limits = Limits::default();
    limits.connection.session_expiry_secs_max = 0;
    for (asked, told) in [(Some(3_600), vec![]), (None, vec![0x82]), (Some(0), vec![0x82])] {
        let mut worker = Worker::new(limits.clone());
        let connect = asked.map_or(v5("s"), |secs| v5("s").expiry(secs));
        let who = worker.connect(connect);
        worker.send(who, Packet::Disconnect(Disconnect::new(0).with(Property::SessionExpiry(60))));
        let codes: Vec<u8> = worker
            .take(who)
            .iter()
            .map(|packet| if let Packet::Disconnect(told) = packet { told.code } else { 0 })
            .collect();
        assert_eq!(codes, told, "{asked:?}");
        assert!(worker.is_over(who));
        assert_eq!(worker.engine.sessions(), 0, "no session outlives its connection here");
    }
}

#[test]
fn v31_connect_may_end_before_the_user_name_that_it_announces() {
    for flags in [0x82, 0xC2] {
        let mut worker = Worker::new(Limits::default());
        let who = worker.open(Version::V31);
        worker.put_bytes(who, &bytes().string("MQIsdp").u8(3).u8(flags).u16(60).string("old").packet(0x10));
        worker.settle();
        assert_eq!(worker.next_connack(who).code, 0);
    }
}
