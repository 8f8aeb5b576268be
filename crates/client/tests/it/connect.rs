//! The first connection.

use std::time::Duration;

use whimbrel_client::{
    Client, ConnectionError, Credentials, Event, Message, Misuse, Options, QoS, ReasonCode, RequestError,
    Subscription, Version, Will,
};
use whimbrel_proto::codec::{ConnAck, Packet};

use super::server::{Seen, Server, next, soon};

#[tokio::test]
async fn connect_returns_when_the_server_has_accepted() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let server = Server::start().await;
        let options = Options { version, client_id: "c".to_owned(), ..server.options() };
        let connecting = tokio::spawn(Client::connect(options));
        let mut peer = server.accept().await;
        let seen = peer.next().await;
        let session_expiry_secs = (version == Version::V5).then_some(300);
        let expected =
            Seen::Connect { version, client_id: "c".to_owned(), clean_start: true, session_expiry_secs };
        assert_eq!(seen, expected);
        peer.accept(false).await;
        let (_client, mut events) = soon(connecting).await.unwrap().unwrap();
        let Event::Connected(connected) = next(&mut events).await else { panic!("not connected") };
        assert!(!connected.session_present);
        assert_eq!(connected.client_id, "c");
    }
}

#[tokio::test]
async fn the_servers_limits_and_the_name_it_chose_are_told() {
    let server = Server::start().await;
    let connecting = tokio::spawn(Client::connect(server.options()));
    let mut peer = server.accept().await;
    peer.next().await;
    let mut connack = ConnAck::default();
    connack.properties.assigned_client_id = Some("chosen");
    connack.properties.receive_maximum = Some(7);
    connack.properties.server_keep_alive_secs = Some(11);
    connack.properties.response_information = Some("answers/");
    peer.send(Packet::ConnAck(connack)).await;
    let (_client, mut events) = soon(connecting).await.unwrap().unwrap();
    let Event::Connected(connected) = next(&mut events).await else { panic!("not connected") };
    assert_eq!(connected.client_id, "chosen");
    assert_eq!((connected.limits.receive_maximum, connected.limits.keep_alive_secs), (7, 11));
    assert_eq!(connected.response_information.as_deref(), Some("answers/"));
}

