//! The end, by either side.

use whimbrel_client::{
    Client, ConnectionError, Event, Events, Farewell, Message, Options, PublishError, QoS, ReasonCode,
    RequestError, Version,
};

use super::server::{Peer, Seen, Server, next, published, soon};

async fn connected(server: &Server, options: Options) -> (Client, Events, Peer) {
    let (client, mut events) = Client::start(options);
    let peer = server.accept_client(false).await;
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    (client, events, peer)
}

async fn last(events: &mut Events) -> ConnectionError {
    let Event::Disconnected { cause, retry_in: None } = next(events).await else { panic!("goes on") };
    assert!(soon(events.next()).await.is_none());
    cause
}

fn disconnecting(client: &Client, farewell: Farewell) -> tokio::task::JoinHandle<Result<(), RequestError>> {
    let client = client.clone();
    tokio::spawn(async move { client.disconnect_with(farewell).await })
}

#[tokio::test]
async fn disconnect_sends_what_waits_and_then_the_farewell() {
    let server = Server::start().await;
    let (client, mut events, mut peer) = connected(&server, server.options()).await;
    let zero = client.publish(Message::new("a", "")).await.unwrap();
    let one = client.publish(Message::new("b", "").qos(QoS::AtLeastOnce)).await.unwrap();
    let ending = disconnecting(&client, Farewell::default());
    assert_eq!(published(peer.next().await).3, "a");
    assert_eq!(published(peer.next().await).3, "b");
    // A client that started clean does not come back to its session.
    let farewell = Seen::Disconnect { reason: ReasonCode::Success, session_expiry_secs: Some(0) };
    assert_eq!(peer.next().await, farewell);
    assert_eq!(peer.next().await, Seen::Closed);
    drop(peer);
    soon(ending).await.unwrap().unwrap();
    assert!(matches!(last(&mut events).await, ConnectionError::Ended));
    assert!(soon(zero).await.is_ok());
    assert!(matches!(soon(one).await, Err(PublishError::ClientEnded)), "it was not acknowledged");
    assert!(matches!(client.publish(Message::new("a", "")).await, Err(PublishError::ClientEnded)));
}

#[tokio::test]
async fn the_session_of_a_client_that_does_not_start_clean_goes_on() {
    let server = Server::start().await;
    let options = Options { clean_start: false, client_id: "c".to_owned(), ..server.options() };
    let (client, _events, mut peer) = connected(&server, options).await;
    let ending = disconnecting(&client, Farewell::default());
    let farewell = Seen::Disconnect { reason: ReasonCode::Success, session_expiry_secs: None };
    assert_eq!(peer.next().await, farewell);
    drop(peer);
    soon(ending).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_words_of_the_farewell() {
    let server = Server::start().await;
    let (client, _events, mut peer) = connected(&server, server.options()).await;
    let wrong = Farewell { reason: ReasonCode::SessionTakenOver, ..Farewell::default() };
    let refused = soon(disconnecting(&client, wrong)).await.unwrap();
    assert!(matches!(refused, Err(RequestError::Misuse(_))), "and the connection goes on: {refused:?}");
    let words = Farewell {
        reason: ReasonCode::DisconnectWithWill,
        session_expiry_secs: Some(9),
        reason_string: Some("because".to_owned()),
        user_properties: vec![("a".to_owned(), "b".to_owned())],
    };
    let ending = disconnecting(&client, words);
    let farewell = Seen::Disconnect { reason: ReasonCode::DisconnectWithWill, session_expiry_secs: Some(9) };
    assert_eq!(peer.next().await, farewell);
    drop(peer);
    soon(ending).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_close_is_not_waited_for_long() {
    let server = Server::start().await;
    let (client, _events, mut peer) = connected(&server, server.options()).await;
    let started = tokio::time::Instant::now();
    let ending = disconnecting(&client, Farewell::default());
    assert!(matches!(peer.next().await, Seen::Disconnect { .. }));
    ending.await.unwrap().unwrap();
    assert_eq!(started.elapsed().as_secs(), 2);
    drop(peer);
}

#[tokio::test]
async fn dropping_everything_ends_without_a_word_so_that_the_will_is_published() {
    let server = Server::start().await;
    let (client, events, mut peer) = connected(&server, server.options()).await;
    let clone = client.clone();
    drop((client, events));
    let _delivery = clone.publish(Message::new("a", "")).await.unwrap();
    assert_eq!(published(peer.next().await).3, "a", "a clone is enough");
    drop(clone);
    assert_eq!(peer.next().await, Seen::Closed);
}

#[tokio::test]
async fn the_events_alone_keep_the_client() {
    let server = Server::start().await;
    let (client, mut events, mut peer) = connected(&server, server.options()).await;
    drop(client);
    peer.publish(QoS::AtMostOnce, 0, "t", b"").await;
    assert!(matches!(next(&mut events).await, Event::Message(_)));
    drop(events);
    assert_eq!(peer.next().await, Seen::Closed);
}

#[tokio::test]
async fn what_reconnecting_cannot_help_ends_the_client() {
    let server = Server::start().await;
    let (client, mut events, mut peer) = connected(&server, server.options()).await;
    let waiting = client.publish(Message::new("a", "").qos(QoS::AtLeastOnce)).await.unwrap();
    peer.disconnect(ReasonCode::SessionTakenOver).await;
    let cause = last(&mut events).await;
    assert_eq!(cause.to_string(), "the server ended the connection: Session taken over");
    assert!(matches!(soon(waiting).await, Err(PublishError::ClientEnded)));
    assert!(matches!(client.ping().await, Err(RequestError::ClientEnded)));
}

#[tokio::test]
async fn without_reconnecting_the_client_ends_with_its_connection() {
    let server = Server::start().await;
    let options = Options { reconnect: None, ..server.options() };
    let (_client, mut events, peer) = connected(&server, options).await;
    drop(peer);
    let cause = last(&mut events).await;
    assert!(matches!(cause, ConnectionError::Closed { before_connack: false } | ConnectionError::Lost(_)));
}

#[tokio::test]
async fn v5_4_13_1_1_a_server_that_breaks_the_protocol_is_told_why() {
    for version in [Version::V311, Version::V5] {
        let server = Server::start().await;
        let options = Options { version, reconnect: None, ..server.options() };
        let (_client, mut events, mut peer) = connected(&server, options).await;
        // A topic name with a wildcard.
        peer.send_bytes(&[0x30, 4, 0, 1, b'+', 0]).await;
        if version == Version::V5 {
            let Seen::Disconnect { reason, .. } = peer.next().await else { panic!("no DISCONNECT") };
            assert!(reason.is_error());
        }
        assert_eq!(peer.next().await, Seen::Closed);
        drop(peer);
        assert!(matches!(last(&mut events).await, ConnectionError::Violation(_)));
    }
}
