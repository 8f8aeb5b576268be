//! What the log needs of a disk. The log reaches the world through these two traits and nothing else.

use std::{fmt, io};

/// One folder of files, without subfolders. [`FileDisk`](crate::FileDisk) is a real one, [`SimDisk`](crate::sim::SimDisk)
/// is in memory and fails as its owner says.
pub trait Disk: fmt::Display + Send + Sync {
    /// Takes the folder for this process, until the lock is dropped.
    ///
    /// # Errors
    /// Another process (or another log of this one) has it, or the system refuses.
    fn lock(&self) -> Result<DiskLock, LockError>;

    /// A new, empty file to read and write, in place of one that has the name. It shares nothing with the former file:
    /// a failed sync of that one says nothing about this one.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// A file that is there, to read and write.
    ///
    /// # Errors
    /// What the system says; [`NotFound`](io::ErrorKind::NotFound) where there is none.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// A file that is there, to read alone.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.open(name)
    }

    /// Gives a file another name, at once and whole; a file that has that name is gone.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all files, in any order. Folders are left out.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Returns when the names (creations, renamings, removals) are on stable storage.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self) -> io::Result<()>;
}

/// An open file, read and written at offsets, from any thread.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Writes all of `bytes`, growing the file where they reach beyond its end. An error may leave a part written.
    ///
    /// # Errors
    /// What the system says; [`StorageFull`](io::ErrorKind::StorageFull) and
    /// [`QuotaExceeded`](io::ErrorKind::QuotaExceeded) are told apart from the others.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads up to `into.len()` bytes, fewer at the end of the file alone.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Returns when what was written, and the length needed to read it, is on stable storage. After an error nothing is
    /// known of what was written since the last success, and calling it again does not make it known.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&self) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether nothing is in it.
    ///
    /// # Errors
    /// What the system says.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|bytes| bytes == 0)
    }
}

/// A folder held for one log; dropping it lets go.
pub struct DiskLock {
    _held: Box<dyn Send + Sync>,
}

impl DiskLock {
    /// Wraps whatever lets go of the folder when it is dropped.
    pub fn new(held: impl Send + Sync + 'static) -> Self {
        Self { _held: Box::new(held) }
    }
}

impl fmt::Debug for DiskLock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DiskLock")
    }
}

/// The folder cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process has it.
    #[error("{place} is in use by {holder}: stop that process, or take another folder")]
    Held {
        /// The folder.
        place: String,
        /// Who has it, as far as the lock file says: process number and start.
        holder: String,
    },
    /// The lock file cannot be made, locked or written.
    #[error("cannot lock {file}: {source}{}", advice(.source))]
    Io {
        /// The lock file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "; the folder must be writable for the user that runs this process"
        }
        io::ErrorKind::ReadOnlyFilesystem => "; the file system is mounted read-only",
        io::ErrorKind::Unsupported => "; this file system knows no locks: take a folder on a local one",
        _ => "",
    }
}
