//! A bounded number of seeds. More of them, and one alone: `cargo xtask sim`.

use whimbrel_sim::{log::Tally, planted, run::run};

/// Seeds of this test; those of `cargo xtask sim` begin at 0 as well.
const SEEDS: u64 = 60;

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
fn a_seed_is_one_run() {
    let (once, again) = (run(3), run(3));
    assert!(once.events == again.events && once.tally == again.tally);
    assert!(once.events != run(4).events);
}

#[test]
fn planted_bugs_are_found() {
    for (number, bug) in planted::bugs() {
        let found = planted::look_for(number, bug, true);
        assert!(found.is_ok(), "{}: {found:?}", bug.name);
    }
}
