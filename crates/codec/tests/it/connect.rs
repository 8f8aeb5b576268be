//! CONNECT and its will.

use whimbrel_codec::Peer::Client;
use whimbrel_codec::Version::{V5, V31, V311};
use whimbrel_codec::{
    Connect, ConnectProperties, Frame, Malformed, Packet, PacketType, PropertyId, PublishProperties, QoS,
    ReasonCode, SubscriptionIds, UserProperties, Version, Will,
};

use super::wire::{accepts, bytes, decode, encode, packet, refuses, same};

const MALFORMED: ReasonCode = ReasonCode::MalformedPacket;
const PROTOCOL: ReasonCode = ReasonCode::ProtocolError;

fn plain(version: Version) -> Connect<'static> {
    Connect { version, clean_start: true, keep_alive_secs: 10, client_id: "p", ..Connect::default() }
}

#[test]
fn the_smallest_connect_of_each_version() {
    let check = |version, body| same(version, Client, 0x10, body, Packet::Connect(plain(version)));
    check(V31, "0006'MQIsdp' 03 02 000a 0001'p'");
    check(V311, "0004'MQTT' 04 02 000a 0001'p'");
    check(V5, "0004'MQTT' 05 02 000a 00 0001'p'");
}

#[test]
fn a_connect_says_its_version_itself() {
    let wire = packet(0x10, "0004'MQTT' 04 02 000a 0001'p'");
    for version in [V31, V311, V5] {
        assert_eq!(super::wire::decode(&wire, version, Client), Ok(Packet::Connect(plain(V311))));
    }
}

#[test]
fn v311_3_1_3_1_all_fields_in_order() {
    let connect = Connect {
        will: Some(Will {
            qos: QoS::ExactlyOnce,
            retain: true,
            topic: "t",
            payload: b"w",
            ..Will::default()
        }),
        user_name: Some("u"),
        password: Some(b"\x00"),
        clean_start: false,
        ..plain(V311)
    };
    let body = "0004'MQTT' 04 f4 000a 0001'p' 0001't' 0001'w' 0001'u' 000100";
    same(V311, Client, 0x10, body, Packet::Connect(connect));
}

#[test]
fn v5_3_1_3_1_all_fields_and_properties_in_order() {
    let connect = Connect {
        will: Some(Will {
            qos: QoS::AtLeastOnce,
            retain: false,
            topic: "t",
            payload: b"",
            delay_secs: 5,
            properties: PublishProperties {
                payload_is_utf8: Some(true),
                message_expiry_secs: Some(6),
                response_topic: Some("r"),
                correlation_data: Some(b"c"),
                content_type: Some(""),
                user_properties: UserProperties::from_pairs(&[("k", "v")]),
                ..PublishProperties::default()
            },
        }),
        user_name: Some(""),
        password: Some(b""),
        properties: ConnectProperties {
            session_expiry_secs: Some(0xffff_ffff),
            receive_maximum: Some(1),
            packet_size_max: Some(2),
            topic_alias_max: Some(0),
            request_response_information: Some(true),
            request_problem_information: Some(false),
            authentication_method: Some("m"),
            authentication_data: Some(b"d"),
            user_properties: UserProperties::from_pairs(&[("a", "b"), ("a", "b")]),
        },
        ..plain(V5)
    };
    let properties = "[11ffffffff 210001 2700000002 220000 1901 1700 150001'm' 160001'd' \
        260001'a'0001'b' 260001'a'0001'b']";
    let will = "[1800000005 0200000006 0101 080001'r' 090001'c' 030000 260001'k'0001'v'] 0001't' 0000";
    let body = format!("0004'MQTT' 05 ce 000a {properties} 0001'p' {will} 0000 0000");
    same(V5, Client, 0x10, &body, Packet::Connect(connect));
}

#[test]
fn v5_3_1_2_1_the_protocol_name_is_mqtt() {
    for body in
        ["0004'MQTU' 05", "0003'MQT' 05", "0005'MQTTT' 05", "0000 05", "0004'mqtt' 05", "0006'MQIsdq' 03"]
    {
        let unsupported = ReasonCode::UnsupportedProtocolVersion;
        refuses(V5, Client, (0x10, body), Malformed::ProtocolName, "MQTT-3.1.2-1", unsupported);
    }
}

