//! Sections 4.13 of 5.0 and 4.8 of 3.1.1: what is wrong after CONNECT, as tables with one row for each way to be
//! wrong. A row has the reasons that the text permits for it. Wrong CONNECTs are in `malformed_connect`.

use whimbrel_testkit::{Bytes, Packet, QoS0, Version, World, bytes, hex};

use crate::row::{MALFORMED, PROTOCOL_ERROR, Row, WRONG, row};
use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "v5_1_5_4_1_ill_formed_utf8_is_malformed",
        ill_formed_utf8,
        &["MQTT-1.5.4-1", "MQTT-3.3.2-1", "MQTT-3.8.3-1", "MQTT-3.10.3-1", "MQTT-4.13.1-1"],
    ),
    Scenario::new(
        "v311_1_5_3_1_ill_formed_utf8_closes",
        ill_formed_utf8,
        &["MQTT-1.5.3-1", "MQTT-3.3.2-1", "MQTT-3.8.3-1", "MQTT-3.10.3-1", "MQTT-4.8.0-1"],
    )
    .and_v31(),
    Scenario::new(
        "v5_1_5_4_2_the_null_character_is_malformed",
        null_character,
        &["MQTT-1.5.4-2", "MQTT-4.7.3-2"],
    ),
    Scenario::new(
        "v311_1_5_3_2_the_null_character_closes",
        null_character,
        &["MQTT-1.5.3-2", "MQTT-4.7.3-2"],
    ),
    Scenario::new("v5_1_5_7_1_both_strings_of_a_pair_are_utf8", string_pairs, &["MQTT-1.5.7-1"]),
    Scenario::new("v5_1_5_5_1_lengths_use_the_fewest_bytes", lengths, &["MQTT-1.5.5-1"]),
    Scenario::new("v311_2_2_3_lengths_have_at_most_four_bytes", length_of_five, &["section 2.2.3"]).and_v31(),
    Scenario::new(
        "v5_2_1_3_1_reserved_flags_are_malformed",
        reserved_flags,
        &["MQTT-2.1.3-1", "MQTT-3.6.1-1", "MQTT-3.8.1-1", "MQTT-3.10.1-1", "MQTT-3.14.1-1"],
    ),
    Scenario::new(
        "v311_2_2_2_1_reserved_flags_close",
        reserved_flags,
        &["MQTT-2.2.2-1", "MQTT-2.2.2-2", "MQTT-3.6.1-1", "MQTT-3.8.1-1", "MQTT-3.10.1-1", "MQTT-3.14.1-1"],
    ),
    Scenario::new("v5_3_15_1_1_reserved_flags_of_auth_are_malformed", auth_flags, &["MQTT-3.15.1-1"]),
    Scenario::new("v5_2_1_2_a_client_sends_no_servers_packet", servers_packets, &["section 2.1.2"]),
    Scenario::new(
        "v311_2_2_1_a_client_sends_no_servers_packet",
        servers_packets,
        &["section 2.2.1", "MQTT-4.8.0-1"],
    )
    .and_v31(),
    Scenario::new("v5_2_2_1_3_packet_identifiers_are_not_zero", packet_id_zero, &["MQTT-2.2.1-3"]),
    Scenario::new("v311_2_3_1_1_packet_identifiers_are_not_zero", packet_id_zero, &["MQTT-2.3.1-1"])
        .and_v31(),
    Scenario::new(
        "v5_2_2_2_2_wrong_properties_are_malformed",
        wrong_properties,
        &["section 2.2.2.2", "MQTT-2.2.2-1"],
    ),
    Scenario::new("v5_3_3_2_3_properties_of_publish_come_once", repeated_in_publish, &["section 3.3.2.3"]),
    Scenario::new("v5_3_3_1_4_publish_of_qos_3_is_malformed", qos_3, &["MQTT-3.3.1-4"]),
    Scenario::new("v311_3_3_1_4_publish_of_qos_3_closes", qos_3, &["MQTT-3.3.1-4"]).and_v31(),
    Scenario::new("v5_3_3_1_2_dup_at_qos_0_is_wrong", dup_at_qos_0, &["MQTT-3.3.1-2"]),
    Scenario::new("v311_3_3_1_2_dup_at_qos_0_is_wrong", dup_at_qos_0, &["MQTT-3.3.1-2"]),
    Scenario::new(
        "v5_3_3_2_2_topic_names_have_no_wildcard",
        wildcard_in_topic,
        &["MQTT-3.3.2-2", "MQTT-4.7.0-1"],
    ),
    Scenario::new(
        "v311_3_3_2_2_topic_names_have_no_wildcard",
        wildcard_in_topic,
        &["MQTT-3.3.2-2", "MQTT-4.7.1-1"],
    )
    .and_v31(),
    Scenario::new("v5_4_7_3_1_topic_names_are_not_empty", empty_topic, &["MQTT-4.7.3-1"]),
    Scenario::new("v311_4_7_3_1_topic_names_and_filters_are_not_empty", empty_names, &["MQTT-4.7.3-1"])
        .and_v31(),
    Scenario::new(
        "v5_3_3_2_14_response_topics_have_no_wildcard",
        response_topic,
        &["MQTT-3.3.2-13", "MQTT-3.3.2-14"],
    ),
    Scenario::new("v5_3_3_2_19_content_type_is_utf8", content_type, &["MQTT-3.3.2-19"]),
    Scenario::new("v5_3_3_4_6_no_subscription_identifier_from_a_client", subscription_id, &["MQTT-3.3.4-6"]),
    Scenario::new("v5_3_8_3_2_subscribe_needs_a_filter", empty_subscribe, &["MQTT-3.8.3-2"]),
    Scenario::new("v311_3_8_3_3_subscribe_needs_a_filter", empty_subscribe, &["MQTT-3.8.3-3"]).and_v31(),
    Scenario::new(
        "v5_3_8_3_5_reserved_subscription_options_are_malformed",
        reserved_options,
        &["MQTT-3.8.3-5"],
    ),
    Scenario::new(
        "v311_3_8_3_4_reserved_bits_of_requested_qos_are_malformed",
        reserved_options_v311,
        &["MQTT-3.8.3-4"],
    ),
    Scenario::new(
        "v5_3_8_3_1_wrong_subscription_options",
        wrong_options,
        &["section 3.8.3.1", "MQTT-3.8.3-4"],
    ),
    Scenario::new("v5_3_8_2_1_2_subscription_identifiers", subscribe_properties, &["section 3.8.2.1.2"]),
    Scenario::new(
        "v5_4_7_1_1_wildcards_in_the_wrong_place",
        wrong_filters,
        &["MQTT-4.7.1-1", "MQTT-4.7.1-2"],
    ),
    Scenario::new(
        "v311_4_7_1_2_wildcards_in_the_wrong_place",
        wrong_filters,
        &["MQTT-4.7.1-2", "MQTT-4.7.1-3"],
    )
    .and_v31(),
    Scenario::new("v5_3_10_3_2_unsubscribe_needs_a_filter", empty_unsubscribe, &["MQTT-3.10.3-2"]),
    Scenario::new("v311_3_10_3_2_unsubscribe_needs_a_filter", empty_unsubscribe, &["MQTT-3.10.3-2"])
        .and_v31(),
    Scenario::new(
        "v5_3_4_2_1_wrong_acknowledgements",
        wrong_acks,
        &["MQTT-3.4.2-1", "MQTT-3.5.2-1", "MQTT-3.6.2-1"],
    ),
    Scenario::new("v5_3_14_2_1_wrong_disconnects", wrong_disconnects, &["MQTT-3.14.2-1", "section 3.14.2.2"]),
    Scenario::new("v5_4_13_1_lengths_that_do_not_fit", wrong_lengths, &["MQTT-4.13.1-1"]),
    Scenario::new("v311_4_8_0_1_lengths_that_do_not_fit", wrong_lengths, &["MQTT-4.8.0-1"]).and_v31(),
    Scenario::new("v5_4_13_1_others_are_unharmed", others_unharmed, &["MQTT-4.13.1-1", "MQTT-4.13.2-1"]),
];

