//! Properties: which packet takes which, and the block that a server forwards.

use whimbrel_codec::Peer::{Client, Server};
use whimbrel_codec::Version::V5;
use whimbrel_codec::{Malformed, PropertyId, PublishProperties, SubscriptionIds, UserProperties};

use super::wire::{bytes, decode};

/// Table 2-4: a property with a value of its type, and the packets that take it.
const TABLE_2_4: &[(PropertyId, &str, &str)] = &[
    (PropertyId::PayloadFormatIndicator, "01 01", "PUBLISH WILL"),
    (PropertyId::MessageExpiryInterval, "02 00000001", "PUBLISH WILL"),
    (PropertyId::ContentType, "03 0001'c'", "PUBLISH WILL"),
    (PropertyId::ResponseTopic, "08 0001'r'", "PUBLISH WILL"),
    (PropertyId::CorrelationData, "09 0001ff", "PUBLISH WILL"),
    (PropertyId::SubscriptionIdentifier, "0b 01", "PUBLISH SUBSCRIBE"),
    (PropertyId::SessionExpiryInterval, "11 00000001", "CONNECT CONNACK DISCONNECT"),
    (PropertyId::AssignedClientIdentifier, "12 0001'i'", "CONNACK"),
    (PropertyId::ServerKeepAlive, "13 0001", "CONNACK"),
    (PropertyId::AuthenticationMethod, "15 0001'm'", "CONNECT CONNACK AUTH"),
    (PropertyId::AuthenticationData, "16 0001ff", "CONNECT CONNACK AUTH"),
    (PropertyId::RequestProblemInformation, "17 01", "CONNECT"),
    (PropertyId::WillDelayInterval, "18 00000001", "WILL"),
    (PropertyId::RequestResponseInformation, "19 01", "CONNECT"),
    (PropertyId::ResponseInformation, "1a 0001'r'", "CONNACK"),
    (PropertyId::ServerReference, "1c 0001's'", "CONNACK DISCONNECT"),
    (
        PropertyId::ReasonString,
        "1f 0001's'",
        "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH",
    ),
    (PropertyId::ReceiveMaximum, "21 0001", "CONNECT CONNACK"),
    (PropertyId::TopicAliasMaximum, "22 0001", "CONNECT CONNACK"),
    (PropertyId::TopicAlias, "23 0001", "PUBLISH"),
    (PropertyId::MaximumQoS, "24 01", "CONNACK"),
    (PropertyId::RetainAvailable, "25 01", "CONNACK"),
    (PropertyId::UserProperty, "26 0001'k'0001'v'", EVERYWHERE),
    (PropertyId::MaximumPacketSize, "27 00000001", "CONNECT CONNACK"),
    (PropertyId::WildcardSubscriptionAvailable, "28 01", "CONNACK"),
    (PropertyId::SubscriptionIdentifierAvailable, "29 01", "CONNACK"),
    (PropertyId::SharedSubscriptionAvailable, "2a 01", "CONNACK"),
];

const EVERYWHERE: &str = "CONNECT CONNACK PUBLISH WILL PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK \
    UNSUBSCRIBE UNSUBACK DISCONNECT AUTH";

/// A packet's name, first byte, and what stands before and after its properties.
const PACKETS: &[(&str, u8, &str, &str)] = &[
    ("CONNECT", 0x10, "0004'MQTT' 05 02 0000", "0000"),
    ("WILL", 0x10, "0004'MQTT' 05 06 0000 00 0000", "0001't' 0000"),
    ("CONNACK", 0x20, "00 00", ""),
    ("PUBLISH", 0x30, "0001't'", ""),
    ("PUBACK", 0x40, "0001 00", ""),
    ("PUBREC", 0x50, "0001 00", ""),
    ("PUBREL", 0x62, "0001 00", ""),
    ("PUBCOMP", 0x70, "0001 00", ""),
    ("SUBSCRIBE", 0x82, "0001", "0001'a' 00"),
    ("SUBACK", 0x90, "0001", "00"),
    ("UNSUBSCRIBE", 0xa2, "0001", "0001'a'"),
    ("UNSUBACK", 0xb0, "0001", "00"),
    ("DISCONNECT", 0xe0, "00", ""),
    ("AUTH", 0xf0, "18", ""),
];

/// A packet with this block of properties, from the side that may send it; PUBLISH and AUTH from the server,
/// DISCONNECT from the client, which are allowed more.
fn with_block(packet: &(&str, u8, &str, &str), block: &[u8]) -> Result<(), Malformed> {
    let (name, first, before, after) = packet;
    let from = match *name {
        "CONNACK" | "SUBACK" | "UNSUBACK" | "PUBLISH" | "AUTH" => Server,
        _ => Client,
    };
    let len = block.len() as u8;
    let body = [bytes(before), vec![len], block.to_vec(), bytes(after)].concat();
    let wire = [vec![*first, body.len() as u8], body].concat();
    decode(&wire, V5, from).map(|_| ())
}

