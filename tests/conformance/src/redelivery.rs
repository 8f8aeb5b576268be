//! Section 4.4: what is sent again, when, and under which identifier; and what the server must still know of a client's
//! own exchanges after a reconnect.

use std::time::Duration;

use whimbrel_testkit::{Client, Packet, QoS, QoS1, QoS2, World, publish, v5};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "v5_4_4_0_1_an_unacknowledged_qos_1_is_sent_again",
        qos_1,
        &["MQTT-4.4.0-1", "MQTT-3.3.1-1", "MQTT-4.3.2-3", "MQTT-2.2.1-5"],
    ),
    Scenario::new(
        "v311_4_4_0_1_an_unacknowledged_qos_1_is_sent_again",
        qos_1,
        &["MQTT-4.4.0-1", "MQTT-3.3.1-1", "MQTT-4.3.2-1", "MQTT-2.3.1-4"],
    )
    .and_v31(),
    Scenario::new(
        "v5_4_4_0_1_an_unreceived_qos_2_is_sent_again",
        qos_2_publish,
        &["MQTT-4.4.0-1", "MQTT-4.3.3-3", "MQTT-3.3.1-1"],
    ),
    Scenario::new(
        "v311_4_4_0_1_an_unreceived_qos_2_is_sent_again",
        qos_2_publish,
        &["MQTT-4.4.0-1", "MQTT-4.3.3-1"],
    )
    .and_v31(),
    Scenario::new(
        "v5_4_4_0_1_pubrel_is_sent_again",
        qos_2_pubrel,
        &["MQTT-4.4.0-1", "MQTT-4.3.3-5", "MQTT-4.3.3-6"],
    ),
    Scenario::new("v311_4_4_0_1_pubrel_is_sent_again", qos_2_pubrel, &["MQTT-4.4.0-1", "MQTT-4.3.3-1"])
        .and_v31(),
    Scenario::new("v5_4_4_0_1_what_is_complete_is_not_sent_again", complete, &["MQTT-4.4.0-1"]),
    Scenario::new(
        "v311_4_4_0_1_what_is_complete_is_not_sent_again",
        complete,
        &["MQTT-4.3.2-1", "MQTT-4.3.3-1"],
    )
    .and_v31(),
    Scenario::new("v5_4_6_0_1_sent_again_in_the_original_order", order, &["MQTT-4.4.0-1", "MQTT-4.6.0-5"]),
    Scenario::new("v311_4_6_0_6_sent_again_in_the_original_order", order, &["MQTT-4.6.0-6"]).and_v31(),
    Scenario::new("v5_4_4_0_1_not_sent_again_while_connected", not_while_connected, &["MQTT-4.4.0-1"])
        .timed(),
    Scenario::new("v5_4_4_0_1_not_sent_again_for_hours", not_for_hours, &["MQTT-4.4.0-1"]).virtual_only(),
    Scenario::new("v5_4_4_0_1_sent_again_each_time", each_time, &["MQTT-4.4.0-1"]),
    Scenario::new("v311_4_4_0_1_sent_again_each_time", each_time, &["MQTT-4.4.0-1"]).and_v31(),
    Scenario::new(
        "v5_4_9_sent_again_within_the_new_receive_maximum",
        within_receive_maximum,
        &["MQTT-3.3.4-9", "MQTT-4.9.0-1", "MQTT-4.4.0-1"],
    ),
    Scenario::new(
        "v5_2_2_1_4_identifiers_in_flight_stay_in_use",
        ids_stay_in_use,
        &["MQTT-2.2.1-4", "MQTT-4.3.2-1"],
    ),
    Scenario::new("v311_2_3_1_4_identifiers_in_flight_stay_in_use", ids_stay_in_use, &["MQTT-2.3.1-4"])
        .and_v31(),
    Scenario::new(
        "v5_4_3_3_10_the_server_remembers_a_received_qos_2",
        inbound_remembered,
        &["MQTT-4.3.3-10", "MQTT-4.3.3-11"],
    ),
    Scenario::new(
        "v311_4_3_3_2_the_server_remembers_a_received_qos_2",
        inbound_remembered,
        &["MQTT-4.3.3-2"],
    )
    .and_v31(),
    Scenario::new("v5_4_3_3_12_the_server_forgets_with_the_session", inbound_forgotten, &["MQTT-3.1.2-4"]),
    Scenario::new("v311_3_1_2_6_the_server_forgets_with_the_session", inbound_forgotten, &["MQTT-3.1.2-6"])
        .and_v31(),
    Scenario::new("v5_4_3_2_5_a_repeated_qos_1_is_a_new_message", repeated_qos_1, &["MQTT-4.3.2-5"]),
    Scenario::new("v311_4_3_2_2_a_repeated_qos_1_is_a_new_message", repeated_qos_1, &["MQTT-4.3.2-2"])
        .and_v31(),
    Scenario::new("v5_4_3_3_7_a_sent_qos_2_does_not_expire", sent_does_not_expire, &["MQTT-4.3.3-7"]).timed(),
    Scenario::new("v5_4_3_3_13_the_exchange_goes_on_after_expiry", exchange_after_expiry, &["MQTT-4.3.3-13"])
        .timed(),
];

