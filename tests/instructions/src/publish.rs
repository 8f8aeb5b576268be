//! A message from a publisher's bytes to its subscribers' bytes, through the conversations of both sides.

use std::{hint::black_box, sync::Arc};

use whimbrel_codec::{PacketType, QoS};
use whimbrel_engine::rules::{Rights, Rules, Who};

use crate::server::{Client, Server, ack_len, publish, pubrel};

const TOPIC: &str = "site/4/room/203";
/// Messages that come in one read, as from a publisher in a hurry.
const BATCH: u32 = 16;

/// QoS 0 to one subscriber, sixteen messages to a turn: what the engine itself costs, the flush shared by sixteen.
pub(crate) fn engine_qos_0(iterations: u32) {
    engine_qos_0_of(Server::new(), iterations);
}

/// The same with a thousand rules, the last of which allows it.
pub(crate) fn engine_qos_0_ruled(iterations: u32) {
    engine_qos_0_of(Server::ruled(thousand_rules()), iterations);
}

fn engine_qos_0_of(server: Server, iterations: u32) {
    let (mut server, mut publisher, subscribers) = subscribed(server, 1, QoS::AtMostOnce);
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
    let (mut server, mut publisher, mut subscribers) = subscribed(Server::new(), 1, QoS::AtLeastOnce);
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
    let (mut server, mut publisher, mut subscribers) = subscribed(Server::new(), 1, QoS::ExactlyOnce);
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
    whole(Server::new(), 1, iterations);
}

/// One message alone in a turn, to a thousand subscribers.
pub(crate) fn to_1_000(iterations: u32) {
    whole(Server::new(), 1_000, iterations);
}

/// The same with a thousand rules, the last of which allows it.
pub(crate) fn to_1_000_ruled(iterations: u32) {
    whole(Server::ruled(thousand_rules()), 1_000, iterations);
}

/// What a topic costs that nobody remembers, with a thousand rules.
pub(crate) fn rules_random_topic(iterations: u32) {
    let rights = Rights::new(&thousand_rules(), &Arc::new(nobody()));
    let topics: Vec<String> = (0..1_024).map(|number| format!("plant/{number}/line/state")).collect();
    let mut allowed = 0;
    for at in 0..iterations as usize {
        let topic = topics.get(at * 7 % topics.len()).map(String::as_str).unwrap_or_default();
        allowed += u32::from(rights.publish(black_box(topic), 0, false).allowed);
    }
    assert!(allowed > iterations / 2, "most of the topics have a rule");
}

fn nobody() -> Who {
    Who { client_id: "publisher".into(), user_name: None, address: None, listener: "".into(), claims: None }
}

fn thousand_rules() -> Arc<Rules> {
    let rule =
        |topics: &str| format!("[[rule]]\nallow = [\"publish\", \"subscribe\"]\ntopics = \"{topics}\"\n");
    let text: String = (0..999).map(|number| rule(&format!("plant/{number}/+/state"))).collect();
    Rules::from_rule_file("rules", &(text + &rule("site/#"))).expect("they are rules")
}

fn whole(server: Server, subscribers: u32, iterations: u32) {
    let (mut server, mut publisher, subscribers) = subscribed(server, subscribers, QoS::AtMostOnce);
    let frame = publish(TOPIC, QoS::AtMostOnce);
    for _ in 0..iterations {
        server.hear(&mut publisher, black_box(&frame));
        server.flush();
    }
    assert_written(&subscribers, u64::from(iterations) * frame.len() as u64);
}

/// A server on which so many clients have subscribed and everything that is remembered has been met once.
fn subscribed(mut server: Server, count: u32, qos: QoS) -> (Server, Client, Vec<Client>) {
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
