//! Sections 3.1.2.4 and 4.1: what a session is, how long it lives, and what it keeps while its client is away. What was
//! in flight is in `redelivery`.

use std::time::Duration;

use whimbrel_testkit::{
    Disconnect, Packet, Property, QoS, QoS0, QoS1, QoS2, Subscribe, Version, World, hex, publish, v5, v311,
};

use crate::scenario::{Scenario, Setting};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "v5_3_1_2_4_a_clean_start_discards_the_session",
        clean_discards,
        &["MQTT-3.1.2-4", "MQTT-3.1.4-4"],
    ),
    Scenario::new(
        "v311_3_1_2_6_a_clean_session_discards_the_session",
        clean_discards,
        &["MQTT-3.1.2-6", "MQTT-3.1.4-3"],
    )
    .and_v31(),
    Scenario::new(
        "v5_3_1_2_5_the_session_is_resumed",
        resumed,
        &["MQTT-3.1.2-5", "MQTT-3.1.2-23", "MQTT-4.5.0-1"],
    ),
    Scenario::new(
        "v311_3_1_2_4_the_session_is_resumed",
        resumed,
        &["MQTT-3.1.2-4", "MQTT-3.1.2-5", "MQTT-4.1.0-1", "MQTT-4.5.0-1"],
    )
    .and_v31(),
    Scenario::new("v5_3_1_2_6_without_a_session_one_is_created", created, &["MQTT-3.1.2-6"]),
    Scenario::new("v311_3_1_2_4_without_a_session_one_is_created", created, &["MQTT-3.1.2-4"]).and_v31(),
    Scenario::new("v311_3_1_2_6_a_clean_session_ends_with_its_connection", clean_ends, &["MQTT-3.1.2-6"])
        .and_v31(),
    Scenario::new(
        "v5_3_1_2_11_2_a_session_of_no_expiry_ends_with_its_connection",
        no_expiry,
        &["section 3.1.2.11.2", "MQTT-4.1.0-2"],
    ),
    Scenario::new(
        "v5_4_1_0_2_the_session_ends_when_its_expiry_has_passed",
        expires,
        &["MQTT-4.1.0-2", "MQTT-3.1.2-23"],
    )
    .timed(),
    Scenario::new("v5_4_1_0_1_the_session_lasts_while_connected", lasts_while_connected, &["MQTT-4.1.0-1"])
        .timed(),
    Scenario::new("v311_4_1_0_2_the_session_lasts_while_connected", lasts_v311, &["MQTT-4.1.0-2"]).timed(),
    Scenario::new("v5_3_14_2_2_2_disconnect_changes_the_expiry", disconnect_changes, &["section 3.14.2.2.2"]),
    Scenario::new(
        "v5_3_14_2_2_2_disconnect_shortens_the_expiry",
        disconnect_shortens,
        &["section 3.14.2.2.2"],
    )
    .timed(),
    Scenario::new("v5_3_1_2_11_2_the_newest_connect_sets_the_expiry", newest_expiry, &["section 3.1.2.11.2"]),
    Scenario::new(
        "v5_4_13_1_the_session_outlives_an_error",
        outlives_error,
        &["section 4.13.1", "MQTT-3.1.2-23"],
    ),
    Scenario::new("v311_3_1_2_4_the_session_outlives_an_error", outlives_error, &["MQTT-3.1.2-4"]).and_v31(),
    Scenario::new("v5_3_1_3_2_the_client_id_names_the_session", by_client_id, &["MQTT-3.1.3-2"]),
    Scenario::new("v311_3_1_3_2_the_client_id_names_the_session", by_client_id, &["MQTT-3.1.3-2"]).and_v31(),
    Scenario::new("v5_4_1_the_session_keeps_the_subscriptions_options", keeps_options, &["section 4.1"]),
    Scenario::new("v5_4_1_messages_wait_in_order", wait_in_order, &["MQTT-4.5.0-1", "MQTT-4.6.0-5"]),
    Scenario::new("v311_3_1_2_5_messages_wait_in_order", wait_in_order, &["MQTT-3.1.2-5", "MQTT-4.6.0-6"])
        .and_v31(),
    Scenario::new("v5_4_1_qos_0_does_not_wait", qos_0_dropped, &["section 4.1"]).choice(),
    Scenario::new("v311_3_1_2_4_a_session_goes_on_in_another_version", across_versions, &["section 3.1.2.4"])
        .choice(),
    Scenario::new("v5_4_1_0_2_the_expiry_to_the_second", to_the_second, &["MQTT-4.1.0-2", "MQTT-3.1.2-23"])
        .virtual_only(),
    Scenario::new("v5_3_1_2_11_2_no_session_outlives_a_week", a_week, &["section 3.2.2.3.2"])
        .virtual_only()
        .choice(),
    Scenario::new("v311_4_1_no_session_outlives_a_week", a_week_v311, &["section 4.1"])
        .virtual_only()
        .choice(),
    Scenario::new("v5_4_1_a_full_queue_drops_the_oldest", drop_oldest, &["section 4.1.1"])
        .needs(Setting::QueueMessagesMax(5))
        .choice(),
];

