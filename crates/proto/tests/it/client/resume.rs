//! A session over several network connections: what is sent again, and what becomes of it when the session is gone.

use whimbrel_proto::{
    Millis,
    client::{Message, Session},
    codec::{Connect, Packet, PacketType::*, PublishProperties, QoS, ReasonCode, Version},
};

use crate::it::transcript::{Client, accepted, connect, message, persistent};

/// A session with a QoS 2 message that was released, and a QoS 1 and a QoS 2 message that were not answered.
fn interrupted(version: Version) -> Session {
    let mut client = Client::start(&persistent(version), Session::default());
    client.receive(Packet::ConnAck(accepted(false)));
    client.publish(message("a", QoS::ExactlyOnce), 1).unwrap();
    client.publish(message("b", QoS::AtLeastOnce), 2).unwrap();
    client.publish(message("c", QoS::ExactlyOnce), 3).unwrap();
    client.publish(message("d", QoS::AtMostOnce), 4).unwrap();
    client.receive_ack(PubRec, 1, ReasonCode::Success);
    client.lose()
}

#[test]
fn v5_4_4_0_1_and_4_6_0_1_what_is_unacknowledged_is_sent_again_in_order_with_its_identifiers() {
    sent_again_in_order(&[Version::V5]);
}

#[test]
fn v311_4_4_0_1_and_4_6_0_1_and_2_3_1_3_what_is_unacknowledged_is_sent_again_in_order_with_its_identifiers() {
    sent_again_in_order(&[Version::V311]);
}

fn sent_again_in_order(versions: &[Version]) {
    for &version in versions {
        let (mut client, lines) = Client::resume(version, interrupted(version));
        let expected =
            ["= connected present=true", "> PUBREL #1", "> PUBLISH q1 #2 dup `b`", "> PUBLISH q2 #3 dup `c`"];
        assert_eq!(lines, expected);
        assert_eq!(client.receive_ack(PubComp, 1, ReasonCode::Success), ["= delivery 1 Success"]);
        assert_eq!(client.receive_ack(PubAck, 2, ReasonCode::Success), ["= delivery 2 Success"]);
        assert_eq!(client.receive_ack(PubRec, 3, ReasonCode::Success), ["> PUBREL #3"]);
        assert_eq!(client.receive_ack(PubComp, 3, ReasonCode::Success), ["= delivery 3 Success"]);
    }
}

#[test]
fn v31_has_no_session_present_and_sends_again_what_it_asked_to_keep() {
    let mut client = Client::start(&persistent(Version::V31), interrupted(Version::V31));
    let lines = client.receive(Packet::ConnAck(accepted(false)));
    assert_eq!(lines[0], "= connected present=true");
    assert_eq!(lines.len(), 4, "{lines:?}");
}

#[test]
fn v5_4_4_0_1_nothing_is_sent_again_while_the_connection_stands() {
    let mut client = Client::open(Version::V5);
    client.publish(message("a", QoS::AtLeastOnce), 1).unwrap();
    for _ in 0..10 {
        for line in client.pass(54_000).unwrap() {
            assert_eq!(line, "> PINGREQ");
        }
        client.receive(Packet::PingResp);
    }
}

#[test]
fn v5_4_9_0_2_what_is_sent_again_keeps_to_the_receive_maximum_too() {
    let mut client = Client::start(&persistent(Version::V5), interrupted(Version::V5));
    let mut connack = accepted(true);
    connack.properties.receive_maximum = Some(1);
    let lines = client.receive(Packet::ConnAck(connack));
    assert_eq!(lines, ["= connected present=true", "> PUBREL #1"]);
    assert!(!client.connection.has_room());
    let lines = client.receive_ack(PubComp, 1, ReasonCode::Success);
    assert_eq!(lines, ["= delivery 1 Success", "> PUBLISH q1 #2 dup `b`"]);
    let lines = client.receive_ack(PubAck, 2, ReasonCode::Success);
    assert_eq!(lines, ["= delivery 2 Success", "> PUBLISH q2 #3 dup `c`"]);
    assert!(!client.connection.has_room());
}

#[test]
fn v5_3_2_2_5_without_the_session_at_the_server_the_client_discards_its_own() {
    for version in [Version::V311, Version::V5] {
        let mut client = Client::start(&persistent(version), interrupted(version));
        let lines = client.receive(Packet::ConnAck(accepted(false)));
        assert_eq!(lines, ["= connected present=false received 1 unknown 2 unknown 3"]);
        assert_eq!(client.connection.session().in_flight(), 0);
        // The identifiers begin anew.
        let lines = client.publish(message("e", QoS::AtLeastOnce), 5).unwrap();
        assert_eq!(lines, ["> PUBLISH q1 #1 `e`"]);
    }
}

#[test]
fn v5_3_1_2_4_a_clean_start_discards_the_session() {
    let mut client = Client::start(&connect(Version::V5), interrupted(Version::V5));
    let lines = client.receive(Packet::ConnAck(accepted(false)));
    assert_eq!(lines, ["= connected present=false received 1 unknown 2 unknown 3"]);
}

