//! PUBLISH from the client, and what the server answers.

use whimbrel_proto::{
    Millis,
    client::{Message, Misuse, Token},
    codec::{
        Ack as AckPacket, Malformed, Packet, PacketType::*, PublishProperties, QoS, ReasonCode,
        SubscribeOptions, SubscriptionIds, UserProperties, Version,
    },
};

use crate::it::transcript::{Client, accepted, id, message};

#[test]
fn v5_4_3_1_1_a_qos_0_publish_has_no_dup_and_no_identifier() {
    let mut client = Client::open(Version::V5);
    let lines = client.publish(message("a/b", QoS::AtMostOnce), 1).unwrap();
    assert_eq!(lines, ["> PUBLISH q0 `a/b`"]);
    assert!(client.connection.session().in_flight() == 0);
}

#[test]
fn v5_4_3_2_1_to_3_a_qos_1_publish_is_unacknowledged_until_puback() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let mut client = Client::open(version);
        let lines = client.publish(message("a/b", QoS::AtLeastOnce), 7).unwrap();
        assert_eq!(lines, ["> PUBLISH q1 #1 `a/b`"]);
        assert_eq!(client.connection.session().in_flight(), 1);
        let lines = client.receive_ack(PubAck, 1, ReasonCode::Success);
        assert_eq!(lines, ["= delivery 7 Success"]);
        assert_eq!(client.connection.session().in_flight(), 0);
    }
}

#[test]
fn v5_4_3_3_1_to_6_a_qos_2_publish_goes_through_pubrec_pubrel_and_pubcomp() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let mut client = Client::open(version);
        let lines = client.publish(message("a/b", QoS::ExactlyOnce), 7).unwrap();
        assert_eq!(lines, ["> PUBLISH q2 #1 `a/b`"]);
        assert_eq!(client.receive_ack(PubRec, 1, ReasonCode::Success), ["> PUBREL #1"]);
        assert_eq!(client.connection.session().in_flight(), 1, "until PUBCOMP");
        assert_eq!(client.receive_ack(PubComp, 1, ReasonCode::Success), ["= delivery 7 Success"]);
        assert_eq!(client.connection.session().in_flight(), 0);
    }
}

#[test]
fn the_reason_of_pubrec_is_the_reason_of_the_delivery() {
    let mut client = Client::open(Version::V5);
    client.publish(message("a/b", QoS::ExactlyOnce), 7).unwrap();
    client.receive_ack(PubRec, 1, ReasonCode::NoMatchingSubscribers);
    let lines = client.receive_ack(PubComp, 1, ReasonCode::Success);
    assert_eq!(lines, ["= delivery 7 NoMatchingSubscribers"]);
}

#[test]
fn v5_4_4_0_2_an_error_in_puback_or_pubrec_ends_the_delivery() {
    let mut client = Client::open(Version::V5);
    client.publish(message("a", QoS::AtLeastOnce), 1).unwrap();
    client.publish(message("b", QoS::ExactlyOnce), 2).unwrap();
    let lines = client.receive_ack(PubAck, 1, ReasonCode::NotAuthorized);
    assert_eq!(lines, ["= delivery 1 NotAuthorized"]);
    let lines = client.receive_ack(PubRec, 2, ReasonCode::QuotaExceeded);
    assert_eq!(lines, ["= delivery 2 QuotaExceeded"], "and no PUBREL");
    assert_eq!(client.connection.session().in_flight(), 0);
}

#[test]
fn a_refusal_carries_the_words_of_the_server() {
    let mut client = Client::open(Version::V5);
    client.publish(message("a", QoS::AtLeastOnce), 1).unwrap();
    let ack = AckPacket {
        reason_string: Some("no write access"),
        ..AckPacket::new(id(1), ReasonCode::NotAuthorized)
    };
    let mut bytes = Vec::new();
    Packet::PubAck(ack).encode(Version::V5, &mut bytes);
    let Ok(whimbrel_proto::codec::Split::Whole { frame, .. }) =
        whimbrel_proto::codec::split(&bytes, u32::MAX)
    else {
        panic!("half a packet")
    };
    let event = client.connection.handle(frame, client.now, &mut Vec::new());
    let Ok(Some(whimbrel_proto::client::Event::Delivery { token: Token(1), reason_string, .. })) = event
    else {
        panic!("{event:?}")
    };
    assert_eq!(reason_string, Some("no write access"));
}

#[test]
fn v5_2_2_1_3_identifiers_are_unused_by_publish_subscribe_and_unsubscribe_together() {
    identifiers_are_unused(Version::V5);
}

#[test]
fn v311_2_3_1_2_identifiers_are_unused_by_publish_subscribe_and_unsubscribe_together() {
    identifiers_are_unused(Version::V311);
}