fn clean_discards(world: &mut World) {
    let mut sub = world.connect(world.client("sub").persistent());
    sub.subscribed("a", QoS1);
    sub.cut();
    let mut publisher = world.connect(world.client("pub"));
    publisher.say("a", "missed", QoS1);
    let mut sub = world.connect(world.client("sub"));
    assert!(!sub.connack().session_present);
    sub.expect_nothing();
    publisher.say("a", "not subscribed", QoS1);
    sub.expect_nothing();
    sub.cut();
    let mut sub = world.connect(world.client("sub").persistent());
    assert!(!sub.connack().session_present, "the clean session left something behind");
    sub.expect_nothing();
}

fn resumed(world: &mut World) {
    let mut publisher = world.connect(world.client("pub"));
    let mut sub = world.connect(world.client("sub").persistent());
    sub.subscribed("a", QoS1).subscribed("b/+", QoS2);
    for end in ["cut", "disconnect"] {
        if end == "cut" {
            sub.cut();
        } else {
            sub.disconnect();
        }
        publisher.say("a", "one", QoS1).say("b/c", "two", QoS2).say("c", "not for it", QoS1);
        sub = world.connect(world.client("sub").persistent());
        let (one, two) = (sub.taken("a", "one").expect_qos(QoS1), sub.taken("b/c", "two").expect_qos(QoS2));
        sub.expect_waited(&one);
        sub.expect_waited(&two);
        publisher.say("a", "live", QoS1);
        sub.taken("a", "live");
        sub.expect_nothing();
    }
}

fn created(world: &mut World) {
    let mut sub = world.connect(world.client("sub").persistent());
    assert!(!sub.connack().session_present);
    sub.subscribed("a", QoS1);
    sub.cut();
    world.connect(world.client("pub")).say("a", "x", QoS1);
    world.connect(world.client("sub").persistent()).taken("a", "x");
}

fn clean_ends(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("a", QoS1);
    sub.cut();
    world.connect(world.client("pub")).say("a", "x", QoS1);
    let mut sub = world.connect(world.client("sub").persistent());
    assert!(!sub.connack().session_present);
    sub.expect_nothing();
}

fn no_expiry(world: &mut World) {
    for connect in [v5("sub"), v5("sub").expiry(0), v5("sub").resume()] {
        let mut sub = world.connect(connect);
        sub.subscribed("a", QoS1);
        sub.cut();
        world.connect(v5("pub")).say("a", "x", QoS1);
        let mut sub = world.connect(v5("sub").resume());
        assert!(!sub.connack().session_present);
        sub.expect_nothing();
        sub.cut();
    }
}

fn expires(world: &mut World) {
    let mut sub = world.connect(v5("sub").expiry(3));
    sub.subscribed("a", QoS1);
    sub.cut();
    world.advance(Duration::from_secs(1));
    let mut publisher = world.connect(v5("pub"));
    publisher.say("a", "in time", QoS1);
    let mut sub = world.connect(v5("sub").resume().expiry(3));
    assert!(sub.connack().session_present, "the session lives");
    sub.taken("a", "in time");
    sub.disconnect();
    publisher.say("a", "lost", QoS1);
    world.past(3);
    let mut sub = world.connect(v5("sub").resume().expiry(3));
    assert!(!sub.connack().session_present, "the session has expired");
    publisher.say("a", "not subscribed", QoS1);
    sub.expect_nothing();
}

fn lasts_while_connected(world: &mut World) {
    let mut sub = world.connect(v5("sub").expiry(1));
    sub.subscribed("a", QoS1);
    world.past(2);
    world.connect(v5("pub")).say("a", "x", QoS1);
    sub.taken("a", "x");
    sub.cut();
    // Neither does the interval that ran while the client was away end it, once the client is back.
    let mut sub = world.connect(v5("sub").resume().expiry(1));
    assert!(sub.connack().session_present);
    world.past(2);
    world.connect(v5("pub")).say("a", "y", QoS1);
    sub.taken("a", "y");
    sub.cut();
    assert!(world.connect(v5("sub").resume().expiry(1)).connack().session_present);
}

