//! AUTH.

use whimbrel_codec::Peer::{Client, Server};
use whimbrel_codec::Version::{V5, V311};
use whimbrel_codec::{Auth, Malformed, Packet, PacketType, PropertyId, ReasonCode, UserProperties};

use super::wire::{refuses, same};

const MALFORMED: ReasonCode = ReasonCode::MalformedPacket;
const PROTOCOL: ReasonCode = ReasonCode::ProtocolError;

#[test]
fn v5_steps_of_an_exchange() {
    let step = Auth {
        reason: ReasonCode::ContinueAuthentication,
        authentication_method: Some("m"),
        authentication_data: Some(b"\0"),
        reason_string: Some("s"),
        user_properties: UserProperties::from_pairs(&[("k", "v")]),
    };
    let body = "18 13 150001'm' 16000100 1f0001's' 260001'k'0001'v'";
    same(V5, Client, 0xf0, body, Packet::Auth(step));
    same(V5, Server, 0xf0, body, Packet::Auth(step));
    let again =
        Auth { reason: ReasonCode::Reauthenticate, authentication_method: Some("m"), ..Auth::default() };
    same(V5, Client, 0xf0, "19 04 150001'm'", Packet::Auth(again));
}

#[test]
fn v5_section_3_15_2_1_success_without_properties_has_no_body() {
    same(V5, Server, 0xf0, "", Packet::Auth(Auth::default()));
}

#[test]
fn v5_section_3_15_2_2_2_the_method_is_not_omitted() {
    for body in ["18", "18 00", "00 00", "00 03 160000"] {
        let malformed = Malformed::AuthenticationMethodMissing(PacketType::Auth);
        refuses(V5, Server, (0xf0, body), malformed, "section 3.15.2.2.2", PROTOCOL);
    }
}

#[test]
fn v5_3_15_2_1_only_authenticate_reason_codes() {
    for (from, body, code) in [
        (Client, "", 0x00),
        (Client, "00", 0x00),
        (Server, "19", 0x19),
        (Client, "8c", 0x8c),
        (Server, "ff", 0xff),
    ] {
        let malformed = Malformed::ReasonCode { packet: PacketType::Auth, code };
        refuses(V5, from, (0xf0, body), malformed, "MQTT-3.15.2-1", PROTOCOL);
    }
}

#[test]
fn v5_3_15_1_1_flags_are_zero() {
    for first in [0xf1, 0xf2, 0xf4, 0xf8] {
        let malformed = Malformed::Flags(PacketType::Auth);
        refuses(V5, Client, (first, ""), malformed, "MQTT-3.15.1-1", MALFORMED);
    }
}

#[test]
fn v311_section_2_2_1_there_is_no_auth() {
    refuses(V311, Client, (0xf0, ""), Malformed::AuthBeforeV5, "section 2.2.1", PROTOCOL);
}

#[test]
fn v5_section_3_15_2_2_properties() {
    for (one, id) in [
        ("150000", PropertyId::AuthenticationMethod),
        ("160000", PropertyId::AuthenticationData),
        ("1f0000", PropertyId::ReasonString),
    ] {
        let malformed = Malformed::PropertyDuplicate(id);
        refuses(V5, Client, (0xf0, &format!("18 06 {one} {one}")), malformed, "section 2.2.2.2", PROTOCOL);
    }
    let malformed = Malformed::PropertyNotAllowed(PropertyId::ServerReference);
    refuses(V5, Client, (0xf0, "18 03 1c0000"), malformed, "section 2.2.2.2", ReasonCode::MalformedPacket);
    refuses(V5, Server, (0xf0, "18 04 150001'm' 00"), Malformed::TrailingBytes, "section 2.1.4", MALFORMED);
}
