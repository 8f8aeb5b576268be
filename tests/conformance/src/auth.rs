//! Sections 3.15 and 4.12 for a server without methods of enhanced authentication.

use whimbrel_testkit::{Disconnect, Packet, Property, Refusal, World, v5};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "v5_4_12_0_1_an_unknown_method_is_refused",
        unknown_method,
        &["MQTT-4.12.0-1", "MQTT-4.12.0-4", "MQTT-3.1.4-2", "MQTT-3.2.2-7"],
    ),
    Scenario::new("v5_4_12_0_6_no_auth_to_a_client_without_method", no_auth, &["MQTT-4.12.0-6"]),
    Scenario::new(
        "v5_4_12_0_7_auth_from_a_client_without_method",
        auth_from_client,
        &["MQTT-4.12.0-7", "section 3.15"],
    ),
    Scenario::new(
        "v5_4_12_1_2_reauthentication_without_method_fails",
        reauthentication,
        &["MQTT-4.12.1-1", "MQTT-4.12.1-2"],
    ),
    Scenario::new("v5_3_15_auth_before_connect_is_refused", auth_first, &["MQTT-3.1.0-1"]),
];

fn method() -> Property {
    Property::AuthenticationMethod("no-such-method".into())
}

fn unknown_method(world: &mut World) {
    for connect in
        [v5("one").with(method()), v5("one").with(method()).with(Property::AuthenticationData(vec![0, 255]))]
    {
        match world.start(connect).refusal() {
            Refusal::ConnAck(0x8C) => {}
            Refusal::ConnAck(0x87) | Refusal::Closed if !world.house() => {}
            other => panic!("expected CONNACK 0x8C, not {other:02X?}"),
        }
    }
}

fn no_auth(world: &mut World) {
    let mut client = world.connect(v5("one").user_name("me").password("secret"));
    client.ping().expect_pingresp();
    client.expect_nothing();
}

fn auth_from_client(world: &mut World) {
    for auth in [Disconnect::new(0x18).with(method()), Disconnect::new(0x18), Disconnect::new(0)] {
        let mut client = world.connect(v5("one"));
        client.send_packet(Packet::Auth(auth));
        client.expect_disconnect(0x82);
    }
}

fn reauthentication(world: &mut World) {
    let mut client = world.connect(v5("one"));
    client.send_packet(Packet::Auth(Disconnect::new(0x19).with(method())));
    client.expect_disconnect_one_of(&[0x82, 0x8C]);
}

fn auth_first(world: &mut World) {
    let mut client = world.open("hasty");
    client.send_packet(Packet::Auth(Disconnect::new(0x18).with(method())));
    client.expect_closed_or_refused();
}