fn lasts_v311(world: &mut World) {
    let mut sub = world.connect(v311("sub"));
    sub.subscribed("a", QoS1);
    world.past(3);
    world.connect(v311("pub")).say("a", "x", QoS1);
    sub.taken("a", "x");
}

fn disconnect_changes(world: &mut World) {
    let mut sub = world.connect(v5("sub").expiry(3600));
    sub.disconnect_with(Disconnect::new(0).with(Property::SessionExpiry(0)));
    assert!(
        !world.connect(v5("sub").resume()).connack().session_present,
        "the session has ended with DISCONNECT"
    );
    let mut sub = world.connect(v5("sub").expiry(1));
    sub.disconnect_with(Disconnect::new(0).with(Property::SessionExpiry(3600)));
    assert!(world.connect(v5("sub").resume()).connack().session_present, "the session lives on");
    let mut sub = world.connect(v5("other").expiry(3600));
    sub.disconnect_with(Disconnect::new(0));
    assert!(world.connect(v5("other").resume()).connack().session_present, "the expiry of CONNECT holds");
}

fn disconnect_shortens(world: &mut World) {
    let mut sub = world.connect(v5("sub").expiry(3600));
    sub.disconnect_with(Disconnect::new(0).with(Property::SessionExpiry(2)));
    let mut longer = world.connect(v5("longer").expiry(1));
    longer.disconnect_with(Disconnect::new(0).with(Property::SessionExpiry(3600)));
    world.past(2);
    assert!(!world.connect(v5("sub").resume()).connack().session_present, "the session has expired");
    assert!(world.connect(v5("longer").resume()).connack().session_present, "the session lives on");
}

fn newest_expiry(world: &mut World) {
    world.connect(v5("sub").expiry(3600)).cut();
    let mut sub = world.connect(v5("sub").resume());
    assert!(sub.connack().session_present);
    sub.cut();
    assert!(
        !world.connect(v5("sub").resume()).connack().session_present,
        "the last CONNECT asked for no expiry"
    );
}

fn by_client_id(world: &mut World) {
    for id in ["one", "One", "one1"] {
        let mut client = world.connect(world.client(id).persistent());
        assert!(
            client.version() == Version::V31 || !client.connack().session_present,
            "{id} is another client"
        );
        client.subscribed(&format!("for/{id}"), QoS1);
        client.cut();
    }
    let mut publisher = world.connect(world.client("pub"));
    for id in ["one", "One", "one1"] {
        publisher.say(&format!("for/{id}"), id, QoS1);
    }
    for id in ["one", "One", "one1"] {
        let mut client = world.connect(world.client(id).persistent());
        client.taken(&format!("for/{id}"), id);
        client.expect_nothing();
    }
}

fn keeps_options(world: &mut World) {
    let mut sub = world.connect(v5("sub").persistent());
    sub.subscribe_with(Subscribe::one(1, "a", QoS1.retain_as_published()).subscription_id(12))
        .expect_suback(&[1]);
    sub.subscribed("own", QoS1.no_local());
    sub.cut();
    let mut publisher = world.connect(v5("pub"));
    publisher.published(publish("a", "x").retain().at(QoS2, 0));
    let mut sub = world.connect(v5("sub").persistent());
    sub.taken("a", "x").expect_qos(QoS1).expect_retain(true).expect_subscription_ids(&[12]);
    sub.say("own", "mine", QoS1);
    publisher.say("own", "another's", QoS1);
    sub.taken("own", "another's");
    sub.expect_nothing();
}

fn wait_in_order(world: &mut World) {
    let mut sub = world.connect(world.client("sub").persistent());
    sub.subscribed("a/#", QoS2);
    sub.cut();
    let mut publisher = world.connect(world.client("pub"));
    for n in 0..90 {
        let qos = if n % 3 == 0 { QoS2 } else { QoS1 };
        publisher.say(&format!("a/{}", n % 5), n.to_string(), qos);
    }
    let mut sub = world.connect(world.client("sub").persistent());
    for n in 0..90 {
        let qos = if n % 3 == 0 { QoS2 } else { QoS1 };
        let message = sub.taken(&format!("a/{}", n % 5), n.to_string()).expect_qos(qos);
        sub.expect_waited(&message);
    }
    sub.expect_nothing();
}

