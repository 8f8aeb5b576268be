//! AUTH: the exchange of a method before CONNACK, and re-authentication.

use whimbrel_proto::{
    Millis, Violation,
    codec::{
        Auth, Connect, Disconnect, Packet, PacketId, PacketType, Peer, Publish, ReasonCode, Split, Version,
        split,
    },
    server::{Connection, Event, Limits, Said, farewell, negotiate},
};

use super::{asks, open, told};

const V5: Version = Version::V5;

fn with_method() -> Connect<'static> {
    let mut connect = asks(V5);
    connect.properties.authentication_method = Some("m");
    connect.properties.authentication_data = Some(b"first");
    connect
}

fn auth(reason: ReasonCode, method: &'static str) -> Packet<'static> {
    Packet::Auth(Auth { reason, authentication_method: Some(method), ..Auth::default() })
}

/// The next step of the client.
fn next() -> Packet<'static> {
    auth(ReasonCode::ContinueAuthentication, "m")
}

/// A new exchange.
fn again() -> Packet<'static> {
    auth(ReasonCode::Reauthenticate, "m")
}

/// Hands over a packet at this moment.
fn receive(connection: &mut Connection, packet: &Packet<'_>, at: u64) -> Result<PacketType, Violation> {
    let mut bytes = Vec::new();
    packet.encode(V5, &mut bytes);
    let Ok(Split::Whole { frame, .. }) = split(&bytes, u32::MAX) else { panic!("no frame") };
    connection.handle(frame, &Limits::default(), Millis(at)).map(|event| match event {
        Event::Connect(_) => PacketType::Connect,
        Event::Auth => PacketType::Auth,
        Event::Ping => PacketType::PingReq,
        Event::Publish { .. } => PacketType::Publish,
        Event::Disconnect(_) => PacketType::Disconnect,
        other => panic!("{other:?}"),
    })
}

/// A connection whose client has sent CONNECT with a method, at 0.
fn asked() -> Connection {
    let mut connection = Connection::new(&Limits::default(), Millis(0));
    assert_eq!(receive(&mut connection, &Packet::Connect(with_method()), 0), Ok(PacketType::Connect));
    connection
}

/// One whose client has to answer.
fn challenged() -> Connection {
    let mut connection = asked();
    assert!(connection.challenge(None).is_some());
    connection
}

/// One whose client is in since `at`.
fn accepted(at: u64) -> Connection {
    let mut connection = asked();
    connection.accept(&negotiate(&with_method(), &Limits::default()).unwrap(), Millis(at));
    connection
}

#[test]
fn v5_4_12_0_2_a_challenge_is_auth_with_continue_and_the_method_of_connect() {
    let mut connection = asked();
    assert_eq!(connection.authentication_method(), Some("m"));
    let sent = connection.challenge(Some(b"salt")).unwrap();
    assert_eq!(sent.reason, ReasonCode::ContinueAuthentication);
    assert_eq!((sent.authentication_method, sent.authentication_data), (Some("m"), Some(&b"salt"[..])));
    let (mut bytes, sent_len) = (Vec::new(), sent.encoded_len(V5));
    sent.encode(V5, &mut bytes);
    let Ok(Split::Whole { frame, len }) = split(&bytes, u32::MAX) else { panic!("no frame") };
    assert_eq!(len, sent_len);
    assert!(Packet::decode(frame, V5, Peer::Server).is_ok());
}

#[test]
fn v5_4_12_0_3_the_client_answers_a_challenge_once() {
    let mut connection = challenged();
    assert!(!connection.owes_auth());
    assert_eq!(connection.challenge(None), None, "it is the client's turn");
    let packet = Packet::Auth(Auth {
        reason: ReasonCode::ContinueAuthentication,
        authentication_method: Some("m"),
        authentication_data: Some(b"answer"),
        ..Auth::default()
    });
    assert_eq!(receive(&mut connection, &packet, 0), Ok(PacketType::Auth));
    assert!(connection.owes_auth());
    let said = Said { data: Some((*b"answer").into()), is_anew: false };
    assert_eq!((connection.said(), connection.said()), (Some(said), None));
    assert_eq!(receive(&mut connection, &next(), 0), Err(Violation::Unexpected(PacketType::Auth)));
}

#[test]
fn v5_4_12_as_many_steps_as_the_method_needs_then_everything_may_come() {
    let mut connection = asked();
    for _ in 0..5 {
        assert!(connection.challenge(None).is_some());
        assert_eq!(receive(&mut connection, &next(), 0), Ok(PacketType::Auth));
    }
    connection.accept(&negotiate(&with_method(), &Limits::default()).unwrap(), Millis(0));
    assert!(!connection.owes_auth());
    assert_eq!(receive(&mut connection, &Packet::PingReq, 0), Ok(PacketType::PingReq));
}

#[test]
fn v5_3_1_2_30_nothing_but_auth_and_disconnect_before_connack() {
    let publish = Packet::Publish(Publish { topic: "t", ..Publish::default() });
    for packet in [publish, Packet::PingReq] {
        let kind = if packet == Packet::PingReq { PacketType::PingReq } else { PacketType::Publish };
        assert_eq!(receive(&mut challenged(), &packet, 0), Err(Violation::NotAuthenticated(kind)));
        assert_eq!(receive(&mut asked(), &packet, 0), Err(Violation::Unexpected(kind)));
    }
    let connect = Packet::Connect(with_method());
    assert_eq!(receive(&mut challenged(), &connect, 0), Err(Violation::SecondConnect));
    let ack = Packet::PubAck(whimbrel_proto::codec::Ack::new(PacketId::new(1).unwrap(), ReasonCode::Success));
    assert_eq!(receive(&mut challenged(), &ack, 0), Err(Violation::NotAuthenticated(PacketType::PubAck)));
}

