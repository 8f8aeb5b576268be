//! Limits that every client can reach with the defaults, for what the answer is in each version. The others, and what
//! they cost, are tested with the broker.

use whimbrel_testkit::{Client, QoS0, QoS1, Version, World, publish, v5};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "v5_3_9_3_a_subscription_too_many_is_refused",
        subscriptions,
        &["MQTT-3.8.4-7", "section 3.9.3"],
    )
    .choice(),
    Scenario::new(
        "v311_3_9_3_a_subscription_too_many_is_refused",
        subscriptions,
        &["MQTT-3.8.4-5", "MQTT-3.9.3-2"],
    )
    .choice(),
    Scenario::new("v31_a_refused_filter_is_answered_with_a_granted_qos", subscriptions, &["3.1: SUBACK"])
        .choice(),
    Scenario::new(
        "v5_3_9_3_an_existing_subscription_may_change_at_the_limit",
        change_at_limit,
        &["MQTT-3.8.4-3"],
    )
    .choice(),
];

/// As many subscriptions as one client may have.
const SUBSCRIPTIONS_MAX: u16 = 1000;

fn at_the_limit(world: &mut World) -> Client {
    let mut client = world.connect(world.client("greedy"));
    for n in 1..=SUBSCRIPTIONS_MAX {
        client.subscribe(n, &format!("t/{n}"), QoS1);
    }
    for _ in 1..=SUBSCRIPTIONS_MAX {
        client.expect_suback(&[1]);
    }
    client
}

fn subscriptions(world: &mut World) {
    let mut client = at_the_limit(world);
    client.subscribe(2000, "one/more", QoS1);
    let code = match world.version() {
        Version::V5 => 0x97,
        Version::V311 => 0x80,
        // 3.1 cannot say no; any granted QoS is right.
        Version::V31 => client.any_suback().codes[0],
    };
    if world.version() != Version::V31 {
        client.expect_suback(&[code]);
    }
    let mut publisher = world.connect(world.client("pub"));
    publisher.publish(publish("one/more", "x")).publish(publish("t/1000", "y"));
    client.expect_publish("t/1000", "y");
    client.expect_nothing();
    // After one is given up there is room again.
    client.unsubscribe(2001, &["t/7"]).expect_unsuback(&[0]);
    client.subscribe(2002, "one/more", QoS0).expect_suback(&[0]);
}

fn change_at_limit(world: &mut World) {
    let mut client = at_the_limit(world);
    client.subscribe(2000, "t/5", QoS0).expect_suback(&[0]);
    world.connect(v5("pub")).say("t/5", "x", QoS1);
    client.taken("t/5", "x").expect_qos(QoS0);
}
