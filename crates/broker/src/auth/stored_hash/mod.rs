//! What a password file keeps of a password: four formats, read strictly and verified in constant
//! time. Not the file around them, and not who verifies when.
//!
//! The bounds keep one line of a file from costing more than about half a second of a core or 256 MiB.

mod argon2id;
mod mosquitto;

use std::fmt;
use std::ops::RangeInclusive;

use base64ct::Encoding;
use whimbrel_scram::{Hash, Verifier, VerifierFault};

pub use argon2id::{Argon2id, SALT_BYTES, Scratch};
use mosquitto::{Pbkdf2Sha512, SaltedSha512};

/// Lengths of a salt, in bytes.
const SALT_BYTES_RANGE: RangeInclusive<usize> = 8..=64;

/// A password's hash as a line of a password file holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredHash {
    /// `$argon2id$v=19$m=…,t=…,p=…$salt$hash`: what `whimbrel passwd` and Mosquitto 2.1 write.
    Argon2id(Argon2id),
    /// `$7$iterations$salt$hash`: what Mosquitto 2.0 writes.
    Pbkdf2Sha512(Pbkdf2Sha512),
    /// `SCRAM-SHA-256$iterations:salt$key:key`, and with 512: what `whimbrel passwd --scram` writes. It is asked by a password
    /// as well as by SCRAM.
    Scram(Verifier),
    /// `$6$salt$hash`: what Mosquitto 1 wrote. It has nothing in common with crypt's `$6$`.
    SaltedSha512(SaltedSha512),
}

impl StoredHash {
    /// Reads what follows `user:` in a line.
    ///
    /// # Errors
    /// What is wrong with it, or which bound it exceeds. The text itself is never part of the error: it
    /// may be a password.
    pub fn parse(text: &str) -> Result<Self, HashFault> {
        if text.starts_with("SCRAM-") && text.contains('$') {
            return Verifier::parse(text).map(Self::Scram).map_err(HashFault::Scram);
        }
        let rest = text.strip_prefix('$').ok_or(HashFault::PlainText)?;
        let (format, rest) = rest.split_once('$').ok_or(HashFault::UnknownFormat)?;
        match format {
            "argon2id" => Argon2id::parse(rest).map(Self::Argon2id),
            "7" => Pbkdf2Sha512::parse(rest).map(Self::Pbkdf2Sha512),
            "6" => SaltedSha512::parse(rest).map(Self::SaltedSha512),
            _ => Err(HashFault::UnknownFormat),
        }
    }

    /// Whether this is the hash of `password`. Takes as long for a wrong one as for the right one, and
    /// up to half a second: never on a worker.
    pub fn verify(&self, password: &[u8], scratch: &mut Scratch) -> bool {
        match self {
            Self::Argon2id(hash) => hash.verify(password, scratch),
            Self::Pbkdf2Sha512(hash) => hash.verify(password),
            Self::SaltedSha512(hash) => hash.verify(password),
            Self::Scram(verifier) => verifier.verify(password),
        }
    }

    /// What a verification costs: equal costs take equal time.
    pub(super) fn cost(&self) -> Cost {
        match self {
            Self::Argon2id(hash) => hash.cost(),
            Self::Pbkdf2Sha512(hash) => hash.cost(),
            Self::SaltedSha512(_) => Cost::SaltedSha512,
            Self::Scram(verifier) => Cost::Scram { hash: verifier.hash(), iterations: verifier.iterations() },
        }
    }

    /// A hash that costs as much to verify as those of `cost`, and that no password is known to have.
    pub(super) fn decoy(cost: Cost) -> Self {
        match cost {
            Cost::Argon2id { memory_kib, passes, lanes } => {
                Self::Argon2id(Argon2id::decoy(memory_kib, passes, lanes))
            }
            Cost::Pbkdf2Sha512 { iterations } => Self::Pbkdf2Sha512(Pbkdf2Sha512::decoy(iterations)),
            Cost::SaltedSha512 => Self::SaltedSha512(SaltedSha512::decoy()),
            Cost::Scram { hash, iterations } => {
                Self::Scram(Verifier::made_up(hash, b"", "", whimbrel_scram::SALT_BYTES, iterations))
            }
        }
    }
}

/// What `whimbrel passwd` makes of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewHash {
    /// For passwords.
    Argon2id(Argon2id),
    /// For SCRAM, and for passwords.
    Scram(Verifier),
}

