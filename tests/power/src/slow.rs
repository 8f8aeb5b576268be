//! What acknowledgements cost on disks of several speeds: one publisher that waits for each, and a hundred at once. A
//! measurement, not a test.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use whimbrel_testkit::{Ack, Packet, QoS1, Subscribe, publish, v5};

use crate::broker::Broker;
use crate::client::Client;
use crate::device::Pace;
use crate::mount::Mount;

/// How long each line of the table is measured.
const SPAN: Duration = Duration::from_secs(10);
/// Unacknowledged messages of one publisher, where there are many.
const WINDOW: usize = 10;
const PAYLOAD_BYTES: usize = 256;
/// The receiver may be behind for as long as the machine is busy.
const CONFIG: &str = "[limits]\nqueue_messages_max = 1000000\n";

/// Prints the table, or the lines of the disks whose name holds `filter`.
///
/// # Errors
/// The file system cannot be mounted.
pub(crate) fn run(whimbrel: &Path, filter: Option<&str>) -> Result<(), String> {
    let disks = [
        ("memory", Pace::memory()),
        ("fast: 0.2–1 ms a sync", Pace::syncs(200, 1_000)),
        ("slow: 5–15 ms a sync", Pace::syncs(5_000, 15_000)),
        ("SD card: 5–50 ms, 1 MB/s, 0.5 s now and then", Pace::sd_card()),
    ];
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let config = folder.path().join("whimbrel.toml");
    fs::write(&config, CONFIG).map_err(|error| error.to_string())?;
    println!("| Disk | Level | PUBACK to 1 publisher: median, p99, longest | 100 publishers: messages/s |");
    println!("|---|---|---|---|");
    for (name, pace) in
        disks.into_iter().filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter)))
    {
        for level in ["process", "power"] {
            let mount = Mount::new(1).map_err(|error| error.to_string())?;
            mount.device.set_pace(pace.clone());
            let config = config.display().to_string();
            let broker =
                Broker::start(whimbrel, &mount.store(), &["--durability", level, "--config", &config]);
            let address = broker.address();
            // Its session is why the messages have to be kept. It ends with the broker.
            let mut receiver = Client::open(address, v5("receiver").persistent());
            receiver.send(&Packet::Subscribe(Subscribe::one(1, "owed/#", QoS1)));
            thread::spawn(move || take(&mut receiver));
            let latencies = measure(address, 1, 1);
            let at = |share: f64| {
                let place = ((latencies.len() - 1) as f64 * share) as usize;
                latencies[place].as_secs_f64() * 1_000.0
            };
            let (median, late, longest) = (at(0.5), at(0.99), at(1.0));
            let many = measure(address, 100, WINDOW).len() as f64 / SPAN.as_secs_f64();
            println!("| {name} | `{level}` | {median:.1} ms, {late:.1} ms, {longest:.0} ms | {many:.0} |");
        }
    }
    Ok(())
}

/// How long each PUBACK took within the span, sorted.
fn measure(address: SocketAddr, publishers: usize, window: usize) -> Vec<Duration> {
    let together = Barrier::new(publishers);
    let mut all: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..publishers)
            .map(|number| {
                let together = &together;
                scope.spawn(move || {
                    let mut client = Client::open(address, v5(&format!("publisher {number}")));
                    together.wait();
                    publish_for(&mut client, SPAN, window)
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a publisher measures")).collect()
    });
    all.sort_unstable();
    all
}

/// Publishes with so many unacknowledged messages, and tells how long each PUBACK took.
fn publish_for(client: &mut Client, span: Duration, window: usize) -> Vec<Duration> {
    let start = Instant::now();
    let mut sent = BTreeMap::new();
    let mut latencies = Vec::new();
    let mut id = 0;
    while start.elapsed() < span {
        while sent.len() < window {
            id = id % 60_000 + 1;
            client.send(&Packet::Publish(publish("owed/message", [b'.'; PAYLOAD_BYTES]).at(QoS1, id)));
            sent.insert(id, Instant::now());
        }
        if let Packet::PubAck(ack) = client.next().expect("the broker goes on") {
            assert!(ack.code < 0x80, "PUBACK refuses with 0x{:02X}", ack.code);
            latencies.extend(sent.remove(&ack.id).map(|since| since.elapsed()));
        }
    }
    latencies
}

/// Acknowledges whatever comes, until the end of the connection.
fn take(client: &mut Client) {
    while let Some(packet) = client.next() {
        if let Packet::Publish(publish) = packet {
            client.send(&Packet::PubAck(Ack::new(publish.id, 0)));
        }
    }
}
