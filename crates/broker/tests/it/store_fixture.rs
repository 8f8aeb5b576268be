//! A store as this format was written once: it is readable for ever. And today's broker still writes one that holds the same.
//!
//! `tests/fixtures/store-v1` was made by the second test here, which writes its backup to the folder that
//! WHIMBREL_WRITE_FIXTURE names. A change of a record is a new fixture beside it, not another fixture of this one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use whimbrel_broker::{
    config::{Config, Durability},
    store::{BackedUp, check},
};
use whimbrel_testkit::{Ack, Packet, Properties, Property, QoS, Subscribe, publish, v5, v311, will};

use super::{
    client::Client,
    running::{Running, start_with},
};

/// Names the folder for a new fixture.
const WRITE: &str = "WHIMBREL_WRITE_FIXTURE";
const FOR_EVER: u32 = u32::MAX;
/// Seconds after which something expires: longer than the store takes to be written.
const SOON: u32 = 5;

fn start_on(store: &Path) -> Running {
    start_with(|config: &mut Config| {
        config.store.durability = Durability::Power;
        config.store.directory = Some(store.to_owned());
        config.store.will_grace_secs = 0;
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn properties(all: &[Property]) -> Properties {
    Properties(all.to_vec())
}

fn subscribe_with_id(client: &mut Client, filter: &str, options: whimbrel_testkit::Options, id: u32) {
    let properties = properties(&[Property::SubscriptionId(id)]);
    client.send(Packet::Subscribe(Subscribe { properties, ..Subscribe::one(1, filter, options) }));
    let codes = client.expect("SUBACK", |packet| match packet {
        Packet::SubAck(ack) => Some(ack.codes.clone()),
        _ => None,
    });
    assert!(codes.iter().all(|code| *code < 0x80), "{codes:02x?}");
}

/// Everything that the format knows, and its backup while two clients are connected.
fn write(store: &Path, to: &Path) -> BackedUp {
    let running = start_on(store);
    let mut reader = running.connect(v5("reader").expiry(FOR_EVER).receive_maximum(3));
    subscribe_with_id(&mut reader, "t", QoS::QoS2.into(), 7);
    subscribe_with_id(&mut reader, "opt/#", QoS::QoS1.no_local().retain_as_published(), 268_435_455);
    reader.subscribe("w", QoS::QoS1);
    reader.subscribe("gone", QoS::QoS1);
    reader.send(Packet::Unsubscribe(whimbrel_testkit::Unsubscribe {
        id: 9,
        properties: Properties::default(),
        filters: vec!["gone".into()],
    }));
    reader.expect("UNSUBACK", |packet| matches!(packet, Packet::UnsubAck(_)).then_some(()));
    let mut sleeper = running.connect(v311("sleeper").resume());
    sleeper.subscribe("$share/h/u", QoS::QoS1);
    drop(sleeper);
    let _dead = running.connect(v311("dead").resume().will(will("w", "dead").qos(QoS::QoS1)));
    drop(running.connect(v5("brief").expiry(SOON)));
    let mut writer = running.connect(v311("writer").resume());
    for (id, qos) in [(1, QoS::QoS1), (2, QoS::QoS2), (3, QoS::QoS1)] {
        writer.published(publish("t", format!("m{id}")).at(qos, id));
    }
    // Of the three that are on their way one has been answered.
    let come: Vec<_> = (0..3).map(|_| reader.message()).collect();
    assert_eq!(come.iter().map(|one| one.id).collect::<Vec<_>>(), [1, 2, 3]);
    reader.send(Packet::PubRec(Ack::new(2, 0)));
    reader.expect("PUBREL", |packet| matches!(packet, Packet::PubRel(_)).then_some(()));
    drop(reader);
    for id in 4..=5 {
        writer.published(publish("t", format!("m{id}")).at(QoS::QoS1, id));
        writer.published(publish("u", format!("u{id}")).at(QoS::QoS1, id));
    }
    let mut five = running.connect(v5("five").expiry(FOR_EVER));
    let mut expires = publish("t", "expired").at(QoS::QoS1, 1);
    expires.properties = properties(&[Property::MessageExpiry(SOON)]);
    five.published(expires);
    let mut kept = publish("r/1", [0xff, 0x00]).at(QoS::QoS1, 2).retain();
    kept.properties = properties(&[Property::ContentType("x/y".into())]);
    five.published(kept);
    let mut fleeting = publish("r/4", "expired").at(QoS::QoS1, 3).retain();
    fleeting.properties = properties(&[Property::MessageExpiry(SOON)]);
    five.published(fleeting);
    for (topic, payload) in [("r/2", "one"), ("r/2", "two"), ("r/3", "one"), ("r/3", "")] {
        writer.published(publish(topic, payload).at(QoS::QoS1, 6).retain());
    }
    // PUBREL is still to come.
    writer.publish(publish("t", "open").at(QoS::QoS2, 77));
    writer.expect("PUBREC", |packet| matches!(packet, Packet::PubRec(_)).then_some(()));
    block_on(running.broker().control().backup(to, None)).unwrap()
}

/// What the store must say, whoever wrote it.
fn assert_contents(store: &Path) {
    let checked = check(store).unwrap();
    assert!(checked.sound && checked.torn_end.is_none(), "{checked:?}");
    // Reader, sleeper, dead, brief, writer, five; what has expired is in the store still.
    assert_eq!((checked.sessions, checked.subscriptions, checked.wills), (6, 4, 1));
    // To the reader m1, m3 to m5, expired, open; to the sleeper u4 and u5.
    assert_eq!((checked.owed, checked.retained), (8, 3));

    let running = start_on(store);
    running.wait_until("what has expired is gone", |engine| {
        engine.retained().0 == 2 && engine.session("brief").is_none()
    });
    let told = block_on(running.broker().control().subscriptions("reader", None)).unwrap();
    let told: Vec<_> = told
        .subscriptions
        .iter()
        .map(|one| (one.filter.as_str(), one.qos, one.no_local, one.retain_as_published, one.id))
        .collect();
    assert_eq!(
        told,
        [
            ("opt/#", 1, true, true, Some(268_435_455)),
            ("t", 2, false, false, Some(7)),
            ("w", 1, false, false, None)
        ]
    );
    assert_reader(&running);
    assert_others(&running);
}

/// The packet identifiers of what was on its way, the order of what was not, the will.
fn assert_reader(running: &Running) {
    let (mut reader, ack) = running.connect_answered(v5("reader").persistent());
    assert!(ack.session_present);
    let came = |reader: &mut Client| {
        let one = reader.taken();
        (one.id, one.dup, String::from_utf8(one.payload).unwrap())
    };
    assert_eq!(came(&mut reader), (1, true, "m1".into()));
    let released = reader.expect("PUBREL", |packet| match packet {
        Packet::PubRel(ack) => Some(ack.id),
        _ => None,
    });
    assert_eq!(released, 2, "PUBREC was there: the message does not come again");
    reader.send(Packet::PubComp(Ack::new(2, 0)));
    assert_eq!(came(&mut reader), (3, true, "m3".into()));
    let rest: Vec<_> = (0..4).map(|_| reader.taken()).collect();
    let mut of_t: Vec<_> = rest.iter().filter(|one| one.topic == "t").collect();
    assert!(of_t.iter().all(|one| !one.dup && one.properties == properties(&[Property::SubscriptionId(7)])));
    let last = of_t.pop().unwrap();
    assert_eq!((last.qos, last.payload.as_slice()), (2, &b"open"[..]));
    assert_eq!(of_t.iter().map(|one| one.payload.as_slice()).collect::<Vec<_>>(), [b"m4", b"m5"]);
    let of_w: Vec<_> = rest.iter().filter(|one| one.topic == "w").map(|one| one.payload.as_slice()).collect();
    assert_eq!(of_w, [b"dead"]);
    // The publisher did not hear that "open" was taken, or it did not hear enough: it comes again, once to nobody.
    let (mut writer, ack) = running.connect_answered(v311("writer").resume());
    assert!(ack.session_present);
    writer.published(publish("t", "open").at(QoS::QoS2, 77).dup());
    writer.published(publish("t", "next").at(QoS::QoS1, 78));
    assert_eq!(reader.taken().payload, b"next");
}

fn assert_others(running: &Running) {
    let (mut sleeper, ack) = running.connect_answered(v311("sleeper").resume());
    assert!(ack.session_present);
    assert_eq!([sleeper.taken().payload, sleeper.taken().payload], [b"u4", b"u5"]);
    let mut guest = running.connect(v5("guest"));
    guest.subscribe("r/#", QoS::QoS0);
    let mut kept = [guest.message(), guest.message()];
    kept.sort_by(|one, other| one.topic.cmp(&other.topic));
    let told = kept.each_ref().map(|one| (one.topic.as_str(), one.payload.as_slice()));
    assert_eq!(told, [("r/1", &[0xff, 0x00][..]), ("r/2", &b"two"[..])]);
    assert_eq!(kept[0].properties, properties(&[Property::ContentType("x/y".into())]));
    guest.ping();
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_store_of_version_1_is_readable() {
    let fixture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-v1");
    let store = tempfile::tempdir().unwrap();
    copy(&fixture, store.path());
    assert_contents(store.path());
}

#[test]
fn todays_broker_writes_what_the_fixture_holds_and_its_backup_is_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    let copied = write(&folder.path().join("store"), &backup);
    assert_eq!(copied.folder, backup);
    if let Some(fixture) = std::env::var_os(WRITE) {
        copy(&backup, Path::new(&fixture));
    }
    assert_contents(&backup);
}