#[test]
fn a_refused_connection_keeps_what_is_in_flight() {
    let mut client = Client::start(&persistent(Version::V5), interrupted(Version::V5));
    let busy = whimbrel_proto::codec::ConnAck { reason: ReasonCode::ServerBusy, ..Default::default() };
    client.receive(Packet::ConnAck(busy));
    let (_, lines) = Client::resume(Version::V5, client.lose());
    assert_eq!(lines.len(), 4, "{lines:?}");
}

#[test]
fn v5_4_3_3_6_after_pubrel_the_message_is_not_sent_again() {
    let mut session = interrupted(Version::V5);
    for _ in 0..3 {
        let (client, lines) = Client::resume(Version::V5, session);
        assert_eq!(lines[1], "> PUBREL #1");
        session = client.lose();
    }
}

#[test]
fn pubcomp_of_a_server_that_had_completed_already_is_a_success() {
    let (mut client, _) = Client::resume(Version::V5, interrupted(Version::V5));
    let lines = client.receive_ack(PubComp, 1, ReasonCode::PacketIdNotFound);
    assert_eq!(lines, ["= delivery 1 Success"]);
}

#[test]
fn v5_4_3_3_7_expiry_does_not_take_back_what_was_sent() {
    let properties = PublishProperties { message_expiry_secs: Some(5), ..Default::default() };
    let expiring = message("a", QoS::ExactlyOnce).with_properties(&properties).unwrap();
    let mut client = Client::start(&persistent(Version::V5), Session::default());
    client.receive(Packet::ConnAck(accepted(false)));
    client.publish(expiring, 1).unwrap();
    let mut client =
        Client::start_with(&persistent(Version::V5), Default::default(), client.lose(), Millis(1_000_000));
    let lines = client.receive(Packet::ConnAck(accepted(true)));
    assert_eq!(lines, ["= connected present=true", "> PUBLISH q2 #1 dup `a` expiry=1"]);
}

#[test]
fn an_alias_is_not_used_on_another_connection() {
    let properties = PublishProperties { topic_alias: Some(1), ..Default::default() };
    let mut connack = accepted(false);
    connack.properties.topic_alias_max = Some(1);
    let mut client = Client::start(&persistent(Version::V5), Session::default());
    client.receive(Packet::ConnAck(connack));
    client.publish(message("a", QoS::AtLeastOnce).with_properties(&properties).unwrap(), 1).unwrap();
    let (_, lines) = Client::resume(Version::V5, client.lose());
    assert_eq!(lines, ["= connected present=true", "> PUBLISH q1 #1 dup `a`"]);
}

/// A session with a large message of each QoS between small ones, resumed at a server that takes small packets only.
fn shrunk() -> (Client, Vec<String>) {
    let large = |qos| Message::new("large", vec![0; 100], qos, false).unwrap();
    let mut client = Client::start(&persistent(Version::V5), Session::default());
    client.receive(Packet::ConnAck(accepted(false)));
    client.publish(message("a", QoS::AtLeastOnce), 1).unwrap();
    client.publish(large(QoS::AtLeastOnce), 2).unwrap();
    client.publish(large(QoS::ExactlyOnce), 3).unwrap();
    client.publish(message("b", QoS::ExactlyOnce), 4).unwrap();
    let mut connack = accepted(true);
    connack.properties.packet_size_max = Some(50);
    let mut client = Client::start(&persistent(Version::V5), client.lose());
    let lines = client.receive(Packet::ConnAck(connack));
    (client, lines)
}

#[test]
fn v5_3_2_2_15_what_has_become_too_large_is_given_up_without_confusing_its_identifier() {
    let (_, lines) = shrunk();
    let expected = [
        "= connected present=true unknown 2",
        "> PUBLISH q1 #1 dup `a`",
        // The server may have had it: PUBREL ends it either way, and frees the identifier.
        "> PUBREL #3",
        "> PUBLISH q2 #4 dup `b`",
    ];
    assert_eq!(lines, expected);
    let (mut client, _) = shrunk();
    let had = client.receive_ack(PubComp, 3, ReasonCode::Success);
    assert_eq!(had, ["= delivery 3 Success"]);
    let (mut client, _) = shrunk();
    let had_not = client.receive_ack(PubComp, 3, ReasonCode::PacketIdNotFound);
    assert_eq!(had_not, ["= delivery 3 PacketTooLarge"]);
}

#[test]
fn v5_4_1_0_1_a_server_that_shortens_the_session_life_does_not_end_it_while_connected() {
    let mut client = Client::start(&persistent(Version::V5), Session::default());
    let mut connack = accepted(false);
    connack.properties.session_expiry_secs = Some(0);
    client.receive(Packet::ConnAck(connack));
    client.publish(message("a", QoS::AtLeastOnce), 1).unwrap();
    assert_eq!(client.receive_ack(PubAck, 1, ReasonCode::Success), ["= delivery 1 Success"]);
    client.publish(message("a", QoS::AtLeastOnce), 2).unwrap();
    let session = client.lose();
    assert!(!session.exists());
    // The next connection tells what became of it.
    let mut client = Client::start(&Connect { clean_start: false, ..connect(Version::V5) }, session);
    let lines = client.receive(Packet::ConnAck(accepted(false)));
    assert_eq!(lines, ["= connected present=false unknown 2"]);
}
