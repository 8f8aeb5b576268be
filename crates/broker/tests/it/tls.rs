//! MQTT over TLS: what goes through, who is let in by which certificate, and who is not.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Runtime,
};
use whimbrel_broker::config::{
    Auto, ClientCertificates, Config, Identity, IdentityAs, Listener, Method, Methods, Protocol, TlsVersion,
};
use whimbrel_engine::Count;
use whimbrel_net::{
    Address, Dialler, Scheme, Stream,
    tls::{Connector, ConnectorSettings, VersionMin},
};

use super::{
    pki::{Ca, Flaw, Pair, self_signed},
    running::{DEADLINE, Running, loopback, start_with},
};

/// A CA, a server with a certificate of it, and the folder in which all files are.
pub(super) struct Site {
    pub(super) folder: TempDir,
    pub(super) ca: Ca,
    pub(super) server: Pair,
}

impl Site {
    pub(super) fn new() -> Site {
        let folder = TempDir::new().unwrap();
        let ca = Ca::new("Test CA");
        ca.write(&folder.path().join("ca.pem"));
        let server = ca.server(folder.path(), "server");
        Site { folder, ca, server }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn listener(&self) -> Listener {
        Listener {
            protocol: Protocol::Mqtts,
            certificate: vec![self.server.certificate.clone()],
            key: vec![self.server.key.clone()],
            handshake_timeout_secs: 20,
            ..loopback()
        }
    }

    /// A broker with this listener, changed.
    pub(super) fn start(&self, change: impl FnOnce(&mut Listener)) -> Running {
        let mut listener = self.listener();
        change(&mut listener);
        start_with(|config: &mut Config| config.listeners = vec![listener])
    }

    /// Lets clients of the CA in, and nobody else.
    pub(super) fn require(&self, listener: &mut Listener) {
        listener.client_certificates = ClientCertificates::Required;
        listener.client_ca = Some(self.path().join("ca.pem"));
    }

    pub(super) fn settings(&self, client: Option<&Pair>) -> ConnectorSettings {
        ConnectorSettings {
            ca_file: Some(self.path().join("ca.pem")),
            certificate: client.map(|pair| pair.certificate.clone()),
            key: client.map(|pair| pair.key.clone()),
            alpn: vec![b"mqtt".to_vec()],
            ..ConnectorSettings::default()
        }
    }

    /// A connection over TLS, or why there is none.
    pub(super) fn dial(&self, at: SocketAddr, client: Option<&Pair>) -> Result<Tls, String> {
        Tls::dial(at, &self.settings(client))
    }
}

/// A connection over TLS, used step by step.
pub(super) struct Tls {
    runtime: Runtime,
    pub(super) stream: Stream,
}

impl Tls {
    pub(super) fn dial(at: SocketAddr, settings: &ConnectorSettings) -> Result<Tls, String> {
        let address = Address::new("localhost", at.port()).unwrap().over(Scheme::Mqtts);
        Tls::dial_with(Dialler::new(Some(Connector::new(settings).unwrap())), &address)
    }

    /// The same by another transport.
    pub(super) fn dial_with(mut dialler: Dialler, address: &Address) -> Result<Tls, String> {
        // One that runs on between the calls: a connection of QUIC has things to say of its own.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let stream = runtime.block_on(dialler.dial(address, DEADLINE)).map_err(|error| error.to_string())?;
        Ok(Tls { runtime, stream })
    }

    pub(super) fn into_parts(self) -> (Runtime, Stream) {
        (self.runtime, self.stream)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let Tls { runtime, stream } = self;
        let sent = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        runtime
            .block_on(async { tokio::time::timeout(DEADLINE, sent).await.expect("the broker reads") })
            .map_err(|error| error.to_string())
    }

