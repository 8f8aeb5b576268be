//! Section 3.3.2.3.4: topic aliases in both directions. That a server never sends one that the client has not allowed,
//! or that was not set on the connection, is checked on every PUBLISH of the suite.

use whimbrel_testkit::{Client, QoS, QoS0, QoS1, QoS2, World, publish, v5};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("v5_3_3_2_12_every_alias_up_to_the_maximum_is_accepted", accepted, &["MQTT-3.3.2-12"]),
    Scenario::new(
        "v5_3_3_4_an_alias_stands_for_its_topic",
        stands_for_topic,
        &["section 3.3.4", "section 3.3.2.3.4"],
    ),
    Scenario::new("v5_3_3_2_7_aliases_end_with_the_connection", end_with_connection, &["MQTT-3.3.2-7"]),
    Scenario::new("v5_3_3_2_7_aliases_of_two_clients_are_apart", apart, &["section 3.3.2.3.4"]),
    Scenario::new("v5_3_3_2_8_alias_zero_is_invalid", zero, &["MQTT-3.3.2-8"]),
    Scenario::new(
        "v5_3_3_2_9_an_alias_above_the_maximum_is_invalid",
        above,
        &["MQTT-3.3.2-9", "MQTT-3.2.2-17"],
    ),
    Scenario::new("v5_3_3_4_an_alias_that_was_not_set", not_set, &["section 3.3.4"]),
    Scenario::new("v5_3_1_2_27_no_alias_to_a_client_that_allows_none", none_allowed, &["MQTT-3.1.2-27"]),
    Scenario::new(
        "v5_3_1_2_26_aliases_to_a_client_within_its_maximum",
        within_maximum,
        &["MQTT-3.1.2-26", "MQTT-3.3.2-11", "MQTT-3.3.2-8"],
    ),
    Scenario::new("v5_3_3_2_7_aliases_to_a_client_begin_anew", begin_anew, &["MQTT-3.3.2-7"]),
    Scenario::new("v5_3_3_2_3_4_aliases_are_given_to_clients_that_allow_them", given, &["section 3.3.2.3.4"])
        .choice(),
    Scenario::new("v5_3_3_2_3_4_an_alias_is_not_stored", not_stored, &["section 3.3.2.3.4"]),
];

/// A publisher when the server accepts this many aliases from it.
fn publisher(world: &mut World, aliases: u16) -> Option<Client> {
    let publisher = world.connect(v5("pub"));
    if publisher.server_alias_max() >= aliases {
        return Some(publisher);
    }
    world.note(format!("the server accepts {} aliases: nothing proved", publisher.server_alias_max()));
    None
}

fn watcher(world: &mut World) -> Client {
    let mut sub = world.connect(v5("sub"));
    sub.subscribed("#", QoS2);
    sub
}

fn accepted(world: &mut World) {
    let mut sub = watcher(world);
    let Some(mut publisher) = publisher(world, 1) else { return };
    let maximum = publisher.server_alias_max();
    let aliases: Vec<u16> = (1..=maximum.min(100)).chain([maximum]).collect();
    for &alias in &aliases {
        publisher.publish(publish(&format!("topic/{alias}"), "set").alias(alias));
        sub.expect_publish(&format!("topic/{alias}"), "set");
    }
    for &alias in &aliases {
        publisher.publish(publish("", "used").alias(alias));
        sub.expect_publish(&format!("topic/{alias}"), "used");
    }
}

fn stands_for_topic(world: &mut World) {
    let mut sub = watcher(world);
    let Some(mut publisher) = publisher(world, 2) else { return };
    publisher.published(publish("one", "1").alias(1).at(QoS1, 0));
    publisher.published(publish("", "2").alias(1).at(QoS2, 0));
    publisher.published(publish("two", "3").alias(2));
    publisher.published(publish("", "4").alias(1));
    // The mapping is changed by a topic name, and only by one.
    publisher.published(publish("three", "5").alias(1).at(QoS1, 0));
    publisher.published(publish("", "6").alias(1));
    publisher.published(publish("", "7").alias(2).at(QoS1, 0));
    publisher.published(publish("one", "8").at(QoS1, 0));
    publisher.published(publish("", "9").alias(1).at(QoS1, 0));
    for (topic, text) in
        [("one", "1"), ("one", "2"), ("two", "3"), ("one", "4"), ("three", "5"), ("three", "6"), ("two", "7")]
    {
        let message = sub.taken(topic, text);
        assert_eq!(message.properties.topic_alias(), None, "the publisher's alias is not the subscriber's");
    }
    sub.taken("one", "8");
    sub.taken("three", "9");
    sub.expect_nothing();
}

fn end_with_connection(world: &mut World) {
    let Some(mut first) = publisher(world, 1) else { return };
    first.publish(publish("one", "1").alias(1));
    first.ping().expect_pingresp();
    first.disconnect();
    let mut again = world.connect(v5("pub").persistent());
    again.publish(publish("", "2").alias(1));
    again.expect_disconnect(0x82);
    let mut again = world.connect(v5("pub").persistent());
    again.publish(publish("one", "1").alias(1)).ping().expect_pingresp();
    again.cut();
    let mut again = world.connect(v5("pub").persistent());
    again.publish(publish("", "2").alias(1).at(QoS1, 1));
    again.expect_disconnect(0x82);
}

