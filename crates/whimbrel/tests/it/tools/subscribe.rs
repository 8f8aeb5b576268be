//! `whimbrel sub`: what is written, how, and what ends it.

use super::command::{Broker, code_of, misuse};

/// A broker with some retained messages.
fn broker() -> Broker {
    let broker = Broker::start();
    for (topic, payload) in [("a/1", "one"), ("a/2", "{\"b\": [1, 2.50]}"), ("c", "")] {
        broker.publish(&["-t", topic, "-m", payload, "-r", "-q", "1"]).expect("");
    }
    broker
}

#[test]
fn the_forms_of_output() {
    let broker = broker();
    let check = |flags: &[&str], out: &str| {
        let said = broker.subscribe(&[&["-C", "1", "-q", "1"], flags].concat());
        said.expect(out);
    };
    check(&["-t", "a/1"], "one\n");
    check(&["-t", "a/1", "-v"], "a/1 one\n");
    check(&["-t", "a/1", "-N"], "one");
    check(&["-t", "a/1", "--output", "hex"], "6f6e65\n");
    check(&["-t", "a/1", "--output", "hex", "-v"], "a/1 6f6e65\n");
    check(
        &["-t", "a/2", "--output", "pretty"],
        "a/2 (QoS 1, retained)\n  {\n    \"b\": [\n      1,\n      2.50\n    ]\n  }\n",
    );
    check(&["-t", "a/1", "-F", "%t|%p|%q|%r|%l|%5l|%X|%%|@@\\t."], "a/1|one|1|1|3|    3|6F6E65|%|@\t.\n");
    check(&["-t", "a/1", "-F", "%t", "-N", "-v"], "a/1");
}

#[test]
fn json_lines() {
    let broker = broker();
    let said = broker.subscribe(&["-t", "a/2", "-q", "1", "-C", "1", "--output", "json"]);
    let by_format = broker.subscribe(&["-t", "a/2", "-q", "1", "-C", "1", "-F", "%j"]);
    for text in [said.out(), by_format.out()] {
        let value: serde_json::Value = serde_json::from_str(text).expect("one object");
        assert_eq!(text.lines().count(), 1);
        assert_eq!(value["topic"], "a/2");
        assert_eq!((&value["qos"], &value["retain"]), (&1.into(), &1.into()));
        assert_eq!(value["payload"], "{\"b\": [1, 2.50]}");
        assert!(value["tst"].as_str().is_some_and(|time| time.contains('T')));
    }
    let raw = broker.subscribe(&["-t", "a/2", "-C", "1", "-F", "%J"]);
    assert!(raw.out().ends_with("\"payload\":{\"b\":[1,2.50]}}\n"), "{}", raw.out());
    let pretty = broker.subscribe(&["-t", "a/2", "-C", "1", "-F", "%J", "--pretty"]);
    assert!(pretty.out().starts_with("{\n  \"tst\": "), "{}", pretty.out());
    let no_json = broker.subscribe(&["-t", "a/1", "-C", "1", "-F", "%J"]);
    assert_eq!((no_json.code, no_json.out()), (0, "\n"));
    assert!(no_json.err.contains("no JSON: topic a/1"), "{}", no_json.err);
}

#[test]
fn what_is_not_wanted_is_not_written() {
    let broker = broker();
    let out = |flags: &[&str]| broker.subscribe(flags);
    out(&["-t", "a/+", "-T", "a/1", "-C", "1"]).expect("{\"b\": [1, 2.50]}\n");
    let mut subscriber = broker.subscriber(&["-t", "a/+", "-R", "-C", "1", "-d"]).start();
    subscriber.wait_for("subscribed to a/+");
    broker.publish(&["-t", "a/1", "-m", "new", "-r"]).expect("");
    assert_eq!(subscriber.finish().out(), "new\n");
    // The first message that is not retained ends it.
    let mut subscriber = broker.subscriber(&["-t", "a/+", "--retained-only", "-v", "-d"]).start();
    assert_eq!(
        (subscriber.line().as_str(), subscriber.line().as_str()),
        ("a/1 new", "a/2 {\"b\": [1, 2.50]}")
    );
    subscriber.wait_for("subscribed to a/+");
    broker.publish(&["-t", "a/3", "-m", "x"]).expect("");
    let said = subscriber.finish();
    assert_eq!((said.code, said.out()), (0, ""));
}

#[test]
fn retained_messages_can_be_removed() {
    let broker = broker();
    let said = broker.subscribe(&["-t", "a/+", "--remove-retained", "-T", "a/2", "-C", "1"]);
    said.expect("one\n");
    broker.subscribe(&["-t", "a/+", "-C", "1"]).expect("{\"b\": [1, 2.50]}\n");
}

