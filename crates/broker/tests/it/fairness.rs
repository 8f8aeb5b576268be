//! One client's flood and the others of its worker.

use std::{
    io::{ErrorKind, Write},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use whimbrel_broker::config::Auto;
use whimbrel_engine::Count;
use whimbrel_testkit::{Packet, QoS, Version, publish, v5};

use super::running::{Running, start_with};

/// A broker with one worker, so that everybody shares it.
fn one_worker() -> Running {
    start_with(|config| config.worker.threads = Auto::Set(1))
}

#[test]
fn a_flood_of_small_messages_does_not_hold_others_up() {
    const MESSAGES: usize = 200_000;
    let running = one_worker();
    let mut others: Vec<_> = (0..20).map(|number| running.connect(v5(&format!("other-{number}")))).collect();
    for other in &mut others {
        other.subscribe("flood", QoS::QoS0);
    }
    let mut pinger = running.connect(v5("pinger"));
    let mut flooder = running.connect(v5("flooder"));
    let bytes = Packet::Publish(publish("flood", "x")).encode(Version::V5).repeat(MESSAGES);
    let flooding = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            flooder.send_bytes(&bytes);
            flooding.store(false, Relaxed);
        });
        running.wait_until("the flood has begun", |engine| engine.count(Count::PublishReceived) > 0);
        pinger.ping();
        let handled = running.count(Count::PublishReceived);
        assert!(
            handled < MESSAGES as u64 / 4,
            "the answer to a ping came after {handled} messages of others"
        );
        // Nobody reads the messages: QoS 0 is dropped where it does not fit, and the flooder is read all the same.
        running.wait_until("all is read", |engine| engine.count(Count::PublishReceived) == MESSAGES as u64);
    });
    assert!(!flooding.load(Relaxed));
}

#[test]
fn a_client_that_does_not_read_its_answers_is_not_read_from() {
    let running = one_worker();
    let mut deaf = running.connect(v5("deaf"));
    deaf.stream().set_write_timeout(Some(Duration::from_millis(250))).unwrap();
    let pings = Packet::PingReq.encode(Version::V5).repeat(50_000);
    let mut sent = 0;
    let stopped = loop {
        // What was taken may end within a packet.
        match deaf.stream().write(&pings[sent % 2..]) {
            Ok(bytes) => sent += bytes,
            Err(error) => break error,
        }
        assert!(sent < 200 << 20, "the broker takes everything");
    };
    assert!(matches!(stopped.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{stopped}");
    let (_, waiting) = running.broker().engine().waiting_bytes();
    assert!(waiting < 1 << 20, "{waiting} bytes of answers wait");
    running.connect(v5("other")).ping();
    deaf.stream().set_write_timeout(Some(super::running::DEADLINE)).unwrap();
    for _ in 0..sent / 2 {
        assert_eq!(deaf.next(), Some(Packet::PingResp), "every answer comes when it reads again");
    }
}
