//! Section 3.1.2.11.7, Request Problem Information, and the user properties that a server takes with any packet. That a
//! client which wants no reason strings gets none is checked on every connection of the suite.

use whimbrel_testkit::{
    Ack, Connect, Packet, Properties, Property, QoS0, QoS1, QoS2, Unsubscribe, World, publish, v5,
};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("v5_3_1_2_29_no_reasons_for_a_client_that_wants_none", none_wanted, &["MQTT-3.1.2-29"]),
    Scenario::new(
        "v5_3_1_2_29_user_properties_of_messages_still_come",
        messages,
        &["MQTT-3.1.2-29", "MQTT-3.3.2-17"],
    ),
    Scenario::new("v5_2_2_2_2_reasons_and_user_properties_are_taken", taken, &["section 2.2.2.2"]),
];

/// Everything that a server may have a reason to explain.
fn provoke(world: &mut World, connect: Connect) {
    let mut client = world.connect(connect);
    client.publish(publish("nobody", "x").at(QoS1, 1)).puback_for(1);
    client.publish(publish("nobody", "x").at(QoS2, 2)).pubrec_for(2);
    client.pubrel(2).expect_pubcomp(2);
    client.pubrel(77).expect_pubcomp(77);
    client.publish(publish("$SYS/mine", "x").at(QoS1, 3)).puback_for(3);
    client.publish(publish("a", [0xFF]).with(Property::PayloadFormat(1)).at(QoS1, 4)).puback_for(4);
    client.subscribed("a", QoS2);
    client.unsubscribe(5, &["never/was"]).expect_unsuback(&[0x11]);
    client.ping().expect_pingresp();
    client.disconnect();
}

fn none_wanted(world: &mut World) {
    provoke(world, v5("terse").with(Property::RequestProblemInformation(0)));
    provoke(world, v5("curious").with(Property::RequestProblemInformation(1)));
}

fn messages(world: &mut World) {
    let mut sub = world.connect(v5("terse").with(Property::RequestProblemInformation(0)));
    sub.subscribed("a", QoS0);
    world.connect(v5("pub")).publish(publish("a", "x").with(Property::User("n".into(), "v".into())));
    assert_eq!(sub.expect_publish("a", "x").properties.user(), [("n", "v")]);
}

fn taken(world: &mut World) {
    let mut sub = world.connect(v5("sub").with(Property::User("n".into(), "v".into())));
    sub.subscribed("a", QoS2);
    let explained = |id| Ack {
        id,
        code: 0,
        properties: Properties(vec![
            Property::ReasonString("because".into()),
            Property::User("n".into(), "v".into()),
            Property::User("n".into(), "".into()),
        ]),
    };
    let mut publisher = world.connect(v5("pub"));
    publisher.say("a", "one", QoS1).say("a", "two", QoS2);
    let one = sub.expect_publish("a", "one").id;
    sub.send_packet(Packet::PubAck(explained(one)));
    let two = sub.expect_publish("a", "two").id;
    sub.send_packet(Packet::PubRec(explained(two)));
    sub.expect_pubrel(two);
    sub.send_packet(Packet::PubComp(explained(two)));
    sub.expect_nothing();
    publisher.publish(publish("a", "three").at(QoS2, 9)).expect_pubrec(9);
    publisher.send_packet(Packet::PubRel(explained(9)));
    publisher.expect_pubcomp(9);
    sub.taken("a", "three");
    let filters = vec!["a".into()];
    let properties = Properties(vec![Property::User("n".into(), "v".into())]);
    sub.send_packet(Packet::Unsubscribe(Unsubscribe { id: 3, properties, filters }));
    sub.expect_unsuback(&[0]);
    sub.expect_nothing();
}
