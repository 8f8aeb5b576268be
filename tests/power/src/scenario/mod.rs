//! What the broker does when its disk does not do what it should: each scenario has a disk and a broker of its own.

mod cut;
mod full;
mod outage;
mod small_disk;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

use whimbrel_testkit::{QoS0, QoS1, Version, World, publish};

use crate::broker::Broker;
use crate::disk::Cut;
use crate::mount::Mount;

type Scenario = (&'static str, fn(&Path));

const SCENARIOS: &[Scenario] = &[
    ("layer_what_is_synced_survives_a_cut_and_what_is_not_is_lost", cut::layer),
    ("power_cut_keeps_what_was_acknowledged", cut::acknowledged_is_kept),
    ("level_process_does_not_survive_a_power_cut_and_the_account_says_so", cut::process_loses),
    ("full_disk_acknowledges_nothing_that_it_has_not_and_resumes_by_itself", full::waits),
    ("full_disk_refuses_where_it_is_configured_so", full::refuses),
    ("failed_sync_poisons_until_the_store_is_reopened_and_verified", outage::sync_fails),
    ("failed_sync_is_not_asked_again_but_written_anew", outage::sync_fails_once),
    ("failed_write_poisons_until_the_store_is_reopened_and_verified", outage::write_fails),
    ("read_only_file_system_acknowledges_nothing_until_it_is_writable", outage::read_only),
    ("small_file_system_fills_up_and_gets_room_again", small_disk::fills_up),
];

/// Runs those whose name holds `filter`.
///
/// # Errors
/// One has failed.
pub(crate) fn run(whimbrel: &Path, filter: Option<&str>) -> Result<(), String> {
    let chosen = SCENARIOS.iter().filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter)));
    let mut failed = Vec::new();
    let mut count = 0;
    for (name, scenario) in chosen {
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| scenario(whimbrel)));
        let said =
            outcome.as_ref().map_or_else(|panic| format!("FAILED: {}", text(&**panic)), |()| "ok".to_owned());
        println!("{name} ({} ms): {said}", start.elapsed().as_millis());
        count += 1;
        failed.extend(outcome.is_err().then_some(*name));
    }
    match failed.as_slice() {
        [] if count == 0 => Err("there is no scenario of that name".to_owned()),
        [] => Ok(()),
        failed => Err(format!("failed: {}", failed.join(", "))),
    }
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words")
}

/// A broker at level `power` on a disk of ours.
struct Stand<'w> {
    whimbrel: &'w Path,
    /// Before the mount: that goes when nobody uses it any more.
    broker: Broker,
    mount: Mount,
}

impl<'w> Stand<'w> {
    fn new(whimbrel: &'w Path, flags: &[&str]) -> Stand<'w> {
        let mount = Mount::new(1).expect("the file system can be mounted");
        let flags: Vec<_> = ["--durability", "power"].iter().chain(flags).copied().collect();
        let broker = Broker::start(whimbrel, &mount.store(), &flags);
        Stand { whimbrel, broker, mount }
    }

    /// Cuts the power, and starts the broker again on what is left.
    fn cut(self, cut: Cut) -> Stand<'w> {
        let Stand { whimbrel, broker, mut mount } = self;
        mount.device.freeze();
        broker.strike();
        mount.device.let_go();
        broker.wait();
        mount.power_up(|_| cut).expect("it can be mounted again");
        let broker = Broker::start(whimbrel, &mount.store(), &["--durability", "power"]);
        Stand { whimbrel, broker, mount }
    }
}

/// Whether nobody waits for the disk who need not: somebody publishes at QoS 0, and at QoS 1 what nobody is owed.
fn others_go_on(world: &mut World) {
    let mut live = world.connect(world.client("live"));
    live.subscribed("live", QoS0);
    let mut other = world.connect(world.client("other"));
    other.publish(publish("live", "goes on"));
    live.taken("live", "goes on");
    other.publish(publish("nobody", "asked").at(QoS1, 1));
    other.expect_puback(1);
}

/// Makes a session that is owed everything under `owed/`, and leaves.
fn keep(world: &mut World) {
    let mut keeper = world.connect(world.client("keeper").persistent());
    keeper.subscribed("owed/#", QoS1);
    keeper.disconnect();
}

/// Comes back for what is owed, and expects these messages and no other.
fn collect(broker: &Broker, version: Version, payloads: &[Vec<u8>]) {
    let mut world = broker.world(version);
    let mut keeper = world.connect(world.client("keeper").persistent());
    assert!(keeper.connack().session_present, "the session is lost");
    for payload in payloads {
        keeper.taken("owed/message", payload);
    }
    keeper.expect_nothing();
}
