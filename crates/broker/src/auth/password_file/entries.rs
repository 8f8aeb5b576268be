//! A password file read whole: every user's hash, or every fault with its line. Not the verification, and
//! not the file's permissions.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use whimbrel_scram::Hash;

use super::line::{Line, LineFault, lines};
use crate::auth::stored_hash::{Argon2id, Cost, StoredHash};

/// How many faults of a file are listed. A file with more of them is not a password file.
const FAULTS_LISTED_MAX: usize = 100;

/// SHA-256 of a stored hash as the file has it: tells one line from its successor.
pub(super) type Fingerprint = [u8; 32];

/// One user's line.
pub(super) struct Entry {
    pub(super) hash: StoredHash,
    pub(super) fingerprint: Fingerprint,
}

/// All users of a file.
pub(super) struct Entries {
    by_user_name: HashMap<Arc<str>, Entry>,
    decoy: Entry,
    /// Of each hash the commonest iterations and length of salt among the verifiers for SCRAM.
    usual_scram: [Option<(u32, usize)>; 2],
}

impl Entries {
    /// Reads a whole file.
    ///
    /// # Errors
    /// All faults of the file at once; one is enough to take nothing from it.
    pub(super) fn parse(path: &Path, file: &[u8]) -> Result<Self, MalformedFile> {
        let mut by_user_name = HashMap::new();
        let mut first_lines = HashMap::<Arc<str>, usize>::new();
        let mut costs = HashMap::<Cost, usize>::new();
        let mut verifiers = HashMap::<(Hash, u32, usize), usize>::new();
        let mut malformed = MalformedFile { path: path.into(), faults: Vec::new(), fault_count: 0 };

        for (number, line) in lines(file) {
            let (user_name, hash) = match Line::parse(line) {
                Ok(Line::Blank) => continue,
                Ok(Line::Entry { user_name, hash }) => (user_name.into_shared(), hash),
                Err(fault) => {
                    malformed.add(number, None, fault);
                    continue;
                }
            };
            if let Some(first) = first_lines.get(&user_name) {
                malformed.add(number, Some(user_name), LineFault::Duplicate { first: *first });
                continue;
            }
            first_lines.insert(Arc::clone(&user_name), number);
            match StoredHash::parse(hash) {
                Ok(stored) => {
                    *costs.entry(stored.cost()).or_default() += 1;
                    if let StoredHash::Scram(verifier) = &stored {
                        let shape = (verifier.hash(), verifier.iterations(), verifier.salt_bytes());
                        *verifiers.entry(shape).or_default() += 1;
                    }
                    let fingerprint = Sha256::digest(hash).into();
                    by_user_name.insert(user_name, Entry { hash: stored, fingerprint });
                }
                Err(fault) => malformed.add(number, Some(user_name), fault.into()),
            }
        }
        if malformed.fault_count > 0 {
            return Err(malformed);
        }
        let usual = |hash| {
            let of_hash = verifiers.iter().filter(|((other, ..), _)| *other == hash);
            let commonest = of_hash.max_by_key(|(shape, count)| (**count, **shape));
            commonest.map(|((_, iterations, salt_bytes), _)| (*iterations, *salt_bytes))
        };
        Ok(Self { by_user_name, decoy: decoy(&costs), usual_scram: Hash::ALL.map(usual) })
    }

    /// The user's line, and the name as it is shared by all of the user's connections.
    pub(super) fn find(&self, user_name: &str) -> Option<(&Arc<str>, &Entry)> {
        self.by_user_name.get_key_value(user_name)
    }

    /// What an unknown user is verified against, so that the time does not tell who has a line. It costs
    /// what the file's commonest hash costs: in a file with hashes of several costs, time tells a user
    /// with a rarer one from an unknown user.
    pub(super) fn decoy(&self) -> &Entry {
        &self.decoy
    }

    /// The iterations and the length of the salt that a user of SCRAM most likely has: what is made up for an unknown one has
    /// the same. In a file with several, they tell a user with rarer ones from an unknown user. `None` where nobody
    /// has a verifier for this hash.
    pub(super) fn usual_scram(&self, hash: Hash) -> Option<(u32, usize)> {
        let [sha_256, sha_512] = self.usual_scram;
        match hash {
            Hash::Sha256 => sha_256,
            Hash::Sha512 => sha_512,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_user_name.is_empty()
    }

    /// How many users.
    pub(super) fn len(&self) -> usize {
        self.by_user_name.len()
    }
}

fn decoy(costs: &HashMap<Cost, usize>) -> Entry {
    let commonest = costs.iter().max_by_key(|(cost, count)| (**count, **cost)).map(|(cost, _)| *cost);
    let hash = StoredHash::decoy(commonest.unwrap_or(Argon2id::default_cost()));
    Entry { hash, fingerprint: [0; 32] }
}

/// A password file that cannot be used, with all its faults. Its `Display` is one line for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedFile {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, in the order of the file; the first hundred.
    pub faults: Vec<FaultAt>,
    /// How many faults there are in all.
    pub fault_count: usize,
}

/// A fault and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultAt {
    /// The number of the line, from 1.
    pub line: usize,
    /// The line's user, where the line got as far as that.
    pub user_name: Option<Arc<str>>,
    /// What is wrong, and what to do. No part of it is what the line holds as password.
    pub fault: LineFault,
}

impl MalformedFile {
    fn add(&mut self, line: usize, user_name: Option<Arc<str>>, fault: LineFault) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_LISTED_MAX {
            self.faults.push(FaultAt { line, user_name, fault });
        }
    }
}

impl fmt::Display for MalformedFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        for (index, FaultAt { line, user_name, fault }) in self.faults.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(out, "{separator}{path}:{line}: ")?;
            if let Some(user_name) = user_name {
                write!(out, "user {user_name:?}: ")?;
            }
            write!(out, "{fault}")?;
        }
        match self.fault_count - self.faults.len() {
            0 => Ok(()),
            more => write!(out, "\n{path}: and {more} lines more"),
        }
    }
}

impl std::error::Error for MalformedFile {}

#[cfg(test)]
mod tests;
