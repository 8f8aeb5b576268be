//! Sections 3.1.2.5 and 3.1.3.2: the Will Message, when it is published and when not.

use std::time::Duration;

use whimbrel_testkit::{
    Disconnect, Packet, Property, QoS, QoS0, QoS1, QoS2, Version, World, hex, publish, v5, will,
};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "v5_3_1_2_7_the_will_is_published_when_the_connection_breaks",
        on_cut,
        &["MQTT-3.1.2-7", "MQTT-3.1.2-8", "MQTT-3.1.2-9", "MQTT-3.1.2-12"],
    ),
    Scenario::new(
        "v311_3_1_2_8_the_will_is_published_when_the_connection_breaks",
        on_cut,
        &["MQTT-3.1.2-8", "MQTT-3.1.2-9", "MQTT-3.1.2-14"],
    )
    .and_v31(),
    Scenario::new("v5_3_1_2_8_the_will_is_published_when_the_server_closes", on_violation, &["MQTT-3.1.2-8"]),
    Scenario::new(
        "v311_3_1_2_8_the_will_is_published_when_the_server_closes",
        on_violation,
        &["MQTT-3.1.2-8"],
    )
    .and_v31(),
    Scenario::new(
        "v5_3_1_2_8_the_will_is_published_after_a_second_connect",
        on_second_connect,
        &["MQTT-3.1.2-8"],
    ),
    Scenario::new(
        "v311_3_1_2_8_the_will_is_published_after_a_second_connect",
        on_second_connect,
        &["MQTT-3.1.2-8"],
    )
    .and_v31(),
    Scenario::new("v5_3_1_2_8_the_will_is_published_when_keep_alive_ends", on_keep_alive, &["MQTT-3.1.2-8"])
        .timed(),
    Scenario::new(
        "v311_3_1_2_8_the_will_is_published_when_keep_alive_ends",
        on_keep_alive,
        &["MQTT-3.1.2-8"],
    )
    .timed(),
    Scenario::new(
        "v5_3_1_2_8_the_will_is_published_at_takeover",
        on_takeover,
        &["MQTT-3.1.2-8", "section 3.1.4"],
    ),
    Scenario::new("v311_3_1_2_8_the_will_is_published_at_takeover", on_takeover, &["MQTT-3.1.2-8"]).and_v31(),
    Scenario::new(
        "v5_3_14_4_3_a_normal_disconnect_deletes_the_will",
        not_on_disconnect,
        &["MQTT-3.14.4-3", "MQTT-3.1.2-8", "MQTT-3.1.2-10"],
    ),
    Scenario::new(
        "v311_3_14_4_3_disconnect_deletes_the_will",
        not_on_disconnect,
        &["MQTT-3.14.4-3", "MQTT-3.1.2-10"],
    )
    .and_v31(),
    Scenario::new(
        "v5_3_14_2_1_disconnect_with_will_publishes_it",
        on_disconnect_with_will,
        &["MQTT-3.1.2-8", "section 3.14.2.1"],
    ),
    Scenario::new("v5_3_1_2_10_the_will_is_published_once", once, &["MQTT-3.1.2-10"]),
    Scenario::new("v311_3_1_2_10_the_will_is_published_once", once, &["MQTT-3.1.2-10", "MQTT-3.1.2-12"])
        .and_v31(),
    Scenario::new("v5_3_1_2_14_a_will_without_retain_is_not_retained", not_retained, &["MQTT-3.1.2-14"]),
    Scenario::new("v311_3_1_2_16_a_will_without_retain_is_not_retained", not_retained, &["MQTT-3.1.2-16"])
        .and_v31(),
    Scenario::new("v5_3_1_2_15_a_will_with_retain_is_retained", retained, &["MQTT-3.1.2-15"]),
    Scenario::new("v311_3_1_2_17_a_will_with_retain_is_retained", retained, &["MQTT-3.1.2-17"]).and_v31(),
    Scenario::new("v5_3_1_2_7_the_will_of_a_refused_connect_is_not_kept", refused, &["MQTT-3.1.4-6"]),
    Scenario::new(
        "v5_3_1_3_10_the_wills_properties_are_forwarded",
        properties,
        &["MQTT-3.1.3-10", "section 3.1.3.2"],
    ),
    Scenario::new("v5_3_1_2_7_the_will_waits_for_a_session", to_session, &["MQTT-4.5.0-1"]),
    Scenario::new("v311_3_1_2_8_the_will_waits_for_a_session", to_session, &["MQTT-4.5.0-1"]).and_v31(),
    Scenario::new("v5_3_1_3_9_the_will_waits_for_its_delay", delay, &["MQTT-3.1.2-8"]).timed(),
    Scenario::new(
        "v5_3_1_3_9_a_new_connection_cancels_a_delayed_will",
        cancelled,
        &["MQTT-3.1.3-9", "MQTT-3.1.2-8"],
    )
    .timed(),
    Scenario::new(
        "v5_3_1_2_8_the_will_is_published_when_the_session_ends",
        at_session_end,
        &["MQTT-3.1.2-8"],
    )
    .timed(),
    Scenario::new(
        "v5_3_1_2_8_without_a_session_the_delay_does_not_count",
        no_session_no_delay,
        &["MQTT-3.1.2-8"],
    ),
    Scenario::new(
        "v5_3_1_3_2_takeover_with_a_delay_keeps_the_will_back",
        delayed_takeover,
        &["MQTT-3.1.3-9"],
    )
    .timed(),
    Scenario::new(
        "v5_3_1_4_takeover_with_a_clean_start_publishes_the_will",
        clean_takeover,
        &["MQTT-3.1.2-8", "section 3.1.4"],
    ),
    Scenario::new("v5_3_1_3_9_the_delay_to_the_second", to_the_second, &["MQTT-3.1.2-8", "MQTT-3.1.3-9"])
        .virtual_only(),
    Scenario::new("v5_3_1_3_2_the_wills_expiry_counts_from_its_publication", expiry, &["section 3.1.3.2.4"])
        .timed(),
];

