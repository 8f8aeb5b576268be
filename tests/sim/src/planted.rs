//! Whether the simulation finds bugs: wakes one that sleeps in the engine's sources and runs seeds until one fails.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use whimbrel_engine::planted::{BUGS, Bug, wake};

use crate::run::{Disk, run_caught};

/// The bugs that seeds find, with their numbers.
pub fn bugs() -> impl Iterator<Item = (usize, &'static Bug)> {
    BUGS.iter().enumerate().filter(|(_, bug)| bug.seeds > 0)
}

/// Looks for a bug within its seeds: the first that fails, and what it says.
///
/// # Errors
/// It is not found, or the sources have no place for it any more.
pub fn look_for(number: usize, bug: &Bug) -> Result<(u64, String), String> {
    let found = look(number, bug, 0..bug.seeds, None)?;
    found.ok_or_else(|| format!("is not found in {} seeds", bug.seeds))
}

/// Looks for all bugs on all processors, where each was found before first and from seed 0 on behind that, no longer than
/// this. Gives those that are not found in all their seeds, and how many were not looked for to the end.
#[must_use]
pub fn look_for_all(patience: Duration) -> (Vec<String>, usize) {
    let until = Instant::now() + patience;
    let bugs: Vec<_> = bugs().collect();
    let (next, unfinished, missed) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((number, bug)) = bugs.get(next.fetch_add(1, Relaxed)) {
                    let seeds = std::iter::once(bug.near).chain(0..bug.seeds);
                    match look(*number, bug, seeds, Some(until)) {
                        Ok(Some(_)) => {}
                        Ok(None) if Instant::now() >= until => {
                            unfinished.fetch_add(1, Relaxed);
                        }
                        Ok(None) => note(&missed, bug, &format!("is not found in {} seeds", bug.seeds)),
                        Err(why) => note(&missed, bug, &why),
                    }
                }
            });
        }
    });
    (missed.into_inner().unwrap_or_default(), unfinished.into_inner())
}

fn note(missed: &Mutex<Vec<String>>, bug: &Bug, why: &str) {
    if let Ok(mut missed) = missed.lock() {
        missed.push(format!("{}: {why}", bug.name));
    }
}

fn look(
    number: usize,
    bug: &Bug,
    mut seeds: impl Iterator<Item = u64>,
    until: Option<Instant>,
) -> Result<Option<(u64, String)>, String> {
    if let Some(file) = bug.homeless {
        return Err(format!("has no place in {file} any more: the sources have changed"));
    }
    let disk = if bug.disk { Disk::Failing } else { Disk::None };
    wake(&[number]);
    let found = seeds
        .by_ref()
        .take_while(|_| until.is_none_or(|until| Instant::now() < until))
        .find_map(|seed| Some((seed, run_caught(seed, disk).findings.first()?.to_string())));
    wake(&[]);
    Ok(found)
}
