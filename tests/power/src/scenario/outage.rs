//! A disk that fails: a sync, a write, or everything that changes it. No promise leaves until the store is reopened and
//! verified, and nothing is lost then.

use std::path::Path;

use whimbrel_testkit::{QoS0, QoS1, QoS2, Version, publish};

use super::{Stand, collect, keep};
use crate::disk::{Cut, Fails, Faults};

pub(super) fn sync_fails(whimbrel: &Path) {
    outage(whimbrel, |faults| faults.sync = Fails::Always);
}

pub(super) fn write_fails(whimbrel: &Path) {
    outage(whimbrel, |faults| faults.write = Fails::Always);
}

pub(super) fn read_only(whimbrel: &Path) {
    outage(whimbrel, |faults| faults.is_read_only = true);
}

fn outage(whimbrel: &Path, fail: fn(&mut Faults)) {
    for version in [Version::V5, Version::V311] {
        let mut stand = Stand::new(whimbrel, &[]);
        let mut world = stand.broker.world(version);
        keep(&mut world);
        let mut publisher = world.connect(world.client("publisher"));
        let mut live = world.connect(world.client("live"));
        live.subscribed("live", QoS0);
        let mut joining = world.connect(world.client("joining").persistent());
        stand.mount.device.fault(fail);
        publisher.publish(publish("owed/message", "once").at(QoS1, 1));
        publisher.publish(publish("owed/message", "exactly once").at(QoS2, 2));
        joining.subscribe(3, "owed/#", QoS1);
        stand.broker.logs("ALARM");
        stand.broker.logs("cannot be reopened yet");
        publisher.publish(publish("live", "goes on"));
        live.taken("live", "goes on");
        // A PINGRESP comes before what has been waiting for longer: nothing of that has been acknowledged.
        publisher.expect_nothing();
        joining.expect_nothing();
        stand.mount.device.fault(|faults| *faults = Faults::default());
        stand.broker.logs("reopened and verified");
        publisher.expect_puback(1);
        publisher.expect_pubrec(2);
        publisher.pubrel(2).expect_pubcomp(2);
        joining.expect_suback(&[1]);
        let stand = stand.cut(Cut::Lose);
        collect(&stand.broker, version, &[b"once".to_vec(), b"exactly once".to_vec()]);
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
