//! Section 4.9 and the Receive Maximum of both sides.

use whimbrel_testkit::{Client, Packet, QoS0, QoS1, QoS2, World, publish, v5, v311};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "v5_4_9_0_2_no_more_than_the_receive_maximum_qos_1",
        window_qos_1,
        &["MQTT-4.9.0-1", "MQTT-4.9.0-2", "MQTT-3.3.4-9"],
    ),
    Scenario::new(
        "v5_4_9_0_2_no_more_than_the_receive_maximum_qos_2",
        window_qos_2,
        &["MQTT-4.9.0-2", "MQTT-3.3.4-9"],
    ),
    Scenario::new(
        "v5_4_9_0_2_the_window_of_a_resumed_queue",
        window_of_queue,
        &["MQTT-4.9.0-2", "MQTT-3.3.4-9"],
    ),
    Scenario::new("v5_4_9_0_3_everything_else_goes_on", everything_else, &["MQTT-4.9.0-3", "MQTT-3.3.4-10"]),
    Scenario::new(
        "v5_3_3_4_7_the_servers_window_may_be_filled",
        server_window,
        &["MQTT-3.3.4-7", "section 3.2.2.3.3"],
    ),
    Scenario::new(
        "v5_3_3_4_7_more_than_the_servers_window",
        server_window_exceeded,
        &["MQTT-3.3.4-7", "section 3.3.4"],
    ),
    Scenario::new(
        "v5_3_3_4_7_a_pubrel_of_nothing_does_not_widen_the_servers_window",
        extra_pubrel,
        &["MQTT-3.3.4-7", "section 4.9"],
    ),
    Scenario::new("v5_4_9_quotas_begin_anew_with_each_connection", anew, &["section 4.9"]),
    Scenario::new("v5_4_9_an_extra_pubcomp_does_not_widen_the_window", extra_pubcomp, &["section 4.9"]),
    Scenario::new("v311_4_3_3_2_many_unreleased_qos_2_do_not_block", many_unreleased, &["MQTT-4.3.3-2"]),
    Scenario::new("v311_4_3_2_2_many_qos_1_at_once_are_all_acknowledged", many_qos_1, &["MQTT-4.3.2-2"])
        .and_v31(),
];

/// A client with this receive maximum, subscribed to `a` at QoS 2, and a publisher.
fn pair(world: &mut World, maximum: u16) -> (Client, Client) {
    let mut sub = world.connect(v5("sub").receive_maximum(maximum));
    sub.subscribed("a", QoS2);
    (sub, world.connect(v5("pub")))
}

fn window_qos_1(world: &mut World) {
    let (mut sub, mut publisher) = pair(world, 3);
    for n in 0..8 {
        publisher.say("a", n.to_string(), QoS1);
    }
    let mut open: Vec<u16> = (0..3).map(|n| sub.expect_publish("a", n.to_string()).id).collect();
    sub.expect_nothing();
    for n in 3..8 {
        // Any of them gives way to the next.
        let done = open.remove(n % open.len());
        sub.puback(done);
        open.push(sub.expect_publish("a", n.to_string()).id);
        sub.expect_nothing();
    }
}

fn window_qos_2(world: &mut World) {
    let (mut sub, mut publisher) = pair(world, 2);
    for n in 0..4 {
        publisher.say("a", n.to_string(), QoS2);
    }
    let first = sub.expect_publish("a", "0").id;
    let second = sub.expect_publish("a", "1").id;
    sub.pubrec(first).expect_pubrel(first);
    sub.pubrec(second).expect_pubrel(second);
    // PUBREC does not replenish the quota, PUBCOMP does.
    sub.expect_nothing();
    sub.pubcomp(second);
    let third = sub.expect_publish("a", "2").id;
    sub.expect_nothing();
    sub.pubrec(third).expect_pubrel(third);
    sub.pubcomp(first);
    sub.expect_publish("a", "3");
    sub.expect_nothing();
}

fn window_of_queue(world: &mut World) {
    let mut sub = world.connect(v5("sub").persistent());
    sub.subscribed("a", QoS2);
    sub.cut();
    let mut publisher = world.connect(v5("pub"));
    for n in 0..6 {
        publisher.say("a", n.to_string(), QoS1);
    }
    let mut sub = world.connect(v5("sub").persistent().receive_maximum(1));
    for n in 0..6 {
        let message = sub.expect_publish("a", n.to_string());
        sub.expect_nothing();
        sub.acknowledge(&message);
    }
    sub.expect_nothing();
}

