//! What the server does not take: exactly at each limit, and one past it.

use whimbrel_proto::{
    Millis, Violation,
    codec::{
        Connect, Filters, Packet, Publish, PublishProperties, QoS, Subscribe, SubscribeOptions, Unsubscribe,
        UnsubscribeFilters, UserProperties, Version, Will,
    },
    server::{Connection, Limits},
};

use super::{asks, open, violation};
use crate::it::transcript::{id, publish};

const V5: Version = Version::V5;
const OLD: Version = Version::V311;

fn subscribe<'a>(filters: &'a [(&'a str, SubscribeOptions)]) -> Subscribe<'a> {
    Subscribe {
        packet_id: id(1),
        subscription_id: None,
        user_properties: UserProperties::default(),
        filters: Filters::from_slice(filters),
    }
}

fn unsubscribe<'a>(filters: &'a [&'a str]) -> Unsubscribe<'a> {
    Unsubscribe {
        packet_id: id(1),
        user_properties: UserProperties::default(),
        filters: UnsubscribeFilters::from_slice(filters),
    }
}

/// What becomes of a packet on an open connection, and of a CONNECT on a new one.
fn verdict(packet: &Packet<'_>, version: Version, limits: &Limits) -> Option<Violation> {
    if let Packet::Connect(_) = packet {
        return violation(&mut Connection::new(limits, Millis(0)), packet, version, limits);
    }
    violation(&mut open(version, limits), packet, version, limits)
}

#[test]
fn before_connect_is_accepted_packets_are_held_to_both_limits() {
    let limits = |packet_bytes_max, connect_bytes_max| Limits {
        packet_bytes_max,
        connect_bytes_max,
        ..Limits::default()
    };
    let smaller = limits(900, 300);
    let mut connection = Connection::new(&smaller, Millis(0));
    assert_eq!(connection.packet_bytes_max(&smaller), 300);
    assert_eq!(violation(&mut connection, &Packet::Connect(asks(V5)), V5, &smaller), None);
    assert_eq!(connection.packet_bytes_max(&smaller), 300);
    assert_eq!(open(V5, &smaller).packet_bytes_max(&smaller), 900);
    let larger = limits(200, 300);
    assert_eq!(Connection::new(&larger, Millis(0)).packet_bytes_max(&larger), 200);
}

#[test]
fn user_properties_of_every_packet_by_number_and_bytes() {
    let three = [("a", "1"), ("a", "1"), ("bc", "")];
    // Of each: the identifier, two lengths, and what is in it.
    let bytes = 7 + 7 + 7;
    let filters = [("f", SubscribeOptions::with_qos(QoS::AtMostOnce))];
    let with = |pairs| {
        let user_properties = UserProperties::from_pairs(pairs);
        let properties = PublishProperties { user_properties, ..PublishProperties::default() };
        let mut connect = asks(V5);
        connect.properties.user_properties = user_properties;
        let will = Some(Will { topic: "w", properties, ..Will::default() });
        [
            Packet::Publish(Publish { properties, ..publish(QoS::AtMostOnce, 0, "t") }),
            Packet::Subscribe(Subscribe { user_properties, ..subscribe(&filters) }),
            Packet::Unsubscribe(Unsubscribe { user_properties, ..unsubscribe(&["f"]) }),
            Packet::Connect(connect),
            Packet::Connect(Connect { will, ..asks(V5) }),
        ]
    };
    let check = |count: usize, bytes: usize, expect| {
        let limits =
            Limits { user_properties_max: count, user_properties_bytes_max: bytes, ..Limits::default() };
        for packet in with(&three) {
            assert_eq!(verdict(&packet, V5, &limits), expect, "{count} {bytes} {packet:?}");
        }
    };
    check(3, bytes, None);
    check(2, bytes, Some(Violation::UserPropertiesTooMany));
    check(3, bytes - 1, Some(Violation::UserPropertiesTooMany));
}

#[test]
fn topics_and_filters_by_bytes_and_levels() {
    let check = |limits: &Limits, text: &str, is_good: bool| {
        let topic = (!is_good).then_some(Violation::TopicTooLong);
        let filter = (!is_good).then_some(Violation::FilterTooLong);
        for version in [V5, OLD] {
            let will = Some(Will { topic: text, ..Will::default() });
            let options = SubscribeOptions::with_qos(QoS::AtMostOnce);
            let message = Publish { topic: text, ..Publish::default() };
            assert_eq!(verdict(&Packet::Publish(message), version, limits), topic, "{text}");
            assert_eq!(
                verdict(&Packet::Connect(Connect { will, ..asks(version) }), version, limits),
                topic,
                "{text}"
            );
            let filters = [(text, options)];
            assert_eq!(verdict(&Packet::Subscribe(subscribe(&filters)), version, limits), filter, "{text}");
            let filters = [text];
            assert_eq!(
                verdict(&Packet::Unsubscribe(unsubscribe(&filters)), version, limits),
                filter,
                "{text}"
            );
        }
    };
    let bytes = Limits { topic_bytes_max: 5, ..Limits::default() };
    check(&bytes, "abcde", true);
    check(&bytes, "abcdef", false);
    check(&bytes, "abcdefg", false);
    let levels = Limits { topic_levels_max: 3, ..Limits::default() };
    for (good, text) in
        [(true, "a/b/c"), (true, "a"), (true, "//"), (false, "a/b/c/d"), (false, "///"), (false, "a///b")]
    {
        check(&levels, text, good);
    }
}

#[test]
fn filters_of_a_packet_by_number() {
    let limits = Limits { filters_per_subscribe_max: 2, ..Limits::default() };
    let options = SubscribeOptions::with_qos(QoS::AtMostOnce);
    let all = [("a", options), ("b", options), ("c", options)];
    let many = Some(Violation::FiltersTooMany);
    assert_eq!(verdict(&Packet::Subscribe(subscribe(&all[..2])), V5, &limits), None);
    assert_eq!(verdict(&Packet::Subscribe(subscribe(&all)), V5, &limits), many);
    assert_eq!(verdict(&Packet::Unsubscribe(unsubscribe(&["a", "b"])), V5, &limits), None);
    assert_eq!(verdict(&Packet::Unsubscribe(unsubscribe(&["a", "b", "c"])), V5, &limits), many);
}

#[test]
fn v5_3_2_2_11_and_14_qos_and_retain_that_the_server_does_not_have() {
    let limits = Limits { qos_max: QoS::AtLeastOnce, retain_available: false, ..Limits::default() };
    let check = |qos, packet_id, retain, limits: &Limits, expect| {
        let packet = Packet::Publish(Publish { retain, ..publish(qos, packet_id, "t") });
        assert_eq!(verdict(&packet, V5, limits), expect);
    };
    check(QoS::AtMostOnce, 0, false, &limits, None);
    check(QoS::AtLeastOnce, 1, false, &limits, None);
    check(QoS::ExactlyOnce, 1, false, &limits, Some(Violation::QosNotSupported));
    check(QoS::AtMostOnce, 0, true, &limits, Some(Violation::RetainNotSupported));
    check(QoS::ExactlyOnce, 1, true, &Limits::default(), None);
}

#[test]
fn v5_section_3_2_2_3_11_to_13_subscriptions_that_the_server_does_not_have() {
    let all = Limits::default();
    let no_wildcards = Limits { wildcard_available: false, ..all.clone() };
    let no_shared = Limits { shared_available: false, ..all.clone() };
    let no_ids = Limits { subscription_ids_available: false, ..all.clone() };
    let options = SubscribeOptions::with_qos(QoS::AtMostOnce);
    let check = |limits: &Limits, filter: &str, subscription_id, expect: Option<Violation>| {
        let filters = [(filter, options)];
        let asked = Subscribe { subscription_id, ..subscribe(&filters) };
        assert_eq!(verdict(&Packet::Subscribe(asked), V5, limits), expect, "{filter}");
        // Who was not told is refused by the filter, in SUBACK.
        assert_eq!(verdict(&Packet::Subscribe(subscribe(&filters)), OLD, limits), None, "{filter}");
    };
    for filter in ["a", "a/+", "#", "$share/g/a"] {
        check(&all, filter, Some(1), None);
        check(&no_ids, filter, None, None);
        check(&no_ids, filter, Some(1), Some(Violation::SubscriptionIdNotSupported));
    }
    check(&no_wildcards, "a", None, None);
    check(&no_wildcards, "$share/g/a", None, None);
    check(&no_wildcards, "a/+", None, Some(Violation::WildcardNotSupported));
    check(&no_wildcards, "$share/g/#", None, Some(Violation::WildcardNotSupported));
    check(&no_shared, "a", None, None);
    check(&no_shared, "#", None, None);
    check(&no_shared, "$share/g/a", None, Some(Violation::SharedNotSupported));
}
