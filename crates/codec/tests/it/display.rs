//! What is written in logs: the specification's own names and numbers.

use whimbrel_codec::{PacketId, PacketType, QoS};

#[test]
fn packets_are_called_what_the_specification_calls_them() {
    assert_eq!(PacketType::PubRel.to_string(), "PUBREL");
    assert_eq!(PacketType::ConnAck.to_string(), "CONNACK");
}

#[test]
fn qos_and_packet_identifiers_are_numbers() {
    let levels = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce].map(|qos| qos.to_string());
    assert_eq!(levels, ["0", "1", "2"]);
    assert_eq!(PacketId::new(65_535).map(|id| id.to_string()).as_deref(), Some("65535"));
}
