//! The authenticator as the broker sees it: which tokens let in, which do not and why, and what the server of the keys can
//! do about it.

use std::{
    fs,
    num::NonZeroUsize,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use jsonwebtoken::{Algorithm as Signing, EncodingKey};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    KeySource, TokenFault, TokenOptions, Tokens,
    test_issuer::{ED25519, P256, P384, RSA, SECRET, jwks, signed},
};
use crate::{
    auth::{Answer, Authenticator, Credentials, Denial, Identity, Secret, Verdict},
    config::Algorithm,
};

pub(super) const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://id.example/realms/house";

pub(super) fn options(keys: KeySource) -> TokenOptions {
    TokenOptions {
        number: 1,
        label: "the test".to_owned(),
        issuer: Some(ISSUER.to_owned()),
        audience: vec!["mqtt".to_owned()],
        keys,
        algorithms: Vec::new(),
        expiry_required: true,
        clock_skew_secs: 30,
        user_name_claim: "sub".to_owned(),
        client_id_claim: None,
        groups_claim: None,
        publish_claim: None,
        subscribe_claim: None,
    }
}

pub(super) fn open(issuers: Vec<TokenOptions>) -> Tokens {
    let threads = NonZeroUsize::new(2).unwrap();
    Tokens::with_clock(issuers, threads, NonZeroUsize::new(100).unwrap(), Box::new(|| NOW)).unwrap()
}

/// A folder with files of keys.
pub(super) struct Files(TempDir, AtomicUsize);

impl Files {
    pub(super) fn new() -> Files {
        Files(TempDir::new().unwrap(), AtomicUsize::new(0))
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn keys(&self, text: impl AsRef<[u8]>) -> KeySource {
        let number = self.1.fetch_add(1, Relaxed);
        KeySource::File(self.write(&format!("keys-{number}"), text))
    }
}

pub(super) fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "mqtt", "sub": "alice", "exp": NOW + 60})
}

pub(super) fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn ask_as(tokens: &Tokens, token: &[u8], client_id: &str) -> Verdict {
    let credentials = Credentials {
        password: Some(Secret::from(token)),
        client_id: client_id.into(),
        ..Credentials::default()
    };
    match tokens.authenticate(credentials) {
        Answer::Now(verdict) => verdict,
        Answer::Later(verdict) => verdict.blocking_recv().expect("there is a verdict"),
    }
}

pub(super) fn ask(tokens: &Tokens, token: &[u8]) -> Verdict {
    ask_as(tokens, token, "pump")
}

#[track_caller]
pub(super) fn identity(verdict: Verdict) -> Identity {
    match verdict {
        Verdict::Allow(identity) => identity,
        Verdict::Deny(denial) => panic!("{denial:?}"),
    }
}

pub(super) fn bad(fault: TokenFault) -> Verdict {
    Verdict::Deny(Denial::BadToken(fault))
}

/// The head of a token with this algorithm.
pub(super) fn head(algorithm: &str) -> String {
    json!({"alg": algorithm, "typ": "JWT"}).to_string()
}

#[test]
fn a_token_of_every_algorithm_lets_its_user_in_until_it_ends() {
    let files = Files::new();
    let text = claims().to_string();
    let check = |keys: KeySource, private: &EncodingKey, algorithms: &[Signing]| {
        let wanted = match &keys {
            KeySource::Secret(_) => vec![Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512],
            _ => Vec::new(),
        };
        let tokens = open(vec![TokenOptions { algorithms: wanted, ..options(keys) }]);
        for algorithm in algorithms {
            let token = signed(private, *algorithm, &head(&format!("{algorithm:?}")), &text);
            let identity = identity(ask(&tokens, &token));
            assert_eq!(identity.user_name.as_deref(), Some("alice"), "{algorithm:?}");
            assert_eq!(identity.ends_at, Some(NOW + 60 + 30), "its end, and what clocks may differ");
            let mut forged = token;
            let at = forged.len() - 10;
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(ask(&tokens, &forged), bad(TokenFault::Signature), "{algorithm:?}");
        }
    };
    let secret = KeySource::Secret(files.write("secret", [SECRET, b"\n"].concat()));
    check(secret, &EncodingKey::from_secret(SECRET), &[Signing::HS256, Signing::HS384, Signing::HS512]);
    let of_rsa =
        [Signing::RS256, Signing::RS384, Signing::RS512, Signing::PS256, Signing::PS384, Signing::PS512];
    check(files.keys(&RSA.public_pem), &RSA.private, &of_rsa);
    check(files.keys(jwks(&[RSA.jwk("a")])), &RSA.private, &[Signing::RS256]);
    for (pair, algorithm) in [(&P256, Signing::ES256), (&P384, Signing::ES384), (&ED25519, Signing::EdDSA)] {
        check(files.keys(&pair.public_pem), &pair.private, &[algorithm]);
        check(files.keys(jwks(&[pair.jwk("a")])), &pair.private, &[algorithm]);
        check(files.keys(pair.jwk("a").to_string()), &pair.private, &[algorithm]);
    }
    let several = format!("# two keys\n{}{}", P256.public_pem, RSA.public_pem);
    check(files.keys(several), &RSA.private, &[Signing::RS256]);
}