impl fmt::Display for NewHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argon2id(hash) => hash.fmt(out),
            Self::Scram(verifier) => verifier.fmt(out),
        }
    }
}

/// A format with the parameters that decide how long a verification takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Cost {
    SaltedSha512,
    Pbkdf2Sha512 { iterations: u32 },
    Scram { hash: Hash, iterations: u32 },
    Argon2id { memory_kib: u32, passes: u32, lanes: u32 },
}

/// Why a text is not a stored hash that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashFault {
    /// It does not begin with `$`.
    #[error("the password is there in plain text, no hash; set it again with `whimbrel passwd`")]
    PlainText,
    /// It begins with `$`, but with no format that is read here.
    #[error(
        "the hash is of a format that is not read here (read are $argon2id$, SCRAM-SHA-256$, SCRAM-SHA-512$, and \
         Mosquitto's $7$ and $6$); \
         set the password again with `whimbrel passwd`"
    )]
    UnknownFormat,
    /// It has too few or too many parts between its `$`.
    #[error("the hash is cut short or has parts too many (expected is {expected}); set it again")]
    Shape {
        /// The form that it should have.
        expected: &'static str,
    },
    /// It is a verifier for SCRAM that cannot be used.
    #[error("{0}; set the password again with `whimbrel passwd --scram`")]
    Scram(VerifierFault),
    /// A number is none, or has a sign or leading zeros.
    #[error("{name} of the hash is not a number; set the password again with `whimbrel passwd`")]
    Number {
        /// Which one.
        name: &'static str,
    },
    /// A number is out of its bounds.
    #[error(
        "{name} of the hash is not within {min} and {max}; \
         set the password again with `whimbrel passwd`, which takes reasonable parameters"
    )]
    OutOfBounds {
        /// Which one.
        name: &'static str,
        /// The smallest that is taken.
        min: u32,
        /// The largest that is taken.
        max: u32,
    },
    /// Each parameter is within its bounds, their product is not.
    #[error(
        "the hash takes too long to verify: memory (m, in KiB) times passes (t) is above {max}; \
         set the password again with `whimbrel passwd`, which takes reasonable parameters"
    )]
    Work {
        /// The largest product that is taken.
        max: u32,
    },
    /// Salt or hash is not the base64 of its format.
    #[error("the {part} of the hash is not valid base64; set the password again with `whimbrel passwd`")]
    Base64 {
        /// Which of the two.
        part: &'static str,
    },
    /// Salt or hash is too short or too long.
    #[error(
        "the {part} of the hash has a wrong length (expected are {min} to {max} bytes); \
         set the password again with `whimbrel passwd`"
    )]
    Length {
        /// Which of the two.
        part: &'static str,
        /// The shortest that is taken, in bytes.
        min: usize,
        /// The longest that is taken, in bytes.
        max: usize,
    },
}

/// The parts of a hash behind its format's name; `expected` is told when their number is wrong.
fn parts<'a, const N: usize>(rest: &'a str, expected: &'static str) -> Result<[&'a str; N], HashFault> {
    let parts: Vec<&str> = rest.split('$').collect();
    parts.try_into().map_err(|_| HashFault::Shape { expected })
}

/// Reads a decimal number as a hash's writer writes it: digits alone, no leading zero.
fn number(text: &str, name: &'static str, bounds: RangeInclusive<u32>) -> Result<u32, HashFault> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if text.is_empty() || !canonical {
        return Err(HashFault::Number { name });
    }
    let (min, max) = bounds.into_inner();
    // What does not even fit a u32 is a number all the same, and too large.
    match text.parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(HashFault::OutOfBounds { name, min, max }),
    }
}

/// Reads one base64 part, the alphabet and padding of which are `E`'s.
fn bytes<E: Encoding>(
    text: &str,
    part: &'static str,
    length: RangeInclusive<usize>,
) -> Result<Box<[u8]>, HashFault> {
    let bytes = E::decode_vec(text).map_err(|_| HashFault::Base64 { part })?;
    if !length.contains(&bytes.len()) {
        return Err(HashFault::Length { part, min: *length.start(), max: *length.end() });
    }
    Ok(bytes.into_boxed_slice())
}

#[cfg(test)]
mod tests;
