//! Section 3.10, UNSUBSCRIBE, and 3.11, UNSUBACK.

use whimbrel_testkit::{QoS0, QoS1, QoS2, Subscribe, World, publish};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("v5_3_10_4_1_filters_are_compared_character_by_character", exact, &["MQTT-3.10.4-1"]),
    Scenario::new("v311_3_10_4_1_filters_are_compared_character_by_character", exact, &["MQTT-3.10.4-1"])
        .and_v31(),
    Scenario::new("v5_3_10_4_2_nothing_new_is_delivered", nothing_new, &["MQTT-3.10.4-2"]),
    Scenario::new("v311_3_10_4_2_nothing_new_is_delivered", nothing_new, &["MQTT-3.10.4-2"]).and_v31(),
    Scenario::new("v5_3_10_4_3_what_has_begun_is_completed", completed, &["MQTT-3.10.4-3"]),
    Scenario::new("v311_3_10_4_3_what_has_begun_is_completed", completed, &["MQTT-3.10.4-3"]).and_v31(),
    Scenario::new(
        "v5_3_10_4_4_unsubscribe_is_acknowledged",
        acknowledged,
        &["MQTT-3.10.4-4", "MQTT-3.10.4-5", "MQTT-2.2.1-6"],
    ),
    Scenario::new(
        "v311_3_10_4_4_unsubscribe_is_acknowledged",
        acknowledged,
        &["MQTT-3.10.4-4", "MQTT-3.10.4-5", "MQTT-2.3.1-7"],
    )
    .and_v31(),
    Scenario::new(
        "v5_3_10_4_6_several_filters_get_one_unsuback",
        several,
        &["MQTT-3.10.4-6", "MQTT-3.11.3-1", "MQTT-3.11.3-2"],
    ),
    Scenario::new("v311_3_10_4_6_several_filters_get_one_unsuback", several, &["MQTT-3.10.4-6"]).and_v31(),
    Scenario::new("v5_3_10_4_1_overlapping_subscriptions_stay", overlapping_stay, &["MQTT-3.10.4-1"]),
    Scenario::new("v311_3_10_4_1_overlapping_subscriptions_stay", overlapping_stay, &["MQTT-3.10.4-1"])
        .and_v31(),
];

fn exact(world: &mut World) {
    let mut client = world.connect(world.client("sub"));
    client.subscribed("a/b", QoS0);
    for filter in ["a/+", "a/#", "#", "A/b", "a/b/", "/a/b", "a", "a/b/#"] {
        client.unsubscribe(1, &[filter]).expect_unsuback(&[0x11]);
    }
    let mut publisher = world.connect(world.client("pub"));
    publisher.publish(publish("a/b", "x"));
    client.expect_publish("a/b", "x");
    client.unsubscribe(1, &["a/b"]).expect_unsuback(&[0]);
    client.subscribed("a/+", QoS0);
    client.unsubscribe(1, &["a/b"]).expect_unsuback(&[0x11]);
    publisher.publish(publish("a/b", "y"));
    client.expect_publish("a/b", "y");
    client.unsubscribe(1, &["a/+"]).expect_unsuback(&[0]);
    publisher.publish(publish("a/b", "z"));
    client.expect_nothing();
}

fn nothing_new(world: &mut World) {
    let mut client = world.connect(world.client("sub").persistent());
    client.subscribed("a", QoS2).subscribed("b/#", QoS1);
    let mut publisher = world.connect(world.client("pub"));
    publisher.say("a", "before", QoS1);
    client.taken("a", "before");
    client.unsubscribe(1, &["a", "b/#"]).expect_unsuback(&[0, 0]);
    publisher.say("a", "x", QoS2).say("b/c", "x", QoS1).publish(publish("a", "x"));
    client.expect_nothing();
    client.disconnect();
    publisher.say("a", "x", QoS1);
    let mut client = world.connect(world.client("sub").persistent());
    client.expect_nothing();
}

fn completed(world: &mut World) {
    let mut client = world.connect(world.client("sub").persistent());
    client.subscribed("a", QoS2);
    let mut publisher = world.connect(world.client("pub"));
    publisher.say("a", "one", QoS1).say("a", "two", QoS2).say("a", "three", QoS2);
    let one = client.expect_publish("a", "one").id;
    let two = client.expect_publish("a", "two").id;
    let three = client.expect_publish("a", "three").id;
    client.unsubscribe(1, &["a"]).expect_unsuback(&[0]);
    client.pubrec(two).expect_pubrel(two);
    client.pubcomp(two);
    client.cut();
    let mut client = world.connect(world.client("sub").persistent());
    client.taken("a", "one").expect_dup(true).expect_id(one);
    client.taken("a", "three").expect_dup(true).expect_id(three);
    client.expect_nothing();
}

fn acknowledged(world: &mut World) {
    let mut client = world.connect(world.client("sub"));
    client.subscribed("a", QoS0);
    client.unsubscribe(77, &["a"]).expect_unsuback(&[0]);
    client.unsubscribe(65_535, &["a"]).expect_unsuback(&[0x11]);
    client.unsubscribe(1, &["never/was"]).expect_unsuback(&[0x11]);
    client.expect_nothing();
}

fn several(world: &mut World) {
    let mut client = world.connect(world.client("sub"));
    client
        .subscribe_with(Subscribe::one(1, "a", QoS0).and("b", QoS0).and("c", QoS0))
        .expect_suback(&[0, 0, 0]);
    client.unsubscribe(2, &["a", "x", "c", "a"]).expect_unsuback(&[0, 0x11, 0, 0x11]);
    let mut publisher = world.connect(world.client("pub"));
    for topic in ["a", "b", "c"] {
        publisher.publish(publish(topic, "x"));
    }
    client.expect_publish("b", "x");
    client.expect_nothing();
}

fn overlapping_stay(world: &mut World) {
    let mut client = world.connect(world.client("sub"));
    client.subscribed("a/b", QoS2).subscribed("a/+", QoS1).subscribed("#", QoS0);
    let mut publisher = world.connect(world.client("pub"));
    client.unsubscribe(1, &["a/b"]).expect_unsuback(&[0]);
    client.unsubscribe(2, &["a/+"]).expect_unsuback(&[0]);
    publisher.say("a/b", "x", QoS2);
    client.taken("a/b", "x").expect_qos(QoS0);
    client.expect_nothing();
}
