//! Section 3.1, CONNECT: who may connect and how. Sessions are in `session_state`, wills in `will`, wrong packets in
//! `malformed`.

use std::time::Duration;

use whimbrel_testkit::{
    Connect, Disconnect, Packet, QoS0, Refusal, Subscribe, Version, World, bytes, hex, publish, v5, v31, v311,
};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("v5_3_1_0_1_the_first_packet_is_connect", first_packet, &["MQTT-3.1.0-1", "MQTT-3.14.0-1"]),
    Scenario::new("v311_3_1_0_1_the_first_packet_is_connect", first_packet, &["MQTT-3.1.0-1"]).and_v31(),
    Scenario::new("v5_3_1_0_2_a_second_connect_ends_the_connection", second_connect, &["MQTT-3.1.0-2"]),
    Scenario::new("v311_3_1_0_2_a_second_connect_ends_the_connection", second_connect, &["MQTT-3.1.0-2"])
        .and_v31(),
    Scenario::new("v5_3_1_2_1_another_protocol_name_is_refused", protocol_name, &["MQTT-3.1.2-1"]),
    Scenario::new("v311_3_1_2_1_another_protocol_name_is_refused", protocol_name, &["MQTT-3.1.2-1"]),
    Scenario::new("v5_3_1_2_2_another_protocol_version_is_refused", protocol_level, &["MQTT-3.1.2-2"]),
    Scenario::new(
        "v311_3_1_2_2_another_protocol_level_is_answered",
        protocol_level_answered,
        &["MQTT-3.1.2-2"],
    ),
    Scenario::new(
        "v5_3_1_2_17_user_name_and_password_are_read",
        credentials_v5,
        &["MQTT-3.1.2-17", "MQTT-3.1.2-19"],
    ),
    Scenario::new(
        "v311_3_1_2_19_user_name_and_password_are_read",
        credentials,
        &["MQTT-3.1.2-19", "MQTT-3.1.2-21"],
    )
    .and_v31(),
    Scenario::new(
        "v5_3_1_3_1_the_fields_of_the_payload_in_order",
        whole_payload,
        &["MQTT-3.1.3-1", "MQTT-3.1.2-9"],
    ),
    Scenario::new(
        "v311_3_1_3_1_the_fields_of_the_payload_in_order",
        whole_payload,
        &["MQTT-3.1.3-1", "MQTT-3.1.2-9"],
    )
    .and_v31(),
    Scenario::new("v5_3_1_3_5_client_ids_of_1_to_23_characters", client_ids, &["MQTT-3.1.3-5"]),
    Scenario::new("v311_3_1_3_5_client_ids_of_1_to_23_characters", client_ids, &["MQTT-3.1.3-5"]).and_v31(),
    Scenario::new(
        "v5_3_1_3_5_client_ids_may_be_long_and_have_any_character",
        client_ids_beyond,
        &["section 3.1.3.1"],
    )
    .choice(),
    Scenario::new(
        "v311_3_1_3_5_client_ids_may_be_long_and_have_any_character",
        client_ids_beyond,
        &["section 3.1.3.1"],
    )
    .and_v31()
    .choice(),
    Scenario::new(
        "v5_3_1_3_6_an_empty_client_id_is_replaced",
        assigned_id,
        &["MQTT-3.1.3-6", "MQTT-3.1.3-7", "MQTT-3.2.2-16"],
    ),
    Scenario::new("v311_3_1_3_6_an_empty_client_id_is_replaced", empty_id_v311, &["MQTT-3.1.3-6"]),
    Scenario::new(
        "v311_3_1_3_8_an_empty_client_id_needs_a_clean_session",
        empty_id_not_clean,
        &["MQTT-3.1.3-8", "MQTT-3.1.3-9", "MQTT-3.2.2-4", "MQTT-3.2.2-5"],
    ),
    Scenario::new("v31_3_1_an_empty_client_id_is_refused", empty_id_not_clean, &["3.1: Client identifier"]),
    Scenario::new("v5_3_1_4_5_connect_is_acknowledged", acknowledged, &["MQTT-3.1.4-5", "MQTT-3.2.2-1"]),
    Scenario::new("v311_3_1_4_4_connect_is_acknowledged", acknowledged, &["MQTT-3.1.4-4"]).and_v31(),
    Scenario::new(
        "v5_3_1_4_6_nothing_after_a_refused_connect_is_processed",
        after_refusal_v5,
        &["MQTT-3.1.4-6"],
    ),
    Scenario::new(
        "v311_3_1_4_5_nothing_after_a_refused_connect_is_processed",
        after_refusal_v311,
        &["MQTT-3.1.4-5"],
    )
    .and_v31(),
    Scenario::new(
        "v5_3_2_0_1_packets_sent_before_connack_wait_for_it",
        pipelined,
        &["MQTT-3.2.0-1", "section 3.1.4"],
    ),
    Scenario::new(
        "v311_3_2_0_1_packets_sent_before_connack_wait_for_it",
        pipelined,
        &["MQTT-3.2.0-1", "section 3.1.4"],
    )
    .and_v31(),
    Scenario::new("v5_4_2_0_1_packets_may_come_in_pieces", in_pieces, &["MQTT-4.2.0-1", "MQTT-4.2-1"]),
    Scenario::new("v311_7_1_1_1_packets_may_come_in_pieces", in_pieces, &["MQTT-7.1.1-1"]).and_v31(),
    Scenario::new("v5_3_1_4_a_connection_without_connect_is_closed", no_connect, &["section 3.1.4"])
        .timed()
        .choice(),
    Scenario::new("v311_3_1_4_a_connection_without_connect_is_closed", no_connect, &["section 3.1.4"])
        .timed()
        .choice(),
    Scenario::new("v311_6_versions_talk_to_each_other", versions_mix, &["section 3.3.4", "MQTT-7.0.0-2"]),
];

