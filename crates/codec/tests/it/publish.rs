//! PUBLISH.

use whimbrel_codec::Peer::{Client, Server};
use whimbrel_codec::Version::{V5, V31, V311};
use whimbrel_codec::{
    Malformed, Packet, PacketId, PropertyId, Publish, PublishProperties, QoS, ReasonCode, SubscriptionIds,
    UserProperties, publish_first_byte,
};

use super::wire::{VERSIONS, accepts, bytes, encode, refuses, same};

const MALFORMED: ReasonCode = ReasonCode::MalformedPacket;
const PROTOCOL: ReasonCode = ReasonCode::ProtocolError;

#[test]
fn the_smallest_publish_of_each_version() {
    let publish = Packet::Publish(Publish { topic: "a", ..Publish::default() });
    same(V31, Client, 0x30, "0001'a'", publish);
    same(V311, Server, 0x30, "0001'a'", publish);
    same(V5, Client, 0x30, "0001'a' 00", publish);
}

#[test]
fn flags_packet_id_and_payload() {
    for (first, dup, qos, retain) in [
        (0x31, false, QoS::AtMostOnce, true),
        (0x32, false, QoS::AtLeastOnce, false),
        (0x33, false, QoS::AtLeastOnce, true),
        (0x3a, true, QoS::AtLeastOnce, false),
        (0x34, false, QoS::ExactlyOnce, false),
        (0x3d, true, QoS::ExactlyOnce, true),
    ] {
        assert_eq!(publish_first_byte(dup, qos, retain), first);
        let packet_id = if qos == QoS::AtMostOnce { None } else { PacketId::new(0xffff) };
        let publish =
            Publish { dup, qos, retain, topic: "a/b", packet_id, payload: b"x\0", ..Publish::default() };
        let id = if packet_id.is_some() { "ffff" } else { "" };
        same(V311, Client, first, &format!("0003'a/b' {id} 'x' 00"), Packet::Publish(publish));
        same(V5, Client, first, &format!("0003'a/b' {id} 00 'x' 00"), Packet::Publish(publish));
    }
}

#[test]
fn v5_all_properties() {
    let publish = Publish {
        topic: "t",
        properties: PublishProperties {
            payload_is_utf8: Some(false),
            message_expiry_secs: Some(1),
            topic_alias: Some(2),
            response_topic: Some("r"),
            correlation_data: Some(b"\xff"),
            subscription_ids: SubscriptionIds::from_slice(&[1, 128, 268_435_455]),
            content_type: Some("c"),
            user_properties: UserProperties::from_pairs(&[("k", "v"), ("k", "w")]),
        },
        payload: b"p",
        ..Publish::default()
    };
    let properties = "[230002 0200000001 0b01 0b8001 0bffffff7f 0100 080001'r' 090001ff 030001'c' \
        260001'k'0001'v' 260001'k'0001'w']";
    same(V5, Server, 0x30, &format!("0001't' {properties} 'p'"), Packet::Publish(publish));
}

#[test]
fn v5_3_3_2_18_user_properties_keep_their_order_between_others() {
    let wire =
        super::wire::packet(0x30, "0001't' [260001'b'0001'1' 0101 260001'a'0001'2' 030000 260000 0000]");
    let Ok(Packet::Publish(publish)) = super::wire::decode(&wire, V5, Client) else { panic!("refused") };
    let pairs: Vec<_> = publish.properties.user_properties.iter().collect();
    assert_eq!(pairs, [("b", "1"), ("a", "2"), ("", "")]);
    assert_eq!(publish.properties.user_properties.count(), 3);
    assert_eq!(publish.properties.user_properties.byte_len(), 7 + 7 + 5);
    let ids = super::wire::packet(0x30, "0001't' 06 0b05 0101 0b04");
    let Ok(Packet::Publish(publish)) = super::wire::decode(&ids, V5, Server) else { panic!("refused") };
    assert_eq!(publish.properties.subscription_ids.iter().collect::<Vec<_>>(), [5, 4]);
}

#[test]
fn v5_3_3_1_4_qos_3_is_refused() {
    for version in VERSIONS {
        for first in [0x36, 0x37, 0x3e, 0x3f] {
            let malformed = Malformed::PublishQoS3;
            refuses(version, Client, (first, "0001't' 0001 00"), malformed, "MQTT-3.3.1-4", MALFORMED);
        }
    }
}