fn apart(world: &mut World) {
    let mut sub = watcher(world);
    let Some(mut one) = publisher(world, 1) else { return };
    let mut two = world.connect(v5("two"));
    one.publish(publish("one", "1").alias(1));
    sub.taken("one", "1");
    two.publish(publish("two", "2").alias(1));
    sub.taken("two", "2");
    one.publish(publish("", "3").alias(1));
    sub.taken("one", "3");
    two.publish(publish("", "4").alias(1));
    sub.taken("two", "4");
}

fn zero(world: &mut World) {
    for topic in ["a", ""] {
        let mut client = world.connect(v5("pub"));
        client.publish(publish(topic, "x").alias(0));
        client.expect_disconnect(0x94);
    }
}

fn above(world: &mut World) {
    let maximum = world.connect(v5("pub")).server_alias_max();
    if maximum == u16::MAX {
        world.note("every alias is accepted: nothing proved");
        return;
    }
    for alias in [maximum + 1, u16::MAX] {
        let mut client = world.connect(v5("pub"));
        client.publish(publish("a", "x").alias(alias));
        client.expect_disconnect(0x94);
    }
}

fn not_set(world: &mut World) {
    let Some(mut client) = publisher(world, 1) else { return };
    client.publish(publish("", "x").alias(1));
    client.expect_disconnect(0x82);
}

/// Publishes to a few topics again and again, and lets `sub` take all of it.
fn traffic(world: &mut World, sub: &mut Client) -> Vec<Option<u16>> {
    let mut publisher = world.connect(v5("source"));
    let mut aliases = Vec::new();
    for round in 0..6 {
        for n in 0..5 {
            let topic = format!("a/rather/long/topic/name/{n}");
            publisher.say(&topic, round.to_string(), QoS::ALL[round % 3]);
            aliases.push(sub.taken(&topic, round.to_string()).properties.topic_alias());
        }
    }
    publisher.disconnect();
    aliases
}

fn none_allowed(world: &mut World) {
    for connect in [v5("sub"), v5("sub").alias_max(0)] {
        let mut sub = world.connect(connect);
        sub.subscribed("a/#", QoS2);
        assert!(traffic(world, &mut sub).iter().all(Option::is_none), "no alias");
    }
}

fn within_maximum(world: &mut World) {
    for maximum in [1, 2, 5, 10, u16::MAX] {
        let mut sub = world.connect(v5("sub").alias_max(maximum));
        sub.subscribed("a/#", QoS2);
        let aliases = traffic(world, &mut sub);
        assert!(aliases.iter().flatten().all(|&alias| (1..=maximum).contains(&alias)));
    }
}

fn begin_anew(world: &mut World) {
    let mut sub = world.connect(v5("sub").persistent().alias_max(3));
    sub.subscribed("a/#", QoS2);
    traffic(world, &mut sub);
    let mut publisher = world.connect(v5("pub"));
    publisher.say("a/rather/long/topic/name/0", "open", QoS1);
    let open = sub.expect_publish("a/rather/long/topic/name/0", "open");
    sub.cut();
    publisher.say("a/rather/long/topic/name/0", "waiting", QoS1);
    // What is sent again and what has waited name their topics on the new connection: with a smaller maximum, and
    // with none.
    for connect in [v5("sub").persistent().alias_max(1), v5("sub").persistent()] {
        let mut sub = world.connect(connect);
        sub.expect_publish("a/rather/long/topic/name/0", "open").expect_dup(true).expect_id(open.id);
        sub.expect_publish("a/rather/long/topic/name/0", "waiting");
        sub.cut();
    }
}

fn given(world: &mut World) {
    let mut sub = world.connect(v5("sub").alias_max(10));
    sub.subscribed("a/#", QoS2);
    let aliases = traffic(world, &mut sub);
    assert!(
        aliases[20..].iter().all(Option::is_some),
        "topics that come again and again have aliases: {aliases:?}"
    );
}

fn not_stored(world: &mut World) {
    let Some(mut publisher) = publisher(world, 1) else { return };
    let mut sub = world.connect(v5("later").persistent());
    sub.subscribed("kept", QoS1);
    sub.cut();
    publisher.published(publish("kept", "1").alias(1).at(QoS1, 0));
    publisher.published(publish("", "2").alias(1).at(QoS1, 0));
    publisher.published(publish("kept", "last").alias(1).retain().at(QoS1, 0));
    publisher.disconnect();
    let mut sub = world.connect(v5("later").persistent());
    for text in ["1", "2", "last"] {
        assert_eq!(sub.taken("kept", text).properties.topic_alias(), None);
    }
    let mut new = world.connect(v5("new"));
    new.subscribed("kept", QoS0);
    assert_eq!(new.taken("kept", "last").expect_retain(true).properties.topic_alias(), None);
}