#[test]
fn v5_table_2_4_which_packet_takes_which_property() {
    assert_eq!(TABLE_2_4.len(), 27);
    for &(id, property, takers) in TABLE_2_4 {
        for packet in PACKETS {
            let takes = takers.split_whitespace().any(|taker| taker == packet.0);
            let method = bytes("15 0001'm'");
            let block = match (packet.0, id) {
                // Where authentication data goes, the method goes with it.
                (_, PropertyId::AuthenticationData) if takes => [method, bytes(property)].concat(),
                ("AUTH", PropertyId::AuthenticationMethod) => bytes(property),
                ("AUTH", _) => [method, bytes(property)].concat(),
                _ => bytes(property),
            };
            let expect = if takes { Ok(()) } else { Err(Malformed::PropertyNotAllowed(id)) };
            assert_eq!(with_block(packet, &block), expect, "{id} in {}", packet.0);
        }
    }
}

#[test]
fn v5_section_2_2_2_2_a_property_cut_anywhere_is_malformed() {
    for &(id, property, takers) in TABLE_2_4 {
        let property = bytes(property);
        let packet = PACKETS.iter().find(|packet| takers.starts_with(packet.0)).unwrap();
        for len in 1..property.len() {
            let refused = with_block(packet, &property[..len]);
            assert_eq!(refused, Err(Malformed::PropertyTruncated), "{len} bytes of {id}");
        }
    }
}

#[test]
fn v5_section_2_2_2_2_a_value_that_is_missing_is_told_before_a_property_that_is_not_allowed() {
    let connect = &PACKETS[0];
    assert_eq!(with_block(connect, &bytes("23")), Err(Malformed::PropertyTruncated));
    assert_eq!(
        with_block(connect, &bytes("23 0001")),
        Err(Malformed::PropertyNotAllowed(PropertyId::TopicAlias))
    );
}

#[test]
fn v5_section_2_2_2_2_unknown_identifiers() {
    let known: Vec<u32> = TABLE_2_4.iter().map(|row| row.0 as u32).collect();
    for packet in PACKETS {
        for number in (0..128).filter(|number| !known.contains(number)) {
            let refused = with_block(packet, &[number as u8, 0]);
            assert_eq!(refused, Err(Malformed::PropertyUnknown(number)), "in {}", packet.0);
        }
        assert_eq!(with_block(packet, &bytes("8001 00")), Err(Malformed::PropertyUnknown(128)));
        assert_eq!(with_block(packet, &bytes("8100 00")), Err(Malformed::VariableIntegerNotMinimal));
        assert_eq!(with_block(packet, &bytes("8080808001 00")), Err(Malformed::VariableIntegerTooLong));
    }
}

#[test]
fn v5_1_5_7_1_both_strings_of_a_pair_are_checked() {
    for packet in PACKETS {
        assert_eq!(with_block(packet, &bytes("26 0001ff 0000")), Err(Malformed::StringNotUtf8));
        assert_eq!(with_block(packet, &bytes("26 0000 000100")), Err(Malformed::StringNul));
    }
}

#[test]
fn identifiers_and_their_numbers() {
    for &(id, property, _) in TABLE_2_4 {
        assert_eq!(u32::from(bytes(property)[0]), id as u32);
        assert_eq!(PropertyId::from_number(id as u32), Some(id));
        assert!(id.to_string().len() > 4);
    }
}

fn full<'a>() -> PublishProperties<'a> {
    PublishProperties {
        payload_is_utf8: Some(true),
        message_expiry_secs: Some(60),
        topic_alias: Some(7),
        response_topic: Some("r/s"),
        correlation_data: Some(b"\0\xff"),
        subscription_ids: SubscriptionIds::from_slice(&[1, 2]),
        content_type: Some("text"),
        user_properties: UserProperties::from_pairs(&[("b", "1"), ("a", "2"), ("b", "1")]),
    }
}

#[test]
fn v5_3_3_2_15_to_20_what_is_forwarded_is_unaltered() {
    let mut forwarded = Vec::new();
    full().forwarded(&mut forwarded);
    assert_eq!(forwarded.len(), full().forwarded_len());
    let expect =
        bytes("0101 080003'r/s' 090002 00ff 030004'text' 260001'b'0001'1' 260001'a'0001'2' 260001'b'0001'1'");
    assert_eq!(forwarded, expect);
    let back = PublishProperties::from_forwarded(&forwarded);
    let own = PublishProperties {
        message_expiry_secs: None,
        topic_alias: None,
        subscription_ids: SubscriptionIds::default(),
        ..full()
    };
    assert_eq!(back, own);
}

#[test]
fn nothing_to_forward_is_no_byte() {
    let own = PublishProperties {
        message_expiry_secs: Some(1),
        topic_alias: Some(1),
        subscription_ids: SubscriptionIds::from_slice(&[1]),
        ..PublishProperties::default()
    };
    assert_eq!(own.forwarded_len(), 0);
    assert!(PublishProperties::from_forwarded(&[]).is_empty());
}

#[test]
fn a_block_that_does_not_parse_reads_as_absent_from_there() {
    let first = "0101 260001'a'0001'1'";
    for rest in ["ff", "0102 260000 0000", "26 0001'b'", "0100 260000 0000", "230001 260000 0000"] {
        let block = bytes(&format!("{first} {rest}"));
        let read = PublishProperties::from_forwarded(&block);
        assert_eq!(read.payload_is_utf8, Some(true));
        assert_eq!(read.user_properties.iter().collect::<Vec<_>>(), [("a", "1")], "{rest}");
        assert_eq!(read.topic_alias, None);
    }
}
