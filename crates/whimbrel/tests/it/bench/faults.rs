//! Planted faults are found, each for what it is, and counted exactly.

use std::time::Duration;

use super::bench;
use super::broker::Broker;
use super::proxy::{Fault, Proxy};

/// In an open loop a message that is lost holds up nobody.
const LOAD: [&str; 9] = ["p2p", "--pairs", "4", "--rate", "20000", "--batch", "8", "--count", "2000"];

#[track_caller]
fn check(fault: Fault, qos: &str, name: &str) {
    let broker = Broker::start();
    let proxy = Proxy::start(broker.address, fault);
    let mut line = LOAD.to_vec();
    line.extend(["--size", "40", "--qos", qos]);
    let ended = bench(proxy.address, &line);
    let planted = proxy.planted();
    assert!(planted > 10, "{fault:?}: {planted} planted");
    assert_eq!(ended.faults(), [(name.to_owned(), planted)], "{fault:?} at QoS {qos}");
    assert_eq!(ended.code, 1);
    assert_eq!(ended.results["all_right"], false);
    let sent = ended.number("/whole_run/sent");
    let missing = if matches!(name, "lost" | "corrupt") { planted as f64 } else { 0.0 };
    assert_eq!((sent, ended.number("/whole_run/delivered")), (8_000.0, 8_000.0 - missing));
}

#[test]
fn dropped_messages_are_lost() {
    check(Fault::Drop(97), "0", "lost");
    check(Fault::Drop(500), "1", "lost");
    check(Fault::Drop(500), "2", "lost");
}

#[test]
fn one_in_ten_thousand_is_found() {
    let broker = Broker::start();
    let proxy = Proxy::start(broker.address, Fault::Drop(10_000));
    let line = ["p2p", "--pairs", "4", "--rate", "40000", "--batch", "16", "--count", "20000"];
    let ended = bench(proxy.address, &line);
    assert_eq!(proxy.planted(), 8);
    assert_eq!(ended.faults(), [("lost".to_owned(), 8)], "{}", ended.said);
}

#[test]
fn repeated_messages_are_duplicates() {
    check(Fault::Repeat(97), "0", "duplicated");
}

#[test]
fn swapped_neighbours_are_reordered() {
    check(Fault::Swap(97), "0", "reordered");
    check(Fault::Swap(97), "1", "reordered");
}

#[test]
fn a_changed_byte_is_a_corrupt_message_and_not_a_lost_one() {
    check(Fault::Corrupt(97), "0", "corrupt");
    check(Fault::Corrupt(97), "1", "corrupt");
}

#[test]
fn another_topic_qos_or_retain_flag_is_wrong() {
    check(Fault::Rename(97), "0", "wrong_topic");
    check(Fault::Downgrade(97), "1", "wrong_qos");
    check(Fault::Retain(97), "0", "wrong_retain");
}

#[test]
fn a_shared_group_counts_what_none_of_its_members_got() {
    let broker = Broker::start();
    let proxy = Proxy::start(broker.address, Fault::Drop(97));
    let line = ["shared", "--publishers", "3", "--members", "5", "--rate", "20000", "--count", "1000"];
    let ended = bench(proxy.address, &line);
    assert_eq!(ended.faults(), [("lost".to_owned(), proxy.planted())]);
}

#[test]
fn lost_messages_of_qos_0_are_counted_and_accepted_if_they_are_allowed() {
    let broker = Broker::start();
    let proxy = Proxy::start(broker.address, Fault::Drop(397));
    let line = ["fan-out", "--subscribers", "5", "--count", "200", "--batch", "10", "--allow-qos0-loss"];
    let ended = bench(proxy.address, &line);
    assert_eq!(ended.faults(), [("lost".to_owned(), proxy.planted())]);
    assert_eq!((ended.code, ended.results["all_right"].as_bool()), (0, Some(true)), "{}", ended.said);
    // In a closed loop a lost message holds its publisher up for a second, and that is said.
    assert!(ended.number("/whole_run/stalls") >= 1.0);
    assert!(ended.said.contains("publishers waited a second in vain"), "{}", ended.said);
}

