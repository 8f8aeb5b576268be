//! The limit of open files, which bounds the connections.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that the broker needs besides connections: listeners, log, runtimes, the password file. Where there are very
/// few it makes do with half of them.
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

/// Connections that so many files bear, less 5 % or what the waiting room needs.
pub(crate) fn connections(files: u64) -> u32 {
    let room = u64::try_from(waiting_room(files)).unwrap_or(u64::MAX);
    let files = (files - OWN_FILES.min(files / 2)).min(NO_LIMIT);
    u32::try_from(files.saturating_sub(room.max(files / 20))).unwrap_or(u32::MAX).max(1)
}

/// Connections beyond that limit that may say CONNECT, to take over another one or to hear why they are refused: what
/// the 5 % leave, with some files to spare.
pub(crate) fn waiting_room(files: u64) -> usize {
    usize::try_from(files / 40).unwrap_or(usize::MAX).clamp(4, 1_000)
}

#[cfg(test)]
mod tests {
    #[test]
    fn connections_leave_files_for_the_broker_itself() {
        for (files, expected) in
            [(0, 1), (64, 28), (100, 46), (1_024, 912), (20_000, 18_940), (u64::MAX, 9_500_000)]
        {
            assert_eq!(super::connections(files), expected, "{files} files");
        }
        for files in 32..100_000 {
            let used = u64::from(super::connections(files)) + super::waiting_room(files) as u64;
            assert!(used + super::OWN_FILES.min(files / 2) <= files, "{files} files");
        }
    }
}