fn qos_0_dropped(world: &mut World) {
    let mut sub = world.connect(v5("sub").persistent());
    sub.subscribed("a", QoS2).subscribed("b", QoS0);
    sub.cut();
    let mut publisher = world.connect(v5("pub"));
    publisher.say("a", "nought", QoS0).say("b", "nought", QoS2).say("a", "one", QoS1);
    let mut sub = world.connect(v5("sub").persistent());
    sub.taken("a", "one");
    sub.expect_nothing();
}

fn across_versions(world: &mut World) {
    let mut sub = world.connect(v311("sub").resume());
    sub.subscribed("a", QoS1);
    sub.cut();
    let mut publisher = world.connect(v311("pub"));
    publisher.say("a", "one", QoS1);
    let mut sub = world.connect(v5("sub").resume().expiry(60));
    assert!(sub.connack().session_present);
    sub.taken("a", "one");
    sub.cut();
    publisher.say("a", "two", QoS1);
    let mut sub = world.connect(v311("sub").resume());
    assert!(sub.connack().session_present);
    sub.taken("a", "two");
    sub.expect_nothing();
}

fn drop_oldest(world: &mut World) {
    let mut sub = world.connect(v5("sub").persistent());
    sub.subscribed("a", QoS2);
    sub.cut();
    let mut publisher = world.connect(v5("pub"));
    for n in 0..8 {
        publisher.say("a", n.to_string(), if n % 2 == 0 { QoS::QoS1 } else { QoS::QoS2 });
    }
    let mut sub = world.connect(v5("sub").persistent());
    for n in 3..8 {
        let message = sub.taken("a", n.to_string());
        assert!(n != 3 || !message.properties.user().is_empty(), "the loss is told with the next delivery");
    }
    assert!(
        sub.drain_settled().iter().all(|packet| !matches!(packet, Packet::Publish(_))),
        "no more than five"
    );
}

fn to_the_second(world: &mut World) {
    for expiry in [1u32, 60, 3600, 86_400] {
        for (early, present) in [(true, true), (false, false)] {
            let mut sub = world.connect(v5("sub").expiry(expiry));
            sub.subscribed("a", QoS1);
            sub.cut();
            let time = Duration::from_secs(u64::from(expiry));
            let margin = Duration::from_millis(100).max(time / 20);
            world.advance(if early { time - margin } else { time + margin.max(Duration::from_secs(2)) });
            let sub = world.connect(v5("sub").resume());
            assert_eq!(sub.connack().session_present, present, "an expiry of {expiry} s, before it: {early}");
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

fn a_week(world: &mut World) {
    let mut sub = world.connect(v5("sub").resume().expiry(u32::MAX));
    sub.subscribed("a", QoS1);
    sub.cut();
    world.advance(DAY * 6);
    let mut sub = world.connect(v5("sub").resume().expiry(u32::MAX));
    assert!(sub.connack().session_present);
    sub.cut();
    world.advance(DAY * 7 + Duration::from_secs(3600));
    assert!(!world.connect(v5("sub").resume()).connack().session_present);
}

fn a_week_v311(world: &mut World) {
    let mut sub = world.connect(v311("sub").resume());
    sub.subscribed("a", QoS1);
    sub.cut();
    world.advance(DAY * 6);
    world.connect(v311("pub")).say("a", "x", QoS1);
    let mut sub = world.connect(v311("sub").resume());
    assert!(sub.connack().session_present);
    sub.taken("a", "x");
    sub.cut();
    world.advance(DAY * 7 + Duration::from_secs(3600));
    assert!(!world.connect(v311("sub").resume()).connack().session_present);
}

fn outlives_error(world: &mut World) {
    let mut sub = world.connect(world.client("sub").persistent());
    sub.subscribed("a", QoS1);
    let mut publisher = world.connect(world.client("pub"));
    publisher.say("a", "one", QoS1);
    let one = sub.expect_publish("a", "one");
    // A PUBLISH of QoS 3 ends the connection, not the session.
    sub.send(hex("36 05 00 01 61 00 01"));
    sub.expect_closed();
    publisher.say("a", "two", QoS1);
    let mut sub = world.connect(world.client("sub").persistent());
    sub.taken("a", "one").expect_dup(true).expect_id(one.id);
    sub.taken("a", "two");
    sub.expect_nothing();
}
