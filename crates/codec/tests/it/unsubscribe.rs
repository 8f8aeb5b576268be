//! UNSUBSCRIBE and UNSUBACK.

use whimbrel_codec::Peer::{Client, Server};
use whimbrel_codec::Version::{V5, V31, V311};
use whimbrel_codec::{
    Malformed, Packet, PacketId, PacketType, PropertyId, ReasonCode, Reasons, UnsubAck, Unsubscribe,
    UnsubscribeFilters, UserProperties,
};

use super::wire::{bytes, encode, refuses, same};

const MALFORMED: ReasonCode = ReasonCode::MalformedPacket;
const PROTOCOL: ReasonCode = ReasonCode::ProtocolError;

const ID: PacketId = PacketId::new(10).unwrap();

#[test]
fn v5_3_10_3_1_filters_packed_contiguously() {
    let unsubscribe = Unsubscribe {
        packet_id: ID,
        user_properties: UserProperties::default(),
        filters: UnsubscribeFilters::from_slice(&["a/b", "#"]),
    };
    for version in [V31, V311] {
        same(version, Client, 0xa2, "000a 0003'a/b' 0001'#'", Packet::Unsubscribe(unsubscribe));
    }
    same(V5, Client, 0xa2, "000a 00 0003'a/b' 0001'#'", Packet::Unsubscribe(unsubscribe));
    let full = Unsubscribe { user_properties: UserProperties::from_pairs(&[("k", "v")]), ..unsubscribe };
    same(V5, Client, 0xa2, "000a 07 260001'k'0001'v' 0003'a/b' 0001'#'", Packet::Unsubscribe(full));
    assert_eq!(full.filters.count(), 2);
}

#[test]
fn v5_3_10_3_2_there_is_at_least_one_filter() {
    let malformed = Malformed::NoFilters(PacketType::Unsubscribe);
    refuses(V5, Client, (0xa2, "000a 00"), malformed, "MQTT-3.10.3-2", PROTOCOL);
    refuses(V311, Client, (0xa2, "000a"), malformed, "MQTT-3.10.3-2", PROTOCOL);
}

#[test]
fn v5_4_7_3_1_filters_are_checked() {
    refuses(V5, Client, (0xa2, "000a 00 0000"), Malformed::FilterEmpty, "MQTT-4.7.3-1", MALFORMED);
    let body = "000a 00 0001'a' 0004'b/+c'";
    refuses(V5, Client, (0xa2, body), Malformed::FilterSingleLevelWildcard, "MQTT-4.7.1-2", MALFORMED);
    let body = "000a 0001'a' 0003'#/b'";
    refuses(V311, Client, (0xa2, body), Malformed::FilterMultiLevelWildcard, "MQTT-4.7.1-2", MALFORMED);
    for body in ["", "0a", "000a 00 00", "000a 00 0001"] {
        refuses(V5, Client, (0xa2, body), Malformed::Truncated, "section 2.1.4", MALFORMED);
    }
    refuses(V5, Client, (0xa2, "0000 00 0001'a'"), Malformed::PacketIdZero, "MQTT-2.2.1-3", PROTOCOL);
    let malformed = Malformed::PropertyNotAllowed(PropertyId::SubscriptionIdentifier);
    refuses(
        V5,
        Client,
        (0xa2, "000a 02 0b01 0001'a'"),
        malformed,
        "section 2.2.2.2",
        ReasonCode::MalformedPacket,
    );
}

#[test]
fn v5_3_11_3_1_unsuback_keeps_the_order() {
    let unsuback = UnsubAck {
        packet_id: ID,
        reason_string: Some("s"),
        user_properties: UserProperties::from_pairs(&[("k", "v")]),
        reasons: Reasons::from_slice(&[ReasonCode::NoSubscriptionExisted, ReasonCode::Success]),
    };
    same(V5, Server, 0xb0, "000a 0b 1f0001's' 260001'k'0001'v' 11 00", Packet::UnsubAck(unsuback));
    // Before 5.0 it is the packet identifier and nothing else.
    let bare = UnsubAck {
        packet_id: ID,
        reason_string: None,
        user_properties: UserProperties::default(),
        reasons: Reasons::default(),
    };
    for version in [V31, V311] {
        assert_eq!(encode(&Packet::UnsubAck(unsuback), version), bytes("b0 02 000a"));
        same(version, Server, 0xb0, "000a", Packet::UnsubAck(bare));
    }
}

#[test]
fn v5_3_11_3_2_only_unsubscribe_reason_codes() {
    for code in [0x01, 0x10, 0x97, 0xff] {
        let malformed = Malformed::ReasonCode { packet: PacketType::UnsubAck, code };
        let body = format!("000a 00 00 {code:02x}");
        refuses(V5, Server, (0xb0, &body), malformed, "MQTT-3.11.3-2", PROTOCOL);
    }
}

#[test]
fn v5_section_2_4_unsuback_has_at_least_one_reason_code() {
    let malformed = Malformed::NoReasonCodes(PacketType::UnsubAck);
    refuses(V5, Server, (0xb0, "000a 00"), malformed, "section 2.4", PROTOCOL);
    refuses(V311, Server, (0xb0, "000a 00"), Malformed::TrailingBytes, "section 2.2.3", MALFORMED);
}
