//! Attacks on passwords, through a real broker.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use tempfile::NamedTempFile;
use whimbrel_broker::{
    auth::{Argon2id, SALT_BYTES},
    config::{Auto, Config},
    control::Tries,
};
use whimbrel_engine::Count;
use whimbrel_testkit::{Packet, Version, v5};

use super::{
    client::Client,
    control::ask,
    running::{Running, start_with},
};

struct Guarded {
    running: Running,
    _file: NamedTempFile,
}

/// anna and ben have passwords; a refusal comes at once, and five are heard of a user at an address.
fn guarded(change: impl FnOnce(&mut Config)) -> Guarded {
    let mut file = NamedTempFile::new().unwrap();
    let hash = Argon2id::create(b"right", [7; SALT_BYTES]);
    writeln!(file, "anna:{hash}\nben:{hash}").unwrap();
    let running = start_with(|config| {
        config.authentication.password_file = Some(file.path().into());
        (config.guard.refusal_millis, config.guard.tries_user_at_address) = (0, 5);
        change(config);
    });
    Guarded { running, _file: file }
}

impl Guarded {
    /// The code that the broker answers to this user from this address.
    fn code(&self, from: &str, user: &str, password: &str) -> u8 {
        let mut client = Client::open_from(from, self.running.addresses[0], Version::V5);
        client.connect(v5("c").user_name(user).password(password)).code
    }

    fn guesses(&self, from: &str, user: &str, number: usize) {
        for guess in 0..number {
            assert_eq!(self.code(from, user, &format!("guess {guess}")), 0x86);
        }
    }

    fn unheard(&self) -> [u64; 3] {
        [Count::LoginsUserAtAddress, Count::LoginsAddress, Count::LoginsUser]
            .map(|count| self.running.count(count))
    }
}

#[test]
fn guesses_beyond_the_budget_are_not_looked_at_and_hear_what_wrong_ones_hear() {
    let guarded = guarded(|_| {});
    guarded.guesses("127.0.0.1", "anna", 5);
    assert_eq!(guarded.code("127.0.0.1", "anna", "right"), 0x86, "nobody listens any more");
    guarded.guesses("127.0.0.1", "anna", 20);
    assert_eq!((guarded.running.count(Count::LoginsWrong), guarded.unheard()), (5, [21, 0, 0]));
    // The user itself, elsewhere, and others there are not concerned.
    assert_eq!(guarded.code("127.0.0.2", "anna", "right"), 0);
    assert_eq!(guarded.code("127.0.0.1", "ben", "right"), 0);
    let status = ask(guarded.running.broker().control().status());
    let Tries { wrong, unheard } = status.logins.users_at_addresses;
    assert_eq!((wrong.now, wrong.max, unheard), (1, 65_536, 1));
    assert_eq!(status.logins.known.now, 2);
    assert_eq!(status.counts.get("logins_unheard_user_at_address"), Some(&21));
}

#[test]
fn many_names_from_one_address_and_many_addresses_at_one_name_find_an_end() {
    let guarded = guarded(|config| {
        (config.guard.tries_address, config.guard.tries_user) = (7, 9);
    });
    assert_eq!(guarded.code("127.0.0.1", "ben", "right"), 0);
    for number in 0..10 {
        assert_eq!(guarded.code("127.0.0.1", &format!("nobody {number}"), "guess"), 0x86);
    }
    assert_eq!(guarded.unheard(), [0, 3, 0]);
    assert_eq!(guarded.code("127.0.0.1", "anna", "right"), 0x86, "she was never there");
    assert_eq!(guarded.code("127.0.0.1", "ben", "right"), 0, "he was");
    for number in 0..20 {
        assert_eq!(guarded.code(&format!("127.0.1.{number}"), "ben", "guess"), 0x86);
    }
    assert_eq!(guarded.unheard(), [0, 4, 11]);
    assert_eq!(guarded.code("127.0.0.1", "ben", "right"), 0, "who only knows his name cannot keep him out");
    assert_eq!(guarded.code("127.0.2.1", "ben", "right"), 0x86, "at a new address he has to wait his turn");
}

#[test]
fn a_refusal_takes_as_long_whether_somebody_has_looked_or_not() {
    let guarded = guarded(|config| config.guard.refusal_millis = 300);
    for guess in 0..7 {
        let begin = Instant::now();
        assert_eq!(guarded.code("127.0.0.1", "anna", &format!("guess {guess}")), 0x86);
        assert!(begin.elapsed() >= Duration::from_millis(300), "guess {guess}");
    }
    assert_eq!(guarded.unheard(), [2, 0, 0]);
    let mut client = Client::open(guarded.running.addresses[0], Version::V5);
    // While it waits to hear that it is refused a client may go; its place is free then.
    client.send(Packet::Connect(Box::new(v5("c").user_name("anna").password("guess"))));
    drop(client);
    guarded.running.wait_until("it is gone", |engine| engine.connected() == 0);
}

#[test]
fn a_fleet_with_one_name_comes_in_at_once_from_one_address() {
    let guarded = guarded(|config| config.authentication.verifications_at_once_max = Auto::Set(1));
    let mut fleet: Vec<Client> = (0..100).map(|_| guarded.running.open(Version::V5)).collect();
    for (number, client) in fleet.iter_mut().enumerate() {
        let connect = v5(&format!("lamp-{number}")).user_name("anna").password("right");
        client.send(Packet::Connect(Box::new(connect)));
    }
    for client in &mut fleet {
        assert_eq!(client.connack().code, 0);
    }
    assert_eq!(guarded.unheard(), [0; 3]);
}

#[test]
fn what_nobody_listens_to_takes_no_place_among_the_verifications() {
    // A verification at once and one that waits: what is looked at beyond is told that the server is busy.
    let guarded = guarded(|config| {
        config.authentication.verifications_at_once_max = Auto::Set(1);
        config.authentication.verifications_waiting_max = 1;
    });
    guarded.guesses("127.0.0.1", "anna", 5);
    let mut flood: Vec<Client> = (0..50).map(|_| guarded.running.open(Version::V5)).collect();
    for client in &mut flood {
        client.send(Packet::Connect(Box::new(v5("c").user_name("anna").password("guess"))));
    }
    assert_eq!(guarded.code("127.0.0.2", "ben", "right"), 0);
    assert!(flood.iter_mut().all(|client| client.connack().code == 0x86));
    assert_eq!((guarded.running.count(Count::LoginsWrong), guarded.unheard()), (5, [50, 0, 0]));
}
