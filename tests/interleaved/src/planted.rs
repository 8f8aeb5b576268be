//! Bugs that sleep in these sources, and how one is woken.

use std::cell::Cell;

/// A bug that a test must find.
#[derive(Copy, Clone, Debug)]
pub struct Bug {
    /// What is wrong with it.
    pub name: &'static str,
    /// Within so many seeds from 0 on.
    pub seeds: u64,
    /// The first seed that found it when somebody looked last: a good place to begin.
    pub near: u64,
    /// Where it should sleep and does not: the sources have changed.
    pub homeless: Option<&'static str>,
}

include!(concat!(env!("OUT_DIR"), "/bugs.rs"));

thread_local! {
    static AWAKE: Cell<u64> = const { Cell::new(0) };
}

/// Wakes these bugs of the list in this thread, and lets all others sleep.
pub fn wake(bugs: &[usize]) {
    AWAKE.set(bugs.iter().fold(0, |awake, bug| awake | 1 << bug));
}

/// Whether this one is awake.
pub(crate) fn is_awake(bug: usize) -> bool {
    AWAKE.get() >> bug & 1 == 1
}