/// A client that watches for wills on `fate/#`.
fn watcher(world: &mut World) -> whimbrel_testkit::Client {
    let mut watcher = world.connect(world.client("watcher"));
    watcher.subscribed("fate/#", QoS2);
    watcher
}

fn on_cut(world: &mut World) {
    let mut watcher = watcher(world);
    for qos in QoS::ALL {
        world.connect(world.client("mortal").will(will("fate/one", "gone").qos(qos))).cut();
        watcher.taken("fate/one", "gone").expect_qos(qos).expect_retain(false).expect_dup(false);
    }
    world.connect(world.client("mortal").will(will("fate/empty", ""))).cut();
    watcher.taken("fate/empty", "");
    let bytes: Vec<u8> = (0..=255).collect();
    world.connect(world.client("mortal").will(will("fate/bytes", &bytes))).cut();
    watcher.taken("fate/bytes", &bytes);
    watcher.expect_nothing();
}

fn on_violation(world: &mut World) {
    let mut watcher = watcher(world);
    let mut client = world.connect(world.client("mortal").will(will("fate/one", "gone")));
    // A PUBLISH of QoS 3.
    client.send(hex("36 05 00 01 61 00 01"));
    client.expect_closed();
    watcher.taken("fate/one", "gone");
    watcher.expect_nothing();
}

fn on_second_connect(world: &mut World) {
    let mut watcher = watcher(world);
    let mut client = world.connect(world.client("mortal").will(will("fate/one", "gone")));
    let again = world.client("mortal");
    client.send_packet(Packet::Connect(Box::new(again)));
    client.expect_closed();
    watcher.taken("fate/one", "gone");
    watcher.expect_nothing();
}

fn on_keep_alive(world: &mut World) {
    let mut watcher = watcher(world);
    let mut client = world.connect(world.client("mortal").keep_alive(1).will(will("fate/one", "gone")));
    world.past(2);
    client.expect_closed();
    watcher.taken("fate/one", "gone");
}

fn on_takeover(world: &mut World) {
    let mut watcher = watcher(world);
    let mut old = world.connect(world.client("mortal").persistent().will(will("fate/one", "gone")));
    let mut new = world.connect(world.client("mortal").persistent());
    old.expect_closed();
    watcher.taken("fate/one", "gone");
    new.cut();
    watcher.expect_nothing();
}

fn not_on_disconnect(world: &mut World) {
    let mut watcher = watcher(world);
    world.connect(world.client("mortal").will(will("fate/one", "gone"))).disconnect();
    let mut lasting = world.connect(world.client("lasting").persistent().will(will("fate/one", "gone")));
    lasting.disconnect();
    watcher.expect_nothing();
    // It is not there for a later connection of the session either.
    world.connect(world.client("lasting").persistent()).cut();
    watcher.expect_nothing();
    if world.version() == Version::V5 {
        let mut client = world.connect(v5("mortal").will(will("fate/one", "gone")));
        client.disconnect_with(Disconnect::new(0).with(Property::ReasonString("done".into())));
        watcher.expect_nothing();
    }
}

