//! The two hashes of Mosquitto's password files before 2.1. They are read and verified, never written.

use base64ct::Base64;
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Cost, HashFault, SALT_BYTES_RANGE, bytes, number, parts};

/// Length of a SHA-512 value, in bytes.
const HASH_BYTES: usize = 64;

/// Bound on the iterations of `$7$`: about 0.4 s of a current core. `mosquitto_passwd` 2.0 writes 101.
const ITERATIONS_MAX: u32 = 1_000_000;

/// `$7$iterations$salt$hash`: PBKDF2 with HMAC-SHA-512.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pbkdf2Sha512 {
    iterations: u32,
    salt: Box<[u8]>,
    hash: Box<[u8; HASH_BYTES]>,
}

/// `$6$salt$hash`: one SHA-512 over the password followed by the salt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaltedSha512 {
    salt: Box<[u8]>,
    hash: Box<[u8; HASH_BYTES]>,
}

impl Pbkdf2Sha512 {
    /// Reads what follows `$7$`.
    pub(super) fn parse(rest: &str) -> Result<Self, HashFault> {
        let [iterations, salt, hash] = parts(rest, "$7$iterations$salt$hash")?;
        Ok(Self {
            iterations: number(iterations, "number of iterations", 1..=ITERATIONS_MAX)?,
            salt: bytes::<Base64>(salt, "salt", SALT_BYTES_RANGE)?,
            hash: sha512_value(hash)?,
        })
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let mut found = Zeroizing::new([0; HASH_BYTES]);
        pbkdf2::pbkdf2_hmac::<Sha512>(password, &self.salt, self.iterations, &mut *found);
        found.ct_eq(&*self.hash).into()
    }

    pub(super) fn cost(&self) -> Cost {
        Cost::Pbkdf2Sha512 { iterations: self.iterations }
    }

    pub(super) fn decoy(iterations: u32) -> Self {
        Self { iterations, salt: [0; 12].into(), hash: Box::new([0; HASH_BYTES]) }
    }
}

impl SaltedSha512 {
    /// Reads what follows `$6$`.
    pub(super) fn parse(rest: &str) -> Result<Self, HashFault> {
        let [salt, hash] = parts(rest, "Mosquitto's $6$salt$hash, which is not the $6$ of /etc/shadow")?;
        Ok(Self { salt: bytes::<Base64>(salt, "salt", SALT_BYTES_RANGE)?, hash: sha512_value(hash)? })
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let found = Sha512::new().chain_update(password).chain_update(&self.salt).finalize();
        found.as_slice().ct_eq(self.hash.as_slice()).into()
    }

    pub(super) fn decoy() -> Self {
        Self { salt: [0; 12].into(), hash: Box::new([0; HASH_BYTES]) }
    }
}

fn sha512_value(text: &str) -> Result<Box<[u8; HASH_BYTES]>, HashFault> {
    let length = HashFault::Length { part: "value", min: HASH_BYTES, max: HASH_BYTES };
    bytes::<Base64>(text, "value", HASH_BYTES..=HASH_BYTES)?.try_into().map_err(|_| length)
}
