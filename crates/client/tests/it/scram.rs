//! SCRAM: what the client says, and which servers it believes.

use whimbrel_client::{
    AuthenticationError, Client, ConnectionError, Credentials, Event, Options, ReasonCode, RequestError,
    ScramFault, ScramHash, Version,
};
use whimbrel_scram::{Challenge, Opening, Verifier};

use super::server::{Peer, Seen, Server, next, soon};

const HASH: ScramHash = ScramHash::Sha256;

fn options(server: &Server) -> Options {
    let credentials = Credentials { user_name: Some("anna".to_owned()), password: Some(b"pencil".to_vec()) };
    Options { credentials, scram: Some(HASH), ..server.options() }
}

/// What the server of these tests asks whoever says this.
fn asks(first: &[u8], nonce: &str) -> (Challenge, String) {
    let verifier = Verifier::create(HASH, b"pencil", b"some salt", 4_096);
    let opening = Opening::read(first).expect("a good first message");
    assert_eq!(opening.user_name(), "anna");
    opening.challenge(verifier, nonce)
}

/// The next proof of the client, judged.
async fn proof(peer: &mut Peer, challenge: &Challenge) -> String {
    let Seen::Auth(answer) = peer.next().await else { panic!("no AUTH") };
    challenge.judge(&answer).expect("a good proof")
}

/// A server to which a client has proved itself, before CONNACK; what it has to say.
async fn proved(server: &Server, nonce: &str) -> (Peer, String) {
    let mut peer = server.accept().await;
    peer.next().await;
    let first = peer.first.clone().expect("a first message");
    let (challenge, question) = asks(&first, nonce);
    peer.challenge(&question).await;
    let proof = proof(&mut peer, &challenge).await;
    (peer, proof)
}

fn fault(error: &ConnectionError) -> Option<ScramFault> {
    match error {
        ConnectionError::Authentication(AuthenticationError::Fault(fault)) => Some(*fault),
        _ => None,
    }
}

#[tokio::test]
async fn client_and_server_prove_themselves_and_no_password_is_sent() {
    let server = Server::start().await;
    let connecting = tokio::spawn(Client::connect(options(&server)));
    let (mut peer, proof) = proved(&server, "server").await;
    peer.accept_proved(Some(&proof)).await;
    let (client, mut events) = soon(connecting).await.unwrap().unwrap();
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    // The next connection needs nothing to be derived, and proves itself all the same.
    drop(peer);
    assert!(matches!(next(&mut events).await, Event::Disconnected { retry_in: Some(_), .. }));
    let (mut peer, proof) = proved(&server, "another").await;
    peer.accept_proved(Some(&proof)).await;
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    drop(client);
}

#[tokio::test]
async fn a_server_that_does_not_prove_itself_is_not_believed() {
    let wrong = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    for (said, expected) in [(None, ScramFault::Malformed), (Some(wrong), ScramFault::Server)] {
        let server = Server::start().await;
        let connecting = tokio::spawn(Client::connect(options(&server)));
        let (mut peer, _) = proved(&server, "server").await;
        peer.accept_proved(said).await;
        let error = soon(connecting).await.unwrap().unwrap_err();
        assert_eq!(fault(&error), Some(expected));
        assert!(error.is_final());
        assert!(matches!(peer.next().await, Seen::Disconnect { reason: ReasonCode::Unspecified, .. }));
    }
}

#[tokio::test]
async fn a_server_that_accepts_without_asking_is_not_believed() {
    let server = Server::start().await;
    let connecting = tokio::spawn(Client::connect(options(&server)));
    let mut peer = server.accept().await;
    peer.next().await;
    peer.accept_proved(None).await;
    assert_eq!(fault(&soon(connecting).await.unwrap().unwrap_err()), Some(ScramFault::Server));
}

