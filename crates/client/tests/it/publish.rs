//! Messages to the server: delivered, refused, lost.

use whimbrel_client::{
    Client, Event, Events, Limits, Message, Misuse, Options, Properties, PublishError, QoS, ReasonCode,
    Version,
};
use whimbrel_proto::codec::{ConnAck, Packet, PacketType::*};

use super::server::{Peer, Seen, Server, next, published, soon};

async fn connected(options: Options, server: &Server) -> (Client, Events, Peer) {
    let connecting = tokio::spawn(Client::connect(options));
    let peer = server.accept_client(false).await;
    let (client, mut events) = soon(connecting).await.unwrap().unwrap();
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    (client, events, peer)
}

fn message(qos: QoS) -> Message {
    Message::new("t", "x").qos(qos)
}

#[tokio::test]
async fn a_delivery_resolves_when_the_server_has_acknowledged() {
    for version in [Version::V311, Version::V5] {
        let server = Server::start().await;
        let options = Options { version, ..server.options() };
        let (client, _events, mut peer) = connected(options, &server).await;
        let zero = client.publish(message(QoS::AtMostOnce)).await.unwrap();
        let one = client.publish(message(QoS::AtLeastOnce)).await.unwrap();
        let two = client.publish(message(QoS::ExactlyOnce)).await.unwrap();
        assert_eq!(soon(zero).await.unwrap(), ReasonCode::Success);
        for (qos, id) in [(QoS::AtMostOnce, None), (QoS::AtLeastOnce, Some(1)), (QoS::ExactlyOnce, Some(2))] {
            assert_eq!(published(peer.next().await), (qos, id, false, "t".to_owned()));
        }
        peer.acknowledge(PubRec, 2, ReasonCode::Success).await;
        assert_eq!(peer.next().await, Seen::PubRel(2));
        peer.acknowledge(PubAck, 1, ReasonCode::Success).await;
        peer.acknowledge(PubComp, 2, ReasonCode::Success).await;
        assert_eq!(soon(one).await.unwrap(), ReasonCode::Success);
        assert_eq!(soon(two).await.unwrap(), ReasonCode::Success);
    }
}

#[tokio::test]
async fn a_delivery_says_why_the_server_refused() {
    let server = Server::start().await;
    let (client, _events, mut peer) = connected(server.options(), &server).await;
    let one = client.publish(message(QoS::AtLeastOnce)).await.unwrap();
    let two = client.publish(message(QoS::ExactlyOnce)).await.unwrap();
    peer.acknowledge(PubAck, 1, ReasonCode::NotAuthorized).await;
    peer.acknowledge(PubRec, 2, ReasonCode::QuotaExceeded).await;
    let refused = soon(one).await.unwrap_err().to_string();
    assert_eq!(refused, "the server refused the message: Not authorized");
    let refused = soon(two).await.unwrap_err();
    assert!(matches!(refused, PublishError::Refused { reason: ReasonCode::QuotaExceeded, .. }));
}

#[tokio::test]
async fn a_success_may_say_that_nobody_subscribed() {
    let server = Server::start().await;
    let (client, _events, mut peer) = connected(server.options(), &server).await;
    let one = client.publish(message(QoS::AtLeastOnce)).await.unwrap();
    peer.acknowledge(PubAck, 1, ReasonCode::NoMatchingSubscribers).await;
    assert_eq!(soon(one).await.unwrap(), ReasonCode::NoMatchingSubscribers);
}

#[tokio::test]
async fn what_breaks_the_specification_is_refused_at_once() {
    let server = Server::start().await;
    let (client, _events, _peer) = connected(server.options(), &server).await;
    let wildcard = client.publish(Message::new("a/#", "")).await;
    assert!(matches!(wildcard, Err(PublishError::Misuse(Misuse::Malformed(_)))), "{wildcard:?}");
    let properties = Properties { payload_is_utf8: Some(true), ..Properties::default() };
    let no_text = client.publish(Message { properties, ..Message::new("t", [0xff]) }).await;
    assert!(matches!(no_text, Err(PublishError::Misuse(Misuse::PayloadNotUtf8))), "{no_text:?}");
}

