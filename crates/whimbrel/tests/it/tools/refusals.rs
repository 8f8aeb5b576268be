//! Servers that refuse, and what the tools say then: on standard error, and by their exit code.

use super::{
    command::{Broker, Tool},
    script::Script,
};

/// `bob` with the password `open sesame`, as `mosquitto_passwd` writes it.
const BOB: &str = "bob:$7$101$UWcdaga1Wq91wxLZ$AjDlRtBHeJjN6TnkUcpp8XzpM9moaI4bxDskO1OovV2Ox6xymyg8OARTDhXzT7LhTC7Y2Bk8n6uNXQZmtyO0cA==";

fn guarded() -> (tempfile::TempDir, Broker) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users");
    std::fs::write(&file, format!("{BOB}\n")).unwrap();
    let broker = Broker::start_with(&["--password-file", file.to_str().unwrap()]);
    (folder, broker)
}

#[test]
fn a_password_comes_from_the_command_line_a_file_the_environment_or_a_url() {
    let (folder, broker) = guarded();
    let file = folder.path().join("password");
    std::fs::write(&file, "open sesame\n").unwrap();
    let send = ["-t", "t", "-m", "x", "-u", "bob"];
    let with = |flags: &[&str]| broker.publisher(&[&send[..], flags].concat());
    with(&["-P", "open sesame"]).run(b"").expect("");
    with(&["--password-file", file.to_str().unwrap()]).run(b"").expect("");
    with(&[]).environment("WHIMBREL_PASSWORD", "open sesame").run(b"").expect("");
    let url = format!("mqtt://bob:open%20sesame@{}/t", broker.address());
    Tool::bare(&["pub", "-L", &url, "-m", "x"]).run(b"").expect("");
    // The nearest wins.
    let nearest = with(&["-P", "open sesame"]).environment("WHIMBREL_PASSWORD", "wrong");
    nearest.run(b"").expect("");
}

#[test]
fn a_password_is_proved_by_scram_instead_of_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (file, password) = (folder.path().join("users"), folder.path().join("password"));
    std::fs::write(&password, "open sesame\n").unwrap();
    let (file, password) = (file.to_str().unwrap(), password.to_str().unwrap());
    for (user, scram) in [("anna", "--scram"), ("ben", "--scram=sha-512"), ("carl", "")] {
        let flags: Vec<&str> = ["passwd", file, user, "--password-file", password, scram]
            .into_iter()
            .filter(|flag| !flag.is_empty())
            .collect();
        assert_eq!(Tool::bare(&flags).run(b"").code, 0);
    }
    let broker = Broker::start_with(&["--password-file", file]);
    let with = |user: &str, password: &str, method: &str| {
        broker.publish(&["-t", "t", "-m", "x", "-u", user, "-P", password, "--auth", method])
    };
    with("anna", "open sesame", "scram-sha-256").expect("");
    with("ben", "open sesame", "SCRAM-SHA-512").expect("");
    let refused = "the server refused the connection";
    with("anna", "wrong", "scram-sha-256").expect_failure(134, refused);
    with("anna", "open sesame", "scram-sha-512").expect_failure(134, refused);
    with("carl", "open sesame", "scram-sha-256").expect_failure(134, refused);
    broker
        .subscribe(&["-t", "t", "-E", "-u", "anna", "-P", "open sesame", "--auth", "scram-sha-256"])
        .expect("");
    let misused = |flags: &[&str]| broker.publish(&[&["-t", "t", "-m", "x"], flags].concat()).code;
    assert_eq!(misused(&["-u", "anna", "-P", "x", "--auth", "scram-sha-1"]), 2);
    assert_eq!(misused(&["-u", "anna", "-P", "x", "--auth", "scram-sha-256", "-V", "311"]), 2);
    assert_eq!(misused(&["-u", "anna", "--auth", "scram-sha-256"]), 2);
}

#[test]
fn a_refused_connection_has_the_code_of_its_version() {
    let (_folder, broker) = guarded();
    let user = ["-u", "bob", "-P", "wrong"];
    for tool in ["pub", "sub"] {
        let what = if tool == "pub" { &["-t", "t", "-m", "x"][..] } else { &["-t", "t", "-W", "60"] };
        for (version, code) in [("5", 134), ("311", 4), ("31", 4)] {
            let flags = [what, &user, &["-V", version]].concat();
            let said = if tool == "pub" { broker.publish(&flags) } else { broker.subscribe(&flags) };
            said.expect_failure(code, "the server refused the connection");
        }
    }
    let said = broker.publish(&["-t", "t", "-m", "x", "-u", "bob", "-P", "wrong", "--quiet"]);
    assert_eq!((said.code, said.err.as_str()), (134, ""));
}

