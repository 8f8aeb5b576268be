//! The order of acknowledgements, and acknowledgements that come when their connection is over.

use whimbrel_proto::{
    Violation,
    client::{Misuse, Session},
    codec::{Packet, PacketType::PubRel, Publish, QoS, ReasonCode, Version},
};

use crate::it::transcript::{Client, accepted, persistent, publish};

fn deliver(client: &mut Client, qos: QoS, packet_id: u16) -> Vec<String> {
    client.receive(Packet::Publish(publish(qos, packet_id, "t")))
}

fn again(client: &mut Client, qos: QoS, packet_id: u16) -> Vec<String> {
    client.receive(Packet::Publish(Publish { dup: true, ..publish(qos, packet_id, "t") }))
}

#[test]
fn v5_4_6_0_2_and_3_acknowledgements_leave_in_the_order_of_the_messages() {
    acknowledgements_in_order(&[Version::V5]);
}

#[test]
fn v311_4_6_0_2_and_3_acknowledgements_leave_in_the_order_of_the_messages() {
    acknowledgements_in_order(&[Version::V311]);
}

fn acknowledgements_in_order(versions: &[Version]) {
    for &version in versions {
        let mut client = Client::open(version);
        for (qos, packet_id) in
            [(QoS::AtLeastOnce, 1), (QoS::ExactlyOnce, 2), (QoS::AtLeastOnce, 3), (QoS::ExactlyOnce, 4)]
        {
            deliver(&mut client, qos, packet_id);
        }
        // The application takes the last first.
        assert!(client.acknowledge(3, ReasonCode::Success).is_empty());
        assert!(client.acknowledge(1, ReasonCode::Success).is_empty());
        assert_eq!(client.acknowledge(0, ReasonCode::Success), ["> PUBACK #1", "> PUBREC #2"]);
        assert_eq!(client.acknowledge(0, ReasonCode::Success), ["> PUBACK #3", "> PUBREC #4"]);
    }
}

#[test]
fn v5_3_4_2_1_and_3_5_2_1_only_the_reason_codes_of_the_packet_are_sent() {
    let mut client = Client::open(Version::V5);
    deliver(&mut client, QoS::AtLeastOnce, 1);
    let ack = client.acks.remove(0);
    let now = client.now;
    let done =
        client.act(|connection, out| connection.acknowledge(ack, ReasonCode::ServerShuttingDown, now, out));
    assert_eq!(done, Err(Misuse::ReasonNotAllowed(ReasonCode::ServerShuttingDown)));
}

fn persistent_client(version: Version) -> Client {
    let mut client = Client::start(&persistent(version), Session::default());
    client.receive(Packet::ConnAck(accepted(false)));
    client
}

#[test]
fn a_late_answer_to_a_qos_1_message_is_void_and_the_server_sends_it_again() {
    let mut old = persistent_client(Version::V5);
    deliver(&mut old, QoS::AtLeastOnce, 1);
    let late = old.acks.remove(0);
    let (mut client, _) = Client::resume(Version::V5, old.lose());
    // Another message with the same identifier must not be acknowledged by it.
    deliver(&mut client, QoS::AtLeastOnce, 1);
    client.acks.insert(0, late);
    assert!(client.acknowledge(0, ReasonCode::Success).is_empty());
    assert_eq!(client.acknowledge(0, ReasonCode::Success), ["> PUBACK #1"]);
}

#[test]
fn v5_4_3_3_10_a_qos_2_message_is_delivered_once_although_the_connection_broke() {
    for version in [Version::V311, Version::V5] {
        // The application answered, and PUBREC was lost.
        let mut old = persistent_client(version);
        deliver(&mut old, QoS::ExactlyOnce, 1);
        old.acknowledge(0, ReasonCode::Success);
        let (mut client, _) = Client::resume(version, old.lose());
        assert_eq!(again(&mut client, QoS::ExactlyOnce, 1), ["> PUBREC #1"]);
    }
}

#[test]
fn an_answer_to_a_qos_2_message_between_two_connections_is_remembered() {
    let mut old = persistent_client(Version::V5);
    deliver(&mut old, QoS::ExactlyOnce, 1);
    let late = old.acks.remove(0);
    let (mut client, _) = Client::resume(Version::V5, old.lose());
    client.acks.push(late);
    assert!(client.acknowledge(0, ReasonCode::Success).is_empty(), "the server has not asked yet");
    assert_eq!(again(&mut client, QoS::ExactlyOnce, 1), ["> PUBREC #1"]);
}

#[test]
fn a_qos_2_message_that_the_application_still_holds_is_answered_on_the_next_connection() {
    let mut old = persistent_client(Version::V5);
    deliver(&mut old, QoS::ExactlyOnce, 1);
    let late = old.acks.remove(0);
    let (mut client, _) = Client::resume(Version::V5, old.lose());
    assert!(again(&mut client, QoS::ExactlyOnce, 1).is_empty());
    client.acks.push(late);
    assert_eq!(client.acknowledge(0, ReasonCode::Success), ["> PUBREC #1"]);
}