const WRONG_TOPIC: &[u8] = &[0x81, 0x82, 0x90];
const WRONG_FILTER: &[u8] = &[0x81, 0x82, 0x8F];

/// Sends each row on a connection of its own and demands that it ends with one of the reasons (5.0) or without a word.
fn check(world: &mut World, rows: Vec<Row>) {
    let version = world.version();
    let mut failures = Vec::new();
    for row in rows {
        let mut client = world.connect(world.client("wrong"));
        client.unchecked();
        let mut bytes = row.bytes.clone();
        bytes.extend(Packet::PingReq.encode(version));
        client.send(bytes);
        let refusal = client.refusal();
        failures.extend(row.judge(world, &refusal));
        client.cut();
    }
    assert!(failures.is_empty(), "{}", failures.join("\n        "));
}

/// The properties that a packet has where none are meant: a length of zero in 5.0, nothing before.
fn no_properties(world: &World) -> Bytes {
    match world.version() {
        Version::V5 => bytes().u8(0),
        Version::V31 | Version::V311 => bytes(),
    }
}

/// A PUBLISH of QoS 0 with this topic.
fn publish_to(world: &World, topic: impl AsRef<[u8]>) -> Vec<u8> {
    bytes().string(topic).raw(no_properties(world).0).raw("x").packet(0x30)
}

