//! Subscriptions: asked for, refused, ended.

use whimbrel_client::{
    Client, Misuse, Options, QoS, ReasonCode, RequestError, SubscribeOptions, Subscription, Version,
};

use super::server::{Seen, Server, soon};

#[tokio::test]
async fn the_answer_to_each_filter_is_told() {
    for version in [Version::V311, Version::V5] {
        let server = Server::start().await;
        let options = Options { version, ..server.options() };
        let (client, _events) = Client::start(options);
        let mut peer = server.accept_client(false).await;
        let subscription =
            Subscription::new("a", QoS::AtMostOnce).and("b", SubscribeOptions::with_qos(QoS::ExactlyOnce));
        let asking = tokio::spawn({
            let client = client.clone();
            async move { client.subscribe(subscription).await }
        });
        let Seen::Subscribe(id, filters) = peer.next().await else { panic!("no SUBSCRIBE") };
        assert_eq!(filters, ["a", "b"]);
        peer.grant(id, &[ReasonCode::NotAuthorized, ReasonCode::GrantedQoS1]).await;
        let granted = soon(asking).await.unwrap().unwrap();
        let refused =
            if version == Version::V5 { ReasonCode::NotAuthorized } else { ReasonCode::Unspecified };
        assert_eq!(granted.reasons, [refused, ReasonCode::GrantedQoS1]);
        let asking = tokio::spawn({
            let client = client.clone();
            async move { client.unsubscribe(["b"]).await }
        });
        let Seen::Unsubscribe(id, filters) = peer.next().await else { panic!("no UNSUBSCRIBE") };
        assert_eq!(filters, ["b"]);
        peer.release(id, &[ReasonCode::Success]).await;
        let released = soon(asking).await.unwrap().unwrap();
        assert_eq!(released.reasons.len(), usize::from(version == Version::V5));
    }
}

#[tokio::test]
async fn a_filter_that_is_wrong_is_an_error() {
    let server = Server::start().await;
    let (client, _events) = Client::start(server.options());
    let _peer = server.accept_client(false).await;
    let wrong = soon(client.subscribe(Subscription::new("a#", QoS::AtMostOnce))).await;
    assert!(matches!(wrong, Err(RequestError::Misuse(Misuse::Malformed(_)))), "{wrong:?}");
    let none = soon(client.unsubscribe(Vec::<String>::new())).await;
    assert!(matches!(none, Err(RequestError::Misuse(Misuse::Malformed(_)))), "{none:?}");
}
