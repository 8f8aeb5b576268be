//! Section 4.12 for a server with a method of enhanced authentication: the exchange before CONNACK, and re-authentication.
//! The method is SCRAM-SHA-256; what is wrong with its messages alone is not here.

use whimbrel_testkit::{
    Client, Connect, Disconnect, Packet, Property, Prover, QoS0, Refusal, SCRAM, World, auth_data, publish,
    v5, will,
};

use crate::scenario::{Scenario, Setting};

/// The one user.
const USER: &str = "user";
const PASSWORD: &str = "pencil";
const KNOWN: Setting = Setting::Scram { user: USER, password: PASSWORD };

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "v5_4_12_0_2_a_challenge_is_auth_with_continue_and_the_method_of_connect",
        challenge,
        &["MQTT-4.12.0-2", "MQTT-4.12.0-3", "MQTT-4.12.0-5", "section 3.2.2.3.18"],
    )
    .needs(KNOWN),
    Scenario::new(
        "v5_4_12_0_4_a_wrong_proof_is_refused",
        wrong_proof,
        &["MQTT-4.12.0-4", "MQTT-3.1.4-2", "MQTT-3.2.2-7"],
    )
    .needs(KNOWN),
    Scenario::new("v5_4_12_0_6_who_names_no_method_is_not_challenged", no_method, &["MQTT-4.12.0-6"])
        .needs(KNOWN),
    Scenario::new(
        "v5_3_1_2_30_nothing_but_auth_before_connack",
        too_early,
        &["MQTT-3.1.2-30", "section 3.1.2.11.9"],
    )
    .needs(KNOWN),
    Scenario::new(
        "v5_4_12_0_5_another_method_in_the_middle_is_refused",
        other_method,
        &["MQTT-4.12.0-5", "section 3.15"],
    )
    .needs(KNOWN),
    Scenario::new("v5_3_15_2_1_only_continue_goes_on", other_code, &["MQTT-3.15.2-1", "MQTT-4.12.0-3"])
        .needs(KNOWN),
    Scenario::new("v5_4_12_the_client_may_leave_in_the_middle", leaves, &["section 4.12"]).needs(KNOWN),
    Scenario::new(
        "v5_4_12_1_1_messages_flow_while_a_client_authenticates_again",
        again,
        &["MQTT-4.12.1-1", "MQTT-4.12.0-5", "section 4.12.1"],
    )
    .needs(KNOWN),
    Scenario::new(
        "v5_4_12_1_2_a_reauthentication_that_fails_ends_the_connection",
        again_wrong,
        &["MQTT-4.12.1-2"],
    )
    .needs(KNOWN),
    Scenario::new(
        "v5_4_12_1_1_a_reauthentication_by_another_method_ends_the_connection",
        again_otherwise,
        &["MQTT-4.12.1-1"],
    )
    .needs(KNOWN),
    Scenario::new(
        "v5_4_12_1_an_answer_to_nothing_ends_the_connection",
        answer_to_nothing,
        &["section 4.12.1"],
    )
    .needs(KNOWN),
    Scenario::new("v5_3_1_4_a_client_that_does_not_answer_a_challenge_is_closed", silent, &["section 3.1.4"])
        .needs(KNOWN)
        .choice()
        .timed(),
    Scenario::new("v5_3_1_2_24_a_challenge_is_no_larger_than_the_client_takes", small, &["MQTT-3.1.2-24"])
        .needs(KNOWN),
];

fn prover(password: &str) -> Prover {
    Prover::new(USER, password, "client-nonce")
}

/// A client that was asked for its proof.
fn asked(world: &mut World, connect: Connect) -> (Client, Disconnect) {
    let mut client = world.start(prover(PASSWORD).connect(connect));
    let question = client.expect_auth();
    assert_eq!(question.code, 0x18, "the code of AUTH");
    (client, question)
}

/// A client that is in.
fn proved(world: &mut World, connect: Connect) -> Client {
    let mut prover = prover(PASSWORD);
    let (mut client, question) = asked(world, connect);
    client.send_packet(prover.prove(&question));
    assert_eq!(client.expect_connack().code, 0, "the code of CONNACK");
    client
}

fn auth(code: u8, method: &str) -> Packet {
    Packet::Auth(Disconnect::new(code).with(Property::AuthenticationMethod(method.into())))
}