/// A session subscribed to `a` at QoS 2, and a publisher.
fn pair(world: &mut World) -> (Client, Client) {
    let mut sub = world.connect(world.client("sub").persistent());
    sub.subscribed("a", QoS2);
    (sub, world.connect(world.client("pub")))
}

fn qos_1(world: &mut World) {
    let (mut sub, mut publisher) = pair(world);
    publisher.say("a", "x", QoS1);
    let first = sub.expect_publish("a", "x").expect_dup(false);
    sub.cut();
    let mut sub = world.connect(world.client("sub").persistent());
    sub.expect_publish("a", "x").expect_dup(true).expect_id(first.id).expect_qos(QoS1).expect_retain(false);
    sub.puback(first.id);
    sub.expect_nothing();
    sub.disconnect();
    world.connect(world.client("sub").persistent()).expect_nothing();
}

fn qos_2_publish(world: &mut World) {
    let (mut sub, mut publisher) = pair(world);
    publisher.say("a", "x", QoS2);
    let first = sub.expect_publish("a", "x").expect_dup(false);
    sub.cut();
    let mut sub = world.connect(world.client("sub").persistent());
    sub.taken("a", "x").expect_dup(true).expect_id(first.id).expect_qos(QoS2);
    sub.expect_nothing();
}

fn qos_2_pubrel(world: &mut World) {
    let (mut sub, mut publisher) = pair(world);
    publisher.say("a", "x", QoS2);
    let id = sub.expect_publish("a", "x").id;
    sub.pubrec(id).expect_pubrel(id);
    for _ in 0..2 {
        sub.cut();
        sub = world.connect(world.client("sub").persistent());
        sub.expect_pubrel(id);
        sub.expect_nothing();
    }
    sub.pubcomp(id);
    sub.expect_nothing();
    sub.cut();
    world.connect(world.client("sub").persistent()).expect_nothing();
}

fn complete(world: &mut World) {
    let (mut sub, mut publisher) = pair(world);
    for (text, qos) in [("0", QoS::QoS0), ("1", QoS1), ("2", QoS2)] {
        publisher.say("a", text, qos);
        sub.taken("a", text);
    }
    sub.expect_nothing();
    sub.cut();
    world.connect(world.client("sub").persistent()).expect_nothing();
}

