//! SUBSCRIBE and SUBACK.

use whimbrel_codec::Peer::{Client, Server};
use whimbrel_codec::Version::{V5, V31, V311};
use whimbrel_codec::{
    Filters, Malformed, Packet, PacketId, PacketType, PropertyId, QoS, ReasonCode, Reasons, RetainHandling,
    SubAck, Subscribe, SubscribeOptions, UserProperties,
};

use super::wire::{VERSIONS, accepts, bytes, encode, refuses, same};

const MALFORMED: ReasonCode = ReasonCode::MalformedPacket;
const PROTOCOL: ReasonCode = ReasonCode::ProtocolError;

const ID: PacketId = PacketId::new(10).unwrap();

fn subscribe<'a>(filters: &'a [(&'a str, SubscribeOptions)]) -> Subscribe<'a> {
    Subscribe {
        packet_id: ID,
        subscription_id: None,
        user_properties: UserProperties::default(),
        filters: Filters::from_slice(filters),
    }
}

fn suback<'a>(reasons: &'a [ReasonCode]) -> SubAck<'a> {
    SubAck {
        packet_id: ID,
        reason_string: None,
        user_properties: UserProperties::default(),
        reasons: Reasons::from_slice(reasons),
    }
}

#[test]
fn v311_3_8_3_3_filters_with_their_qos() {
    let filters = [
        ("a/b", SubscribeOptions::with_qos(QoS::AtLeastOnce)),
        ("c/#", SubscribeOptions::with_qos(QoS::ExactlyOnce)),
        ("$share/g/+", SubscribeOptions::with_qos(QoS::AtMostOnce)),
    ];
    let packet = Packet::Subscribe(subscribe(&filters));
    let payload = "0003'a/b' 01 0003'c/#' 02 000a'$share/g/+' 00";
    for version in [V31, V311] {
        same(version, Client, 0x82, &format!("000a {payload}"), packet);
    }
    same(V5, Client, 0x82, &format!("000a 00 {payload}"), packet);
}

#[test]
fn v5_options_and_properties() {
    let options = SubscribeOptions {
        qos: QoS::ExactlyOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    };
    assert_eq!(options.bits(), 0x2e);
    let filters = [
        ("a", options),
        ("b", SubscribeOptions { retain_handling: RetainHandling::SendIfNew, ..SubscribeOptions::default() }),
    ];
    let full = Subscribe {
        subscription_id: Some(268_435_455),
        user_properties: UserProperties::from_pairs(&[("k", "v")]),
        ..subscribe(&filters)
    };
    let body = "000a 0c 0bffffff7f 260001'k'0001'v' 0001'a' 2e 0001'b' 10";
    same(V5, Client, 0x82, body, Packet::Subscribe(full));
    assert_eq!(full.filters.count(), 2);
    // What 5.0 added has no place in earlier packets.
    assert_eq!(encode(&Packet::Subscribe(full), V311), bytes("82 0a 000a 0001'a' 02 0001'b' 00"));
}

#[test]
fn v5_3_8_3_2_there_is_at_least_one_filter() {
    let malformed = Malformed::NoFilters(PacketType::Subscribe);
    refuses(V5, Client, (0x82, "000a 00"), malformed, "MQTT-3.8.3-2", PROTOCOL);
    for version in [V31, V311] {
        refuses(version, Client, (0x82, "000a"), malformed, "MQTT-3.8.3-3", PROTOCOL);
    }
}

#[test]
fn v5_section_3_8_3_1_qos_3_is_refused() {
    refuses(V5, Client, (0x82, "000a 00 0001'a' 03"), Malformed::SubscribeQoS3, "section 3.8.3.1", PROTOCOL);
    for version in [V31, V311] {
        refuses(
            version,
            Client,
            (0x82, "000a 0001'a' 03"),
            Malformed::SubscribeQoS3,
            "MQTT-3-8.3-4",
            PROTOCOL,
        );
    }
}

#[test]
fn v5_3_8_3_5_reserved_option_bits_are_zero() {
    let malformed = Malformed::SubscribeOptionsReserved;
    for bits in ["40", "80", "c0", "f0"] {
        refuses(V5, Client, (0x82, &format!("000a 00 0001'a' {bits}")), malformed, "MQTT-3.8.3-5", MALFORMED);
    }
    for bits in ["04", "08", "10", "20", "40", "80", "ff"] {
        refuses(V311, Client, (0x82, &format!("000a 0001'a' {bits}")), malformed, "MQTT-3-8.3-4", MALFORMED);
    }
}

#[test]
fn v5_section_3_8_3_1_retain_handling_3_is_refused() {
    let malformed = Malformed::RetainHandling3;
    refuses(V5, Client, (0x82, "000a 00 0001'a' 30"), malformed, "section 3.8.3.1", PROTOCOL);
}

#[test]
fn v5_3_8_3_4_no_local_is_not_for_shared_subscriptions() {
    let malformed = Malformed::NoLocalOnShared;
    refuses(V5, Client, (0x82, "000a 00 000a'$share/g/a' 04"), malformed, "MQTT-3.8.3-4", PROTOCOL);
    accepts(V5, Client, 0x82, "000a 00 000a'$share/g/a' 00");
    accepts(V5, Client, 0x82, "000a 00 0001'a' 04");
}

