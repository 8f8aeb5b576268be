//! What is told of mistakes: all of them at once, each with its place, its key and what to do.

use super::{environment, file, flag, load};
use crate::config::Sources;

/// Each expected line is the beginning of what is told, in its order.
#[track_caller]
fn check(sources: Sources, expect: &[&str]) {
    let told = load(sources).expect_err("there is a mistake").to_string();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), expect.len(), "{told}");
    for (line, expect) in lines.iter().zip(expect) {
        assert!(line.starts_with(expect), "told:     {line}\nexpected: {expect}");
    }
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_with_line_and_column() {
    let text = "\
[limits]
packet_bytes_max = \"1 MiB\"
max_connections = 5
connect_timeout_secs = 0
queue_bytes_max = -1

[sesion]
queue_qos0 = true

[log]
level = 'loud'
format = true
  threads = 3

[[listener]]
address = \"broker.example:1883\"
connections_max = 'many'
";
    check(
        file(text),
        &[
            "whimbrel.toml:2:20: limits.packet_bytes_max: \"1 MiB\" is not allowed here; allowed is an \
             integer from 64 to 268_435_460 (bytes)",
            "whimbrel.toml:3:1: limits.max_connections: there is no such key; did you mean connections_max?",
            "whimbrel.toml:4:24: limits.connect_timeout_secs: 0 is not allowed here; allowed is an \
             integer from 1 to 3600 (seconds)",
            "whimbrel.toml:5:19: limits.queue_bytes_max: -1 is not allowed here; allowed is an integer \
             from 1024 to ",
            "whimbrel.toml:7:2: sesion: there is no such section; did you mean session?",
            "whimbrel.toml:11:9: log.level: 'loud' is not allowed here; allowed is \"off\", \"error\"",
            "whimbrel.toml:12:10: log.format: true is not allowed here; allowed is \"human\" or \"json\"",
            "whimbrel.toml:13:3: log.threads: there is no such key; did you mean worker.threads?",
            "whimbrel.toml:16:11: listener.address: \"broker.example:1883\" is not allowed here; allowed \
             is an IP address",
            "whimbrel.toml:17:19: listener.connections_max: 'many' is not allowed here; allowed is \
             \"auto\" or an integer",
        ],
    );
}

#[test]
fn mistakes_of_file_environment_and_flags_are_told_together() {
    let mut sources = file("[worker]\nthreads = 0\n");
    sources.environment =
        environment(&[("WHIMBREL_LIMITS_PACKET_BYTES", "1024"), ("WHIMBREL_SESSION_QUEUE_QOS0", "yes")])
            .environment;
    sources.flags.push(flag("limits.connections_max", "-4"));
    check(
        sources,
        &[
            "whimbrel.toml:2:11: worker.threads: 0 is not allowed here; allowed is \"auto\" or an integer \
             from 1 to 1024",
            "environment WHIMBREL_LIMITS_PACKET_BYTES: there is no such setting; did you mean \
             WHIMBREL_LIMITS_PACKET_BYTES_MAX?",
            "environment WHIMBREL_SESSION_QUEUE_QOS0: session.queue_qos0: \"yes\" is not allowed here; \
             allowed is true or false",
            "flag --connections-max: limits.connections_max: \"-4\" is not allowed here; allowed is \
             \"auto\" or an integer",
        ],
    );
}

