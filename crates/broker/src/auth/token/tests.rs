//! The authenticator as the broker sees it: which tokens let in, which do not and why, and what the server of the keys can
//! do about it.

use std::{
    fs,
    num::NonZeroUsize,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use jsonwebtoken::{Algorithm as Signing, EncodingKey};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    KeySource, TOKEN_BYTES_MAX, TokenFault, TokenOptions, Tokens,
    test_issuer::{ED25519, KeyServer, Manner, P256, P384, RSA, SECRET, jwks, p256, signed},
};
use crate::{
    auth::{Answer, Authenticator, Credentials, Denial, Identity, Secret, Verdict},
    config::Algorithm,
};

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://id.example/realms/house";

fn options(keys: KeySource) -> TokenOptions {
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

fn open(issuers: Vec<TokenOptions>) -> Tokens {
    let threads = NonZeroUsize::new(2).unwrap();
    Tokens::with_clock(issuers, threads, NonZeroUsize::new(100).unwrap(), Box::new(|| NOW)).unwrap()
}

/// A folder with files of keys.
struct Files(TempDir, AtomicUsize);

impl Files {
    fn new() -> Files {
        Files(TempDir::new().unwrap(), AtomicUsize::new(0))
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn keys(&self, text: impl AsRef<[u8]>) -> KeySource {
        let number = self.1.fetch_add(1, Relaxed);
        KeySource::File(self.write(&format!("keys-{number}"), text))
    }
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "mqtt", "sub": "alice", "exp": NOW + 60})
}

