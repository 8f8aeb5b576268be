//! A disk without room.

use std::net::SocketAddr;
use std::path::Path;

use whimbrel_testkit::{Connect, Packet, QoS1, Version, publish, v5, v311};

use super::{Stand, collect, keep, others_go_on};
use crate::client::Client;
use crate::disk::Cut;

/// More than the store has written ahead of itself, in all.
const MESSAGES: u16 = 20;
const MESSAGE_BYTES: usize = 100 << 10;

fn payload(id: u16) -> Vec<u8> {
    let mut payload = id.to_be_bytes().to_vec();
    payload.resize(MESSAGE_BYTES, b'.');
    payload
}

/// A connection that has published all messages, and has read no answer.
pub(super) fn publish_all(address: SocketAddr, connect: Connect) -> Client {
    let mut publisher = Client::open(address, connect);
    for id in 1..=MESSAGES {
        publisher.send(&Packet::Publish(publish("owed/message", payload(id)).at(QoS1, id)));
    }
    publisher
}

/// Expects that these packets are PUBACKs without a refusal, for the messages behind the `known` first ones, in order.
pub(super) fn count(known: u16, packets: &[Packet]) -> u16 {
    packets.iter().fold(known, |known, packet| match packet {
        Packet::PubAck(ack) if ack.code < 0x80 && ack.id == known + 1 => ack.id,
        other => panic!("PUBACK {} is due, and {other} came", known + 1),
    })
}

/// What has been published.
pub(super) fn payloads() -> Vec<Vec<u8>> {
    (1..=MESSAGES).map(payload).collect()
}

pub(super) fn waits(whimbrel: &Path) {
    for (version, connect) in [(Version::V5, v5("publisher")), (Version::V311, v311("publisher"))] {
        let mut stand = Stand::new(whimbrel, &[]);
        let mut world = stand.broker.world(version);
        keep(&mut world);
        stand.mount.device.fill_up();
        let mut publisher = publish_all(stand.broker.address(), connect);
        stand.broker.logs("ALARM");
        others_go_on(&mut world);
        // What fitted is acknowledged, in its order, and nothing else.
        let known = count(0, &publisher.come());
        let room = stand.mount.device.with(|disk| Ok(disk.used_bytes())).expect("it has power") as usize;
        assert!(usize::from(known) * MESSAGE_BYTES < room, "{known} are acknowledged in {room} bytes");
        assert!(room < usize::from(MESSAGES) * MESSAGE_BYTES, "there is room for all");
        stand.mount.device.fault(|faults| faults.capacity = None);
        stand.broker.logs("takes records again");
        let mut known = known;
        while known < MESSAGES {
            known = count(known, &[publisher.next().expect("the broker goes on")]);
        }
        let stand = stand.cut(Cut::Lose);
        collect(&stand.broker, version, &payloads());
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
    stand.mount.device.fill_up();
    let address = stand.broker.address();
    let _publisher = publish_all(address, v5("publisher"));
    stand.broker.logs("ALARM");
    others_go_on(&mut world);
    let late = Packet::Publish(publish("owed/message", "late").at(QoS1, 1));
    let mut new = Client::open(address, v5("new"));
    new.send(&late);
    let answer = new.next().expect("the publisher is told");
    assert!(matches!(&answer, Packet::PubAck(ack) if ack.code == 0x97), "{answer}");
    let mut old = Client::open(address, v311("old"));
    old.send(&late);
    assert_eq!(old.next(), None, "an older client cannot be told");
    stand.mount.device.fault(|faults| faults.capacity = None);
    stand.broker.logs("takes records again");
    world.connect(world.client("later")).say("owed/message", "there is room", QoS1);
}
