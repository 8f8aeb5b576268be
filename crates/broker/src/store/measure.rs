//! What the journal does, in figures: how many commits, how much each takes, and how long.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

use parking_lot::Mutex;
use whimbrel_journal::Reached;

/// Buckets of powers of two of microseconds: up to 1 µs, 2 µs, 4 µs, … the last takes the rest.
const BUCKETS: usize = 32;

/// Counts since the start.
pub(crate) struct Measures {
    commits: AtomicU64,
    bytes: AtomicU64,
    spans: [AtomicU64; BUCKETS],
    last: Mutex<Last>,
}

struct Last {
    written: u64,
    synced: u64,
    at: Instant,
}

impl Default for Measures {
    fn default() -> Self {
        Measures {
            commits: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            spans: std::array::from_fn(|_| AtomicU64::new(0)),
            last: Mutex::new(Last { written: 0, synced: 0, at: Instant::now() }),
        }
    }
}

impl Measures {
    /// The journal has come so far.
    pub(super) fn note(&self, reached: Reached) {
        let mut last = self.last.lock();
        if reached.written.0 > last.written {
            let before = last.written;
            self.bytes.fetch_add(if before == 0 { 0 } else { reached.written.0 - before }, Relaxed);
            last.written = reached.written.0;
            last.at = Instant::now();
        }
        if reached.synced.0 > last.synced {
            // From the write to the end of the sync: what an acknowledgement at level `power` waits for at least.
            let micros = u64::try_from(last.at.elapsed().as_micros()).unwrap_or(u64::MAX);
            let bucket = (u64::BITS - micros.leading_zeros()) as usize;
            if let Some(span) = self.spans.get(bucket.min(BUCKETS - 1)) {
                span.fetch_add(1, Relaxed);
            }
            self.commits.fetch_add(1, Relaxed);
            last.synced = reached.synced.0;
        }
    }

    /// Synced commits so far.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Relaxed)
    }

    /// Bytes of records written so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// So many microseconds at most took this share of the syncs (0.5: the median); `None` before the first.
    pub(crate) fn sync_micros(&self, share: f64) -> Option<u64> {
        let counts: Vec<u64> = self.spans.iter().map(|span| span.load(Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let wanted = (all as f64 * share).ceil() as u64;
        let mut seen = 0;
        counts.iter().enumerate().find_map(|(bucket, count)| {
            seen += count;
            (all > 0 && seen >= wanted).then(|| 1 << bucket)
        })
    }
}
