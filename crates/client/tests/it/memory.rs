//! A program that does not take its messages: the client stops reading, and the server waits.

use whimbrel_client::{Client, Event, Limits, Options, QoS, Version};
use whimbrel_proto::codec::{Packet, Publish};

use super::server::{Seen, Server, next};

const MESSAGES: usize = 20_000;

fn flood() -> Vec<u8> {
    let mut bytes = Vec::new();
    let publish = Publish { qos: QoS::AtMostOnce, topic: "t", payload: &[0; 1000], ..Publish::default() };
    Packet::Publish(publish).encode(Version::V5, &mut bytes);
    bytes.repeat(100)
}

#[tokio::test(start_paused = true)]
async fn the_client_stops_reading_when_the_program_stops_taking() {
    let limits = Limits { messages_waiting_max: 10, ..Limits::default() };
    check(limits).await;
}

#[tokio::test(start_paused = true)]
async fn the_client_stops_reading_when_too_many_bytes_wait() {
    let limits =
        Limits { messages_waiting_max: usize::MAX, messages_waiting_bytes_max: 20_000, ..Limits::default() };
    check(limits).await;
}

async fn check(limits: Limits) {
    let server = Server::start().await;
    let (_client, mut events) = Client::start(Options { limits, ..server.options() });
    let mut peer = server.accept_client(false).await;
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    let most = MESSAGES * flood().len() / 100;
    let sent = peer.flood(&flood(), most).await;
    assert!(sent < most, "what fits into the buffers of two sockets is less than {most} bytes");
    // Nobody reads, and still the client keeps the connection alive.
    assert_eq!(peer.next_unhurried().await, Seen::Ping);
    assert_eq!(peer.next_unhurried().await, Seen::Ping);
    // Taken, it flows again.
    let mut taken = 0;
    let whole = sent / (flood().len() / 100);
    while taken < whole {
        match events.next().await {
            Some(Event::Message(_)) => taken += 1,
            other => panic!("{other:?}"),
        }
    }
}
