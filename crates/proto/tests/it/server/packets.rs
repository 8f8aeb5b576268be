//! What a client may send, and when.

use whimbrel_proto::{
    Millis, Violation,
    codec::{
        Ack, Auth, ConnAck, Connect, Disconnect, Filters, Frame, Packet, PacketId, PacketType, Publish,
        PublishProperties, QoS, ReasonCode, Subscribe, SubscribeOptions, Unsubscribe, UnsubscribeFilters,
        UserProperties, Version, Will,
    },
    server::{Connection, Event, Limits, farewell},
};

use super::{asks, open, open_with, receive, told, violation};
use crate::it::transcript::{id, publish};

const V5: Version = Version::V5;
const ALL: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// Read as a CONNECT it would be refused with 0x84, which DISCONNECT does not have.
#[test]
fn v5_3_1_0_2_a_second_connect_ends_the_connection_whatever_is_in_it() {
    let limits = Limits::default();
    for body in [&b""[..], b"\x00\x04MQTX\x05\x02\x00\x00\x00\x00\x00", b"\x00\x04MQTT\x09"] {
        let mut connection = open(V5, &limits);
        let frame = Frame { kind: PacketType::Connect, flags: 0, body };
        let violation = connection.handle(frame, &limits, Millis(0)).expect_err("a second CONNECT");
        assert_eq!(violation, Violation::SecondConnect);
        let mut words = Vec::new();
        farewell(&connection, violation.reason(), None, &mut words);
        assert!(matches!(told(&words, V5), Some(Packet::Disconnect(_))), "{words:02x?}");
    }
}

#[test]
fn v5_3_1_0_1_the_first_packet_is_connect() {
    let limits = Limits::default();
    let mut connection = Connection::new(&limits, Millis(0));
    assert_eq!(connection.version(), Version::V311, "nobody knows yet");
    assert_eq!(violation(&mut connection, &Packet::PingReq, V5, &limits), Some(Violation::ConnectExpected));
}

#[test]
fn nothing_may_come_until_the_server_has_decided() {
    let limits = Limits::default();
    let mut connection = Connection::new(&limits, Millis(0));
    assert_eq!(violation(&mut connection, &Packet::Connect(asks(V5)), V5, &limits), None);
    let unexpected = Some(Violation::Unexpected(PacketType::PingReq));
    assert_eq!(violation(&mut connection, &Packet::PingReq, V5, &limits), unexpected);
}

#[test]
fn the_version_is_the_one_that_connect_names() {
    for version in ALL {
        assert_eq!(open(version, &Limits::default()).version(), version);
    }
}

#[test]
fn every_packet_of_a_client_is_told_as_what_it_is() {
    let limits = Limits::default();
    let ack = Ack::new(id(7), ReasonCode::Success);
    let filters = [("f", SubscribeOptions::default())];
    let subscribe = Subscribe {
        packet_id: id(7),
        subscription_id: None,
        user_properties: UserProperties::default(),
        filters: Filters::from_slice(&filters),
    };
    let unsubscribe = Unsubscribe {
        packet_id: id(7),
        user_properties: UserProperties::default(),
        filters: UnsubscribeFilters::from_slice(&["f"]),
    };
    for version in ALL {
        let mut connection = open(version, &limits);
        for (packet, expect) in [
            (Packet::Publish(publish(QoS::AtLeastOnce, 7, "t")), "PUBLISH t 7"),
            (Packet::Publish(publish(QoS::AtMostOnce, 0, "t")), "PUBLISH t"),
            (Packet::PubAck(ack), "PUBACK 7 Success"),
            (Packet::PubRec(ack), "PUBREC 7 Success"),
            (Packet::PubRel(ack), "PUBREL 7 Success"),
            (Packet::PubComp(ack), "PUBCOMP 7 Success"),
            (Packet::Subscribe(subscribe), "SUBSCRIBE 7"),
            (Packet::Unsubscribe(unsubscribe), "UNSUBSCRIBE 7"),
            (Packet::PingReq, "PINGREQ"),
            (Packet::Disconnect(Disconnect::default()), "DISCONNECT"),
        ] {
            receive(&mut connection, &packet, version, &limits, |event| {
                assert_eq!(name(&event.unwrap()), expect)
            });
        }
    }
}

fn name(event: &Event<'_>) -> String {
    match event {
        Event::Connect(_) => "CONNECT".to_owned(),
        Event::Publish { topic, ack: Some(ack), .. } => format!("PUBLISH {topic} {}", ack.packet_id),
        Event::Publish { topic, ack: None, .. } => format!("PUBLISH {topic}"),
        Event::PubAck(id, reason) => format!("PUBACK {id} {reason:?}"),
        Event::PubRec(id, reason) => format!("PUBREC {id} {reason:?}"),
        Event::PubRel(id, reason) => format!("PUBREL {id} {reason:?}"),
        Event::PubComp(id, reason) => format!("PUBCOMP {id} {reason:?}"),
        Event::Subscribe(subscribe) => format!("SUBSCRIBE {}", subscribe.packet_id),
        Event::Unsubscribe(unsubscribe) => format!("UNSUBSCRIBE {}", unsubscribe.packet_id),
        Event::Ping => "PINGREQ".to_owned(),
        Event::Auth => "AUTH".to_owned(),
        Event::Disconnect(_) => "DISCONNECT".to_owned(),
    }
}

