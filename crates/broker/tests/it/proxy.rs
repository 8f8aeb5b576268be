//! The PROXY protocol: who is believed, what comes of it, and who is refused.

use std::io::{Read, Write};

use tempfile::TempDir;
use whimbrel_broker::config::{
    Address, Auto, ClientCertificates, Identity, IdentityAs, Listener, Method, Protocol,
};
use whimbrel_engine::Count;
use whimbrel_testkit::{Packet, Version, v5};

use super::{
    client::Client,
    control::ask,
    running::{DEADLINE, Running, loopback, start_with},
    tls::Site,
};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A broker behind a proxy on loopback, changed.
fn start(change: impl FnOnce(&mut Listener)) -> Running {
    let mut listener =
        Listener { proxy_protocol: true, proxy_trusted: vec!["127.0.0.0/8".parse().unwrap()], ..loopback() };
    change(&mut listener);
    start_with(|config| config.listeners = vec![listener])
}

/// A header of version 2 for a client at 192.0.2.7:4660, with what the proxy tells of its certificate.
fn header(certificate: Option<(&str, u32)>) -> Vec<u8> {
    let mut body = vec![192, 0, 2, 7, 127, 0, 0, 1, 0x12, 0x34, 0x07, 0x5b];
    if let Some((name, verify)) = certificate {
        let name = [&[0x22, 0, u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
        let tls = [&[7][..], &verify.to_be_bytes(), &name].concat();
        body.extend([0x20, 0, u8::try_from(tls.len()).unwrap()]);
        body.extend(tls);
    }
    [SIGNATURE, &[0x21, 0x11, 0, u8::try_from(body.len()).unwrap()], &body].concat()
}

fn open(running: &Running, header: &[u8]) -> Client {
    let mut client = running.open(Version::V5);
    client.send_bytes(header);
    client
}

fn address_of(running: &Running, id: &str) -> String {
    ask(running.broker().control().client(id)).unwrap().connection.unwrap().address.unwrap()
}

#[test]
fn the_address_that_the_proxy_names_is_the_clients() {
    let running = start(|_| {});
    for (at, (header, expect)) in [
        (header(None), "192.0.2.7:4660"),
        (b"PROXY TCP4 192.0.2.8 127.0.0.1 7 1883\r\n".to_vec(), "192.0.2.8:7"),
        (b"PROXY TCP6 2001:db8::7 ::1 7 1883\r\n".to_vec(), "[2001:db8::7]:7"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("c{at}");
        // The header and CONNECT in one piece, and the header byte by byte.
        let connect = Packet::Connect(Box::new(v5(&id))).encode(Version::V5);
        let mut client = open(&running, &[&header[..], &connect].concat());
        assert_eq!(client.connack().code, 0);
        client.ping();
        assert_eq!(address_of(&running, &id), expect);
        let mut slow = running.open(Version::V5);
        for byte in &header {
            slow.send_bytes(&[*byte]);
        }
        assert_eq!(slow.connect(v5("slow")).code, 0);
        assert_eq!(address_of(&running, "slow"), expect);
    }
}

#[test]
fn who_is_no_proxy_is_refused_before_anything_is_read() {
    let running = start(|listener| listener.proxy_trusted = vec!["192.0.2.0/24".parse().unwrap()]);
    let mut liar = open(&running, &header(None));
    assert!(liar.is_closed());
    let mut silent = running.open(Version::V5);
    assert!(silent.is_closed());
    running.wait_until("both are counted", |engine| engine.count(Count::HandshakesFailed) == 2);
}

#[test]
fn a_proxy_that_sends_no_header_or_half_of_one_is_closed_in_time() {
    let running = start(|listener| listener.handshake_timeout_secs = 1);
    let connect = Packet::Connect(Box::new(v5("x"))).encode(Version::V5);
    assert!(open(&running, &connect).is_closed(), "MQTT without a header");
    let mut half = open(&running, &header(None)[..20]);
    assert!(half.is_closed());
    let long = [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat();
    assert!(open(&running, &long).is_closed());
    running.wait_until("all are counted", |engine| engine.count(Count::HandshakesFailed) == 3);
    drop(running.open(Version::V5)); // A look whether we are there.
    assert_eq!(open(&running, &header(None)).connect(v5("last")).code, 0);
    assert_eq!(running.count(Count::HandshakesFailed), 3, "who closes at once has only looked");
}

#[test]
fn the_certificate_of_which_the_proxy_tells_says_who_the_client_is() {
    let running = start(|listener| {
        listener.client_certificates = ClientCertificates::Required;
        listener.identity = Identity::CommonName;
        listener.identity_as = IdentityAs::ClientId;
    });
    assert_eq!(open(&running, &header(Some(("lamp-7", 0)))).connect(v5("lamp-7")).code, 0);
    assert_ne!(open(&running, &header(Some(("lamp-7", 0)))).connect(v5("lamp-8")).code, 0);
    for none in [header(None), header(Some(("lamp-7", 18))), b"PROXY UNKNOWN\r\n".to_vec()] {
        assert!(open(&running, &none).is_closed(), "no certificate, or a bad one");
    }
    // Where nobody asks for it, it says nothing.
    let running = start(|_| {});
    assert_eq!(open(&running, &header(Some(("lamp-7", 0)))).connect(v5("lamp-8")).code, 0);
}

#[test]
fn a_client_without_a_certificate_is_asked_for_its_password_where_it_need_not_have_one() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("passwords");
    std::fs::write(&file, "").unwrap();
    let mut listener =
        Listener { proxy_protocol: true, proxy_trusted: vec!["127.0.0.1".parse().unwrap()], ..loopback() };
    listener.client_certificates = ClientCertificates::Optional;
    listener.identity = Identity::CommonName;
    listener.authentication = Auto::Set(Method::PasswordFile.into());
    let running = start_with(|config| {
        config.listeners = vec![listener];
        config.authentication.password_file = Some(file.clone());
    });
    assert_eq!(open(&running, &header(Some(("lamp-7", 0)))).connect(v5("a")).code, 0);
    assert_ne!(open(&running, &header(None)).connect(v5("b")).code, 0);
}

#[test]
fn tls_and_websocket_follow_the_header() {
    let site = Site::new();
    let running = site.start(|listener| {
        listener.proxy_protocol = true;
        listener.proxy_trusted = vec!["127.0.0.1".parse().unwrap()];
    });
    let mut socket = std::net::TcpStream::connect(running.addresses[0]).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.write_all(&header(None)).unwrap();
    socket.write_all(b"no TLS at all").unwrap();
    let mut answer = [0; 1];
    assert_eq!(socket.read(&mut answer).unwrap(), 1);
    assert_eq!(answer, [21], "an alert of TLS");
    let running = start(|listener| listener.protocol = Protocol::Ws);
    let mut socket = std::net::TcpStream::connect(running.addresses[0]).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.write_all(&header(None)).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut answer = [0; 13];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 404 ");
}

#[test]
fn by_a_unix_socket_whoever_may_connect_is_a_proxy() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("mqtt.sock");
    let mut listener = Listener::on(Address::Unix(path.clone()));
    listener.proxy_protocol = true;
    let running = start_with(|config| config.listeners = vec![listener]);
    let mut socket = std::os::unix::net::UnixStream::connect(&path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.write_all(&header(None)).unwrap();
    socket.write_all(&Packet::Connect(Box::new(v5("u"))).encode(Version::V5)).unwrap();
    socket.read_exact(&mut [0; 4]).unwrap();
    assert_eq!(address_of(&running, "u"), "192.0.2.7:4660");
}
