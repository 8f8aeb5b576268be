//! The keys by which tokens are verified, from the forms in which they come. Each key is good for the algorithms of its
//! kind and for no others: what a token says of its algorithm chooses among them and adds none.

use std::fmt;

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::{TokenFault, json, jws::Jws};
use crate::config::Algorithm;

/// Keys of a set that are looked at.
const KEYS_MAX: usize = 100;
/// Keys that are tried for one token.
const TRIED_MAX: usize = 8;
/// Bits of the modulus of an RSA key.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

const OF_RSA: &[Algorithm] = &[
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

/// A key.
struct Key {
    id: Option<Box<str>>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// All keys of an issuer.
#[derive(Default)]
pub(super) struct KeySet(Vec<Key>);

/// What a key set says of a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Signed {
    /// One of the keys has signed it.
    Good,
    /// None of the keys is the one that it names.
    UnknownKey,
    /// It is wrong whatever other keys there are.
    Bad(TokenFault),
}

impl fmt::Debug for KeySet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "KeySet({} keys)", self.0.len())
    }
}

impl KeySet {
    /// A secret: the bytes of a file without the end of its line.
    ///
    /// # Errors
    /// It is too short for an algorithm that is wanted [RFC 7518 3.2].
    pub(super) fn of_secret(bytes: &[u8], wanted: &[Algorithm]) -> Result<KeySet, String> {
        let secret = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
        let algorithms = if wanted.is_empty() { vec![Algorithm::Hs256] } else { wanted.to_vec() };
        for algorithm in &algorithms {
            let least = match algorithm {
                Algorithm::Hs256 => 32,
                Algorithm::Hs384 => 48,
                Algorithm::Hs512 => 64,
                other => return Err(format!("{other} needs a public key")),
            };
            if secret.len() < least {
                let have = secret.len();
                return Err(format!(
                    "the secret has {have} bytes; {algorithm} needs {least}: `openssl rand -hex 32` makes 64"
                ));
            }
        }
        Ok(KeySet(vec![Key { id: None, algorithms, key: DecodingKey::from_secret(secret) }]))
    }

    /// Public keys: a JWK set, a single JWK, or PEM.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn of_public(text: &str, wanted: &[Algorithm]) -> Result<KeySet, String> {
        match text.trim_start().starts_with('{') {
            true => KeySet::of_jwks(text, wanted),
            false => KeySet::of_pem(text, wanted),
        }
    }

    /// A JWK set. Keys that are for something else are left out.
    ///
    /// # Errors
    /// It is none, or no key of it can be used.
    pub(super) fn of_jwks(text: &str, wanted: &[Algorithm]) -> Result<KeySet, String> {
        let document =
            json::object(text.as_bytes()).map_err(|error| format!("this is no JWK set: {error}"))?;
        let one;
        let keys = match document.get("keys") {
            Some(Value::Array(keys)) => keys.as_slice(),
            None if document.contains_key("kty") => {
                one = [Value::Object(document.clone())];
                &one
            }
            _ => return Err("this is no JWK set: it has no list `keys`".to_owned()),
        };
        let (mut good, mut why) = (Vec::new(), String::new());
        for key in keys.iter().take(KEYS_MAX) {
            match key.as_object().ok_or_else(|| "it is no object".to_owned()).and_then(|key| jwk(key, wanted))
            {
                Ok(key) => good.push(key),
                Err(fault) => why = fault,
            }
        }
        match good.is_empty() {
            true if keys.is_empty() => Err("the JWK set has no keys".to_owned()),
            true => {
                Err(format!("none of the {} keys of the JWK set can be used; of the last: {why}", keys.len()))
            }
            false => Ok(KeySet(good)),
        }
    }

    fn of_pem(text: &str, wanted: &[Algorithm]) -> Result<KeySet, String> {
        const BEGIN: &str = "-----BEGIN ";
        let mut keys = Vec::new();
        for (at, _) in text.match_indices(BEGIN) {
            let line = 1 + text.get(..at).unwrap_or_default().matches('\n').count();
            let block = text.get(at..).unwrap_or_default();
            let whole = || -> Option<(&str, &str, &str)> {
                let (label, rest) = block.strip_prefix(BEGIN)?.split_once("-----")?;
                let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
                let length =
                    BEGIN.len() + label.len() + 5 + body.len() + label.len() + "-----END -----".len();
                Some((label, body, block.get(..length)?))
            };
            let (label, body, block) =
                whole().ok_or_else(|| format!("line {line}: the PEM block does not end"))?;
            keys.push(pem(label, body, block, wanted).map_err(|fault| format!("line {line}: {fault}"))?);
        }
        if keys.is_empty() {
            return Err("there is no public key: it begins with `-----BEGIN PUBLIC KEY-----`, or with `{` if it is a JWK set"
                .to_owned());
        }
        Ok(KeySet(keys))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether one of the keys has signed this.
    pub(super) fn verify(&self, token: &Jws<'_>) -> Signed {
        let named = |key: &&Key| match (&token.key_id, &key.id) {
            (Some(wanted), Some(own)) => wanted == own,
            _ => true,
        };
        let mut known = self.0.iter().filter(named).peekable();
        if known.peek().is_none() {
            return Signed::UnknownKey;
        }
        let mut fitting = known.filter(|key| key.algorithms.contains(&token.algorithm)).peekable();
        if fitting.peek().is_none() {
            return Signed::Bad(TokenFault::Algorithm);
        }
        let good = fitting.take(TRIED_MAX).any(|key| {
            let signed = token.signed.as_bytes();
            jsonwebtoken::crypto::verify(token.signature, signed, &key.key, provided(token.algorithm))
                .unwrap_or(false)
        });
        match good {
            true => Signed::Good,
            // One that names no key may have been signed by one that is not here yet.
            false if token.key_id.is_none() => Signed::UnknownKey,
            false => Signed::Bad(TokenFault::Signature),
        }
    }
}

