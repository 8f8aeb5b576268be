//! Section 3.12, PINGREQ, and 3.1.2.10, Keep Alive.

use std::time::Duration;

use whimbrel_testkit::{QoS0, Refusal, Version, World, publish, v5};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("v5_3_12_4_1_pingreq_is_answered", answered, &["MQTT-3.12.4-1"]),
    Scenario::new("v311_3_12_4_1_pingreq_is_answered", answered, &["MQTT-3.12.4-1"]).and_v31(),
    Scenario::new("v5_3_1_2_22_silence_ends_the_connection", silence, &["MQTT-3.1.2-22", "MQTT-3.2.2-22"])
        .timed(),
    Scenario::new("v311_3_1_2_24_silence_ends_the_connection", silence, &["MQTT-3.1.2-24"]).and_v31().timed(),
    Scenario::new("v5_3_1_2_22_any_packet_keeps_the_connection", any_packet, &["MQTT-3.1.2-22"]).timed(),
    Scenario::new("v311_3_1_2_24_any_packet_keeps_the_connection", any_packet, &["MQTT-3.1.2-24"]).timed(),
    Scenario::new("v5_3_1_2_22_deliveries_do_not_keep_the_connection", deliveries, &["MQTT-3.1.2-22"])
        .timed(),
    Scenario::new("v5_3_2_2_21_the_servers_keep_alive_holds", servers_keep_alive, &["MQTT-3.2.2-21"])
        .choice()
        .virtual_only(),
    Scenario::new(
        "v5_3_2_2_22_without_a_servers_keep_alive_the_clients_holds",
        clients_keep_alive,
        &["MQTT-3.2.2-22"],
    )
    .virtual_only(),
    Scenario::new("v5_3_1_2_22_one_and_a_half_times_to_the_second", to_the_second, &["MQTT-3.1.2-22"])
        .virtual_only(),
    Scenario::new("v311_3_1_2_24_one_and_a_half_times_to_the_second", to_the_second, &["MQTT-3.1.2-24"])
        .and_v31()
        .virtual_only(),
    Scenario::new("v5_3_1_2_10_keep_alive_zero_is_off", off, &["section 3.1.2.10"]).timed(),
    Scenario::new("v311_3_1_2_10_keep_alive_zero_is_off", off, &["section 3.1.2.10"]).timed(),
];

fn answered(world: &mut World) {
    let mut client = world.connect(world.client("one"));
    client.ping().expect_pingresp();
    client.ping().ping().ping();
    for _ in 0..3 {
        client.expect_pingresp();
    }
    client.expect_nothing();
}

fn silence(world: &mut World) {
    let mut client = world.connect(world.client("mute").keep_alive(2));
    let mut lively = world.connect(world.client("lively").keep_alive(2));
    world.advance(Duration::from_secs(2));
    lively.ping().expect_pingresp();
    world.past(1);
    // This client has sent something within one and a half times the interval.
    lively.ping().expect_pingresp();
    match client.refusal() {
        Refusal::Closed if world.version() != Version::V5 || !world.house() => {}
        Refusal::Disconnect(0x8D) if world.version() == Version::V5 => {}
        other => {
            panic!("expected that the silent client is disconnected for its keep-alive, not {other:02X?}")
        }
    }
}

fn any_packet(world: &mut World) {
    let mut client = world.connect(world.client("lively").keep_alive(2));
    for round in 0..4u16 {
        world.advance(Duration::from_millis(1500));
        match round {
            0 => _ = client.publish(publish("a", "x")),
            1 => _ = client.subscribe(1, "b", QoS0).expect_suback(&[0]),
            2 => _ = client.puback(9),
            _ => _ = client.unsubscribe(2, &["b"]).expect_unsuback(&[0]),
        }
    }
    client.ping().expect_pingresp();
}

fn deliveries(world: &mut World) {
    let mut client = world.connect(v5("listener").keep_alive(2));
    client.subscribed("a", QoS0);
    let mut publisher = world.connect(v5("pub"));
    for _ in 0..3 {
        world.advance(Duration::from_secs(1));
        publisher.publish(publish("a", "x"));
        publisher.ping().expect_pingresp();
    }
    world.past(1);
    client.expect_closed();
}

/// A 5.0 server may set a keep-alive of its own; it is longer than this.
fn off(world: &mut World) {
    let mut client = world.connect(world.client("mute").keep_alive(0));
    world.advance(Duration::from_secs(6));
    client.ping().expect_pingresp();
}

fn servers_keep_alive(world: &mut World) {
    for asked in [0, 60_000] {
        let mut client = world.connect(v5("mute").keep_alive(asked));
        let told = client.connack().properties.server_keep_alive().expect("a server keep alive");
        world.advance(Duration::from_secs(u64::from(told)));
        client.expect_nothing();
        world.advance(Duration::from_secs(u64::from(told / 2 + 10)));
        client.expect_disconnect(0x8D);
    }
}

fn clients_keep_alive(world: &mut World) {
    let mut client = world.connect(v5("mute").keep_alive(600));
    assert_eq!(client.connack().properties.server_keep_alive(), None);
    world.advance(Duration::from_secs(890));
    client.expect_nothing();
    world.advance(Duration::from_secs(20));
    client.expect_disconnect(0x8D);
}

/// Within one and a half times the keep-alive a client must not be disconnected, and soon after it must be. How soon
/// the text leaves open; a twentieth or two seconds is prompt.
fn to_the_second(world: &mut World) {
    for keep_alive in [1u16, 2, 10, 60, 1200] {
        let limit = Duration::from_millis(1500 * u64::from(keep_alive));
        let mut client = world.connect(world.client("mute").keep_alive(keep_alive));
        world.advance(limit - Duration::from_millis(1));
        client.expect_nothing();
        world.advance(Duration::from_millis(1) + (limit / 20).max(Duration::from_secs(2)));
        client.expect_closed();
    }
}
