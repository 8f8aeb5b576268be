//! Section 4.3: the exchanges of QoS 1 and 2, in both directions. What happens to them over reconnects is in
//! `redelivery`.

use std::collections::BTreeSet;

use whimbrel_testkit::{Ack, Packet, QoS, QoS0, QoS1, QoS2, World, publish, v5};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("v5_4_3_2_4_qos_1_is_acknowledged", qos_1_in, &["MQTT-4.3.2-4", "MQTT-2.2.1-5"]),
    Scenario::new("v311_4_3_2_2_qos_1_is_acknowledged", qos_1_in, &["MQTT-4.3.2-2", "MQTT-2.3.1-6"])
        .and_v31(),
    Scenario::new("v5_4_3_2_5_after_puback_the_identifier_is_new", qos_1_again, &["MQTT-4.3.2-5"]),
    Scenario::new("v311_4_3_2_2_after_puback_the_identifier_is_new", qos_1_again, &["MQTT-4.3.2-2"])
        .and_v31(),
    Scenario::new(
        "v5_4_3_2_1_qos_1_is_sent_with_an_unused_identifier",
        qos_1_out,
        &["MQTT-4.3.2-1", "MQTT-4.3.2-2", "MQTT-2.2.1-4"],
    ),
    Scenario::new(
        "v311_4_3_2_1_qos_1_is_sent_with_an_unused_identifier",
        qos_1_out,
        &["MQTT-4.3.2-1", "MQTT-2.3.1-4"],
    )
    .and_v31(),
    Scenario::new(
        "v5_4_3_3_8_qos_2_is_received",
        qos_2_in,
        &["MQTT-4.3.3-8", "MQTT-4.3.3-11", "MQTT-2.2.1-5"],
    ),
    Scenario::new("v311_4_3_3_2_qos_2_is_received", qos_2_in, &["MQTT-4.3.3-2", "MQTT-2.3.1-6"]).and_v31(),
    Scenario::new("v5_4_3_3_10_qos_2_is_delivered_once", qos_2_duplicate, &["MQTT-4.3.3-10"]),
    Scenario::new("v311_4_3_3_2_qos_2_is_delivered_once", qos_2_duplicate, &["MQTT-4.3.3-2"]).and_v31(),
    Scenario::new("v5_4_3_3_12_after_pubcomp_the_identifier_is_new", qos_2_again, &["MQTT-4.3.3-12"]),
    Scenario::new("v311_4_3_3_2_after_pubcomp_the_identifier_is_new", qos_2_again, &["MQTT-4.3.3-2"])
        .and_v31(),
    Scenario::new(
        "v5_4_3_3_9_after_a_refusing_pubrec_the_identifier_is_new",
        refused_then_new,
        &["MQTT-4.3.3-9"],
    ),
    Scenario::new(
        "v5_4_3_3_1_qos_2_is_sent_with_an_unused_identifier",
        qos_2_out,
        &["MQTT-4.3.3-1", "MQTT-4.3.3-2", "MQTT-4.3.3-4", "MQTT-4.3.3-6", "MQTT-2.2.1-4"],
    ),
    Scenario::new(
        "v311_4_3_3_1_qos_2_is_sent_with_an_unused_identifier",
        qos_2_out,
        &["MQTT-4.3.3-1", "MQTT-2.3.1-4"],
    )
    .and_v31(),
    Scenario::new(
        "v5_4_3_3_4_a_refusing_pubrec_ends_the_exchange",
        refusing_pubrec,
        &["MQTT-4.3.3-4", "MQTT-4.4.0-2"],
    ),
    Scenario::new("v5_4_4_0_2_a_refusing_puback_ends_the_exchange", refusing_puback, &["MQTT-4.4.0-2"]),
    Scenario::new("v5_3_8_4_8_qos_is_the_lower_of_both", lower_of_both, &["MQTT-3.8.4-8"]),
    Scenario::new("v311_3_8_4_6_qos_is_the_lower_of_both", lower_of_both, &["MQTT-3.8.4-6"]).and_v31(),
    Scenario::new("v5_4_3_3_many_exchanges_at_once", many_at_once, &["MQTT-2.2.1-4", "MQTT-2.2.1-5"]),
    Scenario::new("v311_4_3_3_many_exchanges_at_once", many_at_once, &["MQTT-2.3.1-4", "MQTT-2.3.1-6"])
        .and_v31(),
    Scenario::new(
        "v5_2_2_1_4_identifiers_come_round",
        identifiers_come_round,
        &["MQTT-2.2.1-4", "MQTT-4.3.2-1"],
    ),
    Scenario::new("v311_2_3_1_4_identifiers_come_round", identifiers_come_round, &["MQTT-2.3.1-4"]),
    Scenario::new("v5_2_2_1_the_same_identifier_in_both_directions", both_directions, &["section 2.2.1"]),
    Scenario::new("v311_2_3_1_the_same_identifier_in_both_directions", both_directions, &["section 2.3.1"])
        .and_v31(),
    Scenario::new(
        "v5_3_6_2_1_unknown_identifiers_are_not_found",
        unknown_ids,
        &["MQTT-3.6.2-1", "MQTT-3.7.2-1", "MQTT-4.3.3-11"],
    ),
    Scenario::new(
        "v5_3_7_2_1_unknown_identifiers_are_told",
        unknown_ids_told,
        &["section 3.6.2.1", "section 3.7.2.1"],
    )
    .choice(),
    Scenario::new(
        "v311_4_3_3_2_pubrel_of_an_unknown_identifier_completes",
        unknown_pubrel,
        &["MQTT-4.3.3-2"],
    )
    .and_v31(),
    Scenario::new("v5_4_6_answers_come_in_the_order_of_the_publishes", answers_in_order, &["section 4.6"])
        .choice(),
    Scenario::new("v311_4_6_answers_come_in_the_order_of_the_publishes", answers_in_order, &["section 4.6"])
        .and_v31()
        .choice(),
];

