//! CONNECT and CONNACK.

use whimbrel_proto::{
    Millis, Violation,
    client::{Connection, Misuse, Session, Settings},
    codec::{
        Ack as AckPacket, ConnAck, Connect, Malformed, Packet, PacketType, QoS, ReasonCode, Version, Will,
    },
};

use crate::it::transcript::{Client, accepted, connect, id, message, persistent};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn start(connect: &Connect<'_>) -> Result<Connection, Misuse> {
    let mut out = Vec::new();
    Connection::new(connect, Settings::default(), Session::default(), Millis(0), &mut out)
}

#[test]
fn v5_3_1_0_1_the_first_packet_is_connect_and_nothing_goes_before_connack() {
    for version in VERSIONS {
        // `start` looks at the first packet.
        let mut client = Client::start(&connect(version), Session::default());
        assert_eq!(client.publish(message("t", QoS::AtMostOnce), 1), Err(Misuse::NotOpen));
        assert_eq!(client.subscribe(&[("t", Default::default())], None), Err(Misuse::NotOpen));
        assert_eq!(client.unsubscribe(&["t"]), Err(Misuse::NotOpen));
        assert_eq!(client.disconnect(&Default::default()), Err(Misuse::NotOpen));
        let lines = client.receive(Packet::ConnAck(accepted(false)));
        assert_eq!(lines, ["= connected present=false"]);
        assert!(client.publish(message("t", QoS::AtMostOnce), 1).is_ok());
    }
}

#[test]
fn v5_3_2_0_1_the_first_packet_from_the_server_must_be_connack() {
    for version in VERSIONS {
        for packet in [Packet::PingResp, Packet::PubAck(AckPacket::new(id(1), ReasonCode::Success))] {
            let mut client = Client::start(&connect(version), Session::default());
            assert_eq!(client.try_receive(packet), Err(Violation::ConnAckExpected));
        }
    }
}

#[test]
fn v5_3_2_0_2_a_second_connack_is_a_violation() {
    for version in VERSIONS {
        let mut client = Client::open(version);
        let second = client.try_receive(Packet::ConnAck(accepted(false)));
        assert_eq!(second, Err(Violation::Unexpected(PacketType::ConnAck)));
    }
}

#[test]
fn connack_has_to_come_in_time() {
    let mut client = Client::start(&connect(Version::V5), Session::default());
    assert_eq!(client.pass(19_999), Ok(vec![]));
    assert_eq!(client.pass(1), Err(Violation::ConnAckTimeout));
}

#[test]
fn a_refusal_ends_the_connection() {
    let check = |version, reason| {
        let mut client = Client::start(&connect(version), Session::default());
        let lines = client.receive(Packet::ConnAck(ConnAck { reason, ..ConnAck::default() }));
        assert_eq!(lines, [format!("= refused {reason:?}")]);
        assert!(client.connection.is_closed());
        assert_eq!(client.connection.deadline(), Millis::NEVER);
        assert_eq!(client.publish(message("t", QoS::AtMostOnce), 1), Err(Misuse::NotOpen));
    };
    check(Version::V5, ReasonCode::Banned);
    check(Version::V5, ReasonCode::UseAnotherServer);
    check(Version::V311, ReasonCode::NotAuthorized);
    check(Version::V31, ReasonCode::ServerUnavailable);
}

#[test]
fn v5_3_2_2_6_a_refusal_with_session_present_is_malformed() {
    let mut client = Client::start(&persistent(Version::V5), Session::continued());
    let refusal = client.receive_bytes(&[0x20, 3, 1, 0x87, 0]);
    assert_eq!(refusal, Err(Violation::Malformed(Malformed::SessionPresentOnError)));
}

