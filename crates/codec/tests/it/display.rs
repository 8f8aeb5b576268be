//! What is written in logs: the specification's own names and numbers.

use std::collections::BTreeSet;

use whimbrel_codec::{PacketId, PacketType, PropertyId, QoS, Version};

#[test]
fn packets_are_called_what_the_specification_calls_them() {
    assert_eq!(PacketType::PubRel.to_string(), "PUBREL");
    assert_eq!(PacketType::ConnAck.to_string(), "CONNACK");
}

#[test]
fn versions_are_called_by_their_numbers() {
    let versions = [Version::V31, Version::V311, Version::V5].map(|version| version.to_string());
    assert_eq!(versions, ["3.1", "3.1.1", "5.0"]);
}

#[test]
fn v5_table_2_4_properties_have_names_of_their_own() {
    let all: Vec<PropertyId> =
        (0..=u8::MAX).filter_map(|id| PropertyId::from_number(u32::from(id))).collect();
    let names: BTreeSet<&str> = all.iter().map(|id| id.name()).collect();
    assert_eq!((all.len(), names.len()), (27, 27));
    assert_eq!(PropertyId::MaximumQoS.name(), "Maximum QoS");
    assert_eq!(PropertyId::WillDelayInterval.to_string(), "Will Delay Interval");
}

#[test]
fn qos_and_packet_identifiers_are_numbers() {
    let levels = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce].map(|qos| qos.to_string());
    assert_eq!(levels, ["0", "1", "2"]);
    assert_eq!(PacketId::new(65_535).map(|id| id.to_string()).as_deref(), Some("65535"));
}
