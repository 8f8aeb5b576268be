//! Every way to be wrong: reached by bytes, named by a statement, answered with a code, said in words.

use std::collections::HashSet;

use whimbrel_codec::Peer::{Client, Server};
use whimbrel_codec::Version::{V5, V31, V311};
use whimbrel_codec::{
    Malformed, PacketType, Peer, PropertyId, Version, check_str, check_topic_filter, check_topic_name, split,
};

use super::wire::{VERSIONS, bytes, decode};

/// One packet for each variant that a peer can cause: version, sender, bytes, violation, statement, code.
#[rustfmt::skip]
const BY_BYTES: &[(Version, Peer, &str, Malformed, &str, u8)] = &[
    (V5, Client, "00 00", Malformed::PacketTypeReserved, "section 2.1.2", 0x82),
    (V311, Client, "00 00", Malformed::PacketTypeReserved, "section 2.2.1", 0x82),
    (V5, Client, "c1 00", Malformed::Flags(PacketType::PingReq), "MQTT-2.1.3-1", 0x81),
    (V311, Client, "c1 00", Malformed::Flags(PacketType::PingReq), "MQTT-2.2.2-1", 0x81),
    (V5, Server, "c0 00", Malformed::Direction(PacketType::PingReq), "section 2.1.2", 0x82),
    (V311, Client, "f0 00", Malformed::AuthBeforeV5, "section 2.2.1", 0x82),
    (V5, Client, "c0 80808080", Malformed::VariableIntegerTooLong, "section 1.5.5", 0x81),
    (V5, Client, "c0 8000", Malformed::VariableIntegerNotMinimal, "MQTT-1.5.5-1", 0x81),
    (V5, Client, "40 01 00", Malformed::Truncated, "section 2.1.4", 0x81),
    (V5, Client, "c0 01 00", Malformed::TrailingBytes, "section 2.1.4", 0x81),
    (V5, Client, "30 04 0001ff 00", Malformed::StringNotUtf8, "MQTT-1.5.4-1", 0x81),
    (V5, Client, "30 04 000100 00", Malformed::StringNul, "MQTT-1.5.4-2", 0x81),
    (V5, Client, "40 02 0000", Malformed::PacketIdZero, "MQTT-2.2.1-3", 0x82),
    (V5, Client, "40 04 0001 00 01", Malformed::PropertyLength, "section 2.2.2.1", 0x81),
    (V5, Client, "40 05 0001 00 01 1f", Malformed::PropertyTruncated, "section 2.2.2.2", 0x81),
    (V5, Client, "40 06 0001 00 02 0400", Malformed::PropertyUnknown(4), "section 2.2.2.2", 0x81),
    (V5, Client, "40 06 0001 00 02 0100", Malformed::PropertyNotAllowed(PropertyId::PayloadFormatIndicator), "section 2.2.2.2", 0x81),
    (V5, Client, "40 0a 0001 00 06 1f0000 1f0000", Malformed::PropertyDuplicate(PropertyId::ReasonString), "section 2.2.2.2", 0x82),
    (V5, Client, "30 06 0001't' 02 0102", Malformed::PropertyValue(PropertyId::PayloadFormatIndicator), "section 2.2.2.2", 0x82),
    (V5, Client, "10 07 0004'MQTX' 05", Malformed::ProtocolName, "MQTT-3.1.2-1", 0x84),
    (V5, Client, "10 07 0004'MQTT' 06", Malformed::ProtocolLevel(6), "MQTT-3.1.2-2", 0x84),
    (V5, Client, "10 0d 0004'MQTT' 05 01 0000 00 0000", Malformed::ConnectFlagReserved, "MQTT-3.1.2-3", 0x81),
    (V5, Client, "10 0d 0004'MQTT' 05 1c 0000 00 0000", Malformed::WillQoS3, "MQTT-3.1.2-12", 0x81),
    (V5, Client, "10 0d 0004'MQTT' 05 08 0000 00 0000", Malformed::WillQoSWithoutWill, "MQTT-3.1.2-11", 0x81),
    (V5, Client, "10 0d 0004'MQTT' 05 20 0000 00 0000", Malformed::WillRetainWithoutWill, "MQTT-3.1.2-13", 0x81),
    (V311, Client, "10 0e 0004'MQTT' 04 40 0000 0000 0000", Malformed::PasswordWithoutUserName, "MQTT-3.1.2-22", 0x81),
    (V5, Client, "10 10 0004'MQTT' 05 02 0000 03 160000 0000", Malformed::AuthenticationMethodMissing(PacketType::Connect), "section 3.1.2.11.10", 0x82),
    (V5, Client, "10 12 0004'MQTT' 05 06 0000 00 0000 00 0000 0000", Malformed::TopicEmpty, "MQTT-4.7.3-1", 0x81),
    (V5, Client, "10 14 0004'MQTT' 05 06 0000 00 0000 00 0002'a#' 0000", Malformed::TopicWildcard, "MQTT-3.3.2-2", 0x81),
    (V5, Server, "20 03 02 00 00", Malformed::ConnAckFlags, "MQTT-3.2.2-1", 0x81),
    (V5, Server, "20 03 01 80 00", Malformed::SessionPresentOnError, "MQTT-3.2.2-6", 0x82),
    (V5, Server, "20 03 00 ff 00", Malformed::ReasonCode { packet: PacketType::ConnAck, code: 0xff }, "MQTT-3.2.2-8", 0x82),
    (V5, Server, "90 03 0001 00", Malformed::NoReasonCodes(PacketType::SubAck), "section 2.4", 0x82),
    (V5, Client, "36 06 0001't' 0001 00", Malformed::PublishQoS3, "MQTT-3.3.1-4", 0x81),
    (V5, Client, "38 04 0001't' 00", Malformed::DupOnQoS0, "MQTT-3.3.1-2", 0x81),
    (V5, Client, "30 03 0000 00", Malformed::TopicMissing, "section 3.3.2.1", 0x82),
    (V5, Client, "30 07 0001't' 03 230000", Malformed::TopicAliasZero, "MQTT-3.3.2-8", 0x94),
    (V5, Client, "30 06 0001't' 02 0b01", Malformed::SubscriptionIdFromClient, "MQTT-3.3.4-6", 0x82),
    (V5, Client, "30 07 0001't' 03 080000", Malformed::ResponseTopicEmpty, "MQTT-4.7.3-1", 0x82),
    (V5, Client, "30 08 0001't' 04 080001'#'", Malformed::ResponseTopicWildcard, "MQTT-3.3.2-14", 0x82),
    (V5, Client, "82 06 0001 00 0000 00", Malformed::FilterEmpty, "MQTT-4.7.3-1", 0x81),
    (V5, Client, "82 09 0001 00 0003'#/a' 00", Malformed::FilterMultiLevelWildcard, "MQTT-4.7.1-1", 0x81),
    (V5, Client, "82 08 0001 00 0002'a+' 00", Malformed::FilterSingleLevelWildcard, "MQTT-4.7.1-2", 0x81),
    (V5, Client, "82 0f 0001 00 0009'$share//a' 00", Malformed::ShareNameEmpty, "MQTT-4.8.2-1", 0x81),
    (V5, Client, "82 10 0001 00 000a'$share/#/a' 00", Malformed::ShareNameWildcard, "MQTT-4.8.2-2", 0x81),
    (V5, Client, "82 0f 0001 00 0009'$share/g/' 00", Malformed::ShareFilterMissing, "MQTT-4.8.2-2", 0x81),
    (V5, Client, "82 03 0001 00", Malformed::NoFilters(PacketType::Subscribe), "MQTT-3.8.3-2", 0x82),
    (V5, Client, "82 07 0001 00 0001'a' 03", Malformed::SubscribeQoS3, "section 3.8.3.1", 0x82),
    (V5, Client, "82 07 0001 00 0001'a' 40", Malformed::SubscribeOptionsReserved, "MQTT-3.8.3-5", 0x81),
    (V5, Client, "82 07 0001 00 0001'a' 30", Malformed::RetainHandling3, "section 3.8.3.1", 0x82),
    (V5, Client, "82 10 0001 00 000a'$share/g/a' 04", Malformed::NoLocalOnShared, "MQTT-3.8.3-4", 0x82),
    (V5, Server, "e0 07 00 05 1100000000", Malformed::SessionExpiryFromServer, "MQTT-3.14.2-2", 0x82),
];

