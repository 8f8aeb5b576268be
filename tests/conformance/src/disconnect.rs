//! Section 3.14, DISCONNECT. What it does to the will is in `will`, to the session's expiry in `session_state`.

use std::time::Duration;

use whimbrel_testkit::{Disconnect, Packet, Property, QoS0, Version, World, hex, publish, v5};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "v5_3_14_4_2_after_its_disconnect_the_server_closes",
        server_closes,
        &["MQTT-3.14.4-1", "MQTT-3.14.4-2", "MQTT-3.14.2-1", "MQTT-3.14.2-2", "MQTT-4.13.2-1"],
    ),
    Scenario::new("v5_3_14_4_the_server_closes_after_disconnect", closes, &["section 3.14.4"]).choice(),
    Scenario::new("v311_3_14_4_the_server_closes_after_disconnect", closes, &["section 3.14.4"])
        .and_v31()
        .choice(),
    Scenario::new("v5_3_14_2_every_form_of_disconnect_is_accepted", forms, &["section 3.14.2"]),
    Scenario::new("v5_3_14_4_nothing_after_disconnect_is_processed", nothing_after, &["section 3.14.4"])
        .choice(),
    Scenario::new("v311_3_14_4_nothing_after_disconnect_is_processed", nothing_after, &["section 3.14.4"])
        .and_v31()
        .choice(),
];

fn server_closes(world: &mut World) {
    for wrong in ["36 05 00 01 61 00 01", "82 02 00 01", "F0 00", "30 04 00 00 00 78"] {
        let mut client = world.connect(v5("wrong"));
        client.send(hex(wrong));
        client.expect_closed();
    }
}

fn closes(world: &mut World) {
    let mut client = world.connect(world.client("one"));
    client.send_packet(Packet::Disconnect(Disconnect::new(0)));
    client.expect_closed();
}

fn forms(world: &mut World) {
    let mut watcher = world.connect(v5("watcher"));
    watcher.subscribed("fate", QoS0);
    let whole = Disconnect::new(0)
        .with(Property::SessionExpiry(0))
        .with(Property::ReasonString("tired".into()))
        .with(Property::User("n".into(), "v".into()))
        .with(Property::User("n".into(), "w".into()));
    let forms: [Vec<u8>; 4] =
        [hex("E0 00"), hex("E0 01 00"), hex("E0 02 00 00"), Packet::Disconnect(whole).encode(Version::V5)];
    for form in forms {
        let mut client = world.connect(v5("mortal").expiry(60).will(whimbrel_testkit::will("fate", "gone")));
        client.send(form);
        client.cut();
    }
    watcher.expect_nothing();
}

fn nothing_after(world: &mut World) {
    let version = world.version();
    let mut watcher = world.connect(world.client("watcher"));
    watcher.subscribed("a", QoS0);
    let mut client = world.connect(world.client("late"));
    let mut both = Packet::Disconnect(Disconnect::new(0)).encode(version);
    both.extend(Packet::Publish(publish("a", "late")).encode(version));
    client.send(both);
    client.expect_closed();
    world.advance(Duration::ZERO);
    watcher.expect_nothing();
}
