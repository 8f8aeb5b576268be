//! Messages to the program: in order, acknowledged when they are taken.

use whimbrel_client::{Client, Event, Events, Options, QoS, ReasonCode, Received, Version};
use whimbrel_proto::codec::PacketType::PubRel;

use super::server::{Seen, Server, next, soon};

async fn message(events: &mut Events) -> Received {
    match next(events).await {
        Event::Message(received) => received,
        other => panic!("{other:?}"),
    }
}

async fn connected(events: &mut Events) {
    assert!(matches!(next(events).await, Event::Connected(_)));
}

#[tokio::test]
async fn a_message_is_acknowledged_when_it_is_taken() {
    for version in [Version::V311, Version::V5] {
        let server = Server::start().await;
        let (client, mut events) = Client::start(Options { version, ..server.options() });
        let mut peer = server.accept_client(false).await;
        peer.publish(QoS::AtMostOnce, 0, "a", b"0").await;
        peer.publish(QoS::AtLeastOnce, 1, "b", b"1").await;
        peer.publish(QoS::ExactlyOnce, 2, "c", b"2").await;
        // Nothing is acknowledged before: the ping overtakes nothing.
        let pinging = tokio::spawn(async move { client.ping().await.map(|()| client) });
        assert_eq!(peer.next().await, Seen::Ping);
        peer.send(whimbrel_proto::codec::Packet::PingResp).await;
        let _client = soon(pinging).await.unwrap().unwrap();
        connected(&mut events).await;
        for (topic, payload, qos) in
            [("a", "0", QoS::AtMostOnce), ("b", "1", QoS::AtLeastOnce), ("c", "2", QoS::ExactlyOnce)]
        {
            let received = message(&mut events).await;
            assert_eq!(received.message.topic, topic);
            assert_eq!(received.message.payload, payload.as_bytes());
            assert_eq!(received.message.qos, qos);
            assert!(received.ack.is_none());
        }
        assert_eq!(peer.next().await, Seen::PubAck(1, ReasonCode::Success));
        assert_eq!(peer.next().await, Seen::PubRec(2, ReasonCode::Success));
        peer.acknowledge(PubRel, 2, ReasonCode::Success).await;
        assert_eq!(peer.next().await, Seen::PubComp(2));
    }
}

#[tokio::test]
async fn with_manual_acknowledgement_the_program_decides() {
    let server = Server::start().await;
    let (_client, mut events) = Client::start(Options { manual_ack: true, ..server.options() });
    let mut peer = server.accept_client(false).await;
    connected(&mut events).await;
    for id in 1..=4 {
        peer.publish(QoS::AtLeastOnce, id, "t", b"").await;
    }
    let mut acks = Vec::new();
    for _ in 0..4 {
        acks.push(message(&mut events).await.ack.unwrap());
    }
    // Given in the wrong order, sent in the right one; what was dropped is not sent, nor what comes after it.
    drop(acks.remove(3));
    acks.remove(2).send();
    acks.remove(1).refuse(ReasonCode::QuotaExceeded).unwrap();
    acks.remove(0).send();
    assert_eq!(peer.next().await, Seen::PubAck(1, ReasonCode::Success));
    assert_eq!(peer.next().await, Seen::PubAck(2, ReasonCode::QuotaExceeded));
    assert_eq!(peer.next().await, Seen::PubAck(3, ReasonCode::Success));
}

#[tokio::test]
async fn a_refusal_needs_a_reason_that_is_one() {
    let server = Server::start().await;
    let (_client, mut events) = Client::start(Options { manual_ack: true, ..server.options() });
    let mut peer = server.accept_client(false).await;
    connected(&mut events).await;
    for (id, reason) in [(1, ReasonCode::Success), (2, ReasonCode::ServerShuttingDown)] {
        peer.publish(QoS::AtLeastOnce, id, "t", b"").await;
        let ack = message(&mut events).await.ack.unwrap();
        assert!(ack.refuse(reason).is_err());
    }
}

#[tokio::test]
async fn when_the_events_are_dropped_messages_stay_with_the_server() {
    let server = Server::start().await;
    let (client, events) = Client::start(server.options());
    let mut peer = server.accept_client(false).await;
    drop(events);
    peer.publish(QoS::AtLeastOnce, 1, "t", b"").await;
    let pinging = tokio::spawn(async move { client.ping().await.map(|()| client) });
    assert_eq!(peer.next().await, Seen::Ping, "and no PUBACK");
    peer.send(whimbrel_proto::codec::Packet::PingResp).await;
    soon(pinging).await.unwrap().unwrap();
}
