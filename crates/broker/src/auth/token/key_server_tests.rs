//! Keys that come from a server: which ones count, and what the server can do about logins.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    KeySource, TokenFault, TokenOptions,
    test_issuer::{ED25519, KeyServer, Manner, P256, jwks, p256},
    tests::{NOW, ask, bad, claims, identity, open, options},
};
use crate::auth::{Answer, Authenticator, Credentials, Denial, Secret, Verdict};

fn url(server: &KeyServer) -> KeySource {
    KeySource::Url {
        url: format!("http://{}/certs", server.address).parse().unwrap(),
        ca: None,
        refresh: Duration::from_secs(3_600),
        pause: Duration::from_millis(20),
        keep: Duration::from_secs(3_600),
        within: Duration::from_millis(500),
    }
}

#[test]
fn keys_come_from_a_url_and_an_unknown_key_is_fetched() {
    let server = KeyServer::start(Manner::Body(jwks(&[P256.jwk("one")])));
    let tokens = open(vec![options(url(&server))]);
    // It may be asked before the keys are there.
    identity(ask(&tokens, &P256.sign(Some("one"), &claims())));
    identity(ask(&tokens, &P256.sign(None, &claims())));
    let before = server.requests.load(Relaxed);
    assert!(before <= 2, "{before}: it asks again only if it was asked while the keys came");
    server.behave(Manner::Body(jwks(&[P256.jwk("one"), ED25519.jwk("two")])));
    identity(ask(&tokens, &ED25519.sign(Some("two"), &claims())));
    assert!(server.requests.load(Relaxed) <= before + 2);
    assert_eq!(ask(&tokens, &P256.sign(Some("three"), &claims())), bad(TokenFault::UnknownKey));
    // A key that the issuer has withdrawn is gone with the next fetch.
    server.behave(Manner::Body(jwks(&[ED25519.jwk("two")])));
    assert_eq!(ask(&tokens, &P256.sign(Some("three"), &claims())), bad(TokenFault::UnknownKey));
    assert_eq!(ask(&tokens, &P256.sign(Some("one"), &claims())), bad(TokenFault::UnknownKey));
}

#[test]
fn a_flood_of_names_of_keys_that_nobody_knows_is_no_flood_of_fetches() {
    let server = KeyServer::start(Manner::Body(jwks(&[P256.jwk("one")])));
    let pause = Duration::from_millis(200);
    let keys = match url(&server) {
        KeySource::Url { url, ca, refresh, keep, within, .. } => {
            KeySource::Url { url, ca, refresh, keep, within, pause }
        }
        other => other,
    };
    let tokens = open(vec![options(keys)]);
    let began = Instant::now();
    let made_up = |number: usize| {
        let token = P256.sign(Some(&format!("made-up-{number}")), &claims());
        let credentials = Credentials { password: Some(Secret::from(&token[..])), ..Credentials::default() };
        match tokens.authenticate(credentials) {
            Answer::Later(verdict) => verdict,
            Answer::Now(verdict) => panic!("{verdict:?}"),
        }
    };
    for round in 0..3 {
        let waiting: Vec<_> = (0..300).map(|number| made_up(round * 300 + number)).collect();
        // Whom the keys let in waits for nobody who makes keys up, as long as there is room in the queue.
        let verdicts: Vec<Verdict> =
            waiting.into_iter().map(|verdict| verdict.blocking_recv().unwrap()).collect();
        let known = |verdict: &Verdict| {
            [bad(TokenFault::UnknownKey), Verdict::Deny(Denial::ServerBusy)].contains(verdict)
        };
        assert!(verdicts.iter().all(known), "{verdicts:?}");
        identity(ask(&tokens, &P256.sign(Some("one"), &claims())));
    }
    let most = 2 + began.elapsed().as_millis() / pause.as_millis();
    let requests = server.requests.load(Relaxed);
    assert!(requests as u128 <= most, "{requests} fetches, at most {most}");
}

