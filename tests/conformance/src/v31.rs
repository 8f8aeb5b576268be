//! MQTT 3.1 where it differs from 3.1.1. What is the same runs in both versions from the other files.

use whimbrel_testkit::{QoS0, QoS1, QoS2, Version, World, bytes, publish, v31, v311};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("v31_dup_may_be_set_on_other_packets", dup_elsewhere, &["3.1: Fixed header"]),
    Scenario::new(
        "v31_a_publish_may_come_again_while_connected",
        again_while_connected,
        &["3.1: Re-delivery"],
    ),
    Scenario::new("v31_client_ids_may_be_longer_than_23", long_client_id, &["3.1: Client identifier"])
        .choice(),
    Scenario::new(
        "v31_connect_may_end_before_the_user_name_that_it_announces",
        flagged_and_missing,
        &["3.1: User name and password"],
    )
    .choice(),
    Scenario::new("v31_the_protocol_is_mqisdp_level_3", protocol, &["3.1: Protocol name, level"]),
    Scenario::new("v31_a_session_is_kept", session, &["3.1: Clean session 0, subscriptions"]),
    Scenario::new("v31_topic_names_may_have_control_characters", control_characters, &["3.1: Strings"])
        .choice(),
];

fn dup_elsewhere(world: &mut World) {
    let mut client = world.connect(v31("old"));
    let mut publisher = world.connect(v31("pub"));
    client.unchecked();
    client.send(bytes().u16(1).string("a").u8(2).packet(0x8A));
    client.expect_suback(&[2]);
    publisher.say("a", "x", QoS2);
    client.taken("a", "x");
    client.publish(publish("b", "y").at(QoS2, 5)).expect_pubrec(5);
    client.send(bytes().u16(5).packet(0x6A));
    client.expect_pubcomp(5);
    client.send(bytes().u16(2).string("a").packet(0xAA));
    client.expect_unsuback(&[]);
    client.ping().expect_pingresp();
}

fn again_while_connected(world: &mut World) {
    let mut sub = world.connect(v31("sub"));
    sub.subscribed("a", QoS0);
    let mut client = world.connect(v31("pub"));
    client.publish(publish("a", "one").at(QoS1, 5)).expect_puback(5);
    client.publish(publish("a", "one").at(QoS1, 5).dup()).expect_puback(5);
    client.publish(publish("a", "two").at(QoS2, 6)).expect_pubrec(6);
    client.publish(publish("a", "two").at(QoS2, 6).dup()).expect_pubrec(6);
    client.pubrel(6).expect_pubcomp(6);
    client.pubrel(6).expect_pubcomp(6);
    for text in ["one", "one", "two"] {
        sub.expect_publish("a", text);
    }
    sub.expect_nothing();
}

fn long_client_id(world: &mut World) {
    let mut client = world.connect(v31("abcdefghijklmnopqrstuvwxyz0123456789"));
    client.ping().expect_pingresp();
}

fn protocol(world: &mut World) {
    world.connect(v31("old")).ping().expect_pingresp();
    // The name of one with the level of the other is neither.
    for (name, level) in [("MQTT", 3), ("MQIsdp", 4)] {
        let mut client = world.open_as("mixed", Version::V311);
        client.send(bytes().string(name).u8(level).u8(2).u16(60).string("mixed").packet(0x10));
        client.expect_closed_or_refused();
    }
}

/// The remaining length takes precedence over the flags.
fn flagged_and_missing(world: &mut World) {
    for flags in [0x82, 0xC2] {
        let mut client = world.open_as("older", Version::V31);
        client.unchecked();
        client.send(bytes().string("MQIsdp").u8(3).u8(flags).u16(60).string("older").packet(0x10));
        assert_eq!(client.expect_connack().code, 0);
    }
}

fn session(world: &mut World) {
    let mut sub = world.connect(v31("sub").resume());
    sub.subscribed("a", QoS1);
    sub.disconnect();
    let mut publisher = world.connect(v311("pub"));
    publisher.say("a", "one", QoS1).say("a", "two", QoS2);
    let mut sub = world.connect(v31("sub").resume());
    sub.taken("a", "one").expect_qos(QoS1);
    sub.taken("a", "two").expect_qos(QoS1);
    sub.expect_nothing();
}

fn control_characters(world: &mut World) {
    let mut sub = world.connect(v31("sub"));
    sub.subscribed("a/#", QoS0);
    world.connect(v31("pub")).publish(publish("a/\u{1}\u{7f}", "x"));
    sub.expect_publish("a/\u{1}\u{7f}", "x");
}
