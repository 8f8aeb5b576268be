//! A client whose socket takes no more: what it costs, what is dropped, what comes when it reads again.

use whimbrel_broker::config::Auto;
use whimbrel_engine::Count;
use whimbrel_testkit::{Packet, QoS, Subscribe, Version, publish, v5};

use super::{
    client::Client,
    running::{Running, start, start_with},
};

/// A subscriber of `t` with a small receive buffer.
fn narrow(running: &Running, qos: QoS) -> Client {
    let mut client = Client::open_narrow(running.addresses[0], Version::V5);
    assert_eq!(client.connect(v5("narrow")).code, 0);
    client.subscribe("t", qos);
    client
}

#[test]
fn qos_0_is_dropped_for_a_client_that_does_not_read_and_nobody_else_notices() {
    let running = start();
    let mut narrow = narrow(&running, QoS::QoS0);
    let (mut other, mut from) = (running.connect(v5("other")), running.connect(v5("from")));
    other.subscribe("t", QoS::QoS0);
    let mut sent = 0_u32;
    while running.count(Count::DroppedQos0Blocked) == 0 {
        from.publish(publish("t", format!("{sent:08}{}", "x".repeat(20_000))));
        assert_eq!(&other.message().payload[..8], format!("{sent:08}").as_bytes());
        sent += 1;
        assert!(sent < 10_000, "a client that reads nothing takes everything");
    }
    let (_, waiting) = running.broker().engine().waiting_bytes();
    assert!(waiting < 128 << 10, "{waiting} bytes wait");
    narrow.send(Packet::PingReq);
    let mut got = Vec::new();
    loop {
        match narrow.next() {
            Some(Packet::Publish(message)) => {
                got.push(String::from_utf8_lossy(&message.payload[..8]).into_owned())
            }
            Some(Packet::PingResp) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(got.is_sorted() && got.len() < sent as usize, "{} of {sent} messages", got.len());
    assert_eq!(
        running.count(Count::DroppedQos0Blocked),
        u64::from(sent) - got.len() as u64,
        "each is counted"
    );
    from.say("t", "and again");
    assert_eq!(narrow.message().payload, b"and again");
}

#[test]
fn qos_1_waits_for_a_client_that_does_not_read_and_comes_whole_and_in_order() {
    const MESSAGES: u16 = 600;
    let running = start();
    let mut narrow = narrow(&running, QoS::QoS1);
    let mut from = running.connect(v5("from"));
    for id in 1..=MESSAGES {
        from.published(publish("t", format!("{id:05}{}", "x".repeat(10_000))).at(QoS::QoS1, id));
    }
    let (queued, outbox) = running.broker().engine().waiting_bytes();
    assert!(queued > 1 << 20 && outbox < 128 << 10, "{queued} bytes in the queue, {outbox} in the outbox");
    for id in 1..=MESSAGES {
        assert_eq!(&narrow.taken().payload[..5], format!("{id:05}").as_bytes());
    }
    running.wait_until("nothing waits", |engine| engine.waiting_bytes() == (0, 0));
    assert_eq!(running.count(Count::DroppedQueueOldest), 0);
}

#[test]
fn retained_messages_come_whole_to_a_client_that_reads_slowly() {
    const MESSAGES: usize = 3_000;
    let running = start();
    let mut from = running.connect(v5("from"));
    let bytes: Vec<u8> = (0..MESSAGES)
        .flat_map(|number| {
            Packet::Publish(publish(&format!("r/{number}"), vec![b'x'; 1_000]).retain()).encode(Version::V5)
        })
        .collect();
    from.send_bytes(&bytes);
    from.ping();
    let mut narrow = Client::open_narrow(running.addresses[0], Version::V5);
    assert_eq!(narrow.connect(v5("narrow")).code, 0);
    narrow.send(Packet::Subscribe(Subscribe::one(1, "r/#", QoS::QoS1)));
    running.wait_until("it is blocked", |engine| engine.waiting_bytes().1 > 0);
    from.say("r/live", "x");
    from.ping();
    let mut topics = std::collections::HashSet::new();
    while topics.len() < MESSAGES + 1 {
        let message = narrow.taken();
        assert!(topics.insert(message.topic.clone()), "{} came twice", message.topic);
    }
    assert!(topics.contains("r/live"));
}

#[test]
fn who_takes_nothing_for_too_long_is_disconnected() {
    let running = start_with(|config| {
        config.limits.link_stall_secs = 1;
        config.worker.threads = Auto::Set(1);
    });
    let _narrow = narrow(&running, QoS::QoS1);
    let mut from = running.connect(v5("from"));
    let mut id = 0;
    while running.broker().engine().waiting_bytes().0 == 0 {
        id += 1;
        from.published(publish("t", vec![b'x'; 20_000]).at(QoS::QoS1, id));
    }
    running.wait_until("it is disconnected", |engine| engine.count(Count::SlowStalled) == 1);
    running.wait_until("its session is over", |engine| engine.sessions() == 1);
    assert_eq!(running.broker().engine().waiting_bytes(), (0, 0));
    from.ping();
}
