//! CONNACK.

use whimbrel_codec::Peer::Server;
use whimbrel_codec::Version::{V5, V31, V311};
use whimbrel_codec::{
    ConnAck, ConnAckProperties, Malformed, Packet, PacketType, PropertyId, QoS, ReasonCode, UserProperties,
};

use super::wire::{accepts, decode, encode, packet, refuses, same};

#[test]
fn the_smallest_connack_of_each_version() {
    let accepted = Packet::ConnAck(ConnAck::default());
    same(V31, Server, 0x20, "00 00", accepted);
    same(V311, Server, 0x20, "00 00", accepted);
    same(V5, Server, 0x20, "00 00 00", accepted);
}

#[test]
fn v311_3_2_2_2_session_present() {
    let resumed = Packet::ConnAck(ConnAck { session_present: true, ..ConnAck::default() });
    same(V311, Server, 0x20, "01 00", resumed);
    same(V5, Server, 0x20, "01 00 00", resumed);
}

#[test]
fn v31_the_first_byte_is_reserved() {
    let resumed = Packet::ConnAck(ConnAck { session_present: true, ..ConnAck::default() });
    assert_eq!(encode(&resumed, V31), [0x20, 2, 0, 0]);
    assert_eq!(decode(&packet(0x20, "01 00"), V31, Server), Ok(Packet::ConnAck(ConnAck::default())));
}

#[test]
fn v5_all_properties() {
    let connack = ConnAck {
        session_present: false,
        reason: ReasonCode::Success,
        properties: ConnAckProperties {
            session_expiry_secs: Some(1),
            receive_maximum: Some(2),
            qos_max: Some(QoS::AtLeastOnce),
            retain_available: Some(false),
            packet_size_max: Some(3),
            assigned_client_id: Some("i"),
            topic_alias_max: Some(4),
            reason_string: Some("s"),
            wildcard_available: Some(true),
            subscription_ids_available: Some(false),
            shared_available: Some(true),
            server_keep_alive_secs: Some(5),
            response_information: Some("r"),
            server_reference: Some("n"),
            authentication_method: Some("m"),
            authentication_data: Some(b"d"),
            user_properties: UserProperties::from_pairs(&[("k", "v")]),
        },
    };
    let properties = "[1100000001 210002 2401 2500 2700000003 120001'i' 220004 1f0001's' 2801 2900 2a01 \
        130005 1a0001'r' 1c0001'n' 150001'm' 160001'd' 260001'k'0001'v']";
    same(V5, Server, 0x20, &format!("00 00 {properties}"), Packet::ConnAck(connack));
}

#[test]
fn v5_3_2_2_1_reserved_flags_are_zero() {
    for flags in ["02", "03", "80"] {
        let malformed = Malformed::ConnAckFlags;
        let reason = ReasonCode::MalformedPacket;
        refuses(V5, Server, (0x20, &format!("{flags} 00 00")), malformed, "MQTT-3.2.2-1", reason);
        refuses(V311, Server, (0x20, &format!("{flags} 00")), malformed, "section 3.2.2.1", reason);
    }
}

#[test]
fn v5_3_2_2_6_a_refusal_has_no_session_present() {
    let malformed = Malformed::SessionPresentOnError;
    refuses(V5, Server, (0x20, "01 87 00"), malformed, "MQTT-3.2.2-6", ReasonCode::ProtocolError);
    refuses(V311, Server, (0x20, "01 05"), malformed, "MQTT-3.2.2-4", ReasonCode::ProtocolError);
}

#[test]
fn v5_3_2_2_8_only_connect_reason_codes() {
    for code in [0x01, 0x10, 0x8b, 0x8d, 0x9e, 0xa2, 0xff] {
        let malformed = Malformed::ReasonCode { packet: PacketType::ConnAck, code };
        let body = format!("00 {code:02x} 00");
        refuses(V5, Server, (0x20, &body), malformed, "MQTT-3.2.2-8", ReasonCode::ProtocolError);
    }
}

#[test]
fn v311_section_3_2_2_3_return_codes_are_0_to_5() {
    for version in [V31, V311] {
        for code in 0..=5 {
            accepts(version, Server, 0x20, &format!("00 {code:02x}"));
        }
        for code in [6, 0x80, 0xff] {
            let malformed = Malformed::ReasonCode { packet: PacketType::ConnAck, code };
            let body = format!("00 {code:02x}");
            refuses(version, Server, (0x20, &body), malformed, "section 3.2.2.3", ReasonCode::ProtocolError);
        }
    }
}

#[test]
fn v5_section_3_2_2_3_4_maximum_qos_2_is_told_by_absence() {
    let properties = ConnAckProperties { qos_max: Some(QoS::ExactlyOnce), ..ConnAckProperties::default() };
    let connack = Packet::ConnAck(ConnAck { properties, ..ConnAck::default() });
    assert_eq!(encode(&connack, V5), [0x20, 3, 0, 0, 0]);
    let malformed = Malformed::PropertyValue(PropertyId::MaximumQoS);
    refuses(V5, Server, (0x20, "00 00 02 2402"), malformed, "section 2.2.2.2", ReasonCode::ProtocolError);
}

#[test]
fn v5_section_3_2_2_3_properties_come_once() {
    for (one, id) in [
        ("1100000001", PropertyId::SessionExpiryInterval),
        ("210001", PropertyId::ReceiveMaximum),
        ("2400", PropertyId::MaximumQoS),
        ("2500", PropertyId::RetainAvailable),
        ("2700000001", PropertyId::MaximumPacketSize),
        ("120000", PropertyId::AssignedClientIdentifier),
        ("220000", PropertyId::TopicAliasMaximum),
        ("1f0000", PropertyId::ReasonString),
        ("2800", PropertyId::WildcardSubscriptionAvailable),
        ("2900", PropertyId::SubscriptionIdentifierAvailable),
        ("2a00", PropertyId::SharedSubscriptionAvailable),
        ("130000", PropertyId::ServerKeepAlive),
        ("1a0000", PropertyId::ResponseInformation),
        ("1c0000", PropertyId::ServerReference),
        ("150000", PropertyId::AuthenticationMethod),
        ("160000", PropertyId::AuthenticationData),
    ] {
        let len = one.len();
        accepts(V5, Server, 0x20, &format!("00 00 {:02x} {one}", len / 2));
        let malformed = Malformed::PropertyDuplicate(id);
        let body = format!("00 00 {len:02x} {one} {one}");
        refuses(V5, Server, (0x20, &body), malformed, "section 2.2.2.2", ReasonCode::ProtocolError);
    }
}
