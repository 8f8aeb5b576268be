//! A disk that fails: a sync, a write, or everything that changes it. No promise leaves until the store is reopened and
//! verified, and nothing is lost then.

use std::path::Path;

use whimbrel_testkit::{Packet, QoS1, QoS2, Subscribe, Version, publish};

use super::{Stand, collect, keep, others_go_on};
use crate::client::Client;
use crate::disk::{Cut, Fails, Faults};

pub(super) fn sync_fails(whimbrel: &Path) {
    outage(whimbrel, &[Version::V5, Version::V311], |faults| faults.sync = Fails::Always);
}

pub(super) fn write_fails(whimbrel: &Path) {
    outage(whimbrel, &[Version::V311], |faults| faults.write = Fails::Always);
}

pub(super) fn read_only(whimbrel: &Path) {
    outage(whimbrel, &[Version::V5], |faults| faults.is_read_only = true);
}

fn outage(whimbrel: &Path, versions: &[Version], fail: fn(&mut Faults)) {
    for &version in versions {
        let mut stand = Stand::new(whimbrel, &[]);
        let mut world = stand.broker.world(version);
        keep(&mut world);
        let open = |connect| Client::open(stand.broker.address(), connect);
        let mut once = open(world.client("once"));
        let mut exactly_once = open(world.client("exactly once"));
        let mut joining = open(world.client("joining").persistent());
        stand.mount.device.fault(fail);
        once.send(&Packet::Publish(publish("owed/message", "once").at(QoS1, 1)));
        stand.broker.logs("ALARM");
        exactly_once.send(&Packet::Publish(publish("owed/message", "exactly once").at(QoS2, 2)));
        joining.send(&Packet::Subscribe(Subscribe::one(3, "other/#", QoS1)));
        stand.broker.logs("cannot be reopened yet");
        others_go_on(&mut world);
        stand.broker.logs("cannot be reopened yet");
        for waiting in [&mut once, &mut exactly_once, &mut joining] {
            assert_eq!(waiting.come(), [], "nothing that promises leaves");
        }
        stand.mount.device.fault(|faults| *faults = Faults::default());
        stand.broker.logs("reopened and verified");
        let answers = [&mut once, &mut exactly_once, &mut joining].map(|waiting| waiting.next());
        assert!(
            matches!(&answers, [Some(Packet::PubAck(_)), Some(Packet::PubRec(_)), Some(Packet::SubAck(_))]),
            "{answers:?}"
        );
        let stand = stand.cut(Cut::Lose);
        collect(&stand.broker, version, &[b"once".to_vec(), b"exactly once".to_vec()]);
        let mut world = stand.broker.world(version);
        assert!(world.connect(world.client("joining").persistent()).connack().session_present);
    }
}

/// A sync that is simply asked again says yes and has written nothing: only a store that writes the records anew keeps
/// them.
pub(super) fn sync_fails_once(whimbrel: &Path) {
    for version in [Version::V5, Version::V311] {
        let mut stand = Stand::new(whimbrel, &[]);
        let mut world = stand.broker.world(version);
        keep(&mut world);
        let mut publisher = world.connect(world.client("publisher"));
        publisher.say("owed/message", "before", QoS1);
        stand.mount.device.fault(|faults| faults.sync = Fails::Once);
        publisher.say("owed/message", "at the failure", QoS1);
        stand.broker.logs("reopened and verified");
        publisher.say("owed/message", "after", QoS1);
        let stand = stand.cut(Cut::Lose);
        let payloads = ["before", "at the failure", "after"].map(|text| text.as_bytes().to_vec());
        collect(&stand.broker, version, &payloads);
    }
}