#[test]
fn keys_that_rotate_cost_no_login() {
    let pairs: Vec<_> = (0..6).map(|_| p256()).collect();
    let name = |number: u64| format!("key-{number}");
    let set = |number: u64| {
        // The issuer keeps the key of before for the tokens that it has signed.
        let known = [number.saturating_sub(1), number];
        jwks(&known.map(|number| pairs[number as usize].jwk(&name(number))))
    };
    let server = KeyServer::start(Manner::Body(set(0)));
    let tokens = open(vec![options(url(&server))]);
    let (signing, over) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let logins: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut count = 0;
                    while !over.load(Relaxed) {
                        let number = signing.load(Relaxed);
                        let token = pairs[number as usize].sign(Some(&name(number)), &claims());
                        match ask(&tokens, &token) {
                            Verdict::Allow(_) => count += 1,
                            Verdict::Deny(denial) => {
                                over.store(true, Relaxed);
                                panic!("a login failed: {denial:?}, after {count}");
                            }
                        }
                    }
                    count
                })
            })
            .collect();
        for number in 1..6 {
            server.behave(Manner::Body(set(number)));
            signing.store(number, Relaxed);
            // Until somebody has been let in by the new key.
            identity(ask(&tokens, &pairs[number as usize].sign(Some(&name(number)), &claims())));
        }
        over.store(true, Relaxed);
        let count: usize = logins.into_iter().map(|login| login.join().unwrap()).sum();
        assert!(count > 20, "{count} logins");
    });
}

#[test]
fn a_server_that_hangs_lies_or_never_ends_lets_nobody_in_and_keeps_the_keys_of_before() {
    let gone = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let fault = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}";
    let short = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"keys\":[";
    let head = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-a: b\r\n".repeat(20_000));
    for manner in [
        Manner::Hang,
        Manner::Endless,
        Manner::Body("<html>sign in</html>".to_owned()),
        Manner::Body("{}".to_owned()),
        Manner::Body("{\"keys\":[]}".to_owned()),
        Manner::Body(jwks(&[json!({"kty": "oct", "kid": "one", "k": "AAAA"})])),
        Manner::Raw(gone.to_owned()),
        Manner::Raw(fault.to_owned()),
        Manner::Raw(short.to_owned()),
        Manner::Raw(head),
        Manner::Raw("SSH-2.0-OpenSSH\r\n".to_owned()),
        Manner::Raw(String::new()),
    ] {
        let server = KeyServer::start(manner.clone());
        let tokens = open(vec![options(url(&server))]);
        let (known, unknown) = (P256.sign(Some("one"), &claims()), P256.sign(Some("two"), &claims()));
        assert_eq!(ask(&tokens, &known), Verdict::Deny(Denial::ServerBusy), "the client may try again");
        server.behave(Manner::Body(jwks(&[P256.jwk("one")])));
        identity(ask(&tokens, &known));
        server.behave(manner);
        assert_eq!(ask(&tokens, &unknown), Verdict::Deny(Denial::ServerBusy));
        identity(ask(&tokens, &known));
    }
}

#[test]
fn keys_that_are_too_old_count_no_more_until_others_come() {
    let server = KeyServer::start(Manner::Body(jwks(&[P256.jwk("one")])));
    let keys = match url(&server) {
        KeySource::Url { url, ca, refresh, pause, within, .. } => {
            KeySource::Url { url, ca, refresh, pause, within, keep: Duration::ZERO }
        }
        other => other,
    };
    let tokens = open(vec![options(keys)]);
    // Each login finds keys that are too old and has them fetched; those come too late for it.
    assert_eq!(ask(&tokens, &P256.sign(Some("one"), &claims())), bad(TokenFault::UnknownKey));
    assert!(server.requests.load(Relaxed) > 0);
}

#[test]
fn nobody_is_reached_where_no_server_listens_and_a_reload_keeps_what_was_fetched() {
    let server = KeyServer::start(Manner::Body(jwks(&[P256.jwk("one")])));
    let tokens = open(vec![options(url(&server))]);
    let token = P256.sign(Some("one"), &claims());
    identity(ask(&tokens, &token));
    server.behave(Manner::Hang);
    let skewed = TokenOptions { clock_skew_secs: 0, ..options(url(&server)) };
    tokens.replace(vec![skewed]).unwrap();
    assert_eq!(identity(ask(&tokens, &token)).ends_at, Some(NOW + 60));
    let closed = KeyServer { address: "127.0.0.1:1".parse().unwrap(), ..server };
    tokens.replace(vec![options(url(&closed))]).unwrap();
    assert_eq!(ask(&tokens, &token), Verdict::Deny(Denial::ServerBusy));
}
