//! Section 3.3.1.3, RETAIN: what is kept for a topic, and who gets it. Options of the subscription are here where they
//! are about retained messages.

use whimbrel_testkit::{QoS, QoS0, QoS1, QoS2, Subscribe, Version, World, publish, v5};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "v5_3_3_1_5_a_retained_message_is_stored_and_replaced",
        stored_and_replaced,
        &["MQTT-3.3.1-5", "section 3.8.3.1"],
    ),
    Scenario::new(
        "v311_3_3_1_5_a_retained_message_is_stored_and_replaced",
        stored_and_replaced,
        &["MQTT-3.3.1-5", "MQTT-3.3.1-6", "MQTT-3.3.1-7", "MQTT-3.3.1-8"],
    )
    .and_v31(),
    Scenario::new("v5_3_3_1_6_an_empty_payload_removes_it", removed, &["MQTT-3.3.1-6", "MQTT-3.3.1-7"]),
    Scenario::new("v311_3_3_1_10_an_empty_payload_removes_it", removed, &["MQTT-3.3.1-10", "MQTT-3.3.1-11"])
        .and_v31(),
    Scenario::new("v5_3_3_1_8_without_retain_nothing_is_stored", not_retained, &["MQTT-3.3.1-8"]),
    Scenario::new("v311_3_3_1_12_without_retain_nothing_is_stored", not_retained, &["MQTT-3.3.1-12"])
        .and_v31(),
    Scenario::new("v5_3_3_1_9_retain_handling_0_sends", handling_0, &["MQTT-3.3.1-9", "MQTT-3.8.4-4"]),
    Scenario::new("v311_3_8_4_3_a_repeated_subscription_gets_them_again", handling_0, &["MQTT-3.8.4-3"])
        .and_v31(),
    Scenario::new(
        "v5_3_3_1_10_retain_handling_1_sends_for_a_new_subscription",
        handling_1,
        &["MQTT-3.3.1-10"],
    ),
    Scenario::new(
        "v5_3_3_1_10_retain_handling_1_after_a_resumed_session",
        handling_1_resumed,
        &["MQTT-3.3.1-10"],
    ),
    Scenario::new("v5_3_3_1_11_retain_handling_2_does_not_send", handling_2, &["MQTT-3.3.1-11"]),
    Scenario::new("v5_3_3_1_12_retain_as_published_0_clears_the_flag", not_as_published, &["MQTT-3.3.1-12"]),
    Scenario::new(
        "v311_3_3_1_9_the_flag_is_clear_for_established_subscriptions",
        not_as_published,
        &["MQTT-3.3.1-9"],
    )
    .and_v31(),
    Scenario::new("v5_3_3_1_13_retain_as_published_1_keeps_the_flag", as_published, &["MQTT-3.3.1-13"]),
    Scenario::new("v5_3_3_1_3_retained_messages_match_wildcards", wildcards, &["MQTT-3.3.1-9"]),
    Scenario::new("v311_3_3_1_6_retained_messages_match_wildcards", wildcards, &["MQTT-3.3.1-6"]).and_v31(),
    Scenario::new("v5_3_8_4_8_retained_messages_at_the_lower_qos", lower_qos, &["MQTT-3.8.4-8"]),
    Scenario::new("v311_3_8_4_6_retained_messages_at_the_lower_qos", lower_qos, &["MQTT-3.8.4-6"]).and_v31(),
    Scenario::new("v5_4_1_retained_messages_outlive_the_session", outlive_session, &["section 4.1"]),
    Scenario::new("v311_3_1_2_7_retained_messages_outlive_the_session", outlive_session, &["MQTT-3.1.2-7"])
        .and_v31(),
    Scenario::new("v5_3_3_1_9_a_resumed_session_gets_none_again", none_on_resume, &["MQTT-3.3.1-9"]),
    Scenario::new("v311_3_3_1_6_a_resumed_session_gets_none_again", none_on_resume, &["MQTT-3.3.1-6"])
        .and_v31(),
    Scenario::new(
        "v5_3_3_1_3_each_subscriber_gets_it_with_its_identifier",
        with_subscription_id,
        &["MQTT-3.3.4-3"],
    ),
    Scenario::new(
        "v5_3_8_4_5_retained_messages_for_each_filter_of_a_subscribe",
        each_filter,
        &["MQTT-3.8.4-5"],
    ),
    Scenario::new(
        "v311_3_8_4_4_retained_messages_for_each_filter_of_a_subscribe",
        each_filter,
        &["MQTT-3.8.4-4"],
    )
    .and_v31(),
    Scenario::new("v5_3_3_1_3_many_retained_messages", many, &["MQTT-3.3.1-9"]),
    Scenario::new("v311_3_3_1_6_many_retained_messages", many, &["MQTT-3.3.1-6"]).and_v31(),
    Scenario::new("v5_3_3_1_3_the_last_value_is_never_overtaken", last_value, &["section 3.3.1.3"]),
];

