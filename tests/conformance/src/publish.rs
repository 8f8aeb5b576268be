//! Section 3.3, PUBLISH: what is forwarded and how. Retained messages are in `retained`, expiry in `message_expiry`,
//! aliases in `topic_alias`, the exchanges of QoS 1 and 2 in `qos`.

use whimbrel_testkit::{
    Packet, Property, QoS, QoS0, QoS1, QoS2, Subscribe, Version, World, publish, v5, v31, v311,
};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "v5_3_3_1_2_dup_is_zero_at_qos_0",
        qos_0,
        &["MQTT-3.3.1-2", "MQTT-4.3.1-1", "MQTT-2.2.1-2"],
    ),
    Scenario::new(
        "v311_3_3_1_2_dup_is_zero_at_qos_0",
        qos_0,
        &["MQTT-3.3.1-2", "MQTT-4.3.1-1", "MQTT-2.3.1-5"],
    )
    .and_v31(),
    Scenario::new("v5_3_3_1_3_dup_is_not_forwarded", dup_not_forwarded, &["MQTT-3.3.1-3"]),
    Scenario::new("v311_3_3_1_3_dup_is_not_forwarded", dup_not_forwarded, &["MQTT-3.3.1-3"]).and_v31(),
    Scenario::new("v5_3_3_2_3_the_topic_name_matches_the_filter", topic_matches, &["MQTT-3.3.2-3"]),
    Scenario::new("v311_3_3_2_3_the_topic_name_matches_the_filter", topic_matches, &["MQTT-3.3.2-3"])
        .and_v31(),
    Scenario::new("v5_3_3_3_payloads_of_any_bytes_and_size", payloads, &["section 3.3.3"]),
    Scenario::new("v311_3_3_3_payloads_of_any_bytes_and_size", payloads, &["section 3.3.3"]).and_v31(),
    Scenario::new(
        "v5_3_3_2_4_properties_are_forwarded_unaltered",
        properties_forwarded,
        &[
            "MQTT-3.3.2-4",
            "MQTT-3.3.2-15",
            "MQTT-3.3.2-16",
            "MQTT-3.3.2-17",
            "MQTT-3.3.2-18",
            "MQTT-3.3.2-20",
            "MQTT-3.3.2-13",
            "MQTT-3.3.2-19",
        ],
    ),
    Scenario::new(
        "v5_3_3_2_4_properties_are_forwarded_after_waiting",
        properties_wait,
        &[
            "MQTT-3.3.2-4",
            "MQTT-3.3.2-15",
            "MQTT-3.3.2-16",
            "MQTT-3.3.2-17",
            "MQTT-3.3.2-18",
            "MQTT-3.3.2-20",
        ],
    ),
    Scenario::new(
        "v5_3_3_2_18_user_properties_keep_order_and_repetition",
        user_properties,
        &["MQTT-3.3.2-17", "MQTT-3.3.2-18"],
    ),
    Scenario::new("v5_3_3_2_3_older_clients_get_no_properties", older_clients, &["section 3.3.4"]),
    Scenario::new("v5_3_3_2_3_2_payload_format_is_checked", payload_format_checked, &["section 3.3.2.3.2"])
        .choice(),
    Scenario::new("v5_3_3_4_1_each_qos_gets_its_answer", answers, &["MQTT-3.3.4-1"]),
    Scenario::new("v311_3_3_4_1_each_qos_gets_its_answer", answers, &["MQTT-3.3.4-1"]).and_v31(),
    Scenario::new(
        "v5_3_3_4_2_overlapping_subscriptions_give_the_highest_qos",
        overlapping,
        &["MQTT-3.3.4-2"],
    ),
    Scenario::new(
        "v311_3_3_5_1_overlapping_subscriptions_give_the_highest_qos",
        overlapping,
        &["MQTT-3.3.5-1"],
    )
    .and_v31(),
    Scenario::new("v5_3_3_4_2_overlapping_subscriptions_deliver_once", overlapping_once, &["section 3.3.4"])
        .choice(),
    Scenario::new(
        "v311_3_3_5_1_overlapping_subscriptions_deliver_once",
        overlapping_once,
        &["section 3.3.5"],
    )
    .and_v31()
    .choice(),
    Scenario::new(
        "v5_3_3_4_3_the_subscription_identifier_comes_along",
        subscription_id,
        &["MQTT-3.3.4-3", "section 3.3.2.3.8"],
    ),
    Scenario::new(
        "v5_3_3_4_4_all_identifiers_of_overlapping_subscriptions_come",
        overlapping_ids,
        &["MQTT-3.3.4-3", "MQTT-3.3.4-4", "MQTT-3.3.4-5"],
    ),
    Scenario::new("v5_3_3_4_4_a_single_copy_has_all_identifiers", overlapping_ids_once, &["MQTT-3.3.4-4"])
        .choice(),
    Scenario::new("v5_3_3_4_no_matching_subscribers_is_told", no_matching_subscribers, &["section 3.4.2.1"])
        .choice(),
    Scenario::new("v311_3_3_5_2_a_refused_publish_is_acknowledged", refused_publish, &["MQTT-3.3.5-2"])
        .and_v31(),
];

