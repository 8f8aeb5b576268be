//! A disk without room.

use std::path::Path;

use whimbrel_testkit::{Packet, QoS1, Version, publish};

use super::{Stand, collect, keep};
use crate::disk::Cut;

/// More than the store has written ahead of itself, in all.
const MESSAGES: u16 = 20;
const MESSAGE_BYTES: usize = 100 << 10;

fn payload(id: u16) -> Vec<u8> {
    let mut payload = id.to_be_bytes().to_vec();
    payload.resize(MESSAGE_BYTES, b'.');
    payload
}

/// The identifiers that PUBACK acknowledges among these packets.
fn acknowledged(packets: &[Packet]) -> Vec<u16> {
    let acknowledged = |packet: &Packet| match packet {
        Packet::PubAck(ack) => Some(ack.id),
        other => panic!("nothing but PUBACK is due, and {other} came"),
    };
    packets.iter().filter_map(acknowledged).collect()
}

pub(super) fn waits(whimbrel: &Path) {
    for version in [Version::V5, Version::V311] {
        let mut stand = Stand::new(whimbrel, &[]);
        let mut world = stand.broker.world(version);
        keep(&mut world);
        let mut publisher = world.connect(world.client("publisher"));
        let mut live = world.connect(world.client("live"));
        live.subscribed("live", whimbrel_testkit::QoS0);
        stand.mount.device.fill_up();
        for id in 1..=MESSAGES {
            publisher.publish(publish("owed/message", payload(id)).at(QoS1, id));
        }
        stand.broker.logs("ALARM");
        // What fitted is acknowledged, in its order, and nothing else is, however often one asks.
        let mut known = acknowledged(&publisher.drain_settled());
        let room = stand.mount.device.with(|disk| Ok(disk.used_bytes())).expect("it has power");
        assert!(known.len() * MESSAGE_BYTES < room as usize, "more is acknowledged than fits into {room} bytes");
        // Who owes nothing to the disk goes on: QoS 0, and what nobody is owed.
        publisher.publish(publish("live", "goes on"));
        live.taken("live", "goes on");
        publisher.publish(publish("nobody", "asked").at(QoS1, 1_000));
        publisher.expect_puback(1_000);
        known.extend(acknowledged(&publisher.drain_settled()));
        assert!(known.len() < usize::from(MESSAGES), "{known:?}");
        stand.mount.device.fault(|faults| faults.capacity = None);
        stand.broker.logs("takes records again");
        for id in (1..=MESSAGES).filter(|id| !known.contains(id)) {
            publisher.expect_puback(id);
        }
        let stand = stand.cut(Cut::Lose);
        collect(&stand.broker, version, &(1..=MESSAGES).map(payload).collect::<Vec<_>>());
    }
}

/// With `store.disk_full = "refuse"` the publisher is told: 0x97 in 5.0, the end of the connection before.
pub(super) fn refuses(whimbrel: &Path) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let config = folder.path().join("whimbrel.toml");
    std::fs::write(&config, "[store]\ndisk_full = \"refuse\"\n").expect("there is room for a file");
    let mut stand = Stand::new(whimbrel, &["--config", &config.display().to_string()]);
    let mut world = stand.broker.world(Version::V5);
    keep(&mut world);
    let mut publisher = world.connect(world.client("publisher"));
    stand.mount.device.fill_up();
    for id in 1..=MESSAGES {
        publisher.publish(publish("owed/message", payload(id)).at(QoS1, id));
    }
    stand.broker.logs("ALARM");
    publisher.drain_settled();
    publisher.publish(publish("owed/message", payload(99)).at(QoS1, 99));
    assert_eq!(publisher.puback_for(99).code, 0x97);
    let mut old = stand.broker.world(Version::V311);
    let mut publisher = old.connect(old.client("old"));
    publisher.publish(publish("owed/message", payload(99)).at(QoS1, 99));
    publisher.expect_closed();
    stand.mount.device.fault(|faults| faults.capacity = None);
    stand.broker.logs("takes records again");
    let mut world = stand.broker.world(Version::V5);
    world.connect(world.client("later")).say("owed/message", "there is room", QoS1);
}