#[test]
fn v5_4_7_filters_are_checked_wherever_they_stand() {
    for version in VERSIONS {
        let properties = if version == V5 { "00" } else { "" };
        for (filter, malformed, v5) in [
            ("0000", Malformed::FilterEmpty, "MQTT-4.7.3-1"),
            ("0004'a/#b'", Malformed::FilterMultiLevelWildcard, "MQTT-4.7.1-1"),
            ("0005'ab/+e'", Malformed::FilterSingleLevelWildcard, "MQTT-4.7.1-2"),
            ("000a'$share//ab'", Malformed::ShareNameEmpty, "MQTT-4.8.2-1"),
            ("000a'$share/+/a'", Malformed::ShareNameWildcard, "MQTT-4.8.2-2"),
            ("0009'$share/gr'", Malformed::ShareFilterMissing, "MQTT-4.8.2-2"),
            ("0003'a'00'b'", Malformed::StringNul, "MQTT-1.5.4-2"),
            ("0002 c328", Malformed::StringNotUtf8, "MQTT-1.5.4-1"),
        ] {
            for body in [
                format!("000a {properties} {filter} 00"),
                format!("000a {properties} 0001'a' 00 {filter} 00 0001'b' 00"),
            ] {
                refuses(version, Client, (0x82, &body), malformed, malformed.statement(version), MALFORMED);
                assert_eq!(malformed.statement(V5), v5);
            }
        }
    }
}

#[test]
fn v5_section_2_1_4_subscribe_is_not_cut_short() {
    for body in ["", "00", "000a 00 00", "000a 00 0001", "000a 00 0001'a'", "000a 00 0001'a' 00 00"] {
        refuses(V5, Client, (0x82, body), Malformed::Truncated, "section 2.1.4", MALFORMED);
    }
    refuses(V5, Client, (0x82, "000a"), Malformed::Truncated, "section 2.1.4", MALFORMED);
    refuses(V311, Client, (0x82, "0000 0001'a' 00"), Malformed::PacketIdZero, "MQTT-2.3.1-1", PROTOCOL);
}

#[test]
fn v5_section_3_8_2_1_2_one_subscription_id_that_is_not_zero() {
    let malformed = Malformed::PropertyValue(PropertyId::SubscriptionIdentifier);
    refuses(V5, Client, (0x82, "000a 02 0b00 0001'a' 00"), malformed, "section 2.2.2.2", PROTOCOL);
    let malformed = Malformed::PropertyDuplicate(PropertyId::SubscriptionIdentifier);
    refuses(V5, Client, (0x82, "000a 04 0b01 0b01 0001'a' 00"), malformed, "section 2.2.2.2", PROTOCOL);
    let malformed = Malformed::PropertyNotAllowed(PropertyId::ReasonString);
    refuses(
        V5,
        Client,
        (0x82, "000a 03 1f0000 0001'a' 00"),
        malformed,
        "section 2.2.2.2",
        ReasonCode::MalformedPacket,
    );
}

#[test]
fn v5_3_9_3_1_suback_keeps_the_order() {
    let reasons = [ReasonCode::GrantedQoS1, ReasonCode::GRANTED_QOS0, ReasonCode::GrantedQoS2];
    let packet = Packet::SubAck(suback(&reasons));
    for version in [V31, V311] {
        same(version, Server, 0x90, "000a 01 00 02", packet);
    }
    same(V5, Server, 0x90, "000a 00 01 00 02", packet);
    let full = SubAck {
        reason_string: Some("s"),
        user_properties: UserProperties::from_pairs(&[("k", "v")]),
        ..suback(&[ReasonCode::NotAuthorized, ReasonCode::WildcardSubscriptionsNotSupported])
    };
    same(V5, Server, 0x90, "000a 0b 1f0001's' 260001'k'0001'v' 87 a2", Packet::SubAck(full));
    assert_eq!(full.reasons.count(), 2);
}

#[test]
fn v311_3_9_3_2_every_failure_is_0x80() {
    let refused = Packet::SubAck(suback(&[ReasonCode::NotAuthorized, ReasonCode::GrantedQoS1]));
    assert_eq!(encode(&refused, V311), bytes("90 04 000a 80 01"));
    accepts(V311, Server, 0x90, "000a 80");
    for code in [0x03, 0x87, 0xff] {
        let malformed = Malformed::ReasonCode { packet: PacketType::SubAck, code };
        refuses(V311, Server, (0x90, &format!("000a {code:02x}")), malformed, "MQTT-3.9.3-2", PROTOCOL);
    }
}

#[test]
fn v31_suback_knows_no_failure() {
    let refused = Packet::SubAck(suback(&[ReasonCode::NotAuthorized, ReasonCode::GrantedQoS1]));
    assert_eq!(encode(&refused, V31), bytes("90 04 000a 00 01"));
    let malformed = Malformed::ReasonCode { packet: PacketType::SubAck, code: 0x80 };
    refuses(V31, Server, (0x90, "000a 80"), malformed, "MQTT-3.9.3-2", PROTOCOL);
}

#[test]
fn v5_3_9_3_2_only_subscribe_reason_codes() {
    for code in [0x03, 0x11, 0x8d, 0xff] {
        let malformed = Malformed::ReasonCode { packet: PacketType::SubAck, code };
        let body = format!("000a 00 00 {code:02x}");
        refuses(V5, Server, (0x90, &body), malformed, "MQTT-3.9.3-2", PROTOCOL);
    }
}

#[test]
fn v5_section_2_4_suback_has_at_least_one_reason_code() {
    let malformed = Malformed::NoReasonCodes(PacketType::SubAck);
    refuses(V5, Server, (0x90, "000a 00"), malformed, "section 2.4", PROTOCOL);
    refuses(V311, Server, (0x90, "000a"), malformed, "MQTT-3.8.4-5", PROTOCOL);
}
