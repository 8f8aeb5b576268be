//! AUTH before and after CONNACK.

use whimbrel_proto::{
    Violation,
    client::{Misuse, Session},
    codec::{Auth, Connect, Packet, QoS, ReasonCode, Version},
};

use crate::it::transcript::{Client, accepted, connect, message};

const METHOD: &str = "SCRAM-SHA-1";

fn with_method() -> Connect<'static> {
    let mut asked = connect(Version::V5);
    asked.properties.authentication_method = Some(METHOD);
    asked
}

fn auth(reason: ReasonCode, method: &'static str) -> Packet<'static> {
    Packet::Auth(Auth { reason, authentication_method: Some(method), ..Auth::default() })
}

fn accepted_by_method() -> Packet<'static> {
    let mut connack = accepted(false);
    connack.properties.authentication_method = Some(METHOD);
    Packet::ConnAck(connack)
}

fn open() -> Client {
    let mut client = Client::start(&with_method(), Session::default());
    client.receive(accepted_by_method());
    client
}

#[test]
fn v5_4_12_0_3_auth_is_answered_with_continue_and_the_same_method() {
    let mut client = Client::start(&with_method(), Session::default());
    let lines = client.receive(auth(ReasonCode::ContinueAuthentication, METHOD));
    assert_eq!(lines, ["= auth ContinueAuthentication"]);
    let now = client.now;
    let lines = client.act(|connection, out| connection.authenticate(Some(b"proof"), now, out)).unwrap();
    assert_eq!(lines, ["> AUTH ContinueAuthentication Some(\"SCRAM-SHA-1\")"]);
    assert_eq!(client.receive(accepted_by_method()), ["= connected present=false"]);
}

#[test]
fn v5_3_1_2_30_with_a_method_nothing_but_auth_goes_before_connack() {
    let mut client = Client::start(&with_method(), Session::default());
    client.receive(auth(ReasonCode::ContinueAuthentication, METHOD));
    assert_eq!(client.publish(message("t", QoS::AtMostOnce), 1), Err(Misuse::NotOpen));
    assert_eq!(client.subscribe(&[("t", Default::default())], None), Err(Misuse::NotOpen));
    assert_eq!(client.pass(19_999), Ok(vec![]), "and no PINGREQ");
}

#[test]
fn an_auth_of_the_server_gives_it_time_for_the_next_packet() {
    let mut client = Client::start(&with_method(), Session::default());
    client.pass(15_000).unwrap();
    client.receive(auth(ReasonCode::ContinueAuthentication, METHOD));
    assert_eq!(client.pass(19_999), Ok(vec![]));
    assert_eq!(client.pass(1), Err(Violation::ConnAckTimeout));
}

#[test]
fn v5_4_12_0_5_the_method_stays_the_same() {
    let other = auth(ReasonCode::ContinueAuthentication, "PLAIN");
    let mut client = Client::start(&with_method(), Session::default());
    assert_eq!(client.try_receive(other), Err(Violation::AuthMethodChanged));
    let mut client = Client::start(&with_method(), Session::default());
    assert_eq!(client.try_receive(Packet::ConnAck(accepted(false))), Err(Violation::AuthMethodChanged));
}

#[test]
fn v5_4_12_0_6_without_a_method_the_server_sends_no_auth() {
    let mut client = Client::start(&connect(Version::V5), Session::default());
    let continued = auth(ReasonCode::ContinueAuthentication, METHOD);
    assert_eq!(client.try_receive(continued), Err(Violation::AuthUnexpected));
    let mut client = Client::start(&connect(Version::V5), Session::default());
    assert_eq!(client.try_receive(accepted_by_method()), Err(Violation::AuthMethodChanged));
}

#[test]
fn v5_4_12_0_7_without_a_method_the_client_sends_no_auth() {
    let mut client = Client::open(Version::V5);
    let now = client.now;
    let sent = client.act(|connection, out| connection.authenticate(None, now, out));
    assert_eq!(sent, Err(Misuse::NoAuthenticationMethod));
    let sent = client.act(|connection, out| connection.reauthenticate(None, now, out));
    assert_eq!(sent, Err(Misuse::NoAuthenticationMethod));
}

