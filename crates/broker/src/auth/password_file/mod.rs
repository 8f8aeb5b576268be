//! The authenticator that asks for a user name and a password of a file. Not the formats of the hashes in
//! it, which are [`StoredHash`](super::StoredHash)'s.
//!
//! ```text
//! worker:  authenticate ── remembered? ── yes ──────────────▶ Answer::Now
//!                               │ no
//!                            Queue (bounded) ── full ───────▶ Answer::Now(ServerBusy)
//!                               │
//! threads:                   Verifier ── Argon2id, … ───────▶ Answer::Later
//! ```

pub mod edit;
mod entries;
mod line;
mod queue;
mod remembered;
mod scram;
mod verifier;

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use whimbrel_scram::Hash;

use super::{Answer, Authenticator, Credentials, Denial, Exchange};
use entries::Entries;
pub use entries::{FaultAt, MalformedFile};
pub use line::{LineFault, UserName, UserNameFault};
use queue::{Attempt, Queue};
use remembered::{KEY_BYTES, Remembered};
use scram::Scram;
pub use verifier::Counts;
use verifier::{Clock, Verifier};

/// The largest file that is read, in bytes: room for more than a million users.
pub const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// User name and password together, in bytes. Longer ones are denied unseen: this bounds the work that a
/// stranger can put on a worker, and the memory that waiting verifications take.
pub const CREDENTIALS_BYTES_MAX: usize = 4_096;

/// How a [`PasswordFile`] works.
#[derive(Clone, Debug)]
pub struct PasswordFileOptions {
    /// The file.
    pub path: PathBuf,
    /// Verifications made at the same time: one thread each, and for Argon2id with `whimbrel passwd`'s
    /// parameters 19 MiB each while it works. Default: half of the cores, at least one.
    pub verifications_at_once_max: NonZeroUsize,
    /// Verifications waiting; the clients beyond are told that the server is busy. Each takes a few
    /// hundred bytes. Default 1,000: what one thread gets through before the first client loses patience.
    pub verifications_waiting_max: NonZeroUsize,
    /// Verified passwords remembered; with 0 every connect is verified. Each takes about 150 bytes.
    /// Default 100,000.
    pub remembered_max: usize,
    /// How long a verified password is remembered. Longer lets a fleet that was connected for days come
    /// back at once; shorter leaves less in memory for somebody who can read it. Default 7 days.
    pub remembered_age_max: Duration,
}

impl PasswordFileOptions {
    /// The defaults, for this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        const WAITING_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(999);
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            path: path.into(),
            verifications_at_once_max: NonZeroUsize::new(cores / 2).unwrap_or(NonZeroUsize::MIN),
            verifications_waiting_max: WAITING_MAX,
            remembered_max: 100_000,
            remembered_age_max: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// Lets in whoever knows a user's password. Dropping it ends its threads; who still waits then learns it
/// from the closed channel.
pub struct PasswordFile {
    path: PathBuf,
    verifier: Arc<Verifier>,
    queue: Arc<Queue>,
}

impl PasswordFile {
    /// Reads the file and starts the threads. Blocks on the disk.
    ///
    /// # Errors
    /// The file cannot be read or has faults, or the system gives no randomness or no threads.
    pub fn open(options: &PasswordFileOptions) -> Result<(Self, Vec<Warning>), PasswordFileError> {
        let start = Instant::now();
        let (opened, warnings) = Self::idle(options, Box::new(move || start.elapsed()))?;
        // On an error the drop of `opened` ends the threads that did start.
        queue::start_threads(options.verifications_at_once_max, &opened.queue, &opened.verifier)
            .map_err(PasswordFileError::Threads)?;
        Ok((opened, warnings))
    }

    /// Everything but the threads: attempts wait until somebody takes them from the queue.
    fn idle(options: &PasswordFileOptions, clock: Clock) -> Result<(Self, Vec<Warning>), PasswordFileError> {
        let (entries, warnings) = read(&options.path)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *key).map_err(PasswordFileError::Randomness)?;
        let remembered = Remembered::new(options.remembered_max, options.remembered_age_max);
        let idle = Self {
            path: options.path.clone(),
            verifier: Arc::new(Verifier::new(entries, &key, remembered, clock)),
            queue: Arc::new(Queue::new(options.verifications_waiting_max)),
        };
        Ok((idle, warnings))
    }

    /// Reads the file again. Blocks on the disk. Who is connected stays connected; what was remembered of
    /// lines that did not change stays remembered.
    ///
    /// # Errors
    /// As for [`open`](Self::open); what was read before stays in force.
    pub fn reload(&self) -> Result<Vec<Warning>, PasswordFileError> {
        let (entries, warnings) = read(&self.path)?;
        self.verifier.replace_entries(entries);
        Ok(warnings)
    }

    /// How many users the file had when it was read last.
    pub fn user_count(&self) -> usize {
        self.verifier.entries().len()
    }