/// A PUBLISH of QoS 0 with these properties (5.0).
fn publish_with(properties: Bytes) -> Vec<u8> {
    bytes().string("a").block(&properties).raw("x").packet(0x30)
}

/// A SUBSCRIBE to this filter with these options.
fn subscribe_to(world: &World, filter: impl AsRef<[u8]>, options: u8) -> Vec<u8> {
    bytes().u16(1).raw(no_properties(world).0).string(filter).u8(options).packet(0x82)
}

/// An UNSUBSCRIBE from this filter.
fn unsubscribe_from(world: &World, filter: impl AsRef<[u8]>) -> Vec<u8> {
    bytes().u16(1).raw(no_properties(world).0).string(filter).packet(0xA2)
}

const ILL_FORMED: [(&str, &[u8]); 7] = [
    ("a lone continuation byte", b"a\x80b"),
    ("an overlong slash", b"a\xC0\xAFb"),
    ("a surrogate", b"a\xED\xA0\x80b"),
    ("a low surrogate", b"a\xED\xBF\xBFb"),
    ("beyond U+10FFFF", b"a\xF4\x90\x80\x80b"),
    ("a sequence cut short", b"a\xE2\x82"),
    ("the byte 0xFF", b"\xFF"),
];

/// A string of 5.0 that is not a topic, in every place where a client may send one after CONNECT.
fn other_strings(world: &World, what: &str, text: &[u8]) -> Vec<Row> {
    if world.version() != Version::V5 {
        return Vec::new();
    }
    let string = |id: u8| bytes().u8(id).string(text);
    let ack = |first: u8| bytes().u16(1).u8(0).block(&string(0x1F)).packet(first);
    let disconnect = bytes().u8(0).block(&string(0x1F)).packet(0xE0);
    let places = [
        ("a content type", publish_with(string(0x03))),
        ("a response topic", publish_with(string(0x08))),
        ("the reason of a PUBACK", ack(0x40)),
        ("the reason of a PUBREL", ack(0x62)),
        ("the reason of a DISCONNECT", disconnect),
    ];
    let named = |(place, bytes)| row(format!("{what} in {place}"), bytes, MALFORMED);
    places.into_iter().map(named).collect()
}