#[test]
fn v5_3_1_2_2_an_unknown_level_is_told_from_a_malformed_packet() {
    for (body, level) in [
        ("0004'MQTT' 03 02 000a 0001'p'", 3),
        ("0004'MQTT' 06", 6),
        ("0004'MQTT' 00", 0),
        ("0006'MQIsdp' 04 02 000a 0001'p'", 4),
        // A bridge of another broker that marks itself in the level.
        ("0004'MQTT' 84 02 000a 0001'p'", 0x84),
        ("0006'MQIsdp' 83 02 000a 0001'p'", 0x83),
    ] {
        let unsupported = ReasonCode::UnsupportedProtocolVersion;
        let malformed = Malformed::ProtocolLevel(level);
        refuses(V5, Client, (0x10, body), malformed, "MQTT-3.1.2-2", unsupported);
        assert_eq!(malformed.statement(V311), "MQTT-3.1.2-2");
        assert_eq!(unsupported.connect_return_code(), 1);
    }
}

#[test]
fn the_version_is_known_when_the_rest_is_malformed() {
    for (body, expect) in [
        ("0004'MQTT' 05 ff", Ok(V5)),
        ("0006'MQIsdp' 03", Ok(V31)),
        ("0004'MQTT'", Err(Malformed::Truncated)),
        ("0004'MQTT' 07", Err(Malformed::ProtocolLevel(7))),
    ] {
        let body = bytes(body);
        let frame = Frame { kind: PacketType::Connect, flags: 0, body: &body };
        assert_eq!(Connect::version_of(frame), expect);
    }
}

#[test]
fn v5_3_1_2_3_the_reserved_flag_is_zero() {
    let body = "0004'MQTT' 05 03 000a 00 0001'p'";
    refuses(V5, Client, (0x10, body), Malformed::ConnectFlagReserved, "MQTT-3.1.2-3", MALFORMED);
}

/// [MQTT-3.1.2-3] and [MQTT-2.1.3-1] came with 3.1.1: 3.1 has no use for the bit and for the flags of the first byte.
#[test]
fn v31_does_not_look_at_unused_flags() {
    for (flags, body) in [(0, "0006'MQIsdp' 03 03 000a 0001'p'"), (4, "0006'MQIsdp' 03 02 000a 0001'p'")] {
        let body = bytes(body);
        let frame = Frame { kind: PacketType::Connect, flags, body: &body };
        let connect = Connect::decode(frame, V31, Client).unwrap();
        assert!(connect.clean_start && connect.client_id == "p");
    }
}

#[test]
fn v5_3_1_2_11_without_a_will_there_is_no_will_qos() {
    for flags in ["0a", "12", "1a"] {
        let body = format!("0004'MQTT' 05 {flags} 000a 00 0001'p'");
        let malformed = Malformed::WillQoSWithoutWill;
        refuses(V5, Client, (0x10, &body), malformed, "MQTT-3.1.2-11", MALFORMED);
        assert_eq!(malformed.statement(V311), "MQTT-3.1.2-13");
    }
}

#[test]
fn v5_3_1_2_13_without_a_will_there_is_no_will_retain() {
    let malformed = Malformed::WillRetainWithoutWill;
    refuses(V5, Client, (0x10, "0004'MQTT' 05 22 000a 00 0001'p'"), malformed, "MQTT-3.1.2-13", MALFORMED);
    assert_eq!(malformed.statement(V311), "MQTT-3.1.2-15");
}

#[test]
fn v5_3_1_2_12_will_qos_3_is_refused() {
    let body = "0004'MQTT' 05 1e 000a 00 0001'p' 00 0001't' 0000";
    refuses(V5, Client, (0x10, body), Malformed::WillQoS3, "MQTT-3.1.2-12", MALFORMED);
    let body = "0004'MQTT' 04 1e 000a 0001'p' 0001't' 0000";
    refuses(V311, Client, (0x10, body), Malformed::WillQoS3, "MQTT-3.1.2-14", MALFORMED);
}