#[test]
fn v5_4_12_0_7_auth_without_a_method_in_connect_is_a_violation() {
    let mut connection = open(V5, &Limits::default());
    let auth = Packet::Auth(Auth {
        reason: ReasonCode::Reauthenticate,
        authentication_method: Some("m"),
        ..Auth::default()
    });
    assert_eq!(violation(&mut connection, &auth, V5, &Limits::default()), Some(Violation::AuthUnexpected));
    let connack = Packet::ConnAck(ConnAck::default());
    assert!(matches!(
        violation(&mut connection, &connack, V5, &Limits::default()),
        Some(Violation::Malformed(_))
    ));
}

#[test]
fn v5_3_3_4_9_no_more_unacknowledged_than_the_receive_maximum() {
    let limits = Limits { receive_maximum: 2, ..Limits::default() };
    let mut connection = open(V5, &limits);
    let send = |connection: &mut Connection, qos, packet_id| {
        violation(connection, &Packet::Publish(publish(qos, packet_id, "t")), V5, &limits)
    };
    assert_eq!(send(&mut connection, QoS::AtLeastOnce, 1), None);
    assert_eq!(send(&mut connection, QoS::ExactlyOnce, 2), None);
    assert_eq!(send(&mut connection, QoS::AtMostOnce, 0), None);
    connection.acknowledged();
    assert_eq!(send(&mut connection, QoS::AtLeastOnce, 3), None);
    assert_eq!(send(&mut connection, QoS::AtLeastOnce, 4), Some(Violation::ReceiveMaximumExceeded));
}

#[test]
fn v311_a_client_knows_no_receive_maximum() {
    let limits = Limits { receive_maximum: 2, ..Limits::default() };
    for version in [Version::V31, Version::V311] {
        let mut connection = open(version, &limits);
        for packet_id in 1..=1_000 {
            let publish = Packet::Publish(publish(QoS::AtLeastOnce, packet_id, "t"));
            assert_eq!(violation(&mut connection, &publish, version, &limits), None);
        }
    }
}

#[test]
fn v5_section_3_14_2_2_2_a_session_that_ends_with_the_connection_is_not_made_longer() {
    let limits = Limits { session_expiry_secs_max: 60, ..Limits::default() };
    let none = Limits { session_expiry_secs_max: 0, ..limits.clone() };
    let check = |limits: &Limits, asked: Option<u32>, left: Option<u32>, is_good: bool| {
        let mut connect = asks(V5);
        connect.properties.session_expiry_secs = asked;
        let mut connection = open_with(&connect, limits);
        let words = Packet::Disconnect(Disconnect { session_expiry_secs: left, ..Disconnect::default() });
        let expect = (!is_good).then_some(Violation::SessionExpiryRaised);
        assert_eq!(violation(&mut connection, &words, V5, limits), expect, "{asked:?} {left:?}");
    };
    check(&limits, None, None, true);
    check(&limits, None, Some(0), true);
    check(&limits, None, Some(1), false);
    check(&limits, Some(0), Some(1), false);
    check(&limits, Some(1), Some(0), true);
    check(&limits, Some(1), Some(9), true);
    check(&limits, Some(90), Some(9), true);
    // What was asked for counts, not what was granted.
    check(&none, Some(90), Some(9), true);
    check(&none, None, Some(9), false);
}

#[test]
fn v5_3_3_2_12_an_alias_stands_for_its_topic_and_is_counted() {
    let limits = Limits::default();
    let mut connection = open(V5, &limits);
    assert_eq!(connection.alias_bytes(), 0);
    let properties = PublishProperties { topic_alias: Some(1), ..PublishProperties::default() };
    let set = Packet::Publish(Publish { properties, ..publish(QoS::AtMostOnce, 0, "topic") });
    assert_eq!(violation(&mut connection, &set, V5, &limits), None);
    assert_eq!(connection.alias_bytes(), 5 + size_of::<Option<Box<str>>>());
    let used = Packet::Publish(Publish { properties, ..publish(QoS::AtMostOnce, 0, "") });
    receive(&mut connection, &used, V5, &limits, |event| assert_eq!(name(&event.unwrap()), "PUBLISH topic"));
}

#[test]
fn v5_section_3_1_3_2_3_the_payload_of_a_will_is_what_it_says() {
    let check = |payload: &'static [u8], said, expect| {
        let properties = PublishProperties { payload_is_utf8: said, ..PublishProperties::default() };
        let will = Some(Will { topic: "w", payload, properties, ..Will::default() });
        let mut connection = Connection::new(&Limits::default(), Millis(0));
        let connect = Packet::Connect(Connect { will, ..asks(V5) });
        assert_eq!(violation(&mut connection, &connect, V5, &Limits::default()), expect);
    };
    check(b"words", Some(true), None);
    check(b"\xff", Some(true), Some(Violation::PayloadNotUtf8));
    check(b"\xff", Some(false), None);
    check(b"\xff", None, None);
}

#[test]
fn a_packet_identifier_is_what_the_acknowledgement_bears() {
    let mut connection = open(V5, &Limits::default());
    let publish = Packet::Publish(publish(QoS::ExactlyOnce, 9, "t"));
    receive(&mut connection, &publish, V5, &Limits::default(), |event| {
        let Ok(Event::Publish { ack: Some(ack), .. }) = event else { panic!("{event:?}") };
        assert_eq!((Some(ack.packet_id), ack.qos), (PacketId::new(9), QoS::ExactlyOnce));
    });
}