/// What is wanted of what a key can do.
fn usable(can: &[Algorithm], wanted: &[Algorithm]) -> Result<Vec<Algorithm>, String> {
    let both: Vec<Algorithm> =
        can.iter().copied().filter(|algorithm| wanted.is_empty() || wanted.contains(algorithm)).collect();
    let words = |list: &[Algorithm]| list.iter().map(|one| one.word()).collect::<Vec<_>>().join(", ");
    match both.is_empty() {
        true => Err(format!("the key is good for {}, and algorithms wants {}", words(can), words(wanted))),
        false => Ok(both),
    }
}

fn jwk(key: &Map<String, Value>, wanted: &[Algorithm]) -> Result<Key, String> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let part = |name: &str| text(name).ok_or_else(|| format!("it has no `{name}`"));
    let bytes = |name: &str| {
        Base64UrlUnpadded::decode_vec(part(name)?).map_err(|_| format!("its `{name}` is no base64url"))
    };
    if key.get("use").is_some_and(|word| word != "sig") {
        return Err("it is not for signatures".to_owned());
    }
    if key.get("key_ops").and_then(Value::as_array).is_some_and(|ops| !ops.iter().any(|op| op == "verify")) {
        return Err("it is not to verify with".to_owned());
    }
    let unreadable = |error: jsonwebtoken::errors::Error| error.to_string();
    let (can, decoded): (&[Algorithm], _) = match (part("kty")?, text("crv")) {
        ("RSA", _) => {
            check_rsa(&bytes("n")?)?;
            (OF_RSA, DecodingKey::from_rsa_components(part("n")?, part("e")?).map_err(unreadable)?)
        }
        ("EC", Some(curve @ ("P-256" | "P-384"))) => {
            let (length, can): (_, &[Algorithm]) = match curve {
                "P-256" => (32, &[Algorithm::Es256]),
                _ => (48, &[Algorithm::Es384]),
            };
            if bytes("x")?.len() != length || bytes("y")?.len() != length {
                return Err(format!("its point is none of {curve}"));
            }
            (can, DecodingKey::from_ec_components(part("x")?, part("y")?).map_err(unreadable)?)
        }
        ("OKP", Some("Ed25519")) => {
            if bytes("x")?.len() != 32 {
                return Err("its point is none of Ed25519".to_owned());
            }
            (&[Algorithm::EdDsa], DecodingKey::from_ed_components(part("x")?).map_err(unreadable)?)
        }
        ("oct", _) => return Err("it is a secret, which does not belong among public keys".to_owned()),
        (kind, curve) => {
            return Err(format!(
                "nothing can be verified with a key of {kind} {}",
                curve.unwrap_or_default()
            ));
        }
    };
    let own = key.get("alg").map(|word| word.as_str().and_then(|word| word.parse().ok()));
    let can = match own {
        None => can.to_vec(),
        Some(Some(own)) if can.contains(&own) => vec![own],
        Some(_) => {
            return Err(format!(
                "its `alg` is {}, which is not for such a key",
                key.get("alg").unwrap_or(&Value::Null)
            ));
        }
    };
    let id = text("kid").map(Box::from);
    Ok(Key { id, algorithms: usable(&can, wanted)?, key: decoded })
}