fn qos_1_in(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS0);
    let mut client = world.connect(world.client("pub"));
    for id in [1, 2, 255, 256, 0x1234, 65_535] {
        client.publish(publish("a", "x").at(QoS1, id)).expect_puback(id);
        sub.expect_publish("a", "x");
    }
    client.expect_nothing();
    sub.expect_nothing();
}

fn qos_1_again(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS0);
    let mut client = world.connect(world.client("pub"));
    client.publish(publish("a", "one").at(QoS1, 5)).expect_puback(5);
    client.publish(publish("a", "two").at(QoS1, 5).dup()).expect_puback(5);
    client.publish(publish("a", "two").at(QoS1, 5)).expect_puback(5);
    for text in ["one", "two", "two"] {
        sub.expect_publish("a", text);
    }
    sub.expect_nothing();
}

fn qos_1_out(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS1);
    let mut client = world.connect(world.client("pub"));
    let mut ids = BTreeSet::new();
    for n in 0..10 {
        client.say("a", n.to_string(), QoS1);
        let message = sub.expect_publish("a", n.to_string()).expect_qos(QoS1).expect_dup(false);
        assert!(ids.insert(message.id), "packet identifier {} is in use", message.id);
    }
    for id in ids {
        sub.puback(id);
    }
    sub.expect_nothing();
}

fn qos_2_in(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS0);
    let mut client = world.connect(world.client("pub"));
    for id in [1, 256, 65_535] {
        client.publish(publish("a", "x").at(QoS2, id)).expect_pubrec(id);
        client.pubrel(id);
        assert_eq!(client.expect_pubcomp(id).code, 0);
        sub.expect_publish("a", "x");
    }
    client.expect_nothing();
    sub.expect_nothing();
}

