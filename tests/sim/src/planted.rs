//! Whether the simulation finds bugs: wakes one that sleeps in the engine's sources and runs seeds until one fails.

use whimbrel_engine::planted::{BUGS, Bug, wake};

use crate::run::run_caught;

/// The bugs, with their numbers.
pub fn bugs() -> impl Iterator<Item = (usize, &'static Bug)> {
    BUGS.iter().enumerate()
}

/// Looks for a bug within its seeds: the first that fails, and what it says.
///
/// # Errors
/// It is not found, or the sources have no place for it any more.
pub fn look_for(number: usize, bug: &Bug) -> Result<(u64, String), String> {
    if let Some(file) = bug.homeless {
        return Err(format!("has no place in {file} any more: the sources have changed"));
    }
    wake(Some(number));
    let found = (0..bug.seeds)
        .find_map(|seed| Some((seed, run_caught(seed, bug.disk).findings.first()?.to_string())));
    wake(None);
    found.ok_or_else(|| format!("is not found in {} seeds", bug.seeds))
}