#[tokio::test]
async fn what_the_server_does_not_take_is_told_by_the_delivery() {
    let server = Server::start().await;
    let connecting = tokio::spawn(Client::connect(server.options()));
    let mut peer = server.accept().await;
    peer.next().await;
    let mut connack = ConnAck::default();
    connack.properties.packet_size_max = Some(20);
    connack.properties.qos_max = Some(QoS::AtLeastOnce);
    connack.properties.retain_available = Some(false);
    peer.send(Packet::ConnAck(connack)).await;
    let (client, _events) = soon(connecting).await.unwrap().unwrap();
    let check = async |message, part: &str| {
        let error = soon(client.publish(message).await.unwrap()).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    check(Message::new("t", [0; 20]), "the server takes 20").await;
    check(message(QoS::ExactlyOnce), "no QoS above 1").await;
    check(message(QoS::AtMostOnce).retain(), "keeps no retained messages").await;
}

#[tokio::test]
async fn the_receive_maximum_holds_messages_back_and_nothing_else() {
    let server = Server::start().await;
    let connecting = tokio::spawn(Client::connect(server.options()));
    let mut peer = server.accept().await;
    peer.next().await;
    let mut connack = ConnAck::default();
    connack.properties.receive_maximum = Some(1);
    peer.send(Packet::ConnAck(connack)).await;
    let (client, _events) = soon(connecting).await.unwrap().unwrap();
    let mut deliveries = Vec::new();
    for _ in 0..3 {
        deliveries.push(client.publish(message(QoS::AtLeastOnce)).await.unwrap());
    }
    assert_eq!(published(peer.next().await).1, Some(1));
    // The next packet is the ping, not the next message.
    let pinging = tokio::spawn({
        let client = client.clone();
        async move { client.ping().await }
    });
    assert_eq!(peer.next().await, Seen::Ping);
    peer.send(Packet::PingResp).await;
    soon(pinging).await.unwrap().unwrap();
    for id in 1..=3 {
        peer.acknowledge(PubAck, id, ReasonCode::Success).await;
        if id < 3 {
            assert_eq!(published(peer.next().await).1, Some(id + 1));
        }
    }
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
}

#[tokio::test]
async fn publishing_waits_where_too_much_waits_already() {
    let server = Server::start().await;
    let limits = Limits { publishes_waiting_max: 2, ..Limits::default() };
    let (client, _events) = Client::start(Options { limits, ..server.options() });
    // No connection: two fit, and the third waits.
    let _one = client.try_publish(message(QoS::AtLeastOnce)).unwrap();
    let _two = client.try_publish(message(QoS::AtLeastOnce)).unwrap();
    assert!(matches!(client.try_publish(message(QoS::AtLeastOnce)), Err(PublishError::QueueFull)));
    let mut third = tokio::spawn({
        let client = client.clone();
        async move { client.publish(message(QoS::AtLeastOnce)).await }
    });
    tokio::task::yield_now().await;
    assert!(!third.is_finished());
    let mut peer = server.accept_client(false).await;
    for id in 1..=3 {
        assert_eq!(published(peer.next().await).1, Some(id));
    }
    assert!(soon(&mut third).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_dropped_delivery_does_not_take_the_message_back() {
    let server = Server::start().await;
    let (client, _events, mut peer) = connected(server.options(), &server).await;
    drop(client.publish(message(QoS::ExactlyOnce)).await.unwrap());
    assert_eq!(published(peer.next().await).1, Some(1));
    peer.acknowledge(PubRec, 1, ReasonCode::Success).await;
    assert_eq!(peer.next().await, Seen::PubRel(1));
}

#[tokio::test]
async fn properties_arrive_as_they_were_given() {
    let server = Server::start().await;
    let (client, _events, mut peer) = connected(server.options(), &server).await;
    let properties = Properties {
        payload_is_utf8: Some(true),
        message_expiry_secs: Some(60),
        response_topic: Some("answer".to_owned()),
        correlation_data: Some(vec![1, 2]),
        content_type: Some("text/plain".to_owned()),
        user_properties: vec![("a".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())],
        ..Properties::default()
    };
    let sent = Message { properties: properties.clone(), ..message(QoS::AtMostOnce) };
    let _delivery = client.publish(sent).await.unwrap();
    let bytes = peer.next_bytes().await;
    let found = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(found(&[0x01, 1]) && found(&[0x02, 0, 0, 0, 60]) && found(&[0x09, 0, 2, 1, 2]), "{bytes:?}");
    assert!(found(b"\x08\x00\x06answer") && found(b"\x03\x00\x0atext/plain"));
    assert!(found(b"\x26\x00\x01a\x00\x011\x26\x00\x01a\x00\x012"), "in their order");
}
