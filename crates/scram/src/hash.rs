//! The two hash functions, and what SCRAM makes of them.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

/// Which hash function a method stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hash {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

/// A hash, a key or a signature. It is wiped when it is dropped.
pub(crate) type Value = Zeroizing<Vec<u8>>;

impl Hash {
    /// Both.
    pub const ALL: [Hash; 2] = [Hash::Sha256, Hash::Sha512];

    /// The method's name, as SASL registers it.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Hash::Sha256 => "SCRAM-SHA-256",
            Hash::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// The one whose method has this name.
    #[must_use]
    pub fn of_method(name: &str) -> Option<Hash> {
        Hash::ALL.into_iter().find(|hash| hash.method() == name)
    }

    /// Bytes of a value.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Hash::Sha256 => 32,
            Hash::Sha512 => 64,
        }
    }

    /// `H(bytes)`.
    pub(crate) fn digest(self, bytes: &[u8]) -> Value {
        Zeroizing::new(match self {
            Hash::Sha256 => Sha256::digest(bytes).to_vec(),
            Hash::Sha512 => Sha512::digest(bytes).to_vec(),
        })
    }

    /// `HMAC(key, bytes)`.
    pub(crate) fn mac(self, key: &[u8], bytes: &[u8]) -> Value {
        // HMAC takes keys of any length.
        let made = match self {
            Hash::Sha256 => Hmac::<Sha256>::new_from_slice(key)
                .map(|mac| mac.chain_update(bytes).finalize().into_bytes().to_vec()),
            Hash::Sha512 => Hmac::<Sha512>::new_from_slice(key)
                .map(|mac| mac.chain_update(bytes).finalize().into_bytes().to_vec()),
        };
        Zeroizing::new(made.unwrap_or_default())
    }

    /// `Hi(password, salt, iterations)`, which takes the time.
    pub(crate) fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Value {
        let mut salted = Zeroizing::new(vec![0; self.bytes()]);
        match self {
            Hash::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut salted),
            Hash::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, &mut salted),
        }
        salted
    }
}

/// `a XOR b`, for values of one length.
pub(crate) fn xor(a: &[u8], b: &[u8]) -> Value {
    Zeroizing::new(a.iter().zip(b).map(|(a, b)| a ^ b).collect())
}