#[test]
fn v5_3_3_1_2_dup_is_zero_for_qos_0() {
    for version in VERSIONS {
        for first in [0x38, 0x39] {
            refuses(version, Client, (first, "0001't' 00"), Malformed::DupOnQoS0, "MQTT-3.3.1-2", MALFORMED);
        }
    }
}

#[test]
fn v5_2_2_1_2_no_packet_id_is_written_at_qos_0() {
    let publish = Publish { topic: "a", packet_id: PacketId::new(1), ..Publish::default() };
    assert_eq!(encode(&Packet::Publish(publish), V311), bytes("30 03 0001'a'"));
}

#[test]
fn v5_2_2_1_3_the_packet_id_is_not_zero() {
    for first in [0x32, 0x34] {
        let malformed = Malformed::PacketIdZero;
        refuses(V5, Client, (first, "0001't' 0000 00"), malformed, "MQTT-2.2.1-3", PROTOCOL);
        refuses(V311, Client, (first, "0001't' 0000"), malformed, "MQTT-2.3.1-1", PROTOCOL);
    }
}

#[test]
fn v5_3_3_2_1_the_topic_name_is_present_and_well_formed() {
    for body in ["", "00", "0001", "0002't'"] {
        refuses(V5, Client, (0x30, body), Malformed::Truncated, "section 2.1.4", MALFORMED);
    }
    refuses(V5, Client, (0x30, "0003 eda080 00"), Malformed::StringNotUtf8, "MQTT-1.5.4-1", MALFORMED);
    refuses(V311, Client, (0x30, "0003 eda080"), Malformed::StringNotUtf8, "MQTT-1.5.3-1", MALFORMED);
    refuses(V5, Client, (0x30, "0003'a'00'b' 00"), Malformed::StringNul, "MQTT-1.5.4-2", MALFORMED);
    refuses(V311, Client, (0x30, "0003'a'00'b'"), Malformed::StringNul, "MQTT-1.5.3-2", MALFORMED);
}

#[test]
fn v5_3_3_2_2_the_topic_name_has_no_wildcard() {
    for version in VERSIONS {
        // Near and past the width of vector instructions.
        for topic in ["+", "#", "a/+", "a/#", "0123456789abcde+", "0123456789abcdef0123456789abcdef/#"] {
            let body = format!("{:04x}'{topic}' 00", topic.len());
            refuses(version, Client, (0x30, &body), Malformed::TopicWildcard, "MQTT-3.3.2-2", MALFORMED);
        }
    }
}

#[test]
fn v5_section_3_3_2_1_an_empty_topic_needs_an_alias() {
    accepts(V5, Client, 0x30, "0000 03 230001");
    refuses(V5, Client, (0x30, "0000 00"), Malformed::TopicMissing, "section 3.3.2.1", PROTOCOL);
    refuses(V311, Client, (0x30, "0000"), Malformed::TopicMissing, "MQTT-4.7.3-1", PROTOCOL);
}

#[test]
fn v5_3_3_2_8_a_topic_alias_is_not_zero() {
    let reason = ReasonCode::TopicAliasInvalid;
    refuses(V5, Client, (0x30, "0001't' 03 230000"), Malformed::TopicAliasZero, "MQTT-3.3.2-8", reason);
}

#[test]
fn v5_3_3_2_14_the_response_topic_is_a_topic_name() {
    for block in ["05 080002'a+'", "04 080001'#'"] {
        let malformed = Malformed::ResponseTopicWildcard;
        refuses(V5, Client, (0x30, &format!("0001't' {block}")), malformed, "MQTT-3.3.2-14", PROTOCOL);
    }
    let malformed = Malformed::ResponseTopicEmpty;
    refuses(V5, Client, (0x30, "0001't' 03 080000"), malformed, "MQTT-4.7.3-1", PROTOCOL);
}