fn with(changes: Value) -> Value {
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

fn ask(tokens: &Tokens, token: &[u8]) -> Verdict {
    ask_as(tokens, token, "pump")
}

#[track_caller]
fn identity(verdict: Verdict) -> Identity {
    match verdict {
        Verdict::Allow(identity) => identity,
        Verdict::Deny(denial) => panic!("{denial:?}"),
    }
}

fn bad(fault: TokenFault) -> Verdict {
    Verdict::Deny(Denial::BadToken(fault))
}

/// The head of a token with this algorithm.
fn head(algorithm: &str) -> String {
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
            assert_eq!(
                ask(&tokens, &forged),
                Verdict::Deny(match algorithms.contains(&Signing::HS256) {
                    // A token that names no key may be of one that is not here; from a file none comes.
                    _ => Denial::BadToken(TokenFault::UnknownKey),
                })
            );
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
fn who_signs_with_what_everybody_knows_is_refused() {
    let files = Files::new();
    let (text, rsa_pem) = (claims().to_string(), RSA.public_pem.as_bytes());
    let rsa = open(vec![options(files.keys(rsa_pem))]);
    let ec = open(vec![options(files.keys(jwks(&[P256.jwk("a")])))]);
    for tokens in [&rsa, &ec] {
        // The public key as if it were a secret: as it stands in the file, without its last line's end, and as DER.
        for secret in [rsa_pem, rsa_pem.trim_ascii_end(), P256.public_pem.as_bytes(), b"", &[0; 32]] {
            for algorithm in [Signing::HS256, Signing::HS384, Signing::HS512] {
                let token = signed(
                    &EncodingKey::from_secret(secret),
                    algorithm,
                    &head(&format!("{algorithm:?}")),
                    &text,
                );
                assert_eq!(ask(tokens, &token), bad(TokenFault::Algorithm), "{algorithm:?}");
            }
        }
        for none in ["none", "None", "NONE", "nOnE", "", "HS999", "ES512", "ES256K", "RSA-OAEP", "dir"] {
            let mut token = signed(&RSA.private, Signing::RS256, &head(none), &text);
            assert_eq!(ask(tokens, &token), bad(TokenFault::Algorithm), "{none:?} with a signature");
            token.truncate(token.iter().rposition(|byte| *byte == b'.').unwrap() + 1);
            assert_eq!(ask(tokens, &token), bad(TokenFault::Algorithm), "{none:?} without one");
        }
        for head in ["{\"alg\":[\"RS256\"]}", "{\"alg\":null}", "{\"a\":1}", "{\"alg\":{\"x\":1}}"] {
            assert_eq!(
                ask(tokens, &signed(&RSA.private, Signing::RS256, head, &text)),
                bad(TokenFault::Algorithm)
            );
        }
    }
    // A key of one kind does not verify what another has signed, whatever the token says.
    let token = signed(&P256.private, Signing::ES256, &head("RS256"), &text);
    assert_eq!(ask(&rsa, &token), bad(TokenFault::UnknownKey));
    assert_eq!(
        ask(&rsa, &signed(&P256.private, Signing::ES256, &head("ES256"), &text)),
        bad(TokenFault::Algorithm)
    );
    // What is not on the list is not taken, and a key that names its algorithm has no other.
    let only = TokenOptions { algorithms: vec![Algorithm::Ps256], ..options(files.keys(rsa_pem)) };
    let only = open(vec![only]);
    assert_eq!(
        ask(&only, &signed(&RSA.private, Signing::RS256, &head("RS256"), &text)),
        bad(TokenFault::Algorithm)
    );
    identity(ask(&only, &signed(&RSA.private, Signing::PS256, &head("PS256"), &text)));
    let mut named = RSA.jwk("a");
    named["alg"] = "RS512".into();
    let named = open(vec![options(files.keys(jwks(&[named])))]);
    assert_eq!(
        ask(&named, &signed(&RSA.private, Signing::RS256, &head("RS256"), &text)),
        bad(TokenFault::Algorithm)
    );
    identity(ask(&named, &signed(&RSA.private, Signing::RS512, &head("RS512"), &text)));
}

#[test]
fn what_a_head_says_of_keys_is_not_followed() {
    let files = Files::new();
    let stranger = p256();
    let tokens = open(vec![options(files.keys(jwks(&[P256.jwk("a"), RSA.jwk("b")])))]);
    let text = claims().to_string();
    let ask_with =
        |head: Value| ask(&tokens, &signed(&stranger.private, Signing::ES256, &head.to_string(), &text));
    // Its own key, in every way in which a head can bring one along.
    for (name, value) in [
        ("jwk", stranger.jwk("a")),
        ("jku", json!("http://127.0.0.1:1/jwks")),
        ("x5u", json!("http://127.0.0.1:1/cert.pem")),
        ("x5c", json!(["MIIB"])),
    ] {
        let mut head = json!({"alg": "ES256", "kid": "a"});
        head[name] = value;
        assert_eq!(ask_with(head), bad(TokenFault::Signature), "{name}");
    }
    for id in [
        "../../../../dev/null",
        "/dev/null",
        "a\0",
        "a' OR '1'='1",
        "a; id",
        "http://127.0.0.1:1/",
        "",
        "A",
        "a ",
        "%61",
        "${jndi:ldap://127.0.0.1/a}",
        &"x".repeat(256),
    ] {
        assert_eq!(ask_with(json!({"alg": "ES256", "kid": id})), bad(TokenFault::UnknownKey), "{id:?}");
    }
    for id in [json!("x".repeat(257)), json!(1), json!(["a"]), json!({}), json!(null)] {
        assert_eq!(ask_with(json!({"alg": "ES256", "kid": id})), bad(TokenFault::Head), "{id}");
    }
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
    ] {
        let mut head = json!({"alg": "ES256", "kid": "a"});
        head[name] = value;
        let token = signed(&P256.private, Signing::ES256, &head.to_string(), &text);
        assert_eq!(ask(&tokens, &token), bad(TokenFault::Head), "{name}");
    }
    // The right key under another's name.
    assert_eq!(ask(&tokens, &P256.sign(Some("b"), &claims())), bad(TokenFault::Algorithm));
    identity(ask(&tokens, &P256.sign(Some("a"), &claims())));
}

#[test]
fn what_is_no_token_or_too_long_is_refused_and_what_does_not_look_like_one_is_somebody_elses() {
    let files = Files::new();
    let tokens = open(vec![options(files.keys(&P256.public_pem))]);
    let is_for = |password: Option<&[u8]>| {
        tokens.is_for(&Credentials { password: password.map(Secret::from), ..Credentials::default() })
    };
    for other in [
        &b""[..],
        b"secret",
        b"a.b.c",
        b"ey",
        b"ey.a",
        b"ey.a.b.c",
        b"ey a.b.c",
        b"ey\xff.a.b",
        b"eyJ.a.b=",
        b"Bearer eyJ.a.b",
    ] {
        assert!(!is_for(Some(other)), "{other:?}");
        assert_eq!(ask(&tokens, other), bad(TokenFault::Malformed));
    }
    assert!(!is_for(None));
    let good = P256.sign(None, &claims());
    assert!(is_for(Some(&good)));
    let encode = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let (head, text) = (encode(&head("ES256")), encode(&claims().to_string()));
    for malformed in [
        format!("{head}..x"),
        format!("{head}.x.x"),
        format!("{head}.{}.x", encode("[]")),
        format!("{head}.{}.x", encode("\"x\"")),
        format!("{head}.{}.x", encode("{\"sub\":\"alice\",\"sub\":\"root\"}")),
        format!("{head}.{}.x", encode("{\"sub\":\"alice\",\"\\u0073ub\":\"root\"}")),
        format!("{}.{text}.x", encode("{\"alg\":\"ES256\",\"alg\":\"none\"}")),
        format!("eyJ.{text}.x"),
    ] {
        assert!(is_for(Some(malformed.as_bytes())), "{malformed}");
        assert_eq!(ask(&tokens, malformed.as_bytes()), bad(TokenFault::Malformed), "{malformed}");
    }
    let duplicate = format!("{{\"sub\":\"root\",{}", &claims().to_string()[1..]);
    let twice = signed(&P256.private, Signing::ES256, &self::head("ES256"), &duplicate);
    assert_eq!(ask(&tokens, &twice), bad(TokenFault::Malformed), "though its signature is good");
    let long = P256.sign(None, &with(json!({"x": "y".repeat(TOKEN_BYTES_MAX)})));
    assert!(is_for(Some(&long)));
    assert_eq!(ask(&tokens, &long), bad(TokenFault::TooLong));
    let longest = P256.sign(None, &with(json!({"x": "y".repeat(11_000)})));
    identity(ask(&tokens, &longest));
    let empty = |part: usize| {
        let mut parts: Vec<&[u8]> = good.split(|byte| *byte == b'.').collect();
        parts[part] = b"";
        parts.join(&b'.')
    };
    assert_eq!(ask(&tokens, &empty(2)), bad(TokenFault::UnknownKey), "without a signature");
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
    for user in
        [json!(""), json!(1), json!(["alice"]), json!({"a": 1}), json!(null), json!("a\0b"), json!("a\nb")]
    {
        check(json!({"sub": user}), Err(TokenFault::UserName));
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
