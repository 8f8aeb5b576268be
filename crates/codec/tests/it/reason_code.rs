//! Reason codes: table 2-6, and the return codes of earlier versions.

use whimbrel_codec::Peer::{Client, Server};
use whimbrel_codec::{PacketType, QoS, ReasonCode};

/// Table 2-6: code, name, and the packets that carry it. `c` and `s` behind a packet: this side only, by the
/// packet's own table.
const TABLE_2_6: &[(u8, &str, &str)] = &[
    (0x00, "Success", "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH/s"),
    (0x01, "Granted QoS 1", "SUBACK"),
    (0x02, "Granted QoS 2", "SUBACK"),
    (0x04, "Disconnect with Will Message", "DISCONNECT/c"),
    (0x10, "No matching subscribers", "PUBACK/s PUBREC/s"),
    (0x11, "No subscription existed", "UNSUBACK"),
    (0x18, "Continue authentication", "AUTH"),
    (0x19, "Re-authenticate", "AUTH/c"),
    (0x80, "Unspecified error", "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT"),
    (0x81, "Malformed Packet", "CONNACK DISCONNECT"),
    (0x82, "Protocol Error", "CONNACK DISCONNECT"),
    (0x83, "Implementation specific error", "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT"),
    (0x84, "Unsupported Protocol Version", "CONNACK"),
    (0x85, "Client Identifier not valid", "CONNACK"),
    (0x86, "Bad User Name or Password", "CONNACK"),
    (0x87, "Not authorized", "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT/s"),
    (0x88, "Server unavailable", "CONNACK"),
    (0x89, "Server busy", "CONNACK DISCONNECT/s"),
    (0x8A, "Banned", "CONNACK"),
    (0x8B, "Server shutting down", "DISCONNECT/s"),
    (0x8C, "Bad authentication method", "CONNACK DISCONNECT"),
    (0x8D, "Keep Alive timeout", "DISCONNECT/s"),
    (0x8E, "Session taken over", "DISCONNECT/s"),
    (0x8F, "Topic Filter invalid", "SUBACK UNSUBACK DISCONNECT/s"),
    (0x90, "Topic Name invalid", "CONNACK PUBACK PUBREC DISCONNECT"),
    (0x91, "Packet Identifier in use", "PUBACK PUBREC SUBACK UNSUBACK"),
    (0x92, "Packet Identifier not found", "PUBREL PUBCOMP"),
    (0x93, "Receive Maximum exceeded", "DISCONNECT"),
    (0x94, "Topic Alias invalid", "DISCONNECT"),
    (0x95, "Packet too large", "CONNACK DISCONNECT"),
    (0x96, "Message rate too high", "DISCONNECT"),
    (0x97, "Quota exceeded", "CONNACK PUBACK PUBREC SUBACK DISCONNECT"),
    (0x98, "Administrative action", "DISCONNECT"),
    (0x99, "Payload format invalid", "CONNACK PUBACK PUBREC DISCONNECT"),
    (0x9A, "Retain not supported", "CONNACK DISCONNECT/s"),
    (0x9B, "QoS not supported", "CONNACK DISCONNECT/s"),
    (0x9C, "Use another server", "CONNACK DISCONNECT/s"),
    (0x9D, "Server moved", "CONNACK DISCONNECT/s"),
    (0x9E, "Shared Subscriptions not supported", "SUBACK DISCONNECT/s"),
    (0x9F, "Connection rate exceeded", "CONNACK DISCONNECT/s"),
    (0xA0, "Maximum connect time", "DISCONNECT/s"),
    (0xA1, "Subscription Identifiers not supported", "SUBACK DISCONNECT/s"),
    (0xA2, "Wildcard Subscriptions not supported", "SUBACK DISCONNECT/s"),
];

#[test]
fn v5_table_2_6_codes_names_and_packets() {
    for code in 0..=255 {
        let row = TABLE_2_6.iter().find(|row| row.0 == code);
        assert_eq!(ReasonCode::from_u8(code).map(|reason| reason as u8), row.map(|row| row.0));
        let Some(&(_, name, packets)) = row else { continue };
        let reason = ReasonCode::from_u8(code).unwrap();
        assert_eq!(reason.name(), name);
        assert_eq!(reason.to_string(), format!("{name} (0x{code:02X})"));
        assert_eq!(reason.is_error(), code >= 0x80);
        for bits in 1..=15 {
            let packet = PacketType::from_bits(bits).unwrap();
            let entry =
                packets.split_whitespace().find(|entry| entry.split('/').next() == Some(packet.name()));
            for from in [Client, Server] {
                let sends = match packet {
                    PacketType::ConnAck | PacketType::SubAck | PacketType::UnsubAck => from == Server,
                    _ => true,
                };
                let listed = match entry.and_then(|entry| entry.split('/').nth(1)) {
                    Some("c") => from == Client,
                    Some(_) => from == Server,
                    None => entry.is_some(),
                };
                assert_eq!(
                    reason.allowed_in(packet, from),
                    sends && listed,
                    "{reason} in {packet}, {from:?}"
                );
            }
        }
    }
}

#[test]
fn granted_names_the_qos() {
    for (qos, code) in [(QoS::AtMostOnce, 0), (QoS::AtLeastOnce, 1), (QoS::ExactlyOnce, 2)] {
        assert_eq!(ReasonCode::granted(qos) as u8, code);
    }
    assert_eq!(ReasonCode::NORMAL_DISCONNECTION, ReasonCode::Success);
}

#[test]
fn v311_table_3_1_return_codes() {
    for code in 0..=5 {
        let reason = ReasonCode::from_connect_return_code(code).unwrap();
        assert_eq!(reason.connect_return_code(), code);
    }
    assert_eq!(ReasonCode::from_connect_return_code(6), None);
    for (reason, code) in [
        (ReasonCode::BadAuthenticationMethod, 4),
        (ReasonCode::Banned, 5),
        (ReasonCode::RetainNotSupported, 5),
        (ReasonCode::ServerBusy, 3),
        (ReasonCode::QuotaExceeded, 3),
        (ReasonCode::MalformedPacket, 3),
        (ReasonCode::GrantedQoS1, 0),
    ] {
        assert_eq!(reason.connect_return_code(), code, "{reason}");
    }
    // A refusal never reads as an acceptance.
    for code in 0x80..=255 {
        if let Some(reason) = ReasonCode::from_u8(code) {
            assert_ne!(reason.connect_return_code(), 0, "{reason}");
        }
    }
}