#[test]
fn v5_3_2_2_4_a_client_without_session_state_closes_when_the_server_has_one() {
    let present = Packet::ConnAck(accepted(true));
    for version in [Version::V311, Version::V5] {
        let mut client = Client::start(&persistent(version), Session::default());
        assert_eq!(client.try_receive(present), Err(Violation::SessionPresent));
        // With a clean start whatever there was is discarded, so nothing can be present.
        let mut client = Client::start(&connect(version), Session::continued());
        assert_eq!(client.try_receive(present), Err(Violation::SessionPresent));
    }
}

#[test]
fn a_session_of_an_earlier_process_is_taken_up() {
    for version in [Version::V311, Version::V5] {
        let (_client, lines) = Client::resume(version, Session::continued());
        assert_eq!(lines, ["= connected present=true"]);
    }
}

#[test]
fn v5_3_1_2_23_the_session_outlives_the_connection_if_its_expiry_is_above_zero() {
    let check = |connect: &Connect<'_>, connack: ConnAck<'_>, outlives: bool| {
        let mut client = Client::start(connect, Session::default());
        client.receive(Packet::ConnAck(connack));
        assert_eq!(client.lose().exists(), outlives);
    };
    check(&persistent(Version::V5), accepted(false), true);
    check(&connect(Version::V5), accepted(false), false);
    check(&persistent(Version::V311), accepted(false), true);
    check(&connect(Version::V311), accepted(false), false);
    // The server's word is the last.
    let mut connack = accepted(false);
    connack.properties.session_expiry_secs = Some(0);
    check(&persistent(Version::V5), connack, false);
}

#[test]
fn a_connection_that_was_never_accepted_leaves_the_session_as_it_was() {
    for session in [Session::default(), Session::continued()] {
        let existed = session.exists();
        let client = Client::start(&persistent(Version::V5), session);
        assert_eq!(client.lose().exists(), existed);
    }
}

#[test]
fn v311_3_1_3_7_an_empty_client_identifier_needs_a_clean_session() {
    let with_id = |version, clean_start, client_id| {
        start(&Connect { clean_start, client_id, ..connect(version) }).map(drop)
    };
    assert_eq!(with_id(Version::V311, false, ""), Err(Misuse::ClientIdMissing));
    assert_eq!(with_id(Version::V311, true, ""), Ok(()));
    assert_eq!(with_id(Version::V31, true, ""), Err(Misuse::ClientIdMissing));
    assert_eq!(with_id(Version::V5, false, ""), Ok(()));
}

#[test]
fn what_connect_cannot_carry_is_refused_before_anything_is_written() {
    let check = |connect: Connect<'_>, misuse: Misuse| {
        let mut out = Vec::new();
        let made = Connection::new(&connect, Settings::default(), Session::default(), Millis(0), &mut out);
        assert_eq!(made.map(drop), Err(misuse));
        assert!(out.is_empty());
    };
    let long = "x".repeat(65_536);
    let will = |topic| Some(Will { topic, ..Will::default() });
    check(Connect { will: will("a/#"), ..connect(Version::V5) }, Misuse::Malformed(Malformed::TopicWildcard));
    check(Connect { client_id: "a\0b", ..connect(Version::V5) }, Misuse::Malformed(Malformed::StringNul));
    check(Connect { client_id: &long, ..connect(Version::V5) }, Misuse::NotInVersion(Version::V5));
    check(
        Connect { password: Some(b"p"), ..connect(Version::V311) },
        Misuse::Malformed(Malformed::PasswordWithoutUserName),
    );
    let mut with_property = connect(Version::V311);
    with_property.properties.receive_maximum = Some(10);
    check(with_property, Misuse::NotInVersion(Version::V311));
}

#[test]
fn a_password_without_user_name_is_allowed_in_5_0() {
    assert!(start(&Connect { password: Some(b"p"), ..connect(Version::V5) }).is_ok());
}

#[test]
fn v5_3_1_3_6_an_empty_identifier_is_left_to_the_server() {
    for (client_id, is_assigned) in [("", true), ("c", false)] {
        let connection = start(&Connect { client_id, ..connect(Version::V5) }).unwrap();
        assert_eq!(connection.client_id_assigned(), is_assigned);
    }
}