fn order(world: &mut World) {
    let (mut sub, mut publisher) = pair(world);
    let mut sent = Vec::new();
    for n in 0..12 {
        let qos = if n % 3 == 1 { QoS2 } else { QoS1 };
        publisher.say("a", n.to_string(), qos);
        sent.push(sub.expect_publish("a", n.to_string()).expect_qos(qos).expect_dup(false));
    }
    // A few are done, out of order; the rest stays open.
    for n in [2, 7, 0] {
        sub.acknowledge(&sent[n]);
    }
    sub.settle();
    sub.cut();
    publisher.say("a", "new", QoS1);
    let mut sub = world.connect(world.client("sub").persistent());
    for n in [1, 3, 4, 5, 6, 8, 9, 10, 11] {
        let again = sub.expect_publish("a", n.to_string()).expect_dup(true).expect_id(sent[n].id);
        assert_eq!(again.qos, sent[n].qos);
    }
    let new = sub.expect_publish("a", "new");
    sub.expect_waited(&new);
    sub.expect_nothing();
}

fn idle(world: &mut World, rounds: usize, time: Duration) {
    let (mut sub, mut publisher) = pair(world);
    publisher.say("a", "one", QoS1).say("a", "two", QoS2);
    let one = sub.expect_publish("a", "one");
    let two = sub.expect_publish("a", "two");
    sub.pubrec(two.id).expect_pubrel(two.id);
    for _ in 0..rounds {
        world.advance(time);
        sub.ping().expect_pingresp();
        publisher.ping().expect_pingresp();
        sub.expect_nothing();
    }
    sub.puback(one.id);
    sub.pubcomp(two.id);
    sub.expect_nothing();
}

fn not_while_connected(world: &mut World) {
    idle(world, 3, Duration::from_secs(7));
}

fn not_for_hours(world: &mut World) {
    idle(world, 200, Duration::from_secs(60));
}

fn each_time(world: &mut World) {
    let (mut sub, mut publisher) = pair(world);
    publisher.say("a", "one", QoS1).say("a", "two", QoS2);
    let one = sub.expect_publish("a", "one");
    let two = sub.expect_publish("a", "two");
    for _ in 0..3 {
        sub.cut();
        sub = world.connect(world.client("sub").persistent());
        sub.expect_publish("a", "one").expect_dup(true).expect_id(one.id);
        sub.expect_publish("a", "two").expect_dup(true).expect_id(two.id);
        sub.expect_nothing();
    }
}

fn within_receive_maximum(world: &mut World) {
    let (mut sub, mut publisher) = pair(world);
    let mut sent = Vec::new();
    for n in 0..6 {
        publisher.say("a", n.to_string(), if n % 2 == 0 { QoS1 } else { QoS2 });
        sent.push(sub.expect_publish("a", n.to_string()));
    }
    sub.cut();
    publisher.say("a", "new", QoS1);
    let mut sub = world.connect(v5("sub").persistent().receive_maximum(2));
    let mut window: Vec<_> = (0..2)
        .map(|n| sub.expect_publish("a", n.to_string()).expect_dup(true).expect_id(sent[n].id))
        .collect();
    sub.expect_nothing();
    for (n, earlier) in sent.iter().enumerate().skip(2) {
        let done = window.remove(0);
        sub.acknowledge(&done);
        window.push(sub.expect_publish("a", n.to_string()).expect_dup(true).expect_id(earlier.id));
        sub.expect_nothing();
    }
    let done = window.remove(0);
    sub.acknowledge(&done);
    let new = sub.expect_publish("a", "new");
    sub.expect_waited(&new);
    sub.acknowledge(&window[0]);
    sub.acknowledge(&new);
    sub.expect_nothing();
}

fn ids_stay_in_use(world: &mut World) {
    let (mut sub, mut publisher) = pair(world);
    publisher.say("a", "one", QoS1).say("a", "two", QoS2);
    let one = sub.expect_publish("a", "one").id;
    let two = sub.expect_publish("a", "two").id;
    sub.pubrec(two).expect_pubrel(two);
    sub.cut();
    let mut sub = world.connect(world.client("sub").persistent());
    sub.expect_publish("a", "one").expect_id(one);
    sub.expect_pubrel(two);
    for n in 0..10 {
        publisher.say("a", n.to_string(), QoS1);
        let id = sub.expect_publish("a", n.to_string()).id;
        assert!(id != one && id != two, "packet identifier {id} is in use since the earlier connection");
    }
}