#[test]
fn v311_3_1_2_22_no_password_without_a_user_name() {
    let malformed = Malformed::PasswordWithoutUserName;
    refuses(
        V311,
        Client,
        (0x10, "0004'MQTT' 04 42 000a 0001'p' 0001'q'"),
        malformed,
        "MQTT-3.1.2-22",
        MALFORMED,
    );
    let body = "0006'MQIsdp' 03 42 000a 0001'p' 0001'q'";
    refuses(V31, Client, (0x10, body), malformed, "MQTT-3.1.2-22", MALFORMED);
}

#[test]
fn v31_a_flagged_user_name_and_password_may_be_missing_at_the_end() {
    for (flags, rest, user_name) in [("82", "", None), ("c2", "", None), ("c2", "0001'u'", Some("u"))] {
        let body = format!("0006'MQIsdp' 03 {flags} 000a 0001'p' {rest}");
        let whole = packet(0x10, &body);
        let Ok(Packet::Connect(connect)) = decode(&whole, V31, Client) else { panic!("{body}") };
        assert_eq!((connect.client_id, connect.user_name, connect.password), ("p", user_name, None));
    }
    for (flags, rest) in [("82", "00"), ("82", "0002'u'"), ("c2", "0001'u' 00"), ("c2", "0001'u' 0002'q'")] {
        let body = format!("0006'MQIsdp' 03 {flags} 000a 0001'p' {rest}");
        refuses(V31, Client, (0x10, &body), Malformed::Truncated, "section 2.2.3", MALFORMED);
    }
    for (flags, rest) in [("82", ""), ("c2", "0001'u'")] {
        let body = format!("0004'MQTT' 04 {flags} 000a 0001'p' {rest}");
        refuses(V311, Client, (0x10, &body), Malformed::Truncated, "section 2.2.3", MALFORMED);
    }
}

#[test]
fn v5_section_3_1_2_9_a_password_may_come_without_a_user_name() {
    let connect = Connect { password: Some(b"q"), ..plain(V5) };
    same(V5, Client, 0x10, "0004'MQTT' 05 42 000a 00 0001'p' 0001'q'", Packet::Connect(connect));
}

#[test]
fn v5_3_1_2_17_flagged_fields_are_there_and_no_others() {
    let truncated = Malformed::Truncated;
    let trailing = Malformed::TrailingBytes;
    for (flags, rest, malformed) in [
        ("82", "0001'p'", truncated),
        ("c2", "0001'p' 0001'u'", truncated),
        ("06", "0001'p'", truncated),
        ("06", "0001'p' 00 0001't'", truncated),
        ("02", "", truncated),
        ("02", "0001'p' 0001'u'", trailing),
        ("82", "0001'p' 0001'u' 0001'w'", trailing),
        ("02", "0001'p' 00", trailing),
    ] {
        let body = format!("0004'MQTT' 05 {flags} 000a 00 {rest}");
        refuses(V5, Client, (0x10, &body), malformed, "section 2.1.4", MALFORMED);
    }
    for body in
        ["", "00", "0004", "0004'MQT'", "0004'MQTT'", "0004'MQTT'05", "0004'MQTT'0502", "0004'MQTT'0502 00"]
    {
        refuses(V5, Client, (0x10, body), truncated, "section 2.1.4", MALFORMED);
    }
}

#[test]
fn v5_3_1_3_4_strings_are_well_formed_wherever_they_are() {
    for (flags, rest) in
        [("02", "0003 eda080"), ("06", "0001'p' 00 0003 eda080 0000"), ("82", "0001'p' 0003 eda080")]
    {
        let body = format!("0004'MQTT' 05 {flags} 000a 00 {rest}");
        refuses(V5, Client, (0x10, &body), Malformed::StringNotUtf8, "MQTT-1.5.4-1", MALFORMED);
    }
    for (flags, rest) in
        [("02", "0002 6100"), ("06", "0001'p' 00 0002 6100 0000"), ("82", "0001'p' 0002 6100")]
    {
        let body = format!("0004'MQTT' 05 {flags} 000a 00 {rest}");
        refuses(V5, Client, (0x10, &body), Malformed::StringNul, "MQTT-1.5.4-2", MALFORMED);
    }
}

