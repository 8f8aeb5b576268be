//! The topics under `$SYS` that users of other brokers know. The specification leaves them free.

use whimbrel_testkit::{Client, Packet, QoS0, QoS1, QoS2, Version, World, publish};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("v5_4_7_2_the_brokers_version_is_readable", version, &["section 4.7.2"]).choice(),
    Scenario::new("v311_4_7_2_the_brokers_version_is_readable", version, &["section 4.7.2"])
        .and_v31()
        .choice(),
    Scenario::new("v5_4_7_2_the_brokers_topics_are_complete", topics, &["section 4.7.2"]).choice(),
    Scenario::new("v5_4_7_2_clients_do_not_publish_there", not_for_clients, &["section 4.7.2"]).choice(),
    Scenario::new(
        "v311_4_7_2_clients_do_not_publish_there",
        not_for_clients,
        &["section 4.7.2", "MQTT-3.3.5-2"],
    )
    .and_v31()
    .choice(),
];

fn value(client: &mut Client, topic: &str) -> String {
    client.subscribe(1, topic, QoS0).expect_suback(&[0]);
    let message = client.delivery();
    assert_eq!(message.topic, topic);
    client.unsubscribe(2, &[topic]).expect_unsuback(&[0]);
    String::from_utf8_lossy(&message.payload).into_owned()
}

fn version(world: &mut World) {
    let mut client = world.connect(world.client("reader"));
    assert!(!value(&mut client, "$SYS/broker/version").is_empty());
}

fn topics(world: &mut World) {
    let mut client = world.connect(world.client("reader"));
    for topic in [
        "$SYS/broker/version",
        "$SYS/broker/uptime",
        "$SYS/broker/clients/total",
        "$SYS/broker/clients/connected",
        "$SYS/broker/clients/disconnected",
        "$SYS/broker/clients/expired",
        "$SYS/broker/clients/maximum",
        "$SYS/broker/messages/received",
        "$SYS/broker/messages/sent",
        "$SYS/broker/messages/stored",
        "$SYS/broker/store/messages/count",
        "$SYS/broker/store/messages/bytes",
        "$SYS/broker/publish/messages/dropped",
        "$SYS/broker/publish/messages/received",
        "$SYS/broker/publish/messages/sent",
        "$SYS/broker/bytes/received",
        "$SYS/broker/bytes/sent",
        "$SYS/broker/subscriptions/count",
        "$SYS/broker/retained messages/count",
    ] {
        assert!(!value(&mut client, topic).is_empty(), "{topic} has a value at once");
    }
    for load in [
        "connections",
        "sockets",
        "bytes/received",
        "bytes/sent",
        "messages/received",
        "messages/sent",
        "publish/dropped",
        "publish/received",
        "publish/sent",
    ] {
        for window in ["1min", "5min", "15min"] {
            let topic = format!("$SYS/broker/load/{load}/{window}");
            assert!(!value(&mut client, &topic).is_empty(), "{topic} has a value at once");
        }
    }
}

fn not_for_clients(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("$SYS/broker/mine", QoS2);
    let mut publisher = world.connect(world.client("pub"));
    publisher.publish(publish("$SYS/broker/mine", "x").at(QoS1, 1));
    let told = publisher.puback_for(1).code;
    publisher.publish(publish("$SYS/broker/mine", "x").at(QoS2, 2));
    let told_again = publisher.pubrec_for(2).code;
    if world.version() == Version::V5 {
        assert_eq!((told, told_again), (0x87, 0x87));
    } else {
        publisher.pubrel(2).expect_pubcomp(2);
    }
    publisher.publish(publish("$SYS/broker/mine", "kept").at(QoS1, 3).retain()).puback_for(3);
    let mut later = world.connect(world.client("later"));
    later.subscribed("$SYS/broker/mine", QoS0);
    for client in [&mut sub, &mut later] {
        assert!(!client.drain_settled().iter().any(|packet| matches!(packet, Packet::Publish(_))));
    }
}