fn first_packet(world: &mut World) {
    let early = [
        Packet::Publish(publish("a", "x")),
        Packet::Subscribe(Subscribe::one(1, "a", QoS0)),
        Packet::PingReq,
        Packet::Disconnect(Disconnect::new(0)),
    ];
    for packet in early {
        let name = packet.name();
        let mut client = world.open(name);
        client.send_packet(packet);
        match client.refusal() {
            Refusal::Closed => {}
            other => panic!("{name} before CONNECT: expected the close, not {other:02X?}"),
        }
    }
}

fn second_connect(world: &mut World) {
    let connect = world.client("twice");
    let mut client = world.connect(connect.clone());
    client.send_packet(Packet::Connect(Box::new(connect)));
    if world.version() == Version::V5 {
        client.expect_disconnect(0x82);
    } else {
        client.expect_closed();
    }
}

/// What may come before the close: nothing, or a CONNACK that refuses the version in either form.
fn refuses_the_version(answer: &[u8]) -> bool {
    answer == hex("20 02 00 01") || matches!(answer, [0x20, _, 0x00, 0x84, ..])
}

fn with_protocol(connect: &Connect, name: &str, level: u8) -> Vec<u8> {
    let out = bytes().string(name).u8(level).u8(2).u16(60);
    let out = if connect.version == Version::V5 { out.u8(0) } else { out };
    out.raw(connect.payload().0).packet(0x10)
}

fn protocol_name(world: &mut World) {
    for name in ["MQTX", "mqtt", "MQT", "", "MQTTMQTT", "HTTP"] {
        let connect = world.client("name");
        let mut client = world.open(name);
        client.send(with_protocol(&connect, name, connect.version.level()));
        let answer = client.bytes_until_closed().expect("the connection is closed [MQTT-3.1.2-1]");
        assert!(
            answer.is_empty() || refuses_the_version(&answer),
            "the answer to protocol name {name:?}: {answer:02x?}"
        );
    }
}

const LEVELS: [u8; 5] = [0, 1, 6, 99, 255];

fn protocol_level(world: &mut World) {
    for level in LEVELS {
        let connect = world.client("level");
        let mut client = world.open("level");
        client.send(with_protocol(&connect, "MQTT", level));
        let answer = client.bytes_until_closed().expect("the connection is closed [MQTT-3.1.2-2]");
        let told = refuses_the_version(&answer) || (answer.is_empty() && !world.house());
        assert!(told, "the answer to protocol level {level}: {answer:02x?}");
    }
}

fn protocol_level_answered(world: &mut World) {
    for level in LEVELS {
        let connect = world.client("level");
        let mut client = world.open("level");
        client.send(with_protocol(&connect, "MQTT", level));
        let answer = client.bytes_until_closed().expect("the connection is closed [MQTT-3.1.2-2]");
        assert!(refuses_the_version(&answer), "the answer to protocol level {level}: {answer:02x?}");
    }
}

fn credentials(world: &mut World) {
    world.connect(world.client("both").user_name("somebody").password("secret"));
    world.connect(world.client("name").user_name("somebody"));
    world.connect(world.client("empty").user_name("").password(""));
}

fn credentials_v5(world: &mut World) {
    credentials(world);
    world.connect(v5("password").password([0, 159, 146, 150]));
}

fn whole_payload(world: &mut World) {
    let mut watcher = world.connect(world.client("watcher"));
    watcher.subscribed("fate", QoS0);
    let whole = world
        .client("whole")
        .will(whimbrel_testkit::will("fate", "the will"))
        .user_name("somebody")
        .password("secret");
    world.connect(whole).cut();
    watcher.expect_publish("fate", "the will");
}

fn client_ids(world: &mut World) {
    for id in ["a", "0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ", "KLMNOPQRSTUVWXYZ", "Z", "00"] {
        let mut client = world.connect(world.client(id));
        client.ping().expect_pingresp();
    }
}

fn client_ids_beyond(world: &mut World) {
    for id in ["abcdefghijklmnopqrstuvwx", "a/b", "with space", "größer", "+#$", &"x".repeat(300)] {
        let mut client = world.connect(world.client(id));
        client.ping().expect_pingresp();
    }
}