fn stored_and_replaced(world: &mut World) {
    let mut publisher = world.connect(world.client("pub"));
    publisher.say("warm", "live", QoS1);
    for (text, qos) in [("one", QoS2), ("two", QoS1), ("three", QoS0)] {
        publisher.published(publish("kept", text).retain().at(qos, 0));
        // Nothing orders QoS 0 against another connection's SUBSCRIBE but the broker's having dealt with it.
        world.settle();
        let mut sub = world.connect(world.client("sub"));
        sub.subscribed("kept", QoS2);
        sub.taken("kept", text).expect_retain(true).expect_qos(qos).expect_dup(false);
        sub.expect_nothing();
        sub.disconnect();
    }
}

fn removed(world: &mut World) {
    let mut watcher = world.connect(world.client("watcher"));
    watcher.subscribed("kept", QoS1);
    let mut publisher = world.connect(world.client("pub"));
    publisher.published(publish("kept", "x").retain().at(QoS1, 0));
    watcher.taken("kept", "x").expect_retain(false);
    publisher.published(publish("kept", "").retain().at(QoS1, 0));
    watcher.taken("kept", "").expect_retain(false);
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("kept", QoS1);
    sub.expect_nothing();
    // Where there was none, none is stored either.
    publisher.published(publish("other", "").retain().at(QoS1, 0));
    sub.subscribed("other", QoS1);
    sub.expect_nothing();
}

fn not_retained(world: &mut World) {
    let mut publisher = world.connect(world.client("pub"));
    publisher.say("kept", "not kept", QoS1);
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("kept", QoS1);
    sub.expect_nothing();
    publisher.published(publish("kept", "kept").retain().at(QoS1, 0));
    publisher.say("kept", "passing", QoS1).say("kept", "", QoS1);
    let mut later = world.connect(world.client("later"));
    later.subscribed("kept", QoS1);
    later.taken("kept", "kept").expect_retain(true);
    later.expect_nothing();
}

fn handling_0(world: &mut World) {
    world.connect(world.client("pub")).published(publish("kept", "x").retain().at(QoS1, 0));
    let mut sub = world.connect(world.client("sub"));
    for id in 1..=3 {
        sub.subscribe(id, "kept", QoS1).expect_suback(&[1]);
        sub.taken("kept", "x").expect_retain(true);
        sub.expect_nothing();
    }
}

fn handling_1(world: &mut World) {
    world.connect(v5("pub")).published(publish("kept", "x").retain().at(QoS1, 0));
    let mut sub = world.connect(v5("sub"));
    sub.subscribe(1, "kept", QoS1.retain_handling(1)).expect_suback(&[1]);
    sub.taken("kept", "x").expect_retain(true);
    sub.subscribe(2, "kept", QoS0.retain_handling(1)).expect_suback(&[0]);
    sub.expect_nothing();
    // Another filter that matches is another subscription; and so is the same one after UNSUBSCRIBE.
    sub.subscribe(3, "+", QoS1.retain_handling(1)).expect_suback(&[1]);
    sub.taken("kept", "x").expect_retain(true);
    sub.unsubscribe(4, &["kept"]).expect_unsuback(&[0]);
    sub.subscribe(5, "kept", QoS1.retain_handling(1)).expect_suback(&[1]);
    sub.taken("kept", "x").expect_retain(true);
    sub.expect_nothing();
}

fn handling_1_resumed(world: &mut World) {
    world.connect(v5("pub")).published(publish("kept", "x").retain().at(QoS1, 0));
    let mut sub = world.connect(v5("sub").persistent());
    sub.subscribe(1, "kept", QoS1.retain_handling(1)).expect_suback(&[1]);
    sub.taken("kept", "x");
    sub.expect_nothing();
    sub.cut();
    let mut sub = world.connect(v5("sub").persistent());
    sub.subscribe(1, "kept", QoS1.retain_handling(1)).expect_suback(&[1]);
    sub.expect_nothing();
    sub.cut();
    let mut sub = world.connect(v5("sub"));
    sub.subscribe(1, "kept", QoS1.retain_handling(1)).expect_suback(&[1]);
    sub.taken("kept", "x");
}

