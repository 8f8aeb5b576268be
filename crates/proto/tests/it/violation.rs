//! What every violation is called: a reason code, a statement and a sentence. And what a caller's mistakes are.

use std::collections::BTreeSet;

use whimbrel_proto::{
    Violation,
    client::Misuse,
    codec::{Malformed, PacketType, QoS, ReasonCode, Version},
};

/// Violation, reason code, statement in 5.0, statement in 3.1.1.
#[rustfmt::skip]
const ALL: &[(Violation, ReasonCode, &str, &str)] = &[
    (Violation::Malformed(Malformed::WillQoSWithoutWill), ReasonCode::MalformedPacket, "MQTT-3.1.2-11", "MQTT-3.1.2-13"),
    (Violation::ConnectExpected, ReasonCode::ProtocolError, "MQTT-3.1.0-1", "MQTT-3.1.0-1"),
    (Violation::ConnectTimeout, ReasonCode::MaximumConnectTime, "section 3.1.4", "section 3.1.4"),
    (Violation::SecondConnect, ReasonCode::ProtocolError, "MQTT-3.1.0-2", "MQTT-3.1.0-2"),
    (Violation::ConnAckExpected, ReasonCode::ProtocolError, "MQTT-3.2.0-1", "MQTT-3.2.0-1"),
    (Violation::ConnAckTimeout, ReasonCode::MaximumConnectTime, "section 3.2", "section 3.2"),
    (Violation::SessionPresent, ReasonCode::ProtocolError, "MQTT-3.2.2-4", "MQTT-3.2.2-1"),
    (Violation::Unexpected(PacketType::ConnAck), ReasonCode::ProtocolError, "section 2.1.2", "section 2.1.2"),
    (Violation::KeepAliveTimeout, ReasonCode::KeepAliveTimeout, "MQTT-3.1.2-22", "MQTT-3.1.2-24"),
    (Violation::PingTimeout, ReasonCode::KeepAliveTimeout, "MQTT-3.12.4-1", "MQTT-3.12.4-1"),
    (Violation::ReasonCount(PacketType::SubAck), ReasonCode::ProtocolError, "MQTT-3.8.4-6", "MQTT-3.8.4-5"),
    (Violation::ReasonCount(PacketType::UnsubAck), ReasonCode::ProtocolError, "MQTT-3.11.3-1", "MQTT-3.11.3-1"),
    (Violation::ReceiveMaximumExceeded, ReasonCode::ReceiveMaximumExceeded, "MQTT-3.3.4-7", "MQTT-3.3.4-7"),
    (Violation::TopicAliasTooHigh, ReasonCode::TopicAliasInvalid, "MQTT-3.3.2-9", "MQTT-3.3.2-9"),
    (Violation::TopicAliasUnknown, ReasonCode::ProtocolError, "section 3.3.2.3.4", "section 3.3.2.3.4"),
    (Violation::TopicTooLong, ReasonCode::TopicNameInvalid, "a limit of this server", "a limit of this server"),
    (Violation::FilterTooLong, ReasonCode::TopicFilterInvalid, "a limit of this server", "a limit of this server"),
    (Violation::UserPropertiesTooMany, ReasonCode::QuotaExceeded, "a limit of this server", "a limit of this server"),
    (Violation::FiltersTooMany, ReasonCode::QuotaExceeded, "a limit of this server", "a limit of this server"),
    (Violation::SessionExpiryRaised, ReasonCode::ProtocolError, "section 3.14.2.2.2", "section 3.14.2.2.2"),
    (Violation::AuthUnexpected, ReasonCode::ProtocolError, "MQTT-4.12.0-7", "MQTT-4.12.0-7"),
    (Violation::AuthMethodChanged, ReasonCode::ProtocolError, "MQTT-4.12.0-5", "MQTT-4.12.0-5"),
    (Violation::AuthOutOfTurn, ReasonCode::ProtocolError, "section 4.12", "section 4.12"),
    (Violation::NotAuthenticated(PacketType::Publish), ReasonCode::ProtocolError, "MQTT-3.1.2-30", "MQTT-3.1.2-30"),
    (Violation::AuthTimeout, ReasonCode::NotAuthorized, "MQTT-4.12.1-2", "MQTT-4.12.1-2"),
    (Violation::PayloadNotUtf8, ReasonCode::PayloadFormatInvalid, "section 3.3.2.3.2", "section 3.3.2.3.2"),
    (Violation::QosNotSupported, ReasonCode::QoSNotSupported, "MQTT-3.2.2-11", "MQTT-3.2.2-11"),
    (Violation::RetainNotSupported, ReasonCode::RetainNotSupported, "MQTT-3.2.2-14", "MQTT-3.2.2-14"),
    (Violation::WildcardNotSupported, ReasonCode::WildcardSubscriptionsNotSupported, "section 3.2.2.3.11", "section 3.2.2.3.11"),
    (Violation::SubscriptionIdNotSupported, ReasonCode::SubscriptionIdsNotSupported, "section 3.2.2.3.12", "section 3.2.2.3.12"),
    (Violation::SharedNotSupported, ReasonCode::SharedSubscriptionsNotSupported, "section 3.2.2.3.13", "section 3.2.2.3.13"),
    (Violation::DiskTakesNothing, ReasonCode::ImplementationSpecific, "a limit of this server", "a limit of this server"),
    (Violation::QuotaExceeded, ReasonCode::QuotaExceeded, "a limit of this server", "a limit of this server"),
];

#[test]
fn every_violation_has_its_code_its_statement_and_a_sentence_of_its_own() {
    let mut sentences = BTreeSet::new();
    for &(violation, reason, v5, v311) in ALL {
        assert_eq!(violation.reason(), reason, "{violation:?}");
        let statements =
            [Version::V5, Version::V311, Version::V31].map(|version| violation.statement(version));
        assert_eq!(statements, [v5, v311, v311], "{violation:?}");
        let sentence = violation.to_string();
        assert!(sentence.len() > 10, "{violation:?}: {sentence:?}");
        assert!(sentences.insert(sentence), "{violation:?} says what another says");
    }
}

#[test]
fn a_mistake_says_what_it_is_and_by_how_much() {
    let check = |misuse: Misuse, expect: &str| assert_eq!(misuse.to_string(), expect);
    check(Misuse::NotOpen, "there is no connection");
    let (bytes, bytes_max) = (9, 7);
    check(Misuse::PacketTooLarge { bytes, bytes_max }, "the packet has 9 bytes and the server takes 7");
    check(Misuse::QosNotSupported(QoS::AtLeastOnce), "the server takes no QoS above 1");
    check(Misuse::TopicAliasTooHigh(0), "the server takes no topic aliases");
    check(Misuse::TopicAliasTooHigh(3), "the server takes no topic alias above 3");
    for (version, name) in [(Version::V31, "3.1"), (Version::V311, "3.1.1"), (Version::V5, "5.0")] {
        let expect = format!("MQTT {name} has no place for a property or option that was given");
        check(Misuse::NotInVersion(version), &expect);
    }
    check(Misuse::Malformed(Malformed::TopicEmpty), &Malformed::TopicEmpty.to_string());
}