fn everything_else(world: &mut World) {
    let (mut sub, mut publisher) = pair(world, 1);
    publisher.say("a", "one", QoS1).say("a", "two", QoS1);
    let one = sub.expect_publish("a", "one");
    sub.expect_nothing();
    sub.ping().expect_pingresp();
    sub.subscribe(1, "b", QoS0).expect_suback(&[0]);
    sub.unsubscribe(2, &["b"]).expect_unsuback(&[0]);
    sub.publish(publish("c", "x").at(QoS1, 3)).expect_puback(3);
    sub.publish(publish("c", "x").at(QoS2, 4)).expect_pubrec(4);
    sub.pubrel(4).expect_pubcomp(4);
    sub.expect_nothing();
    sub.puback(one.id);
    sub.taken("a", "two");
}

/// Sends as many QoS 2 messages as the server's window holds, and completes none. Nothing when the window is the
/// largest there is.
fn fill(world: &mut World, client: &mut Client) -> Option<u16> {
    let window = client.server_receive_maximum();
    if window == u16::MAX {
        world.note("the server sets no receive maximum: nothing proved");
        return None;
    }
    for id in 1..=window {
        client.publish(publish("a", "x").at(QoS2, id));
    }
    for id in 1..=window {
        client.expect_pubrec(id);
    }
    Some(window)
}

fn server_window(world: &mut World) {
    let mut client = world.connect(v5("pub"));
    let Some(window) = fill(world, &mut client) else { return };
    client.publish(publish("a", "x"));
    client.expect_nothing();
    for id in 1..=window {
        client.pubrel(id);
    }
    for id in 1..=window {
        client.expect_pubcomp(id);
    }
    fill(world, &mut client);
    client.expect_nothing();
}

fn server_window_exceeded(world: &mut World) {
    let mut client = world.connect(v5("pub"));
    let Some(window) = fill(world, &mut client) else { return };
    client.publish(publish("a", "x").at(QoS2, window + 1));
    client.expect_disconnect(0x93);
}

fn extra_pubrel(world: &mut World) {
    let mut client = world.connect(v5("pub"));
    let Some(window) = fill(world, &mut client) else { return };
    for id in window + 1..=window + 10 {
        client.pubrel(id).expect_pubcomp(id);
    }
    client.publish(publish("a", "x").at(QoS2, window + 1));
    client.expect_disconnect(0x93);
}

fn anew(world: &mut World) {
    let mut client = world.connect(v5("pub").persistent());
    let Some(window) = fill(world, &mut client) else { return };
    client.cut();
    let mut client = world.connect(v5("pub").persistent());
    // A server may refuse a message for any reason of its own, so by the letter only the connection has to last.
    let refused = client.publish(publish("a", "x").at(QoS2, window + 1)).pubrec_for(window + 1).code >= 0x80;
    assert!(!refused || !world.house(), "a message within the new window");
    let last = if refused { window } else { window + 1 };
    if refused {
        world.note("what was not released on the earlier connection counts on this one too");
    }
    for id in 1..=last {
        client.pubrel(id);
        assert_eq!(client.expect_pubcomp(id).code, 0);
    }
    client.expect_nothing();
}

fn extra_pubcomp(world: &mut World) {
    let (mut sub, mut publisher) = pair(world, 1);
    publisher.say("a", "one", QoS1).say("a", "two", QoS1).say("a", "three", QoS1);
    let one = sub.expect_publish("a", "one");
    sub.puback(one.id);
    let two = sub.expect_publish("a", "two");
    // Answers to what is not in flight give nothing back. A server may take them for an error and close.
    sub.puback(one.id);
    sub.pubcomp(two.id.wrapping_add(100).max(1));
    let more = sub.drain_settled();
    assert!(
        !more.iter().any(|packet| matches!(packet, Packet::Publish(_))),
        "the window of one has grown: {more:?}"
    );
}

/// Before 5.0 a client knows no window of the server: whatever it sends before it releases must not end in both
/// waiting for each other.
fn many_unreleased(world: &mut World) {
    const COUNT: u16 = 1500;
    let mut client = world.connect(v311("pub"));
    for id in 1..=COUNT {
        client.publish(publish("a", "x").at(QoS2, id));
    }
    for id in 1..=COUNT {
        client.expect_pubrec(id);
    }
    for id in 1..=COUNT {
        client.pubrel(id);
    }
    for id in 1..=COUNT {
        client.expect_pubcomp(id);
    }
    client.expect_nothing();
}

fn many_qos_1(world: &mut World) {
    const COUNT: u16 = 3000;
    let mut client = world.connect(world.client("pub"));
    for id in 1..=COUNT {
        client.publish(publish("a", "x").at(QoS1, id));
    }
    for id in 1..=COUNT {
        client.expect_puback(id);
    }
    client.expect_nothing();
}