fn on_disconnect_with_will(world: &mut World) {
    let mut watcher = watcher(world);
    for code in [0x04, 0x80, 0x81, 0x98] {
        let mut client = world.connect(v5("mortal").will(will("fate/one", [code])));
        client.disconnect_with(Disconnect::new(code));
        watcher.taken("fate/one", [code]);
    }
    watcher.expect_nothing();
}

fn once(world: &mut World) {
    let mut watcher = watcher(world);
    world.connect(world.client("mortal").persistent().will(will("fate/one", "gone"))).cut();
    watcher.taken("fate/one", "gone");
    world.connect(world.client("mortal").persistent()).cut();
    watcher.expect_nothing();
    world.connect(world.client("mortal").persistent().will(will("fate/two", "another"))).cut();
    watcher.taken("fate/two", "another");
    watcher.expect_nothing();
}

fn not_retained(world: &mut World) {
    let mut watcher = watcher(world);
    world.connect(world.client("mortal").will(will("fate/one", "gone").qos(QoS1))).cut();
    watcher.taken("fate/one", "gone").expect_retain(false);
    let mut later = world.connect(world.client("later"));
    later.subscribed("fate/#", QoS0);
    later.expect_nothing();
}

fn retained(world: &mut World) {
    let mut watcher = watcher(world);
    world.connect(world.client("mortal").will(will("fate/one", "gone").qos(QoS1).retain())).cut();
    watcher.taken("fate/one", "gone").expect_retain(false);
    let mut later = world.connect(world.client("later"));
    later.subscribed("fate/#", QoS2);
    later.taken("fate/one", "gone").expect_retain(true).expect_qos(QoS1);
}

fn refused(world: &mut World) {
    let mut watcher = watcher(world);
    let refused = v5("mortal")
        .will(will("fate/one", "gone"))
        .with(Property::AuthenticationMethod("no-such-method".into()));
    world.start(refused).expect_closed_or_refused();
    watcher.expect_nothing();
}

fn properties(world: &mut World) {
    let mut watcher = watcher(world);
    let all = [
        Property::User("b".into(), "1".into()),
        Property::PayloadFormat(1),
        Property::User("a".into(), "2".into()),
        Property::ContentType("text/plain".into()),
        Property::ResponseTopic("answers".into()),
        Property::CorrelationData(vec![0, 255]),
        Property::MessageExpiry(600),
        Property::WillDelay(0),
        Property::User("b".into(), "3".into()),
    ];
    let testament =
        all.iter().fold(will("fate/one", "gone").qos(QoS1), |w, property| w.with(property.clone()));
    world.connect(v5("mortal").will(testament)).cut();
    let message = watcher.taken("fate/one", "gone");
    assert_eq!(message.properties.user(), [("b", "1"), ("a", "2"), ("b", "3")]);
    world.expect_seconds(message.properties.message_expiry(), 600);
    for property in &all {
        if !matches!(property.id(), 0x26 | 0x02 | 0x18) {
            assert!(message.properties.0.contains(property), "{property:?} is not in {message}");
        }
    }
    world.connect(v5("mortal").will(will("fate/bare", "gone"))).cut();
    assert!(watcher.taken("fate/bare", "gone").properties.is_empty(), "no property where the will has none");
}

fn to_session(world: &mut World) {
    let mut heir = world.connect(world.client("heir").persistent());
    heir.subscribed("fate/#", QoS2);
    heir.disconnect();
    world.connect(world.client("mortal").will(will("fate/one", "gone").qos(QoS2))).cut();
    let mut heir = world.connect(world.client("heir").persistent());
    heir.taken("fate/one", "gone").expect_qos(QoS2);
    heir.expect_nothing();
}

fn delay(world: &mut World) {
    let mut watcher = watcher(world);
    world.connect(v5("mortal").expiry(60).will(will("fate/one", "gone").delay(4))).cut();
    world.advance(Duration::from_secs(2));
    watcher.expect_nothing();
    world.past(2);
    watcher.taken("fate/one", "gone");
    world.connect(v5("mortal").resume()).cut();
    watcher.expect_nothing();
}