fn check_rsa(modulus: &[u8]) -> Result<(), String> {
    let significant =
        modulus.iter().position(|byte| *byte != 0).and_then(|at| modulus.get(at..)).unwrap_or_default();
    let unused = significant.first().map_or(0, |first| first.leading_zeros() as usize);
    let bits = significant.len() * 8 - unused;
    match RSA_BITS.contains(&bits) {
        true => Ok(()),
        false => Err(format!(
            "the RSA key has {bits} bits; at least {} are needed, at most {}",
            RSA_BITS.start(),
            RSA_BITS.end()
        )),
    }
}

fn pem(label: &str, body: &str, block: &str, wanted: &[Algorithm]) -> Result<Key, String> {
    /// Object identifiers as they stand in a key.
    const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
    match label {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => {}
        "CERTIFICATE" => {
            return Err(
                "this is a certificate; its key is wanted: `openssl x509 -in FILE -noout -pubkey`".to_owned()
            );
        }
        label if label.contains("PRIVATE KEY") => {
            return Err("this is a private key, which belongs to the issuer alone; its public one is wanted: `openssl pkey -in \
                        FILE -pubout`"
                .to_owned());
        }
        other => return Err(format!("{other} is no public key")),
    }
    let bare: String = body.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    let der = Base64::decode_vec(&bare).map_err(|_| "the block is no base64".to_owned())?;
    let has = |identifier: &[u8]| der.windows(identifier.len()).any(|window| window == identifier);
    let block = block.as_bytes();
    let (can, key): (&[Algorithm], DecodingKey) = if let Ok(key) = DecodingKey::from_ec_pem(block) {
        let can: &[Algorithm] = match () {
            () if has(P256) => &[Algorithm::Es256],
            () if has(P384) => &[Algorithm::Es384],
            () => return Err("the key is of another curve than P-256 and P-384".to_owned()),
        };
        (can, key)
    } else if let Ok(key) = DecodingKey::from_ed_pem(block) {
        (&[Algorithm::EdDsa], key)
    } else {
        let key = DecodingKey::from_rsa_pem(block)
            .map_err(|_| "nothing can be verified with this key".to_owned())?;
        // The modulus is all but some bytes of it.
        if der.len() < RSA_BITS.start() / 8 {
            return Err(format!("the RSA key is too short; at least {} bits are needed", RSA_BITS.start()));
        }
        (OF_RSA, key)
    };
    Ok(Key { id: None, algorithms: usable(can, wanted)?, key })
}

fn provided(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    use jsonwebtoken::Algorithm as Provided;
    match algorithm {
        Algorithm::Hs256 => Provided::HS256,
        Algorithm::Hs384 => Provided::HS384,
        Algorithm::Hs512 => Provided::HS512,
        Algorithm::Rs256 => Provided::RS256,
        Algorithm::Rs384 => Provided::RS384,
        Algorithm::Rs512 => Provided::RS512,
        Algorithm::Ps256 => Provided::PS256,
        Algorithm::Ps384 => Provided::PS384,
        Algorithm::Ps512 => Provided::PS512,
        Algorithm::Es256 => Provided::ES256,
        Algorithm::Es384 => Provided::ES384,
        Algorithm::EdDsa => Provided::EdDSA,
    }
}
