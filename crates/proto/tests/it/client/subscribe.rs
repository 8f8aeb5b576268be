//! SUBSCRIBE and UNSUBSCRIBE.

use whimbrel_proto::{
    Violation,
    client::Misuse,
    codec::{
        Malformed, Packet, PacketType, QoS, ReasonCode, Reasons, RetainHandling, SubAck, SubscribeOptions,
        UnsubAck, UserProperties, Version,
    },
};

use crate::it::transcript::{Client, id};

fn suback(packet_id: u16, reasons: &[ReasonCode]) -> Packet<'_> {
    Packet::SubAck(SubAck {
        packet_id: id(packet_id),
        reason_string: None,
        user_properties: UserProperties::default(),
        reasons: Reasons::from_slice(reasons),
    })
}

fn unsuback(packet_id: u16, reasons: &[ReasonCode]) -> Packet<'_> {
    Packet::UnsubAck(UnsubAck {
        packet_id: id(packet_id),
        reason_string: None,
        user_properties: UserProperties::default(),
        reasons: Reasons::from_slice(reasons),
    })
}

#[test]
fn a_subscription_is_answered_under_its_identifier() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let mut client = Client::open(version);
        let options = SubscribeOptions::with_qos(QoS::ExactlyOnce);
        let lines = client.subscribe(&[("a/+", options), ("b", options)], None).unwrap();
        assert_eq!(lines, ["> SUBSCRIBE #65535 a/+:2 b:2"]);
        let granted = [ReasonCode::GrantedQoS2, ReasonCode::GrantedQoS1];
        let lines = client.receive(suback(65_535, &granted));
        assert_eq!(lines, ["= subscribed #65535 [GrantedQoS2, GrantedQoS1]"]);
        assert_eq!(client.unsubscribe(&["a/+", "b"]).unwrap(), ["> UNSUBSCRIBE #65534 a/+ b"]);
        let lines = client.receive(unsuback(65_534, &[ReasonCode::Success; 2]));
        let reasons = if version == Version::V5 { "[Success, Success]" } else { "[]" };
        assert_eq!(lines, [format!("= unsubscribed #65534 {reasons}")]);
    }
}

#[test]
fn a_refused_subscription_is_told() {
    for (version, told) in [(Version::V311, "Unspecified"), (Version::V5, "NotAuthorized")] {
        let mut client = Client::open(version);
        client.subscribe(&[("a", SubscribeOptions::default())], None).unwrap();
        let lines = client.receive(suback(65_535, &[ReasonCode::NotAuthorized]));
        assert_eq!(lines, [format!("= subscribed #65535 [{told}]")]);
    }
}

#[test]
fn v5_3_8_4_6_suback_has_a_reason_for_each_filter() {
    for version in [Version::V311, Version::V5] {
        let mut client = Client::open(version);
        client.subscribe(&[("a", SubscribeOptions::default())], None).unwrap();
        let short = client.try_receive(suback(65_535, &[ReasonCode::GRANTED_QOS0; 2]));
        assert_eq!(short, Err(Violation::ReasonCount(PacketType::SubAck)));
    }
    let mut client = Client::open(Version::V5);
    client.unsubscribe(&["a", "b"]).unwrap();
    let short = client.try_receive(unsuback(65_535, &[ReasonCode::Success]));
    assert_eq!(short, Err(Violation::ReasonCount(PacketType::UnsubAck)));
}

#[test]
fn an_answer_to_nothing_changes_nothing() {
    let mut client = Client::open(Version::V5);
    client.unsubscribe(&["a"]).unwrap();
    let lines = client.receive(suback(65_535, &[ReasonCode::GRANTED_QOS0]));
    assert_eq!(lines, ["= stray SubAck #65535"]);
    let lines = client.receive(unsuback(1, &[ReasonCode::Success]));
    assert_eq!(lines, ["= stray UnsubAck #1"]);
    let lines = client.receive(unsuback(65_535, &[ReasonCode::Success]));
    assert_eq!(lines, ["= unsubscribed #65535 [Success]"]);
}

#[test]
fn filters_that_are_wrong_are_not_sent() {
    let mut client = Client::open(Version::V5);
    let options = SubscribeOptions::default();
    let long = "x".repeat(65_536);
    let mut check = |filters: &[&str], fault| {
        let subscriptions: Vec<_> = filters.iter().map(|filter| (*filter, options)).collect();
        assert_eq!(client.subscribe(&subscriptions, None), Err(Misuse::Malformed(fault)), "{filters:?}");
    };
    check(&["a", "b#"], Malformed::FilterMultiLevelWildcard);
    check(&[""], Malformed::FilterEmpty);
    check(&["$share//a"], Malformed::ShareNameEmpty);
    check(&[&long], Malformed::TopicTooLong);
    // [MQTT-3.8.3-2]
    check(&[], Malformed::NoFilters(PacketType::Subscribe));
    // [MQTT-3.10.3-2]
    let none = client.unsubscribe(&[]);
    assert_eq!(none, Err(Misuse::Malformed(Malformed::NoFilters(PacketType::Unsubscribe))));
}

#[test]
fn v5_3_8_3_4_no_local_and_a_shared_subscription_do_not_go_together() {
    let mut client = Client::open(Version::V5);
    let options = SubscribeOptions { no_local: true, ..SubscribeOptions::default() };
    let refused = client.subscribe(&[("$share/g/a", options)], None);
    assert_eq!(refused, Err(Misuse::Malformed(Malformed::NoLocalOnShared)));
}

#[test]
fn v311_has_no_place_for_the_options_of_5_0() {
    let plain = SubscribeOptions::default();
    let check = |options: SubscribeOptions, id| {
        let mut client = Client::open(Version::V311);
        let refused = client.subscribe(&[("a", options)], id);
        assert_eq!(refused, Err(Misuse::NotInVersion(Version::V311)));
    };
    check(SubscribeOptions { no_local: true, ..plain }, None);
    check(SubscribeOptions { retain_as_published: true, ..plain }, None);
    check(SubscribeOptions { retain_handling: RetainHandling::DoNotSend, ..plain }, None);
    check(plain, Some(1));
}
