//! SCRAM-SHA-256 as a client of a scenario needs it: one user, one password, nonces that the scenario chooses. A second
//! opinion on RFC 5802, written without the code under test.

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::{
    packet::{Connect, Disconnect, Packet},
    property::Property,
};

/// The name of the method.
pub const SCRAM: &str = "SCRAM-SHA-256";

/// A client's side of one exchange.
#[derive(Clone, Debug)]
pub struct Prover {
    bare: String,
    password: String,
    /// What the server has to say at last.
    expected: String,
}

fn mac(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    mac.chain_update(bytes).finalize().into_bytes().to_vec()
}

/// The data of a packet's method, if it has any.
pub fn auth_data(properties: &crate::Properties) -> Option<Vec<u8>> {
    properties.find(|p| if let Property::AuthenticationData(data) = p { Some(data.clone()) } else { None })
}

impl Prover {
    /// Somebody who wants to be this user.
    pub fn new(user: &str, password: &str, nonce: &str) -> Self {
        let bare = format!("n={user},r={nonce}");
        Self { bare, password: password.to_owned(), expected: String::new() }
    }

    /// The first message.
    pub fn first(&self) -> Vec<u8> {
        format!("n,,{}", self.bare).into_bytes()
    }

    /// This CONNECT with method and first message.
    pub fn connect(&self, connect: Connect) -> Connect {
        let method = Property::AuthenticationMethod(SCRAM.into());
        connect.with(method).with(Property::AuthenticationData(self.first()))
    }

    /// The AUTH that begins anew.
    pub fn again(&self) -> Packet {
        auth(0x19, self.first())
    }

    /// The AUTH that answers the server's, with the proof.
    pub fn prove(&mut self, question: &Disconnect) -> Packet {
        let question = auth_data(&question.properties).expect("a question has data");
        let question = String::from_utf8(question).expect("a question is text");
        let value = |letter: &str| {
            let parts = question.split(',').find_map(|part| part.strip_prefix(letter)?.strip_prefix('='));
            parts.expect("an attribute of the question").to_owned()
        };
        let salt = Base64::decode_vec(&value("s")).expect("salt in base64");
        let iterations: u32 = value("i").parse().expect("a number of iterations");
        // PBKDF2 with one block is what RFC 5802 calls Hi.
        let mut last = mac(self.password.as_bytes(), &[&salt[..], &[0, 0, 0, 1]].concat());
        let mut salted = last.clone();
        for _ in 1..iterations {
            last = mac(self.password.as_bytes(), &last);
            salted.iter_mut().zip(&last).for_each(|(sum, byte)| *sum ^= byte);
        }
        let (client_key, server_key) = (mac(&salted, b"Client Key"), mac(&salted, b"Server Key"));
        let without_proof = format!("c=biws,r={}", value("r"));
        let said = format!("{},{question},{without_proof}", self.bare);
        let mut proof = client_key.clone();
        let signature = mac(&Sha256::digest(&client_key), said.as_bytes());
        proof.iter_mut().zip(&signature).for_each(|(key, byte)| *key ^= byte);
        self.expected = format!("v={}", Base64::encode_string(&mac(&server_key, said.as_bytes())));
        auth(0x18, format!("{without_proof},p={}", Base64::encode_string(&proof)).into_bytes())
    }

    /// What the server has to say at last.
    pub fn expected(&self) -> Vec<u8> {
        self.expected.clone().into_bytes()
    }
}

fn auth(code: u8, data: Vec<u8>) -> Packet {
    let method = Property::AuthenticationMethod(SCRAM.into());
    Packet::Auth(Disconnect::new(code).with(method).with(Property::AuthenticationData(data)))
}
