//! What the server allows in CONNACK, and the client keeps to.

use whimbrel_proto::{
    Millis,
    client::{Misuse, Session, Settings},
    codec::{ConnAck, Packet, PacketType::*, PublishProperties, QoS, ReasonCode, SubscribeOptions, Version},
};

use crate::it::transcript::{Client, accepted, connect, message};

fn open(limit: impl FnOnce(&mut ConnAck<'static>)) -> Client {
    let mut connack = accepted(false);
    limit(&mut connack);
    Client::open_under(connack)
}

#[test]
fn v5_3_3_4_7_no_more_than_receive_maximum_messages_are_unacknowledged() {
    let mut client = open(|connack| connack.properties.receive_maximum = Some(2));
    client.publish(message("a", QoS::AtLeastOnce), 1).unwrap();
    client.publish(message("b", QoS::ExactlyOnce), 2).unwrap();
    assert!(!client.connection.has_room());
    assert_eq!(client.publish(message("c", QoS::AtLeastOnce), 3), Err(Misuse::NoRoom));
    // PUBREC without error does not make room, PUBCOMP does.
    client.receive_ack(PubRec, 2, ReasonCode::Success);
    assert_eq!(client.publish(message("c", QoS::AtLeastOnce), 3), Err(Misuse::NoRoom));
    client.receive_ack(PubComp, 2, ReasonCode::Success);
    client.publish(message("c", QoS::ExactlyOnce), 3).unwrap();
    assert!(!client.connection.has_room());
    // PUBREC with an error does.
    client.receive_ack(PubRec, 3, ReasonCode::Unspecified);
    assert!(client.connection.has_room());
}

#[test]
fn v5_3_3_4_8_and_4_9_0_3_other_packets_do_not_wait_for_the_receive_maximum() {
    let mut client = open(|connack| connack.properties.receive_maximum = Some(1));
    client.publish(message("a", QoS::AtLeastOnce), 1).unwrap();
    assert!(!client.connection.has_room());
    assert!(client.publish(message("a", QoS::AtMostOnce), 2).is_ok());
    assert!(client.subscribe(&[("a", SubscribeOptions::default())], None).is_ok());
    assert!(client.unsubscribe(&["a"]).is_ok());
    let now = client.now;
    assert!(client.act(|connection, out| connection.ping(now, out)).is_ok());
}

#[test]
fn v5_3_2_2_11_no_publish_above_the_maximum_qos() {
    let check = |qos_max, allowed: [bool; 3]| {
        let mut client = open(|connack| connack.properties.qos_max = Some(qos_max));
        for (qos, allowed) in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce].into_iter().zip(allowed) {
            let published = client.publish(message("t", qos), 1).map(drop);
            let expected = if allowed { Ok(()) } else { Err(Misuse::QosNotSupported(qos_max)) };
            assert_eq!(published, expected);
        }
    };
    check(QoS::AtMostOnce, [true, false, false]);
    check(QoS::AtLeastOnce, [true, true, false]);
}

#[test]
fn v5_3_2_2_14_no_retained_message_where_the_server_keeps_none() {
    let mut client = open(|connack| connack.properties.retain_available = Some(false));
    let retained = whimbrel_proto::client::Message::new("t", vec![], QoS::AtMostOnce, true).unwrap();
    assert_eq!(client.publish(retained.clone(), 1), Err(Misuse::RetainNotSupported));
    let mut client = open(|_| {});
    assert_eq!(client.publish(retained, 1).unwrap(), ["> PUBLISH q0 retain `t`"]);
}

#[test]
fn v5_3_2_2_15_no_packet_above_the_maximum_packet_size() {
    let mut client = open(|connack| connack.properties.packet_size_max = Some(20));
    // 2 bytes of fixed header, 2 + 1 of topic, 1 of properties, 2 of identifier.
    let sized = |payload: usize, qos| {
        whimbrel_proto::client::Message::new("t", vec![0; payload], qos, false).unwrap()
    };
    assert!(client.publish(sized(14, QoS::AtMostOnce), 1).is_ok());
    let too_large = Misuse::PacketTooLarge { bytes: 21, bytes_max: 20 };
    assert_eq!(client.publish(sized(15, QoS::AtMostOnce), 1), Err(too_large));
    assert!(client.publish(sized(12, QoS::AtLeastOnce), 1).is_ok());
    assert_eq!(client.publish(sized(13, QoS::AtLeastOnce), 1), Err(too_large));
    let options = SubscribeOptions::default();
    assert!(client.subscribe(&[("123456789012", options)], None).is_ok());
    assert_eq!(client.subscribe(&[("1234567890123", options)], None), Err(too_large));
    assert_eq!(client.unsubscribe(&["12345678901234"]), Err(too_large));
}

#[test]
fn no_publish_is_longer_than_a_packet_can_be() {
    let mut client = Client::open(Version::V311);
    let huge = vec![0; 268_435_455 - 2];
    let message = whimbrel_proto::client::Message::new("t", huge, QoS::AtMostOnce, false).unwrap();
    let refused = client.publish(message, 1);
    assert!(matches!(refused, Err(Misuse::PacketTooLarge { bytes: 268_435_461, .. })), "{refused:?}");
}

