//! The end of a connection, by either side.

use whimbrel_proto::{
    Millis,
    client::{Misuse, Session},
    codec::{Disconnect, Malformed, Packet, QoS, ReasonCode, Version},
};

use crate::it::transcript::{Client, accepted, connect, message, persistent, told};

#[test]
fn v5_3_14_4_1_and_2_after_disconnect_nothing_is_sent() {
    nothing_after_disconnect(&[Version::V5]);
}

#[test]
fn v311_3_14_4_1_and_2_after_disconnect_nothing_is_sent() {
    nothing_after_disconnect(&[Version::V31, Version::V311]);
}

fn nothing_after_disconnect(versions: &[Version]) {
    for &version in versions {
        let mut client = Client::open(version);
        client.publish(message("t", QoS::ExactlyOnce), 1).unwrap();
        let line = if version == Version::V5 { "> DISCONNECT Success" } else { "> DISCONNECT" };
        assert_eq!(client.disconnect(&Disconnect::default()).unwrap(), [line]);
        assert!(client.connection.is_closed());
        assert_eq!(client.publish(message("t", QoS::AtMostOnce), 2), Err(Misuse::NotOpen));
        assert_eq!(client.subscribe(&[("t", Default::default())], None), Err(Misuse::NotOpen));
        assert_eq!(client.unsubscribe(&["t"]), Err(Misuse::NotOpen));
        assert_eq!(client.disconnect(&Disconnect::default()), Err(Misuse::NotOpen));
        assert_eq!(client.pass(1_000_000), Ok(vec![]));
        // Not even what would be answered otherwise.
        use whimbrel_proto::codec::PacketType::PubRec;
        assert!(client.receive_ack(PubRec, 1, ReasonCode::Success).is_empty());
    }
}

#[test]
fn v5_3_14_2_1_a_client_sends_only_its_own_reason_codes() {
    let check = |reason, allowed: bool| {
        let mut client = Client::open(Version::V5);
        let done = client.disconnect(&Disconnect { reason, ..Disconnect::default() });
        assert_eq!(done.is_ok(), allowed, "{reason:?}");
    };
    check(ReasonCode::DisconnectWithWill, true);
    check(ReasonCode::Unspecified, true);
    check(ReasonCode::ServerShuttingDown, false);
    check(ReasonCode::SessionTakenOver, false);
}

#[test]
fn disconnect_cannot_raise_a_session_expiry_of_zero() {
    let expiring = |secs| Disconnect { session_expiry_secs: Some(secs), ..Disconnect::default() };
    let mut client = Client::open(Version::V5);
    assert_eq!(client.disconnect(&expiring(1)), Err(Misuse::SessionExpiryRaised));
    assert!(client.connection.is_open(), "nothing was sent");
    assert!(client.disconnect(&expiring(0)).is_ok());
    assert!(!client.lose().exists());
    // Of a session that lasts it may be changed, and ended.
    let open = || {
        let mut client = Client::start(&persistent(Version::V5), Session::default());
        client.receive(Packet::ConnAck(accepted(false)));
        client
    };
    let mut client = open();
    client.disconnect(&expiring(7)).unwrap();
    assert!(client.lose().exists());
    let mut client = open();
    client.disconnect(&expiring(0)).unwrap();
    assert!(!client.lose().exists());
}

#[test]
fn v311_disconnect_has_no_reason() {
    let mut client = Client::open(Version::V311);
    let with_will = Disconnect { reason: ReasonCode::DisconnectWithWill, ..Disconnect::default() };
    assert_eq!(client.disconnect(&with_will), Err(Misuse::NotInVersion(Version::V311)));
}

#[test]
fn a_disconnect_of_the_server_ends_the_connection() {
    let mut client = Client::open(Version::V5);
    let gone = Disconnect { reason: ReasonCode::SessionTakenOver, ..Disconnect::default() };
    assert_eq!(client.receive(Packet::Disconnect(gone)), ["= disconnected SessionTakenOver"]);
    assert!(client.connection.is_closed());
    assert_eq!(client.connection.deadline(), Millis::NEVER);
    assert_eq!(client.publish(message("t", QoS::AtMostOnce), 1), Err(Misuse::NotOpen));
}

#[test]
fn v311_a_server_sends_no_disconnect() {
    let mut client = Client::open(Version::V311);
    assert!(client.receive_bytes(&[0xe0, 0]).is_err());
}

#[test]
fn v5_4_13_1_1_a_violation_is_told_in_disconnect() {
    let check = |version, reason, lines: &[&str]| {
        let mut client = Client::open(version);
        let mut out = Vec::new();
        client.connection.farewell(reason, &mut out);
        assert_eq!(told(&out, version, whimbrel_proto::codec::Peer::Client), lines);
        assert!(client.connection.is_closed());
    };
    check(Version::V5, ReasonCode::MalformedPacket, &["DISCONNECT MalformedPacket"]);
    check(Version::V5, ReasonCode::ReceiveMaximumExceeded, &["DISCONNECT ReceiveMaximumExceeded"]);
    // A client has no word for this one.
    check(Version::V5, ReasonCode::KeepAliveTimeout, &["DISCONNECT Unspecified"]);
    check(Version::V311, ReasonCode::MalformedPacket, &[]);
    let mut client = Client::start(&connect(Version::V5), Session::default());
    let mut out = Vec::new();
    client.connection.farewell(ReasonCode::ProtocolError, &mut out);
    assert!(out.is_empty(), "before CONNACK the connection is only closed");
}

#[test]
fn a_disconnect_with_fields_that_are_too_long_is_not_sent() {
    let mut client = Client::open(Version::V5);
    let with_nul = Disconnect { reason_string: Some("a\0"), ..Disconnect::default() };
    assert_eq!(client.disconnect(&with_nul), Err(Misuse::Malformed(Malformed::StringNul)));
    assert!(client.connection.is_open());
}
