//! Section 3.2, CONNACK: what the server tells when it accepts or refuses. That flags and codes are of the allowed ones
//! is checked on every CONNACK of the suite.

use whimbrel_testkit::{Property, QoS1, Refusal, World, v5, v31, v311};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("v5_3_2_0_2_one_connack_only", one_connack, &["MQTT-3.2.0-2"]),
    Scenario::new("v5_3_2_2_2_a_clean_start_has_no_session", clean_has_no_session, &["MQTT-3.2.2-2"]),
    Scenario::new("v311_3_2_2_1_a_clean_session_has_no_session", clean_has_no_session, &["MQTT-3.2.2-1"]),
    Scenario::new(
        "v5_3_2_2_3_session_present_tells_whether_there_is_one",
        session_present,
        &["MQTT-3.2.2-3"],
    ),
    Scenario::new(
        "v311_3_2_2_2_session_present_tells_whether_there_is_one",
        session_present,
        &["MQTT-3.2.2-2", "MQTT-3.2.2-3"],
    ),
    Scenario::new("v31_connack_has_no_session_present", no_session_present, &["3.1: CONNACK"]),
    Scenario::new(
        "v5_3_2_2_6_a_refusal_has_no_session_and_closes",
        refusal_has_no_session,
        &["MQTT-3.2.2-6", "MQTT-3.2.2-7", "MQTT-3.2.2-8", "MQTT-4.13.2-1", "MQTT-3.1.4-2"],
    ),
    Scenario::new(
        "v5_3_2_2_19_connack_keeps_to_the_packet_size",
        connack_size,
        &["MQTT-3.2.2-19", "MQTT-3.2.2-20"],
    ),
    Scenario::new("v5_3_2_2_3_what_is_available_is_usable", available, &["section 3.2.2.3"]),
    Scenario::new("v5_3_2_2_3_limits_are_told", limits_told, &["section 3.2.2.3"]).choice(),
    Scenario::new("v5_3_2_2_3_2_a_shorter_session_expiry_is_told", expiry_told, &["section 3.2.2.3.2"])
        .choice(),
    Scenario::new(
        "v5_3_2_2_3_14_server_keep_alive_is_told_when_it_differs",
        keep_alive_told,
        &["section 3.2.2.3.14"],
    )
    .choice(),
    Scenario::new(
        "v5_3_1_2_28_no_response_information_unless_requested",
        response_information,
        &["MQTT-3.1.2-28"],
    ),
];

fn one_connack(world: &mut World) {
    let mut client = world.connect(v5("one"));
    client.ping().expect_pingresp();
    client.expect_nothing();
}

fn clean_has_no_session(world: &mut World) {
    world.connect(world.client("sub").persistent()).cut();
    let client = world.connect(world.client("sub"));
    assert!(!client.connack().session_present, "Session Present after a clean start");
}

fn session_present(world: &mut World) {
    let mut client = world.connect(world.client("sub").persistent());
    assert!(!client.connack().session_present, "Session Present without a session");
    client.cut();
    let mut client = world.connect(world.client("sub").persistent());
    assert!(client.connack().session_present, "Session Present with a session that holds nothing");
    client.subscribed("a", QoS1);
    client.disconnect();
    let client = world.connect(world.client("sub").persistent());
    assert!(client.connack().session_present, "Session Present with a session");
}

fn no_session_present(world: &mut World) {
    world.connect(v31("sub").resume()).cut();
    assert!(!world.connect(v31("sub").resume()).connack().session_present);
    let mut newer = world.connect(v311("sub").resume());
    assert!(newer.connack().session_present, "the session itself is there");
    newer.cut();
}

fn refusal_has_no_session(world: &mut World) {
    world.connect(v5("sub").persistent()).cut();
    let refused = v5("sub").persistent().with(Property::AuthenticationMethod("no-such-method".into()));
    match world.start(refused).refusal() {
        Refusal::ConnAck(0x8C | 0x87) => {}
        Refusal::Closed if !world.house() => {}
        other => panic!("an unknown authentication method: expected CONNACK 0x8C or 0x87, not {other:02X?}"),
    }
    assert!(world.connect(v5("sub").persistent()).connack().session_present, "the session is as it was");
}

fn connack_size(world: &mut World) {
    for size in [20, 40, 64, 128] {
        let refused =
            v5("small").packet_size_max(size).with(Property::AuthenticationMethod("no-such-method".into()));
        let refusal = world.start(refused).refusal();
        assert!(!matches!(refusal, Refusal::Accepted(_)), "an unknown authentication method is refused");
    }
    world.connect(v5("small").packet_size_max(128)).ping().expect_pingresp();
}

fn available(world: &mut World) {
    let client = world.connect(v5("one"));
    let told = &client.connack().properties;
    for property in &told.0 {
        let missing = match property {
            Property::MaximumQos(_) => true,
            Property::RetainAvailable(v)
            | Property::WildcardAvailable(v)
            | Property::SubscriptionIdsAvailable(v)
            | Property::SharedAvailable(v) => *v == 0,
            _ => false,
        };
        assert!(!missing, "the suite needs a broker with everything, this one tells {property:?}");
    }
}

fn limits_told(world: &mut World) {
    let client = world.connect(v5("one"));
    let told = &client.connack().properties;
    assert_eq!(told.receive_maximum(), Some(1000));
    assert_eq!(told.topic_alias_maximum(), Some(64));
    assert_eq!(told.maximum_packet_size(), Some(1024 * 1024));
    assert_eq!(told.server_keep_alive(), None, "only told when it differs");
    assert_eq!(told.session_expiry(), None, "only told when it differs");
    assert_eq!(told.assigned_client_id(), None, "only told when the client gave none");
}

fn expiry_told(world: &mut World) {
    let week = 7 * 24 * 3600;
    for (asked, told) in [(3600, None), (week, None), (week + 1, Some(week)), (u32::MAX, Some(week))] {
        let client = world.connect(v5("one").expiry(asked));
        assert_eq!(client.connack().properties.session_expiry(), told, "asked for {asked} seconds");
    }
}

fn keep_alive_told(world: &mut World) {
    for (asked, told) in
        [(0, Some(1200)), (1, None), (1200, None), (1201, Some(1200)), (u16::MAX, Some(1200))]
    {
        let client = world.connect(v5("one").keep_alive(asked));
        assert_eq!(client.connack().properties.server_keep_alive(), told, "asked for {asked} seconds");
    }
}

fn response_information(world: &mut World) {
    world.connect(v5("absent")).ping().expect_pingresp();
    world.connect(v5("zero").with(Property::RequestResponseInformation(0))).ping().expect_pingresp();
    world.connect(v5("one").with(Property::RequestResponseInformation(1))).ping().expect_pingresp();
}