#[test]
fn a_file_that_is_not_toml_tells_every_place_and_nothing_that_only_follows_from_it() {
    let text = "\
[limits]
packet_bytes_max =
receive_maximum = 0
receive_maximum = 5
[worker
threads = 2
[authentication]
password_file = passwords
[[listener]]
address = '0.0.0.0:1883'
";
    check(
        file(text),
        &[
            "whimbrel.toml:2:19: this is not TOML: ",
            "whimbrel.toml:3:19: limits.receive_maximum: 0 is not allowed here",
            "whimbrel.toml:4:1: this is not TOML: duplicate key",
            "whimbrel.toml:5:8: this is not TOML: ",
            "whimbrel.toml:8:17: this is not TOML: ",
        ],
    );
}

#[test]
fn a_key_outside_of_its_section_tells_the_section() {
    check(
        file("packet_bytes_max = 1024\n"),
        &["whimbrel.toml:1:1: packet_bytes_max: there is no such section; did you mean packet_bytes_max \
             in the section [limits]?"],
    );
}

#[test]
fn a_section_of_another_shape_tells_the_right_one() {
    check(file("limits = 3\n"), &["whimbrel.toml:1:10: limits: this is a section"]);
    check(file("[[limits]]\n"), &["whimbrel.toml:1:1: limits: this is a section"]);
    check(file("[listener]\n"), &["whimbrel.toml:1:1: listener: there can be several listeners"]);
    check(file("listener = [3]\n"), &["whimbrel.toml:1:13: listener: there can be several listeners"]);
}

#[test]
fn a_listener_that_others_reach_and_nobody_guards_is_refused() {
    let open = "[[listener]]\nname = \"house\"\naddress = \"0.0.0.0:1883\"\n";
    check(
        file(open),
        &["whimbrel.toml:3:11: listener.address: other machines can reach 0.0.0.0:1883, and nobody is \
             asked for a \
           password there, so the broker does not start. Make a password file with `whimbrel passwd` and \
           name it in \
           authentication.password_file; or listen on localhost; or, if everybody who reaches the address \
           may read and write everything, set danger_allow_anonymous_on_network = true"],
    );
    let mut sources = Sources::default();
    sources.flags.push(flag("listener.address", "[::]:1883"));
    check(sources, &["flag --listen: listener.address: other machines can reach [::]:1883"]);
    let variable = ("WHIMBREL_LISTENER_1_ADDRESS", "192.0.2.1:1883");
    check(
        environment(&[variable]),
        &["environment WHIMBREL_LISTENER_1_ADDRESS: listener.address: other machines"],
    );

    let guarded = |beside: &str| load(file(&format!("{open}{beside}"))).is_ok();
    assert!(guarded("danger_allow_anonymous_on_network = true"));
    assert!(guarded("[authentication]\npassword_file = \"passwords\""));
    assert!(guarded("authentication = \"password_file\"\n[authentication]\npassword_file = \"passwords\""));
    assert!(!guarded("authentication = \"anonymous\"\n[authentication]\npassword_file = \"passwords\""));
    assert!(!guarded("[authentication]\nmethod = \"anonymous\"\npassword_file = \"passwords\""));
}

#[test]
fn asking_for_passwords_without_a_file_is_refused_where_it_was_asked() {
    check(
        file("[authentication]\nmethod = \"password_file\"\n"),
        &["whimbrel.toml:2:10: authentication.method: clients must give a password, but there is no file"],
    );
    check(
        file("[[listener]]\nauthentication = \"password_file\"\n"),
        &["whimbrel.toml:2:18: listener.authentication: clients must give a password, but there is no file"],
    );
}

#[test]
fn a_way_to_find_out_who_may_connect_that_is_never_asked_is_refused() {
    let with_file = |text: &str| file(&format!("{text}\n[authentication]\npassword_file = \"passwords\"\n"));
    check(
        with_file("[[listener]]\nauthentication = [\"anonymous\", \"password_file\"]"),
        &[
            "whimbrel.toml:2:18: listener.authentication: password_file is never asked, since anonymous stands in \
           front of it and leaves nobody to it; put anonymous behind it",
        ],
    );
    check(
        with_file("[[listener]]\nauthentication = [\"password_file\", \"password_file\"]"),
        &["whimbrel.toml:2:18: listener.authentication: password_file stands there twice"],
    );
    check(
        file("[authentication]\nmethod = [\"anonymous\", \"anonymous\"]\n"),
        &["whimbrel.toml:2:10: authentication.method: anonymous stands there twice"],
    );
    check(
        with_file("[[listener]]\nauthentication = [\"certificate\", \"password_file\"]"),
        &[
            "whimbrel.toml:2:18: listener.authentication: this counts only if identity names a part of the certificate",
        ],
    );
    check(
        file("[[listener]]\nauthentication = [\"password\"]\n"),
        &[
            "whimbrel.toml:2:18: listener.authentication: [\"password\"] is not allowed here; allowed is \"auto\" or \
           \"anonymous\" or \"certificate\" or \"password_file\" or \"token\", or several in []",
        ],
    );
    check(
        file("[[listener]]\nauthentication = []\n"),
        &["whimbrel.toml:2:18: listener.authentication: [] is not"],
    );
}

#[test]
fn tokens_without_keys_or_with_algorithms_that_their_keys_cannot_have_are_refused() {
    let refused = |text: &str, expect: &str| check(file(&format!("[[token]]\n{text}\n")), &[expect]);
    refused(
        "issuer = 'a'",
        "whimbrel.toml:1:1: token.jwks_url: nothing says by which keys the tokens are verified",
    );
    refused(
        "keys_file = 'a'\nsecret_file = 'b'",
        "whimbrel.toml:3:15: token.secret_file: this counts only if the keys do not come from somewhere else",
    );
    refused(
        "keys_file = 'a'\nalgorithms = ['RS256', 'HS256']",
        "whimbrel.toml:3:14: token.algorithms: HS256 needs a secret (secret_file), and public keys are named here",
    );
    refused(
        "secret_file = 'a'\nalgorithms = 'ES256'",
        "whimbrel.toml:3:14: token.algorithms: ES256 needs a public key, and secret_file names a secret",
    );
    for wrong in ["none", "ES512", "ES256K", "rs256", "A128GCM"] {
        let told = format!(
            "whimbrel.toml:3:14: token.algorithms: '{wrong}' is not allowed here; allowed is \"RS256\""
        );
        refused(&format!("keys_file = 'a'\nalgorithms = '{wrong}'"), &told);
    }
    refused(
        "keys_file = 'a'\njwks_pause_secs = 1",
        "whimbrel.toml:3:19: token.jwks_pause_secs: this counts only if",
    );
    refused(
        "jwks_url = 'http://id.example/'",
        "whimbrel.toml:2:12: token.jwks_url: 'http://id.example/' is not allowed",
    );
    refused(
        "keys_file = 'a'\n[[token]]\nkeys_file = 'b'",
        "whimbrel.toml:3:1: token.issuer: another [[token]] is about this issuer already",
    );
    check(
        file("[[listener]]\nauthentication = ['token']\n"),
        &[
            "whimbrel.toml:2:18: listener.authentication: clients must give a token, but nothing says whose are good",
        ],
    );
    check(
        file(
            "[authentication]\nmethod = ['password_file', 'token']\npassword_file = 'p'\n[[token]]\nkeys_file = 'a'\n",
        ),
        &[
            "whimbrel.toml:2:10: authentication.method: token is never asked, since password_file stands in front of it",
        ],
    );
    check(
        file("[token]\nkeys_file = 'a'\n"),
        &["whimbrel.toml:1:1: token: there can be several tokens; write [[token]]"],
    );
    check(
        environment(&[("WHIMBREL_TOKEN_2_KEYS_FILE", "a")]),
        &[
            "environment WHIMBREL_TOKEN_2_KEYS_FILE: there is no such token; there are 0 before the environment",
        ],
    );
}

#[test]
fn two_listeners_cannot_have_one_address() {
    let check_pair = |one: &str, other: &str, expect: bool| {
        let danger = "danger_allow_anonymous_on_network = true";
        let text =
            format!("[[listener]]\n{danger}\naddress = {one}\n[[listener]]\n{danger}\naddress = {other}\n");
        match expect {
            true => check(file(&text), &["whimbrel.toml:6:11: listener.address: the listener on "]),
            false => assert!(load(file(&text)).is_ok(), "{one} and {other}"),
        }
    };
    check_pair("\"127.0.0.1:1883\"", "\"127.0.0.1:1883\"", true);
    check_pair("\"0.0.0.0:1883\"", "\"127.0.0.1:1883\"", true);
    check_pair("\"127.0.0.1:1883\"", "\"[::]:1883\"", true);
    check_pair("\"[::]:1883\"", "\"0.0.0.0:1883\"", true);
    check_pair("\"localhost:1883\"", "\"[::1]:1883\"", true);
    check_pair("\"[::]:1883\"\nipv6_only = true", "\"0.0.0.0:1883\"", false);
    check_pair("\"0.0.0.0:1883\"", "\"[::1]:1883\"", false);
    check_pair("\"127.0.0.1:1883\"", "\"127.0.0.1:1884\"", false);
    check_pair("\"127.0.0.1:0\"", "\"127.0.0.1:0\"", false);
}

#[test]
fn two_listeners_cannot_have_one_name() {
    let text = "[[listener]]\nname = \"a\"\n[[listener]]\naddress = \"127.0.0.1:1\"\nname = \"a\"\n";
    check(file(text), &["whimbrel.toml:5:8: listener.name: another listener has this name already"]);
}

#[test]
fn a_line_that_the_parser_does_not_understand_is_told_once_and_with_its_place() {
    check(file("[log]\n-....=1\nlevel = 'warn'\n"), &["whimbrel.toml:2:3: this is not TOML: "]);
    // For this mistake the parser has no place.
    let deep = format!("[log]\nlevel = 'info'\n{}b = 1\n", "a.".repeat(200));
    check(file(&deep), &["whimbrel.toml:3:1: this is not TOML: recursion limit"]);
}

/// The listener that a variable adds has the default address, which is taken; the variable is where that comes from.
#[test]
fn a_mistake_in_a_listener_of_the_environment_is_told_with_its_variable() {
    let told =
        "environment WHIMBREL_LISTENER_2_NAME: listener.address: the listener on localhost:1883 has this";
    check(environment(&[("WHIMBREL_LISTENER_1_NAME", "one"), ("WHIMBREL_LISTENER_2_NAME", "two")]), &[told]);
}

#[test]
fn a_second_listener_without_an_address_is_told_at_its_table() {
    let told = "whimbrel.toml:3:1: listener.address: the listener on localhost:1883 has this address already";
    check(file("[[listener]]\nname = \"a\"\n[[listener]]\nname = \"b\"\n"), &[told]);
}

#[test]
fn a_soft_limit_above_the_hard_one_is_told_where_it_was_written() {
    let both = "limits.link_soft_bytes: 2_000_000 is above limits.link_hard_bytes, which is 1_048_576";
    check(file("[limits]\nlink_soft_bytes = 2_000_000\n"), &[&format!("whimbrel.toml:2:19: {both}")]);
    check(
        file("[limits]\nlink_hard_bytes = 60_000\n"),
        &["whimbrel.toml:2:19: limits.link_soft_bytes: 65_536 is above limits.link_hard_bytes, which is \
             60_000"],
    );
}

#[test]
fn what_follows_from_a_refused_value_is_not_told() {
    check(
        file("[[listener]]\naddress = \"0.0.0.0:1883\"\n[authentication]\npassword_file = \"\"\n"),
        &["whimbrel.toml:4:17: authentication.password_file: \"\" is not allowed here; allowed is the \
             path of a file"],
    );
    check(
        file("[authentication]\nmethod = \"password_file\"\npassword_file = 3\n"),
        &["whimbrel.toml:3:17: authentication.password_file: 3 is not allowed here"],
    );
}

#[test]
fn a_variable_of_a_listener_that_is_not_the_next_is_refused() {
    check(
        environment(&[("WHIMBREL_LISTENER_3_ADDRESS", "127.0.0.1:1")]),
        &["environment WHIMBREL_LISTENER_3_ADDRESS: there is no such listener; there are 0 before the \
             environment is read, and the next is WHIMBREL_LISTENER_1_…"],
    );
    check(
        environment(&[
            ("WHIMBREL_LISTENER_0_ADDRESS", "127.0.0.1:1"),
            ("WHIMBREL_LISTENER_ADDRESS", "127.0.0.1:1"),
        ]),
        &[
            "environment WHIMBREL_LISTENER_0_ADDRESS: there is no such setting; did you mean \
             WHIMBREL_LISTENER_1_ADDRESS?",
            "environment WHIMBREL_LISTENER_ADDRESS: there is no such setting; did you mean \
             WHIMBREL_LISTENER_1_ADDRESS?",
        ],
    );
}

#[test]
fn variables_that_are_not_about_the_configuration_are_left_alone() {
    let others = [
        ("WHIMBREL_CONFIG", "x"),
        ("WHIMBREL_PORT", "tcp://10.0.0.1:1883"),
        ("WHIMBREL_SERVICE_HOST", "10.0.0.1"),
        ("WHIMBREL_SESSION_SERVICE_HOST", "10.0.0.1"),
        ("WHIMBREL_LOG_PORT_80_TCP", "tcp://10.0.0.1:80"),
    ];
    assert!(load(environment(&others)).is_ok());
}

#[test]
fn a_long_value_is_told_in_part() {
    let text = format!("log.level = \"{}\"\n", "loud".repeat(100));
    let told = load(file(&text)).expect_err("there is a mistake").to_string();
    assert!(told.len() < 300 && told.contains("loudlou… is not allowed here"), "{told}");
}

#[test]
fn tls_that_cannot_be_spoken_is_told_at_its_key() {
    let check_listener =
        |lines: &str, expect: &[&str]| check(file(&format!("[[listener]]\n{lines}")), expect);
    check_listener(
        "protocol = 'mqtts'\n",
        &["whimbrel.toml:2:12: listener.protocol: TLS needs a certificate and its key"],
    );
    check_listener(
        "protocol = 'mqtts'\ncertificate = ['a.pem', 'b.pem']\nkey = 'a.key'\n",
        &["whimbrel.toml:4:7: listener.key: there are 2 certificates and 1 keys"],
    );
    check_listener(
        "certificate = 'a.pem'\ntls_version_min = '1.3'\n",
        &[
            "whimbrel.toml:2:15: listener.certificate: this counts only if protocol is \"mqtts\"",
            "whimbrel.toml:3:19: listener.tls_version_min: this counts only if protocol is \"mqtts\"",
        ],
    );
    let pair = "protocol = 'mqtts'\ncertificate = 'a.pem'\nkey = 'a.key'\n";
    check_listener(
        &format!("{pair}client_certificates = 'required'\n"),
        &["whimbrel.toml:5:23: listener.client_certificates: this counts only if client_ca names"],
    );
    check_listener(
        &format!("{pair}crl = 'clients.crl'\nidentity = 'subject'\n"),
        &[
            "whimbrel.toml:5:7: listener.crl: this counts only if client_certificates is \"optional\"",
            "whimbrel.toml:6:12: listener.identity: this counts only if client_certificates is",
        ],
    );
    check_listener(
        &format!("{pair}client_certificates = 'optional'\nclient_ca = 'ca.pem'\nidentity_as = 'client_id'\n"),
        &["whimbrel.toml:7:15: listener.identity_as: this counts only if identity names a part"],
    );
    check_listener(
        &format!("{pair}handshake_timeout_secs = 0\ncertificate = []\n"),
        &[
            "whimbrel.toml:5:26: listener.handshake_timeout_secs: 0 is not",
            "whimbrel.toml:6:1: this is not TOML",
        ],
    );
}

#[test]
fn what_is_for_websocket_alone_is_told_where_it_changes_nothing() {
    let check_listener =
        |lines: &str, expect: &[&str]| check(file(&format!("[[listener]]\n{lines}")), expect);
    check_listener(
        "path = '/else'\norigins = '*'\nhandshake_timeout_secs = 5\n",
        &[
            "whimbrel.toml:2:8: listener.path: this counts only if protocol is \"ws\" or \"wss\"",
            "whimbrel.toml:3:11: listener.origins: this counts only if protocol is \"ws\" or \"wss\"",
            "whimbrel.toml:4:26: listener.handshake_timeout_secs: this counts only if protocol is not \"mqtt\", or",
        ],
    );
    check_listener(
        "protocol = 'ws'\npath = 'else'\norigins = ['https://app.example/']\nproxy_trusted = '10.0.0.1/8'\n",
        &[
            "whimbrel.toml:3:8: listener.path: 'else' is not allowed here; allowed is the path of a URL",
            "whimbrel.toml:4:11: listener.origins: ",
            "whimbrel.toml:5:17: listener.proxy_trusted: '10.0.0.1/8' is not allowed here; allowed is an IP address",
        ],
    );
    check_listener(
        "protocol = 'wss'\n",
        &["whimbrel.toml:2:12: listener.protocol: TLS needs a certificate and its key"],
    );
}

#[test]
fn a_listener_for_certificates_needs_no_password_on_the_network() {
    let text = |clients: &str| {
        file(&format!(
            "[[listener]]\naddress = '0.0.0.0:8883'\nprotocol = 'mqtts'\ncertificate = 'a.pem'\nkey = 'a.key'\n\
             client_ca = 'ca.pem'\nclient_certificates = '{clients}'\n"
        ))
    };
    assert!(load(text("required")).is_ok());
    check(text("optional"), &["whimbrel.toml:2:11: listener.address: other machines can reach"]);
}
