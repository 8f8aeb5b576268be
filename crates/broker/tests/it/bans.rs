//! Bans and clients that fall over and over, through a real broker.

use tempfile::TempDir;
use whimbrel_broker::{
    bans::Banned,
    config::{Config, Durability},
    control::{BanChanged, Refusal},
};
use whimbrel_engine::Count;
use whimbrel_testkit::{Version, v5, v311};

use super::{
    client::Client,
    control::ask,
    running::{Running, start, start_with},
};

fn ban(running: &Running, of: Banned, secs: Option<u64>) -> BanChanged {
    ask(running.broker().control().ban(of, secs, Some("it floods".to_owned()))).unwrap()
}

fn client(id: &str) -> Banned {
    Banned::Client(id.to_owned())
}

fn address(text: &str) -> Banned {
    Banned::Address(text.to_owned())
}

#[test]
fn a_ban_ends_the_connections_that_it_is_about_and_keeps_them_out() {
    let running = start();
    let mut lamp = running.connect(v5("lamp"));
    let mut door = running.connect(v5("door"));
    assert!(!ban(&running, client("lamp"), Some(3_600)).kept, "there is no store");
    assert_eq!(lamp.farewell(), Some(0x98), "0x8A is a word of CONNACK alone");
    let mut lamp = running.open(Version::V5);
    let answer = lamp.connect(v5("lamp"));
    assert_eq!(answer.code, 0x8A);
    assert!(lamp.is_closed());
    assert_eq!(running.open(Version::V311).connect(v311("lamp")).code, 5);
    door.ping();
    assert_eq!((running.count(Count::BannedEnds), running.count(Count::BannedRefused)), (1, 2));
    let changed = ask(running.broker().control().unban(client("lamp"))).unwrap();
    assert_eq!(changed.ban.why.as_deref(), Some("it floods"));
    running.connect(v5("lamp")).ping();
}

#[test]
fn a_banned_address_is_refused_before_anything_is_looked_at() {
    let running = start();
    let mut near = running.connect(v5("near"));
    let mut far = Client::open_from("127.0.3.7", running.addresses[0], Version::V5);
    assert_eq!(far.connect(v5("far")).code, 0);
    ban(&running, address("127.0.3.0/24"), None);
    assert_eq!(far.farewell(), Some(0x98));
    let mut again = Client::open_from("127.0.3.8", running.addresses[0], Version::V5);
    assert_eq!(again.connect(v5("again")).code, 0x8A);
    near.ping();
    let listed = ask(running.broker().control().bans());
    assert_eq!(listed.bans.iter().map(|ban| ban.of.clone()).collect::<Vec<_>>(), [address("127.0.3.0/24")]);
    assert!(listed.held_off.is_empty());
}

#[test]
fn what_cannot_be_banned_and_who_is_not_banned_are_said() {
    let running = start_with(|config| config.guard.bans_max = 1);
    let control = running.broker().control();
    let refused = ask(control.ban(address("lamp"), None, None)).unwrap_err();
    assert_eq!(refused, Refusal::NoNetwork { text: "lamp".to_owned() });
    assert_eq!(ask(control.unban(client("lamp"))).unwrap_err(), Refusal::NotBanned { of: client("lamp") });
    let long = Some("x".repeat(2_000));
    assert_eq!(
        ask(control.ban(client("lamp"), None, long)).unwrap_err(),
        Refusal::BanTooLong { bytes_max: 1_024 }
    );
    ban(&running, client("lamp"), None);
    let refused = ask(control.ban(client("other"), None, None)).unwrap_err();
    assert_eq!(refused, Refusal::TooManyBans { bans_max: 1 });
}

#[test]
fn bans_outlive_a_restart_and_what_was_taken_back_does_not() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    let kept = |config: &mut Config| {
        config.store.durability = Durability::Power;
        config.store.directory = Some(path.clone());
    };
    let running = start_with(kept);
    assert!(ban(&running, client("lamp"), None).kept);
    assert!(ban(&running, client("gone"), None).kept);
    assert!(ban(&running, Banned::User("eve".to_owned()), Some(3_600)).kept);
    assert!(ask(running.broker().control().unban(client("gone"))).unwrap().kept);
    let before = ask(running.broker().control().bans());
    running.stop();
    let running = start_with(kept);
    assert_eq!(ask(running.broker().control().bans()), before);
    assert_eq!(running.open(Version::V5).connect(v5("lamp")).code, 0x8A);
    assert_eq!(running.open(Version::V5).connect(v5("gone")).code, 0);
    running.stop();
}

#[test]
fn a_client_that_falls_over_and_over_is_held_off_and_told_for_how_long() {
    let running = start_with(|config| {
        (config.guard.falls, config.guard.falls_window_secs, config.guard.hold_secs) = (3, 3_600, 600);
    });
    for fall in 0..3 {
        drop(running.connect(v5("lamp")));
        running.wait_until("it is gone", |engine| engine.count(Count::Disconnected) == fall + 1);
    }
    let mut lamp = running.open(Version::V5);
    assert_eq!(lamp.connect(v5("lamp")).code, 0x9F);
    assert_eq!(running.open(Version::V311).connect(v311("lamp")).code, 3);
    assert_eq!((running.count(Count::HeldOff), running.count(Count::HeldOffRefused)), (1, 2));
    // Another address has not fallen, and where nobody proves a name it is somebody else.
    let mut far = Client::open_from("127.0.0.2", running.addresses[0], Version::V5);
    assert_eq!(far.connect(v5("lamp")).code, 0);
    let listed = ask(running.broker().control().bans()).held_off;
    let listed: Vec<_> = listed.iter().map(|held| (&*held.client_id, held.address.as_deref())).collect();
    assert_eq!(listed, [("lamp", Some("127.0.0.1"))]);
    ask(running.broker().control().unban(client("lamp"))).unwrap();
    running.connect(v5("lamp")).ping();
}

#[test]
fn who_says_good_bye_has_not_fallen_and_neither_has_who_was_sent_away() {
    let running = start_with(|config| (config.guard.falls, config.guard.falls_window_secs) = (2, 3_600));
    for _ in 0..5 {
        let mut lamp = running.connect(v5("lamp"));
        lamp.send(whimbrel_testkit::Packet::Disconnect(whimbrel_testkit::Disconnect::new(0)));
        assert!(lamp.is_closed());
    }
    for _ in 0..5 {
        let mut lamp = running.connect(v5("lamp"));
        ask(running.broker().control().kick("lamp", false)).unwrap();
        assert_eq!(lamp.farewell(), Some(0x98));
    }
    running.connect(v5("lamp")).ping();
    assert_eq!(running.count(Count::HeldOff), 0);
}
