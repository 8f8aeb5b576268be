//! The broker that the tests load: the program itself, on a port that the system chooses.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(super) struct Broker {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Broker {
    pub(super) fn start() -> Broker {
        let (child, places) = begin(
            Path::new("."),
            &["--listen", "127.0.0.1:0", "--threads", "1", "--durability", "memory"],
            1,
        );
        let address = places.first().and_then(|place| place.parse().ok()).expect("an address of TCP");
        Broker { child, address }
    }

    pub(super) fn pid(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A broker with these listeners in its configuration, and where they listen, in order.
pub(super) fn serving(folder: &Path, configuration: &str, listeners: usize) -> (Running, Vec<String>) {
    std::fs::write(folder.join("broker.toml"), configuration).expect("the file can be written");
    let (child, places) = begin(folder, &["--config", "broker.toml"], listeners);
    (Running(child), places)
}

/// A broker that ends with its owner.
pub(super) struct Running(Child);

impl Running {
    pub(super) fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn begin(folder: &Path, arguments: &[&str], listeners: usize) -> (Child, Vec<String>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_whimbrel"))
        .arg("serve")
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the broker starts");
    let log = child.stderr.take().expect("its log is piped");
    let mut lines = BufReader::new(log).lines().map_while(Result::ok);
    let place = |line: String| Some(line.split("listening on ").nth(1)?.split(' ').next()?.to_owned());
    let places: Vec<String> = lines.by_ref().filter_map(place).take(listeners).collect();
    assert_eq!(places.len(), listeners, "the broker says where it listens");
    // It must never wait for somebody to read what it says.
    std::thread::spawn(move || lines.for_each(drop));
    (child, places)
}