#[test]
fn a_server_that_is_not_there_is_1() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (tool, flags) in [("pub", &["-t", "t", "-m", "x"][..]), ("sub", &["-t", "t"])] {
        Tool::at(tool, nobody, flags).run(b"").expect_failure(1, "is a server listening there?");
    }
}

#[test]
fn a_server_of_another_version_brings_a_hint() {
    let script = Script::start(|server| {
        server.read();
        server.send(&[0x20, 3, 0, 0x84, 0]);
    });
    script.publisher(&["-t", "t", "-m", "x"]).run(b"").expect_failure(0x84, "try -V 311");
    script.finish();
}

#[test]
fn a_refused_message_is_a_failure_with_its_reason() {
    for qos in ["1", "2"] {
        let script = Script::start(move |server| {
            server.read();
            server.send(&[0x20, 3, 0, 0, 0]);
            server.read();
            let kind = if qos == "1" { 0x40 } else { 0x50 };
            // Not authorized, with the server's words.
            server.send(&[kind, 10, 0, 1, 0x87, 6, 0x1f, 0, 3, b'n', b'o', b'!']);
            server.read();
        });
        let said = script.publisher(&["-t", "t", "-m", "x", "-q", qos]).run(b"");
        said.expect_failure(0x87, "the server refused the message: Not authorized (no!)");
        script.finish();
    }
}

#[test]
fn refused_subscriptions_are_named_and_only_if_all_are_refused_it_ends() {
    let granting = |reasons: [u8; 2]| {
        Script::start(move |server| {
            server.read();
            server.send(&[0x20, 3, 0, 0, 0]);
            let subscribe = server.read();
            server.send(&[0x90, 5, subscribe[2], subscribe[3], 0, reasons[0], reasons[1]]);
            server.send(&[0x30, 5, 0, 1, b'a', 0, b'x']);
            server.read();
        })
    };
    let script = granting([0x87, 0]);
    let said = script.subscriber(&["-t", "no", "-t", "a", "-C", "1"]).run(b"");
    assert_eq!((said.code, said.out()), (0, "x\n"));
    assert!(said.err.contains("refused the subscription to no: Not authorized"), "{}", said.err);
    script.finish();
    let script = granting([0x87, 0x97]);
    let said = script.subscriber(&["-t", "no", "-t", "a"]).run(b"");
    assert_eq!(said.code, 0x87);
    assert!(said.err.contains("to no: Not authorized") && said.err.contains("to a: Quota exceeded"));
    script.finish();
}

#[test]
fn a_connection_that_is_lost_is_7_for_one_message() {
    let script = Script::start(|server| {
        server.read();
        server.send(&[0x20, 3, 0, 0, 0]);
        server.read();
    });
    let said = script.publisher(&["-t", "t", "-m", "x", "-q", "1"]).run(b"");
    said.expect_failure(7, "closed the connection without a word");
    script.finish();
}

#[test]
fn a_server_that_ends_the_connection_for_good_gives_its_reason() {
    let script = Script::start(|server| {
        server.read();
        server.send(&[0x20, 3, 0, 0, 0]);
        let subscribe = server.read();
        server.send(&[0x90, 4, subscribe[2], subscribe[3], 0, 0]);
        // Session taken over.
        server.send(&[0xe0, 1, 0x8e]);
    });
    let said = script.subscriber(&["-t", "t"]).run(b"");
    said.expect_failure(0x8e, "the server ended the connection: Session taken over");
    script.finish();
}

#[test]
fn a_listener_comes_back_after_a_loss() {
    let script = Script::start(|server| {
        for message in [b'1', b'2'] {
            server.read();
            server.send(&[0x20, 3, 0, 0, 0]);
            let subscribe = server.read();
            server.send(&[0x90, 4, subscribe[2], subscribe[3], 0, 0]);
            server.send(&[0x30, 5, 0, 1, b't', 0, message]);
            if message == b'1' {
                server.next_connection();
            }
        }
        server.read();
    });
    let said = script.subscriber(&["-t", "t", "-C", "2"]).run(b"");
    assert_eq!((said.code, said.out()), (0, "1\n2\n"));
    assert!(said.err.contains("trying again in"), "{}", said.err);
    script.finish();
}
