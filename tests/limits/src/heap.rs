//! The bytes that are on the heap of this process. Every test measures, so one runs at a time.

use parking_lot::{Mutex, MutexGuard};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The heap of one test, from a moment on.
pub struct Heap {
    _alone: MutexGuard<'static, ()>,
    start: usize,
}

impl Heap {
    /// Waits until no other test measures, and keeps others from it.
    #[must_use]
    pub fn alone() -> Self {
        let alone = ONE_AT_A_TIME.lock();
        Heap { _alone: alone, start: ALLOCATOR.current_usage() }
    }

    /// Measures from now on, with what is there already left out.
    pub fn begin(&mut self) {
        self.start = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
    }

    /// Bytes more than at the beginning.
    #[must_use]
    pub fn grown(&self) -> usize {
        ALLOCATOR.current_usage().saturating_sub(self.start)
    }

    /// The most bytes that there have been at once since the beginning, less those that were there then. A block that
    /// grows counts twice while its bytes move.
    #[must_use]
    pub fn most(&self) -> usize {
        ALLOCATOR.peak_usage().saturating_sub(self.start)
    }

    /// Asserts that there are not more bytes than so many.
    #[track_caller]
    pub fn assert_at_most(&self, what: &str, bound: usize) {
        let grown = self.grown();
        println!("{what}: {grown} bytes, at most {bound}");
        assert!(grown <= bound, "{what}: {grown} bytes on the heap, and {bound} are allowed");
    }

    /// Asserts that there never were more bytes than so many.
    #[track_caller]
    pub fn assert_never_above(&self, what: &str, bound: usize) {
        let most = self.most();
        println!("{what}, at its highest: {most} bytes, at most {bound}");
        assert!(most <= bound, "{what}: {most} bytes were on the heap at once, and {bound} are allowed");
    }
}