#[test]
fn v5_4_12_1_1_the_client_can_authenticate_again() {
    let mut client = open();
    let now = client.now;
    let lines = client.act(|connection, out| connection.reauthenticate(Some(b"again"), now, out)).unwrap();
    assert_eq!(lines, ["> AUTH Reauthenticate Some(\"SCRAM-SHA-1\")"]);
    let lines = client.receive(auth(ReasonCode::ContinueAuthentication, METHOD));
    assert_eq!(lines, ["= auth ContinueAuthentication"]);
    client.act(|connection, out| connection.authenticate(None, now, out)).unwrap();
    assert_eq!(client.receive(auth(ReasonCode::Success, METHOD)), ["= auth Success"]);
}

#[test]
fn v5_3_15_2_2_and_3_auth_has_only_what_it_needs_and_fits_the_maximum_packet_size() {
    // First byte, length, reason, length of properties, method with its length, data with its length.
    let needed = 4 + 3 + METHOD.len() + 3 + "again".len();
    for (max, fits) in [(needed, true), (needed - 1, false)] {
        let mut client = Client::start(&with_method(), Session::default());
        let mut connack = accepted(false);
        connack.properties.authentication_method = Some(METHOD);
        connack.properties.packet_size_max = u32::try_from(max).ok();
        client.receive(Packet::ConnAck(connack));
        let mut out = Vec::new();
        let sent = client.connection.reauthenticate(Some(b"again"), client.now, &mut out);
        let expected = Misuse::PacketTooLarge { bytes: needed, bytes_max: u32::try_from(max).unwrap() };
        assert_eq!(sent, if fits { Ok(()) } else { Err(expected) });
        assert_eq!(out.len(), if fits { needed } else { 0 });
    }
}

#[test]
fn success_before_connack_is_connack_itself() {
    let mut client = Client::start(&with_method(), Session::default());
    let early = auth(ReasonCode::Success, METHOD);
    assert_eq!(client.try_receive(early), Err(Violation::AuthOutOfTurn));
}

#[test]
fn each_side_speaks_when_it_is_its_turn() {
    let continued = || auth(ReasonCode::ContinueAuthentication, METHOD);
    let answer = |client: &mut Client| {
        let now = client.now;
        client.act(|connection, out| connection.authenticate(None, now, out)).map(drop)
    };
    let again = |client: &mut Client| {
        let now = client.now;
        client.act(|connection, out| connection.reauthenticate(None, now, out)).map(drop)
    };
    let mut client = Client::start(&with_method(), Session::default());
    assert_eq!(answer(&mut client), Err(Misuse::AuthOutOfTurn), "the server has asked nothing");
    client.receive(continued());
    assert_eq!(answer(&mut client), Ok(()));
    assert_eq!(answer(&mut client), Err(Misuse::AuthOutOfTurn), "one answer for one question");
    client.receive(continued());
    assert_eq!(client.try_receive(continued()), Err(Violation::AuthOutOfTurn), "it was not answered");

    for unasked in [continued(), auth(ReasonCode::Success, METHOD)] {
        assert_eq!(open().try_receive(unasked), Err(Violation::AuthOutOfTurn), "only a client begins anew");
    }
    let mut client = open();
    assert_eq!(answer(&mut client), Err(Misuse::AuthOutOfTurn));
    assert_eq!(again(&mut client), Ok(()));
    assert_eq!(again(&mut client), Err(Misuse::AuthOutOfTurn), "one at a time");
    client.receive(auth(ReasonCode::Success, METHOD));
    assert_eq!(again(&mut client), Ok(()));
}

#[test]
fn v5_4_12_0_4_the_server_may_refuse_at_any_point() {
    let mut client = Client::start(&with_method(), Session::default());
    client.receive(auth(ReasonCode::ContinueAuthentication, METHOD));
    let refusal = whimbrel_proto::codec::ConnAck { reason: ReasonCode::NotAuthorized, ..Default::default() };
    assert_eq!(client.receive(Packet::ConnAck(refusal)), ["= refused NotAuthorized"]);
}