fn handling_2(world: &mut World) {
    let mut publisher = world.connect(v5("pub"));
    publisher.published(publish("kept", "x").retain().at(QoS1, 0));
    let mut sub = world.connect(v5("sub"));
    sub.subscribe(1, "kept", QoS1.retain_handling(2)).expect_suback(&[1]);
    sub.subscribe(2, "kept", QoS1.retain_handling(2)).expect_suback(&[1]);
    sub.expect_nothing();
    publisher.published(publish("kept", "y").retain().at(QoS1, 0));
    sub.taken("kept", "y").expect_retain(false);
}

fn not_as_published(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("kept", QoS2);
    let mut publisher = world.connect(world.client("pub"));
    for qos in QoS::ALL {
        publisher.published(publish("kept", "x").retain().at(qos, 0));
        sub.taken("kept", "x").expect_retain(false);
    }
    publisher.published(publish("kept", "").retain().at(QoS1, 0));
    sub.taken("kept", "").expect_retain(false);
}

fn as_published(world: &mut World) {
    let mut sub = world.connect(v5("sub"));
    sub.subscribed("kept", QoS2.retain_as_published());
    let mut plain = world.connect(v5("plain"));
    plain.subscribed("kept", QoS2);
    let mut publisher = world.connect(v5("pub"));
    for qos in QoS::ALL {
        publisher.published(publish("kept", "x").retain().at(qos, 0));
        sub.taken("kept", "x").expect_retain(true);
        plain.taken("kept", "x").expect_retain(false);
        publisher.published(publish("kept", "y").at(qos, 0));
        sub.taken("kept", "y").expect_retain(false);
        plain.taken("kept", "y").expect_retain(false);
    }
    publisher.published(publish("kept", "").retain().at(QoS1, 0));
    sub.taken("kept", "").expect_retain(true);
    // The last one of a new subscription has the flag whatever the option.
    publisher.published(publish("kept", "z").retain().at(QoS1, 0));
    let mut later = world.connect(v5("later"));
    later.subscribed("kept", QoS1);
    later.taken("kept", "z").expect_retain(true);
}

#[track_caller]
fn retained_for(world: &mut World, filter: &str) -> Vec<String> {
    let mut sub = world.connect(world.client("asker"));
    sub.subscribe(1, filter, QoS0).expect_suback(&[0]);
    let mut topics: Vec<String> = sub
        .drain_settled()
        .into_iter()
        .map(|packet| match packet {
            whimbrel_testkit::Packet::Publish(message) => message.expect_retain(true).topic,
            other => panic!("{other} instead of retained messages"),
        })
        .collect();
    topics.sort();
    sub.disconnect();
    topics
}

fn wildcards(world: &mut World) {
    let mut publisher = world.connect(world.client("pub"));
    for topic in ["r", "r/a", "r/a/x", "r/b", "r/b/x", "r/", "r//x", "q/a"] {
        publisher.published(publish(topic, "x").retain().at(QoS1, 0));
    }
    for (filter, topics) in [
        ("r/#", &["r", "r/", "r//x", "r/a", "r/a/x", "r/b", "r/b/x"][..]),
        ("r/+", &["r/", "r/a", "r/b"]),
        ("r/+/x", &["r//x", "r/a/x", "r/b/x"]),
        ("+/a", &["q/a", "r/a"]),
        ("r", &["r"]),
        ("r/a/#", &["r/a", "r/a/x"]),
        ("+", &["r"]),
        ("r/c/#", &[]),
    ] {
        assert_eq!(retained_for(world, filter), topics, "the retained messages for {filter}");
    }
}

fn lower_qos(world: &mut World) {
    let mut publisher = world.connect(world.client("pub"));
    for published in QoS::ALL {
        publisher.published(publish("kept", "x").retain().at(published, 0));
        world.settle();
        for granted in QoS::ALL {
            let mut sub = world.connect(world.client("sub"));
            sub.subscribed("kept", granted);
            sub.taken("kept", "x").expect_qos(granted.min(published)).expect_retain(true);
            sub.disconnect();
        }
    }
}