fn assigned_id(world: &mut World) {
    let first = world.connect(v5("").expiry(60));
    let second = world.connect(v5(""));
    let (first_id, second_id) = (first.assigned_id(), second.assigned_id());
    assert_ne!(first_id, second_id, "an assigned identifier is used by no other session");
    assert!(!first_id.is_empty(), "an assigned identifier is not empty");
    let third = world.connect(v5("").resume().expiry(60));
    assert!(!third.connack().session_present, "nobody knew the identifier that was assigned");
    assert!(![&first_id, &second_id].contains(&&third.assigned_id()));
    let mut first = first;
    first.cut();
    let again = world.connect(v5(&first_id).resume().expiry(60));
    assert!(again.connack().session_present, "the assigned identifier names the session");
    assert!(
        again.connack().properties.assigned_client_id().is_none(),
        "assigned only when the client gave none"
    );
}

fn empty_id_v311(world: &mut World) {
    let mut first = world.connect(v311(""));
    let mut second = world.connect(v311(""));
    first.subscribed("a", QoS0);
    second.subscribed("a", QoS0);
    let mut publisher = world.connect(v311("pub"));
    publisher.publish(publish("a", "x"));
    first.expect_publish("a", "x");
    second.expect_publish("a", "x");
}

fn empty_id_not_clean(world: &mut World) {
    let connect = if world.version() == Version::V31 { v31("") } else { v311("").resume() };
    world.start(connect).expect_refused(2);
}

fn acknowledged(world: &mut World) {
    let client = world.connect(world.client("one"));
    assert_eq!(client.connack().code, 0);
    assert!(!client.connack().session_present);
}

fn after_refusal_v5(world: &mut World) {
    let mut watcher = world.connect(v5("watcher"));
    watcher.subscribed("a/#", QoS0);
    let refused =
        v5("refused").with(whimbrel_testkit::Property::AuthenticationMethod("no-such-method".into()));
    let mut client = world.open("refused");
    let mut both = Packet::Connect(Box::new(refused)).encode(Version::V5);
    both.extend(Packet::Publish(publish("a/b", "x")).encode(Version::V5));
    client.send(both);
    assert!(!matches!(client.refusal(), Refusal::Accepted(_)), "an unknown authentication method is refused");
    watcher.expect_nothing();
}

fn after_refusal_v311(world: &mut World) {
    let version = world.version();
    let mut watcher = world.connect(world.client("watcher"));
    watcher.subscribed("a/#", QoS0);
    let mut client = world.open("refused");
    let mut both = Packet::Connect(Box::new(world.client("").resume())).encode(version);
    both.extend(Packet::Publish(publish("a/b", "x")).encode(version));
    client.send(both);
    client.expect_refused(2);
    watcher.expect_nothing();
}

fn pipelined(world: &mut World) {
    let version = world.version();
    let mut client = world.open("hasty");
    let all = [
        Packet::Connect(Box::new(world.client("hasty"))),
        Packet::Subscribe(Subscribe::one(1, "a", QoS0)),
        Packet::Publish(publish("a", "x")),
        Packet::PingReq,
    ];
    client.send(all.iter().flat_map(|packet| packet.encode(version)).collect::<Vec<u8>>());
    let first = client.next_packet();
    assert_eq!(first.name(), "CONNACK", "the first packet of the server");
    client.expect_suback(&[0]);
    client.expect_publish("a", "x");
    client.expect_pingresp();
    client.expect_nothing();
}

fn in_pieces(world: &mut World) {
    let version = world.version();
    let mut client = world.open("slow");
    for byte in Packet::Connect(Box::new(world.client("slow"))).encode(version) {
        client.send([byte]);
    }
    assert_eq!(client.expect_connack().code, 0);
    for byte in Packet::Subscribe(Subscribe::one(1, "a", QoS0)).encode(version) {
        client.send([byte]);
    }
    client.expect_suback(&[0]);
    let payload = vec![b'x'; 300];
    let two: Vec<u8> = [publish("a", &payload), publish("a", "y")]
        .into_iter()
        .flat_map(|message| Packet::Publish(message).encode(version))
        .collect();
    let (head, tail) = two.split_at(two.len() - 4);
    client.send(head);
    client.send(tail);
    client.expect_publish("a", &payload);
    client.expect_publish("a", "y");
    client.expect_nothing();
}

fn no_connect(world: &mut World) {
    let mut client = world.open("mute");
    world.advance(Duration::from_secs(5));
    client.send([0x10]);
    world.past(6);
    client.expect_closed();
}

fn versions_mix(world: &mut World) {
    let mut clients = [world.connect(v5("five")), world.connect(v311("four")), world.connect(v31("three"))];
    for client in &mut clients {
        client.subscribed("room", QoS0);
    }
    for speaker in 0..clients.len() {
        clients[speaker].publish(publish("room", "hello"));
        for client in &mut clients {
            client.expect_publish("room", "hello");
        }
    }
    for client in &mut clients {
        client.expect_nothing();
    }
}
