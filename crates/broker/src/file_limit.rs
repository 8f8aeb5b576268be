//! The limit of open files, which bounds the connections.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that the broker needs besides connections: listeners, log, runtimes, the password file.
const OWN_FILES: u64 = 64;
/// Where the system names no limit.
const NO_LIMIT: u64 = 10_000_000;

/// Raises the limit as far as the system lets this process and gives it.
pub(crate) fn raise() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum;
    if limit.current != wanted {
        limit.current = wanted;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(NO_LIMIT)
}

/// Connections that so many files bear, less 5 %.
pub(crate) fn connections(files: u64) -> u32 {
    let files = files.saturating_sub(OWN_FILES).min(NO_LIMIT);
    u32::try_from(files - files / 20).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    #[test]
    fn connections_leave_files_for_the_broker_itself() {
        for (files, expected) in [(0, 1), (64, 1), (1_024, 912), (20_000, 18_940), (u64::MAX, 9_500_000)] {
            assert_eq!(super::connections(files), expected, "{files} files");
        }
    }
}
