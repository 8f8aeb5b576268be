//! Section 3.1.4: CONNECTs that do not match their format, as tables with one row for each way to be wrong. In 5.0 a
//! CONNACK may say why; before, the connection is closed without one.

use whimbrel_testkit::{Bytes, Connect, Version, World, bytes, hex, v5, v311, will};

use crate::row::{MALFORMED, PROTOCOL_ERROR, Row, WRONG, row};
use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "v5_3_1_4_1_connect_must_match_its_format",
        wrong_format,
        &["MQTT-3.1.4-1", "MQTT-3.1.3-3"],
    ),
    Scenario::new(
        "v311_3_1_4_1_connect_must_match_its_format",
        wrong_format,
        &["MQTT-3.1.4-1", "MQTT-3.1.3-3", "MQTT-3.2.2-6"],
    )
    .and_v31(),
    Scenario::new("v5_3_1_2_3_the_reserved_connect_flag_is_zero", reserved_flag, &["MQTT-3.1.2-3"]),
    Scenario::new("v311_3_1_2_3_the_reserved_connect_flag_is_zero", reserved_flag, &["MQTT-3.1.2-3"]),
    Scenario::new(
        "v5_3_1_2_11_will_flags_without_a_will",
        will_flags,
        &["MQTT-3.1.2-9", "MQTT-3.1.2-11", "MQTT-3.1.2-12", "MQTT-3.1.2-13"],
    ),
    Scenario::new(
        "v311_3_1_2_11_will_flags_without_a_will",
        will_flags,
        &["MQTT-3.1.2-9", "MQTT-3.1.2-11", "MQTT-3.1.2-13", "MQTT-3.1.2-14", "MQTT-3.1.2-15"],
    ),
    Scenario::new(
        "v5_3_1_2_16_user_name_and_password_as_the_flags_say",
        credential_flags,
        &["MQTT-3.1.2-16", "MQTT-3.1.2-17", "MQTT-3.1.2-18", "MQTT-3.1.2-19"],
    ),
    Scenario::new(
        "v311_3_1_2_18_user_name_and_password_as_the_flags_say",
        credential_flags,
        &["MQTT-3.1.2-18", "MQTT-3.1.2-19", "MQTT-3.1.2-20", "MQTT-3.1.2-21"],
    ),
    Scenario::new("v311_3_1_2_22_no_password_without_user_name", lonely_password, &["MQTT-3.1.2-22"])
        .and_v31(),
    Scenario::new(
        "v5_3_1_3_4_strings_of_connect_are_utf8",
        wrong_strings,
        &["MQTT-3.1.3-4", "MQTT-3.1.3-11", "MQTT-3.1.3-12", "MQTT-1.5.4-1", "MQTT-1.5.4-2"],
    ),
    Scenario::new(
        "v311_3_1_3_4_strings_of_connect_are_utf8",
        wrong_strings,
        &["MQTT-3.1.3-4", "MQTT-3.1.3-10", "MQTT-3.1.3-11", "MQTT-1.5.3-1", "MQTT-1.5.3-2"],
    ),
    Scenario::new("v5_3_1_2_11_properties_of_connect", wrong_properties, &["section 3.1.2.11"]),
    Scenario::new("v5_3_1_3_2_properties_of_the_will", wrong_will_properties, &["section 3.1.3.2"]),
    Scenario::new("v5_3_1_3_3_wrong_will_topics", wrong_will_topics, &["MQTT-4.7.0-1", "MQTT-4.7.3-1"]),
    Scenario::new("v311_3_1_3_2_wrong_will_topics", wrong_will_topics, &["MQTT-4.7.1-1", "MQTT-4.7.3-1"]),
];

/// Sends each row as the first packet of a connection and demands that it is refused.
fn check(world: &mut World, rows: Vec<Row>) {
    let mut failures = Vec::new();
    for row in rows {
        let mut client = world.open("wrong");
        client.send(&row.bytes);
        let refusal = client.refusal();
        failures.extend(row.judge(world, &refusal));
        client.cut();
    }
    assert!(failures.is_empty(), "{}", failures.join("\n        "));
}

/// A CONNECT with these Connect Flags and this payload.
fn connect(world: &World, flags: u8, payload: Bytes) -> Vec<u8> {
    world.client("").header(flags).raw(payload.0).packet(0x10)
}

/// The will of a CONNECT: properties (5.0), topic, payload.
fn a_will(world: &World) -> Bytes {
    let out = if world.version() == Version::V5 { bytes().u8(0) } else { bytes() };
    out.string("w").string("gone")
}