#[test]
fn an_answer_to_a_message_of_a_lost_session_is_void() {
    let mut old = persistent_client(Version::V5);
    deliver(&mut old, QoS::ExactlyOnce, 1);
    let late = old.acks.remove(0);
    let mut client = Client::start(&persistent(Version::V5), old.lose());
    client.receive(Packet::ConnAck(accepted(false)));
    assert_eq!(deliver(&mut client, QoS::ExactlyOnce, 1), ["= message q2 `t`"], "another message");
    client.acks.insert(0, late);
    assert!(client.acknowledge(0, ReasonCode::Success).is_empty());
    assert_eq!(client.acknowledge(0, ReasonCode::Success), ["> PUBREC #1"]);
}

/// Each with a reason of its own, so that an answer which goes to another message shows.
#[test]
fn an_answer_goes_to_its_own_message_and_no_other() {
    let mut client = Client::open(Version::V5);
    for (qos, packet_id) in
        [(QoS::AtLeastOnce, 1), (QoS::ExactlyOnce, 2), (QoS::AtLeastOnce, 3), (QoS::ExactlyOnce, 4)]
    {
        deliver(&mut client, qos, packet_id);
    }
    assert!(client.acknowledge(3, ReasonCode::QuotaExceeded).is_empty());
    assert!(client.acknowledge(2, ReasonCode::NotAuthorized).is_empty());
    assert!(client.acknowledge(1, ReasonCode::Success).is_empty());
    assert_eq!(
        client.acknowledge(0, ReasonCode::Unspecified),
        ["> PUBACK #1 Unspecified", "> PUBREC #2", "> PUBACK #3 NotAuthorized", "> PUBREC #4 QuotaExceeded"]
    );
}

fn with_receive_maximum(maximum: u16, session: Session) -> Client {
    let mut connect = persistent(Version::V5);
    connect.properties.receive_maximum = Some(maximum);
    Client::start(&connect, session)
}

#[test]
fn v5_3_3_4_9_a_message_that_comes_twice_takes_one_place() {
    let mut client = with_receive_maximum(2, Session::default());
    client.receive(Packet::ConnAck(accepted(false)));
    deliver(&mut client, QoS::ExactlyOnce, 1);
    assert!(again(&mut client, QoS::ExactlyOnce, 1).is_empty());
    deliver(&mut client, QoS::ExactlyOnce, 2);
    let third = client.try_receive(Packet::Publish(publish(QoS::ExactlyOnce, 3, "t")));
    assert_eq!(third, Err(Violation::ReceiveMaximumExceeded));
}

#[test]
fn v5_3_3_4_9_a_message_of_an_earlier_connection_takes_a_place_when_it_comes_again() {
    let mut client = with_receive_maximum(1, Session::default());
    client.receive(Packet::ConnAck(accepted(false)));
    deliver(&mut client, QoS::ExactlyOnce, 1);
    client.acknowledge(0, ReasonCode::Success);
    let mut client = with_receive_maximum(1, client.lose());
    client.receive(Packet::ConnAck(accepted(true)));
    assert_eq!(again(&mut client, QoS::ExactlyOnce, 1), ["> PUBREC #1"]);
    let second = client.try_receive(Packet::Publish(publish(QoS::ExactlyOnce, 2, "t")));
    assert_eq!(second, Err(Violation::ReceiveMaximumExceeded));
}

#[test]
fn an_answer_to_a_qos_1_message_of_a_lost_session_is_void() {
    let mut client = with_receive_maximum(9, Session::default());
    client.receive(Packet::ConnAck(accepted(false)));
    deliver(&mut client, QoS::AtLeastOnce, 5);
    let late = client.acks.remove(0);
    let mut client = with_receive_maximum(9, client.lose());
    client.receive(Packet::ConnAck(accepted(false)));
    deliver(&mut client, QoS::AtLeastOnce, 5);
    let now = client.now;
    let answered = client.act(|connection, out| connection.acknowledge(late, ReasonCode::Success, now, out));
    assert_eq!(answered, Ok(vec![]));
}

#[test]
fn a_release_changes_nothing_for_what_the_application_still_holds() {
    let mut client = persistent_client(Version::V5);
    deliver(&mut client, QoS::ExactlyOnce, 1);
    deliver(&mut client, QoS::ExactlyOnce, 2);
    assert_eq!(client.acknowledge(0, ReasonCode::Success), ["> PUBREC #1"]);
    assert_eq!(client.receive_ack(PubRel, 1, ReasonCode::Success), ["> PUBCOMP #1"]);
    assert!(again(&mut client, QoS::ExactlyOnce, 2).is_empty(), "it is answered when the application has it");
}
