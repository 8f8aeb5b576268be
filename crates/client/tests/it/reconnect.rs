//! Reconnecting: pauses, resumption, and what becomes of everything when the server has lost the session.

use std::time::Duration;

use whimbrel_client::{
    Backoff, Client, ConnectionError, Event, Events, Message, Options, PublishError, QoS, ReasonCode,
    Subscription, Version,
};
use whimbrel_proto::codec::PacketType::*;

use super::server::{Peer, Seen, Server, next, published, soon};

/// Short pauses, so that a test over a real clock does not wait.
const SHORT: Backoff = Backoff { first: Duration::from_millis(1), max: Duration::from_millis(1) };

async fn connected(server: &Server, options: Options) -> (Client, Events, Peer) {
    let (client, mut events) = Client::start(options);
    let peer = server.accept_client(false).await;
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    (client, events, peer)
}

fn options(server: &Server) -> Options {
    Options { reconnect: Some(SHORT), client_id: "c".to_owned(), ..server.options() }
}

async fn expect_lost(events: &mut Events) {
    let Event::Disconnected { retry_in: Some(_), .. } = next(events).await else { panic!("no loss") };
}

async fn expect_connected(events: &mut Events, present: bool) {
    let Event::Connected(connected) = next(events).await else { panic!("not connected") };
    assert_eq!(connected.session_present, present);
}

#[tokio::test]
async fn after_a_loss_the_session_is_resumed_and_what_is_in_flight_is_sent_again() {
    let server = Server::start().await;
    let (client, mut events, mut peer) = connected(&server, options(&server)).await;
    let one = client.publish(Message::new("a", "").qos(QoS::AtLeastOnce)).await.unwrap();
    let two = client.publish(Message::new("b", "").qos(QoS::ExactlyOnce)).await.unwrap();
    assert_eq!(published(peer.next().await).1, Some(1));
    assert_eq!(published(peer.next().await).1, Some(2));
    peer.acknowledge(PubRec, 2, ReasonCode::Success).await;
    assert_eq!(peer.next().await, Seen::PubRel(2));
    drop(peer);
    expect_lost(&mut events).await;
    let mut peer = server.accept().await;
    let Seen::Connect { client_id, clean_start, session_expiry_secs, .. } = peer.next().await else {
        panic!("no CONNECT")
    };
    assert_eq!((client_id.as_str(), clean_start, session_expiry_secs), ("c", false, Some(300)));
    peer.accept(true).await;
    expect_connected(&mut events, true).await;
    assert_eq!(published(peer.next().await), (QoS::AtLeastOnce, Some(1), true, "a".to_owned()));
    assert_eq!(peer.next().await, Seen::PubRel(2));
    peer.acknowledge(PubAck, 1, ReasonCode::Success).await;
    peer.acknowledge(PubComp, 2, ReasonCode::Success).await;
    soon(one).await.unwrap();
    soon(two).await.unwrap();
}

#[tokio::test]
async fn the_name_that_the_server_chose_is_kept() {
    let server = Server::start().await;
    let (_client, mut events) = Client::start(Options { client_id: String::new(), ..options(&server) });
    let mut peer = server.accept().await;
    peer.next().await;
    let mut connack = whimbrel_proto::codec::ConnAck::default();
    connack.properties.assigned_client_id = Some("chosen");
    peer.send(whimbrel_proto::codec::Packet::ConnAck(connack)).await;
    expect_connected(&mut events, false).await;
    drop(peer);
    let mut peer = server.accept().await;
    let Seen::Connect { client_id, clean_start, .. } = peer.next().await else { panic!("no CONNECT") };
    assert_eq!((client_id.as_str(), clean_start), ("chosen", false));
}

#[tokio::test]
async fn when_the_session_is_lost_each_publisher_learns_what_is_known() {
    let server = Server::start().await;
    let (client, mut events, mut peer) = connected(&server, options(&server)).await;
    let one = client.publish(Message::new("a", "").qos(QoS::AtLeastOnce)).await.unwrap();
    let two = client.publish(Message::new("b", "").qos(QoS::ExactlyOnce)).await.unwrap();
    let received = client.publish(Message::new("c", "").qos(QoS::ExactlyOnce)).await.unwrap();
    for id in 1..=3 {
        assert_eq!(published(peer.next().await).1, Some(id));
    }
    peer.acknowledge(PubRec, 3, ReasonCode::Success).await;
    assert_eq!(peer.next().await, Seen::PubRel(3));
    drop(peer);
    let mut peer = server.accept_client(false).await;
    expect_lost(&mut events).await;
    expect_connected(&mut events, false).await;
    assert!(matches!(soon(two).await, Err(PublishError::SessionLost)));
    assert_eq!(soon(received).await.unwrap(), ReasonCode::Success, "PUBREC had come");
    // At QoS 1 it is published anew: not a repetition, but another message in another session.
    assert_eq!(published(peer.next().await), (QoS::AtLeastOnce, Some(1), false, "a".to_owned()));
    peer.acknowledge(PubAck, 1, ReasonCode::Success).await;
    soon(one).await.unwrap();
}