/// How many variants [`number`] knows.
const VARIANTS: usize = 54;

/// A number for each variant. A new one does not compile until it has one here, and then wants its row above.
fn number(malformed: Malformed) -> usize {
    match malformed {
        Malformed::PacketTypeReserved => 0,
        Malformed::Flags(_) => 1,
        Malformed::Direction(_) => 2,
        Malformed::AuthBeforeV5 => 3,
        Malformed::VariableIntegerTooLong => 4,
        Malformed::VariableIntegerNotMinimal => 5,
        Malformed::PacketTooLarge => 6,
        Malformed::Truncated => 7,
        Malformed::TrailingBytes => 8,
        Malformed::StringNotUtf8 => 9,
        Malformed::StringNul => 10,
        Malformed::StringTooLong => 11,
        Malformed::PacketIdZero => 12,
        Malformed::PropertyLength => 13,
        Malformed::PropertyTruncated => 14,
        Malformed::PropertyUnknown(_) => 15,
        Malformed::PropertyNotAllowed(_) => 16,
        Malformed::PropertyDuplicate(_) => 17,
        Malformed::PropertyValue(_) => 18,
        Malformed::ProtocolName => 19,
        Malformed::ProtocolLevel(_) => 20,
        Malformed::ConnectFlagReserved => 21,
        Malformed::WillQoS3 => 22,
        Malformed::WillQoSWithoutWill => 23,
        Malformed::WillRetainWithoutWill => 24,
        Malformed::PasswordWithoutUserName => 25,
        Malformed::AuthenticationMethodMissing(_) => 26,
        Malformed::ConnAckFlags => 27,
        Malformed::SessionPresentOnError => 28,
        Malformed::ReasonCode { .. } => 29,
        Malformed::NoReasonCodes(_) => 30,
        Malformed::PublishQoS3 => 31,
        Malformed::DupOnQoS0 => 32,
        Malformed::TopicMissing => 33,
        Malformed::TopicAliasZero => 34,
        Malformed::SubscriptionIdFromClient => 35,
        Malformed::ResponseTopicEmpty => 36,
        Malformed::ResponseTopicWildcard => 37,
        Malformed::TopicEmpty => 38,
        Malformed::TopicWildcard => 39,
        Malformed::TopicNul => 40,
        Malformed::TopicTooLong => 41,
        Malformed::FilterEmpty => 42,
        Malformed::FilterMultiLevelWildcard => 43,
        Malformed::FilterSingleLevelWildcard => 44,
        Malformed::ShareNameEmpty => 45,
        Malformed::ShareNameWildcard => 46,
        Malformed::ShareFilterMissing => 47,
        Malformed::NoFilters(_) => 48,
        Malformed::SubscribeQoS3 => 49,
        Malformed::SubscribeOptionsReserved => 50,
        Malformed::RetainHandling3 => 51,
        Malformed::NoLocalOnShared => 52,
        Malformed::SessionExpiryFromServer => 53,
    }
}

