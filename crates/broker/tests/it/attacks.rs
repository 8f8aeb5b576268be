//! What attackers do to a listener besides what stands beside each transport: they drip, they come by the thousand and say
//! nothing, they speak another protocol, they call themselves by wildcards. `docs/attacks.md` lists every attack.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use whimbrel_broker::config::{Auto, Listener, Protocol};
use whimbrel_engine::Count;
use whimbrel_testkit::{Packet, QoS, Subscribe, Version, publish, v5, v311};

use super::{
    running::{DEADLINE, Running, loopback, start_with},
    tls::Site,
};

/// Between two bytes of who drips: often enough for anything that only counts silence.
const DRIP: Duration = Duration::from_millis(150);

/// The first flight of a client of TLS, as it begins.
const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

const REQUEST: &[u8] = b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

/// Listeners for TCP, TLS and WebSocket, none of which waits for longer than a second.
fn impatient(site: &Site) -> Running {
    let quick = |listener: Listener| Listener { handshake_timeout_secs: 1, ..listener };
    let listeners =
        vec![loopback(), quick(site.listener()), quick(Listener { protocol: Protocol::Ws, ..loopback() })];
    start_with(|config| {
        config.limits.connect_timeout_secs = 1;
        config.listeners = listeners;
    })
}

/// Says these bytes one by one, and for ever the last of them, until the connection is closed. How long that takes.
fn drip(mut stream: TcpStream, bytes: &[u8]) -> Duration {
    let begun = Instant::now();
    stream.set_read_timeout(Some(DRIP)).unwrap();
    let last = bytes.iter().rev().take(1).cycle();
    for byte in bytes.iter().chain(last) {
        assert!(begun.elapsed() < DEADLINE, "nobody closes");
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
        match stream.read(&mut [0; 64]) {
            Ok(0) => break,
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            _ => {}
        }
    }
    begun.elapsed()
}

/// A WebSocket that has said nothing of MQTT yet.
fn upgraded(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(REQUEST).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    stream
}

#[test]
fn who_drips_its_bytes_has_no_more_time_than_who_is_silent() {
    let site = Site::new();
    let running = impatient(&site);
    let [tcp, tls, ws] = running.addresses[..] else { panic!("three listeners") };
    let connect = Packet::Connect(Box::new(v5(&"x".repeat(200)))).encode(Version::V5);
    // One frame of WebSocket for each byte of CONNECT, with a mask of zeros.
    let framed: Vec<u8> = connect.iter().flat_map(|byte| [0x82, 0x81, 0, 0, 0, 0, *byte]).collect();
    let attacks: [(&str, TcpStream, &[u8]); 5] = [
        ("CONNECT over TCP", TcpStream::connect(tcp).unwrap(), &connect),
        ("a hello of TLS", TcpStream::connect(tls).unwrap(), HELLO),
        ("a request for a WebSocket", TcpStream::connect(ws).unwrap(), REQUEST),
        ("a frame of WebSocket", upgraded(ws), &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4, 0x10]),
        ("CONNECT in frames", upgraded(ws), &framed),
    ];
    std::thread::scope(|scope| {
        for (name, stream, bytes) in attacks {
            scope.spawn(move || {
                let taken = drip(stream, bytes);
                assert!(taken < Duration::from_secs(5), "{name}: closed after {taken:?}");
            });
        }
    });
    running.connect(v5("honest")).ping();
}

#[test]
fn v5_3_1_2_22_bytes_of_a_packet_that_never_ends_keep_nobody_alive() {
    let running = start_with(|_| {});
    for connect in [v5("new").keep_alive(1), v311("old").keep_alive(1)] {
        let mut client = running.open(connect.version);
        assert_eq!(client.connect(connect).code, 0);
        let stream = client.stream().try_clone().unwrap();
        let taken = drip(stream, &[0x30, 0xff, 0xff, 0x03, 0, 1, b'a']);
        assert!(taken < Duration::from_secs(5), "closed after {taken:?}");
    }
}

#[test]
fn half_open_connections_by_the_thousand_keep_nobody_out_and_leave_nothing() {
    let site = Site::new();
    let running = impatient(&site);
    let beginnings: [&[u8]; 3] = [&[0x10], HELLO, &REQUEST[..40]];
    let open = |at: SocketAddr, bytes: &[u8]| {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    };
    let mut crowd = Vec::new();
    for _ in 0..350 {
        crowd.extend(running.addresses.iter().zip(beginnings).map(|(at, bytes)| open(*at, bytes)));
    }
    let mut honest = running.connect(v5("honest"));
    honest.ping();
    assert_eq!(site.dial(running.addresses[1], None).unwrap().connect("over TLS"), Ok(0));
    drop(upgraded(running.addresses[2]));
    for stream in &mut crowd {
        let _ = stream.read(&mut [0; 64]); // An end, an alert, or a reset.
    }
    running.wait_until("every handshake that failed is counted", |engine| {
        engine.count(Count::HandshakesFailed) == 700
    });
    running.wait_until("only who is honest is here", |engine| engine.connected() == 1);
    honest.ping();
}

#[test]
fn a_header_of_a_proxy_where_none_is_expected_is_no_mqtt() {
    let running = start_with(|_| {});
    let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x06\x06\x06\x06\x7f\0\0\x01\x12\x34\x07\x5b";
    for header in [b"PROXY TCP4 6.6.6.6 127.0.0.1 1 2\r\n".as_slice(), binary] {
        let mut client = running.open(Version::V311);
        client.send_bytes(header);
        client.send(Packet::Connect(Box::new(v311("liar"))));
        assert!(client.is_closed());
    }
    assert_eq!(running.broker().engine().sessions(), 0);
}

