//! The Maximum Packet Size of both sides. That no packet exceeds what its receiver takes is checked on every connection
//! of the suite.

use whimbrel_testkit::{
    Ack, Disconnect, Packet, Property, QoS, QoS0, QoS1, QoS2, Refusal, Subscribe, World, bytes, publish, v5,
};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "v5_3_1_2_24_what_is_too_large_is_not_sent",
        too_large,
        &["MQTT-3.1.2-24", "MQTT-3.1.2-25"],
    ),
    Scenario::new("v5_3_1_2_25_what_is_too_large_takes_no_room_in_the_window", no_room, &["MQTT-3.1.2-25"]),
    Scenario::new("v5_3_1_2_25_what_is_too_large_does_not_block_a_queue", queue, &["MQTT-3.1.2-25"]),
    Scenario::new("v5_3_1_2_24_a_larger_packet_after_reconnect", larger_later, &["MQTT-3.1.2-24"]),
    Scenario::new("v5_3_1_2_24_retained_and_will", retained_and_will, &["MQTT-3.1.2-24", "MQTT-3.1.2-25"]),
    Scenario::new(
        "v5_3_4_2_2_answers_keep_to_the_packet_size",
        answers,
        &[
            "MQTT-3.4.2-2",
            "MQTT-3.4.2-3",
            "MQTT-3.5.2-2",
            "MQTT-3.5.2-3",
            "MQTT-3.6.2-2",
            "MQTT-3.6.2-3",
            "MQTT-3.7.2-2",
            "MQTT-3.7.2-3",
            "MQTT-3.9.2-1",
            "MQTT-3.9.2-2",
            "MQTT-3.11.2-1",
            "MQTT-3.11.2-2",
        ],
    ),
    Scenario::new(
        "v5_3_1_2_24_nobody_waits_for_an_answer_that_is_too_large",
        answer_too_large,
        &["MQTT-3.1.2-24", "MQTT-3.2.2-19"],
    ),
    Scenario::new(
        "v5_3_14_2_3_disconnect_keeps_to_the_packet_size",
        disconnect,
        &["MQTT-3.14.2-3", "MQTT-3.14.2-4"],
    ),
    Scenario::new(
        "v5_3_2_2_15_a_packet_larger_than_the_server_takes",
        server_limit,
        &["MQTT-3.2.2-15", "section 3.2.2.3.6"],
    ),
    Scenario::new(
        "v5_3_2_2_15_a_packet_as_large_as_the_server_takes",
        server_limit_reached,
        &["section 3.2.2.3.6"],
    )
    .choice(),
    Scenario::new("v311_4_8_0_1_a_packet_larger_than_the_server_takes", server_limit_v311, &["MQTT-4.8.0-1"])
        .and_v31()
        .choice(),
];

/// A payload so long that a PUBLISH of QoS 1 to `a` without properties has this size.
fn payload_for(size: usize) -> Vec<u8> {
    // First byte, remaining length of one byte, topic with its length, packet identifier, property length.
    vec![b'x'; size - (1 + 1 + 3 + 2 + 1)]
}

fn too_large(world: &mut World) {
    let mut sub = world.connect(v5("sub").packet_size_max(100));
    sub.subscribed("a", QoS2);
    let mut wide = world.connect(v5("wide"));
    wide.subscribed("a", QoS2);
    let mut publisher = world.connect(v5("pub"));
    for (size, fits) in [(100, true), (101, false), (99, true), (1000, false)] {
        let payload = payload_for(size);
        publisher.say("a", &payload, QoS1);
        wide.taken("a", &payload);
        if fits {
            sub.taken("a", &payload);
        }
        sub.expect_nothing();
    }
    for qos in QoS::ALL {
        publisher.say("a", vec![b'y'; 300], qos);
        wide.taken("a", vec![b'y'; 300]);
    }
    sub.expect_nothing();
}

fn no_room(world: &mut World) {
    let mut sub = world.connect(v5("sub").packet_size_max(100).receive_maximum(1));
    sub.subscribed("a", QoS2);
    let mut publisher = world.connect(v5("pub"));
    for n in 0..3 {
        publisher.say("a", vec![b'y'; 300], QoS1).say("a", vec![b'y'; 300], QoS2);
        publisher.say("a", n.to_string(), QoS1);
        sub.taken("a", n.to_string());
        sub.expect_nothing();
    }
}

fn queue(world: &mut World) {
    let mut sub = world.connect(v5("sub").persistent());
    sub.subscribed("a", QoS2);
    sub.cut();
    let mut publisher = world.connect(v5("pub"));
    publisher.say("a", "small", QoS1).say("a", vec![b'y'; 300], QoS2).say("a", "also small", QoS1);
    let mut sub = world.connect(v5("sub").persistent().packet_size_max(100));
    sub.taken("a", "small");
    sub.taken("a", "also small");
    sub.expect_nothing();
}

