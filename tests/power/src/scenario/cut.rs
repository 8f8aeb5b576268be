//! Power cuts that are made at a known place: the layer itself, as programs see it, and the broker on it.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use whimbrel_testkit::{QoS1, QoS2, Version, publish};

use super::{Stand, collect, keep};
use crate::disk::Cut;
use crate::mount::Mount;
use crate::rounds::Rounds;

pub(super) fn layer(_: &Path) {
    let mut mount = Mount::new(1).expect("the file system can be mounted");
    let path = |name: &str| mount.path().join(name);
    let folder = File::open(mount.path()).expect("a folder can be opened");
    let mut synced = File::create(path("synced")).expect("there is room");
    synced.write_all(b"synced, ").and_then(|()| synced.sync_data()).expect("it can be synced");
    fs::write(path("unsynced"), b"lost").expect("there is room");
    folder.sync_all().expect("a folder can be synced");
    let data = File::create(path("nameless")).expect("there is room");
    data.sync_all().expect("it can be synced");
    synced.write_all(b"not synced").expect("there is room");
    fs::rename(path("unsynced"), path("renamed")).expect("a file gets another name");
    assert_eq!(fs::read(path("synced")).expect("it is there"), b"synced, not synced");
    let paths = ["synced", "unsynced", "nameless", "renamed"].map(path);
    drop((folder, synced, data));
    mount.device.freeze();
    mount.device.let_go();
    assert!(fs::read(&paths[0]).is_err(), "there is no power");
    let (_, survival) =
        mount.power_up(|_| Cut::Lose).expect("it can be mounted again").expect("power was gone");
    assert_eq!((survival.sectors, survival.survivors, survival.names), (2, 0, 2));
    let found =
        paths.map(|path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).ok());
    assert_eq!(found, [Some("synced, ".to_owned()), Some(String::new()), None, None]);
}

pub(super) fn acknowledged_is_kept(whimbrel: &Path) {
    for (cut, version) in [(Cut::Lose, Version::V5), (Cut::Tear, Version::V311), (Cut::Reorder, Version::V5)]
    {
        let stand = Stand::new(whimbrel, &[]);
        let mut world = stand.broker.world(version);
        keep(&mut world);
        let mut publisher = world.connect(world.client("publisher"));
        publisher.say("owed/message", "once", QoS1).say("owed/message", "exactly once", QoS2);
        publisher.published(publish("retained", "value").at(QoS1, 9).retain());
        let stand = stand.cut(cut);
        collect(&stand.broker, version, &[b"once".to_vec(), b"exactly once".to_vec()]);
        let mut world = stand.broker.world(version);
        let mut looker = world.connect(world.client("looker"));
        looker.subscribed("retained", QoS1);
        looker.taken("retained", "value");
    }
}

/// The rounds can fail: at a level that promises less they find that less was kept.
pub(super) fn process_loses(whimbrel: &Path) {
    let rounds = Rounds {
        rounds: 2,
        seed: 1,
        cut: Some(Cut::Lose),
        durability: "process".to_owned(),
        is_sd_card: false,
        is_heavy: false,
    };
    let account = rounds.run(whimbrel).expect("there is an account");
    assert!(account.sum("acknowledged") > 0 && account.sum("sessions_lost") > 0, "{}", account.text);
    assert!(account.sum("lost") > 0 && !account.is_right, "{}{}", account.text, account.cuts());
}