const OWN: &str = "[[rule]]\nallow = [\"publish\", \"subscribe\"]\ntopics = \"devices/%c/#\"\n\n\
    [[rule]]\nallow = [\"publish\", \"subscribe\"]\ntopics = \"%c/home\"\n";

#[test]
fn a_client_identifier_opens_nothing_by_wildcards_slashes_or_a_dollar() {
    let folder = TempDir::new().unwrap();
    let rules = folder.path().join("access.toml");
    fs::write(&rules, OWN).unwrap();
    let running = start_with(|config| config.access.file = Some(rules));
    let mut victim = running.connect(v5("pump"));
    victim.subscribe("devices/pump/#", QoS::QoS0);
    for id in ["+", "#", "pump/x", "pump/#", "../pump", "$SYS", "/", "pu+", "%c", "a+b", "Pump", "pump "] {
        let mut client = running.connect(v5(id));
        for filter in ["devices/#", "devices/+/state", "devices/pump/#", "#", "+/home", "$SYS/#", "+/+"] {
            client.send(Packet::Subscribe(Subscribe::one(7, filter, QoS::QoS0)));
            let codes = client.expect("SUBACK", |packet| match packet {
                Packet::SubAck(ack) => Some(ack.codes.clone()),
                _ => None,
            });
            assert_eq!(codes, [0x87], "{id} subscribes to {filter}");
        }
        for topic in ["devices/pump/state", "devices/pump", "pump/home", "$SYS/home", "devices/pump/x/y"] {
            client.publish(publish(topic, "forged").at(QoS::QoS1, 1));
            assert_eq!(client.puback(1), 0x87, "{id} publishes to {topic}");
        }
    }
    victim.say("devices/pump/state", "true");
    assert_eq!(&victim.message().payload[..], b"true", "the first that comes is its own");
}

#[test]
fn a_filter_that_a_wildcard_widens_is_refused_also_behind_a_share() {
    let folder = TempDir::new().unwrap();
    let rules = folder.path().join("access.toml");
    let text = "[[rule]]\ndeny = \"subscribe\"\ntopics = \"house/safe\"\n\n\
        [[rule]]\nallow = [\"publish\", \"subscribe\"]\ntopics = \"house/#\"\n";
    fs::write(&rules, text).unwrap();
    let running = start_with(|config| {
        config.access.file = Some(rules);
        config.worker.threads = Auto::Set(1);
    });
    let mut thief = running.connect(v5("thief"));
    for filter in
        ["house/#", "house/+", "+/safe", "#", "$share/g/house/#", "$share/g/house/+", "house/safe/#"]
    {
        thief.send(Packet::Subscribe(Subscribe::one(3, filter, QoS::QoS0)));
        let codes = thief.expect("SUBACK", |packet| match packet {
            Packet::SubAck(ack) => Some(ack.codes.clone()),
            _ => None,
        });
        assert_eq!(codes, [0x87], "{filter}");
    }
    thief.subscribe("house/hall", QoS::QoS0);
    let mut owner = running.connect(v5("owner"));
    owner.say("house/safe", "1234");
    owner.say("house/hall", "light");
    assert_eq!(&thief.message().payload[..], b"light");
}

/// A CONNECT that is longer than any may be is not waited for.
#[test]
fn a_connect_that_announces_hundreds_of_megabytes_is_closed_at_once() {
    let running = start_with(|config| config.limits.connect_timeout_secs = 60);
    let mut client = running.open(Version::V5);
    client.send_bytes(&[0x10, 0xff, 0xff, 0xff, 0x7f]);
    assert!(client.is_closed());
    running.connect(v5("honest")).ping();
}

/// What follows a request is seen however long the request is, also where it ends just where a read does.
#[test]
fn bytes_behind_a_request_are_refused_wherever_it_ends() {
    let running = start_with(|config| {
        config.listeners = vec![Listener { protocol: Protocol::Ws, ..loopback() }];
    });
    for length in [1_000, 1_023, 1_024, 1_025, 2_048, 3_072] {
        for (behind, status) in [(b"".as_slice(), "101"), (b"\x82\x80\0\0\0\0", "400"), (b"G", "400")] {
            let front = b"GET /mqtt HTTP/1.1\r\nPad: ";
            let rest = &REQUEST[b"GET /mqtt HTTP/1.1".len()..];
            let pad = "x".repeat(length - front.len() - rest.len());
            let request = [front, pad.as_bytes(), rest, behind].concat();
            assert_eq!(request.len(), length + behind.len());
            let mut stream = TcpStream::connect(running.addresses[0]).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            stream.write_all(&request).unwrap();
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(&answer[9..], status.as_bytes(), "{length} bytes and {behind:?}");
        }
    }
}

/// The table of attacks names tests that there are.
#[test]
fn every_attack_of_the_page_has_a_test_that_is_there() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut sources = String::new();
    let mut folders = vec![root.join("crates"), root.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_source = path.extension().is_some_and(|end| end == "rs" || end == "py");
            if path.is_dir() && !path.ends_with("corpus") {
                folders.push(path);
            } else if is_source {
                sources += &fs::read_to_string(path).unwrap();
            }
        }
    }
    let page = fs::read_to_string(root.join("docs/attacks.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| attack "));
    let mut count = 0;
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for test in tests.split(", ") {
            let name = test.trim_matches('`');
            let is_there =
                [format!("fn {name}("), format!("def {name}(")].iter().any(|text| sources.contains(text));
            assert!(is_there, "docs/attacks.md: there is no test {name}");
        }
        count += 1;
    }
    assert!(count > 25, "{count} attacks");
}