fn inbound_remembered(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS2);
    let mut publisher = world.connect(world.client("pub").persistent());
    publisher.publish(publish("a", "x").at(QoS2, 5)).expect_pubrec(5);
    publisher.cut();
    let mut publisher = world.connect(world.client("pub").persistent());
    publisher.publish(publish("a", "x").at(QoS2, 5).dup()).expect_pubrec(5);
    publisher.pubrel(5).expect_pubcomp(5);
    publisher.cut();
    // The PUBCOMP may have been lost: the same PUBREL again completes again.
    let mut publisher = world.connect(world.client("pub").persistent());
    publisher.pubrel(5).expect_pubcomp(5);
    sub.taken("a", "x").expect_dup(false);
    sub.expect_nothing();
    publisher.publish(publish("a", "new").at(QoS2, 5)).expect_pubrec(5);
    publisher.pubrel(5).expect_pubcomp(5);
    sub.taken("a", "new");
    sub.expect_nothing();
}

fn inbound_forgotten(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS2);
    let mut publisher = world.connect(world.client("pub").persistent());
    publisher.publish(publish("a", "one").at(QoS2, 5)).expect_pubrec(5);
    publisher.cut();
    let mut publisher = world.connect(world.client("pub"));
    publisher.publish(publish("a", "two").at(QoS2, 5)).expect_pubrec(5);
    publisher.pubrel(5).expect_pubcomp(5);
    // The first had been accepted with its PUBREC. A server may have waited for its PUBREL to pass it on, and then it
    // went with the session.
    let mut texts = Vec::new();
    while texts.last() != Some(&"two".to_owned()) {
        let message = sub.delivery();
        sub.acknowledge(&message);
        texts.push(String::from_utf8_lossy(&message.payload).into_owned());
    }
    assert!(texts == ["one", "two"] || (texts == ["two"] && !world.house()), "what was delivered: {texts:?}");
    sub.expect_nothing();
}

fn repeated_qos_1(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS1);
    let mut publisher = world.connect(world.client("pub").persistent());
    publisher.publish(publish("a", "x").at(QoS1, 5)).expect_puback(5);
    publisher.cut();
    let mut publisher = world.connect(world.client("pub").persistent());
    publisher.publish(publish("a", "x").at(QoS1, 5).dup()).expect_puback(5);
    sub.taken("a", "x").expect_dup(false);
    sub.taken("a", "x").expect_dup(false);
    sub.expect_nothing();
}

fn sent_does_not_expire(world: &mut World) {
    let (mut sub, mut publisher) = pair(world);
    publisher.published(publish("a", "x").expiry(1).at(QoS2, 0));
    let first = sub.expect_publish("a", "x");
    sub.cut();
    world.past(2);
    let mut sub = world.connect(v5("sub").persistent());
    sub.taken("a", "x").expect_dup(true).expect_id(first.id);
    sub.expect_nothing();
}

fn exchange_after_expiry(world: &mut World) {
    let mut sub = world.connect(v5("sub").persistent());
    sub.subscribed("a", QoS2);
    sub.cut();
    let mut publisher = world.connect(v5("pub"));
    publisher.publish(publish("a", "x").expiry(1).at(QoS2, 5)).expect_pubrec(5);
    world.past(2);
    publisher.publish(publish("a", "x").expiry(1).at(QoS2, 5).dup()).expect_pubrec(5);
    publisher.pubrel(5);
    assert_eq!(publisher.expect_pubcomp(5).code, 0);
    let mut sub = world.connect(v5("sub").persistent());
    assert!(!sub.drain_settled().iter().any(|packet| matches!(packet, Packet::Publish(_))), "it has expired");
}
