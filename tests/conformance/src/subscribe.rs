//! Section 3.8, SUBSCRIBE, and 3.9, SUBACK. Retained messages are in `retained`, matching in `topics`, wrong packets in
//! `malformed`.

use whimbrel_testkit::{Property, QoS, QoS0, QoS1, QoS2, Subscribe, World, publish, v5};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "v5_3_8_4_1_subscribe_is_acknowledged",
        acknowledged,
        &["MQTT-3.8.4-1", "MQTT-3.8.4-2", "MQTT-3.8.4-7", "MQTT-2.2.1-6", "MQTT-3.9.3-2"],
    ),
    Scenario::new(
        "v311_3_8_4_1_subscribe_is_acknowledged",
        acknowledged,
        &["MQTT-3.8.4-1", "MQTT-3.8.4-2", "MQTT-3.9.3-2", "MQTT-2.3.1-7"],
    )
    .and_v31(),
    Scenario::new(
        "v5_3_8_4_5_several_filters_get_one_suback",
        several,
        &["MQTT-3.8.4-5", "MQTT-3.8.4-6", "MQTT-3.9.3-1"],
    ),
    Scenario::new(
        "v311_3_8_4_4_several_filters_get_one_suback",
        several,
        &["MQTT-3.8.4-4", "MQTT-3.8.4-5", "MQTT-3.9.3-1"],
    )
    .and_v31(),
    Scenario::new("v5_3_8_4_5_the_same_filter_twice_in_a_packet", same_filter_twice, &["MQTT-3.8.4-5"]),
    Scenario::new("v311_3_8_4_4_the_same_filter_twice_in_a_packet", same_filter_twice, &["MQTT-3.8.4-4"])
        .and_v31(),
    Scenario::new("v5_3_8_4_5_many_filters_in_a_packet", many_filters, &["MQTT-3.8.4-6", "MQTT-3.9.3-1"]),
    Scenario::new("v311_3_8_4_4_many_filters_in_a_packet", many_filters, &["MQTT-3.8.4-5", "MQTT-3.9.3-1"])
        .and_v31(),
    Scenario::new("v5_3_8_4_3_a_repeated_filter_replaces_the_subscription", replaced, &["MQTT-3.8.4-3"]),
    Scenario::new("v311_3_8_4_3_a_repeated_filter_replaces_the_subscription", replaced, &["MQTT-3.8.4-3"])
        .and_v31(),
    Scenario::new("v5_3_8_4_3_the_options_are_replaced_too", options_replaced, &["MQTT-3.8.4-3"]),
    Scenario::new("v5_3_8_4_4_replacing_a_subscription_loses_nothing", nothing_lost, &["MQTT-3.8.4-4"]),
    Scenario::new("v311_3_8_4_3_replacing_a_subscription_loses_nothing", nothing_lost, &["MQTT-3.8.4-3"])
        .and_v31(),
    Scenario::new("v5_3_8_3_3_no_local_keeps_own_messages_away", no_local, &["MQTT-3.8.3-3"]),
    Scenario::new("v5_3_8_3_3_no_local_and_another_subscription", no_local_overlap, &["MQTT-3.8.3-3"]),
    Scenario::new("v5_3_8_3_3_without_no_local_own_messages_come", own_messages, &["section 3.8.3.1"]),
    Scenario::new("v311_3_8_4_own_messages_come", own_messages, &["section 3.3.5"]).and_v31(),
    Scenario::new("v5_3_8_2_1_3_user_properties_are_accepted", user_properties, &["section 3.8.2.1.3"]),
    Scenario::new("v5_3_8_3_1_every_requested_qos_is_accepted", every_qos, &["section 3.8.3.1"]),
    Scenario::new("v311_3_8_3_wildcards_are_supported", wildcards_supported, &["section 3.8.3"]).and_v31(),
];

fn acknowledged(world: &mut World) {
    let mut client = world.connect(world.client("sub"));
    for (id, filter, qos) in [(1, "a", QoS0), (2, "a/+", QoS1), (65_535, "#", QoS2), (256, "b", QoS2)] {
        client.subscribe(id, filter, qos);
        let ack = client.any_suback();
        assert_eq!((ack.id, ack.codes), (id, vec![qos as u8]));
    }
    client.expect_nothing();
}

fn several(world: &mut World) {
    let mut client = world.connect(world.client("sub"));
    let subscribe =
        Subscribe::one(9, "a", QoS2).and("b/+", QoS0).and("c/#", QoS1).and("d", QoS2).and("e", QoS0);
    client.subscribe_with(subscribe).expect_suback(&[2, 0, 1, 2, 0]);
    let mut publisher = world.connect(world.client("pub"));
    for (topic, qos) in [("a", QoS2), ("b/x", QoS0), ("c", QoS1), ("d", QoS2), ("e", QoS0)] {
        publisher.say(topic, "x", QoS2);
        client.taken(topic, "x").expect_qos(qos);
    }
    client.expect_nothing();
}

fn same_filter_twice(world: &mut World) {
    let mut client = world.connect(world.client("sub"));
    client.subscribe_with(Subscribe::one(9, "a", QoS2).and("a", QoS0)).expect_suback(&[2, 0]);
    world.connect(world.client("pub")).say("a", "x", QoS2);
    client.taken("a", "x").expect_qos(QoS0);
    client.expect_nothing();
}