fn outlive_session(world: &mut World) {
    let mut publisher = world.connect(world.client("pub"));
    publisher.published(publish("kept", "x").retain().at(QoS1, 0));
    publisher.disconnect();
    world.connect(world.client("pub")).cut();
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("kept", QoS1);
    sub.taken("kept", "x").expect_retain(true);
}

fn with_subscription_id(world: &mut World) {
    world.connect(v5("pub")).published(publish("kept", "x").retain().at(QoS1, 0));
    let mut sub = world.connect(v5("sub"));
    sub.subscribe_with(Subscribe::one(1, "kept", QoS1).subscription_id(5)).expect_suback(&[1]);
    sub.taken("kept", "x").expect_retain(true).expect_subscription_ids(&[5]);
    sub.subscribe_with(Subscribe::one(2, "+", QoS1).subscription_id(6)).expect_suback(&[1]);
    let second = sub.taken("kept", "x").expect_retain(true);
    // It is sent because of the second subscription; that the first matches as well may be told.
    assert!(second.properties.subscription_ids().contains(&6), "the subscription identifiers of {second}");
}

fn each_filter(world: &mut World) {
    let mut publisher = world.connect(world.client("pub"));
    publisher.published(publish("x/1", "1").retain().at(QoS1, 0));
    publisher.published(publish("x/2", "2").retain().at(QoS1, 0));
    let mut sub = world.connect(world.client("sub"));
    sub.subscribe_with(Subscribe::one(1, "x/1", QoS1).and("x/2", QoS0).and("x/3", QoS1))
        .expect_suback(&[1, 0, 1]);
    let (first, second) = (sub.delivery(), sub.delivery());
    sub.acknowledge(&first);
    sub.acknowledge(&second);
    let mut found = [(first.topic, first.qos), (second.topic, second.qos)];
    found.sort();
    assert_eq!(found, [("x/1".into(), 1), ("x/2".into(), 0)]);
    sub.expect_nothing();
}

fn many(world: &mut World) {
    let mut publisher = world.connect(world.client("pub"));
    for n in 0..200 {
        publisher.published(publish(&format!("many/{}/{n}", n % 10), n.to_string()).retain().at(QoS1, 0));
    }
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("many/+/+", QoS1);
    let mut found: Vec<u16> = (0..200)
        .map(|_| {
            let message = sub.delivery().expect_retain(true);
            sub.acknowledge(&message);
            String::from_utf8_lossy(&message.payload).parse().expect("a number")
        })
        .collect();
    found.sort_unstable();
    assert_eq!(found, (0..200).collect::<Vec<u16>>());
    sub.expect_nothing();
}

fn last_value(world: &mut World) {
    let mut publisher = world.connect(v5("pub"));
    let mut sub = world.connect(v5("sub"));
    for n in 0..20 {
        publisher.publish(publish("kept", n.to_string()).retain());
        sub.subscribe(n + 1, "kept", QoS0);
        publisher.publish(publish("kept", format!("{n} later")).retain());
        sub.expect_suback(&[0]);
    }
    let seen: Vec<String> = sub
        .drain_settled()
        .into_iter()
        .filter_map(|packet| match packet {
            whimbrel_testkit::Packet::Publish(message) => {
                Some(String::from_utf8_lossy(&message.payload).into())
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        seen.last().map(String::as_str),
        Some("19 later"),
        "what the client knows in the end, of {seen:?}"
    );
    assert_eq!(world.version(), Version::V5);
}

fn none_on_resume(world: &mut World) {
    let mut publisher = world.connect(world.client("pub"));
    publisher.published(publish("kept", "x").retain().at(QoS1, 0));
    let mut sub = world.connect(world.client("sub").persistent());
    sub.subscribed("kept", QoS1);
    sub.taken("kept", "x").expect_retain(true);
    sub.settle();
    sub.cut();
    let mut sub = world.connect(world.client("sub").persistent());
    sub.expect_nothing();
    // What is published while it is away comes as a message of its subscription, not as a retained one.
    sub.cut();
    publisher.published(publish("kept", "y").retain().at(QoS1, 0));
    let mut sub = world.connect(world.client("sub").persistent());
    sub.taken("kept", "y").expect_retain(false);
    sub.expect_nothing();
}