    /// How often what was answered since the start.
    pub fn counts(&self) -> Counts {
        self.verifier.counts()
    }
}

impl Authenticator for PasswordFile {
    /// Any name and any password: who is not in the file is refused like somebody with a wrong password, so that nobody learns
    /// who is in it.
    fn is_for(&self, credentials: &Credentials) -> bool {
        credentials.user_name.is_some() || credentials.password.is_some()
    }

    fn authenticate(&self, credentials: Credentials) -> Answer {
        let Credentials { user_name, password, .. } = credentials;
        let Some(user_name) = user_name else {
            return Answer::Now(self.verifier.deny(Denial::NotAuthorized));
        };
        // Neither answer tells whether there is such a user.
        let Some(password) = password else {
            return Answer::Now(self.verifier.deny(Denial::BadUserNameOrPassword));
        };
        if user_name.len() + password.expose().len() > CREDENTIALS_BYTES_MAX {
            return Answer::Now(self.verifier.deny(Denial::BadUserNameOrPassword));
        }
        if let Some(verdict) = self.verifier.recall(&user_name, &password) {
            return Answer::Now(verdict);
        }
        let (reply, verdict) = oneshot::channel();
        match self.queue.push(Attempt { user_name, password, reply }) {
            Ok(()) => Answer::Later(verdict),
            Err(_) => Answer::Now(self.verifier.deny(Denial::ServerBusy)),
        }
    }

    fn begin(&self, method: &str) -> Option<Box<dyn Exchange>> {
        let hash = Hash::of_method(method)?;
        // Where nobody has a verifier for it there is nothing to offer.
        self.verifier.entries().usual_scram(hash)?;
        Some(Box::new(Scram::new(Arc::clone(&self.verifier), hash)))
    }
}

impl Drop for PasswordFile {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Why a password file is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordFileError {
    /// The system does not give the file's contents.
    #[error("the password file {} cannot be read: {source}{}", path.display(), advice(path, source))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is larger than a password file can be.
    #[error(
        "the password file {} is larger than {FILE_BYTES_MAX} bytes; name one that `whimbrel passwd` has written",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Lines of the file cannot be used; one is enough to use none.
    #[error(transparent)]
    Malformed(#[from] MalformedFile),
    /// The system gives no randomness for the key of what is remembered.
    #[error("the system gives no random numbers: {0}")]
    Randomness(#[source] getrandom::Error),
    /// The system gives no threads.
    #[error(
        "the threads that verify passwords cannot be started: {0}; lower authentication.verifications_at_once_max"
    )]
    Threads(#[source] io::Error),
}

/// What somebody should know of a password file that is used all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// Every account of the machine may read or change it.
    #[error(
        "the password file {} is open to every account of this machine (mode {mode:04o}): chmod o-rwx it",
        path.display()
    )]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It has no user: nobody can connect.
    #[error(
        "the password file {} has no user, so nobody can connect; add one with `whimbrel passwd`",
        path.display()
    )]
    NoUsers {
        /// The file.
        path: PathBuf,
    },
}

/// What to do about it.
fn advice(path: &Path, source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::NotFound => {
            format!(
                "; make it with `whimbrel passwd {} USER`, or name the file that is meant",
                path.display()
            )
        }
        io::ErrorKind::PermissionDenied => "; let the account under which the broker runs read it".to_owned(),
        io::ErrorKind::IsADirectory => "; name a file in that folder".to_owned(),
        _ => String::new(),
    }
}

fn read(path: &Path) -> Result<(Entries, Vec<Warning>), PasswordFileError> {
    let cannot_read = |source| PasswordFileError::Read { path: path.into(), source };
    let mut file = File::open(path).map_err(cannot_read)?;
    let metadata = file.metadata().map_err(cannot_read)?;
    let mut warnings = Vec::new();
    warnings.extend(open_to_others(path, &metadata));

    let mut contents = Zeroizing::new(Vec::new());
    if metadata.len() <= FILE_BYTES_MAX {
        // What is no regular file tells no length.
        file.by_ref().take(FILE_BYTES_MAX + 1).read_to_end(&mut contents).map_err(cannot_read)?;
    }
    if metadata.len().max(contents.len() as u64) > FILE_BYTES_MAX {
        return Err(PasswordFileError::TooLarge { path: path.into() });
    }
    let entries = Entries::parse(path, &contents)?;
    if entries.is_empty() {
        warnings.push(Warning::NoUsers { path: path.into() });
    }
    Ok((entries, warnings))
}

#[cfg(unix)]
fn open_to_others(path: &Path, metadata: &Metadata) -> Option<Warning> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = metadata.permissions().mode() & 0o7777;
    (mode & 0o007 != 0).then(|| Warning::OpenToOthers { path: path.into(), mode })
}

#[cfg(not(unix))]
fn open_to_others(_path: &Path, _metadata: &Metadata) -> Option<Warning> {
    None
}

#[cfg(test)]
mod tests;
