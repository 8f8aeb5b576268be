//! What the tools that work on a folder have in common: is it a store, how large is it, what is wrong. Not the tools.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use whimbrel_journal::{CopyError, FileDisk, LockError, OpenError};

use super::Checked;

/// A tool cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// There is nothing that could be read.
    #[error("there is no store in {}: {why}", folder.display())]
    NoStore {
        /// The folder.
        folder: PathBuf,
        /// Why, in words.
        why: String,
    },
    /// What is to be kept, copied or taken over is damaged.
    #[error("the store in {} is damaged: {}", .0.folder.display(), .0.first_trouble())]
    Damaged(Box<Checked>),
    /// A process has it.
    #[error("{} is in use by {holder}; {what_to_do}", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Who has it.
        holder: String,
        /// What to do.
        what_to_do: &'static str,
    },
    /// There is something already where something is to be written.
    #[error("{} is not empty: it holds {found}; move that away, or name another folder", folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
        /// A file in it.
        found: String,
    },
    /// A backup cannot have this name.
    #[error("{} is no name for a backup; name a folder that is not there yet", .0.display())]
    NoName(PathBuf),
    /// The system refuses something.
    #[error("{}: {what}: {source}", path.display())]
    System {
        /// What it is about.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store cannot be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store cannot be copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The disk takes nothing.
    #[error("the disk of the store in {} takes nothing: {fault}; the store is as it was", folder.display())]
    Disk {
        /// The folder.
        folder: PathBuf,
        /// What it said.
        fault: Arc<whimbrel_journal::Fault>,
    },
    /// Something of what is old is needed still.
    #[error("segment {number} of the store in {} stays: {why}", folder.display())]
    Stays {
        /// The folder.
        folder: PathBuf,
        /// The number of the segment.
        number: u64,
        /// Why.
        why: String,
    },
}

impl ToolError {
    pub(super) fn system(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| ToolError::System { path: path.to_owned(), what, source }
    }
}

/// The folder of a store that is there.
pub(super) fn disk(folder: &Path) -> Result<FileDisk, ToolError> {
    let no_store = |why: &str| ToolError::NoStore { folder: folder.to_owned(), why: why.to_owned() };
    let entries = fs::read_dir(folder).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => no_store("the folder is not there"),
        _ => no_store(&error.to_string()),
    })?;
    let mut names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    if !names.any(|name| is_segment(&name)) {
        return Err(no_store("the folder has no segment in it"));
    }
    FileDisk::new(folder).map_err(ToolError::system(folder, "the folder cannot be opened"))
}

fn is_segment(name: &str) -> bool {
    name.strip_suffix(".log")
        .is_some_and(|number| number.len() == 16 && number.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// Bytes of all files in a folder.
pub(super) fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .filter(fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}

/// Refuses a folder that has something in it, the lock of a store aside. It need not be there.
pub(super) fn must_be_empty(folder: &Path) -> Result<(), ToolError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ToolError::system(folder, "the folder cannot be read")(error)),
    };
    let mut names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    match names.find(|name| name != "lock") {
        Some(found) => Err(ToolError::NotEmpty { folder: folder.to_owned(), found }),
        None => Ok(()),
    }
}
