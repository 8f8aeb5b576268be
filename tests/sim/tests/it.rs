//! A bounded number of seeds. More of them, and one alone: `cargo xtask sim`.

use std::time::Duration;

use whimbrel_sim::{
    dice::Dice,
    log::Tally,
    plan::Plan,
    planted,
    run::{run, run_with_disk},
};

/// Seeds of this test; those of `cargo xtask sim` begin at 0 as well.
const SEEDS: u64 = 60;

/// Seeds on a server with a disk: `cargo xtask sim --disk`.
const SEEDS_WITH_DISK: u64 = 150;

/// What must have happened in them.
const FAULTS: &[&str] = &[
    "cleanings begun",
    "commits beside a record",
    "crashes in a commit",
    "crashes while opening",
    "crashes: power lost",
    "crashes: process killed",
    "disk: syncs that lied",
    "disk: unsynced writes lost",
    "disk: unsynced writes reordered",
    "disk: unsynced writes torn",
    "disk: writes and syncs that failed",
    "disk: writes refused, full",
    "journals poisoned",
    "journals reopened",
    "messages refused for the disk",
    "records written anew by cleaning",
    "restored: messages owed",
    "restored: publishes that were not whole",
    "restored: retained messages",
    "restored: wills",
    "segments given back",
    "syncs that took long",
    "torn ends cut off",
    "turns while the disk worked",
];

/// What must have happened in these seeds, or the test shows nothing.
const FEATURES: &[&str] = &[
    "bursts",
    "cuts by the network",
    "half-closes",
    "messages received with DUP",
    "messages received with RETAIN",
    "pauses",
    "publishes QoS 0",
    "publishes QoS 1",
    "publishes QoS 2",
    "resets",
    "sessions resumed",
    "sessions taken over",
    "silences",
    "subscriptions shared",
    "turns interleaved with another worker's",
    "unsubscribes",
    "wills published",
    "writes interrupted by another worker",
];

#[test]
fn nothing_promised_is_broken_whatever_the_network_does() {
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        let outcome = run(seed);
        assert!(outcome.findings.is_empty(), "{}replay: cargo xtask sim --seed {seed}", outcome.report);
        tally.merge(&outcome.tally);
    }
    for feature in FEATURES {
        assert!(tally.count(feature) > 0, "in {SEEDS} seeds there were no {feature}");
    }
}

#[test]
fn a_large_message_passes_the_narrowest_link_within_a_clients_patience() {
    for seed in 0..2_000 {
        let weather = Plan::draw(&mut Dice::new(seed), &mut Tally::default()).weather;
        let round = weather.delay_millis_max.max(weather.beat_millis);
        assert!(weather.window_bytes >= 10 * round, "seed {seed}: {weather:?}");
    }
}

#[test]
fn a_seed_is_one_run() {
    let (once, again) = (run(3), run(3));
    assert!(once.events == again.events && once.tally == again.tally);
    assert!(once.events != run(4).events);
}

#[test]
fn nothing_promised_is_broken_whatever_the_disk_does_and_whenever_the_server_dies() {
    let mut tally = Tally::default();
    for seed in 0..SEEDS_WITH_DISK {
        let outcome = run_with_disk(seed);
        assert!(
            outcome.findings.is_empty(),
            "{}replay: cargo xtask sim --disk --seed {seed}",
            outcome.report
        );
        tally.merge(&outcome.tally);
    }
    for fault in FAULTS {
        assert!(tally.count(fault) > 0, "in {SEEDS_WITH_DISK} seeds there were no {fault}");
    }
}

#[test]
fn a_seed_with_a_disk_is_one_run() {
    let (once, again) = (run_with_disk(3), run_with_disk(3));
    assert!(once.events == again.events && once.tally == again.tally);
}

#[test]
fn planted_bugs_are_found() {
    let (missed, unfinished) = planted::look_for_all(Duration::from_secs(60));
    assert!(missed.is_empty(), "{missed:#?}");
    assert!(
        unfinished * 2 < planted::bugs().count(),
        "note the seeds that `cargo xtask sim --planted` tells"
    );
}
