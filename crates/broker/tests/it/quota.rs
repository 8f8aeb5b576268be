//! Quotas and the rules of client identifiers, through a real broker.

use std::{io::Write, time::Instant};

use tempfile::NamedTempFile;
use whimbrel_broker::{
    auth::{Argon2id, SALT_BYTES},
    config::{Auto, Characters, Config, Listener},
};
use whimbrel_engine::Count;
use whimbrel_testkit::{QoS1, Version, publish, v5, v311};

use super::{
    client::Client,
    running::{Running, loopback, start_with},
};

fn with_users(change: impl FnOnce(&mut Config)) -> (Running, NamedTempFile) {
    let mut file = NamedTempFile::new().unwrap();
    let hash = Argon2id::create(b"right", [7; SALT_BYTES]);
    writeln!(file, "anna:{hash}\nben:{hash}").unwrap();
    let running = start_with(|config| {
        config.authentication.password_file = Some(file.path().into());
        change(config);
    });
    (running, file)
}

fn code(running: &Running, id: &str, user: &str) -> (Client, u8) {
    let mut client = running.open(Version::V5);
    let code = client.connect(v5(id).user_name(user).password("right")).code;
    (client, code)
}

#[test]
fn who_sends_faster_than_its_quota_is_read_from_more_slowly_and_loses_nothing() {
    let running = start_with(|config| {
        config.quota.messages_per_sec = 50;
        config.listeners = vec![loopback(), Listener { messages_per_sec: Auto::Set(0), ..loopback() }];
    });
    let mut reader = Client::open(running.addresses[1], Version::V5);
    assert_eq!(reader.connect(v5("reader")).code, 0);
    reader.subscribe("t/#", QoS1);
    let mut fast = running.connect(v5("fast").keep_alive(1));
    let begin = Instant::now();
    // A second's worth is saved up, the other hundred take two seconds: longer than one and a half keep-alives.
    for number in 0..150 {
        fast.publish(publish("t/fast", number.to_string()).at(QoS1, number + 1));
        if number % 10 == 0 {
            fast.ping(); // So that they do not come all with one read.
        }
    }
    for number in 0..150 {
        assert_eq!(reader.taken().payload, number.to_string().into_bytes());
        assert!(fast.puback(number + 1) < 0x80);
    }
    assert!(begin.elapsed().as_millis() >= 1_500, "{:?}", begin.elapsed());
    assert!(running.count(Count::QuotaRests) > 0);
    fast.ping();
    // The other listener sets no bound.
    let rests = running.count(Count::QuotaRests);
    for number in 0..500 {
        reader.say("other", &number.to_string());
    }
    reader.ping();
    assert_eq!(running.count(Count::QuotaRests), rests);
}

#[test]
fn a_user_has_as_many_connections_as_it_may_and_a_client_its_own_place() {
    let (running, _file) = with_users(|config| config.quota.user_connections = 2);
    let (_one, first) = code(&running, "one", "anna");
    let (two, second) = code(&running, "two", "anna");
    let (_, third) = code(&running, "three", "anna");
    let (_ben, other) = code(&running, "four", "ben");
    assert_eq!((first, second, third, other), (0, 0, 0x97, 0));
    let (_again, again) = code(&running, "one", "anna");
    assert_eq!(again, 0, "it takes its own place");
    drop(two);
    running.wait_until("two are left", |engine| engine.connected() == 2);
    running.wait_until("one more may come", |_| code(&running, "three", "anna").1 == 0);
    assert!(running.count(Count::UserConnectionsLimit) >= 1);
}

#[test]
fn a_client_identifier_belongs_to_the_user_whose_name_is_in_it() {
    let (running, _file) = with_users(|config| {
        config.access.client_id = vec!["%u-*".parse().unwrap()];
        config.access.client_id_characters = Characters::Level;
        config.access.client_id_longest = 12;
    });
    let codes = [
        ("anna-lamp", 0),
        ("ben-lamp", 0x85),
        ("lamp", 0x85),
        ("anna-a/b", 0x85),
        ("anna-#", 0x85),
        ("anna-lamp-in-the-house", 0x85),
        ("", 0),
    ];
    for (id, expected) in codes {
        assert_eq!(code(&running, id, "anna").1, expected, "{id:?}");
    }
    let mut old = running.open(Version::V311);
    assert_eq!(old.connect(v311("lamp").user_name("anna").password("right")).code, 2);
    assert_eq!(running.count(Count::ClientIdRefused), 6);
}