#[tokio::test]
async fn when_the_session_is_lost_the_subscriptions_are_made_again() {
    for version in [Version::V311, Version::V5] {
        let server = Server::start().await;
        let options = Options { version, ..options(&server) };
        let (client, mut events, mut peer) = connected(&server, options).await;
        let subscribing = tokio::spawn({
            let client = client.clone();
            async move {
                client.subscribe(Subscription::new("a", QoS::AtLeastOnce)).await?;
                client.subscribe(Subscription::new("refused", QoS::AtLeastOnce)).await?;
                client.subscribe(Subscription::new("b", QoS::AtMostOnce)).await
            }
        });
        for reason in [ReasonCode::GrantedQoS1, ReasonCode::NotAuthorized, ReasonCode::GRANTED_QOS0] {
            let Seen::Subscribe(id, _) = peer.next().await else { panic!("no SUBSCRIBE") };
            peer.grant(id, &[reason]).await;
        }
        soon(subscribing).await.unwrap().unwrap();
        drop(peer);
        let mut peer = server.accept_client(false).await;
        expect_lost(&mut events).await;
        expect_connected(&mut events, false).await;
        for (filter, reason, refused) in
            [("a", ReasonCode::GrantedQoS1, 0), ("b", ReasonCode::NotAuthorized, 1)]
        {
            let Seen::Subscribe(id, filters) = peer.next().await else { panic!("no SUBSCRIBE") };
            assert_eq!(filters, [filter]);
            peer.grant(id, &[reason]).await;
            let Event::Resubscribed { refused: told } = next(&mut events).await else { panic!("not told") };
            assert_eq!(told.len(), refused);
        }
        // What was refused is not asked for another time.
        drop(peer);
        let mut peer = server.accept_client(false).await;
        let Seen::Subscribe(_, filters) = peer.next().await else { panic!("no SUBSCRIBE") };
        assert_eq!(filters, ["a"]);
    }
}

#[tokio::test]
async fn a_resumed_session_needs_no_new_subscription() {
    let server = Server::start().await;
    let (client, mut events, mut peer) = connected(&server, options(&server)).await;
    let subscribing = tokio::spawn({
        let client = client.clone();
        async move { client.subscribe(Subscription::new("a", QoS::AtLeastOnce)).await }
    });
    let Seen::Subscribe(id, _) = peer.next().await else { panic!("no SUBSCRIBE") };
    peer.grant(id, &[ReasonCode::GrantedQoS1]).await;
    soon(subscribing).await.unwrap().unwrap();
    drop(peer);
    let mut peer = server.accept_client(true).await;
    expect_lost(&mut events).await;
    expect_connected(&mut events, true).await;
    let _delivery = client.publish(Message::new("next", "")).await.unwrap();
    assert_eq!(published(peer.next().await).3, "next");
}

#[tokio::test]
async fn a_request_that_was_not_answered_is_asked_again() {
    let server = Server::start().await;
    let (client, mut events, mut peer) = connected(&server, options(&server)).await;
    let subscribing = tokio::spawn({
        let client = client.clone();
        async move { client.subscribe(Subscription::new("a", QoS::AtLeastOnce)).await }
    });
    assert!(matches!(peer.next().await, Seen::Subscribe(..)));
    drop(peer);
    let mut peer = server.accept_client(true).await;
    expect_lost(&mut events).await;
    let Seen::Subscribe(id, filters) = peer.next().await else { panic!("no SUBSCRIBE") };
    assert_eq!(filters, ["a"]);
    peer.grant(id, &[ReasonCode::GrantedQoS1]).await;
    assert_eq!(soon(subscribing).await.unwrap().unwrap().reasons, [ReasonCode::GrantedQoS1]);
}

