//! What a server keeps of a password: salt, iterations, and two keys of which neither gives the password nor lets anybody in.
//! Its text is that of RFC 5803, which PostgreSQL writes too.

use std::{fmt, ops::RangeInclusive};

use base64ct::{Base64, Encoding as _};
use subtle::ConstantTimeEq as _;

use crate::{Hash, hash::Value, prepared::prepare_password};

/// Iterations of a new verifier: what RFC 7677 names for its time. A server that asks pays nothing for them, a client a few
/// milliseconds; whoever has stolen the verifiers pays them for each guess.
pub const ITERATIONS: u32 = 15_000;

/// The fewest that are taken, on both sides (RFC 7677, section 4).
pub const ITERATIONS_MIN: u32 = 4_096;

/// The most that are taken, on both sides: about a second of a current core.
pub const ITERATIONS_MAX: u32 = 1_000_000;

/// Bytes of a new salt.
pub const SALT_BYTES: usize = 16;

/// Lengths of a salt, in bytes.
pub const SALT_BYTES_RANGE: RangeInclusive<usize> = 8..=64;

/// What a server keeps of one password.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    pub(crate) hash: Hash,
    pub(crate) iterations: u32,
    pub(crate) salt: Box<[u8]>,
    pub(crate) stored_key: Value,
    pub(crate) server_key: Value,
}

impl Verifier {
    /// Makes one, which takes as long as the iterations say.
    #[must_use]
    pub fn create(hash: Hash, password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let salted = hash.salted(&prepare_password(password), salt, iterations);
        let stored_key = hash.digest(&hash.mac(&salted, b"Client Key"));
        let server_key = hash.mac(&salted, b"Server Key");
        Self { hash, iterations, salt: salt.into(), stored_key, server_key }
    }

    /// One that no password has, for a user that is not known: salt and keys follow from the name and a secret, so that they
    /// are the same each time.
    #[must_use]
    pub fn made_up(hash: Hash, secret: &[u8], user_name: &str, salt_bytes: usize, iterations: u32) -> Self {
        let of = |what: &str| {
            let about =
                [what.as_bytes(), b"\0", hash.method().as_bytes(), b"\0", user_name.as_bytes()].concat();
            Hash::Sha512.mac(secret, &about)
        };
        let cut = |value: Value, len: usize| value.get(..len).unwrap_or(&value).to_vec();
        Self {
            hash,
            iterations,
            salt: cut(of("salt"), salt_bytes).into(),
            stored_key: Value::new(cut(of("stored key"), hash.bytes())),
            server_key: Value::new(cut(of("server key"), hash.bytes())),
        }
    }

    /// Reads `SCRAM-SHA-256$iterations:salt$stored key:server key`, all but the number in base64.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, VerifierFault> {
        let (method, rest) = text.split_once('$').ok_or(VerifierFault::Shape)?;
        let hash = Hash::of_method(method).ok_or(VerifierFault::Method)?;
        let (salted, keys) = rest.split_once('$').ok_or(VerifierFault::Shape)?;
        let (iterations, salt) = salted.split_once(':').ok_or(VerifierFault::Shape)?;
        let (stored_key, server_key) = keys.split_once(':').ok_or(VerifierFault::Shape)?;
        let is_number = iterations.bytes().all(|byte| byte.is_ascii_digit()) && !iterations.starts_with('0');
        let iterations = iterations.parse().ok().filter(|_| is_number);
        let within = |iterations: &u32| (ITERATIONS_MIN..=ITERATIONS_MAX).contains(iterations);
        let iterations = iterations.filter(within).ok_or(VerifierFault::Iterations)?;
        let bytes = |text: &str| Base64::decode_vec(text).map_err(|_| VerifierFault::Base64);
        let (salt, stored_key, server_key) = (bytes(salt)?, bytes(stored_key)?, bytes(server_key)?);
        if !SALT_BYTES_RANGE.contains(&salt.len()) {
            return Err(VerifierFault::Salt);
        }
        if (stored_key.len(), server_key.len()) != (hash.bytes(), hash.bytes()) {
            return Err(VerifierFault::Key);
        }
        let (stored_key, server_key) = (Value::new(stored_key), Value::new(server_key));
        Ok(Self { hash, iterations, salt: salt.into(), stored_key, server_key })
    }

    /// Whether it is that of this password. Takes as long as its iterations say.
    #[must_use]
    pub fn verify(&self, password: &[u8]) -> bool {
        let other = Self::create(self.hash, password, &self.salt, self.iterations);
        other.stored_key.ct_eq(&self.stored_key).into()
    }

    /// The hash function.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// How often it is applied.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Bytes of the salt.
    #[must_use]
    pub fn salt_bytes(&self) -> usize {
        self.salt.len()
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hash, iterations, salt, stored_key, server_key } = self;
        let [salt, stored_key, server_key] = [&**salt, stored_key, server_key].map(Base64::encode_string);
        write!(out, "{}${iterations}:{salt}${stored_key}:{server_key}", hash.method())
    }
}

impl fmt::Debug for Verifier {
    /// Leaves salt and keys out.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Verifier({}, {} iterations)", self.hash.method(), self.iterations)
    }
}

/// Why a text is not a verifier that can be used. The text itself is never part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierFault {
    /// It has too few parts, or too many.
    #[error(
        "the verifier is cut short or has parts too many (expected is SCRAM-SHA-256$iterations:salt$key:key)"
    )]
    Shape,
    /// It is of another method.
    #[error("the verifier is of a method that is not read here (read are SCRAM-SHA-256 and SCRAM-SHA-512)")]
    Method,
    /// The iterations are no number, too few or too many.
    #[error("the iterations of the verifier are not within {ITERATIONS_MIN} and {ITERATIONS_MAX}")]
    Iterations,
    /// Salt or a key is not base64.
    #[error("the salt or a key of the verifier is not valid base64")]
    Base64,
    /// The salt is too short or too long.
    #[error("the salt of the verifier has a wrong length (expected are 8 to 64 bytes)")]
    Salt,
    /// A key has not the length of the hash.
    #[error("a key of the verifier has not the length of its hash")]
    Key,
}