#[test]
fn the_options_of_5_0_reach_the_broker() {
    let broker = broker();
    let mut subscriber =
        broker.subscriber(&["-t", "a/1", "--retain-as-published", "-F", "%r", "-C", "2", "-d"]).start();
    subscriber.wait_for("subscribed to a/1");
    broker.publish(&["-t", "a/1", "-m", "x", "-r"]).expect("");
    assert_eq!(subscriber.finish().out(), "1\n1\n");
    let said = broker.subscribe(&["-t", "a/1", "--retain-handling", "never", "-W", "1"]);
    said.expect_failure(27, "the time of -W is over");
}

#[test]
fn a_time_out_is_27_and_quiet_is_quiet() {
    let broker = Broker::start();
    let said = broker.subscribe(&["-t", "nothing", "-W", "1"]);
    said.expect_failure(27, "time");
    let said = broker.subscribe(&["-t", "nothing", "-W", "1", "--quiet"]);
    assert_eq!((said.code, said.err.as_str()), (27, ""));
}

#[test]
fn a_reader_that_has_enough_ends_it_quietly() {
    let broker = Broker::start();
    let mut subscriber = broker.subscriber(&["-t", "t", "-d"]).start();
    subscriber.wait_for("subscribed to t");
    broker.publish(&["-t", "t", "-m", "first"]).expect("");
    assert_eq!(subscriber.line(), "first");
    let child = subscriber.close_output();
    broker.publish(&["-t", "t", "-m", "second"]).expect("");
    assert_eq!(code_of(child), Some(0));
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_in_order_and_the_will_stays_unpublished() {
    use rustix::process::Signal;
    for signal in [Signal::INT, Signal::TERM] {
        let broker = Broker::start();
        let will = ["-t", "t", "-d", "--will-topic", "will", "--will-payload", "gone", "--will-retain"];
        let mut subscriber = broker.subscriber(&will).start();
        subscriber.wait_for("subscribed to t");
        subscriber.signal(signal);
        let said = subscriber.finish();
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(said.err.contains("sent kind=Disconnect"), "{}", said.err);
        broker.publish(&["-t", "after", "-m", "x", "-r"]).expect("");
        broker.subscribe(&["-t", "#", "-C", "1", "-v"]).expect("after x\n");
    }
}

#[cfg(unix)]
#[test]
fn a_killed_subscriber_leaves_its_will() {
    let broker = Broker::start();
    let mut watcher =
        broker.subscriber(&["-t", "will", "-C", "1", "-F", "%t %p %q", "-q", "1", "-d"]).start();
    watcher.wait_for("subscribed to will");
    let will = ["-t", "t", "-d", "--will-topic", "will", "--will-payload", "gone", "--will-qos", "1"];
    let mut subscriber = broker.subscriber(&will).start();
    subscriber.wait_for("subscribed to t");
    subscriber.signal(rustix::process::Signal::KILL);
    assert_eq!(watcher.finish().out(), "will gone 1\n");
}

#[test]
fn a_full_disk_is_a_failure() {
    #[cfg(target_os = "linux")]
    {
        let broker = broker();
        let address = broker.address();
        let (host, port) = address.split_once(':').unwrap();
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_whimbrel"))
            .args(["sub", "-h", host, "-p", port, "-t", "a/1", "-C", "1", "-W", "60"])
            .stdout(full)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8(output.stderr).unwrap().contains("standard output cannot be written"));
    }
}

#[test]
fn what_is_wrong_on_the_command_line_ends_with_2() {
    let check = |arguments: &[&str], part: &str| {
        let output = misuse(arguments);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {err}");
        assert!(err.contains(part), "{arguments:?}: {err}");
    };
    check(&["sub"], "--topic");
    check(&["sub", "-t", "a#"], "-t a#");
    check(&["sub", "-t", "a", "-T", "a#"], "-T a#");
    check(&["sub", "-t", "a", "-U", "a#"], "-U a#");
    check(&["sub", "-t", "a", "-F", "%k"], "knows no `%k`");
    check(&["sub", "-t", "a", "-F", "@i"], "@i");
    check(&["sub", "-t", "a", "-F", "%t", "--output", "json"], "cannot be used with");
    check(&["sub", "-t", "a", "-R", "--retained-only"], "cannot be used with");
    check(&["sub", "-t", "a", "-C", "0"], "-C");
    check(&["sub", "-t", "a", "-W", "0"], "-W");
    check(&["sub", "-t", "a", "-V", "311", "--retain-as-published"], "protocol version 5");
    check(&["sub", "-L", "mqtt://host"], "a topic is missing");
}
