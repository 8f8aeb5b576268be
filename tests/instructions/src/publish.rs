//! A message from a publisher's bytes to its subscribers' bytes, through the conversations of both sides.

use std::hint::black_box;

use whimbrel_codec::{PacketType, QoS};

use crate::server::{Client, Server, ack_len, publish, pubrel};

const TOPIC: &str = "site/4/room/203";
/// Messages that come in one read, as from a publisher in a hurry.
const BATCH: u32 = 16;

/// QoS 0 to one subscriber, sixteen messages to a turn: what the engine itself costs, the flush shared by sixteen.
pub(crate) fn engine_qos_0(iterations: u32) {
    let (mut server, mut publisher, subscribers) = subscribed(1, QoS::AtMostOnce);
    let frame = publish(TOPIC, QoS::AtMostOnce);
    let batch = frame.repeat(BATCH as usize);
    let turns = iterations / BATCH;
    for _ in 0..turns {
        server.hear(&mut publisher, black_box(&batch));
        server.flush();
    }
    assert_written(&subscribers, u64::from(turns * BATCH) * frame.len() as u64);
}

/// QoS 1 to one subscriber, and the PUBACK both ways.
pub(crate) fn engine_qos_1(iterations: u32) {
    let (mut server, mut publisher, mut subscribers) = subscribed(1, QoS::AtLeastOnce);
    let frame = publish(TOPIC, QoS::AtLeastOnce);
    for _ in 0..iterations {
        server.hear(&mut publisher, black_box(&frame));
        server.flush();
        for subscriber in &mut subscribers {
            let ack = subscriber.answer(PacketType::PubAck);
            server.hear(subscriber, black_box(&ack));
        }
        server.flush();
    }
    assert_eq!(publisher.written(), u64::from(iterations) * ack_len(), "every PUBLISH is acknowledged");
    assert_written(&subscribers, u64::from(iterations) * frame.len() as u64);
}

/// QoS 2 to one subscriber, and all that belongs to it both ways.
pub(crate) fn engine_qos_2(iterations: u32) {
    let (mut server, mut publisher, mut subscribers) = subscribed(1, QoS::ExactlyOnce);
    let frame = publish(TOPIC, QoS::ExactlyOnce);
    for _ in 0..iterations {
        server.hear(&mut publisher, black_box(&frame));
        server.flush();
        for subscriber in &mut subscribers {
            let received = subscriber.answer(PacketType::PubRec);
            server.hear(subscriber, black_box(&received));
            server.flush();
            let completed = subscriber.answer(PacketType::PubComp);
            server.hear(subscriber, black_box(&completed));
        }
        server.hear(&mut publisher, black_box(&pubrel()));
        server.flush();
    }
    let both = u64::from(iterations) * 2 * ack_len();
    assert_eq!(publisher.written(), both, "every PUBLISH and every PUBREL is answered");
    assert_written(&subscribers, u64::from(iterations) * (frame.len() as u64 + ack_len()));
}

/// One message alone in a turn, to one subscriber.
pub(crate) fn to_1(iterations: u32) {
    whole(1, iterations);
}

/// One message alone in a turn, to a thousand subscribers.
pub(crate) fn to_1_000(iterations: u32) {
    whole(1_000, iterations);
}

fn whole(subscribers: u32, iterations: u32) {
    let (mut server, mut publisher, subscribers) = subscribed(subscribers, QoS::AtMostOnce);
    let frame = publish(TOPIC, QoS::AtMostOnce);
    for _ in 0..iterations {
        server.hear(&mut publisher, black_box(&frame));
        server.flush();
    }
    assert_written(&subscribers, u64::from(iterations) * frame.len() as u64);
}

/// A server on which so many clients have subscribed and everything that is remembered has been met once.
fn subscribed(count: u32, qos: QoS) -> (Server, Client, Vec<Client>) {
    let mut server = Server::new();
    let mut subscribers = Vec::new();
    for at in 0..count {
        let mut subscriber = server.connect(&format!("subscriber-{at}"));
        server.subscribe(&mut subscriber, TOPIC, qos);
        subscribers.push(subscriber);
    }
    let mut publisher = server.connect("publisher");
    server.hear(&mut publisher, &publish(TOPIC, QoS::AtMostOnce));
    server.flush();
    publisher.forget();
    subscribers.iter().for_each(Client::forget);
    (server, publisher, subscribers)
}

fn assert_written(subscribers: &[Client], bytes: u64) {
    assert!(subscribers.iter().all(|subscriber| subscriber.written() == bytes), "every message arrives once");
}