#[test]
fn v5_4_7_3_1_the_will_topic_is_a_topic_name() {
    let body = "0004'MQTT' 05 06 000a 00 0001'p' 00 0000 0000";
    refuses(V5, Client, (0x10, body), Malformed::TopicEmpty, "MQTT-4.7.3-1", MALFORMED);
    for topic in ["0003'a/+'", "0001'#'"] {
        let body = format!("0004'MQTT' 05 06 000a 00 0001'p' 00 {topic} 0000");
        refuses(V5, Client, (0x10, &body), Malformed::TopicWildcard, "MQTT-3.3.2-2", MALFORMED);
    }
}

#[test]
fn v5_section_3_1_2_11_properties_come_once_and_in_range() {
    let refused = |block: &str, malformed: Malformed, reason| {
        let len = bytes(block).len();
        let body = format!("0004'MQTT' 05 02 000a {len:02x} {block} 0001'p'");
        refuses(V5, Client, (0x10, &body), malformed, "section 2.2.2.2", reason);
    };
    for (block, id) in [
        ("1100000000 1100000000", PropertyId::SessionExpiryInterval),
        ("210001 210001", PropertyId::ReceiveMaximum),
        ("2700000001 2700000001", PropertyId::MaximumPacketSize),
        ("220001 220001", PropertyId::TopicAliasMaximum),
        ("1901 1901", PropertyId::RequestResponseInformation),
        ("1701 1701", PropertyId::RequestProblemInformation),
        ("150001'm' 150001'm'", PropertyId::AuthenticationMethod),
        ("150001'm' 160001'd' 160001'd'", PropertyId::AuthenticationData),
    ] {
        refused(block, Malformed::PropertyDuplicate(id), PROTOCOL);
    }
    for (block, id) in [
        ("210000", PropertyId::ReceiveMaximum),
        ("2700000000", PropertyId::MaximumPacketSize),
        ("1902", PropertyId::RequestResponseInformation),
        ("1702", PropertyId::RequestProblemInformation),
    ] {
        refused(block, Malformed::PropertyValue(id), PROTOCOL);
    }
}

#[test]
fn v5_section_3_1_2_11_10_authentication_data_needs_a_method() {
    let malformed = Malformed::AuthenticationMethodMissing(PacketType::Connect);
    let body = "0004'MQTT' 05 02 000a 04 160001'd' 0001'p'";
    refuses(V5, Client, (0x10, body), malformed, "section 3.1.2.11.10", PROTOCOL);
}

#[test]
fn v5_3_1_3_6_the_client_id_may_be_empty() {
    accepts(V5, Client, 0x10, "0004'MQTT' 05 02 000a 00 0000");
    accepts(V311, Client, 0x10, "0004'MQTT' 04 00 000a 0000");
}

#[test]
fn v5_section_3_1_3_2_a_will_is_written_without_alias_subscription_id_and_a_delay_of_none() {
    let will = |properties| Will { topic: "t", properties, ..Will::default() };
    let written = |will| encode(&Packet::Connect(Connect { will: Some(will), ..plain(V5) }), V5);
    let none = PublishProperties::default();
    let expect = packet(0x10, "0004'MQTT' 05 06 000a 00 0001'p' 00 0001't' 0000");
    assert_eq!(written(will(none)), expect);
    assert_eq!(written(will(PublishProperties { topic_alias: Some(1), ..none })), expect);
    let subscription_ids = SubscriptionIds::from_slice(&[1]);
    assert_eq!(written(will(PublishProperties { subscription_ids, ..none })), expect);
}

#[test]
fn v5_section_3_1_3_2_a_will_takes_no_alias_and_no_subscription_id() {
    for (block, id) in [
        ("230001", PropertyId::TopicAlias),
        ("0b01", PropertyId::SubscriptionIdentifier),
        ("210001", PropertyId::ReceiveMaximum),
    ] {
        let len = bytes(block).len();
        let body = format!("0004'MQTT' 05 06 000a 00 0001'p' {len:02x} {block} 0001't' 0000");
        let malformed = Malformed::PropertyNotAllowed(id);
        refuses(V5, Client, (0x10, &body), malformed, "section 2.2.2.2", ReasonCode::MalformedPacket);
    }
    let body = "0004'MQTT' 05 06 000a 00 0001'p' 0a 1800000001 1800000001 0001't' 0000";
    let malformed = Malformed::PropertyDuplicate(PropertyId::WillDelayInterval);
    refuses(V5, Client, (0x10, body), malformed, "section 2.2.2.2", PROTOCOL);
}