#[test]
fn what_a_token_says_is_held_against_what_is_asked() {
    let files = Files::new();
    let tokens = open(vec![options(files.keys(&P256.public_pem))]);
    let check = |changes: Value, expect: Result<(), TokenFault>| {
        let verdict = ask(&tokens, &P256.sign(None, &with(changes.clone())));
        match expect {
            Ok(()) => drop(identity(verdict)),
            Err(fault) => assert_eq!(verdict, bad(fault), "{changes}"),
        }
    };
    for issuer in [
        json!("https://id.example/realms/other"),
        json!(""),
        json!([ISSUER]),
        json!(null),
        json!(format!("{ISSUER}/")),
    ] {
        check(json!({"iss": issuer}), Err(TokenFault::Issuer));
    }
    for (audience, expect) in [
        (json!("mqtt"), Ok(())),
        (json!(["account", "mqtt"]), Ok(())),
        (json!("MQTT"), Err(TokenFault::Audience)),
        (json!("mqtt "), Err(TokenFault::Audience)),
        (json!("other"), Err(TokenFault::Audience)),
        (json!([]), Err(TokenFault::Audience)),
        (json!(["mqtt", 1]), Err(TokenFault::Audience)),
        (json!({"mqtt": true}), Err(TokenFault::Audience)),
        (json!(null), Err(TokenFault::Audience)),
    ] {
        check(json!({"aud": audience}), expect);
    }
    for (expiry, expect) in [
        (json!(NOW + 1), Ok(())),
        (json!(NOW as f64 + 0.5), Ok(())),
        (json!(NOW - 29), Ok(())),
        (json!(1e300), Ok(())),
        (json!(NOW - 30), Err(TokenFault::Expired)),
        (json!(0), Err(TokenFault::Expired)),
        (json!(-1), Err(TokenFault::Time)),
        (json!((NOW + 60).to_string()), Err(TokenFault::Time)),
        (json!(null), Err(TokenFault::Time)),
        (json!([NOW + 60]), Err(TokenFault::Time)),
    ] {
        check(json!({"exp": expiry}), expect);
    }
    for (begin, expect) in [
        (json!(NOW), Ok(())),
        (json!(NOW + 30), Ok(())),
        (json!(NOW + 31), Err(TokenFault::NotYetValid)),
        (json!("now"), Err(TokenFault::Time)),
    ] {
        check(json!({"nbf": begin}), expect);
    }
}

#[test]
fn what_a_token_does_not_say_is_missed_where_it_is_asked() {
    let files = Files::new();
    let tokens = open(vec![options(files.keys(&P256.public_pem))]);
    for user in
        [json!(""), json!(1), json!(["alice"]), json!({"a": 1}), json!(null), json!("a\0b"), json!("a\nb")]
    {
        let token = P256.sign(None, &with(json!({"sub": user})));
        assert_eq!(ask(&tokens, &token), bad(TokenFault::UserName), "{user}");
    }
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        P256.sign(None, &claims)
    };
    assert_eq!(ask(&tokens, &without("exp")), bad(TokenFault::NoExpiry));
    assert_eq!(ask(&tokens, &without("iss")), bad(TokenFault::Issuer));
    assert_eq!(ask(&tokens, &without("aud")), bad(TokenFault::Audience));
    assert_eq!(ask(&tokens, &without("sub")), bad(TokenFault::UserName));

    let endless = TokenOptions {
        expiry_required: false,
        audience: Vec::new(),
        ..options(files.keys(&P256.public_pem))
    };
    let endless = open(vec![endless]);
    assert_eq!(ask(&endless, &without("exp")), bad(TokenFault::Audience), "one with aud is for others");
    let mut bare = claims();
    bare.as_object_mut().unwrap().retain(|name, _| name == "iss" || name == "sub");
    assert_eq!(identity(ask(&endless, &P256.sign(None, &bare))).ends_at, None);
    assert_eq!(
        ask(&endless, &P256.sign(None, &json!({"iss": ISSUER, "sub": "a", "exp": 1}))),
        bad(TokenFault::Expired)
    );
}