fn ill_formed_utf8(world: &mut World) {
    let rows = ILL_FORMED
        .iter()
        .flat_map(|(what, text)| {
            [
                row(*what, publish_to(world, text), MALFORMED),
                row(*what, subscribe_to(world, text, 0), MALFORMED),
                row(*what, unsubscribe_from(world, text), MALFORMED),
            ]
        })
        .chain(other_strings(world, "ill-formed UTF-8", b"\xFF"))
        .collect();
    check(world, rows);
}

fn null_character(world: &mut World) {
    let mut rows = vec![
        row("U+0000 in a topic name", publish_to(world, "a\0b"), MALFORMED),
        row("U+0000 in a topic filter", subscribe_to(world, "a\0b", 0), MALFORMED),
        row("U+0000 in a filter to unsubscribe", unsubscribe_from(world, "a\0b"), MALFORMED),
    ];
    rows.extend(other_strings(world, "U+0000", b"a\0b"));
    check(world, rows);
}

fn string_pairs(world: &mut World) {
    let pair = |name: &[u8], value: &[u8]| bytes().u8(0x26).string(name).string(value);
    let subscribe = |p: Bytes| bytes().u16(1).block(&p).string("a").u8(0).packet(0x82);
    let rows = vec![
        row("ill-formed name", publish_with(pair(b"\xFF", b"v")), MALFORMED),
        row("ill-formed value", publish_with(pair(b"n", b"\xED\xA0\x80")), MALFORMED),
        row("U+0000 in a value", publish_with(pair(b"n", b"\0")), MALFORMED),
        row("ill-formed name in SUBSCRIBE", subscribe(pair(b"\xFF", b"v")), MALFORMED),
        row("a pair without value", publish_with(bytes().u8(0x26).string("n")), MALFORMED),
    ];
    check(world, rows);
}

fn lengths(world: &mut World) {
    let topic = bytes().string("a");
    let rows = vec![
        row("remaining length 0 in two bytes", hex("C0 80 00"), MALFORMED).free(),
        row("remaining length 2 in four bytes", hex("40 82 80 80 00 00 01"), MALFORMED).free(),
        row("remaining length of five bytes", hex("C0 80 80 80 80 01"), MALFORMED),
        row(
            "property length 0 in two bytes",
            topic.clone().raw(hex("80 00")).raw("x").packet(0x30),
            MALFORMED,
        )
        .free(),
        row(
            "property length of five bytes",
            topic.raw(hex("80 80 80 80 00")).raw("x").packet(0x30),
            MALFORMED,
        ),
        row("a property identifier in two bytes", publish_with(bytes().raw(hex("81 00 01"))), MALFORMED)
            .free(),
        row(
            "a subscription identifier in more bytes than needed",
            bytes().u16(1).block(&bytes().raw(hex("0B 81 00"))).string("a").u8(0).packet(0x82),
            MALFORMED,
        )
        .free(),
    ];
    check(world, rows);
}

fn length_of_five(world: &mut World) {
    check(world, vec![row("remaining length of five bytes", hex("C0 80 80 80 80 01"), MALFORMED)]);
}