#[test]
fn v5_3_2_2_17_and_18_no_topic_alias_above_the_maximum_and_none_without_one() {
    let aliased = |alias| {
        let properties = PublishProperties { topic_alias: Some(alias), ..Default::default() };
        message("t", QoS::AtMostOnce).with_properties(&properties).unwrap()
    };
    let mut client = open(|connack| connack.properties.topic_alias_max = Some(2));
    assert_eq!(client.publish(aliased(2), 1).unwrap(), ["> PUBLISH q0 `t` alias=2"]);
    assert_eq!(client.publish(aliased(3), 1), Err(Misuse::TopicAliasTooHigh(2)));
    assert_eq!(client.publish(aliased(0), 1), Err(Misuse::TopicAliasTooHigh(2)));
    let mut client = open(|_| {});
    assert_eq!(client.publish(aliased(1), 1), Err(Misuse::TopicAliasTooHigh(0)));
}

#[test]
fn v5_3_3_2_9_aliases_that_the_connection_assigns_stay_below_both_maxima() {
    let settings = Settings { topic_aliases_out_max: 3, ..Settings::default() };
    let check = |server: u16, lines: [&str; 6]| {
        let mut client = Client::start_with(&connect(Version::V5), settings, Session::default(), Millis(0));
        let mut connack = accepted(false);
        connack.properties.topic_alias_max = Some(server);
        client.receive(Packet::ConnAck(connack));
        for (topic, line) in ["a", "b", "a", "c", "d", "c"].into_iter().zip(lines) {
            let told = client.publish(message(topic, QoS::AtMostOnce), 1).unwrap();
            assert_eq!(told, [format!("> PUBLISH q0 {line}")]);
        }
    };
    check(0, ["`a`", "`b`", "`a`", "`c`", "`d`", "`c`"]);
    check(2, ["`a` alias=1", "`b` alias=2", "`` alias=1", "`c`", "`d`", "`c`"]);
    check(9, ["`a` alias=1", "`b` alias=2", "`` alias=1", "`c` alias=3", "`d`", "`` alias=3"]);
}

#[test]
fn an_alias_that_would_make_the_packet_too_large_is_not_assigned() {
    let settings = Settings { topic_aliases_out_max: 3, ..Settings::default() };
    let mut client = Client::start_with(&connect(Version::V5), settings, Session::default(), Millis(0));
    let mut connack = accepted(false);
    connack.properties.topic_alias_max = Some(3);
    connack.properties.packet_size_max = Some(20);
    client.receive(Packet::ConnAck(connack));
    let sized = |payload| {
        whimbrel_proto::client::Message::new("t", vec![0; payload], QoS::AtMostOnce, false).unwrap()
    };
    assert_eq!(client.publish(sized(14), 1).unwrap(), ["> PUBLISH q0 `t`"]);
    assert_eq!(client.publish(sized(7), 1).unwrap(), ["> PUBLISH q0 `t`"], "an expiry would take it past");
    assert_eq!(client.publish(sized(6), 1).unwrap(), ["> PUBLISH q0 `t` alias=1"]);
    assert_eq!(client.publish(sized(1), 1).unwrap(), ["> PUBLISH q0 `` alias=1"]);
}

#[test]
fn a_chosen_alias_and_assigned_ones_do_not_mix() {
    let settings = Settings { topic_aliases_out_max: 3, ..Settings::default() };
    let mut client = Client::start_with(&connect(Version::V5), settings, Session::default(), Millis(0));
    let mut connack = accepted(false);
    connack.properties.topic_alias_max = Some(3);
    client.receive(Packet::ConnAck(connack));
    let properties = PublishProperties { topic_alias: Some(1), ..Default::default() };
    let aliased = message("t", QoS::AtMostOnce).with_properties(&properties).unwrap();
    assert_eq!(client.publish(aliased, 1), Err(Misuse::TopicAliasAutomatic));
}

#[test]
fn subscriptions_that_the_server_does_not_have_are_not_asked_for() {
    let options = SubscribeOptions::default();
    let mut client = open(|connack| {
        connack.properties.wildcard_available = Some(false);
        connack.properties.subscription_ids_available = Some(false);
        connack.properties.shared_available = Some(false);
    });
    let mut check = |filter: &str, id, misuse| {
        assert_eq!(client.subscribe(&[(filter, options)], id), Err(misuse), "{filter}");
    };
    check("a/+", None, Misuse::WildcardsNotAvailable);
    check("#", None, Misuse::WildcardsNotAvailable);
    check("$share/g/a", None, Misuse::SharedNotAvailable);
    check("a", Some(1), Misuse::SubscriptionIdsNotAvailable);
    assert!(client.subscribe(&[("a", options)], None).is_ok());
    let mut client = open(|_| {});
    assert!(client.subscribe(&[("$share/g/a/+", options), ("#", options)], Some(1)).is_ok());
}

/// The greatest packet has 268,435,455 bytes after a fixed header of five.
#[test]
fn v5_section_2_1_4_a_packet_longer_than_mqtt_has_is_not_sent() {
    const LONGEST: usize = 268_435_460;
    // The header, the packet identifier, an empty block of properties; and of each filter its length and options.
    let filter = "f".repeat(65_535);
    let whole = (LONGEST - 8) / 65_538;
    let last = (LONGEST - 8) % 65_538 - 3 + 1;
    let mut filters = vec![(filter.as_str(), SubscribeOptions::default()); whole];
    filters.push((&filter[..last], SubscribeOptions::default()));
    let misuse = Misuse::PacketTooLarge { bytes: LONGEST + 1, bytes_max: u32::MAX };
    assert_eq!(open(|_| {}).subscribe(&filters, None), Err(misuse));
}