#[test]
fn claims_say_who_the_client_is() {
    let files = Files::new();
    let tokens = open(vec![TokenOptions {
        user_name_claim: "/profile/user name".to_owned(),
        client_id_claim: Some("https://id.example/client".to_owned()),
        groups_claim: Some("/realm_access/roles".to_owned()),
        publish_claim: Some("publish".to_owned()),
        ..options(files.keys(&P256.public_pem))
    }]);
    let said = |changes: Value| {
        with(
            json!({"profile": {"user name": "Zoë"}, "https://id.example/client": "pump"})
                .as_object()
                .unwrap()
                .iter()
                .chain(changes.as_object().unwrap())
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        )
    };
    let ask_as =
        |changes: Value, client_id: &str| ask_as(&tokens, &P256.sign(None, &said(changes)), client_id);
    let zoe = identity(ask_as(json!({"realm_access": {"roles": ["operators"]}, "publish": ["a/#"]}), "pump"));
    assert_eq!(zoe.user_name.as_deref(), Some("Zoë"));
    for other in ["lamp", "", "Pump", "pump "] {
        assert_eq!(ask_as(json!({}), other), Verdict::Deny(Denial::ForeignClientId), "{other:?}");
    }
    identity(ask_as(json!({}), "pump"));
    identity(ask_as(json!({"realm_access": {"roles": "one two"}, "publish": "a"}), "pump"));
    for (changes, fault) in [
        (json!({"profile": {}}), TokenFault::UserName),
        (json!({"profile": "x"}), TokenFault::UserName),
        (json!({"https://id.example/client": 7}), TokenFault::ClientId),
        (json!({"realm_access": {"roles": [1]}}), TokenFault::Groups),
        (json!({"realm_access": {"roles": {"a": 1}}}), TokenFault::Groups),
        (json!({"publish": ["a/#/b"]}), TokenFault::Permissions),
        (json!({"publish": [["a"]]}), TokenFault::Permissions),
        (json!({"publish": {"a": 1}}), TokenFault::Permissions),
    ] {
        assert_eq!(ask_as(changes.clone(), "pump"), bad(fault), "{changes}");
    }
}

#[test]
fn each_issuer_has_keys_of_its_own() {
    let files = Files::new();
    let file = |name: &str, text: &str| KeySource::File(files.write(name, text));
    let one = options(file("one", &P256.public_pem));
    let other = TokenOptions {
        number: 2,
        issuer: Some("https://other.example".to_owned()),
        ..options(file("two", &RSA.public_pem))
    };
    let rest = TokenOptions { number: 3, issuer: None, ..options(file("three", &ED25519.public_pem)) };
    let tokens = open(vec![one, other, rest]);
    identity(ask(&tokens, &P256.sign(None, &claims())));
    identity(ask(&tokens, &RSA.sign(None, &with(json!({"iss": "https://other.example"})))));
    identity(ask(&tokens, &ED25519.sign(None, &with(json!({"iss": "https://third.example"})))));
    // Who may sign for one may not sign for the others.
    assert_eq!(ask(&tokens, &RSA.sign(None, &claims())), bad(TokenFault::Algorithm));
    assert_eq!(ask(&tokens, &ED25519.sign(None, &claims())), bad(TokenFault::Algorithm));
    assert_eq!(
        ask(&tokens, &P256.sign(None, &with(json!({"iss": "https://third.example"})))),
        bad(TokenFault::Algorithm)
    );
    let nobody = open(Vec::new());
    assert!(nobody.is_for(&Credentials {
        password: Some(Secret::from(&P256.sign(None, &claims())[..])),
        ..Credentials::default()
    }));
}

