//! MQTT over QUIC: what goes through, a device that changes its address, certificates, and the end.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use tokio::io::AsyncReadExt;
use whimbrel_broker::config::{ClientCertificates, Identity, Listener, Protocol};
use whimbrel_engine::Count;
use whimbrel_net::{
    Address, Dialler, Scheme,
    tls::{Connector, ConnectorSettings},
};

use super::{
    pki::{Flaw, Pair},
    running::{DEADLINE, Running},
    tls::{Site, Tls},
};

fn quic(listener: &mut Listener) {
    listener.protocol = Protocol::Quic;
}

fn dial(settings: &ConnectorSettings, at: SocketAddr) -> Result<Tls, String> {
    let address = Address::new("localhost", at.port()).unwrap().over(Scheme::Quic);
    Tls::dial_with(Dialler::new(Some(Connector::new(settings).unwrap())), &address)
}

pub(super) fn dial_to(site: &Site, at: SocketAddr, client: Option<&Pair>) -> Result<Tls, String> {
    dial(&site.settings(client), at)
}

/// SUBSCRIBE to `t` and its SUBACK.
fn subscribe(client: &mut Tls) {
    client.send(b"\x82\x06\x00\x01\x00\x01t\x00").unwrap();
    assert_eq!(client.receive(5).unwrap(), b"\x90\x03\x00\x01\x00");
}

/// PUBLISH of `length` bytes to `t`.
fn publish(length: usize) -> Vec<u8> {
    let remaining = length + 3;
    let mut packet = vec![0x30];
    let mut rest = remaining;
    loop {
        packet.push(u8::try_from(rest % 128).unwrap() | if rest >= 128 { 0x80 } else { 0 });
        rest /= 128;
        if rest == 0 {
            break;
        }
    }
    packet.extend_from_slice(b"\x00\x01t");
    packet.extend((0..length).map(|at| u8::try_from(at % 251).unwrap()));
    packet
}

#[test]
fn messages_of_any_size_come_back_whole() {
    let site = Site::new();
    let running = site.start(quic);
    let mut client = dial_to(&site, running.addresses[0], None).unwrap();
    assert_eq!(client.connect("echo"), Ok(0));
    subscribe(&mut client);
    // More than a datagram holds, than the broker hands over at once, and than the window holds.
    for length in [0_usize, 1, 1_400, 60_000, 900_000] {
        let publish = publish(length);
        client.send(&publish).unwrap();
        assert!(client.receive(publish.len()).unwrap() == publish, "{length} bytes come back as they were");
    }
    client.ping().unwrap();
    assert_eq!(running.count(Count::HandshakesFailed), 0);
}

/// Passes datagrams on, from another port whenever `moved` is set: a device that goes from one network into another.
fn relay(server: SocketAddr, moved: Arc<AtomicBool>) -> SocketAddr {
    let loopback = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        socket
    };
    let front = loopback();
    let at = front.local_addr().unwrap();
    thread::spawn(move || {
        let (mut back, mut client, mut bytes) = (loopback(), None, vec![0; 4_096]);
        loop {
            if moved.swap(false, Relaxed) {
                back = loopback();
            }
            if let Ok((count, from)) = front.recv_from(&mut bytes) {
                client = Some(from);
                back.send_to(&bytes[..count], server).unwrap();
            }
            while let Ok((count, _)) = back.recv_from(&mut bytes) {
                front.send_to(&bytes[..count], client.unwrap()).unwrap();
            }
        }
    });
    at
}

#[test]
fn a_device_that_changes_its_address_keeps_its_connection_and_its_session() {
    let site = Site::new();
    let running = site.start(quic);
    let moved = Arc::new(AtomicBool::new(false));
    let at = relay(running.addresses[0], moved.clone());
    let mut device = dial_to(&site, at, None).unwrap();
    assert_eq!(device.connect("device"), Ok(0));
    subscribe(&mut device);
    moved.store(true, Relaxed);
    device.ping().unwrap();
    let mut other = dial_to(&site, running.addresses[0], None).unwrap();
    assert_eq!(other.connect("other"), Ok(0));
    other.send(&publish(5)).unwrap();
    assert_eq!(device.receive(10).unwrap(), publish(5));
}

