//! The server's side of one exchange. It takes three hashes and no secret of the password's strength: what takes time is the
//! client's.

use base64ct::{Base64, Encoding as _};
use subtle::ConstantTimeEq as _;

use crate::{
    Fault, Verifier,
    hash::xor,
    message::{ClientFinal, ClientFirst},
    prepared::prepare,
};

/// What a client has said first: who it claims to be.
#[derive(Debug)]
pub struct Opening {
    user_name: String,
    header: String,
    bare: String,
    nonce: String,
}

/// What the server has asked, and waits to be answered.
#[derive(Debug)]
pub struct Challenge {
    verifier: Verifier,
    header: String,
    nonce: String,
    /// The first message of the client without its header, a comma, the server's, and a comma.
    said: String,
}

impl Opening {
    /// Reads the first message of a client.
    ///
    /// # Errors
    /// It is none, or asks for what is not offered.
    pub fn read(message: &[u8]) -> Result<Self, Fault> {
        let first = ClientFirst::read(message)?;
        let user_name = prepare(&first.user_name).map_err(|_| Fault::Malformed)?.into_owned();
        if user_name.is_empty() {
            return Err(Fault::Malformed);
        }
        let [header, bare, nonce] = [first.header, first.bare, first.nonce].map(str::to_owned);
        Ok(Self { user_name, header, bare, nonce })
    }

    /// Whom the client claims to be.
    #[must_use]
    pub fn user_name(&self) -> &str {
        &self.user_name
    }

    /// Asks for a proof by this verifier. `nonce` is the server's part, new for every exchange: printable characters of ASCII
    /// without a comma, 18 random bytes in base64 at least. Gives the message to be sent.
    #[must_use]
    pub fn challenge(self, verifier: Verifier, nonce: &str) -> (Challenge, String) {
        let nonce = format!("{}{nonce}", self.nonce);
        let salt = Base64::encode_string(&verifier.salt);
        let message = format!("r={nonce},s={salt},i={}", verifier.iterations);
        let said = format!("{},{message},", self.bare);
        (Challenge { verifier, header: self.header, nonce, said }, message)
    }
}

impl Challenge {
    /// Judges the last message of the client, and gives the one that proves the server.
    ///
    /// # Errors
    /// It is none, is of another exchange, or its proof is wrong.
    pub fn judge(&self, message: &[u8]) -> Result<String, Fault> {
        let last = ClientFinal::read(message)?;
        if last.header != self.header.as_bytes() || last.nonce != self.nonce {
            return Err(Fault::OtherExchange);
        }
        let Verifier { hash, stored_key, server_key, .. } = &self.verifier;
        if last.proof.len() != hash.bytes() {
            return Err(Fault::Malformed);
        }
        let said = format!("{}{}", self.said, last.without_proof);
        let signature = hash.mac(stored_key, said.as_bytes());
        let client_key = xor(&last.proof, &signature);
        if !bool::from(hash.digest(&client_key).ct_eq(stored_key)) {
            return Err(Fault::Proof);
        }
        Ok(format!("v={}", Base64::encode_string(&hash.mac(server_key, said.as_bytes()))))
    }
}