fn qos_0(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a/b", QoS2);
    let mut publisher = world.connect(world.client("pub"));
    publisher.publish(publish("a/b", "hello"));
    // A packet identifier would be read as the first bytes of the payload.
    sub.expect_publish("a/b", "hello").expect_qos(QoS0).expect_dup(false);
    publisher.expect_nothing();
    sub.expect_nothing();
}

fn dup_not_forwarded(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS2);
    let mut publisher = world.connect(world.client("pub"));
    publisher.published(publish("a", "one").at(QoS1, 1).dup());
    publisher.published(publish("a", "two").at(QoS2, 2).dup());
    sub.taken("a", "one").expect_qos(QoS1).expect_dup(false);
    sub.taken("a", "two").expect_qos(QoS2).expect_dup(false);
    // A server may write a message once for several receivers.
    let mut other = world.connect(world.client("other"));
    other.subscribed("a", QoS2);
    publisher.published(publish("a", "three").at(QoS1, 3).dup());
    sub.taken("a", "three").expect_qos(QoS1).expect_dup(false);
    other.taken("a", "three").expect_qos(QoS1).expect_dup(false);
}

fn topic_matches(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a/+/c", QoS0).subscribed("d/#", QoS0);
    let mut publisher = world.connect(world.client("pub"));
    for topic in ["a/b/c", "d", "d/e/f"] {
        publisher.publish(publish(topic, topic));
        sub.expect_publish(topic, topic);
    }
    for topic in ["a/b", "a/b/c/d", "e"] {
        publisher.publish(publish(topic, topic));
    }
    sub.expect_nothing();
}

fn payloads(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS2);
    let mut publisher = world.connect(world.client("pub"));
    let all: Vec<u8> = (0..=255).collect();
    let sizes = [0, 1, 2, 120, 127, 128, 4095, 4096, 4097, 16_380, 16_384, 65_535, 65_536, 200_000];
    for qos in QoS::ALL {
        publisher.say("a", &all, qos);
        sub.taken("a", &all).expect_qos(qos);
        for size in sizes {
            let payload: Vec<u8> = all.iter().copied().cycle().take(size).collect();
            publisher.say("a", &payload, qos);
            sub.taken("a", &payload).expect_qos(qos);
        }
    }
    sub.expect_nothing();
}

/// Every property that a server has to forward, with user properties between the others.
fn all_properties() -> Vec<Property> {
    vec![
        Property::User("first".into(), "1".into()),
        Property::PayloadFormat(1),
        Property::ContentType("text/plain; größe".into()),
        Property::User("second".into(), "".into()),
        Property::ResponseTopic("answers/here".into()),
        Property::CorrelationData(vec![0, 1, 255, 254, 0]),
        Property::User("first".into(), "again".into()),
    ]
}

fn with_all_properties(topic: &str) -> whimbrel_testkit::Publish {
    all_properties().into_iter().fold(publish(topic, "hello"), |message, property| message.with(property))
}

#[track_caller]
fn assert_forwarded(message: &whimbrel_testkit::Publish) {
    let found = &message.properties;
    for property in all_properties() {
        if property.id() != 0x26 {
            assert!(found.0.contains(&property), "{property:?} is not in {message}");
        }
    }
    assert_eq!(
        found.user(),
        [("first", "1"), ("second", ""), ("first", "again")],
        "the user properties of {message}"
    );
    assert_eq!(found.0.len(), all_properties().len(), "the properties of {message}");
}

fn properties_forwarded(world: &mut World) {
    let mut sub = world.connect(v5("sub"));
    sub.subscribed("a", QoS2);
    let mut publisher = world.connect(v5("pub"));
    for qos in QoS::ALL {
        publisher.published(with_all_properties("a").at(qos, 0));
        assert_forwarded(&sub.taken("a", "hello"));
    }
    publisher.publish(publish("a", "bare"));
    assert!(sub.expect_publish("a", "bare").properties.is_empty(), "no property where none was published");
    publisher.publish(publish("a", "zero").with(Property::PayloadFormat(0)));
    let zero = sub.expect_publish("a", "zero");
    // A zero says the same as its absence, and is to be sent unaltered [MQTT-3.3.2-4].
    assert_eq!(zero.properties.0, [Property::PayloadFormat(0)], "payload format 0 unaltered");
}

