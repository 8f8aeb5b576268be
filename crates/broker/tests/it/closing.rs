//! The end of a connection on a real socket: what was said last arrives, whatever the client does meanwhile.

use std::io::{ErrorKind, Read};

use whimbrel_testkit::{Ack, Packet, Property, QoS, Version, publish, v5, v311};

use super::running::start;

/// What the socket of a client that goes on sending must bear: the broker reads on and throws away.
const FLOOD: usize = 1 << 20;

#[test]
fn the_last_packet_reaches_a_client_that_is_still_sending() {
    // A socket that is closed with unread bytes takes what it has sent back.
    let running = start();
    for round in 0..20 {
        let mut client = running.connect(v5(&format!("c{round}")));
        let mut bytes = vec![0x36, 0x03, 0x00, 0x01, b't']; // QoS 3
        bytes.extend(Packet::Publish(publish("t", vec![0; 1_000])).encode(Version::V5).repeat(FLOOD / 1_000));
        client.send_bytes(&bytes);
        assert_eq!(client.farewell(), Some(0x81), "round {round}");
    }
}

#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    let running = start();
    for round in 0..20 {
        let mut client = running.open(Version::V5);
        let connect = v5("c").with(Property::AuthenticationMethod("dance".into()));
        let mut bytes = Packet::Connect(Box::new(connect)).encode(Version::V5);
        bytes.extend(Packet::Publish(publish("t", vec![0; 1_000])).encode(Version::V5).repeat(FLOOD / 1_000));
        client.send_bytes(&bytes);
        match client.next() {
            Some(Packet::ConnAck(ack)) => assert_eq!(ack.code, 0x8C, "round {round}"),
            other => panic!("round {round}: instead of CONNACK: {other:?}"),
        }
        assert!(client.is_closed());
    }
}

#[test]
fn who_has_closed_its_sending_half_gets_all_answers() {
    let running = start();
    for connect in [v311("half"), v5("half")] {
        let mut client = running.connect(connect);
        for id in 1..=100 {
            client.publish(publish("t", "x").at(QoS::QoS1, id));
        }
        client.finish();
        for id in 1..=100 {
            client.puback(id);
        }
        assert!(client.is_closed());
    }
}

#[test]
fn answers_arrive_before_the_close_that_disconnect_asks_for() {
    let running = start();
    let mut client = running.connect(v5("c"));
    client.publish(publish("t", "x").at(QoS::QoS2, 3));
    client.send(Packet::Disconnect(whimbrel_testkit::Disconnect::new(0)));
    assert!(matches!(client.next(), Some(Packet::PubRec(Ack { id: 3, .. }))));
    assert!(client.is_closed());
}

#[test]
fn a_reset_in_the_middle_of_a_packet_publishes_the_will() {
    let running = start();
    let mut watcher = running.connect(v5("watcher"));
    watcher.subscribe("wills/#", QoS::QoS0);
    for round in 0..10 {
        let topic = format!("wills/{round}");
        let mut client = running.connect(v5("c").will(whimbrel_testkit::will(&topic, "gone")));
        client.send_bytes(&Packet::Publish(publish("t", vec![0; 5_000])).encode(Version::V5)[..2_500]);
        socket2::SockRef::from(client.stream()).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(client);
        assert_eq!(watcher.message().topic, topic);
    }
}

#[test]
fn what_is_no_mqtt_is_closed_and_costs_nobody_else_anything() {
    let running = start();
    let mut other = running.connect(v5("other"));
    for bytes in
        [&b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n"[..], &[0x16, 3, 1, 2, 0, 1, 0], &[0; 100], &[0xFF; 100]]
    {
        let client = running.open(Version::V311);
        let mut stream = client.stream();
        std::io::Write::write_all(&mut stream, bytes).unwrap();
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => assert!(answer.len() <= 64, "{answer:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        other.ping();
    }
    drop(other);
    running.wait_until("everybody has left", |engine| engine.connected() == 0);
}
