//! Argon2id in the PHC string format: what `whimbrel passwd` writes. No other Argon2, no other version.

use std::fmt;
use std::ops::RangeInclusive;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64ct::{Base64Unpadded, Encoding};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Cost, HashFault, SALT_BYTES_RANGE, bytes, number, parts};

/// Length of the salt of a new hash, in bytes.
pub const SALT_BYTES: usize = 16;

/// Length of a new hash, in bytes.
const HASH_BYTES: usize = 32;
const HASH_BYTES_MAX: usize = 64;
const HASH_BYTES_RANGE: RangeInclusive<usize> = 16..=HASH_BYTES_MAX;

/// Parameters of a new hash: 19 MiB, two passes, one lane, which is OWASP's recommendation and costs about
/// 13 ms of a current core.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// 256 MiB: every verification thread may hold that much at once.
const MEMORY_KIB_MAX: u32 = 262_144;
const PASSES_MAX: u32 = 1_000;
const LANES_MAX: u32 = 64;
/// Bound on memory times passes, which is what a verification's time is proportional to (about 0.35 s).
const WORK_KIB_MAX: u32 = 1_048_576;
/// Argon2 itself needs eight blocks of 1 KiB per lane.
const MEMORY_KIB_PER_LANE_MIN: u32 = 8;

const FORM: &str = "$argon2id$v=19$m=…,t=…,p=…$salt$hash";

/// An Argon2id hash with its parameters. Its `Display` is the PHC string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argon2id {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Box<[u8]>,
    hash: Box<[u8]>,
}

/// The memory that Argon2id fills, kept from one verification to the next: getting 19 MiB from the system
/// anew costs half as much again as the verification itself.
#[derive(Default)]
pub struct Scratch(Vec<Block>);

impl Argon2id {
    /// Hashes a new password with the present defaults. `salt` comes from the system's randomness.
    pub fn create(password: &[u8], salt: [u8; SALT_BYTES]) -> Self {
        let mut created = Self {
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            salt: salt.into(),
            hash: [0; HASH_BYTES].into(),
        };
        let mut hash = Zeroizing::new([0; HASH_BYTES]);
        #[expect(clippy::expect_used, reason = "constants, and a salt and a hash of fixed length")]
        created
            .fill(password, &mut Scratch::default(), &mut *hash)
            .expect("the parameters of a new hash are within Argon2's bounds");
        created.hash = (*hash).into();
        created
    }

    /// Reads what follows `$argon2id$`.
    pub(super) fn parse(rest: &str) -> Result<Self, HashFault> {
        let shape = HashFault::Shape { expected: FORM };
        let [version, parameters, salt, hash] = parts(rest, FORM)?;
        let version = version.strip_prefix("v=").ok_or(shape)?;
        number(version, "version (v)", 19..=19)?;

        let parameters: Vec<&str> = parameters.split(',').collect();
        let [memory_kib, passes, lanes] = parameters.try_into().map_err(|_| shape)?;
        let memory_kib = memory_kib.strip_prefix("m=").ok_or(shape)?;
        let passes = passes.strip_prefix("t=").ok_or(shape)?;
        let lanes = lanes.strip_prefix("p=").ok_or(shape)?;

        let lanes = number(lanes, "parallelism (p)", 1..=LANES_MAX)?;
        let memory_kib_min = MEMORY_KIB_PER_LANE_MIN * lanes;
        let memory_kib = number(memory_kib, "memory (m, in KiB)", memory_kib_min..=MEMORY_KIB_MAX)?;
        let passes = number(passes, "number of passes (t)", 1..=PASSES_MAX)?;
        if memory_kib.saturating_mul(passes) > WORK_KIB_MAX {
            return Err(HashFault::Work { max: WORK_KIB_MAX });
        }

        let salt = bytes::<Base64Unpadded>(salt, "salt", SALT_BYTES_RANGE)?;
        let hash = bytes::<Base64Unpadded>(hash, "value", HASH_BYTES_RANGE)?;
        Ok(Self { memory_kib, passes, lanes, salt, hash })
    }

    pub(super) fn verify(&self, password: &[u8], scratch: &mut Scratch) -> bool {
        let mut buffer = Zeroizing::new([0; HASH_BYTES_MAX]);
        let Some(found) = buffer.get_mut(..self.hash.len()) else { return false };
        // The parameters were checked when the line was read; should Argon2 think otherwise, nobody gets in.
        self.fill(password, scratch, found).is_ok() && found.ct_eq(&self.hash).into()
    }

    pub(super) fn cost(&self) -> Cost {
        Cost::Argon2id { memory_kib: self.memory_kib, passes: self.passes, lanes: self.lanes }
    }

    pub(super) fn decoy(memory_kib: u32, passes: u32, lanes: u32) -> Self {
        Self { memory_kib, passes, lanes, salt: [0; SALT_BYTES].into(), hash: [0; HASH_BYTES].into() }
    }

    /// Parameters of a new hash, for a file that has no hash yet.
    pub(in crate::auth) fn default_cost() -> Cost {
        Cost::Argon2id { memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES }
    }

    fn fill(&self, password: &[u8], scratch: &mut Scratch, out: &mut [u8]) -> Result<(), argon2::Error> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(out.len()))?;
        let blocks = scratch.blocks(params.block_count());
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(password, &self.salt, out, blocks)
    }
}

impl fmt::Display for Argon2id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let salt = Base64Unpadded::encode_string(&self.salt);
        let hash = Base64Unpadded::encode_string(&self.hash);
        let Self { memory_kib, passes, lanes, .. } = self;
        write!(out, "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}")
    }
}

impl Scratch {
    /// Gives the memory back to the system.
    pub fn release(&mut self) {
        self.0 = Vec::new();
    }

    /// Argon2 overwrites every block that it reads, so what an earlier verification left does not matter.
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            self.0.resize(count, Block::default());
        }
        self.0.get_mut(..count).unwrap_or_default()
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Scratch({} KiB)", self.0.len())
    }
}