#[test]
fn a_certificate_lets_in_and_names_whom_it_names() {
    let site = Site::new();
    let running = site.start(|listener| {
        quic(listener);
        site.require(listener);
        listener.identity = Identity::CommonName;
    });
    let lamp = site.ca.client(site.path(), "lamp", Flaw::Nothing);
    let mut good = dial_to(&site, running.addresses[0], Some(&lamp)).unwrap();
    assert_eq!(good.connect("good"), Ok(0));
    let old = site.ca.client(site.path(), "old", Flaw::Expired);
    for (pair, why) in [(None, "wants a client certificate"), (Some(&old), "has expired")] {
        // The client is done before the server has judged it.
        let outcome = dial_to(&site, running.addresses[0], pair).and_then(|mut client| client.connect("x"));
        let told = outcome.expect_err(why);
        assert!(told.contains(why), "{told}, and not: {why}");
    }
    running.wait_until("both refusals are counted", |engine| engine.count(Count::HandshakesFailed) == 2);
    good.ping().unwrap();
}

#[test]
fn who_was_let_in_by_a_certificate_that_is_trusted_no_more_goes() {
    let site = Site::new();
    let running = site.start(|listener| {
        quic(listener);
        site.require(listener);
        listener.client_certificates = ClientCertificates::Optional;
    });
    let lamp = site.ca.client(site.path(), "lamp", Flaw::Nothing);
    let mut named = dial_to(&site, running.addresses[0], Some(&lamp)).unwrap();
    let mut nobody = dial_to(&site, running.addresses[0], None).unwrap();
    assert_eq!([named.connect("named"), nobody.connect("nobody")], [Ok(0), Ok(0)]);
    super::pki::Ca::new("Another CA").write(&site.path().join("ca.pem.new"));
    std::fs::rename(site.path().join("ca.pem.new"), site.path().join("ca.pem")).unwrap();
    assert!(named.receive(1).is_err(), "its CA is trusted no more");
    nobody.ping().unwrap();
}

#[test]
fn who_says_nothing_in_quic_is_given_up_in_time() {
    let site = Site::new();
    let running = site.start(|listener| {
        quic(listener);
        listener.handshake_timeout_secs = 1;
    });
    // It opens its stream, of which the other end hears by what comes in it: nothing.
    let silent = dial_to(&site, running.addresses[0], None).unwrap();
    running.wait_until("it is given up", |engine| engine.count(Count::HandshakesFailed) == 1);
    drop(silent);
    assert_eq!(dial_to(&site, running.addresses[0], None).unwrap().connect("a"), Ok(0));
}

#[test]
fn datagrams_of_strangers_cost_nobody_anything() {
    let site = Site::new();
    let running = site.start(quic);
    let mut client = dial_to(&site, running.addresses[0], None).unwrap();
    assert_eq!(client.connect("client"), Ok(0));
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    for length in [0, 1, 20, 1_200, 1_500] {
        for first in [0x00, 0x40, 0xc0, 0xff] {
            let mut datagram = vec![first; length];
            if let Some(version) = datagram.get_mut(1..5) {
                version.copy_from_slice(&[0, 0, 0, 1]);
            }
            stranger.send_to(&datagram, running.addresses[0]).unwrap();
        }
    }
    client.ping().unwrap();
}

/// What the client reads until the end.
fn rest(client: Tls) -> Vec<u8> {
    let (runtime, mut stream) = client.into_parts();
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    runtime
        .block_on(async { tokio::time::timeout(DEADLINE, read).await.expect("the connection ends") })
        .unwrap();
    rest
}

#[test]
fn at_the_end_every_client_has_been_told_why() {
    let site = Site::new();
    let mut running: Running = site.start(quic);
    let mut clients: Vec<Tls> =
        (0..20).map(|_| dial_to(&site, running.addresses[0], None).unwrap()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let id = u8::try_from(number).unwrap() + b'a';
        client.send(&[b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01", &[id][..]].concat()).unwrap();
        let head = client.receive(2).unwrap();
        assert_eq!(head[0], 0x20);
        assert_eq!(client.receive(usize::from(head[1])).unwrap()[1], 0);
    }
    let broker = running.take();
    let stopping = thread::spawn(move || broker.stop());
    for client in clients {
        let told = rest(client);
        assert_eq!(
            (told.first(), told.get(2)),
            (Some(&0xe0), Some(&0x8b)),
            "Server shutting down: {told:x?}"
        );
    }
    stopping.join().unwrap();
}