#[tokio::test]
async fn a_refusal_of_the_first_connection_is_an_error() {
    for (version, said) in [(Version::V5, "Banned"), (Version::V311, "Not authorized")] {
        let server = Server::start().await;
        let connecting = tokio::spawn(Client::connect(Options { version, ..server.options() }));
        let mut peer = server.accept().await;
        peer.next().await;
        peer.refuse(ReasonCode::Banned).await;
        let error = soon(connecting).await.unwrap().unwrap_err();
        assert!(matches!(error, ConnectionError::Refused(_)), "{error:?}");
        let text = error.to_string().to_lowercase();
        assert!(text.contains(&said.to_lowercase()), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error() {
    let server = Server::start().await;
    let options = server.options();
    drop(server);
    let error = soon(Client::connect(options)).await.unwrap_err();
    assert!(error.to_string().contains("is a server listening there?"), "{error}");
}

#[tokio::test]
async fn a_server_that_closes_before_connack_is_an_error_with_a_hint() {
    let server = Server::start().await;
    let connecting = tokio::spawn(Client::connect(server.options()));
    let mut peer = server.accept().await;
    peer.next().await;
    drop(peer);
    let error = soon(connecting).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("does it speak MQTT"), "{error}");
}

#[tokio::test]
async fn something_that_does_not_speak_mqtt_is_an_error() {
    let server = Server::start().await;
    let connecting = tokio::spawn(Client::connect(server.options()));
    let mut peer = server.accept().await;
    peer.next().await;
    peer.send_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let error = soon(connecting).await.unwrap().unwrap_err();
    assert!(matches!(error, ConnectionError::Violation(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_an_error() {
    let server = Server::start().await;
    let connecting = tokio::spawn(Client::connect(server.options()));
    let mut peer = server.accept().await;
    peer.next().await;
    let started = tokio::time::Instant::now();
    let error = connecting.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the server broke the protocol: no CONNACK came in time");
    assert_eq!(started.elapsed().as_secs(), 20);
    drop(peer);
}

#[tokio::test]
async fn options_that_cannot_be_sent_are_an_error() {
    let check = async |change: fn(&mut Options), misuse: Misuse| {
        let server = Server::start().await;
        let mut options = server.options();
        change(&mut options);
        match soon(Client::connect(options)).await {
            Err(ConnectionError::Options(found)) => assert_eq!(found, misuse),
            other => panic!("{other:?}"),
        }
    };
    let wildcard = Misuse::Malformed(whimbrel_client::Malformed::TopicWildcard);
    check(|options| options.will = Some(Will { message: Message::new("a/#", ""), delay_secs: 0 }), wildcard)
        .await;
    check(
        |options| {
            options.version = Version::V311;
            options.properties.receive_maximum = Some(1);
        },
        Misuse::NotInVersion(Version::V311),
    )
    .await;
    check(
        |options| {
            options.version = Version::V311;
            options.clean_start = false;
        },
        Misuse::ClientIdMissing,
    )
    .await;
}

#[tokio::test]
async fn a_server_that_wants_an_exchange_of_auth_packets_is_an_error() {
    let server = Server::start().await;
    let mut options = server.options();
    options.properties.authentication_method = Some("M".to_owned());
    let connecting = tokio::spawn(Client::connect(options));
    let mut peer = server.accept().await;
    // AUTH 0x18 with the method. The server's machine here refuses methods, so the packet is written by hand.
    let mut byte = [0; 1];
    soon(peer.stream_mut().peek(&mut byte)).await.unwrap();
    peer.send_bytes(&[0xf0, 6, 0x18, 4, 0x15, 0, 1, b'M']).await;
    let error = soon(connecting).await.unwrap().unwrap_err();
    assert!(matches!(error, ConnectionError::AuthenticationExchange), "{error:?}");
}

#[tokio::test]
async fn start_returns_at_once_and_what_is_asked_waits_for_the_connection() {
    let server = Server::start().await;
    let (client, mut events) = Client::start(server.options());
    let delivery = soon(client.publish(Message::new("t", "1").qos(QoS::AtLeastOnce))).await.unwrap();
    let subscribing = tokio::spawn({
        let client = client.clone();
        async move { client.subscribe(Subscription::new("t", QoS::AtMostOnce)).await }
    });
    let mut peer = server.accept_client(false).await;
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    let mut seen = [peer.next().await, peer.next().await];
    seen.sort_by_key(|seen| matches!(seen, Seen::Subscribe(..)));
    let [Seen::Publish { packet_id: Some(1), .. }, Seen::Subscribe(id, _)] = &seen else {
        panic!("{seen:?}")
    };
    peer.acknowledge(whimbrel_proto::codec::PacketType::PubAck, 1, ReasonCode::Success).await;
    peer.grant(*id, &[ReasonCode::GRANTED_QOS0]).await;
    assert_eq!(soon(delivery).await.unwrap(), ReasonCode::Success);
    assert_eq!(soon(subscribing).await.unwrap().unwrap().reasons, [ReasonCode::GRANTED_QOS0]);
}

#[tokio::test]
async fn dropping_everything_while_connecting_ends_the_client() {
    let server = Server::start().await;
    let (client, events) = Client::start(server.options());
    let mut peer = server.accept().await;
    peer.next().await;
    drop((client, events));
    assert_eq!(peer.next().await, Seen::Closed);
}

#[tokio::test]
async fn the_end_before_there_was_a_connection() {
    let server = Server::start().await;
    let (client, mut events) = Client::start(server.options());
    let mut peer = server.accept().await;
    peer.next().await;
    soon(client.disconnect()).await.unwrap();
    let last = next(&mut events).await;
    let ended = matches!(last, Event::Disconnected { cause: ConnectionError::Ended, retry_in: None });
    assert!(ended, "{last:?}");
    assert!(soon(events.next()).await.is_none());
    assert!(matches!(client.disconnect().await, Err(RequestError::ClientEnded)));
}

#[test]
fn a_printed_password_is_left_out() {
    let credentials = Credentials { user_name: Some("u".to_owned()), password: Some(b"secret".to_vec()) };
    let printed = format!("{credentials:?}");
    assert!(
        printed.contains("\"u\"") && !printed.contains("secret") && !printed.contains("115"),
        "{printed}"
    );
}

#[test]
fn the_defaults_of_the_pauses() {
    let options = Options::new("localhost".parse().unwrap());
    let pauses = options.reconnect.unwrap();
    assert_eq!((pauses.first, pauses.max), (Duration::from_secs(1), Duration::from_secs(60)));
}
