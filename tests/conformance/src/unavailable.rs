//! Section 3.2.2.3, what a server tells that it does not have, and how it meets clients that ask for it all the same.
//! Each scenario needs a broker that was set up without it.

use whimbrel_testkit::{
    Property, QoS, QoS0, QoS1, QoS2, Refusal, Subscribe, Version, World, publish, v5, v311, will,
};

use crate::scenario::{Scenario, Setting};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("v5_3_1_3_8_a_client_id_that_is_too_long_is_refused", long_id, &["MQTT-3.1.3-8"])
        .needs(Setting::ClientIdBytesMax(30)),
    Scenario::new("v5_3_2_2_9_the_highest_qos_is_told", qos_told, &["MQTT-3.2.2-9"])
        .needs(Setting::QosMax(QoS1)),
    Scenario::new("v5_3_2_2_10_a_higher_qos_may_be_requested", qos_requested, &["MQTT-3.2.2-10"])
        .needs(Setting::QosMax(QoS0)),
    Scenario::new("v5_3_2_2_11_a_publish_above_the_highest_qos", qos_published, &["section 3.2.2.3.4"])
        .needs(Setting::QosMax(QoS1)),
    Scenario::new("v5_3_2_2_12_a_will_above_the_highest_qos_is_refused", qos_of_will, &["MQTT-3.2.2-12"])
        .needs(Setting::QosMax(QoS1)),
    Scenario::new("v5_3_2_2_13_a_retained_will_is_refused", retained_will, &["MQTT-3.2.2-13"])
        .needs(Setting::NoRetained),
    Scenario::new(
        "v5_3_2_2_14_a_retained_publish_where_none_are_kept",
        retained_publish,
        &["section 3.2.2.3.5"],
    )
    .needs(Setting::NoRetained),
    Scenario::new("v5_3_2_2_3_11_a_wildcard_where_none_are_taken", wildcard, &["section 3.2.2.3.11"])
        .needs(Setting::NoWildcards),
    Scenario::new("v311_3_8_3_2_a_wildcard_where_none_are_taken", wildcard_v311, &["MQTT-3.8.3-2"])
        .and_v31()
        .needs(Setting::NoWildcards),
    Scenario::new("v5_3_2_2_3_12_an_identifier_where_none_are_kept", identifier, &["section 3.2.2.3.12"])
        .needs(Setting::NoSubscriptionIds),
    Scenario::new("v5_3_2_2_3_13_a_group_where_none_are_made", shared, &["section 3.2.2.3.13"])
        .needs(Setting::NoShared),
];

fn long_id(world: &mut World) {
    world.connect(v5(&"x".repeat(30))).disconnect();
    world.start(v5(&"x".repeat(31))).expect_refused(0x85);
}

fn qos_told(world: &mut World) {
    let client = world.connect(v5("one"));
    assert!(client.connack().properties.0.contains(&Property::MaximumQos(1)), "Maximum QoS");
    // Before 5.0 there is no place for it.
    world.connect(v311("two")).say("a", "x", QoS1);
}

fn qos_requested(world: &mut World) {
    let mut client = world.connect(v5("one"));
    let filters = Subscribe::one(1, "a", QoS0).and("b", QoS1).and("c", QoS2);
    client.subscribe_with(filters).expect_suback(&[0, 0, 0]);
    client.publish(publish("c", "x"));
    client.expect_publish("c", "x").expect_qos(QoS0);
}

fn qos_published(world: &mut World) {
    let mut client = world.connect(v5("one"));
    client.say("a", "x", QoS1);
    client.publish(publish("a", "x").at(QoS2, 1));
    client.expect_disconnect(0x9B);
}

fn qos_of_will(world: &mut World) {
    for (qos, refused) in [(QoS0, false), (QoS1, false), (QoS2, true)] {
        for version in [Version::V5, Version::V311] {
            let connect = if version == Version::V5 { v5("mortal") } else { v311("mortal") };
            let mut client = world.start(connect.will(will("fate", "gone").qos(qos)));
            match (client.refusal(), version) {
                (Refusal::Accepted(_), _) if !refused => client.disconnect(),
                (Refusal::ConnAck(0x9B), Version::V5) | (Refusal::Closed, Version::V311) if refused => {}
                // The return code of 3.1.1 that comes nearest.
                (Refusal::ConnAck(_), Version::V311) if refused => {}
                (other, _) => panic!("a will of {qos:?} in {version}: {other:02X?}"),
            }
        }
    }
}

fn retained_will(world: &mut World) {
    let client = world.connect(v5("one"));
    assert!(client.connack().properties.0.contains(&Property::RetainAvailable(0)), "Retain Available 0");
    world.connect(v5("mortal").will(will("fate", "gone"))).disconnect();
    world.start(v5("mortal").will(will("fate", "gone").retain())).expect_refused(0x9A);
}

fn retained_publish(world: &mut World) {
    for qos in QoS::ALL {
        let mut client = world.connect(v5("one"));
        client.say("a", "x", qos);
        client.publish(publish("a", "x").at(qos, 1).retain());
        client.expect_disconnect(0x9A);
    }
    let mut later = world.connect(v5("later"));
    later.subscribed("a", QoS0);
    later.expect_nothing();
}

fn wildcard(world: &mut World) {
    let client = world.connect(v5("one"));
    assert!(client.connack().properties.0.contains(&Property::WildcardAvailable(0)), "none available");
    for filter in ["#", "a/+", "$share/g/a/#"] {
        let mut client = world.connect(v5("two"));
        client.subscribe(1, filter, QoS0);
        client.expect_disconnect(0xA2);
    }
}

fn wildcard_v311(world: &mut World) {
    let mut client = world.connect(world.client("one"));
    client.subscribe(1, "a/b", QoS0).expect_suback(&[0]);
    for filter in ["#", "a/+", "a/#"] {
        client.subscribe(2, filter, QoS0);
        // 3.1 has no return code for it.
        let codes = client.any_suback().codes;
        assert!(codes == [0x80] || world.version() == Version::V31, "{filter}: {codes:02X?}");
    }
    client.publish(publish("a/c", "x"));
    client.expect_nothing();
}

fn identifier(world: &mut World) {
    let mut client = world.connect(v5("one"));
    let told = &client.connack().properties.0;
    assert!(told.contains(&Property::SubscriptionIdsAvailable(0)), "none available");
    client.subscribe(1, "a", QoS0).expect_suback(&[0]);
    client.subscribe_with(Subscribe::one(2, "a", QoS0).subscription_id(7));
    client.expect_disconnect(0xA1);
}

fn shared(world: &mut World) {
    let mut client = world.connect(v5("one"));
    assert!(client.connack().properties.0.contains(&Property::SharedAvailable(0)), "none available");
    client.subscribe(1, "$share/g/a", QoS0);
    client.expect_disconnect(0x9E);
}