fn reserved_flags(world: &mut World) {
    let ack = |first: u8| bytes().u16(1).packet(first);
    let subscribe = |first: u8| bytes().u16(1).raw(no_properties(world).0).string("a").u8(0).packet(first);
    let unsubscribe = |first: u8| bytes().u16(1).raw(no_properties(world).0).string("a").packet(first);
    let rows = vec![
        row("PUBACK 0x41", ack(0x41), MALFORMED),
        row("PUBACK 0x42", ack(0x42), MALFORMED),
        row("PUBREC 0x52", ack(0x52), MALFORMED),
        row("PUBREC 0x58", ack(0x58), MALFORMED),
        row("PUBREL 0x60", ack(0x60), MALFORMED),
        row("PUBREL 0x63", ack(0x63), MALFORMED),
        row("PUBREL 0x66", ack(0x66), MALFORMED),
        row("PUBREL 0x6A", ack(0x6A), MALFORMED),
        row("PUBCOMP 0x72", ack(0x72), MALFORMED),
        row("SUBSCRIBE 0x80", subscribe(0x80), MALFORMED),
        row("SUBSCRIBE 0x83", subscribe(0x83), MALFORMED),
        row("SUBSCRIBE 0x8A", subscribe(0x8A), MALFORMED),
        row("UNSUBSCRIBE 0xA0", unsubscribe(0xA0), MALFORMED),
        row("UNSUBSCRIBE 0xA3", unsubscribe(0xA3), MALFORMED),
        row("UNSUBSCRIBE 0xAA", unsubscribe(0xAA), MALFORMED),
        row("PINGREQ 0xC1", hex("C1 00"), MALFORMED),
        row("PINGREQ 0xC8", hex("C8 00"), MALFORMED),
        row("DISCONNECT 0xE1", hex("E1 00"), MALFORMED),
        row("DISCONNECT 0xE2", hex("E2 00"), MALFORMED),
    ];
    check(world, rows);
}

fn auth_flags(world: &mut World) {
    let auth = |first: u8| bytes().u8(0x18).block(&bytes().u8(0x15).string("m")).packet(first);
    // Without an authentication method in CONNECT it is a Protocol Error besides; which is found first is free.
    check(world, vec![row("AUTH 0xF1", auth(0xF1), WRONG), row("AUTH 0xF8", auth(0xF8), WRONG)]);
}

fn servers_packets(world: &mut World) {
    let mut rows = vec![
        row("packet type 0", hex("00 00"), WRONG),
        row("packet type 0 with flags", hex("0F 00"), WRONG),
        row("CONNACK", hex("20 02 00 00"), WRONG),
        row("SUBACK", hex("90 03 00 01 00"), WRONG),
        row("UNSUBACK", hex("B0 02 00 01"), WRONG),
        row("PINGRESP", hex("D0 00"), WRONG).free(),
    ];
    if world.version() != Version::V5 {
        rows.push(row("AUTH, packet type 15", hex("F0 00"), WRONG));
    }
    check(world, rows);
}

fn packet_id_zero(world: &mut World) {
    let none = no_properties(world).0;
    let rows = vec![
        row("PUBLISH of QoS 1", bytes().string("a").u16(0).raw(&none).raw("x").packet(0x32), WRONG),
        row("PUBLISH of QoS 2", bytes().string("a").u16(0).raw(&none).raw("x").packet(0x34), WRONG),
        row("SUBSCRIBE", bytes().u16(0).raw(&none).string("a").u8(0).packet(0x82), WRONG),
        row("UNSUBSCRIBE", bytes().u16(0).raw(&none).string("a").packet(0xA2), WRONG),
    ];
    check(world, rows);
}

fn wrong_properties(world: &mut World) {
    let property = |text: &str| bytes().raw(hex(text));
    let subscribe = |p: Bytes| bytes().u16(1).block(&p).string("a").u8(0).packet(0x82);
    let unsubscribe = |p: Bytes| bytes().u16(1).block(&p).string("a").packet(0xA2);
    let rows = vec![
        row("PUBLISH: a property that does not exist", publish_with(property("04 01")), MALFORMED),
        row("PUBLISH: property 0x00", publish_with(property("00")), MALFORMED),
        row("PUBLISH: property 0x7F", publish_with(property("7F 01")), MALFORMED),
        row("PUBLISH: session expiry", publish_with(property("11 00 00 00 01")), MALFORMED),
        row("PUBLISH: receive maximum", publish_with(property("21 00 01")), MALFORMED),
        row("PUBLISH: will delay", publish_with(property("18 00 00 00 01")), MALFORMED),
        row("PUBLISH: reason string", publish_with(bytes().u8(0x1F).string("why")), MALFORMED),
        row("PUBLISH: a value cut short", publish_with(property("02 00 00")), MALFORMED),
        row("PUBLISH: a string longer than the block", publish_with(property("03 00 09 61")), MALFORMED),
        row("PUBLISH: no property length", bytes().string("a").packet(0x30), MALFORMED),
        row(
            "PUBLISH: properties longer than the packet",
            bytes().string("a").u8(9).raw("x").packet(0x30),
            MALFORMED,
        ),
        row("PUBLISH: payload format 2", publish_with(property("01 02")), WRONG).free(),
        row("SUBSCRIBE: message expiry", subscribe(property("02 00 00 00 01")), MALFORMED),
        row("SUBSCRIBE: reason string", subscribe(bytes().u8(0x1F).string("why")), MALFORMED),
        row("UNSUBSCRIBE: subscription identifier", unsubscribe(property("0B 01")), MALFORMED),
        row("UNSUBSCRIBE: a property that does not exist", unsubscribe(property("05 01")), MALFORMED),
    ];
    check(world, rows);
}