fn wrong_format(world: &mut World) {
    let id = || bytes().string("id");
    let mut rows = vec![
        row("no client identifier", connect(world, 0x02, bytes()), MALFORMED),
        row("half a length of the client identifier", connect(world, 0x02, bytes().u8(0)), MALFORMED),
        row(
            "a client identifier longer than the packet",
            connect(world, 0x02, bytes().u16(9).raw("id")),
            MALFORMED,
        ),
        row("a byte after the payload", connect(world, 0x02, id().u8(0)), MALFORMED),
        row("a second client identifier", connect(world, 0x02, id().string("other")), MALFORMED),
        row("a will without payload", connect(world, 0x06, id().string("w")), MALFORMED),
    ];
    let name = world.version().protocol_name();
    let short = bytes().string(name).packet(0x10);
    rows.push(row("nothing after the protocol name", short, &[0x81, 0x82, 0x84]).versionless());
    rows.push(row("nothing at all", bytes().packet(0x10), &[0x81, 0x82, 0x84]).versionless());
    if world.version() != Version::V31 {
        let whole = world.client("id").header(2).raw(id().0);
        rows.push(row("flags in the fixed header", whole.packet(0x11), MALFORMED));
    }
    check(world, rows);
}

fn reserved_flag(world: &mut World) {
    let rows = vec![row("the reserved flag", connect(world, 0x03, bytes().string("id")), MALFORMED)];
    check(world, rows);
}

fn will_flags(world: &mut World) {
    let id = || bytes().string("id");
    let whole = id().raw(a_will(world).0);
    let rows = vec![
        row("will QoS 3", connect(world, 0x1E, whole.clone()), MALFORMED),
        row("will QoS 1 without will", connect(world, 0x0A, id()), WRONG),
        row("will QoS 2 without will", connect(world, 0x12, id()), WRONG),
        row("will retain without will", connect(world, 0x22, id()), WRONG),
        row("a will flag without a will", connect(world, 0x06, id()), MALFORMED),
        row("a will without will flag", connect(world, 0x02, whole), MALFORMED),
    ];
    check(world, rows);
}

fn credential_flags(world: &mut World) {
    let id = || bytes().string("id");
    let rows = vec![
        row("a user name flag without user name", connect(world, 0x82, id()), MALFORMED),
        row("a user name without flag", connect(world, 0x02, id().string("me")), MALFORMED),
        row("a password flag without password", connect(world, 0xC2, id().string("me")), MALFORMED),
        row("a password without flag", connect(world, 0x82, id().string("me").string("secret")), MALFORMED),
        row(
            "a password longer than the packet",
            connect(world, 0xC2, id().string("me").u16(9).raw("x")),
            MALFORMED,
        ),
    ];
    check(world, rows);
}

fn lonely_password(world: &mut World) {
    let rows = vec![row(
        "a password without user name",
        connect(world, 0x42, bytes().string("id").string("x")),
        WRONG,
    )];
    check(world, rows);
}

fn wrong_strings(world: &mut World) {
    let properties = if world.version() == Version::V5 { bytes().u8(0) } else { bytes() };
    let will_with = |topic: &[u8]| bytes().string("id").raw(&properties.0).string(topic).string("gone");
    let id = || bytes().string("id");
    let rows = vec![
        row("an ill-formed client identifier", connect(world, 0x02, bytes().string([0xFF])), &[0x81, 0x85]),
        row(
            "a surrogate in the client identifier",
            connect(world, 0x02, bytes().string(b"\xED\xA0\x80")),
            &[0x81, 0x85],
        ),
        row("U+0000 in the client identifier", connect(world, 0x02, bytes().string("i\0d")), &[0x81, 0x85]),
        row("an ill-formed will topic", connect(world, 0x06, will_with(b"\xC0\x80")), MALFORMED),
        row("U+0000 in the will topic", connect(world, 0x06, will_with(b"w\0")), MALFORMED),
        row("an ill-formed user name", connect(world, 0x82, id().string([0xFF])), MALFORMED),
        row("U+0000 in the user name", connect(world, 0x82, id().string("m\0e")), MALFORMED),
    ];
    check(world, rows);
}

fn with_properties(properties: Bytes) -> Vec<u8> {
    bytes().string("MQTT").u8(5).u8(2).u16(60).block(&properties).string("id").packet(0x10)
}

