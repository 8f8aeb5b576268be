//! How many connections there may be, on one listener and on all.

use std::time::Instant;

use whimbrel_broker::config::{Auto, Listener};
use whimbrel_testkit::{Connect, Packet, Version, v5, v311};

use super::{
    client::Client,
    running::{DEADLINE, Running, loopback, start_with},
};

/// Tries until a connection is taken: a place is free a moment after its client has gone.
fn connect_in_time(running: &Running, listener: usize, connect: &Connect) -> Client {
    let end = Instant::now() + DEADLINE;
    loop {
        let mut client = Client::open(running.addresses[listener], connect.version);
        client.send(Packet::Connect(Box::new(connect.clone())));
        if let Some(Packet::ConnAck(ack)) = client.next()
            && ack.code == 0
        {
            return client;
        }
        assert!(Instant::now() < end, "the place stays taken");
    }
}

/// Whether the connection is closed without a word.
fn is_shut_out(running: &Running, listener: usize) -> bool {
    let mut client = Client::open(running.addresses[listener], Version::V5);
    client.send(Packet::Connect(Box::new(v5("one too many"))));
    client.is_closed()
}

/// The answer to a CONNECT, after which the connection is closed if it is a refusal.
fn answer(running: &Running, listener: usize, connect: Connect) -> u8 {
    let mut client = Client::open(running.addresses[listener], connect.version);
    let code = client.connect(connect).code;
    assert!(code == 0 || client.is_closed());
    code
}

#[test]
fn one_client_more_than_the_broker_takes_hears_so_and_a_place_that_is_left_is_taken_again() {
    let running = start_with(|config| {
        config.limits.connections_max = Auto::Set(3);
        config.listeners = vec![loopback(), loopback()];
    });
    let mut clients: Vec<_> = (0..3)
        .map(|number| {
            let mut client = Client::open(running.addresses[number % 2], Version::V5);
            assert_eq!(client.connect(v5(&format!("c{number}"))).code, 0);
            client
        })
        .collect();
    for listener in [0, 1] {
        assert_eq!(answer(&running, listener, v5("one too many")), 0x97);
        assert_eq!(answer(&running, listener, v311("one too many")), 3);
    }
    // Who is connected already takes its own place.
    let mut again = Client::open(running.addresses[0], Version::V5);
    assert_eq!(again.connect(v5("c2")).code, 0);
    clients.pop();
    clients.push(again);
    clients.iter_mut().for_each(Client::ping);
    clients.pop();
    connect_in_time(&running, 0, &v5("next")).ping();
}

#[test]
fn a_full_listener_leaves_the_others_open() {
    let running = start_with(|config| {
        config.listeners = vec![Listener { connections_max: Auto::Set(1), ..loopback() }, loopback()];
    });
    let first = running.connect(v5("first"));
    assert!(is_shut_out(&running, 0));
    let mut other = Client::open(running.addresses[1], Version::V5);
    assert_eq!(other.connect(v5("other")).code, 0);
    assert!(is_shut_out(&running, 0));
    drop(first);
    connect_in_time(&running, 0, &v5("next")).ping();
    other.ping();
}

#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    let running = start_with(|config| {
        config.limits.connections_max = Auto::Set(1);
        config.limits.connect_timeout_secs = 1;
    });
    let mut silent: Vec<Client> = (0..20).map(|_| running.open(Version::V5)).collect();
    let mut first = running.connect(v5("first"));
    assert_eq!(answer(&running, 0, v5("one too many")), 0x97);
    let mut again = running.open(Version::V5);
    assert_eq!(again.connect(v5("first")).code, 0, "it takes its own place");
    assert!(matches!(first.next(), Some(Packet::Disconnect(told)) if told.code == 0x8e));
    assert!(silent.iter_mut().all(Client::is_closed), "CONNECT did not come in time");
    again.ping();
}