#[test]
fn keys_that_cannot_be_used_are_told_with_file_and_line() {
    let files = Files::new();
    let told = |keys: KeySource, algorithms: &[Algorithm]| {
        let options = TokenOptions { algorithms: algorithms.to_vec(), ..options(keys) };
        let threads = NonZeroUsize::MIN;
        match Tokens::with_clock(vec![options], threads, threads, Box::new(|| NOW)) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    };
    let keys = |text: &str| files.keys(text);
    let private = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let p521 = "-----BEGIN PUBLIC KEY-----\nMIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBgc4HZz+/fBbC7lmEww0AO3NK9wVZ\nPDZ0VEnsaUFLEYpTzb90nITtJUcPUbvOsdZIZ1Q8fnbquAYgxXL5UgHMoywAib47\n6MkyyYgPk0BXZq3mq4zImTRNuaU9slj9TVJ3ScT3L1bXwVuPJDzpr5GOFpaj+WwM\nAl8G7CqwoJOsW7Kddns=\n-----END PUBLIC KEY-----\n";
    let mut secret_jwk = json!({"kty": "oct", "k": "c2VjcmV0"});
    for (source, algorithms, expect) in [
        (
            KeySource::File(files.0.path().join("nothing")),
            &[][..],
            "nothing: token[1].keys_file: it cannot be read: ",
        ),
        (KeySource::File(files.0.path().into()), &[], "token[1].keys_file: it is not a regular file"),
        (keys("hello"), &[], "there is no public key"),
        (keys("\n-----BEGIN PUBLIC KEY-----\nMIGb"), &[], "line 2: the PEM block does not end"),
        (keys(&private.serialize_pem()), &[], "line 1: this is a private key"),
        (keys(&certificate.cert.pem()), &[], "line 1: this is a certificate"),
        (keys(p521), &[], "line 1: the key is of another curve than P-256 and P-384"),
        (
            keys(&P256.public_pem),
            &[Algorithm::Rs256],
            "the key is good for ES256, and algorithms wants RS256",
        ),
        (keys("{\"keys\":[]}"), &[], "the JWK set has no keys"),
        (keys("{\"keys\":{}}"), &[], "it has no list `keys`"),
        (keys("{\"keys\":[1]}"), &[], "none of the 1 keys of the JWK set can be used"),
        (keys("{\"keys\":["), &[], "this is no JWK set: EOF"),
        (
            keys(&jwks(&[std::mem::take(&mut secret_jwk)])),
            &[],
            "it is a secret, which does not belong among public keys",
        ),
        (keys(&jwks(&[json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"})])), &[], "the RSA key has 17 bits"),
        (
            keys(&jwks(&[json!({"kty": "EC", "crv": "P-521", "x": "AQAB", "y": "AQAB"})])),
            &[],
            "a key of EC P-521",
        ),
        (
            keys(&jwks(&[json!({"kty": "EC", "crv": "P-256", "x": "AQAB", "y": "AQAB"})])),
            &[],
            "its point is none of P-256",
        ),
        (
            KeySource::Secret(files.write("short", "secret")),
            &[],
            "token[1].secret_file: the secret has 6 bytes; HS256 needs 32",
        ),
        (KeySource::Secret(files.write("longer", &SECRET[..32])), &[Algorithm::Hs512], "HS512 needs 64"),
    ] {
        let told = told(source, algorithms);
        assert!(told.contains(expect), "{told:?} has {expect:?}");
    }
    // Keys for something else stand beside good ones in many a set.
    let mut for_encryption = RSA.jwk("enc");
    for_encryption["use"] = "enc".into();
    let mixed = jwks(&[
        for_encryption,
        json!({"kty": "OKP", "crv": "X25519", "x": "AQAB"}),
        json!("x"),
        P256.jwk("a"),
    ]);
    assert_eq!(told(keys(&mixed), &[]), "");
}

#[test]
fn other_keys_count_after_a_reload_and_wrong_ones_change_nothing() {
    let files = Files::new();
    let path = files.write("keys", &P256.public_pem);
    let issuer = || vec![options(KeySource::File(path.clone()))];
    let tokens = open(issuer());
    fs::write(&path, &RSA.public_pem).unwrap();
    identity(ask(&tokens, &P256.sign(None, &claims())));
    assert_eq!(tokens.replace(issuer()).unwrap(), 1);
    identity(ask(&tokens, &RSA.sign(None, &claims())));
    assert_eq!(ask(&tokens, &P256.sign(None, &claims())), bad(TokenFault::Algorithm));
    fs::write(&path, "-----BEGIN").unwrap();
    assert!(tokens.replace(issuer()).unwrap_err().to_string().contains("token[1].keys_file"));
    identity(ask(&tokens, &RSA.sign(None, &claims())));
    assert_eq!(tokens.replace(Vec::new()).unwrap(), 0);
    assert_eq!(ask(&tokens, &RSA.sign(None, &claims())), bad(TokenFault::Issuer));
}

/// Claims of an access token as Keycloak 26 makes it for a client that has its own service account.
const KEYCLOAK: &str = r#"{
  "exp": 1800000300, "iat": 1800000000, "jti": "trrtcc:6f4b8a1c-2c52-4b8f-8d6e-0c1a8b7d9e11",
  "iss": "https://id.example/realms/house", "aud": ["mqtt", "account"], "sub": "5a2f7c1e-9d53-4d61-a6d0-0c6f8a3e2b47",
  "typ": "Bearer", "azp": "pump-7", "sid": "f2b6c8a0-1d7e-4c9a-9b65-3e8d7f0a1c22", "acr": "1", "allowed-origins": ["/*"],
  "realm_access": {"roles": ["default-roles-house", "offline_access", "uma_authorization", "operators"]},
  "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
  "scope": "email profile", "clientHost": "192.0.2.7", "email_verified": false,
  "preferred_username": "service-account-pump-7", "clientAddress": "192.0.2.7", "client_id": "pump-7"
}"#;

/// Claims of an access token as Auth0 makes it for a machine, with claims of an action.
const AUTH0: &str = r#"{
  "https://house.example/tenant": "acme", "https://house.example/roles": ["operators"],
  "iss": "https://house.eu.auth0.com/", "sub": "q3ZtQ8yLd0bF6w1H@clients", "aud": "https://mqtt.house.example",
  "iat": 1800000000, "exp": 1800086400, "scope": "publish:house subscribe:house", "gty": "client-credentials",
  "azp": "q3ZtQ8yLd0bF6w1H", "permissions": ["publish:house", "subscribe:house"]
}"#;

#[test]
fn tokens_as_keycloak_and_auth0_make_them_let_their_clients_in() {
    let files = Files::new();
    let keys = || files.keys(jwks(&[RSA.jwk("Fj7-eXAmPlE_kEyId")]));
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let keycloak = TokenOptions {
        user_name_claim: "preferred_username".to_owned(),
        client_id_claim: Some("client_id".to_owned()),
        groups_claim: Some("/realm_access/roles".to_owned()),
        ..options(keys())
    };
    let tokens = open(vec![keycloak]);
    let token = RSA.sign(Some("Fj7-eXAmPlE_kEyId"), &parsed(KEYCLOAK));
    let who = identity(ask_as(&tokens, &token, "pump-7"));
    assert_eq!(who.user_name.as_deref(), Some("service-account-pump-7"));
    assert_eq!(who.ends_at, Some(NOW + 300 + 30));
    assert_eq!(ask_as(&tokens, &token, "pump-8"), Verdict::Deny(Denial::ForeignClientId));

    let auth0 = TokenOptions {
        issuer: Some("https://house.eu.auth0.com/".to_owned()),
        audience: vec!["https://mqtt.house.example".to_owned()],
        groups_claim: Some("https://house.example/roles".to_owned()),
        ..options(keys())
    };
    let tokens = open(vec![auth0]);
    let who = identity(ask(&tokens, &RSA.sign(Some("Fj7-eXAmPlE_kEyId"), &parsed(AUTH0))));
    assert_eq!(who.user_name.as_deref(), Some("q3ZtQ8yLd0bF6w1H@clients"));
}

#[test]
fn beyond_the_waiting_the_server_is_busy() {
    let files = Files::new();
    let queue = super::Queue::new(NonZeroUsize::new(2).unwrap());
    let attempt = || {
        let (reply, verdict) = tokio::sync::oneshot::channel();
        let token = Secret::from(&b""[..]);
        (
            super::Attempt { token, client_id: "".into(), arrived: Instant::now(), is_last: false, reply },
            verdict,
        )
    };
    let mut verdicts = Vec::new();
    for _ in 0..3 {
        let (attempt, verdict) = attempt();
        queue.push(attempt);
        verdicts.push(verdict);
    }
    assert_eq!(verdicts.pop().unwrap().blocking_recv(), Ok(Verdict::Deny(Denial::ServerBusy)));
    queue.close();
    assert!(verdicts.into_iter().all(|verdict| verdict.blocking_recv().is_err()));
    // The end of the authenticator is the end of those who wait.
    let tokens = Arc::new(open(vec![options(files.keys(&P256.public_pem))]));
    identity(ask(&tokens, &P256.sign(None, &claims())));
}
