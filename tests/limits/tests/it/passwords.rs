//! What it may cost to find out who a client is.

use std::{io::Write, time::Duration};

use tempfile::NamedTempFile;
use whimbrel_broker::{
    auth::{Argon2id, SALT_BYTES},
    config::{Auto, Config},
};
use whimbrel_engine::Count;
use whimbrel_limits::{Heap, Running};
use whimbrel_testkit::{Client, Connect, Demand, Tcp, Version, World, v5, v311};

use super::reach::LEFT;

/// What Argon2id fills, by the reference of the configuration.
const ARGON2ID_BYTES: usize = 19 << 20;
/// What a remembered password costs, by the reference of the configuration.
const REMEMBERED_BYTES: usize = 150;
/// A line of Mosquitto's kind whose verification takes some hundredths of a second, and that no password fits.
const SLOW: &str = "$7$40000$c2FsdHNhbHRzYWx0$YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5emFiY2RlZmdoaWprbA==";
/// One that costs next to nothing, of the password `right`.
const CHEAP: &str = "$7$1$c2FsdHNhbHRzYWx0$JDhH14T0U3g9krHwixbpr/S9SpAYMQdRDrOPz3wsfvlAQk/MHRSZtkgrK8pQFBr4GvIoe6oPq7WIy5T9rZgSUw==";

/// A broker that asks for the passwords of these lines.
fn asking(lines: &str, change: impl FnOnce(&mut Config)) -> (Running, NamedTempFile) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(lines.as_bytes()).unwrap();
    let path = file.path().into();
    let running = Running::start(|config| {
        config.authentication.password_file = Some(path);
        // What is tried is looked at, however often.
        let guard = &mut config.guard;
        (guard.tries_user_at_address, guard.tries_address, guard.tries_user) = (0, 0, 0);
        (guard.known_secs, guard.refusal_millis) = (0, 0);
        change(config);
    });
    // What a worker has from its first client on is not what is measured.
    assert_eq!(ask(&mut world(&running), 1, |_| v5("first")), [0x87]);
    running.wait_until("it has gone", |engine| engine.count(Count::ConnectRefused) == 1);
    (running, file)
}

fn world(running: &Running) -> World {
    let driver = Tcp::new(running.address(), Duration::from_secs(20));
    World::new(Box::new(driver), Version::V5, Demand::House)
}

/// So many clients that all ask at once, and the codes of their CONNACKs in order.
fn ask(world: &mut World, count: usize, connect: impl Fn(usize) -> Connect) -> Vec<u8> {
    let mut clients: Vec<Client> = (0..count).map(|at| world.start(connect(at))).collect();
    clients.iter_mut().map(|client| client.expect_connack().code).collect()
}

#[test]
pub(super) fn verifications_at_once() {
    let mut heap = Heap::alone();
    let hash = Argon2id::create(b"right", [7; SALT_BYTES]);
    for at_once in [1, 3] {
        let (running, _file) = asking(&format!("anna:{hash}\n"), |config| {
            config.authentication.verifications_at_once_max = Auto::Set(at_once);
        });
        let mut world = world(&running);
        heap.begin();
        let codes = ask(&mut world, 12, |at| v5(&format!("c{at}")).user_name("anna").password("wrong"));
        assert_eq!(codes, [0x86; 12]);
        let bound = usize::from(at_once) * ARGON2ID_BYTES;
        heap.assert_never_above("12 clients whose passwords are verified", bound + (1 << 20));
        assert!(heap.most() >= bound, "{} verifications at once are made", at_once);
        assert_eq!(running.engine().count(Count::ConnectRefused), 13);
        drop(world);
        running.wait_until("nobody verifies", |_| heap.grown() <= LEFT);
    }
}

#[test]
pub(super) fn verifications_that_wait() {
    let mut heap = Heap::alone();
    const WAITING: usize = 3;
    let (running, _file) = asking(&format!("slow:{SLOW}\nanna:{CHEAP}\n"), |config| {
        config.authentication.verifications_at_once_max = Auto::Set(1);
        config.authentication.verifications_waiting_max = WAITING as u32;
    });
    heap.begin();
    for (new, busy, wrong) in [(true, 0x89, 0x86), (false, 3, 4)] {
        let before = running.engine().count(Count::ConnectRefused);
        let mut world = world(&running);
        let name = |at: usize| if new { v5(&format!("c{at}")) } else { v311(&format!("c{at}")) };
        let codes = ask(&mut world, 20, |at| name(at).user_name("slow").password("wrong"));
        let count = |code| codes.iter().filter(|one| **one == code).count();
        assert_eq!(count(busy) + count(wrong), 20, "{codes:?}");
        assert!(count(wrong) >= WAITING && count(busy) >= 10, "{codes:?}");
        assert_eq!(running.engine().count(Count::ConnectRefused) - before, 20);
        let codes = ask(&mut world, 1, |_| name(0).user_name("anna").password("right"));
        assert_eq!(codes, [0], "later there is room");
    }
    running.wait_until("all have gone", |engine| engine.sessions() == 0);
    heap.assert_at_most("verifications that waited", LEFT);
}

#[test]
pub(super) fn verified_passwords_that_are_remembered() {
    const USERS: usize = 3_000;
    let mut heap = Heap::alone();
    let lines: String = (0..USERS).map(|at| format!("u{at}:{CHEAP}\n")).collect();
    for most in [0, 100, USERS] {
        let (running, _file) = asking(&lines, |config| config.authentication.remembered_max = most as u32);
        heap.begin();
        for some in 0..USERS / 100 {
            let mut world = world(&running);
            let codes = ask(&mut world, 100, |at| {
                v5(&format!("c{at}")).user_name(&format!("u{}", some * 100 + at)).password("right")
            });
            assert_eq!(codes, [0; 100]);
        }
        running.wait_until("all have gone", |engine| engine.sessions() == 0);
        heap.assert_at_most("passwords that are remembered", most * REMEMBERED_BYTES + LEFT);
        assert!(heap.grown() >= most * 80, "they are remembered: {} bytes", heap.grown());
    }
}

#[test]
pub(super) fn wrong_passwords_that_are_remembered() {
    const ENTRIES: usize = 64;
    const USERS: usize = 1_000;
    let mut heap = Heap::alone();
    let (running, _file) = asking(&format!("anna:{CHEAP}\n"), |config| {
        let guard = &mut config.guard;
        (guard.tries_user_at_address, guard.tries_address, guard.tries_user) = (5, 1_000_000, 5);
        (guard.known_secs, guard.entries_max) = (60, ENTRIES as u32);
    });
    heap.begin();
    for some in 0..USERS / 100 {
        let mut world = world(&running);
        let codes = ask(&mut world, 100, |at| {
            v5(&format!("c{at}")).user_name(&format!("u{}", some * 100 + at)).password("wrong")
        });
        assert_eq!(codes, [0x86; 100]);
    }
    running.wait_until("all have gone", |engine| engine.sessions() == 0);
    heap.assert_at_most("wrong passwords that are remembered", 4 * ENTRIES * 16 + LEFT);
}
