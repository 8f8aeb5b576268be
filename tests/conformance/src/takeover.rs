//! Section 3.1.4: a second connection with the same client identifier takes the session over. The old one's will is in
//! `will`.

use whimbrel_testkit::{QoS1, QoS2, Version, World, v5, v31, v311};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("v5_3_1_4_3_the_old_connection_is_told_and_closed", old_is_closed, &["MQTT-3.1.4-3"]),
    Scenario::new("v311_3_1_4_2_the_old_connection_is_closed", old_is_closed, &["MQTT-3.1.4-2"]).and_v31(),
    Scenario::new("v5_3_1_4_3_in_any_version", across_versions, &["MQTT-3.1.4-3"]),
    Scenario::new("v311_3_1_4_2_in_any_version", across_versions, &["MQTT-3.1.4-2"]),
    Scenario::new("v5_3_1_4_4_a_clean_start_takes_nothing_over", clean, &["MQTT-3.1.4-4", "MQTT-3.2.2-2"]),
    Scenario::new(
        "v311_3_1_4_3_a_clean_session_takes_nothing_over",
        clean,
        &["MQTT-3.1.4-3", "MQTT-3.2.2-1"],
    )
    .and_v31(),
    Scenario::new(
        "v5_3_1_4_what_was_in_flight_goes_to_the_new_connection",
        in_flight,
        &["MQTT-3.1.4-3", "MQTT-4.4.0-1", "MQTT-3.3.1-1"],
    ),
    Scenario::new(
        "v311_3_1_4_what_was_in_flight_goes_to_the_new_connection",
        in_flight,
        &["MQTT-3.1.4-2", "MQTT-4.4.0-1", "MQTT-3.3.1-1"],
    )
    .and_v31(),
    Scenario::new("v5_3_1_4_3_many_times", many_times, &["MQTT-3.1.4-3"]),
];

fn old_is_closed(world: &mut World) {
    let mut old = world.connect(world.client("one").persistent());
    old.subscribed("a", QoS1);
    let mut new = world.connect(world.client("one").persistent());
    if world.version() == Version::V5 {
        old.expect_disconnect(0x8E);
    } else {
        old.expect_closed();
    }
    if world.version() != Version::V31 {
        assert!(new.connack().session_present, "the session goes on");
    }
    world.connect(world.client("pub")).say("a", "x", QoS1);
    new.taken("a", "x").expect_dup(false);
    new.expect_nothing();
}

fn across_versions(world: &mut World) {
    let chain =
        [v5("one").resume().expiry(60), v311("one").resume(), v31("one").resume(), v5("one").resume()];
    let mut connections: Vec<_> = Vec::new();
    for connect in chain {
        let mut client = world.connect(connect);
        if let Some(mut old) = connections.pop() {
            let old: &mut whimbrel_testkit::Client = &mut old;
            old.expect_closed();
        }
        client.ping().expect_pingresp();
        connections.push(client);
    }
}

fn clean(world: &mut World) {
    let mut old = world.connect(world.client("one").persistent());
    old.subscribed("a", QoS1);
    let mut new = world.connect(world.client("one"));
    old.expect_closed();
    assert!(!new.connack().session_present);
    world.connect(world.client("pub")).say("a", "x", QoS1);
    new.expect_nothing();
}

fn in_flight(world: &mut World) {
    let mut old = world.connect(world.client("one").persistent());
    old.subscribed("a", QoS2);
    let mut publisher = world.connect(world.client("pub"));
    publisher.say("a", "one", QoS1).say("a", "two", QoS2);
    let (one, two) = (old.expect_publish("a", "one"), old.expect_publish("a", "two"));
    let mut new = world.connect(world.client("one").persistent());
    old.expect_closed();
    new.taken("a", "one").expect_dup(true).expect_id(one.id);
    new.taken("a", "two").expect_dup(true).expect_id(two.id);
    new.expect_nothing();
}

fn many_times(world: &mut World) {
    let mut publisher = world.connect(v5("pub"));
    let mut current = world.connect(v5("one").persistent());
    current.subscribed("a", QoS1);
    for n in 0..20 {
        let mut next = world.connect(v5("one").persistent());
        current.expect_disconnect(0x8E);
        publisher.say("a", n.to_string(), QoS1);
        next.taken("a", n.to_string());
        // The acknowledgement is dealt with before the next connection can overtake it.
        next.ping().expect_pingresp();
        current = next;
    }
    current.expect_nothing();
}