fn identifiers_are_unused(version: Version) {
    let mut client = Client::open(version);
    let options = SubscribeOptions::default();
    let lines = client.subscribe(&[("a", options)], None).unwrap();
    assert_eq!(lines, ["> SUBSCRIBE #65535 a:0"]);
    assert_eq!(client.unsubscribe(&["a"]).unwrap(), ["> UNSUBSCRIBE #65534 a"]);
    // Every other identifier goes to messages, which then stop in front of the two that are taken.
    for number in 1..=65_533 {
        client.publish(message("t", QoS::AtLeastOnce), number).unwrap();
    }
    assert!(!client.connection.has_room());
    assert_eq!(client.publish(message("t", QoS::AtLeastOnce), 0), Err(Misuse::NoRoom));
    assert_eq!(client.subscribe(&[("b", options)], None), Err(Misuse::NoRoom));
    // What is given back is used again, and nothing else.
    client.receive_ack(PubAck, 1_000, ReasonCode::Success);
    let lines = client.publish(message("t", QoS::AtLeastOnce), 0).unwrap();
    assert_eq!(lines, ["> PUBLISH q1 #1000 `t`"]);
}

/// Requests take their identifiers from the top, messages theirs from the bottom.
#[test]
fn v5_2_2_1_3_a_request_passes_over_the_identifier_of_a_message() {
    let mut client = Client::open(Version::V5);
    for packet_id in 1..=65_534 {
        client.publish(message("t", QoS::AtLeastOnce), 1).unwrap();
        client.receive_ack(PubAck, packet_id, ReasonCode::Success);
    }
    assert_eq!(client.publish(message("t", QoS::AtLeastOnce), 1).unwrap(), ["> PUBLISH q1 #65535 `t`"]);
    let filters = [("f", SubscribeOptions::default())];
    assert_eq!(client.subscribe(&filters, None).unwrap(), ["> SUBSCRIBE #65534 f:0"]);
    assert_eq!(client.subscribe(&filters, None).unwrap(), ["> SUBSCRIBE #65533 f:0"]);
}

#[test]
fn v311_2_3_1_3_an_identifier_is_free_again_after_its_last_acknowledgement() {
    let mut client = Client::open(Version::V311);
    for round in 0..3 {
        for _ in 0..65_535 {
            let lines = client.publish(message("t", QoS::ExactlyOnce), round).unwrap();
            let packet_id: u16 =
                lines[0].split('#').nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
            client.receive_ack(PubRec, packet_id, ReasonCode::Success);
            client.receive_ack(PubComp, packet_id, ReasonCode::Success);
        }
    }
    assert_eq!(client.connection.session().in_flight(), 0);
}

#[test]
fn v5_4_6_0_4_pubrel_leaves_in_the_order_of_pubrec() {
    pubrel_in_order(&[Version::V5]);
}

#[test]
fn v311_4_6_0_4_pubrel_leaves_in_the_order_of_pubrec() {
    pubrel_in_order(&[Version::V311]);
}

fn pubrel_in_order(versions: &[Version]) {
    for &version in versions {
        let mut client = Client::open(version);
        for number in 1..=3 {
            client.publish(message("t", QoS::ExactlyOnce), number).unwrap();
        }
        let mut lines = Vec::new();
        for packet_id in [2, 3, 1] {
            lines.extend(client.receive_ack(PubRec, packet_id, ReasonCode::Success));
        }
        assert_eq!(lines, ["> PUBREL #2", "> PUBREL #3", "> PUBREL #1"]);
    }
}

#[test]
fn acknowledgements_for_nothing_change_nothing() {
    let mut client = Client::open(Version::V5);
    client.publish(message("t", QoS::ExactlyOnce), 1).unwrap();
    assert_eq!(client.receive_ack(PubAck, 1, ReasonCode::Success), ["= stray PubAck #1"]);
    assert_eq!(client.receive_ack(PubComp, 1, ReasonCode::Success), ["= stray PubComp #1"]);
    // A server that waits for PUBREL gets one, with the reason.
    let lines = client.receive_ack(PubRec, 9, ReasonCode::Success);
    assert_eq!(lines, ["= stray PubRec #9", "> PUBREL #9 PacketIdNotFound"]);
    assert_eq!(client.receive_ack(PubRec, 9, ReasonCode::Unspecified), ["= stray PubRec #9"]);
    assert_eq!(client.connection.session().in_flight(), 1);
}

#[test]
fn v5_3_3_2_2_a_topic_name_has_no_wildcard() {
    let check = |topic: &str, fault| {
        let made = Message::new(topic, Vec::new(), QoS::AtMostOnce, false);
        assert_eq!(made, Err(Misuse::Malformed(fault)), "{topic}");
    };
    check("a/+", Malformed::TopicWildcard);
    check("#", Malformed::TopicWildcard);
    check("", Malformed::TopicEmpty);
    check("a\0", Malformed::TopicNul);
    check(&"t".repeat(65_536), Malformed::TopicTooLong);
}

