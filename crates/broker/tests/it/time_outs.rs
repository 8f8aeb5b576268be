//! What happens when a client says nothing, in real time.

use std::time::{Duration, Instant};

use whimbrel_testkit::{Packet, Version, v5, v311};

use super::running::{start, start_with};

/// The broker looks at each connection once a second; the machine may be busy.
const SLACK: Duration = Duration::from_millis(2_500);

#[track_caller]
fn check(since: Instant, expected: Duration) {
    let elapsed = since.elapsed();
    assert!(elapsed >= expected, "after {elapsed:?} instead of {expected:?}");
    assert!(elapsed < expected + SLACK, "after {elapsed:?} instead of {expected:?}");
}

#[test]
fn v5_3_1_2_22_a_client_that_is_silent_for_one_and_a_half_keep_alives_is_closed() {
    let running = start();
    let start = Instant::now();
    let mut new = running.connect(v5("new").keep_alive(1));
    let mut old = running.connect(v311("old").keep_alive(1));
    assert_eq!(new.farewell(), Some(0x8D));
    check(start, Duration::from_millis(1_500));
    assert_eq!(old.farewell(), None);
    check(start, Duration::from_millis(1_500));
}

#[test]
fn a_connection_that_sends_no_connect_or_half_of_it_is_closed_in_time() {
    let running = start_with(|config| config.limits.connect_timeout_secs = 1);
    let start = Instant::now();
    let mut silent = running.open(Version::V5);
    let mut half = running.open(Version::V5);
    half.send_bytes(&Packet::Connect(Box::new(v5("half"))).encode(Version::V5)[..9]);
    assert!(silent.is_closed());
    check(start, Duration::from_secs(1));
    assert!(half.is_closed());
    check(start, Duration::from_secs(1));
}
