//! DISCONNECT.

use whimbrel_codec::Peer::{Client, Server};
use whimbrel_codec::Version::{V5, V31, V311};
use whimbrel_codec::{Disconnect, Malformed, Packet, PacketType, PropertyId, ReasonCode, UserProperties};

use super::wire::{accepts, decode, encode, packet, refuses, same};

const MALFORMED: ReasonCode = ReasonCode::MalformedPacket;
const PROTOCOL: ReasonCode = ReasonCode::ProtocolError;

#[test]
fn v5_section_3_14_2_1_a_normal_disconnection_has_no_body() {
    for version in [V31, V311, V5] {
        same(version, Client, 0xe0, "", Packet::Disconnect(Disconnect::default()));
    }
    same(V5, Server, 0xe0, "", Packet::Disconnect(Disconnect::default()));
    for body in ["00", "00 00"] {
        let normal = Ok(Packet::Disconnect(Disconnect::default()));
        assert_eq!(decode(&packet(0xe0, body), V5, Client), normal);
    }
}

#[test]
fn v5_reason_codes_and_properties() {
    let taken_over = Disconnect { reason: ReasonCode::SessionTakenOver, ..Disconnect::default() };
    same(V5, Server, 0xe0, "8e", Packet::Disconnect(taken_over));
    let full = Disconnect {
        reason: ReasonCode::DisconnectWithWill,
        session_expiry_secs: Some(1),
        reason_string: Some("s"),
        server_reference: Some("n"),
        user_properties: UserProperties::from_pairs(&[("k", "v")]),
    };
    let body = "04 14 1100000001 1f0001's' 1c0001'n' 260001'k'0001'v'";
    same(V5, Client, 0xe0, body, Packet::Disconnect(full));
    let normal = Disconnect { session_expiry_secs: Some(0), ..Disconnect::default() };
    same(V5, Client, 0xe0, "00 05 1100000000", Packet::Disconnect(normal));
    for version in [V31, V311] {
        assert_eq!(encode(&Packet::Disconnect(full), version), [0xe0, 0]);
    }
}

#[test]
fn v311_3_14_1_1_disconnect_is_empty() {
    for version in [V31, V311] {
        refuses(version, Client, (0xe0, "00"), Malformed::TrailingBytes, "section 2.2.3", MALFORMED);
    }
    let flags = Malformed::Flags(PacketType::Disconnect);
    for version in [V311, V5] {
        for first in [0xe1, 0xe2, 0xe4, 0xe8] {
            refuses(version, Client, (first, ""), flags, "MQTT-3.14.1-1", MALFORMED);
        }
    }
}

#[test]
fn v5_3_14_2_1_only_disconnect_reason_codes() {
    for (from, code) in [
        (Client, 0x01),
        (Client, 0x05),
        (Client, 0x8e),
        (Client, 0x9d),
        (Server, 0x04),
        (Server, 0x92),
        (Server, 0xff),
    ] {
        let malformed = Malformed::ReasonCode { packet: PacketType::Disconnect, code };
        let body = format!("{code:02x}");
        refuses(V5, from, (0xe0, &body), malformed, "MQTT-3.14.2-1", PROTOCOL);
    }
}

#[test]
fn v5_3_14_2_2_a_server_sends_no_session_expiry() {
    let malformed = Malformed::SessionExpiryFromServer;
    refuses(V5, Server, (0xe0, "00 05 1100000001"), malformed, "MQTT-3.14.2-2", PROTOCOL);
    accepts(V5, Client, 0xe0, "00 05 1100000001");
}

#[test]
fn v5_section_3_14_2_2_properties() {
    for (one, len, id) in [
        ("1100000000", 10, PropertyId::SessionExpiryInterval),
        ("1f0000", 6, PropertyId::ReasonString),
        ("1c0000", 6, PropertyId::ServerReference),
    ] {
        let malformed = Malformed::PropertyDuplicate(id);
        let body = format!("00 {len:02x} {one} {one}");
        refuses(V5, Client, (0xe0, &body), malformed, "section 2.2.2.2", PROTOCOL);
    }
    for (block, malformed, statement) in [
        ("01 00", Malformed::PropertyUnknown(0), "section 2.2.2.2"),
        ("04 11000000", Malformed::PropertyTruncated, "section 2.2.2.2"),
        ("05 11000000", Malformed::PropertyLength, "section 2.2.2.1"),
        ("00 00", Malformed::TrailingBytes, "section 2.1.4"),
    ] {
        refuses(V5, Client, (0xe0, &format!("00 {block}")), malformed, statement, MALFORMED);
    }
}