fn repeated_in_publish(world: &mut World) {
    let twice = |text: &str| publish_with(bytes().raw(hex(text)).raw(hex(text)));
    let rows = vec![
        row("payload format indicator twice", twice("01 01"), PROTOCOL_ERROR),
        row("message expiry interval twice", twice("02 00 00 00 09"), PROTOCOL_ERROR),
        row("topic alias twice", twice("23 00 01"), PROTOCOL_ERROR),
        row("response topic twice", twice("08 00 01 62"), PROTOCOL_ERROR),
        row("correlation data twice", twice("09 00 01 62"), PROTOCOL_ERROR),
        row("content type twice", twice("03 00 01 62"), PROTOCOL_ERROR),
    ];
    check(world, rows);
}

fn qos_3(world: &mut World) {
    let publish = bytes().string("a").u16(1).raw(no_properties(world).0).raw("x");
    let rows = vec![
        row("QoS 3", publish.clone().packet(0x36), MALFORMED),
        row("QoS 3 with DUP and RETAIN", publish.packet(0x3F), MALFORMED),
    ];
    check(world, rows);
}

fn dup_at_qos_0(world: &mut World) {
    let publish = bytes().string("a").raw(no_properties(world).0).raw("x").packet(0x38);
    check(world, vec![row("DUP at QoS 0", publish, WRONG).free()]);
}

fn wildcard_in_topic(world: &mut World) {
    let rows = ["+", "#", "a/+", "a/#", "+/a", "a+b", "a/b#"]
        .map(|topic| row("a wildcard in a topic name", publish_to(world, topic), WRONG_TOPIC))
        .into();
    check(world, rows);
}

fn empty_topic(world: &mut World) {
    check(world, vec![row("an empty topic name without alias", publish_to(world, ""), PROTOCOL_ERROR)]);
    empty_filters(world);
}

fn empty_filters(world: &mut World) {
    let rows = vec![
        row("an empty filter", subscribe_to(world, "", 0), WRONG_FILTER),
        row("an empty filter to unsubscribe", unsubscribe_from(world, ""), WRONG_FILTER),
    ];
    check(world, rows);
}

fn empty_names(world: &mut World) {
    check(world, vec![row("an empty topic name", publish_to(world, ""), WRONG_TOPIC)]);
    empty_filters(world);
}

fn response_topic(world: &mut World) {
    let response = |topic: &[u8]| publish_with(bytes().u8(0x08).string(topic));
    let rows = vec![
        row("+ in a response topic", response(b"a/+"), WRONG_TOPIC).free(),
        row("# in a response topic", response(b"#"), WRONG_TOPIC).free(),
        row("an ill-formed response topic", response(b"\xFF"), MALFORMED),
        row("U+0000 in a response topic", response(b"a\0"), MALFORMED),
    ];
    check(world, rows);
}

