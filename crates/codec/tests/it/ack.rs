//! PUBACK, PUBREC, PUBREL, PUBCOMP.

use whimbrel_codec::Peer::{Client, Server};
use whimbrel_codec::Version::{V5, V31, V311};
use whimbrel_codec::{Ack, Malformed, Packet, PacketId, PacketType, PropertyId, ReasonCode, UserProperties};

use super::wire::{VERSIONS, accepts, bytes, decode, encode, packet, refuses, same};

const FIRST: [(u8, PacketType); 4] = [
    (0x40, PacketType::PubAck),
    (0x50, PacketType::PubRec),
    (0x62, PacketType::PubRel),
    (0x70, PacketType::PubComp),
];

fn ack(reason: ReasonCode) -> Ack<'static> {
    Ack::new(PacketId::new(0x1234).unwrap(), reason)
}

fn wrap(kind: PacketType, ack: Ack<'_>) -> Packet<'_> {
    match kind {
        PacketType::PubAck => Packet::PubAck(ack),
        PacketType::PubRec => Packet::PubRec(ack),
        PacketType::PubRel => Packet::PubRel(ack),
        _ => Packet::PubComp(ack),
    }
}

#[test]
fn v5_section_3_4_2_1_success_without_properties_is_two_bytes() {
    for (first, kind) in FIRST {
        for version in VERSIONS {
            same(version, Client, first, "1234", wrap(kind, ack(ReasonCode::Success)));
        }
    }
}

#[test]
fn v5_reason_codes_and_properties() {
    let full = Ack {
        reason_string: Some("s"),
        user_properties: UserProperties::from_pairs(&[("k", "v")]),
        ..ack(ReasonCode::Success)
    };
    for (first, kind) in FIRST {
        same(V5, Server, first, "1234 00 0b 1f0001's' 260001'k'0001'v'", wrap(kind, full));
    }
    same(V5, Server, 0x40, "1234 10", Packet::PubAck(ack(ReasonCode::NoMatchingSubscribers)));
    same(V5, Client, 0x50, "1234 97", Packet::PubRec(ack(ReasonCode::QuotaExceeded)));
    same(V5, Client, 0x62, "1234 92", Packet::PubRel(ack(ReasonCode::PacketIdNotFound)));
    same(V5, Client, 0x70, "1234 92", Packet::PubComp(ack(ReasonCode::PacketIdNotFound)));
}

#[test]
fn v5_section_3_4_2_2_1_a_property_length_of_zero_may_be_there() {
    for (first, kind) in FIRST {
        let wire = packet(first, "1234 00 00");
        assert_eq!(decode(&wire, V5, Client), Ok(wrap(kind, ack(ReasonCode::Success))));
    }
}

#[test]
fn v311_reason_codes_and_properties_are_not_written() {
    let full = Ack { reason_string: Some("s"), ..ack(ReasonCode::Unspecified) };
    for version in [V31, V311] {
        assert_eq!(encode(&Packet::PubAck(full), version), bytes("40 02 1234"));
    }
}

#[test]
fn v5_2_2_1_5_the_packet_id_is_not_zero() {
    for (first, _) in FIRST {
        let malformed = Malformed::PacketIdZero;
        refuses(V5, Client, (first, "0000"), malformed, "MQTT-2.2.1-3", ReasonCode::ProtocolError);
    }
}

#[test]
fn v5_section_2_1_4_acks_are_neither_short_nor_long() {
    for (first, _) in FIRST {
        let malformed = ReasonCode::MalformedPacket;
        for body in ["", "12"] {
            for version in [V31, V311] {
                refuses(version, Client, (first, body), Malformed::Truncated, "section 2.2.3", malformed);
            }
            refuses(V5, Client, (first, body), Malformed::Truncated, "section 2.1.4", malformed);
        }
        refuses(V311, Client, (first, "1234 00"), Malformed::TrailingBytes, "section 2.2.3", malformed);
        refuses(V5, Client, (first, "1234 00 00 00"), Malformed::TrailingBytes, "section 2.1.4", malformed);
    }
}

#[test]
fn v5_3_4_2_1_only_the_reason_codes_of_the_packet() {
    for (first, packet, code, statement) in [
        (0x40, PacketType::PubAck, 0x92, "MQTT-3.4.2-1"),
        (0x40, PacketType::PubAck, 0xff, "MQTT-3.4.2-1"),
        (0x50, PacketType::PubRec, 0x01, "MQTT-3.5.2-1"),
        (0x62, PacketType::PubRel, 0x80, "MQTT-3.6.2-1"),
        (0x70, PacketType::PubComp, 0x10, "MQTT-3.7.2-1"),
    ] {
        let malformed = Malformed::ReasonCode { packet, code };
        let body = format!("1234 {code:02x}");
        refuses(V5, Client, (first, &body), malformed, statement, ReasonCode::ProtocolError);
    }
}

#[test]
fn v5_table_3_4_only_a_server_knows_that_nobody_subscribes() {
    for (first, packet) in [(0x40, PacketType::PubAck), (0x50, PacketType::PubRec)] {
        accepts(V5, Server, first, "1234 10");
        let malformed = Malformed::ReasonCode { packet, code: 0x10 };
        assert_eq!(decode(&super::wire::packet(first, "1234 10"), V5, Client), Err(malformed));
    }
}

#[test]
fn v5_section_3_4_2_2_properties() {
    let protocol = ReasonCode::ProtocolError;
    for (first, _) in FIRST {
        let malformed = Malformed::PropertyDuplicate(PropertyId::ReasonString);
        refuses(V5, Client, (first, "1234 00 06 1f0000 1f0000"), malformed, "section 2.2.2.2", protocol);
        let malformed = Malformed::PropertyNotAllowed(PropertyId::TopicAlias);
        refuses(
            V5,
            Client,
            (first, "1234 00 03 230001"),
            malformed,
            "section 2.2.2.2",
            ReasonCode::MalformedPacket,
        );
        let malformed = Malformed::PropertyTruncated;
        let reason = ReasonCode::MalformedPacket;
        refuses(V5, Client, (first, "1234 00 01 1f"), malformed, "section 2.2.2.2", reason);
        let malformed = Malformed::PropertyLength;
        refuses(V5, Client, (first, "1234 00 01"), malformed, "section 2.2.2.1", reason);
    }
}
