//! Whether the simulation finds bugs: wakes one that sleeps in the engine's sources and runs seeds until one fails.

use whimbrel_engine::planted::{BUGS, Bug, wake};

use crate::run::run_caught;

/// The bugs that seeds find, with their numbers.
pub fn bugs() -> impl Iterator<Item = (usize, &'static Bug)> {
    BUGS.iter().enumerate().filter(|(_, bug)| bug.seeds > 0)
}

/// Looks for a bug within its seeds: the first that fails, and what it says. `quickly`: where it was found before is
/// looked at first.
///
/// # Errors
/// It is not found, or the sources have no place for it any more.
pub fn look_for(number: usize, bug: &Bug, quickly: bool) -> Result<(u64, String), String> {
    if let Some(file) = bug.homeless {
        return Err(format!("has no place in {file} any more: the sources have changed"));
    }
    wake(&[number]);
    let found = quickly
        .then_some(bug.near)
        .into_iter()
        .chain(0..bug.seeds)
        .find_map(|seed| Some((seed, run_caught(seed).findings.first()?.to_string())));
    wake(&[]);
    found.ok_or_else(|| format!("is not found in {} seeds", bug.seeds))
}