fn challenge(world: &mut World) {
    let mut prover = prover(PASSWORD);
    let (mut client, question) = asked(world, v5("one"));
    client.send_packet(prover.prove(&question));
    let ack = client.expect_connack();
    assert_eq!(ack.code, 0, "the code of CONNACK");
    assert_eq!(auth_data(&ack.properties), Some(prover.expected()), "the proof of the server");
    client.ping().expect_pingresp();
}

fn wrong_proof(world: &mut World) {
    let mut prover = prover("pen");
    let (mut client, question) = asked(world, v5("one"));
    client.send_packet(prover.prove(&question));
    match client.refusal() {
        Refusal::ConnAck(0x80..) | Refusal::Closed => {}
        other => panic!("expected a refusal, not {other:02X?}"),
    }
}

fn no_method(world: &mut World) {
    let mut client = world.connect(v5("one").user_name(USER).password(PASSWORD));
    client.ping().expect_pingresp();
    client.expect_nothing();
}

fn too_early(world: &mut World) {
    for packet in [Packet::PingReq, Packet::Publish(publish("t", "early"))] {
        let mut sub = world.connect(v5("sub"));
        sub.subscribe(1, "t", QoS0).expect_suback(&[0]);
        let (mut client, _) = asked(world, v5("one"));
        client.send_packet(packet);
        client.expect_closed_or_refused();
        sub.expect_nothing();
    }
}

fn other_method(world: &mut World) {
    let (mut client, _) = asked(world, v5("one"));
    client.send_packet(auth(0x18, "no-such-method"));
    client.expect_closed_or_refused();
}

fn other_code(world: &mut World) {
    for code in [0x00, 0x19, 0x01, 0x80] {
        let (mut client, _) = asked(world, v5("one"));
        client.send_packet(auth(code, SCRAM));
        client.expect_closed_or_refused();
    }
}

fn leaves(world: &mut World) {
    let mut sub = world.connect(v5("sub"));
    sub.subscribe(1, "w", QoS0).expect_suback(&[0]);
    let (mut client, _) = asked(world, v5("one").will(will("w", "gone")));
    client.send_packet(Packet::Disconnect(Disconnect::new(4)));
    client.expect_closed();
    // Who was never in has no will.
    sub.expect_nothing();
}

fn again(world: &mut World) {
    let mut client = proved(world, v5("one"));
    client.subscribe(1, "t", QoS0).expect_suback(&[0]);
    let mut publisher = world.connect(v5("publisher"));
    for _ in 0..2 {
        let mut prover = prover(PASSWORD);
        client.send_packet(prover.again());
        let question = client.expect_auth();
        assert_eq!(question.code, 0x18, "the code of AUTH");
        publisher.publish(publish("t", "meanwhile"));
        client.expect_publish("t", "meanwhile");
        client.ping().expect_pingresp();
        client.send_packet(prover.prove(&question));
        let done = client.expect_auth();
        assert_eq!(done.code, 0x00, "the code of AUTH");
        assert_eq!(auth_data(&done.properties), Some(prover.expected()), "the proof of the server");
    }
    client.ping().expect_pingresp();
}

fn again_wrong(world: &mut World) {
    let mut client = proved(world, v5("one"));
    let mut prover = prover("pen");
    client.send_packet(prover.again());
    let question = client.expect_auth();
    client.send_packet(prover.prove(&question));
    client.expect_disconnect(0x87);
}

fn again_otherwise(world: &mut World) {
    let mut client = proved(world, v5("one"));
    client.send_packet(auth(0x19, "no-such-method"));
    client.expect_disconnect_one_of(&[0x82, 0x8C]);
}

fn answer_to_nothing(world: &mut World) {
    let mut client = proved(world, v5("one"));
    client.send_packet(auth(0x18, SCRAM));
    client.expect_disconnect(0x82);
}

fn silent(world: &mut World) {
    let (mut client, _) = asked(world, v5("one"));
    world.past(10);
    client.expect_closed_or_refused();
}

fn small(world: &mut World) {
    // AUTH with the question has more than 80 bytes.
    let mut client = world.start(prover(PASSWORD).connect(v5("one").packet_size_max(60)));
    client.expect_closed_or_refused();
}
