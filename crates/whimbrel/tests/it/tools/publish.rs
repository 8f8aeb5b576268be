//! `whimbrel pub`: where messages come from, and how often they are sent. What arrives is seen by `whimbrel sub`.

use super::command::{Broker, misuse};

/// Retained, so that it does not matter who is first: what was published last is what a subscriber gets.
fn arrives(flags: &[&str], input: &[u8]) -> Vec<u8> {
    let broker = Broker::start();
    let said = broker.publisher(&[&["-t", "t", "-r", "-q", "1"], flags].concat()).run(input);
    said.expect("");
    let received = broker.subscribe(&["-t", "t", "-C", "1", "-N"]);
    assert_eq!(received.code, 0, "{}", received.err);
    received.bytes
}

#[test]
fn a_message_comes_from_the_command_line_a_file_or_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"of a\0file\n").unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(arrives(&["-m", "text"], b""), b"text");
    assert_eq!(arrives(&["-m", "-5"], b""), b"-5");
    assert_eq!(arrives(&["-f", file], b""), b"of a\0file\n");
    assert_eq!(arrives(&["-s"], b"all\nof it\xff"), b"all\nof it\xff");
    assert_eq!(arrives(&["-l"], b"a\nb\nlast"), b"last");
    assert_eq!(arrives(&["-m", "text", "-q", "2"], b""), b"text");
    assert_eq!(arrives(&["-m", "text", "-V", "31"], b""), b"text");
    assert_eq!(arrives(&["-m", "text", "-V", "311"], b""), b"text");
}

#[test]
fn an_empty_message_deletes_the_retained_one() {
    let broker = Broker::start();
    broker.publish(&["-t", "a", "-m", "x", "-r"]).expect("");
    broker.publish(&["-t", "b", "-m", "y", "-r"]).expect("");
    broker.publish(&["-t", "a", "-n", "-r"]).expect("");
    broker.subscribe(&["-t", "#", "-C", "1", "-v"]).expect("b y\n");
}

#[test]
fn lines_arrive_each_and_in_order() {
    let broker = Broker::start();
    let mut subscriber = broker.subscriber(&["-t", "t", "-q", "2", "-C", "500", "-d"]).start();
    subscriber.wait_for("subscribed to t");
    let lines: String = (0..500).map(|number| format!("line {number}\n")).collect();
    broker.publisher(&["-t", "t", "-l", "-q", "2"]).run(lines.as_bytes()).expect("");
    let said = subscriber.finish();
    assert_eq!((said.code, said.out()), (0, lines.as_str()));
}

#[test]
fn repeat_sends_again_after_the_delay() {
    let broker = Broker::start();
    let mut subscriber = broker.subscriber(&["-t", "t", "-q", "1", "-C", "3", "-d"]).start();
    subscriber.wait_for("subscribed to t");
    let repeat = ["-t", "t", "-m", "x", "-q", "1", "--repeat", "3", "--repeat-delay", "0.01"];
    broker.publish(&repeat).expect("");
    let said = subscriber.finish();
    assert_eq!((said.code, said.out()), (0, "x\nx\nx\n"));
}

#[test]
fn a_url_names_server_and_topic() {
    let broker = Broker::start();
    let url = format!("mqtt://{}/by/url", broker.address());
    broker.publish(&["-t", "other", "-m", "x", "-r"]).expect("");
    let said = super::command::Tool::bare(&["pub", "-L", &url, "-m", "x", "-r"]).run(b"");
    said.expect("");
    broker.subscribe(&["-t", "by/#", "-C", "1", "-v"]).expect("by/url x\n");
    let said = super::command::Tool::bare(&["sub", "-L", &url, "-C", "1", "-v", "-W", "60"]).run(b"");
    said.expect("by/url x\n");
}

#[cfg(unix)]
#[test]
fn an_interrupted_publisher_parts_in_order_and_says_so_by_its_code() {
    let broker = Broker::start();
    let mut publisher = broker.publisher(&["-t", "t", "-l", "-d"]).start();
    publisher.wait_for("connected as");
    publisher.signal(rustix::process::Signal::INT);
    publisher.wait_for("sent kind=Disconnect");
    assert_eq!(publisher.finish().code, 130);
}

#[test]
fn what_is_wrong_on_the_command_line_ends_with_2_before_anything_is_sent() {
    let check = |arguments: &[&str], part: &str| {
        let output = misuse(arguments);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {err}");
        assert!(err.contains(part), "{arguments:?}: {err}");
    };
    check(&["pub", "-t", "t"], "--message");
    check(&["pub", "-m", "x"], "--topic");
    check(&["pub", "-t", "t", "-m", "x", "-n"], "cannot be used with");
    check(&["pub", "-t", "t/#", "-m", "x"], "wildcard");
    check(&["pub", "-t", "t", "-f", "/nonexistent/file"], "/nonexistent/file");
    check(&["pub", "-t", "t", "-l", "--repeat", "2"], "cannot be used with");
    check(&["pub", "-t", "t", "-m", "x", "-q", "3"], "0, 1 and 2");
    check(&["pub", "-t", "t", "-m", "x", "-V", "4"], "5, 311 and 31");
    check(&["pub", "-t", "t", "-m", "x", "-V", "311", "-x", "5"], "-x needs protocol version 5");
    check(&["pub", "-t", "t", "-m", "x", "-c"], "client identifier");
    check(&["pub", "-t", "t", "-m", "x", "-i", "a", "-I", "b"], "cannot be used with");
    check(&["pub", "-t", "t", "-m", "x", "-L", "http://h/t"], "http://");
    check(&["pub", "-t", "t", "-m", "x", "-L", "mqtt://h/t", "--tls"], "is without TLS");
    check(&["pub", "-t", "t", "-m", "x", "--will-payload", "p"], "--will-topic");
    check(&["pub", "-t", "t", "-m", "x", "-P", "a", "--password-file", "b"], "cannot be used with");
    check(&["pub", "-t", "t", "-m", "x", "--password-file", "/nonexistent"], "/nonexistent");
    // What does not exist yet is unknown, not ignored.
    for flag in ["--insecure", "--psk", "--proxy", "--unix", "--ws"] {
        check(&["pub", "-t", "t", "-m", "x", flag, "y"], "unexpected argument");
    }
    for flag in ["-A", "-M", "-S", "--nodelay"] {
        check(&["pub", "-t", "t", "-m", "x", flag], "unexpected argument");
    }
}

#[test]
fn help_is_two_dashes_and_the_last_of_two_equal_flags_holds() {
    for tool in ["pub", "sub"] {
        let output = misuse(&[tool, "--help"]);
        assert_eq!(output.status.code(), Some(0));
        let help = String::from_utf8(output.stdout).unwrap();
        for part in ["WHIMBREL_PASSWORD", "Exit codes:", "-h, --host", "processes sees it"] {
            assert!(help.contains(part), "{tool}: {part}");
        }
    }
    let broker = Broker::start();
    broker.publish(&["-t", "a", "-t", "b", "-m", "x", "-m", "y", "-r"]).expect("");
    broker.subscribe(&["-t", "#", "-C", "1", "-v"]).expect("b y\n");
}
