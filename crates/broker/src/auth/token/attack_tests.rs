//! Tokens that somebody has made who may not: wrong algorithms, keys brought along, names of keys that are something else,
//! and what is no token at all.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use jsonwebtoken::{Algorithm as Signing, EncodingKey};
use serde_json::{Value, json};

use super::{
    TOKEN_BYTES_MAX, TokenFault, TokenOptions,
    test_issuer::{P256, RSA, jwks, p256, signed},
    tests::{Files, ask, bad, claims, head, identity, open, options, with},
};
use crate::{
    auth::{Authenticator, Credentials, Secret},
    config::Algorithm,
};

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
    assert_eq!(ask(&rsa, &token), bad(TokenFault::Signature));
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
    let twice = signed(&P256.private, Signing::ES256, &super::tests::head("ES256"), &duplicate);
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
    assert_eq!(ask(&tokens, &empty(2)), bad(TokenFault::Signature), "without one");
}