/// What only a caller's own strings can be, and what depends on the caller's limit.
fn by_call() -> [(Malformed, &'static str, u8); 4] {
    let long = "a".repeat(65_536);
    [
        (split(&[0x30, 9], 10).unwrap_err(), "MQTT-3.2.2-15", 0x95),
        (check_str(&long).unwrap_err(), "section 1.5.4", 0x81),
        (check_topic_name(&long).unwrap_err(), "MQTT-4.7.3-3", 0x81),
        (check_topic_filter("a\0").unwrap_err(), "MQTT-4.7.3-2", 0x81),
    ]
}

#[test]
fn every_violation_is_named_and_answered() {
    let mut reached = HashSet::new();
    for &(version, from, wire, expect, statement, reason) in BY_BYTES {
        let wire = bytes(wire);
        assert_eq!(decode(&wire, version, from), Err(expect));
        assert_eq!(expect.statement(version), statement, "{expect:?}");
        assert_eq!(expect.reason() as u8, reason, "{expect:?}");
        reached.insert(number(expect));
    }
    for (malformed, statement, reason) in by_call() {
        assert_eq!(malformed.statement(V5), statement, "{malformed:?}");
        assert_eq!(malformed.reason() as u8, reason, "{malformed:?}");
        reached.insert(number(malformed));
    }
    let missing: Vec<_> = (0..VARIANTS).filter(|number| !reached.contains(number)).collect();
    assert_eq!(missing, [], "variants that no row reaches");
}

/// 3.1.1 has statements of its own for what 5.0 numbers otherwise.
#[test]
fn v311_strings_and_wildcards_have_numbers_of_their_own() {
    for version in [V31, V311] {
        assert_eq!(Malformed::StringTooLong.statement(version), "section 1.5.3");
        assert_eq!(Malformed::FilterMultiLevelWildcard.statement(version), "MQTT-4.7.1-2");
        assert_eq!(Malformed::FilterSingleLevelWildcard.statement(version), "MQTT-4.7.1-3");
    }
}

#[test]
fn every_violation_says_something_of_its_own() {
    let by_call = by_call().map(|(malformed, ..)| malformed);
    let mut said = HashSet::new();
    for malformed in BY_BYTES.iter().map(|row| row.3).chain(by_call) {
        let sentence = malformed.to_string();
        assert!(sentence.len() > 10, "{malformed:?}: {sentence:?}");
        assert!(!sentence.contains("Malformed"), "{sentence:?}");
        said.insert(sentence);
        for version in VERSIONS {
            let statement = malformed.statement(version);
            assert!(statement.starts_with("MQTT-") || statement.starts_with("section "), "{statement}");
            assert!(!statement.ends_with("4.13.1"), "{malformed:?} has no statement");
        }
        assert_eq!(malformed.statement(V31), malformed.statement(V311));
        assert!(malformed.reason().is_error());
    }
    let distinct: HashSet<_> = BY_BYTES.iter().map(|row| row.3).chain(by_call).collect();
    assert_eq!(said.len(), distinct.len(), "two violations with the same words");
}
