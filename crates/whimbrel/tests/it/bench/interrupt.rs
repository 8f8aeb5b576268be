//! What ends a run early, with the results until then: Ctrl-C, and a broker that is no more.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::broker::Broker;

fn interrupt(broker: &Broker, arguments: &[&str], stage: &str) -> (Option<i32>, Value, String) {
    run_until(broker.address, arguments, stage, |child| {
        kill_process(Pid::from_child(child), Signal::INT).expect("it runs");
    })
}

/// Runs a scenario without an end of its own, does something when it says `stage`, and returns its exit code, results
/// and what it said.
#[track_caller]
fn run_until(
    address: SocketAddr,
    arguments: &[&str],
    stage: &str,
    act: impl FnOnce(&Child),
) -> (Option<i32>, Value, String) {
    let port = address.port().to_string();
    let mut child: Child = Command::new(env!("CARGO_BIN_EXE_whimbrel"))
        .arg("bench")
        .args(arguments)
        .args(["--port", &port, "--json", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut err = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut said = String::new();
    while !said.ends_with(&format!("{stage}\n")) {
        assert!(err.read_line(&mut said).expect("UTF-8") > 0, "{said}");
    }
    act(&child);
    err.read_to_string(&mut said).expect("UTF-8");
    let mut out = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut out).expect("UTF-8");
    (child.wait().expect("it ends").code(), serde_json::from_str(&out).unwrap_or_default(), said)
}

#[test]
fn an_interrupted_run_tells_what_it_has_found() {
    let broker = Broker::start();
    for arguments in [
        &["p2p", "--pairs", "3", "--duration", "1h"][..],
        &["p2p", "--pairs", "3", "--duration", "1h", "--rate", "500", "--qos", "2", "--threads", "2"],
        &["p2p", "--pairs", "3", "--count", "1000000000", "--time-limit", "1h"],
        &["connect", "--clients", "3", "--duration", "1h"],
        &["retained", "--messages", "50", "--subscribers", "1", "--duration", "1h"],
    ] {
        let (code, results, said) = interrupt(&broker, arguments, "measure");
        assert_eq!(code, Some(130), "{arguments:?}: {said}");
        assert_eq!((&results["interrupted"], &results["all_right"]), (&true.into(), &true.into()), "{said}");
        assert!(results["measured"]["seconds"].as_f64().is_some_and(|seconds| seconds < 600.0), "{said}");
        assert!(said.contains("ended early by the user"), "{said}");
    }
    let (code, results, _) = interrupt(&broker, &["idle", "--connections", "5", "--duration", "1h"], "hold");
    assert_eq!((code, &results["interrupted"]), (Some(130), &true.into()));
}

#[test]
fn a_run_that_has_measured_nothing_has_no_results() {
    let broker = Broker::start();
    let (code, results, said) = interrupt(&broker, &["p2p", "--pairs", "3", "--warmup", "1h"], "warm up");
    assert_eq!((code, results.is_null()), (Some(130), true), "{said}");
    assert!(said.ends_with("whimbrel: p2p: interrupted before anything was measured\n"), "{said}");
}

#[test]
fn a_broker_that_ends_ends_the_run() {
    for arguments in [
        &["p2p", "--pairs", "3", "--duration", "1h"][..],
        &["p2p", "--pairs", "3", "--duration", "1h", "--rate", "500", "--qos", "1", "--threads", "2"],
        &["p2p", "--pairs", "3", "--count", "1000000000", "--time-limit", "1h"],
        &["retained", "--messages", "50", "--subscribers", "1", "--duration", "1h"],
    ] {
        let broker = Broker::start();
        let (address, pid) = (broker.address, broker.pid());
        let arguments = [arguments, &["--pid", &pid]].concat();
        let (code, results, said) = run_until(address, &arguments, "measure", |_| drop(broker));
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert_eq!(results["interrupted"], false, "{said}");
        assert!(results["whole_run"]["faults"]["broken"].as_u64().is_some_and(|broken| broken > 0), "{said}");
        for note in ["ended early: no connection was left", "the process of --pid ended meanwhile"] {
            assert!(said.contains(note), "{arguments:?}: {said}");
        }
    }
    let broker = Broker::start();
    let arguments = ["p2p", "--pairs", "3", "--warmup", "1h"];
    let (code, results, said) = run_until(broker.address, &arguments, "warm up", |_| drop(broker));
    assert_eq!((code, results.is_null()), (Some(1), true), "{said}");
    assert!(said.contains("all connections broke before anything was measured; the first: "), "{said}");
}