fn qos_2_duplicate(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS2);
    let mut client = world.connect(world.client("pub"));
    client.publish(publish("a", "x").at(QoS2, 5)).expect_pubrec(5);
    client.publish(publish("a", "x").at(QoS2, 5).dup()).expect_pubrec(5);
    client.publish(publish("a", "x").at(QoS2, 5).dup()).expect_pubrec(5);
    client.pubrel(5).expect_pubcomp(5);
    sub.taken("a", "x");
    sub.expect_nothing();
    client.expect_nothing();
}

fn qos_2_again(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS0);
    let mut client = world.connect(world.client("pub"));
    for text in ["one", "two"] {
        client.publish(publish("a", text).at(QoS2, 5)).expect_pubrec(5);
        client.pubrel(5).expect_pubcomp(5);
        sub.expect_publish("a", text);
    }
    sub.expect_nothing();
}

/// A topic of the server's own is what it refuses without being configured; where it does not, nothing is proved.
fn refused_then_new(world: &mut World) {
    let mut sub = world.connect(v5("sub"));
    sub.subscribed("a", QoS0);
    let mut client = world.connect(v5("pub"));
    client.publish(publish("$SYS/broker/version", "mine").at(QoS2, 5));
    let ack = client.pubrec_for(5);
    if ack.code < 0x80 {
        assert!(!world.house(), "$SYS is not for clients");
        world.note("a publish to $SYS/broker/version is not refused: nothing proved");
        return;
    }
    client.publish(publish("a", "new").at(QoS2, 5).dup()).expect_pubrec(5);
    client.pubrel(5);
    assert_eq!(client.expect_pubcomp(5).code, 0);
    sub.expect_publish("a", "new");
    sub.expect_nothing();
}

fn qos_2_out(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS2);
    let mut client = world.connect(world.client("pub"));
    let mut ids = BTreeSet::new();
    for n in 0..6 {
        client.say("a", n.to_string(), QoS2);
        let message = sub.expect_publish("a", n.to_string()).expect_qos(QoS2).expect_dup(false);
        assert!(ids.insert(message.id), "packet identifier {} is in use", message.id);
    }
    sub.expect_nothing();
    for &id in &ids {
        sub.pubrec(id);
        assert_eq!(sub.expect_pubrel(id).code, 0);
    }
    sub.expect_nothing();
    for &id in &ids {
        sub.pubcomp(id);
    }
    sub.expect_nothing();
}

fn refusing_pubrec(world: &mut World) {
    let mut sub = world.connect(v5("sub").persistent().receive_maximum(1));
    sub.subscribed("a", QoS2);
    let mut client = world.connect(v5("pub"));
    client.say("a", "one", QoS2).say("a", "two", QoS2);
    let one = sub.expect_publish("a", "one");
    sub.send_packet(Packet::PubRec(Ack::new(one.id, 0x83)));
    // No PUBREL; the quota is free again, and the message does not come back.
    sub.taken("a", "two");
    sub.expect_nothing();
    sub.cut();
    let mut sub = world.connect(v5("sub").persistent());
    sub.expect_nothing();
}

fn refusing_puback(world: &mut World) {
    let mut sub = world.connect(v5("sub").persistent().receive_maximum(1));
    sub.subscribed("a", QoS1);
    let mut client = world.connect(v5("pub"));
    client.say("a", "one", QoS1).say("a", "two", QoS1);
    let one = sub.expect_publish("a", "one");
    sub.send_packet(Packet::PubAck(Ack::new(one.id, 0x80)));
    sub.taken("a", "two");
    sub.expect_nothing();
    sub.cut();
    let mut sub = world.connect(v5("sub").persistent());
    sub.expect_nothing();
}

fn lower_of_both(world: &mut World) {
    let mut publisher = world.connect(world.client("pub"));
    for granted in QoS::ALL {
        let mut sub = world.connect(world.client("sub"));
        sub.subscribed("a", granted);
        for published in QoS::ALL {
            publisher.say("a", "x", published);
            sub.taken("a", "x").expect_qos(granted.min(published));
        }
        sub.expect_nothing();
        sub.disconnect();
    }
}