    /// So many bytes, or how it ended before.
    pub(super) fn receive(&mut self, count: usize) -> Result<Vec<u8>, String> {
        let Tls { runtime, stream } = self;
        let mut bytes = vec![0; count];
        let read = stream.read_exact(&mut bytes);
        runtime
            .block_on(async { tokio::time::timeout(DEADLINE, read).await.expect("the broker answers") })
            .map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    /// CONNECT of 3.1.1 and the return code of its CONNACK, or how it ended before.
    pub(super) fn connect(&mut self, client_id: &str) -> Result<u8, String> {
        let length = u8::try_from(client_id.len()).unwrap();
        let mut connect = vec![0x10, 12 + length];
        connect.extend_from_slice(b"\x00\x04MQTT\x04\x02\x00\x00\x00");
        connect.push(length);
        connect.extend_from_slice(client_id.as_bytes());
        self.send(&connect)?;
        Ok(self.receive(4)?[3])
    }

    /// Whether the connection still stands.
    pub(super) fn ping(&mut self) -> Result<(), String> {
        self.send(b"\xc0\x00")?;
        let answer = self.receive(2)?;
        if answer == b"\xd0\x00" { Ok(()) } else { Err(format!("{answer:x?}")) }
    }
}

#[test]
fn messages_of_any_size_come_back_whole_in_every_version() {
    let site = Site::new();
    let running = site.start(|_| {});
    for version_min in [VersionMin::Tls12, VersionMin::Tls13] {
        let settings = ConnectorSettings { version_min, ..site.settings(None) };
        let mut client = Tls::dial(running.addresses[0], &settings).unwrap();
        assert_eq!(client.connect("echo"), Ok(0));
        client.send(b"\x82\x06\x00\x01\x00\x01t\x00").unwrap();
        assert_eq!(client.receive(5).unwrap(), b"\x90\x03\x00\x01\x00");
        // More than the broker reads at once, than it hands over at once, and than a record holds.
        for payload in [0_usize, 1, 16_384, 200_000, 900_000] {
            let length = payload + 3;
            let mut publish = vec![0x30];
            let mut rest = length;
            loop {
                let more = rest >= 128;
                publish.push(u8::try_from(rest % 128).unwrap() | if more { 0x80 } else { 0 });
                rest /= 128;
                if !more {
                    break;
                }
            }
            publish.extend_from_slice(b"\x00\x01t");
            publish.extend((0..payload).map(|at| u8::try_from(at % 251).unwrap()));
            client.send(&publish).unwrap();
            assert!(
                client.receive(publish.len()).unwrap() == publish,
                "{payload} bytes come back as they were"
            );
        }
        client.ping().unwrap();
    }
    assert_eq!(running.count(Count::HandshakesFailed), 0);
}

#[test]
fn who_has_no_certificate_is_asked_what_stands_behind_it() {
    let site = Site::new();
    let passwords = site.path().join("passwords");
    std::fs::write(&passwords, "# nobody yet\n").unwrap();
    let named = |authentication: Auto<Methods>| {
        let mut listener = site.listener();
        listener.client_certificates = ClientCertificates::Optional;
        listener.client_ca = Some(site.path().join("ca.pem"));
        listener.identity = Identity::CommonName;
        Listener { authentication, ..listener }
    };
    let chain = |methods: &[Method]| Auto::Set(methods.iter().copied().collect());
    let running = start_with(|config: &mut Config| {
        config.authentication.password_file = Some(passwords);
        config.listeners = vec![
            named(Auto::Auto),
            named(chain(&[Method::Certificate])),
            named(chain(&[Method::Certificate, Method::Anonymous])),
            named(chain(&[Method::PasswordFile, Method::Certificate])),
        ];
    });
    let pair = site.ca.client(site.path(), "lamp", Flaw::Nothing);
    for (at, expected) in running.addresses.iter().zip([5, 5, 0, 5]) {
        assert_eq!(site.dial(*at, Some(&pair)).unwrap().connect("c"), Ok(0), "{at}: with a certificate");
        assert_eq!(site.dial(*at, None).unwrap().connect("c"), Ok(expected), "{at}: without one");
    }
}

#[test]
fn only_who_shows_a_good_certificate_is_let_in() {
    let site = Site::new();
    let other = Ca::new("Other CA");
    let folder = site.path();
    let crl = site.ca.write_crl(&folder.join("clients.crl"), &["revoked"]);
    let running = site.start(|listener| {
        site.require(listener);
        listener.crl = Some(crl);
    });
    let client = |flaw, name: &str| site.ca.client(folder, name, flaw);
    let mut good = site.dial(running.addresses[0], Some(&client(Flaw::Nothing, "good"))).unwrap();
    assert_eq!(good.connect("good"), Ok(0));

    let bad = [
        (None, "wants a client certificate"),
        (Some(client(Flaw::Expired, "old")), "has expired"),
        (Some(client(Flaw::NotYetValid, "young")), "our certificate"),
        (Some(client(Flaw::Purpose, "purpose")), "our certificate"),
        (Some(client(Flaw::Nothing, "revoked")), "was revoked"),
        (Some(other.client(folder, "stranger", Flaw::Nothing)), "does not trust the CA"),
        (Some(self_signed(folder, "self")), "does not trust the CA"),
    ];
    let count = u64::try_from(bad.len()).unwrap();
    for (pair, why) in bad {
        // In TLS 1.3 the client is done before the server has judged it.
        let outcome = site.dial(running.addresses[0], pair.as_ref()).and_then(|mut tls| tls.connect("x"));
        let told = outcome.expect_err(why);
        assert!(told.contains(why), "{told}, and not: {why}");
    }
    running.wait_until("every refusal is counted", |engine| engine.count(Count::HandshakesFailed) == count);
    good.ping().unwrap();
}

#[test]
fn who_has_no_certificate_is_let_in_where_it_is_optional_and_a_bad_one_is_not() {
    let site = Site::new();
    let running = site.start(|listener| {
        site.require(listener);
        listener.client_certificates = ClientCertificates::Optional;
    });
    assert_eq!(site.dial(running.addresses[0], None).unwrap().connect("a"), Ok(0));
    let bad = self_signed(site.path(), "self");
    assert!(site.dial(running.addresses[0], Some(&bad)).and_then(|mut tls| tls.connect("b")).is_err());
}

#[test]
fn a_certificate_is_good_for_the_client_identifier_that_it_names() {
    let site = Site::new();
    let running = site.start(|listener| {
        site.require(listener);
        listener.identity = Identity::CommonName;
        listener.identity_as = IdentityAs::ClientId;
    });
    let lamp = site.ca.client(site.path(), "lamp-7", Flaw::Nothing);
    let connect = |id: &str| site.dial(running.addresses[0], Some(&lamp)).unwrap().connect(id);
    assert_eq!(connect("lamp-7"), Ok(0));
    assert_eq!([connect("lamp-8"), connect("")], [Ok(2), Ok(2)]);
}

#[test]
fn a_certificate_stands_for_a_password_where_it_names_the_user() {
    let site = Site::new();
    let folder = site.path();
    let passwords = folder.join("passwords");
    std::fs::write(&passwords, "").unwrap();
    let mut listener = site.listener();
    site.require(&mut listener);
    listener.client_certificates = ClientCertificates::Optional;
    listener.identity = Identity::Subject;
    let running = start_with(|config| {
        config.authentication.password_file = Some(passwords);
        config.listeners = vec![listener];
    });
    let anna = site.ca.client(folder, "anna", Flaw::Nothing);
    assert_eq!(site.dial(running.addresses[0], Some(&anna)).unwrap().connect("a"), Ok(0));
    assert_eq!(site.dial(running.addresses[0], None).unwrap().connect("b"), Ok(5));
}

#[test]
fn the_lowest_version_holds() {
    let site = Site::new();
    let running = site.start(|listener| listener.tls_version_min = TlsVersion::Tls13);
    assert_eq!(site.dial(running.addresses[0], None).unwrap().connect("new"), Ok(0));
    // The first flight of a client of TLS 1.2 that offers one suite and nothing else.
    let mut old = TcpStream::connect(running.addresses[0]).unwrap();
    old.set_read_timeout(Some(DEADLINE)).unwrap();
    let body = [b"\x03\x03".as_slice(), &[7; 32], b"\x00\x00\x02\xc0\x2b\x01\x00\x00\x00"].concat();
    let length = u8::try_from(body.len()).unwrap();
    let hello = [b"\x16\x03\x01\x00".as_slice(), &[length + 4, 1, 0, 0, length], &body].concat();
    old.write_all(&hello).unwrap();
    let mut answer = Vec::new();
    old.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.first(), Some(&0x15), "an alert: {answer:x?}");
    running.wait_until("the refusal is counted", |engine| engine.count(Count::HandshakesFailed) == 1);
}

#[test]
fn who_does_not_speak_tls_is_closed_at_once_and_who_says_nothing_in_time() {
    let site = Site::new();
    let running = site.start(|listener| listener.handshake_timeout_secs = 1);
    let mut stranger = TcpStream::connect(running.addresses[0]).unwrap();
    let mut silent = TcpStream::connect(running.addresses[0]).unwrap();
    let mut slow = TcpStream::connect(running.addresses[0]).unwrap();
    for socket in [&stranger, &silent, &slow] {
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
    }
    stranger.write_all(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a").unwrap();
    slow.write_all(b"\x16\x03\x01\x02\x00\x01").unwrap(); // The beginning of a hello.
    let mut rest = Vec::new();
    for socket in [&mut stranger, &mut silent, &mut slow] {
        let _ = socket.read_to_end(&mut rest); // A reset is an end as well.
    }
    running.wait_until("all three are counted", |engine| engine.count(Count::HandshakesFailed) == 3);
    assert_eq!(site.dial(running.addresses[0], None).unwrap().connect("a"), Ok(0));
}

#[test]
fn handshakes_under_way_do_not_hold_up_the_end() {
    let site = Site::new();
    let running = site.start(|_| {});
    let _silent = TcpStream::connect(running.addresses[0]).unwrap();
    let begun = std::time::Instant::now();
    running.stop();
    assert!(begun.elapsed() < Duration::from_secs(4), "it took {:?}", begun.elapsed());
}

#[test]
fn a_client_that_reads_nothing_does_not_fill_the_memory() {
    let site = Site::new();
    let running = start_with(|config| {
        config.listeners = vec![site.listener(), loopback()];
        config.limits.link_soft_bytes = 65_536;
    });
    let mut stuck = site.dial(running.addresses[0], None).unwrap();
    assert_eq!(stuck.connect("stuck"), Ok(0));
    stuck.send(b"\x82\x06\x00\x01\x00\x01t\x00").unwrap();
    stuck.receive(5).unwrap();
    let mut flood = TcpStream::connect(running.addresses[1]).unwrap();
    flood.write_all(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01f").unwrap();
    let publish = [b"\x30\x83\x80\x04\x00\x01t".as_slice(), &[7; 65_536]].concat();
    for _ in 0..1_000 {
        flood.write_all(&publish).unwrap();
        if running.count(Count::DroppedQos0Blocked) > 0 {
            return;
        }
    }
    panic!("64 MB for a client that reads nothing, and nothing was dropped");
}