#[tokio::test]
async fn a_question_that_would_give_the_password_away_is_not_answered() {
    for (replace, by, expected) in [
        ("i=4096", "i=1", ScramFault::Iterations(1)),
        ("i=4096", "i=4000000000", ScramFault::Iterations(4_000_000_000)),
        ("r=", "r=x", ScramFault::OtherExchange),
        ("s=", "x=", ScramFault::Malformed),
    ] {
        let server = Server::start().await;
        let connecting = tokio::spawn(Client::connect(options(&server)));
        let mut peer = server.accept().await;
        peer.next().await;
        let (_, question) = asks(&peer.first.clone().unwrap(), "server");
        peer.challenge(&question.replacen(replace, by, 1)).await;
        assert_eq!(fault(&soon(connecting).await.unwrap().unwrap_err()), Some(expected));
        assert_eq!(peer.next().await, Seen::Closed, "not a word of the password");
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused_as_ever() {
    let server = Server::start().await;
    let connecting = tokio::spawn(Client::connect(options(&server)));
    let (mut peer, _) = proved(&server, "server").await;
    peer.refuse(ReasonCode::BadUserNameOrPassword).await;
    let error = soon(connecting).await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(ReasonCode::BadUserNameOrPassword));
}

#[tokio::test]
async fn a_client_authenticates_again_when_the_program_asks() {
    let server = Server::start().await;
    let connecting = tokio::spawn(Client::connect(options(&server)));
    let (mut peer, first) = proved(&server, "server").await;
    peer.accept_proved(Some(&first)).await;
    let (client, mut events) = soon(connecting).await.unwrap().unwrap();
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    let again = || {
        let client = client.clone();
        tokio::spawn(async move { client.reauthenticate().await })
    };
    let asked = again();
    let Seen::Auth(first) = peer.next().await else { panic!("no AUTH") };
    let early = soon(client.reauthenticate()).await;
    assert!(matches!(early, Err(RequestError::Misuse(_))), "one at a time: {early:?}");
    let (challenge, question) = asks(&first, "again");
    peer.challenge(&question).await;
    let right = proof(&mut peer, &challenge).await;
    ping(&client, &mut peer).await;
    peer.succeed(&right).await;
    assert!(soon(asked).await.unwrap().is_ok());

    let _asked = again();
    let Seen::Auth(first) = peer.next().await else { panic!("no AUTH") };
    let (challenge, question) = asks(&first, "once-more");
    peer.challenge(&question).await;
    proof(&mut peer, &challenge).await;
    peer.succeed("v=AAAA").await;
    let Event::Disconnected { cause, .. } = next(&mut events).await else { panic!("it was believed") };
    assert_eq!(fault(&cause), Some(ScramFault::Server));
}

/// Traffic while the client authenticates.
async fn ping(client: &Client, peer: &mut Peer) {
    let client = client.clone();
    let pinging = tokio::spawn(async move { client.ping().await });
    assert_eq!(peer.next().await, Seen::Ping);
    peer.send(whimbrel_proto::codec::Packet::PingResp).await;
    assert!(soon(pinging).await.unwrap().is_ok());
}

#[tokio::test]
async fn what_scram_cannot_do_is_said_before_anything_is_sent() {
    let server = Server::start().await;
    let with = |user: Option<&str>, password: Option<&[u8]>| Credentials {
        user_name: user.map(str::to_owned),
        password: password.map(<[u8]>::to_vec),
    };
    let right = || with(Some("anna"), Some(b"pencil"));
    for (version, credentials, expected) in [
        (Version::V311, right(), AuthenticationError::Version),
        (Version::V5, with(None, Some(b"pencil")), AuthenticationError::Credentials),
        (Version::V5, with(Some("anna"), None), AuthenticationError::Credentials),
        (Version::V5, with(Some(""), Some(b"pencil")), AuthenticationError::Characters),
        (Version::V5, with(Some("anna"), Some(b"\xff")), AuthenticationError::Characters),
        (Version::V5, with(Some("anna"), Some(b"\x07")), AuthenticationError::Characters),
    ] {
        let options = Options { version, credentials, ..options(&server) };
        match soon(Client::connect(options)).await {
            Err(ConnectionError::Authentication(error)) => assert_eq!(error, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_client_without_a_method_cannot_authenticate_again() {
    let server = Server::start().await;
    let connecting = tokio::spawn(Client::connect(server.options()));
    let _peer = server.accept_client(false).await;
    let (client, _events) = soon(connecting).await.unwrap().unwrap();
    assert!(matches!(soon(client.reauthenticate()).await, Err(RequestError::Misuse(_))));
}