fn many_at_once(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS2);
    let mut client = world.connect(world.client("pub"));
    for n in 1..=15u16 {
        let qos = if n % 2 == 0 { QoS2 } else { QoS1 };
        client.publish(publish("a", n.to_string()).at(qos, n));
    }
    for n in (1..=15u16).rev() {
        if n % 2 == 0 {
            client.expect_pubrec(n);
            client.pubrel(n).expect_pubcomp(n);
        } else {
            client.expect_puback(n);
        }
    }
    let mut messages = Vec::new();
    for _ in 1..=15 {
        messages.push(sub.delivery());
    }
    messages.iter().rev().for_each(|message| sub.acknowledge(message));
    let mut texts: Vec<u16> =
        messages.iter().map(|m| String::from_utf8_lossy(&m.payload).parse().expect("a number")).collect();
    texts.sort_unstable();
    assert_eq!(texts, (1..=15).collect::<Vec<u16>>());
    sub.expect_nothing();
    client.expect_nothing();
}

fn both_directions(world: &mut World) {
    let mut client = world.connect(world.client("both"));
    client.subscribed("a", QoS2);
    client.publish(publish("a", "first").at(QoS1, 77));
    let first = client.expect_publish("a", "first");
    client.expect_puback(77);
    // The client's own message under the identifier that the server is using towards it.
    client.publish(publish("a", "second").at(QoS2, first.id)).expect_pubrec(first.id);
    client.puback(first.id);
    client.pubrel(first.id).expect_pubcomp(first.id);
    client.taken("a", "second").expect_qos(QoS2);
    client.expect_nothing();
}

/// PUBREL must be answered with PUBCOMP, and what is told in it and in PUBREL is one of two codes (which the decoder
/// checks); whether the connection survives an unknown PUBREC is free.
fn unknown_ids(world: &mut World) {
    let mut client = world.connect(v5("one"));
    client.pubrel(9).expect_pubcomp(9);
    client.puback(10);
    client.pubcomp(11);
    client.expect_nothing();
}

fn unknown_ids_told(world: &mut World) {
    let mut client = world.connect(v5("one"));
    client.pubrel(9);
    assert_eq!(client.expect_pubcomp(9).code, 0x92);
    client.pubrec(10);
    assert_eq!(client.expect_pubrel(10).code, 0x92);
    client.pubcomp(10);
    client.puback(11);
    client.expect_nothing();
}

fn unknown_pubrel(world: &mut World) {
    let mut client = world.connect(world.client("one"));
    client.pubrel(9).expect_pubcomp(9);
    client.expect_nothing();
}

fn answers_in_order(world: &mut World) {
    let mut client = world.connect(world.client("pub"));
    for id in 1..=20 {
        client.publish(publish("a", "x").at(if id % 3 == 0 { QoS2 } else { QoS1 }, id));
    }
    for id in 1..=20 {
        match client.next_packet() {
            Packet::PubAck(ack) | Packet::PubRec(ack) => assert_eq!(ack.id, id, "the order of the answers"),
            other => panic!("expected PUBACK or PUBREC {id}, not {other}"),
        }
    }
}

/// More deliveries than there are packet identifiers, while a few stay open. That none of these is used again, and
/// never zero, is checked by the peer.
fn identifiers_come_round(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS2);
    let mut publisher = world.connect(world.client("pub"));
    publisher.say("a", "open", QoS1).say("a", "open", QoS2);
    let (one, two) = (sub.delivery(), sub.delivery());
    sub.pubrec(two.id).expect_pubrel(two.id);
    for _ in 0..330u16 {
        for id in 1..=200 {
            publisher.publish(publish("a", "x").at(QoS1, id));
        }
        for id in 1..=200 {
            publisher.expect_puback(id);
            let message = sub.delivery();
            sub.puback(message.id);
        }
    }
    sub.puback(one.id);
    sub.pubcomp(two.id);
    sub.expect_nothing();
}