#[test]
fn latency_to_a_peer_of_known_delay_is_that_delay() {
    let delay = Duration::from_millis(30);
    let broker = Broker::start();
    let proxy = Proxy::start(broker.address, Fault::Delay(delay));
    let ended = bench(proxy.address, &["p2p", "--pairs", "3", "--count", "20"]);
    assert_eq!(ended.code, 0, "{}", ended.said);
    let micros = delay.as_micros() as f64;
    // The histogram keeps three digits. The machine may add to single messages, but hardly to all of them.
    let (least, median) = (ended.number("/latency/min_us"), ended.number("/latency/p50_us"));
    assert!(least >= micros * 0.999 && least <= micros + 10_000.0, "least {least}");
    assert!(median >= micros * 0.999, "median {median}");
}

#[test]
fn an_open_loop_that_reads_late_tells_when_messages_came() {
    // One message is due every 8 ms and none comes at such a moment: it is read up to 8 ms after it came.
    let delay = Duration::from_millis(33);
    let broker = Broker::start();
    let proxy = Proxy::start(broker.address, Fault::Delay(delay));
    let ended = bench(proxy.address, &["p2p", "--pairs", "5", "--rate", "125", "--count", "40"]);
    assert_eq!((ended.code, ended.faults()), (0, vec![]), "{}", ended.said);
    let micros = delay.as_micros() as f64;
    let (least, median) = (ended.number("/latency/min_us"), ended.number("/latency/p50_us"));
    assert!(least >= micros * 0.999 && median >= micros * 0.999, "least {least}, median {median}");
    if cfg!(target_os = "linux") {
        // The machine may add to most messages, but hardly to all of them.
        assert!(least <= micros + 3_000.0, "least {least}");
        let of = ended.results["latency"]["of"].as_str();
        assert!(of.is_some_and(|of| of.ends_with("(the kernel's stamp)")), "{of:?}");
    }
}

#[test]
fn an_open_loop_in_which_something_is_answered_waits_for_what_comes() {
    let delay = Duration::from_millis(33);
    for qos in ["1", "2"] {
        let broker = Broker::start();
        let proxy = Proxy::start(broker.address, Fault::Delay(delay));
        let line = ["p2p", "--pairs", "5", "--rate", "125", "--count", "20", "--qos", qos];
        let ended = bench(proxy.address, &line);
        assert_eq!((ended.code, ended.faults()), (0, vec![]), "{}", ended.said);
        let of = ended.results["latency"]["of"].as_str();
        assert!(of.is_some_and(|of| !of.contains("stamp")), "{of:?}");
        assert!(ended.number("/latency/min_us") >= delay.as_micros() as f64 * 0.999);
    }
}

#[test]
fn an_open_loop_counts_what_was_due_while_nothing_came() {
    let broker = Broker::start();
    let pause = Duration::from_millis(500);
    let proxy = Proxy::start(broker.address, Fault::Pause(100, pause));
    let line = ["p2p", "--pairs", "1", "--rate", "1000", "--count", "1000"];
    let ended = bench(proxy.address, &line);
    assert_eq!(ended.faults(), []);
    // Half of the messages were due in the pause, evenly: two in five of all waited for more than 100 ms.
    assert!(ended.number("/latency/p90_us") >= 300_000.0, "{}", ended.results["latency"]);
    assert!(ended.number("/latency/max_us") >= 490_000.0, "{}", ended.results["latency"]);
}

#[test]
fn an_open_loop_that_cannot_keep_its_rate_says_so() {
    let broker = Broker::start();
    let line = ["p2p", "--pairs", "2", "--rate", "90000000", "--warmup", "0", "--duration", "300ms"];
    let ended = bench(broker.address, &line);
    assert_eq!(ended.code, 1);
    assert!(ended.said.contains("the rate was not kept: 90000000/s were due"), "{}", ended.said);
    assert_eq!(ended.results["failures"][0], "rate_not_kept");
    assert_eq!(ended.results["open_loop"]["kept"], false);
    assert_eq!(ended.faults(), []);
}