fn wrong_properties(world: &mut World) {
    let one = |text: &str| with_properties(bytes().raw(hex(text)));
    let twice = |text: &str| with_properties(bytes().raw(hex(text)).raw(hex(text)));
    let method = || bytes().u8(0x15).string("m");
    let data = || bytes().u8(0x16).string("d");
    let rows = vec![
        row("session expiry twice", twice("11 00 00 00 09"), PROTOCOL_ERROR),
        row("receive maximum twice", twice("21 00 09"), PROTOCOL_ERROR),
        row("receive maximum 0", one("21 00 00"), PROTOCOL_ERROR),
        row("maximum packet size twice", twice("27 00 00 FF FF"), PROTOCOL_ERROR),
        row("maximum packet size 0", one("27 00 00 00 00"), PROTOCOL_ERROR),
        row("topic alias maximum twice", twice("22 00 09"), PROTOCOL_ERROR),
        row("request response information twice", twice("19 01"), PROTOCOL_ERROR),
        row("request response information 2", one("19 02"), PROTOCOL_ERROR),
        row("request problem information twice", twice("17 01"), PROTOCOL_ERROR),
        row("request problem information 2", one("17 02"), PROTOCOL_ERROR),
        row("authentication method twice", with_properties(method().raw(method().0)), PROTOCOL_ERROR),
        row("authentication data without method", with_properties(data()), PROTOCOL_ERROR),
        row(
            "authentication data twice",
            with_properties(method().raw(data().0).raw(data().0)),
            PROTOCOL_ERROR,
        ),
        row(
            "an ill-formed user property",
            with_properties(bytes().u8(0x26).string([0xFF]).string("v")),
            MALFORMED,
        ),
        row("a user property without value", with_properties(bytes().u8(0x26).string("n")), MALFORMED),
        row("a property that does not exist", one("7E 00"), MALFORMED),
        row("a property of PUBLISH", one("01 01"), MALFORMED),
        row("a property of the will", one("18 00 00 00 01"), MALFORMED),
        row("a property of CONNACK", one("24 01"), MALFORMED),
        row("a value cut short", one("11 00 00"), MALFORMED),
    ];
    check(world, rows);
}

fn with_will_properties(properties: Bytes) -> Vec<u8> {
    let header = bytes().string("MQTT").u8(5).u8(6).u16(60).u8(0);
    header.string("id").block(&properties).string("w").string("gone").packet(0x10)
}

fn wrong_will_properties(world: &mut World) {
    let one = |text: &str| with_will_properties(bytes().raw(hex(text)));
    let twice = |text: &str| with_will_properties(bytes().raw(hex(text)).raw(hex(text)));
    let rows = vec![
        row("will delay twice", twice("18 00 00 00 09"), PROTOCOL_ERROR),
        row("payload format indicator twice", twice("01 01"), PROTOCOL_ERROR),
        row("payload format indicator 2", one("01 02"), WRONG).free(),
        row("message expiry twice", twice("02 00 00 00 09"), PROTOCOL_ERROR),
        row("content type twice", twice("03 00 01 61"), PROTOCOL_ERROR),
        row("response topic twice", twice("08 00 01 61"), PROTOCOL_ERROR),
        row("correlation data twice", twice("09 00 01 61"), PROTOCOL_ERROR),
        row("a topic alias", one("23 00 01"), MALFORMED),
        row("a session expiry", one("11 00 00 00 09"), MALFORMED),
        row("a subscription identifier", one("0B 01"), WRONG),
        row("a property that does not exist", one("7E 00"), MALFORMED),
        row("an ill-formed content type", with_will_properties(bytes().u8(0x03).string([0xFF])), MALFORMED),
        row("an ill-formed response topic", with_will_properties(bytes().u8(0x08).string([0xFF])), MALFORMED),
        row(
            "an ill-formed user property",
            with_will_properties(bytes().u8(0x26).string("n").string([0xFF])),
            MALFORMED,
        ),
    ];
    check(world, rows);
}

fn wrong_will_topics(world: &mut World) {
    let connect = |topic: &str| -> Connect {
        match world.version() {
            Version::V5 => v5("id").will(will(topic, "gone")),
            _ => v311("id").will(will(topic, "gone")),
        }
    };
    let rows = ["", "#", "w/+", "w/#", "+/w"]
        .map(|topic| row("a will topic", connect(topic).encode(), &[0x81, 0x82, 0x90]))
        .into();
    check(world, rows);
}
