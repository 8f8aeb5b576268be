//! Every scenario runs against the broker and finds nothing wrong; wrong options are refused.

use super::bench;
use super::broker::Broker;
use crate::it::program::run;

#[track_caller]
fn check(arguments: &[&str]) {
    let broker = Broker::start();
    for version in ["3.1.1", "5"] {
        let pid = broker.pid();
        let mut line = arguments.to_vec();
        line.extend(["--protocol", version, "--pid", &pid]);
        let ended = bench(broker.address, &line);
        assert_eq!((ended.code, ended.faults()), (0, vec![]), "{line:?}: {}", ended.said);
        assert_eq!(ended.results["scenario"], arguments[0]);
        assert!(ended.number("/broker/rss_bytes") > 0.0);
    }
}

const SHORT: [&str; 4] = ["--warmup", "100ms", "--duration", "300ms"];

#[track_caller]
fn check_short(arguments: &[&str]) {
    check(&[arguments, &SHORT].concat());
}

#[test]
fn messages_reach_whom_they_are_for() {
    for qos in ["0", "1", "2"] {
        check(&["p2p", "--pairs", "5", "--count", "200", "--batch", "4", "--qos", qos]);
        check(&["fan-in", "--publishers", "5", "--count", "50", "--window", "3", "--qos", qos]);
        check(&["fan-out", "--subscribers", "20", "--count", "50", "--qos", qos, "--size", "16-90"]);
        check(&[
            "shared",
            "--publishers",
            "5",
            "--groups",
            "2",
            "--members",
            "3",
            "--count",
            "50",
            "--qos",
            qos,
        ]);
        check(&[
            "match",
            "--filters",
            "900",
            "--per-client",
            "100",
            "--publishers",
            "3",
            "--count",
            "400",
            "--qos",
            qos,
        ]);
    }
    check(&["mixed", "--scale", "3", "--count", "30"]);
    // Looking seldom loses nothing.
    check(&["p2p", "--pairs", "5", "--count", "20", "--gather", "2ms"]);
}

#[test]
fn an_open_loop_may_have_messages_due_together() {
    let broker = Broker::start();
    let pid = broker.pid();
    for scenario in ["p2p", "fan-in", "fan-out", "shared"] {
        let line = [scenario, "--rate", "500", "--count", "5", "--gather", "20ms", "--pid", &pid];
        let ended = bench(broker.address, &line);
        assert_eq!((ended.code, ended.faults()), (0, vec![]), "{scenario}: {}", ended.said);
        // What the clock costs is told where the generator comes out above the broker, and only there.
        let above = ended.number("/generator/cpu_seconds") > ended.number("/broker/cpu_seconds");
        let told = ended.results["generator_napping_us_per_message"].is_number();
        assert_eq!(told, above, "{scenario}: {}", ended.said);
        assert_eq!(ended.said.contains("it sleeps until a message is due"), above, "{}", ended.said);
    }
}

#[test]
fn several_threads_account_for_everything_together() {
    for scenario in ["p2p", "fan-in", "fan-out", "shared"] {
        check(&[scenario, "--threads", "3", "--count", "20"]);
    }
    let broker = Broker::start();
    let line = ["p2p", "--threads", "2", "--rate", "2000", "--count", "20", "--pairs", "10"];
    let ended = bench(broker.address, &line);
    // A machine that is busy with other things may make it late, but loses nothing.
    assert_eq!((ended.faults(), ended.number("/whole_run/delivered")), (vec![], 200.0));
}

#[test]
fn a_time_is_measured_after_the_warm_up() {
    check_short(&["p2p", "--pairs", "5"]);
    check_short(&["connect", "--clients", "5"]);
    check_short(&["connect", "--clients", "5", "--rate", "20"]);
    check_short(&["retained", "--messages", "200", "--subscribers", "2"]);
    check_short(&["retained", "--messages", "200", "--leave"]);
}

#[test]
fn connections_stay_and_sessions_return() {
    check(&["idle", "--connections", "30", "--subscribe", "--duration", "200ms", "--source", "127.0.0.2-4"]);
    check(&["offline", "--sessions", "5", "--messages", "50"]);
    check(&["offline", "--sessions", "5", "--messages", "50", "--qos", "2"]);
    check(&["offline", "--sessions", "5", "--messages", "50", "--rate", "2000", "--leave"]);
}