fn content_type(world: &mut World) {
    let rows = vec![
        row("an ill-formed content type", publish_with(bytes().u8(0x03).string([0xFF])), MALFORMED),
        row("U+0000 in a content type", publish_with(bytes().u8(0x03).string("a\0")), MALFORMED),
    ];
    check(world, rows);
}

fn subscription_id(world: &mut World) {
    check(world, vec![row("a subscription identifier", publish_with(bytes().raw(hex("0B 01"))), WRONG)]);
}

fn empty_subscribe(world: &mut World) {
    let empty = bytes().u16(1).raw(no_properties(world).0).packet(0x82);
    let no_options = bytes().u16(1).raw(no_properties(world).0).string("a").packet(0x82);
    let rows =
        vec![row("no filter", empty, PROTOCOL_ERROR), row("a filter without options", no_options, MALFORMED)];
    check(world, rows);
}

fn reserved_options(world: &mut World) {
    let rows = [0x40, 0x80, 0xC0, 0xC1]
        .map(|options| row("a reserved option", subscribe_to(world, "a", options), MALFORMED))
        .into();
    check(world, rows);
}

fn reserved_options_v311(world: &mut World) {
    let rows = [0x03, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF]
        .map(|options| {
            row("a reserved bit of the requested QoS", subscribe_to(world, "a", options), MALFORMED)
        })
        .into();
    check(world, rows);
}

fn wrong_options(world: &mut World) {
    let rows = vec![
        row("maximum QoS 3", subscribe_to(world, "a", 0x03), PROTOCOL_ERROR),
        row("retain handling 3", subscribe_to(world, "a", 0x30), PROTOCOL_ERROR),
        row("no local on a shared subscription", subscribe_to(world, "$share/g/a", 0x04), PROTOCOL_ERROR),
    ];
    check(world, rows);
}

fn subscribe_properties(world: &mut World) {
    let subscribe = |text: &str| bytes().u16(1).block(&bytes().raw(hex(text))).string("a").u8(0).packet(0x82);
    let rows = vec![
        row("subscription identifier 0", subscribe("0B 00"), PROTOCOL_ERROR),
        row("subscription identifier twice", subscribe("0B 01 0B 02"), PROTOCOL_ERROR),
        row("subscription identifier of five bytes", subscribe("0B 80 80 80 80 01"), MALFORMED),
    ];
    check(world, rows);
}

fn wrong_filters(world: &mut World) {
    let filters = ["a#", "a/#/b", "#/a", "##", "a/#b", "a+", "+a", "a/b+/c", "++", "a/+b"];
    let rows = filters
        .iter()
        .flat_map(|filter| {
            [
                row("a wildcard in the wrong place", subscribe_to(world, filter, 0), WRONG_FILTER),
                row(
                    "a wildcard in the wrong place to unsubscribe",
                    unsubscribe_from(world, filter),
                    WRONG_FILTER,
                ),
            ]
        })
        .collect();
    check(world, rows);
}

fn empty_unsubscribe(world: &mut World) {
    check(
        world,
        vec![row("no filter", bytes().u16(1).raw(no_properties(world).0).packet(0xA2), PROTOCOL_ERROR)],
    );
}

