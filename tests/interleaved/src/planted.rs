//! Bugs that sleep in these sources, and how one is woken.

use std::cell::Cell;

/// A bug that a test must find.
#[derive(Copy, Clone, Debug)]
pub struct Bug {
    /// What is wrong with it.
    pub name: &'static str,
    /// Within so many seeds from 0 on.
    pub seeds: u64,
    /// It shows itself where the server has a disk, and dies.
    pub disk: bool,
    /// Where it should sleep and does not: the sources have changed.
    pub homeless: Option<&'static str>,
}

include!(concat!(env!("OUT_DIR"), "/bugs.rs"));

thread_local! {
    static AWAKE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Wakes this bug of the list in this thread, or lets all sleep.
pub fn wake(bug: Option<usize>) {
    AWAKE.set(bug.unwrap_or(usize::MAX));
}

/// Whether this one is awake.
pub(crate) fn is_awake(bug: usize) -> bool {
    AWAKE.get() == bug
}