#[test]
fn a_broker_that_is_not_there_is_a_failure_and_no_result() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let ended = bench(gone.expect("the system has a port"), &["p2p", "--count", "1"]);
    assert_eq!(ended.code, 1);
    assert!(ended.said.contains("p2p: connecting: bench-"), "{}", ended.said);
    assert!(ended.said.contains("nobody listens on 127.0.0.1:"), "{}", ended.said);
    assert!(ended.results.is_null());
}

#[test]
fn wrong_options_end_with_2() {
    let check = |arguments: &[&str], expect: &str| {
        let line = [&["bench"], arguments].concat();
        let said = run(std::path::Path::new("."), &line, &[]);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{}", said.err);
        assert!(said.err.contains(expect), "{}", said.err);
    };
    check(&["p2p", "--batch", "8", "--window", "4"], "never has room for a batch of 8");
    check(&["p2p", "--size", "15"], "take 16 bytes");
    check(&["p2p", "--rate", "1", "--window", "4"], "cannot be used with");
    check(&["p2p", "--count", "1", "--duration", "1s"], "cannot be used with");
    check(&["p2p", "--topic", "a/+/%i"], "topic \"a/+/0\"");
    check(&["fan-in", "--topic", "a/x%i"], "%i must be a level of its own");
    check(&["idle", "-n", "1000001"], "1000001 is not in 1..=1000000");
    check(&["p2p", "--pid", "4294967295"], "--pid 4294967295: ");
    let ourselves = std::process::id().to_string();
    check(&["p2p", "--pid", &ourselves], "the generator itself is among its children");
    check(&["p2p", "--client-id", "a%i"], "would have the client id \"a0\"");
    check(&["p2p", "--host", "127.0.0.1:1883"], "the port goes to --port");
    check(&["p2p", "--protocol", "3.1.1", "--password", "x"], "a password without a user name");
    check(&["p2p", "--json", "/no/such/folder/x"], "/no/such/folder/x cannot be written");
    check(&["p2p", "--gather", "1s"], "--gather is 100 ms at most");
}

#[test]
fn results_are_written_in_every_form_and_a_report_shows_them_side_by_side() {
    let broker = Broker::start();
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    for (label, file) in [("one", "a.json"), ("<two>", "b.json")] {
        let (json, port) = (path(file), broker.address.port().to_string());
        let mut line = vec!["bench", "p2p", "--pairs", "3", "--quiet", "--label", label];
        line.extend(["--port", &port, "--json", &json, "--histogram", "h.hlog", "--plot", "p.svg"]);
        line.extend(SHORT);
        let said = run(folder.path(), &line, &[]);
        assert_eq!((said.code, said.err.as_str()), (0, ""));
        assert!(said.out.contains("all right: "), "{}", said.out);
    }
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("the file is there");
    let log = read("h.hlog");
    assert!(log.starts_with("#[Histogram log format version 1.3]\n") && log.contains(",HISTF"), "{log}");
    let plot = read("p.svg");
    assert!(plot.starts_with("<svg ") && plot.contains(">p99.9</text>"), "{plot}");
    let said = run(folder.path(), &["bench", "report", "a.json", "b.json", "-o", "r.html"], &[]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let page = read("r.html");
    assert!(page.contains("<th>one<br>p2p</th><th>&lt;two&gt;<br>p2p</th>"), "{page}");
    assert_eq!(page.matches("<svg ").count(), 2);
    let said = run(folder.path(), &["bench", "report", "h.hlog"], &[]);
    assert_eq!(said.code, 2);
}

#[test]
fn persistent_sessions_get_everything_and_publishers_are_told_how_long_they_waited() {
    let broker = Broker::start();
    for (qos, version) in [("1", "3.1.1"), ("1", "5"), ("2", "5")] {
        let line = ["p2p", "--pairs", "4", "--persistent", "--qos", qos, "--protocol", version];
        let ended = bench(broker.address, &[&line[..], &["--rate", "1000"], &SHORT].concat());
        assert_eq!((ended.code, ended.faults()), (0, vec![]), "{}", ended.said);
        assert_eq!(ended.number("/acknowledgement/count"), ended.number("/latency/count"));
        assert!(ended.number("/acknowledgement/p99_us") > 0.0);
    }
    let ended = bench(broker.address, &[&["p2p", "--pairs", "1"][..], &SHORT].concat());
    assert!(ended.results["acknowledgement"].is_null(), "nobody answers at QoS 0");
}