#[test]
fn properties_that_cannot_be_sent_are_refused() {
    let long = "x".repeat(65_536);
    let pairs = [("a", "b\0")];
    let check = |properties: PublishProperties<'_>, misuse| {
        assert_eq!(message("t", QoS::AtMostOnce).with_properties(&properties), Err(misuse));
    };
    let none = PublishProperties::default();
    let ids = SubscriptionIds::from_slice(&[1]);
    // [MQTT-3.3.4-6]
    check(
        PublishProperties { subscription_ids: ids, ..none },
        Misuse::Malformed(Malformed::SubscriptionIdFromClient),
    );
    // [MQTT-3.3.2-14]
    check(
        PublishProperties { response_topic: Some("a/+"), ..none },
        Misuse::Malformed(Malformed::TopicWildcard),
    );
    check(
        PublishProperties { content_type: Some(&long), ..none },
        Misuse::Malformed(Malformed::StringTooLong),
    );
    check(
        PublishProperties { user_properties: UserProperties::from_pairs(&pairs), ..none },
        Misuse::Malformed(Malformed::StringNul),
    );
    let promised = PublishProperties { payload_is_utf8: Some(true), ..none };
    let made = Message::new("t", vec![0xff], QoS::AtMostOnce, false).unwrap().with_properties(&promised);
    assert_eq!(made, Err(Misuse::PayloadNotUtf8));
}

#[test]
fn v311_has_no_place_for_properties() {
    let properties = PublishProperties { content_type: Some("text/plain"), ..Default::default() };
    for version in [Version::V31, Version::V311] {
        let mut client = Client::open(version);
        let message = message("t", QoS::AtMostOnce).with_properties(&properties).unwrap();
        assert_eq!(client.publish(message, 1), Err(Misuse::NotInVersion(version)));
    }
}

#[test]
fn a_message_that_has_waited_leaves_with_what_is_left_of_its_life() {
    let expiring = |secs| {
        let properties = PublishProperties { message_expiry_secs: Some(secs), ..Default::default() };
        message("t", QoS::AtLeastOnce).with_properties(&properties).unwrap()
    };
    let mut client = Client::open_under(accepted(false));
    client.now = Millis(10_500);
    let mut check = |secs, since, lines: Result<Vec<String>, Misuse>| {
        let now = client.now;
        let published = client.act(|connection, out| {
            connection.publish(expiring(secs), Token(0), Millis(since), now, out).map(drop)
        });
        assert_eq!(published, lines);
    };
    check(60, 10_500, Ok(vec!["> PUBLISH q1 #1 `t` expiry=60".to_owned()]));
    check(60, 500, Ok(vec!["> PUBLISH q1 #2 `t` expiry=50".to_owned()]));
    check(10, 500, Err(Misuse::Expired));
    check(0, 10_500, Ok(vec!["> PUBLISH q1 #3 `t` expiry=0".to_owned()]));
}

#[test]
fn a_message_is_what_was_given() {
    let message = Message::new("a/b", b"payload".to_vec(), QoS::AtLeastOnce, true).unwrap();
    assert_eq!((message.topic(), message.payload()), ("a/b", &b"payload"[..]));
    assert_eq!((message.qos(), message.retain()), (QoS::AtLeastOnce, true));
    assert!(!Message::new("t", Vec::new(), QoS::AtMostOnce, false).unwrap().retain());
}

#[test]
fn v5_section_3_3_2_3_2_a_payload_is_the_utf_8_that_it_promises() {
    let check = |payload: &[u8], said, is_good: bool| {
        let message = Message::new("t", payload.to_vec(), QoS::AtMostOnce, false).unwrap();
        let properties = PublishProperties { payload_is_utf8: said, ..PublishProperties::default() };
        let expect = if is_good { Ok(()) } else { Err(Misuse::PayloadNotUtf8) };
        assert_eq!(message.with_properties(&properties).map(drop), expect, "{payload:02x?} {said:?}");
    };
    check(b"words", Some(true), true);
    check(b"with \0 in it", Some(true), true);
    check(b"\xff", Some(true), false);
    check(b"\xff", Some(false), true);
    check(b"\xff", None, true);
}

#[test]
fn v311_has_no_place_for_any_one_property() {
    let none = PublishProperties::default();
    for properties in [
        PublishProperties { message_expiry_secs: Some(9), ..none },
        PublishProperties { topic_alias: Some(1), ..none },
        PublishProperties { content_type: Some("text"), ..none },
    ] {
        let mut client = Client::open(Version::V311);
        let message = message("t", QoS::AtMostOnce).with_properties(&properties).unwrap();
        assert_eq!(client.publish(message, 1), Err(Misuse::NotInVersion(Version::V311)));
    }
}
