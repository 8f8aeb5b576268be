//! The end of the broker: clients are told, wills are published, sockets close.

use std::time::{Duration, Instant};

use whimbrel_testkit::{QoS, v5, v311, will};

use super::running::start;

#[test]
fn at_a_stop_every_client_is_told_and_every_will_published() {
    let running = start();
    let mut watcher = running.connect(v5("watcher"));
    watcher.subscribe("wills/#", QoS::QoS1);
    let mut new = running.connect(v5("new").will(will("wills/new", "x").qos(QoS::QoS1)));
    let mut old = running.connect(v311("old").will(will("wills/old", "x")));
    let silent = running.open(whimbrel_testkit::Version::V5);
    running.stop();

    assert_eq!(new.farewell(), Some(0x8B));
    assert_eq!(old.farewell(), None);
    let mut wills = [watcher.message().topic, watcher.message().topic];
    wills.sort();
    assert_eq!(wills, ["wills/new", "wills/old"]);
    assert_eq!(watcher.farewell(), Some(0x8B));
    drop(silent);
}

#[test]
fn nobody_listens_after_a_stop_and_the_port_can_be_taken_again() {
    let running = start();
    let address = running.addresses[0];
    let mut client = running.connect(v5("c"));
    running.stop();
    assert_eq!(client.farewell(), Some(0x8B));
    assert!(std::net::TcpStream::connect(address).is_err());
    let again = super::running::start_with(|config| {
        config.listeners[0].address = address.to_string().parse().unwrap();
    });
    again.connect(v5("c")).ping();
}

#[test]
fn clients_that_do_not_close_delay_a_stop_by_little() {
    let running = start();
    let clients: Vec<_> = (0..20).map(|number| running.connect(v5(&format!("c{number}")))).collect();
    let start = Instant::now();
    running.stop();
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    drop(clients);
}
