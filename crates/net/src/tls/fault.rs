//! What can be wrong with the files and words of a TLS set-up, as sentences that say what to do.

use std::{io, path::PathBuf};

/// A file or a word cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// The file cannot be read.
    #[error("{}: the file cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A section of the file is broken.
    #[error("{}:{line}: this is no PEM section: {reason}; copy it again, from its BEGIN to its END line", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// The line of its BEGIN, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// There is no section of the kind that is needed.
    #[error("{}: there is no {wanted} in it{hint}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
        /// What there is instead, and what to do.
        hint: &'static str,
    },
    /// A certificate or list is PEM and still makes no sense.
    #[error("{}:{line}: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The line of its BEGIN, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The key belongs to another certificate.
    #[error(
        "{}: the key belongs to another certificate than that of {}; name the files that belong together",
        key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
    /// No certificate was named for a server.
    #[error("a server needs a certificate and its key; name the files of both")]
    NoCertificate,
    /// A client's certificate without its key, or the reverse.
    #[error("a client certificate needs its certificate and its key; name the files of both")]
    HalfIdentity,
    /// The machine has no certificates of its own that are trusted.
    #[error(
        "this machine has no CA certificates of its own{}; name a file with the CA's certificate",
        detail(reason)
    )]
    NoSystemRoots {
        /// What the system said, if it said something.
        reason: Option<String>,
    },
    /// A name that no certificate can have.
    #[error("`{0}` is no server name: give a host name or an IP address")]
    ServerName(String),
    /// The library refuses what was put together.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

fn detail(reason: &Option<String>) -> String {
    reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default()
}

impl TlsFault {
    /// The file that it is about, and the line in it.
    #[must_use]
    pub fn place(&self) -> Option<(&std::path::Path, Option<usize>)> {
        match self {
            TlsFault::Unreadable { path, .. } | TlsFault::Missing { path, .. } => Some((path, None)),
            TlsFault::Pem { path, line, .. } | TlsFault::Unusable { path, line, .. } => {
                Some((path, Some(*line)))
            }
            TlsFault::Mismatch { key, .. } => Some((key, None)),
            _ => None,
        }
    }
}
