//! An identity provider for tests: keys of every kind, tokens signed by them, and a server for its keys that behaves as it
//! is told.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use jsonwebtoken::{Algorithm, EncodingKey, crypto, jwk::Jwk};
use parking_lot::Mutex;
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize,
};
use serde_json::{Value, json};

pub(super) const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A pair of keys.
pub(super) struct Pair {
    pub(super) private: EncodingKey,
    pub(super) public_pem: String,
    algorithm: Algorithm,
    /// The public key of Ed25519.
    raw: Option<Vec<u8>>,
}

pub(super) static RSA: LazyLock<Pair> = LazyLock::new(rsa);
pub(super) static P256: LazyLock<Pair> = LazyLock::new(p256);
pub(super) static P384: LazyLock<Pair> = LazyLock::new(|| {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let private = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    Pair { private, public_pem: pair.public_key_pem(), algorithm: Algorithm::ES384, raw: None }
});
pub(super) static ED25519: LazyLock<Pair> = LazyLock::new(|| {
    let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let private = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap();
    Pair {
        private,
        public_pem: pair.public_key_pem(),
        algorithm: Algorithm::EdDSA,
        raw: Some(pair.public_key_raw().to_vec()),
    }
});

pub(super) fn rsa() -> Pair {
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let private = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap();
    Pair { private, public_pem: pair.public_key_pem(), algorithm: Algorithm::RS256, raw: None }
}

pub(super) fn p256() -> Pair {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let private = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    Pair { private, public_pem: pair.public_key_pem(), algorithm: Algorithm::ES256, raw: None }
}

impl Pair {
    /// The public key as a JWK.
    pub(super) fn jwk(&self, id: &str) -> Value {
        let mut jwk = match &self.raw {
            Some(raw) => json!({"kty": "OKP", "crv": "Ed25519", "x": Base64UrlUnpadded::encode_string(raw)}),
            None => {
                serde_json::to_value(Jwk::from_encoding_key(&self.private, self.algorithm).unwrap()).unwrap()
            }
        };
        jwk["kid"] = id.into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// A token of this key.
    pub(super) fn sign(&self, id: Option<&str>, claims: &Value) -> Vec<u8> {
        let mut head = json!({"typ": "JWT", "alg": format!("{:?}", self.algorithm)});
        if let Some(id) = id {
            head["kid"] = id.into();
        }
        signed(&self.private, self.algorithm, &head.to_string(), &claims.to_string())
    }
}

pub(super) fn jwks(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// A token that says of its algorithm what `head` says, signed by another, perhaps.
pub(super) fn signed(key: &EncodingKey, algorithm: Algorithm, head: &str, claims: &str) -> Vec<u8> {
    let encode = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let message = format!("{}.{}", encode(head), encode(claims));
    let signature = crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}").into_bytes()
}

/// What the server of the keys does with a request.
#[derive(Clone)]
pub(super) enum Manner {
    /// Gives this body with status 200.
    Body(String),
    /// Gives this to the letter, and closes.
    Raw(String),
    /// Never answers.
    Hang,
    /// Answers without end.
    Endless,
}

/// A server for keys.
pub(super) struct KeyServer {
    pub(super) address: SocketAddr,
    pub(super) manner: Arc<Mutex<Manner>>,
    pub(super) requests: Arc<AtomicUsize>,
}

impl KeyServer {
    pub(super) fn start(manner: Manner) -> KeyServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (manner, requests) = (Arc::new(Mutex::new(manner)), Arc::new(AtomicUsize::new(0)));
        let (told, counted) = (manner.clone(), requests.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                counted.fetch_add(1, Relaxed);
                let manner = told.lock().clone();
                thread::spawn(move || serve(stream, manner));
            }
        });
        KeyServer { address, manner, requests }
    }

    pub(super) fn behave(&self, manner: Manner) {
        *self.manner.lock() = manner;
    }
}

fn serve(mut stream: TcpStream, manner: Manner) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return;
        }
        request.extend(byte);
    }
    // Whoever asks may have gone.
    let _ = match manner {
        Manner::Body(body) => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes())
        }
        Manner::Raw(text) => stream.write_all(text.as_bytes()),
        Manner::Hang => stream.read(&mut [0]).map(drop),
        Manner::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n{\"keys\":[");
            while stream.write_all(&[b' '; 65_536]).is_ok() {}
            Ok(())
        }
    };
}