fn larger_later(world: &mut World) {
    let mut sub = world.connect(v5("sub").persistent().packet_size_max(100));
    sub.subscribed("a", QoS1);
    sub.cut();
    let mut publisher = world.connect(v5("pub"));
    let large = vec![b'y'; 300];
    publisher.say("a", &large, QoS1);
    let mut sub = world.connect(v5("sub").persistent());
    sub.taken("a", &large);
    sub.cut();
    let mut sub = world.connect(v5("sub").persistent().packet_size_max(200));
    publisher.say("a", &large, QoS1).say("a", "small", QoS1);
    sub.taken("a", "small");
    sub.expect_nothing();
}

fn retained_and_will(world: &mut World) {
    let mut publisher = world.connect(v5("pub"));
    publisher.published(publish("kept/1", vec![b'y'; 300]).retain().at(QoS1, 0));
    publisher.published(publish("kept/2", "small").retain().at(QoS1, 0));
    let mut sub = world.connect(v5("sub").packet_size_max(100));
    sub.subscribed("kept/#", QoS1);
    sub.taken("kept/2", "small");
    sub.subscribed("fate", QoS1);
    world.connect(v5("mortal").will(whimbrel_testkit::will("fate", vec![b'y'; 300]))).cut();
    sub.expect_nothing();
}

fn answers(world: &mut World) {
    for size in [64, 40] {
        let mut client = world.connect(v5("small").packet_size_max(size));
        client.publish(publish("nobody", "x").at(QoS1, 1)).expect_puback(1);
        client.publish(publish("nobody", "x").at(QoS2, 2)).expect_pubrec(2);
        client.pubrel(2).expect_pubcomp(2);
        client.pubrel(77).expect_pubcomp(77);
        client.publish(publish("$SYS/mine", "x").at(QoS1, 3)).puback_for(3);
        client.publish(publish("$SYS/mine", "x").at(QoS2, 4));
        if client.pubrec_for(4).code < 0x80 {
            client.pubrel(4).expect_pubcomp(4);
        }
        client.subscribed("a", QoS2);
        client.unsubscribe(5, &["a", "never/was"]).expect_unsuback(&[0, 0x11]);
        client.send_packet(Packet::PubAck(Ack::new(99, 0x80)));
        client.ping().expect_pingresp();
        client.disconnect();
    }
}

fn answer_too_large(world: &mut World) {
    for size in [4, 10, 20] {
        let mut client = world.start(v5("tiny").packet_size_max(size));
        match client.refusal() {
            Refusal::Accepted(_) => client.ping().expect_pingresp().disconnect(),
            refusal => world.note(format!("a maximum packet size of {size} is refused: {refusal:02X?}")),
        }
    }
    let mut client = world.connect(v5("small").packet_size_max(64));
    let filters =
        (1..80).fold(Subscribe::one(7, "t/0", QoS0), |packet, n| packet.and(&format!("t/{n}"), QoS0));
    client.subscribe_with(filters);
    client.expect_disconnect(0x95);
}

fn disconnect(world: &mut World) {
    for size in [64, 40] {
        let mut client = world.connect(v5("small").packet_size_max(size));
        client.send(bytes().raw([0xFF; 4]).packet(0x36));
        client.expect_closed();
        let mut client = world.connect(v5("small").packet_size_max(size));
        client.send_packet(Packet::Disconnect(Disconnect::new(0).with(Property::SessionExpiry(9))));
        client.expect_closed();
        let mut old = world.connect(v5("small").packet_size_max(size));
        let mut new = world.connect(v5("small").packet_size_max(size));
        old.expect_closed();
        new.disconnect();
    }
}

fn server_limit(world: &mut World) {
    let mut client = world.connect(v5("pub"));
    let Some(limit) = client.connack().properties.maximum_packet_size() else {
        assert!(!world.house(), "a maximum packet size is told");
        world.note("the server sets no maximum packet size: nothing proved");
        return;
    };
    // The fixed header and the beginning tell it; a server need not wait for the rest.
    let over = usize::try_from(limit).expect("a size");
    client.send(bytes().u8(0x30).variable(over).string("a").u8(0).raw([b'x'; 100]).0);
    client.expect_disconnect(0x95);
}

fn server_limit_reached(world: &mut World) {
    let mut sub = world.connect(v5("sub"));
    sub.subscribed("a", QoS0);
    let mut client = world.connect(v5("pub"));
    let limit = client.connack().properties.maximum_packet_size().expect("a maximum packet size");
    // First byte, three or four bytes of remaining length, topic with its length, property length.
    let body = usize::try_from(limit).expect("a size") - if limit > 2_097_151 { 5 } else { 4 };
    let payload = vec![b'x'; body - 4];
    client.publish(publish("a", &payload));
    sub.expect_publish("a", &payload);
    client.ping().expect_pingresp();
}

fn server_limit_v311(world: &mut World) {
    let mut client = world.connect(world.client("pub"));
    client.send(bytes().u8(0x30).variable(2 * 1024 * 1024).string("a").raw([b'x'; 100]).0);
    client.expect_closed();
}
