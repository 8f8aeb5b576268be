//! Where the broker listens.

use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};

use whimbrel_broker::{Broker, Error, config::Listener};
use whimbrel_testkit::{QoS, Version, v5, v31, v311};

use super::{
    client::Client,
    running::{config, loopback, start_with},
};

#[test]
fn clients_of_several_listeners_meet() {
    let running = start_with(|config| config.listeners = vec![loopback(), loopback(), loopback()]);
    assert_eq!(running.addresses.len(), 3);
    let mut clients: Vec<_> = running
        .addresses
        .iter()
        .enumerate()
        .map(|(number, &address)| {
            let mut client = Client::open(address, Version::V5);
            assert_eq!(client.connect(v5(&format!("c{number}"))).code, 0);
            client.subscribe("t", QoS::QoS0);
            client
        })
        .collect();
    clients[2].say("t", "hello");
    for client in &mut clients {
        assert_eq!(client.message().payload, b"hello");
    }
}

#[test]
fn localhost_is_one_port_on_every_loopback_address() {
    let running = start_with(|config| config.listeners = vec![Listener::on("localhost:0".parse().unwrap())]);
    let port = running.addresses[0].port();
    assert!(port != 0 && running.addresses.iter().all(|address| address.port() == port));
    for &address in &running.addresses {
        assert!(address.ip().is_loopback());
        assert_eq!(Client::open(address, Version::V5).connect(v5("c")).code, 0);
    }
}

#[test]
fn the_ipv6_wildcard_takes_ipv4_too_unless_it_is_told_not_to() {
    for ipv6_only in [false, true] {
        let mut listener = Listener::on("[::]:0".parse().unwrap());
        (listener.ipv6_only, listener.danger_allow_anonymous_on_network) = (ipv6_only, true);
        let running = start_with(|config| config.listeners = vec![listener]);
        let port = running.addresses[0].port();
        let six = Client::open((Ipv6Addr::LOCALHOST, port).into(), Version::V5).connect(v5("six"));
        assert_eq!(six.code, 0);
        match ipv6_only {
            true => assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err()),
            false => {
                let mut four = Client::open((Ipv4Addr::LOCALHOST, port).into(), Version::V5);
                assert_eq!(four.connect(v5("four")).code, 0);
            }
        }
    }
}

#[test]
fn each_listener_speaks_the_versions_that_it_is_told() {
    let only = |versions: &[&str]| Listener {
        versions: versions.iter().map(|version| version.parse().unwrap()).collect(),
        ..loopback()
    };
    let running = start_with(|config| {
        config.listeners = vec![only(&[]), only(&["5.0"]), only(&["3.1", "3.1.1"])];
    });
    for (listener, [of_31, of_311, of_5]) in [[0, 0, 0], [1, 1, 0], [0, 0, 0x84]].into_iter().enumerate() {
        for (connect, code) in [(v31("a"), of_31), (v311("b"), of_311), (v5("c"), of_5)] {
            let mut client = Client::open(running.addresses[listener], connect.version);
            assert_eq!(client.connect(connect).code, code, "listener {listener}");
        }
    }
}

#[test]
fn a_port_that_is_taken_is_an_error_that_names_the_listener_and_nothing_is_left_running() {
    let running = start_with(|_| {});
    let taken = running.addresses[0];
    let mut second = config();
    second.listeners = vec![
        loopback(),
        Listener { name: Some("house".into()), ..Listener::on(taken.to_string().parse().unwrap()) },
    ];
    match Broker::start(&second) {
        Err(error @ Error::Listen { .. }) => {
            let text = error.to_string();
            assert!(text.contains("house") && text.contains(&taken.to_string()), "{text}");
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("two brokers listen on one port"),
    }
    running.connect(v5("c")).ping();
}