fn many_filters(world: &mut World) {
    let mut client = world.connect(world.client("sub"));
    let mut subscribe = Subscribe::one(9, "t/0", QoS0);
    for n in 1..150 {
        subscribe = subscribe.and(&format!("t/{n}"), QoS::ALL[n % 3]);
    }
    let codes: Vec<u8> = (0..150).map(|n| n % 3).collect();
    client.subscribe_with(subscribe).expect_suback(&codes);
    let mut publisher = world.connect(world.client("pub"));
    for n in [0, 1, 74, 149] {
        publisher.say(&format!("t/{n}"), "x", QoS2);
        client.taken(&format!("t/{n}"), "x").expect_qos(QoS::ALL[n % 3]);
    }
    client.expect_nothing();
}

fn replaced(world: &mut World) {
    let mut client = world.connect(world.client("sub"));
    let mut publisher = world.connect(world.client("pub"));
    for qos in [QoS2, QoS0, QoS1, QoS1] {
        client.subscribed("a/+", qos);
        publisher.say("a/b", "x", QoS2);
        client.taken("a/b", "x").expect_qos(qos);
        client.expect_nothing();
    }
    client.unsubscribe(7, &["a/+"]).expect_unsuback(&[0]);
    publisher.say("a/b", "x", QoS2);
    client.expect_nothing();
}

fn nothing_lost(world: &mut World) {
    let mut client = world.connect(world.client("sub"));
    client.subscribed("a", QoS1);
    let mut publisher = world.connect(world.client("pub"));
    for n in 1..=40u16 {
        publisher.publish(publish("a", n.to_string()).at(QoS1, n));
        client.subscribe(n, "a", QoS1);
        publisher.publish(publish("a", format!("{n} again")).at(QoS1, n + 100));
    }
    for n in 1..=40u16 {
        client.taken("a", n.to_string());
        client.taken("a", format!("{n} again"));
        client.expect_suback(&[1]);
        publisher.expect_puback(n);
        publisher.expect_puback(n + 100);
    }
    client.expect_nothing();
}

fn no_local(world: &mut World) {
    let mut client = world.connect(v5("both").persistent());
    client.subscribed("a", QoS2.no_local()).subscribed("b", QoS2);
    for qos in QoS::ALL {
        client.say("a", "own", qos);
    }
    client.expect_nothing();
    let mut other = world.connect(v5("other"));
    other.say("a", "another's", QoS1);
    client.taken("a", "another's");
    client.say("b", "own", QoS1);
    client.taken("b", "own");
    // The rule is about the client identifier, not about the connection.
    client.cut();
    let mut client = world.connect(v5("both").persistent());
    client.say("a", "own", QoS1);
    client.expect_nothing();
}

fn options_replaced(world: &mut World) {
    let mut client = world.connect(v5("both"));
    client.subscribed("a", QoS2.no_local());
    client.say("a", "own", QoS1);
    client.expect_nothing();
    client.subscribed("a", QoS2);
    client.say("a", "own", QoS1);
    client.taken("a", "own");
    client.subscribed("a", QoS2.no_local());
    client.say("a", "own", QoS1);
    client.expect_nothing();
    let mut other = world.connect(v5("other"));
    for (options, retain) in [(QoS1.retain_as_published(), true), (QoS1.into(), false)] {
        client.subscribed("b", options);
        other.published(publish("b", "x").retain().at(QoS1, 0));
        client.taken("b", "x").expect_retain(retain);
        other.published(publish("b", "").retain().at(QoS1, 0));
        client.taken("b", "").expect_retain(retain);
    }
    client.expect_nothing();
}

fn no_local_overlap(world: &mut World) {
    let mut client = world.connect(v5("both"));
    client.subscribe_with(Subscribe::one(1, "a/#", QoS2.no_local()).subscription_id(1)).expect_suback(&[2]);
    client.subscribe_with(Subscribe::one(2, "a/b", QoS1).subscription_id(2)).expect_suback(&[1]);
    client.say("a/b", "own", QoS2);
    client.taken("a/b", "own").expect_qos(QoS1).expect_subscription_ids(&[2]);
    client.expect_nothing();
}

fn own_messages(world: &mut World) {
    let mut client = world.connect(world.client("both"));
    client.subscribed("a", QoS2);
    for qos in QoS::ALL {
        client.say("a", "own", qos);
        client.taken("a", "own").expect_qos(qos);
    }
    client.expect_nothing();
}

fn user_properties(world: &mut World) {
    let mut client = world.connect(v5("sub").with(Property::User("who".into(), "me".into())));
    let subscribe = Subscribe::one(1, "a", QoS1)
        .with(Property::User("why".into(), "because".into()))
        .with(Property::User("why".into(), "".into()));
    client.subscribe_with(subscribe).expect_suback(&[1]);
    world.connect(v5("pub")).say("a", "x", QoS1);
    assert!(
        client.taken("a", "x").properties.user().is_empty(),
        "a subscription's properties stay with the server"
    );
}

fn every_qos(world: &mut World) {
    let mut client = world.connect(v5("sub"));
    for (id, qos) in [(1, QoS0), (2, QoS1), (3, QoS2)] {
        client.subscribe(id, "a", qos);
        let granted = client.any_suback().codes;
        assert!(granted[0] <= qos as u8, "{granted:?} granted where {qos:?} was asked");
    }
}

fn wildcards_supported(world: &mut World) {
    let mut client = world.connect(world.client("sub"));
    client.subscribe_with(Subscribe::one(1, "a/+/c", QoS0).and("b/#", QoS0)).expect_suback(&[0, 0]);
    let mut publisher = world.connect(world.client("pub"));
    publisher.publish(publish("a/b/c", "x")).publish(publish("b/c", "y"));
    client.expect_publish("a/b/c", "x");
    client.expect_publish("b/c", "y");
}