fn properties_wait(world: &mut World) {
    let mut sub = world.connect(v5("sub").persistent());
    sub.subscribed("a", QoS2);
    sub.cut();
    let mut publisher = world.connect(v5("pub"));
    publisher.published(with_all_properties("a").at(QoS1, 0));
    publisher.published(with_all_properties("a").at(QoS2, 0));
    publisher.published(with_all_properties("kept").at(QoS1, 0).retain());
    let mut sub = world.connect(v5("sub").persistent());
    assert_forwarded(&sub.taken("a", "hello"));
    assert_forwarded(&sub.taken("a", "hello"));
    sub.subscribed("kept", QoS1);
    assert_forwarded(&sub.taken("kept", "hello").expect_retain(true));
}

fn user_properties(world: &mut World) {
    let mut sub = world.connect(v5("sub"));
    sub.subscribed("a", QoS0);
    let pairs: Vec<(String, String)> =
        (0..40).map(|n| (format!("name{}", n % 7), format!("value {n} ü"))).collect();
    let message = pairs.iter().fold(publish("a", "x"), |message, (name, value)| {
        message.with(Property::User(name.clone(), value.clone()))
    });
    world.connect(v5("pub")).publish(message);
    let found = sub.expect_publish("a", "x");
    let expected: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(found.properties.user(), expected);
}

fn older_clients(world: &mut World) {
    let mut older = world.connect(v311("older"));
    let mut oldest = world.connect(v31("oldest"));
    older.subscribed("a", QoS1);
    oldest.subscribed("a", QoS1);
    world.connect(v5("pub")).published(with_all_properties("a").expiry(100).at(QoS1, 0));
    older.taken("a", "hello").expect_qos(QoS1);
    oldest.taken("a", "hello").expect_qos(QoS1);
}

fn payload_format_checked(world: &mut World) {
    let mut sub = world.connect(v5("sub"));
    sub.subscribed("a", QoS2);
    let wrong = || publish("a", [0xFF, 0xFE]).with(Property::PayloadFormat(1));
    let mut publisher = world.connect(v5("pub"));
    publisher.publish(wrong().at(QoS1, 1));
    assert_eq!(publisher.puback_for(1).code, 0x99);
    publisher.publish(wrong().at(QoS2, 2));
    assert_eq!(publisher.pubrec_for(2).code, 0x99);
    publisher.published(publish("a", "ü").with(Property::PayloadFormat(1)).at(QoS2, 2));
    sub.taken("a", "ü");
    publisher.publish(wrong());
    publisher.expect_disconnect(0x99);
    sub.expect_nothing();
}

fn answers(world: &mut World) {
    let mut client = world.connect(world.client("pub"));
    client.publish(publish("a", "0"));
    client.expect_nothing();
    client.publish(publish("a", "1").at(QoS1, 11));
    assert_eq!(client.next_packet().name(), "PUBACK");
    client.publish(publish("a", "2").at(QoS2, 12));
    assert_eq!(client.next_packet().name(), "PUBREC");
    client.pubrel(12).expect_pubcomp(12);
    client.expect_nothing();
}

fn overlap(world: &mut World) -> Vec<whimbrel_testkit::Publish> {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a/#", QoS0).subscribed("a/+", QoS2).subscribed("a/b", QoS1);
    let mut publisher = world.connect(world.client("pub"));
    publisher.say("a/b", "x", QoS2);
    sub.drain_settled()
        .into_iter()
        .filter_map(|packet| if let Packet::Publish(message) = packet { Some(message) } else { None })
        .collect()
}

fn overlapping(world: &mut World) {
    let copies = overlap(world);
    let best = copies.iter().map(|message| message.qos).max();
    assert_eq!(best, Some(2), "the highest QoS of the {} copies", copies.len());
    assert!(copies.len() <= 3, "{} copies for three subscriptions", copies.len());
    if copies.len() > 1 {
        world.note(format!("overlapping subscriptions: {} copies", copies.len()));
    }
}

fn overlapping_once(world: &mut World) {
    let copies = overlap(world);
    assert_eq!(copies.len(), 1, "copies for three overlapping subscriptions");
    assert_eq!(copies[0].qos, 2);
}

