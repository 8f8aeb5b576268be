//! Keep-alive: PINGREQ in time, and a server that does not answer.

use whimbrel_proto::{
    Millis, Violation,
    client::Session,
    codec::{Connect, Packet, QoS, Version},
};

use crate::it::transcript::{Client, accepted, connect, message, publish};

#[test]
fn v5_3_1_2_20_pingreq_leaves_before_the_keep_alive_has_passed() {
    pingreq_in_time(&[Version::V5]);
}

#[test]
fn v311_3_1_2_23_pingreq_leaves_before_the_keep_alive_has_passed() {
    pingreq_in_time(&[Version::V31, Version::V311]);
}

#[test]
fn a_timer_that_rings_early_or_late_changes_nothing() {
    let mut client = Client::open(Version::V5);
    let mut out = Vec::new();
    assert_eq!(client.connection.handle_timeout(Millis(53_999), &mut out), Ok(()));
    assert!(out.is_empty(), "it is not time yet");
    assert_eq!(client.connection.handle_timeout(Millis(58_000), &mut out), Ok(()));
    assert_eq!(out, [0xC0, 0], "it is past the time");
    assert_eq!(client.connection.handle_timeout(Millis(77_999), &mut out), Ok(()));
    assert_eq!(client.connection.handle_timeout(Millis(78_001), &mut out), Err(Violation::PingTimeout));
    let mut client = Client::start(&connect(Version::V5), Session::default());
    assert_eq!(client.connection.handle_timeout(Millis(19_999), &mut out), Ok(()));
    assert_eq!(client.connection.handle_timeout(Millis(20_001), &mut out), Err(Violation::ConnAckTimeout));
}

fn pingreq_in_time(versions: &[Version]) {
    for &version in versions {
        let mut client = Client::open(version);
        assert_eq!(client.pass(53_999), Ok(vec![]));
        assert_eq!(client.pass(1), Ok(vec!["> PINGREQ".to_owned()]));
        assert_eq!(client.receive(Packet::PingResp), ["= pong"]);
        assert_eq!(client.pass(53_999), Ok(vec![]));
        assert_eq!(client.pass(1), Ok(vec!["> PINGREQ".to_owned()]));
    }
}

#[test]
fn what_the_client_sends_takes_the_place_of_pingreq() {
    let mut client = Client::open(Version::V5);
    for _ in 0..10 {
        assert_eq!(client.pass(50_000), Ok(vec![]));
        client.publish(message("t", QoS::AtMostOnce), 1).unwrap();
        client.receive(Packet::Publish(publish(QoS::AtMostOnce, 0, "t")));
    }
}

#[test]
fn a_client_that_only_sends_still_asks_whether_anybody_reads() {
    let mut client = Client::open(Version::V5);
    client.pass(50_000).unwrap();
    client.publish(message("t", QoS::AtMostOnce), 1).unwrap();
    assert_eq!(client.pass(4_000), Ok(vec!["> PINGREQ".to_owned()]));
    client.publish(message("t", QoS::AtMostOnce), 1).unwrap();
    assert_eq!(client.pass(19_999), Ok(vec![]));
    assert_eq!(client.pass(1), Err(Violation::PingTimeout));
}

#[test]
fn a_server_that_sends_anything_has_answered() {
    let mut client = Client::open(Version::V5);
    assert_eq!(client.pass(54_000), Ok(vec!["> PINGREQ".to_owned()]));
    client.receive(Packet::Publish(publish(QoS::AtMostOnce, 0, "t")));
    assert_eq!(client.pass(20_000), Ok(vec![]));
}

#[test]
fn a_keep_alive_of_zero_asks_for_nothing() {
    let mut client =
        Client::start(&Connect { keep_alive_secs: 0, ..connect(Version::V5) }, Session::default());
    client.receive(Packet::ConnAck(accepted(false)));
    assert_eq!(client.connection.deadline(), Millis::NEVER);
    let now = client.now;
    assert_eq!(client.act(|connection, out| connection.ping(now, out)), Ok(vec!["> PINGREQ".to_owned()]));
    assert_eq!(client.pass(20_000), Err(Violation::PingTimeout), "who asks wants an answer");
}

#[test]
fn v5_3_1_2_21_and_3_2_2_21_the_keep_alive_of_the_server_is_used_instead() {
    let check = |server: u16, millis: u64| {
        let mut connack = accepted(false);
        connack.properties.server_keep_alive_secs = Some(server);
        let client = Client::open_under(connack);
        assert_eq!(client.connection.server().keep_alive_secs, server);
        assert_eq!(client.connection.deadline(), Millis(millis));
    };
    check(10, 9_000);
    check(600, 540_000);
    check(0, u64::MAX);
}

#[test]
fn without_a_server_keep_alive_the_own_one_holds() {
    let client = Client::open_under(accepted(false));
    assert_eq!(client.connection.server().keep_alive_secs, 60);
    assert_eq!(client.connection.deadline(), Millis(54_000));
}

#[test]
fn while_the_client_does_not_read_silence_is_its_own() {
    let mut client = Client::open(Version::V5);
    client.connection.set_reading(false, client.now);
    // It still keeps the connection alive.
    for _ in 0..10 {
        assert_eq!(client.pass(54_000), Ok(vec!["> PINGREQ".to_owned()]));
    }
    client.connection.set_reading(true, client.now);
    assert_eq!(client.pass(19_999), Ok(vec![]));
    assert_eq!(client.pass(1), Err(Violation::PingTimeout));
}

#[test]
fn to_say_again_that_input_is_taken_postpones_nothing() {
    let mut client = Client::open(Version::V5);
    client.pass(50_000).unwrap();
    client.publish(message("t", QoS::AtMostOnce), 1).unwrap();
    client.connection.set_reading(true, client.now);
    assert_eq!(client.connection.deadline(), Millis(54_000));
}