fn cancelled(world: &mut World) {
    let mut watcher = watcher(world);
    world.connect(v5("mortal").expiry(60).will(will("fate/one", "gone").delay(2))).cut();
    world.advance(Duration::from_millis(500));
    let mut again = world.connect(v5("mortal").resume().expiry(60));
    assert!(again.connack().session_present);
    world.past(3);
    watcher.expect_nothing();
    again.ping().expect_pingresp();
    again.cut();
    // The new connection has no will, and the old one's must not come back with its end.
    world.past(3);
    watcher.expect_nothing();
}

fn at_session_end(world: &mut World) {
    let mut watcher = watcher(world);
    world.connect(v5("mortal").expiry(2).will(will("fate/one", "gone").delay(3600))).cut();
    watcher.expect_nothing();
    world.past(2);
    watcher.taken("fate/one", "gone");
    // The use that the specification gives as an example: notice of the end of a session after a wanted disconnect.
    let mut client = world.connect(v5("mortal").expiry(2).will(will("fate/two", "ended").delay(3600)));
    client.disconnect_with(Disconnect::new(0x04));
    watcher.expect_nothing();
    world.past(2);
    watcher.taken("fate/two", "ended");
    watcher.expect_nothing();
}

fn no_session_no_delay(world: &mut World) {
    let mut watcher = watcher(world);
    world.connect(v5("mortal").will(will("fate/one", "gone").delay(3600))).cut();
    watcher.taken("fate/one", "gone");
    let mut client = world.connect(v5("mortal").expiry(3600).will(will("fate/two", "gone").delay(3600)));
    client.disconnect_with(Disconnect::new(0x04).with(Property::SessionExpiry(0)));
    watcher.taken("fate/two", "gone");
    watcher.expect_nothing();
}

fn delayed_takeover(world: &mut World) {
    let mut watcher = watcher(world);
    let mut old = world.connect(v5("mortal").resume().expiry(60).will(will("fate/one", "gone").delay(1)));
    let mut new = world.connect(v5("mortal").resume().expiry(60));
    old.expect_closed();
    world.past(2);
    watcher.expect_nothing();
    new.ping().expect_pingresp();
    new.cut();
    world.past(2);
    watcher.expect_nothing();
}

fn clean_takeover(world: &mut World) {
    let mut watcher = watcher(world);
    let mut old = world.connect(v5("mortal").expiry(60).will(will("fate/one", "gone").delay(3600)));
    let mut new = world.connect(v5("mortal").expiry(60));
    old.expect_closed();
    watcher.taken("fate/one", "gone");
    // A session that ends with its connection ends at the takeover too.
    let mut old = world.connect(v5("brief").will(will("fate/two", "gone").delay(3600)));
    let mut newer = world.connect(v5("brief").resume());
    old.expect_closed();
    watcher.taken("fate/two", "gone");
    watcher.expect_nothing();
    new.ping().expect_pingresp();
    newer.ping().expect_pingresp();
}

fn expiry(world: &mut World) {
    let mut heir = world.connect(v5("heir").persistent());
    heir.subscribed("fate/#", QoS1);
    heir.cut();
    let testament = will("fate/one", "gone").qos(QoS1).delay(3).with(Property::MessageExpiry(20));
    world.connect(v5("mortal").expiry(60).will(testament)).cut();
    world.past(3);
    world.advance(Duration::from_secs(2));
    let mut heir = world.connect(v5("heir").persistent());
    let message = heir.taken("fate/one", "gone");
    world.expect_seconds(message.properties.message_expiry(), 18);
    let mut other = world.connect(v5("other"));
    other.publish(publish("fate/two", "x"));
    heir.taken("fate/two", "x");
}

fn to_the_second(world: &mut World) {
    let mut watcher = world.connect(v5("watcher").keep_alive(1200));
    watcher.subscribed("fate/#", QoS2);
    for seconds in [1u32, 59, 900] {
        world.connect(v5("mortal").expiry(3600).will(will("fate/one", "gone").delay(seconds))).cut();
        let time = Duration::from_secs(u64::from(seconds));
        let margin = Duration::from_millis(100).max(time / 20);
        world.advance(time - margin);
        watcher.expect_nothing();
        world.advance(margin * 2 + Duration::from_secs(1));
        watcher.taken("fate/one", "gone");
    }
    watcher.expect_nothing();
}