fn subscription_id(world: &mut World) {
    let mut sub = world.connect(v5("sub"));
    sub.subscribe_with(Subscribe::one(1, "a", QoS1).subscription_id(1)).expect_suback(&[1]);
    sub.subscribe_with(Subscribe::one(2, "b", QoS1).and("c", QoS1).subscription_id(268_435_455))
        .expect_suback(&[1, 1]);
    sub.subscribe(3, "d", QoS1).expect_suback(&[1]);
    sub.subscribe_with(Subscribe::one(4, "e", QoS1).subscription_id(128)).expect_suback(&[1]);
    let mut publisher = world.connect(v5("pub"));
    for (topic, ids) in
        [("a", &[1][..]), ("b", &[268_435_455]), ("c", &[268_435_455]), ("d", &[]), ("e", &[128])]
    {
        publisher.say(topic, "x", QoS1);
        sub.taken(topic, "x").expect_subscription_ids(ids);
    }
    // A new SUBSCRIBE replaces the identifier, or its presence.
    sub.subscribe_with(Subscribe::one(5, "a", QoS1).subscription_id(7)).expect_suback(&[1]);
    sub.subscribe(6, "b", QoS1).expect_suback(&[1]);
    publisher.say("a", "y", QoS1);
    sub.taken("a", "y").expect_subscription_ids(&[7]);
    publisher.say("b", "y", QoS1);
    sub.taken("b", "y").expect_subscription_ids(&[]);
    // The identifiers are part of the session, and of each client its own.
    let mut other = world.connect(v5("other"));
    other.subscribe_with(Subscribe::one(1, "#", QoS0).subscription_id(99)).expect_suback(&[0]);
    publisher.say("a", "z", QoS1);
    sub.taken("a", "z").expect_subscription_ids(&[7]);
    other.taken("a", "z").expect_subscription_ids(&[99]);
}

fn overlap_with_ids(world: &mut World) -> Vec<Vec<u32>> {
    let mut sub = world.connect(v5("sub"));
    sub.subscribe_with(Subscribe::one(1, "a/#", QoS1).subscription_id(10)).expect_suback(&[1]);
    sub.subscribe_with(Subscribe::one(2, "a/+", QoS0).subscription_id(20)).expect_suback(&[0]);
    sub.subscribe_with(Subscribe::one(3, "+/b", QoS2).subscription_id(10)).expect_suback(&[2]);
    sub.subscribe(4, "a/b", QoS1).expect_suback(&[1]);
    sub.subscribe_with(Subscribe::one(5, "a/c", QoS1).subscription_id(30)).expect_suback(&[1]);
    world.connect(v5("pub")).say("a/b", "x", QoS2);
    sub.drain_settled()
        .into_iter()
        .filter_map(|packet| {
            if let Packet::Publish(m) = packet { Some(m.properties.subscription_ids()) } else { None }
        })
        .collect()
}

fn overlapping_ids(world: &mut World) {
    let mut copies = overlap_with_ids(world);
    copies.sort();
    // One copy with all, or a copy for each subscription with its own.
    let one: &[Vec<u32>] = &[vec![10, 10, 20]];
    let each: &[Vec<u32>] = &[vec![], vec![10], vec![10], vec![20]];
    assert!(copies == one || copies == each, "the subscription identifiers of the copies: {copies:?}");
}

fn overlapping_ids_once(world: &mut World) {
    assert_eq!(overlap_with_ids(world), [[10, 10, 20]], "the subscription identifiers of the copies");
}

fn no_matching_subscribers(world: &mut World) {
    let mut publisher = world.connect(v5("pub"));
    publisher.publish(publish("nobody", "x").at(QoS1, 1));
    assert_eq!(publisher.puback_for(1).code, 0x10);
    publisher.publish(publish("nobody", "x").at(QoS2, 2));
    assert_eq!(publisher.pubrec_for(2).code, 0x10);
    publisher.pubrel(2);
    assert_eq!(publisher.expect_pubcomp(2).code, 0);
    let mut sub = world.connect(v5("sub").persistent());
    sub.subscribed("somebody", QoS1);
    publisher.publish(publish("somebody", "x").at(QoS1, 3));
    assert_eq!(publisher.puback_for(3).code, 0);
    sub.cut();
    publisher.publish(publish("somebody", "x").at(QoS2, 4));
    assert_eq!(publisher.pubrec_for(4).code, 0, "a session without connection is a subscriber");
}

/// A topic of the server's own is the one publish that any server may refuse without being configured.
fn refused_publish(world: &mut World) {
    let version = world.version();
    assert!(version < Version::V5, "before 5.0 only");
    let mut publisher = world.connect(world.client("pub"));
    publisher.publish(publish("$SYS/broker/version", "mine").at(QoS1, 1));
    publisher.ping();
    match publisher.next_packet() {
        Packet::PubAck(ack) => assert_eq!(ack.id, 1),
        other => panic!("expected PUBACK or the close, not {other}"),
    }
    publisher.expect_pingresp();
    publisher.say("$SYS/broker/version", "mine", QoS2);
    publisher.expect_nothing();
}
