//! What can go wrong with files, said so that a person can act. What goes wrong while the log runs is in `state.rs`.

use std::{error::Error, fmt, io, sync::Arc};

use crate::{disk::LockError, format::FORMAT_VERSION, position::Position};

/// The log does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the folder.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// The system refused an operation.
    #[error(transparent)]
    Io(#[from] Fault),
    /// What was on stable storage is not as it was written. Nothing is changed on the disk.
    #[error("{0}; restore a backup, or keep what lies before it with `whimbrel store compact --salvage`")]
    Corrupt(Corruption),
    /// A segment between two others is not there, or the oldest that is needed.
    #[error(
        "{place}: segment {file} is missing; put it back, restore a backup, or keep what lies before it with `whimbrel store compact --salvage`"
    )]
    Missing {
        /// The folder.
        place: String,
        /// The file that should be there.
        file: String,
    },
    /// A file has a segment's name and does not begin like one.
    #[error(
        "{place}: {file} does not begin like a segment: it is another program's, or damaged; restore a backup, or keep what lies before it with `whimbrel store compact --salvage`"
    )]
    Foreign {
        /// The folder.
        place: String,
        /// The file.
        file: String,
    },
    /// A segment of another number: a copy, or a file that was renamed.
    #[error("{place}: {file} says that it is segment {found}: a copy or renamed; move it out of the folder")]
    WrongNumber {
        /// The folder.
        place: String,
        /// The file.
        file: String,
        /// The number in its header.
        found: u64,
    },
    /// A segment that belongs to another store.
    #[error(
        "{place}: {file} belongs to another store than the segments before it; move it out of the folder"
    )]
    OtherStore {
        /// The folder.
        place: String,
        /// The file.
        file: String,
    },
    /// Written by a newer program.
    #[error(
        "{place}: {file} has format version {found}, this program reads up to {FORMAT_VERSION}; use a newer one"
    )]
    UnknownVersion {
        /// The folder.
        place: String,
        /// The file.
        file: String,
        /// The version in its header.
        found: u32,
    },
    /// The visitor did not take a record.
    #[error("the record at position {position} is not understood: {source}")]
    Refused {
        /// Of the record.
        position: Position,
        /// What the visitor said.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// The system refused an operation on a file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {file}: {source}{}", advice(.source))]
#[non_exhaustive]
pub struct Fault {
    /// What we were doing, as a verb.
    pub doing: &'static str,
    /// On what.
    pub file: String,
    /// What the system said.
    pub source: io::Error,
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull => "; make room on the disk",
        io::ErrorKind::QuotaExceeded => "; the user's share of the disk is used up",
        io::ErrorKind::ReadOnlyFilesystem => {
            "; the file system is mounted read-only, often after an error: see the kernel's log"
        }
        io::ErrorKind::PermissionDenied => {
            "; the folder and its files must be writable for the user that runs this process"
        }
        _ => "",
    }
}

/// A place where the disk does not hold what was written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{file} is damaged at byte {offset} (position {position}): {damage}")]
#[non_exhaustive]
pub struct Corruption {
    /// The file, with its folder.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
    /// How far the log is whole.
    pub position: Position,
    /// What is wrong there.
    pub damage: Damage,
}

/// In which way bytes are not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The segment's header does not fit its checksum.
    SegmentHeader,
    /// A frame's header does not fit its checksum, or there is none where one must be.
    FrameHeader,
    /// A record of the frame does not fit its checksum.
    Record {
        /// The position of the record.
        position: Position,
    },
    /// The file ends where more must follow.
    Cut,
    /// The segment holds other positions than its neighbour says.
    Misplaced {
        /// What its neighbour says.
        expected: Position,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SegmentHeader => formatter.write_str("the segment's header does not fit its checksum"),
            Self::FrameHeader => formatter.write_str("no frame header that fits its checksum"),
            Self::Record { position } => {
                write!(formatter, "the record at position {position} does not fit its checksum")
            }
            Self::Cut => formatter.write_str("the file ends too early"),
            Self::Misplaced { expected } => {
                write!(formatter, "the next segment begins at position {expected}")
            }
        }
    }
}

/// A record cannot be staged.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// The record is longer than [`RECORD_BYTES_MAX`](crate::RECORD_BYTES_MAX).
    #[error("a record of {bytes} bytes is longer than the journal takes")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// A record, or a segment's records, cannot be read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is not in a file yet.
    #[error("position {0} is not written yet")]
    NotWritten(Position),
    /// The segment in which it was has been given back.
    #[error("position {0} has been given back")]
    Gone(Position),
    /// No record begins at this position, or it is damaged.
    #[error(transparent)]
    Corrupt(Corruption),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] Fault),
}

/// A segment cannot be given back.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DropError {
    /// Segments go oldest first, and the one that is written to stays.
    #[error("segment {number} is not the oldest that is written in full")]
    NotOldest {
        /// The segment that was asked for.
        number: u64,
    },
    /// By the owner's own count something in it lives.
    #[error("{live_bytes} bytes of segment {number} live")]
    Alive {
        /// The segment that was asked for.
        number: u64,
        /// What lives.
        live_bytes: u64,
    },
    /// Somebody copies the log, and needs it whole.
    #[error("segment {number} is held: the log is being copied")]
    Held {
        /// The segment that was asked for.
        number: u64,
    },
}

/// A store cannot be copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// What is to be copied is damaged, or cannot be read.
    #[error(transparent)]
    Source(#[from] OpenError),
    /// The system refused an operation.
    #[error(transparent)]
    Io(#[from] Fault),
    /// The folder for the copy has something in it.
    #[error("{place} is not empty: it holds {file}")]
    NotEmpty {
        /// The folder.
        place: String,
        /// One of its files.
        file: String,
    },
    /// The log waits for its disk.
    #[error("the store takes no records now: {fault}")]
    Stuck {
        /// What the disk said.
        fault: Arc<Fault>,
    },
}

/// A poisoned log does not come back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReopenError {
    /// What was reported synced is not there any more: what rests on it must not be promised again.
    #[error(
        "what was synced is lost: {0}; stop, and restore a backup, or keep what lies before it with `whimbrel store compact --salvage`"
    )]
    Lost(Corruption),
    /// The disk still fails.
    #[error(transparent)]
    Io(#[from] Fault),
}