fn wrong_acks(world: &mut World) {
    let ack = |first: u8, text: &str| bytes().raw(hex(text)).packet(first);
    let rows = vec![
        row("PUBACK without packet identifier", ack(0x40, ""), MALFORMED),
        row("PUBACK with half a packet identifier", ack(0x40, "00"), MALFORMED),
        row("PUBACK 0", ack(0x40, "00 00"), WRONG),
        row("PUBACK with reason 0x01", ack(0x40, "00 01 01"), WRONG).free(),
        row("PUBACK with reason 0x92", ack(0x40, "00 01 92"), WRONG).free(),
        row("PUBREC with reason 0x92", ack(0x50, "00 01 92"), WRONG).free(),
        row("PUBREL with reason 0x10", ack(0x62, "00 01 10"), WRONG).free(),
        row("PUBREL with reason 0x80", ack(0x62, "00 01 80"), WRONG).free(),
        row("PUBCOMP with reason 0x80", ack(0x70, "00 01 80"), WRONG).free(),
        row("PUBACK with a property of PUBLISH", ack(0x40, "00 01 00 02 01 01"), MALFORMED),
        row("PUBREC with a property that does not exist", ack(0x50, "00 01 00 02 7E 01"), MALFORMED),
        row(
            "PUBREL with reason string twice",
            ack(0x62, "00 01 00 08 1F 00 01 61 1F 00 01 61"),
            PROTOCOL_ERROR,
        ),
        row("PUBCOMP with properties longer than the packet", ack(0x70, "00 01 00 09"), MALFORMED),
        row("PUBACK with bytes after its properties", ack(0x40, "00 01 00 00 00"), MALFORMED).free(),
    ];
    check(world, rows);
}

fn wrong_disconnects(world: &mut World) {
    let disconnect = |text: &str| bytes().raw(hex(text)).packet(0xE0);
    let rows = vec![
        row("a server's reason 0x8E", disconnect("8E"), WRONG),
        row("a server's reason 0x8B", disconnect("8B"), WRONG),
        row("a reason that does not exist", disconnect("01"), WRONG),
        row("a session expiry after none in CONNECT", disconnect("00 05 11 00 00 00 09"), PROTOCOL_ERROR),
        row("session expiry twice", disconnect("00 0A 11 00 00 00 00 11 00 00 00 00"), PROTOCOL_ERROR),
        row("reason string twice", disconnect("00 08 1F 00 01 61 1F 00 01 61"), PROTOCOL_ERROR),
        row("receive maximum", disconnect("00 03 21 00 01"), MALFORMED),
        row("properties longer than the packet", disconnect("00 09"), MALFORMED),
        row("bytes after the properties", disconnect("00 00 00"), MALFORMED),
    ];
    check(world, rows);
}

fn wrong_lengths(world: &mut World) {
    let none = no_properties(world).0;
    let mut rows = vec![
        row("PINGREQ with a body", hex("C0 01 00"), MALFORMED).free(),
        row("PUBLISH without a topic", hex("30 00"), MALFORMED),
        row("PUBLISH with half a length", hex("30 01 00"), MALFORMED),
        row("PUBLISH with a topic longer than itself", hex("30 04 00 09 61 62"), MALFORMED),
        row("PUBLISH of QoS 1 without packet identifier", bytes().string("a").packet(0x32), MALFORMED),
        row("SUBSCRIBE without packet identifier", hex("82 00"), MALFORMED),
        row(
            "SUBSCRIBE with a filter longer than itself",
            bytes().u16(1).raw(&none).u16(9).raw("a").packet(0x82),
            MALFORMED,
        ),
        row(
            "UNSUBSCRIBE with a filter longer than itself",
            bytes().u16(1).raw(&none).u16(9).raw("a").packet(0xA2),
            MALFORMED,
        ),
    ];
    if world.version() != Version::V5 {
        rows.push(row("PUBACK with three bytes", hex("40 03 00 01 00"), MALFORMED).free());
        rows.push(row("PUBREL with one byte", hex("62 01 00"), MALFORMED));
        rows.push(row("DISCONNECT with a body", hex("E0 01 00"), MALFORMED));
    }
    check(world, rows);
}

fn others_unharmed(world: &mut World) {
    let mut other = world.connect(world.client("other"));
    other.subscribed("a", QoS0);
    for wrong in ["36 03 00 01 61", "00 00", "82 02 00 01", "FF FF FF FF FF 01", "30 04 00 09 61 62"] {
        let mut client = world.connect(world.client("wrong"));
        client.unchecked();
        client.send(hex(wrong));
        client.expect_closed();
    }
    other.publish(whimbrel_testkit::publish("a", "still here"));
    other.expect_publish("a", "still here");
    other.expect_nothing();
}