#[tokio::test]
async fn v311_a_clean_session_is_clean_on_every_connection_and_messages_are_published_anew() {
    let server = Server::start().await;
    let options = Options { version: Version::V311, ..options(&server) };
    let (client, mut events, mut peer) = connected(&server, options).await;
    let one = client.publish(Message::new("a", "").qos(QoS::AtLeastOnce)).await.unwrap();
    peer.next().await;
    drop(peer);
    expect_lost(&mut events).await;
    let mut peer = server.accept().await;
    let Seen::Connect { clean_start: true, .. } = peer.next().await else { panic!("not clean") };
    peer.accept(false).await;
    assert_eq!(published(peer.next().await), (QoS::AtLeastOnce, Some(1), false, "a".to_owned()));
    peer.acknowledge(PubAck, 1, ReasonCode::Success).await;
    soon(one).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_pauses_grow_and_every_attempt_is_told() {
    let server = Server::start().await;
    let options = server.options();
    drop(server);
    let (_client, mut events) = Client::start(options);
    let mut most = 1_000;
    for _ in 0..10 {
        let started = tokio::time::Instant::now();
        let Some(Event::Disconnected { cause: ConnectionError::Dial(_), retry_in: Some(pause) }) =
            events.next().await
        else {
            panic!("no pause")
        };
        assert!(started.elapsed() <= Duration::from_secs(61));
        let pause = pause.as_millis();
        assert!((most / 2..=most).contains(&pause), "{pause} of {most}");
        most = (most * 2).min(60_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_stood_starts_the_pauses_anew() {
    let server = Server::start().await;
    let (_client, mut events) = Client::start(server.options());
    // Three refusals that may pass, then a connection that stands.
    for most in [1_000, 2_000, 4_000] {
        let mut peer = server.accept().await;
        peer.next().await;
        peer.refuse(ReasonCode::ServerBusy).await;
        let Event::Disconnected { retry_in: Some(pause), .. } = events.next().await.unwrap() else {
            panic!("no pause")
        };
        assert!(pause.as_millis() <= most && pause.as_millis() >= most / 2, "{pause:?}");
    }
    let mut peer = server.accept_client(false).await;
    expect_connected(&mut events, false).await;
    tokio::time::advance(Duration::from_secs(9)).await;
    peer.disconnect(ReasonCode::ServerShuttingDown).await;
    let Event::Disconnected { retry_in: Some(pause), .. } = events.next().await.unwrap() else {
        panic!("no pause")
    };
    assert!(pause <= Duration::from_secs(1), "{pause:?}");
}

#[tokio::test(start_paused = true)]
async fn the_program_may_end_while_the_client_pauses() {
    let server = Server::start().await;
    let options = server.options();
    drop(server);
    let (client, mut events) = Client::start(options);
    assert!(matches!(events.next().await, Some(Event::Disconnected { retry_in: Some(_), .. })));
    let waiting = client.publish(Message::new("a", "")).await.unwrap();
    client.disconnect().await.unwrap();
    let Some(Event::Disconnected { cause: ConnectionError::Ended, retry_in: None }) = events.next().await
    else {
        panic!("not ended")
    };
    assert!(events.next().await.is_none());
    assert!(matches!(waiting.await, Err(PublishError::ClientEnded)));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_pingreq_is_lost() {
    let server = Server::start().await;
    let (_client, mut events) = Client::start(server.options());
    let mut peer = server.accept_client(false).await;
    expect_connected(&mut events, false).await;
    let started = tokio::time::Instant::now();
    assert_eq!(peer.next_unhurried().await, Seen::Ping);
    assert_eq!(started.elapsed().as_secs(), 54);
    let Some(Event::Disconnected { cause, retry_in: Some(_) }) = events.next().await else {
        panic!("no loss")
    };
    assert_eq!(
        cause.to_string(),
        "the server broke the protocol: nothing was received in time after PINGREQ"
    );
    assert_eq!(started.elapsed().as_secs(), 54 + 20 + 2, "and it was given time to close");
}

#[tokio::test]
async fn a_qos_0_message_that_did_not_leave_says_so() {
    let server = Server::start().await;
    let (client, mut events, peer) = connected(&server, options(&server)).await;
    // Larger than the buffers of both systems, to a server that does not read.
    let delivery = client.publish(Message::new("a", vec![0; 64 << 20])).await.unwrap();
    tokio::task::yield_now().await;
    drop(peer);
    expect_lost(&mut events).await;
    assert!(matches!(soon(delivery).await, Err(PublishError::NotSent)));
}

#[tokio::test]
async fn changes_that_nobody_takes_are_counted() {
    let server = Server::start().await;
    let (_client, mut events) = Client::start(options(&server));
    let first = server.accept_client(false).await;
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    drop(first);
    for _ in 0..200 {
        drop(server.accept_client(true).await);
    }
    let mut peer = server.accept().await;
    peer.next().await;
    let mut connack = whimbrel_proto::codec::ConnAck { session_present: true, ..Default::default() };
    connack.properties.server_keep_alive_secs = Some(77);
    peer.send(whimbrel_proto::codec::Packet::ConnAck(connack)).await;
    let (mut skipped, mut told) = (0, 0);
    loop {
        match next(&mut events).await {
            Event::Skipped(count) => skipped += count,
            Event::Connected(connected) if connected.limits.keep_alive_secs == 77 => break,
            _ => told += 1,
        }
    }
    assert!(told <= 256 && skipped + told >= 200, "{told} told, {skipped} skipped");
}
