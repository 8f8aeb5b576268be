//! The client's side of one exchange: it proves that it knows the password, and has the server prove that it knows the
//! verifier.

use std::fmt;

use base64ct::{Base64, Encoding as _};
use subtle::ConstantTimeEq as _;

use crate::{
    Fault, Hash, ITERATIONS_MAX, ITERATIONS_MIN, Unprepared,
    hash::{Value, xor},
    message::{ServerFirst, server_final, written},
    prepare,
    prepared::prepare_password,
};

/// A client that has said who it is.
#[derive(Debug)]
pub struct Client {
    hash: Hash,
    bare: String,
    nonce: String,
}

/// What the server asks: a proof by keys that are derived from the password with this salt and so many iterations.
#[derive(Debug)]
pub struct Question {
    hash: Hash,
    /// The salt.
    pub salt: Vec<u8>,
    /// How often the hash is applied.
    pub iterations: u32,
    nonce: String,
    said: String,
}

/// What is derived from a password, which takes the time; for the same salt and iterations it is the same again.
#[derive(Clone)]
pub struct Keys {
    hash: Hash,
    client_key: Value,
    server_key: Value,
}

/// A proof that was sent, and what the server has to answer.
#[derive(Debug)]
pub struct Proof {
    signature: Value,
}

/// The header of a client without channel binding.
const HEADER: &str = "n,,";

impl Client {
    /// Begins. `nonce` is new for every exchange: printable characters of ASCII without a comma, 18 random bytes in base64 at
    /// least. Gives the message to be sent.
    ///
    /// # Errors
    /// The user name has no prepared form.
    pub fn new(hash: Hash, user_name: &str, nonce: &str) -> Result<(Self, String), Unprepared> {
        let name = prepare(user_name)?;
        if name.is_empty() {
            return Err(Unprepared);
        }
        let bare = format!("n={},r={nonce}", written(&name));
        let message = format!("{HEADER}{bare}");
        Ok((Self { hash, bare, nonce: nonce.to_owned() }, message))
    }

    /// Reads what the server asks.
    ///
    /// # Errors
    /// It is malformed, of another exchange, or asks for too few iterations or too many.
    pub fn question(self, message: &[u8]) -> Result<Question, Fault> {
        let first = ServerFirst::read(message)?;
        let own = first.nonce.strip_prefix(&*self.nonce);
        if own.is_none_or(str::is_empty) {
            return Err(Fault::OtherExchange);
        }
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&first.iterations) {
            return Err(Fault::Iterations(first.iterations));
        }
        let text = str::from_utf8(message).map_err(|_| Fault::Malformed)?;
        let said = format!("{},{text},", self.bare);
        let (nonce, iterations) = (first.nonce.to_owned(), first.iterations);
        Ok(Question { hash: self.hash, salt: first.salt, iterations, nonce, said })
    }
}

impl Keys {
    /// Derives them, which takes as long as the iterations say.
    #[must_use]
    pub fn derive(hash: Hash, password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let salted = hash.salted(&prepare_password(password), salt, iterations);
        let (client_key, server_key) = (hash.mac(&salted, b"Client Key"), hash.mac(&salted, b"Server Key"));
        Self { hash, client_key, server_key }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Keys({})", self.hash.method())
    }
}

impl Question {
    /// The answer, to be sent.
    #[must_use]
    pub fn answer(&self, keys: &Keys) -> (Proof, String) {
        let without_proof = format!("c={},r={}", Base64::encode_string(HEADER.as_bytes()), self.nonce);
        let said = format!("{}{without_proof}", self.said);
        let stored_key = self.hash.digest(&keys.client_key);
        let proof = xor(&keys.client_key, &self.hash.mac(&stored_key, said.as_bytes()));
        let signature = self.hash.mac(&keys.server_key, said.as_bytes());
        (Proof { signature }, format!("{without_proof},p={}", Base64::encode_string(&proof)))
    }
}

impl Proof {
    /// Whether the server has proved that it knows the verifier.
    ///
    /// # Errors
    /// It has not: nothing that it says is to be believed.
    pub fn confirm(&self, message: &[u8]) -> Result<(), Fault> {
        let signature = server_final(message)?;
        if signature.ct_eq(&self.signature).into() { Ok(()) } else { Err(Fault::Server) }
    }
}
