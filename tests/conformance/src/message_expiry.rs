//! Section 3.3.2.3.3: the Message Expiry Interval, counted down while a message waits.

use std::time::Duration;

use whimbrel_testkit::{QoS0, QoS1, QoS2, World, publish, v5};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("v5_3_3_2_6_the_interval_is_forwarded", forwarded, &["MQTT-3.3.2-6"]),
    Scenario::new("v5_3_3_2_6_the_interval_is_counted_down_in_a_queue", counted_down, &["MQTT-3.3.2-6"])
        .timed(),
    Scenario::new("v5_3_3_2_5_a_queued_message_expires", expires_in_queue, &["MQTT-3.3.2-5"]).timed(),
    Scenario::new("v5_3_3_2_5_a_message_expires_behind_the_window", expires_in_window, &["MQTT-3.3.2-5"])
        .timed(),
    Scenario::new(
        "v5_3_3_2_6_a_retained_message_is_counted_down",
        retained,
        &["MQTT-3.3.2-6", "section 3.3.1.3"],
    )
    .timed(),
    Scenario::new("v5_3_3_2_5_a_retained_message_expires", retained_expires, &["section 3.3.1.3"]).timed(),
    Scenario::new("v5_3_3_2_5_a_replaced_retained_message_does_not_expire", replaced, &["section 3.3.1.3"])
        .timed(),
];

fn forwarded(world: &mut World) {
    let mut sub = world.connect(v5("sub"));
    sub.subscribed("a", QoS1);
    let mut publisher = world.connect(v5("pub"));
    for seconds in [10, 3600, u32::MAX] {
        publisher.published(publish("a", "x").expiry(seconds).at(QoS1, 0));
        world.expect_seconds(sub.taken("a", "x").properties.message_expiry(), seconds);
    }
    publisher.say("a", "x", QoS1);
    assert_eq!(sub.taken("a", "x").properties.message_expiry(), None, "none where none was set");
}

fn counted_down(world: &mut World) {
    let mut sub = world.connect(v5("sub").persistent());
    sub.subscribed("a", QoS2);
    sub.cut();
    let mut publisher = world.connect(v5("pub"));
    publisher.published(publish("a", "one").expiry(100).at(QoS1, 0));
    world.advance(Duration::from_secs(2));
    publisher.published(publish("a", "two").expiry(50).at(QoS2, 0));
    publisher.say("a", "three", QoS1);
    world.advance(Duration::from_secs(1));
    let mut sub = world.connect(v5("sub").persistent());
    let one = sub.expect_publish("a", "one");
    world.expect_seconds(one.properties.message_expiry(), 97);
    let two = sub.expect_publish("a", "two");
    world.expect_seconds(two.properties.message_expiry(), 49);
    assert_eq!(sub.expect_publish("a", "three").properties.message_expiry(), None);
    // Sent again it has waited longer.
    sub.cut();
    world.advance(Duration::from_secs(2));
    let mut sub = world.connect(v5("sub").persistent());
    world.expect_seconds(sub.taken("a", "one").properties.message_expiry(), 95);
}

fn expires_in_queue(world: &mut World) {
    let mut sub = world.connect(v5("sub").persistent());
    sub.subscribed("a", QoS2);
    sub.cut();
    let mut publisher = world.connect(v5("pub"));
    for (text, expiry, qos) in [("one", 1, QoS1), ("two", 1, QoS2), ("three", 100, QoS1), ("four", 2, QoS1)] {
        publisher.published(publish("a", text).expiry(expiry).at(qos, 0));
    }
    publisher.say("a", "five", QoS1);
    world.past(2);
    let mut sub = world.connect(v5("sub").persistent());
    let three = sub.taken("a", "three");
    sub.expect_waited(&three);
    sub.taken("a", "five");
    sub.expect_nothing();
}

fn expires_in_window(world: &mut World) {
    let mut sub = world.connect(v5("sub").receive_maximum(1));
    sub.subscribed("a", QoS1);
    let mut publisher = world.connect(v5("pub"));
    publisher.say("a", "open", QoS1);
    publisher.published(publish("a", "brief").expiry(1).at(QoS1, 0));
    publisher.published(publish("a", "long").expiry(100).at(QoS1, 0));
    let open = sub.expect_publish("a", "open");
    world.past(2);
    sub.puback(open.id);
    sub.taken("a", "long");
    sub.expect_nothing();
}

fn retained(world: &mut World) {
    let mut publisher = world.connect(v5("pub"));
    publisher.published(publish("kept", "x").expiry(100).retain().at(QoS1, 0));
    for waited in [2, 4] {
        world.advance(Duration::from_secs(2));
        let mut sub = world.connect(v5("sub"));
        sub.subscribed("kept", QoS1);
        let message = sub.taken("kept", "x").expect_retain(true);
        world.expect_seconds(message.properties.message_expiry(), 100 - waited);
        sub.disconnect();
    }
}

fn retained_expires(world: &mut World) {
    let mut publisher = world.connect(v5("pub"));
    publisher.published(publish("kept/brief", "x").expiry(2).retain().at(QoS1, 0));
    publisher.published(publish("kept/long", "y").expiry(100).retain().at(QoS1, 0));
    world.past(2);
    let mut sub = world.connect(v5("sub"));
    sub.subscribed("kept/+", QoS0);
    sub.taken("kept/long", "y");
    sub.expect_nothing();
}

fn replaced(world: &mut World) {
    let mut publisher = world.connect(v5("pub"));
    publisher.published(publish("kept", "x").expiry(2).retain().at(QoS1, 0));
    publisher.published(publish("kept", "y").retain().at(QoS1, 0));
    world.past(2);
    let mut sub = world.connect(v5("sub"));
    sub.subscribed("kept", QoS1);
    let message = sub.taken("kept", "y").expect_retain(true);
    assert_eq!(message.properties.message_expiry(), None);
}
