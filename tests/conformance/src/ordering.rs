//! Section 4.6: what a client sends in an order reaches each subscriber in that order.

use whimbrel_testkit::{QoS, QoS1, QoS2, Version, World, publish, v5};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("v5_4_6_0_5_each_qos_keeps_its_order", each_qos, &["MQTT-4.6.0-5", "MQTT-4.6.0-6"]),
    Scenario::new("v311_4_6_0_6_each_qos_keeps_its_order", each_qos, &["MQTT-4.6.0-5", "MQTT-4.6.0-6"])
        .and_v31(),
    Scenario::new("v5_4_6_0_5_each_publisher_keeps_its_order", each_publisher, &["MQTT-4.6.0-5"]),
    Scenario::new("v311_4_6_0_6_each_publisher_keeps_its_order", each_publisher, &["MQTT-4.6.0-6"]).and_v31(),
    Scenario::new("v5_4_6_0_5_what_waits_goes_before_what_comes", queue_first, &["MQTT-4.6.0-5"]),
    Scenario::new("v311_4_6_0_6_what_waits_goes_before_what_comes", queue_first, &["MQTT-4.6.0-6"]).and_v31(),
    Scenario::new(
        "v5_4_6_0_5_order_within_a_window_of_one",
        window_of_one,
        &["MQTT-4.6.0-5", "MQTT-4.9.0-2"],
    ),
    Scenario::new("v311_4_6_0_6_pubrels_follow_the_order_of_the_pubrecs", pubrels, &["MQTT-4.6.0-6"])
        .and_v31(),
    Scenario::new("v5_4_6_pubrels_follow_the_order_of_the_pubrecs", pubrels, &["section 4.6"]).choice(),
    Scenario::new("v5_4_6_different_qos_keep_their_order_too", across_qos, &["section 4.6"]).choice(),
];

fn each_qos(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS2);
    let mut publisher = world.connect(world.client("pub"));
    for qos in QoS::ALL {
        for n in 0..40 {
            publisher.say("a", n.to_string(), qos);
        }
        for n in 0..40 {
            sub.taken("a", n.to_string()).expect_qos(qos);
        }
    }
    sub.expect_nothing();
}

fn each_publisher(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS1);
    let mut publishers: Vec<_> = (0..4).map(|n| world.connect(world.client(&format!("pub{n}")))).collect();
    for n in 0..20u16 {
        for (who, publisher) in publishers.iter_mut().enumerate() {
            publisher.publish(publish("a", format!("{who} {n}")).at(QoS1, n + 1));
        }
    }
    let mut next = [0u16; 4];
    for _ in 0..80 {
        let message = sub.delivery();
        sub.acknowledge(&message);
        let text = String::from_utf8_lossy(&message.payload).into_owned();
        let (who, n) = text.split_once(' ').expect("two numbers");
        let (who, n): (usize, u16) = (who.parse().expect("a publisher"), n.parse().expect("a number"));
        assert_eq!(n, next[who], "the next message of publisher {who}");
        next[who] += 1;
    }
    sub.expect_nothing();
}

fn queue_first(world: &mut World) {
    let mut sub = world.connect(world.client("sub").persistent());
    sub.subscribed("a", QoS1);
    sub.cut();
    let mut publisher = world.connect(world.client("pub"));
    for n in 0..50 {
        publisher.say("a", n.to_string(), QoS1);
    }
    // The session resumes while more comes.
    let mut sub = world.start(world.client("sub").persistent());
    for n in 50..80u16 {
        publisher.publish(publish("a", n.to_string()).at(QoS1, n));
    }
    assert_eq!(sub.expect_connack().code, 0);
    for n in 0..80 {
        let message = sub.taken("a", n.to_string());
        sub.expect_waited(&message);
    }
    sub.expect_nothing();
}

fn window_of_one(world: &mut World) {
    let mut sub = world.connect(v5("sub").receive_maximum(1));
    sub.subscribed("a", QoS2);
    let mut publisher = world.connect(v5("pub"));
    for n in 0..20 {
        publisher.say("a", n.to_string(), if n % 2 == 0 { QoS1 } else { QoS2 });
    }
    for n in 0..20 {
        sub.taken("a", n.to_string());
    }
    sub.expect_nothing();
}

fn pubrels(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS2);
    let mut publisher = world.connect(world.client("pub"));
    let mut ids: Vec<u16> = (0..6)
        .map(|n: u16| {
            publisher.say("a", n.to_string(), QoS2);
            sub.expect_publish("a", n.to_string()).id
        })
        .collect();
    ids.reverse();
    for &id in &ids {
        sub.pubrec(id);
    }
    let mut found = Vec::new();
    while found.len() < ids.len() {
        match sub.next_packet() {
            whimbrel_testkit::Packet::PubRel(ack) => found.push(ack.id),
            other => panic!("expected PUBREL, not {other}"),
        }
    }
    assert_eq!(found, ids, "the order of the PUBRELs");
    assert!(world.version() <= Version::V5);
}

fn across_qos(world: &mut World) {
    let mut sub = world.connect(v5("sub"));
    sub.subscribed("a", QoS2);
    let mut publisher = world.connect(v5("pub"));
    for n in 0..30u16 {
        let qos = QoS::ALL[usize::from(n % 3)];
        publisher.publish(publish("a", n.to_string()).at(qos, n + 1));
    }
    for n in 0..30 {
        sub.taken("a", n.to_string());
    }
}
