//! The scenarios run over every transport that there is, and tell what was resumed.

use std::path::Path;

use super::bench_in;
use super::broker::{Running, serving};
use crate::it::program::run;

const CONFIGURATION: &str = r#"
[[listener]]
name = "tls"
address = "127.0.0.1:0"
protocol = "mqtts"
certificate = "c/server.pem"
key = "c/server.key"
client_certificates = "optional"
client_ca = "c/ca.pem"
identity = "common_name"

[[listener]]
name = "wss"
address = "127.0.0.1:0"
protocol = "wss"
certificate = "c/server.pem"
key = "c/server.key"
path = "/house"

[[listener]]
name = "ws"
address = "127.0.0.1:0"
protocol = "ws"

[[listener]]
address = "unix:broker.sock"

[store]
durability = "memory"

[worker]
threads = 1
"#;

/// The broker, and its addresses as they are dialled.
fn start(folder: &Path) -> (Running, Vec<String>) {
    let made = run(folder, &["cert", "dev", "c"], &[]);
    assert_eq!(made.code, 0, "{}", made.err);
    let (broker, places) = serving(folder, CONFIGURATION, 4);
    let places = places.iter().zip(["mqtts://", "wss://", "ws://", ""]);
    (broker, places.map(|(place, scheme)| format!("{scheme}{place}")).collect())
}

#[test]
fn every_scenario_runs_over_every_transport() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let (broker, places) = start(folder.path());
    let pid = broker.pid();
    for place in &places {
        for scenario in [
            &["p2p", "--pairs", "5", "--count", "50", "--batch", "4"][..],
            &["p2p", "--pairs", "3", "--count", "20", "--qos", "2", "--size", "20-70000"],
            &["fan-out", "--subscribers", "10", "--count", "20", "--qos", "1"],
            &["p2p", "--pairs", "5", "--rate", "500", "--count", "10"],
            &["idle", "-n", "20", "--duration", "100ms"],
            &["offline", "--sessions", "3", "--messages", "20"],
            &["connect", "-n", "5", "--warmup", "50ms", "--duration", "200ms"],
        ] {
            let mut line = [scenario, &["-L", place, "--pid", &pid]].concat();
            if ["mqtts", "wss"].iter().any(|scheme| place.starts_with(scheme)) {
                line.extend(["--cafile", "c/ca.pem"]);
            }
            if place.starts_with("wss") {
                line.extend(["--ws-path", "/house"]);
            }
            let ended = bench_in(folder.path(), &line);
            assert_eq!((ended.code, ended.faults()), (0, vec![]), "{line:?}: {}", ended.said);
        }
    }
}

#[test]
fn whoever_connects_again_resumes_unless_told_not_to() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let (_broker, places) = start(folder.path());
    for version in ["1.2", "1.3"] {
        for (resume, least, most) in [(&[][..], 50.0, 100.0), (&["--no-resume"], 0.0, 0.0)] {
            let line = ["connect", "-n", "4", "--warmup", "100ms", "--duration", "300ms", "-L", &places[0]];
            let of_tls =
                ["--cafile", "c/ca.pem", "--cert", "c/client.pem", "--key", "c/client.key", "--tls-version"];
            let line = [&line[..], &of_tls, &[version], resume].concat();
            let ended = bench_in(folder.path(), &line);
            assert_eq!((ended.code, ended.faults()), (0, vec![]), "{line:?}: {}", ended.said);
            let share = ended.number("/figures/tls_resumed/value");
            assert!((least..=most).contains(&share), "{line:?}: {share} %");
        }
    }
}

#[test]
fn a_broker_that_is_not_trusted_is_a_failure_with_the_reason() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let (_broker, places) = start(folder.path());
    let other = run(folder.path(), &["cert", "dev", "other"], &[]);
    assert_eq!(other.code, 0, "{}", other.err);
    let line = ["p2p", "-n", "1", "--count", "1", "-L", &places[0], "--cafile", "other/ca.pem"];
    let ended = bench_in(folder.path(), &line);
    assert_eq!(ended.code, 1);
    assert!(ended.said.contains("certificate"), "{}", ended.said);
    let ended = bench_in(folder.path(), &["p2p", "-n", "1", "-L", &places[2], "--cafile", "c/ca.pem"]);
    assert_eq!((ended.code, ended.said.contains("ws:// is without TLS")), (2, true), "{}", ended.said);
}

#[test]
fn a_crowd_comes_back_with_its_sessions() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let (broker, places) = start(folder.path());
    for place in [&places[0], &places[2], &places[3]] {
        let pid = broker.pid();
        let mut line = vec!["storm", "-n", "100", "-L", place, "--pid", &pid];
        if place.starts_with("mqtts") {
            line.extend(["--cafile", "c/ca.pem"]);
        }
        let ended = bench_in(folder.path(), &line);
        assert_eq!((ended.code, ended.faults()), (0, vec![]), "{line:?}: {}", ended.said);
        assert_eq!(ended.number("/whole_run/delivered"), 100.0, "{}", ended.said);
        assert!(ended.number("/figures/all_back/value") > 0.0);
    }
}
