//! Connections that come too fast, and those that come and say nothing: closed before they cost anything, on every transport.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use whimbrel_broker::config::{Auto, Listener, Protocol};
use whimbrel_engine::Count;
use whimbrel_testkit::{Version, v5};

use super::{
    client::Client,
    running::{DEADLINE, loopback, start_with},
    tls::Site,
};

/// The beginning of a hello of TLS: whoever reads it waits for the rest.
const HELLO: &[u8] = b"\x16\x03\x01";

/// CONNECT of a 3.1.1 client `c` with a clean session.
const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c";

/// Whether the broker has closed this connection without a byte.
fn is_closed_unread(address: SocketAddr, hello: &[u8]) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let _ = stream.write_all(hello);
    stream.read(&mut [0]).unwrap_or(0) == 0
}

#[test]
fn who_comes_too_fast_is_closed_before_the_handshake_of_tls() {
    let site = Site::new();
    let running = site.start(|listener| listener.source_rate_max = Auto::Set(1));
    assert_eq!(site.dial(running.addresses[0], None).unwrap().connect("a"), Ok(0));
    for _ in 0..50 {
        assert!(is_closed_unread(running.addresses[0], HELLO));
    }
    // In a second another one may come, so that a slow machine sees fewer refused.
    assert!((40..=50).contains(&running.count(Count::SourceRateLimit)));
    assert_eq!(running.count(Count::HandshakesFailed) + running.count(Count::SourceRateLimit), 50);
}

#[test]
fn behind_a_proxy_its_clients_are_counted_and_not_the_proxy() {
    let running = start_with(|config| {
        config.listeners = vec![Listener {
            proxy_protocol: true,
            proxy_trusted: vec!["127.0.0.1".parse().unwrap()],
            source_rate_max: Auto::Set(1),
            source_burst_max: Auto::Set(3),
            ..loopback()
        }];
    });
    let connect = |source: &str| {
        let mut client = running.open(Version::V5);
        client.send_bytes(format!("PROXY TCP4 {source} 127.0.0.1 7 1883\r\n").as_bytes());
        client
    };
    for source in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        for number in 0..3 {
            assert_eq!(connect(source).connect(v5(&format!("{source}-{number}"))).code, 0);
        }
    }
    let refused = (0..20).filter(|_| connect("192.0.2.2").is_closed()).count();
    assert!(refused >= 15, "{refused}");
    assert_eq!(running.count(Count::SourceRateLimit), refused as u64);
}

#[test]
fn who_says_nothing_after_the_handshake_is_closed_in_time_on_every_transport() {
    let site = Site::new();
    let unix = format!("unix:{}", site.path().join("mqtt.sock").display());
    let running = start_with(|config| {
        config.limits.connect_timeout_secs = 1;
        config.listeners = vec![
            site.listener(),
            Listener { protocol: Protocol::Wss, ..site.listener() },
            Listener { protocol: Protocol::Ws, ..loopback() },
            Listener::on(unix.parse().unwrap()),
        ];
    });
    let scheme = ["mqtts", "wss", "ws"];
    let dialled = running
        .addresses
        .iter()
        .zip(scheme)
        .map(|(at, scheme)| format!("{scheme}://localhost:{}", at.port()).parse().unwrap());
    let addresses: Vec<whimbrel_net::Address> = dialled.chain([unix.parse().unwrap()]).collect();
    let connections: Vec<_> = addresses
        .iter()
        .map(|address| {
            let alpn = vec![address.scheme().alpn().to_vec()];
            let settings = whimbrel_net::tls::ConnectorSettings { alpn, ..site.settings(None) };
            let connector = whimbrel_net::tls::Connector::new(&settings).unwrap();
            super::tls::Tls::dial_with(whimbrel_net::Dialler::new(Some(connector)), address).unwrap()
        })
        .collect();
    for mut connection in connections {
        assert!(connection.receive(1).is_err(), "closed without a word");
    }
    running.wait_until("all are counted", |engine| engine.count(Count::ConnectTimeout) == 4);
}

#[test]
fn half_open_connections_by_the_thousand_are_bounded_and_go_in_time() {
    let site = Site::new();
    let running = start_with(|config| {
        config.limits.connect_timeout_secs = 1;
        config.listeners = vec![
            Listener { connections_max: Auto::Set(400), handshake_timeout_secs: 1, ..site.listener() },
            Listener { connections_max: Auto::Set(400), ..loopback() },
            loopback(),
        ];
    });
    let [of_tls, plain, other] = running.addresses[..] else { panic!("three listeners") };
    let held: Vec<TcpStream> =
        (0..1_000).flat_map(|_| [of_tls, plain]).filter_map(|at| TcpStream::connect(at).ok()).collect();
    // Whoever comes to another listener is let in meanwhile.
    assert_eq!(Client::open(other, Version::V5).connect(v5("a")).code, 0);
    running.wait_until("those beyond the limit are closed at once", |engine| {
        engine.count(Count::ConnectionsLimit) >= 1
    });
    running.wait_until("the others are closed in time", |engine| {
        engine.count(Count::HandshakesFailed)
            + engine.count(Count::ConnectTimeout)
            + engine.count(Count::ConnectionsLimit)
            >= held.len() as u64
    });
    // Each place is free a moment after: who is closed is left a second to read so.
    let end = Instant::now() + DEADLINE;
    while !site.dial(of_tls, None).is_ok_and(|mut tls| tls.connect("b").is_ok()) {
        assert!(Instant::now() < end, "there is no place for TLS");
    }
    while is_closed_unread(plain, CONNECT) {
        assert!(Instant::now() < end, "there is no place");
    }
}
