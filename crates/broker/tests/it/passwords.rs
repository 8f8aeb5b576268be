//! Who may connect by a password file; what a verification costs everybody else.

use std::{io::Write, path::PathBuf};

use tempfile::NamedTempFile;
use whimbrel_broker::{
    auth::Argon2id,
    config::{Auto, Config, Listener, Method},
};
use whimbrel_testkit::{Packet, Version, v5, v311};

use super::{
    client::Client,
    running::{Running, loopback, start_with},
};

/// A line of Mosquitto's kind whose verification takes some hundredths of a second, and that no password fits.
const SLOW: &str = "slow:$7$40000$c2FsdHNhbHRzYWx0$YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5emFiY2RlZmdoaWprbA==";

struct Passwords {
    running: Running,
    _file: NamedTempFile,
}

/// The first listener asks for passwords, the second for nothing; one worker has both.
fn passwords(change: impl FnOnce(&mut Config)) -> Passwords {
    let mut file = NamedTempFile::new().unwrap();
    let hash = Argon2id::create(b"right", [7; whimbrel_broker::auth::SALT_BYTES]);
    writeln!(file, "anna:{hash}\n{SLOW}").unwrap();
    let path: PathBuf = file.path().into();
    let running = start_with(|config| {
        config.worker.threads = Auto::Set(1);
        config.authentication.password_file = Some(path);
        config.listeners =
            vec![loopback(), Listener { authentication: Auto::Set(Method::Anonymous.into()), ..loopback() }];
        change(config);
    });
    Passwords { running, _file: file }
}

#[test]
fn the_right_password_lets_in_and_every_other_answer_is_refused() {
    let Passwords { running, _file } = passwords(|_| {});
    let v5_codes = [
        (v5("c").user_name("anna").password("right"), 0x00),
        (v5("c").user_name("anna").password("wrong"), 0x86),
        (v5("c").user_name("anna").password(""), 0x86),
        (v5("c").user_name("anna"), 0x86),
        (v5("c").user_name("nobody").password("right"), 0x86),
        (v5("c"), 0x87),
        (v5("c").password("right"), 0x87),
    ];
    for (connect, expected) in v5_codes {
        let what = format!("{:?} {:?}", connect.user_name, connect.password);
        let mut client = running.open(Version::V5);
        assert_eq!(client.connect(connect).code, expected, "{what}");
        if expected == 0 {
            client.ping();
        } else {
            assert!(client.is_closed(), "{what}");
        }
    }
    let v311_codes = [
        (v311("c").user_name("anna").password("right"), 0),
        (v311("c").user_name("anna").password("wrong"), 4),
        (v311("c"), 5),
    ];
    for (connect, expected) in v311_codes {
        assert_eq!(running.open(Version::V311).connect(connect).code, expected);
    }
}

#[test]
fn a_listener_without_passwords_asks_for_none() {
    let Passwords { running, _file } = passwords(|_| {});
    let mut client = Client::open(running.addresses[1], Version::V5);
    assert_eq!(client.connect(v5("c").user_name("anna").password("wrong")).code, 0);
}

#[test]
fn behind_the_passwords_only_who_gives_none_is_asked_otherwise() {
    let Passwords { running, _file } = passwords(|config| {
        let chain = [Method::PasswordFile, Method::Anonymous].into_iter().collect();
        config.listeners[0].authentication = Auto::Set(chain);
    });
    for (connect, expected) in [
        (v5("c"), 0),
        (v5("c").user_name("anna").password("right"), 0),
        (v5("c").user_name("anna").password("wrong"), 0x86),
        (v5("c").user_name("anna"), 0x86),
        (v5("c").user_name("nobody").password("right"), 0x86),
        (v5("c").user_name(""), 0x86),
        (v5("c").password("right"), 0x87),
    ] {
        let what = format!("{:?} {:?}", connect.user_name, connect.password);
        assert_eq!(running.open(Version::V5).connect(connect).code, expected, "{what}");
    }
}

#[test]
fn the_worker_goes_on_while_passwords_are_verified() {
    let Passwords { running, _file } =
        passwords(|config| config.authentication.verifications_at_once_max = Auto::Set(1));
    let mut other = Client::open(running.addresses[1], Version::V5);
    assert_eq!(other.connect(v5("other")).code, 0);
    let mut waiting: Vec<_> = (0..10).map(|_| running.open(Version::V5)).collect();
    for (number, client) in waiting.iter_mut().enumerate() {
        let connect = v5(&format!("c{number}")).user_name("slow").password("wrong");
        client.send(Packet::Connect(Box::new(connect)));
    }
    // The hashes stand in a row, one after the other; the last cannot be done before a ping is answered.
    other.ping();
    let mut last = waiting.pop().unwrap();
    last.stream().set_nonblocking(true).unwrap();
    let nothing = last.stream().peek(&mut [0]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock, "the ping waited for ten hashes");
    last.stream().set_nonblocking(false).unwrap();
    for client in waiting.iter_mut().chain([&mut last]) {
        assert_eq!(client.connack().code, 0x86);
    }
}

#[test]
fn who_finds_too_many_waiting_is_told_that_the_server_is_busy() {
    let Passwords { running, _file } = passwords(|config| {
        config.authentication.verifications_at_once_max = Auto::Set(1);
        config.authentication.verifications_waiting_max = 1;
    });
    let mut clients: Vec<_> = (0..10).map(|_| running.open(Version::V5)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let connect = v5(&format!("c{number}")).user_name("slow").password("wrong");
        client.send(Packet::Connect(Box::new(connect)));
    }
    let codes: Vec<u8> = clients.iter_mut().map(|client| client.connack().code).collect();
    let count = |code| codes.iter().filter(|&&one| one == code).count();
    assert!(count(0x89) >= 5 && count(0x86) >= 1, "{codes:02X?}");
    assert_eq!(count(0x89) + count(0x86), 10, "{codes:02X?}");
    let mut anna = running.open(Version::V5);
    assert_eq!(anna.connect(v5("anna").user_name("anna").password("right")).code, 0, "later there is room");
}

#[test]
fn who_leaves_while_its_password_is_verified_costs_no_place() {
    let Passwords { running, _file } = passwords(|config| config.limits.connections_max = Auto::Set(8));
    for round in 0..3 {
        for number in 0..4 {
            let mut client = running.open(Version::V5);
            let connect = v5(&format!("c{round}-{number}")).user_name("slow").password("wrong");
            client.send(Packet::Connect(Box::new(connect)));
        }
        let mut anna = running.open(Version::V5);
        assert_eq!(anna.connect(v5("anna").user_name("anna").password("right")).code, 0, "round {round}");
    }
}