#[test]
fn v5_4_12_the_client_may_disconnect_in_the_middle() {
    let farewell = Packet::Disconnect(Disconnect::default());
    assert_eq!(receive(&mut challenged(), &farewell, 0), Ok(PacketType::Disconnect));
}

#[test]
fn v5_4_12_0_5_the_method_stays_the_one_of_connect() {
    let other = auth(ReasonCode::ContinueAuthentication, "n");
    assert_eq!(receive(&mut challenged(), &other, 0), Err(Violation::AuthMethodChanged));
    let other = auth(ReasonCode::Reauthenticate, "n");
    assert_eq!(receive(&mut accepted(0), &other, 0), Err(Violation::AuthMethodChanged));
}

#[test]
fn v5_4_12_0_7_no_auth_without_a_method_in_connect() {
    for packet in [next(), again()] {
        assert_eq!(receive(&mut open(V5, &Limits::default()), &packet, 0), Err(Violation::AuthUnexpected));
    }
    assert_eq!(open(V5, &Limits::default()).challenge(None), None, "nor one to the client [MQTT-4.12.0-6]");
}

#[test]
fn v5_4_12_1_only_an_exchange_that_was_begun_is_gone_on_with() {
    assert_eq!(receive(&mut challenged(), &again(), 0), Err(Violation::AuthOutOfTurn));
    assert_eq!(receive(&mut accepted(0), &next(), 0), Err(Violation::AuthOutOfTurn));
    let mut connection = accepted(0);
    assert_eq!(receive(&mut connection, &again(), 0), Ok(PacketType::Auth));
    for early in [again(), next()] {
        assert_eq!(receive(&mut connection, &early, 0), Err(Violation::AuthOutOfTurn), "the server thinks");
    }
}

#[test]
fn v5_4_12_1_traffic_goes_on_while_a_client_authenticates_again() {
    let mut connection = accepted(0);
    assert_eq!(connection.reauthenticated(None), None, "nobody has asked");
    assert_eq!(receive(&mut connection, &again(), 0), Ok(PacketType::Auth));
    assert_eq!(receive(&mut connection, &Packet::PingReq, 0), Ok(PacketType::PingReq));
    assert!(connection.challenge(Some(b"salt")).is_some());
    let publish = Packet::Publish(Publish { topic: "t", ..Publish::default() });
    assert_eq!(receive(&mut connection, &publish, 0), Ok(PacketType::Publish));
    assert_eq!(receive(&mut connection, &next(), 0), Ok(PacketType::Auth));
    let done = connection.reauthenticated(Some(b"proof")).unwrap();
    assert_eq!((done.reason, done.authentication_method), (ReasonCode::Success, Some("m")));
    assert_eq!(receive(&mut connection, &again(), 0), Ok(PacketType::Auth), "as often as it likes");
}

#[test]
fn v5_3_1_4_the_time_for_connect_is_that_of_the_whole_exchange() {
    let mut connection = Connection::new(&Limits::default(), Millis(0));
    assert_eq!(receive(&mut connection, &Packet::Connect(with_method()), 4_000), Ok(PacketType::Connect));
    assert_eq!(connection.deadline(), Millis::NEVER, "the server thinks");
    for at in [6_000, 8_000] {
        assert!(connection.challenge(None).is_some());
        assert_eq!(connection.deadline(), Millis(10_000));
        assert_eq!(receive(&mut connection, &next(), at), Ok(PacketType::Auth));
    }
    assert!(connection.challenge(None).is_some());
    assert_eq!(connection.handle_timeout(Millis(9_999)), Ok(()));
    assert_eq!(connection.handle_timeout(Millis(10_000)), Err(Violation::AuthTimeout));
}

#[test]
fn v5_4_12_1_a_reauthentication_has_its_time_beside_the_keep_alive() {
    let mut connection = accepted(0);
    assert_eq!(receive(&mut connection, &again(), 1_000), Ok(PacketType::Auth));
    assert_eq!(connection.deadline(), Millis(16_000), "the keep-alive's");
    assert!(connection.challenge(None).is_some());
    assert_eq!(receive(&mut connection, &Packet::PingReq, 9_000), Ok(PacketType::PingReq));
    assert_eq!(connection.deadline(), Millis(11_000));
    assert_eq!(connection.handle_timeout(Millis(11_000)), Err(Violation::AuthTimeout));

    let mut silent = accepted(0);
    assert_eq!(receive(&mut silent, &again(), 0), Ok(PacketType::Auth));
    assert_eq!(silent.handle_timeout(Millis(15_000)), Err(Violation::KeepAliveTimeout));
}

#[test]
fn v5_4_12_0_4_a_refusal_in_the_middle_is_connack() {
    let mut out = Vec::new();
    farewell(&challenged(), ReasonCode::NotAuthorized, None, &mut out);
    let Some(Packet::ConnAck(connack)) = told(&out, V5) else { panic!("no CONNACK") };
    assert_eq!(connack.reason, ReasonCode::NotAuthorized);
}

#[test]
fn a_packet_of_a_stranger_is_no_larger_than_connect_may_be() {
    let limits = Limits { connect_bytes_max: 1_000, ..Limits::default() };
    assert_eq!(challenged().packet_bytes_max(&limits), 1_000);
    assert_eq!(accepted(0).packet_bytes_max(&limits), limits.packet_bytes_max);
}