#[test]
fn v5_3_3_4_6_a_client_sends_no_subscription_id() {
    let malformed = Malformed::SubscriptionIdFromClient;
    refuses(V5, Client, (0x30, "0001't' 02 0b01"), malformed, "MQTT-3.3.4-6", PROTOCOL);
    accepts(V5, Server, 0x30, "0001't' 02 0b01");
}

#[test]
fn v5_section_3_3_2_3_8_a_subscription_id_is_1_to_268_435_455() {
    let malformed = Malformed::PropertyValue(PropertyId::SubscriptionIdentifier);
    refuses(V5, Server, (0x30, "0001't' 02 0b00"), malformed, "section 2.2.2.2", PROTOCOL);
    let body = "0001't' 06 0bffffffff01";
    refuses(V5, Server, (0x30, body), Malformed::VariableIntegerTooLong, "section 1.5.5", MALFORMED);
    let body = "0001't' 03 0b8100";
    refuses(V5, Server, (0x30, body), Malformed::VariableIntegerNotMinimal, "MQTT-1.5.5-1", MALFORMED);
}

#[test]
fn v5_section_3_3_2_3_properties_come_once_and_in_range() {
    for (one, id) in [
        ("0100", PropertyId::PayloadFormatIndicator),
        ("0200000000", PropertyId::MessageExpiryInterval),
        ("230001", PropertyId::TopicAlias),
        ("080001'r'", PropertyId::ResponseTopic),
        ("090000", PropertyId::CorrelationData),
        ("030000", PropertyId::ContentType),
    ] {
        let len = bytes(one).len() * 2;
        let malformed = Malformed::PropertyDuplicate(id);
        let body = format!("0001't' {len:02x} {one} {one}");
        refuses(V5, Client, (0x30, &body), malformed, "section 2.2.2.2", PROTOCOL);
    }
    let malformed = Malformed::PropertyValue(PropertyId::PayloadFormatIndicator);
    refuses(V5, Client, (0x30, "0001't' 02 0102"), malformed, "section 2.2.2.2", PROTOCOL);
}

#[test]
fn v5_1_5_4_3_a_byte_order_mark_is_a_character() {
    let publish = Publish { topic: "\u{feff}a", ..Publish::default() };
    same(V5, Client, 0x30, "0004 efbbbf 'a' 00", Packet::Publish(publish));
}

#[test]
fn v5_section_1_5_4_disallowed_code_points_are_accepted() {
    for topic in ["0001 01", "0001 1f", "0001 7f", "0002 c29f", "0003 efbfbf", "0004 f0aa9b94"] {
        accepts(V5, Client, 0x30, &format!("{topic} 00"));
        accepts(V311, Client, 0x30, topic);
    }
}

#[test]
fn the_payload_is_not_looked_at() {
    accepts(V5, Client, 0x30, "0001't' 02 0101 ff");
}

#[test]
fn properties_are_empty_where_none_is_there() {
    let none = PublishProperties::default();
    assert!(none.is_empty());
    for (one, name) in [
        (PublishProperties { payload_is_utf8: Some(true), ..none }, "Payload Format Indicator"),
        (PublishProperties { message_expiry_secs: Some(0), ..none }, "Message Expiry Interval"),
        (PublishProperties { topic_alias: Some(1), ..none }, "Topic Alias"),
        (PublishProperties { response_topic: Some("r"), ..none }, "Response Topic"),
        (PublishProperties { correlation_data: Some(&[]), ..none }, "Correlation Data"),
        (
            PublishProperties { subscription_ids: SubscriptionIds::from_slice(&[1]), ..none },
            "Subscription Identifier",
        ),
        (PublishProperties { content_type: Some(""), ..none }, "Content Type"),
        (
            PublishProperties { user_properties: UserProperties::from_pairs(&[("", "")]), ..none },
            "User Property",
        ),
    ] {
        assert!(!one.is_empty(), "{name}");
    }
}

#[test]
fn properties_are_not_written_before_v5() {
    let properties = PublishProperties { topic_alias: Some(1), ..PublishProperties::default() };
    assert!(!properties.is_empty());
    assert!(PublishProperties::default().is_empty());
    let publish = Publish { topic: "t", properties, ..Publish::default() };
    for version in [V31, V311] {
        assert_eq!(encode(&Packet::Publish(publish), version), bytes("30 03 0001't'"));
    }
}
