//! MQTT over WebSocket, with bytes by hand: what goes through however it is cut, and what is refused.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Instant,
};

use whimbrel_broker::config::{Listener, PageOrigin, Protocol};
use whimbrel_engine::Count;
use whimbrel_net::{Address, Dialler, Scheme, tls::Connector};
use whimbrel_testkit::{Connect, Packet, QoS, Sender, Subscribe, Version, decode, publish, v5, v311, will};

use super::{
    control::ask,
    running::{DEADLINE, Running, loopback, start_with},
    tls::{Site, Tls},
};

/// A request as a page of the same host makes it.
const REQUEST: &str = "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\
    Origin: http://localhost:8000\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

const BINARY: u8 = 0x82;
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// A broker with a listener for WebSocket, changed, and behind it one for TCP.
fn start(change: impl FnOnce(&mut Listener)) -> Running {
    let mut listener = Listener { protocol: Protocol::Ws, ..loopback() };
    change(&mut listener);
    start_with(|config| config.listeners = vec![listener, loopback()])
}

/// A client's frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x1f, 0x2e, 0x3d, 0x4c];
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0xff);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
            assert!(length > 65_535, "this length is not needed here");
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A client by hand.
struct Client {
    stream: TcpStream,
    version: Version,
    /// Bytes behind the heads of frames, from the first that is no packet yet.
    data: Vec<u8>,
    raw: Vec<u8>,
    /// The code of the server's Close.
    close: Option<u16>,
}

impl Client {
    fn connect(address: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A connection that has become a WebSocket, and the head of the answer.
    fn upgrade(address: SocketAddr, version: Version, request: &str) -> (Client, String) {
        let mut stream = Self::connect(address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        (Client { stream, version, data: Vec::new(), raw: Vec::new(), close: None }, head)
    }

    fn open(running: &Running, version: Version) -> Client {
        Self::upgrade(running.addresses[0], version, REQUEST).0
    }

    /// A client whose CONNECT was accepted.
    fn connected(running: &Running, connect: Connect) -> Client {
        let mut client = Self::open(running, connect.version);
        client.send(&[Packet::Connect(Box::new(connect))]);
        assert!(matches!(client.next(), Some(Packet::ConnAck(ack)) if ack.code == 0));
        client
    }

    fn bytes(&self, packets: &[Packet]) -> Vec<u8> {
        packets.iter().flat_map(|packet| packet.encode(self.version)).collect()
    }

    /// Packets in one frame.
    fn send(&mut self, packets: &[Packet]) {
        let bytes = self.bytes(packets);
        self.write(&frame(BINARY, &bytes));
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next packet; nothing at the end of the connection.
    #[track_caller]
    fn next(&mut self) -> Option<Packet> {
        let end = Instant::now() + DEADLINE;
        loop {
            let decoded = decode(&self.data, self.version, Sender::Server);
            if let Some((packet, length)) = decoded.unwrap_or_else(|broken| panic!("{}", broken.0)) {
                self.data.drain(..length);
                return Some(packet);
            }
            if !self.take_frame() {
                assert!(Instant::now() < end, "nothing comes");
                let mut buffer = [0; 4_096];
                match self.stream.read(&mut buffer) {
                    Ok(0) => return None,
                    Ok(count) => self.raw.extend_from_slice(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    /// A whole frame of the server. It is never masked, nor in parts.
    fn take_frame(&mut self) -> bool {
        let [first, short, rest @ ..] = &self.raw[..] else { return false };
        let (wide, length) = match (short, rest) {
            (126, [a, b, ..]) => (2, usize::from(u16::from_be_bytes([*a, *b]))),
            (127, rest) if rest.len() >= 8 => (8, u64::from_be_bytes(rest[..8].try_into().unwrap()) as usize),
            (0..=125, _) => (0, usize::from(*short)),
            (126 | 127, _) => return false,
            _ => panic!("a masked frame of the server"),
        };
        let Some(payload) = rest.get(wide..wide + length) else { return false };
        match *first {
            BINARY => self.data.extend_from_slice(payload),
            CLOSE => self.close = payload.first_chunk().map(|code| u16::from_be_bytes(*code)),
            PONG => {}
            other => panic!("{other:#x} of the server"),
        }
        self.raw.drain(..2 + wide + length);
        true
    }

    /// The code with which the server closes.
    #[track_caller]
    fn farewell(&mut self) -> Option<u16> {
        while self.next().is_some() {}
        self.close
    }
}

fn refused(address: SocketAddr, request: &str) -> String {
    let mut stream = Client::connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn v5_6_0_0_2_packets_and_frames_are_cut_independently() {
    cut_everywhere(Version::V5);
}

#[test]
fn v311_6_0_0_2_packets_and_frames_are_cut_independently() {
    cut_everywhere(Version::V311);
    cut_everywhere(Version::V31);
}

fn cut_everywhere(version: Version) {
    let running = start(|_| {});
    let mut heard = Client::connected(&running, Connect::new(version, "heard"));
    heard.send(&[Packet::Subscribe(Subscribe::one(1, "t", QoS::QoS1))]);
    assert!(matches!(heard.next(), Some(Packet::SubAck(_))));
    let speaker = Client::open(&running, version);
    let packets = [
        Packet::Connect(Box::new(Connect::new(version, "from"))),
        Packet::Publish(publish("t", "first").at(QoS::QoS1, 7)),
        Packet::Publish(publish("t", "second")),
        Packet::PingReq,
    ];
    let bytes = speaker.bytes(&packets);
    drop(speaker);
    for size in 1..=bytes.len() {
        let mut speaker = Client::open(&running, version);
        // One message in fragments, a ping between any two of them.
        let parts: Vec<&[u8]> = bytes.chunks(size).collect();
        for (at, part) in parts.iter().enumerate() {
            let opcode = if at == 0 { 0x02 } else { 0x00 };
            let last = if at + 1 == parts.len() { 0x80 } else { 0 };
            speaker.write(&frame(opcode | last, part));
            speaker.write(&frame(PING, b""));
        }
        assert!(matches!(speaker.next(), Some(Packet::ConnAck(ack)) if ack.code == 0), "in {size}s");
        assert!(matches!(speaker.next(), Some(Packet::PubAck(ack)) if ack.id == 7), "in {size}s");
        assert_eq!(speaker.next(), Some(Packet::PingResp), "in {size}s");
        for (payload, id) in [("first", true), ("second", false)] {
            let Some(Packet::Publish(got)) = heard.next() else { panic!("no {payload}, in {size}s") };
            assert_eq!(got.payload, payload.as_bytes());
            if id {
                heard.send(&[Packet::PubAck(whimbrel_testkit::Ack::new(got.id, 0))]);
            }
        }
    }
}

#[test]
fn v5_6_0_0_1_other_data_than_binary_closes_the_connection() {
    say_text(Version::V5);
}

#[test]
fn v311_6_0_0_1_other_data_than_binary_closes_the_connection() {
    say_text(Version::V311);
    say_text(Version::V31);
}

fn say_text(version: Version) {
    let running = start(|_| {});
    let mut watcher = Client::connected(&running, Connect::new(version, "watcher"));
    watcher.send(&[Packet::Subscribe(Subscribe::one(1, "gone", QoS::QoS0))]);
    watcher.next().unwrap();
    let mut client = Client::connected(&running, Connect::new(version, "x").will(will("gone", "")));
    let ping = client.bytes(&[Packet::PingReq]);
    client.write(&frame(TEXT, &ping));
    assert_eq!(client.farewell(), Some(1003), "{version}");
    assert!(matches!(watcher.next(), Some(Packet::Publish(_))), "the will, since there was no DISCONNECT");
}

#[test]
fn v5_6_0_0_4_the_sub_protocol_is_mqtt_and_nothing_is_compressed() {
    agree_on_mqtt(Version::V5);
}

#[test]
fn v311_6_0_0_4_the_sub_protocol_is_mqtt_and_nothing_is_compressed() {
    agree_on_mqtt(Version::V311);
}

fn agree_on_mqtt(version: Version) {
    let running = start(|_| {});
    let (mut client, head) = Client::upgrade(running.addresses[0], version, REQUEST);
    assert!(head.contains("\r\nSec-WebSocket-Protocol: mqtt\r\n"), "{head}");
    assert!(!head.to_ascii_lowercase().contains("extensions"), "{head}");
    client.write(&frame(0x40 | BINARY, b"as if compressed"));
    assert_eq!(client.farewell(), Some(1002));
    let old = REQUEST.replace("Protocol: mqtt", "Protocol: mqttv3.1");
    let (_, head) = Client::upgrade(running.addresses[0], Version::V31, &old);
    assert!(head.contains("\r\nSec-WebSocket-Protocol: mqttv3.1\r\n"), "{head}");
    let without = REQUEST.replace("Sec-WebSocket-Protocol: mqtt\r\n", "");
    assert!(refused(running.addresses[0], &without).starts_with("HTTP/1.1 400 "));
}

#[test]
fn a_frame_that_is_not_masked_is_refused() {
    let running = start(|_| {});
    let mut client = Client::open(&running, Version::V5);
    client.write(&[BINARY, 2, 0xc0, 0]);
    assert_eq!(client.farewell(), Some(1002));
}

#[test]
fn clients_over_websocket_and_tcp_talk_to_each_other() {
    let running = start(|_| {});
    let mut tcp = super::client::Client::open(running.addresses[running.addresses.len() - 1], Version::V5);
    tcp.connect(v5("tcp"));
    tcp.subscribe("t", QoS::QoS2);
    let mut page = Client::connected(&running, v5("page"));
    page.send(&[Packet::Subscribe(Subscribe::one(1, "t", QoS::QoS0))]);
    page.next().unwrap();
    let large = vec![b'x'; 300_000];
    tcp.say("t", std::str::from_utf8(&large).unwrap());
    for got in [
        tcp.taken(),
        match page.next() {
            Some(Packet::Publish(got)) => got,
            other => panic!("{other:?}"),
        },
    ] {
        assert!(got.payload == large);
    }
    page.send(&[Packet::Publish(publish("t", &large[..200_000]))]);
    assert!(tcp.taken().payload == large[..200_000]);
}

#[test]
fn each_end_comes_with_its_close_code() {
    let mut running = start(|_| {});
    // The client says DISCONNECT, then Close.
    let mut client = Client::connected(&running, v311("one"));
    client.send(&[Packet::Disconnect(whimbrel_testkit::Disconnect::new(0))]);
    assert_eq!(client.farewell(), Some(1000));
    // The client says Close; its code comes back.
    let mut client = Client::connected(&running, v5("two"));
    client.write(&frame(CLOSE, &[0x03, 0xe9]));
    assert_eq!(client.farewell(), Some(1001));
    // The client breaks a rule of MQTT.
    let mut client = Client::connected(&running, v5("three"));
    client.write(&frame(BINARY, &[0xf0 | 0x0f, 0]));
    assert_eq!(client.farewell(), Some(1008));
    // The server ends.
    let mut client = Client::connected(&running, v5("four"));
    let broker = running.take();
    let stopping = std::thread::spawn(move || broker.stop());
    assert_eq!(client.farewell(), Some(1001));
    stopping.join().unwrap();
}

#[test]
fn a_frame_as_long_as_frames_can_be_holds_no_memory_and_its_packets_count_as_they_come() {
    let running = start(|_| {});
    let mut client = Client::open(&running, Version::V311);
    client.write(&[BINARY, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let bytes = client.bytes(&[Packet::Connect(Box::new(v311("long"))), Packet::PingReq]);
    client.write(&bytes);
    assert!(matches!(client.next(), Some(Packet::ConnAck(ack)) if ack.code == 0));
    assert_eq!(client.next(), Some(Packet::PingResp));
    // A packet beyond the limit ends it as everywhere.
    client.write(&[0x30, 0xff, 0xff, 0xff, 0x7f]);
    assert_eq!(client.farewell(), Some(1008));
}

#[test]
fn a_request_that_is_not_for_us_is_refused_and_counted() {
    let running = start(|listener| listener.path = "/broker".parse().unwrap());
    let address = running.addresses[0];
    let right = REQUEST.replace("GET /mqtt", "GET /broker");
    let check = |request: &str, status: &str| {
        let before = running.count(Count::HandshakesFailed);
        let answer = refused(address, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        running.wait_until("it is counted", |engine| engine.count(Count::HandshakesFailed) == before + 1);
    };
    check(REQUEST, "404");
    check("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "404");
    check("GET /broker HTTP/1.1\r\nHost: h\r\n\r\n", "426");
    check(&right.replace("Origin: http://localhost:8000", "Origin: http://evil.example"), "403");
    check(&right.replace("Origin: http://localhost:8000", "Origin: null"), "403");
    check(
        &right.replace("Host: localhost", &format!("Host: localhost\r\nCookie: {}", "x".repeat(9_000))),
        "431",
    );
    check(
        &right.replace("Host: localhost", &format!("Host: localhost\r\n{}a: b", "a: b\r\n".repeat(64))),
        "400",
    );
    Client::upgrade(address, Version::V5, &right);
}

#[test]
fn a_request_cannot_carry_another_past_whoever_stands_in_front() {
    let running = start(|_| {});
    let another = "GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for request in [
        format!("{REQUEST}{another}"),
        REQUEST.replace("Host:", "Content-Length: 45\r\nHost:") + another,
        REQUEST.replace("Host:", "Transfer-Encoding: chunked\r\nHost:") + "0\r\n\r\n",
        REQUEST.replace("Host:", "Transfer-Encoding: xchunked\r\nContent-Length: 0\r\nHost:"),
        REQUEST.replace("Host:", "X: y\nContent-Length: 45\r\nHost:") + another,
        REQUEST.replace("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 1337") + another,
    ] {
        let answer = refused(running.addresses[0], &request);
        assert!(answer.starts_with("HTTP/1.1 4"), "{request}{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "one answer, then the end: {answer}");
    }
}

#[test]
fn a_page_connects_where_its_origin_is_listed() {
    let listed: Vec<PageOrigin> = vec!["https://app.example".parse().unwrap(), "null".parse().unwrap()];
    let running = start(|listener| listener.origins = listed);
    for (origin, admitted) in
        [("https://app.example", true), ("null", true), ("http://localhost:8000", false)]
    {
        let request = REQUEST.replace("http://localhost:8000", origin);
        match admitted {
            true => drop(Client::upgrade(running.addresses[0], Version::V5, &request)),
            false => {
                assert!(refused(running.addresses[0], &request).starts_with("HTTP/1.1 403 "), "{origin}")
            }
        }
    }
    let any = start(|listener| listener.origins = vec!["*".parse().unwrap()]);
    Client::upgrade(
        any.addresses[0],
        Version::V5,
        &REQUEST.replace("http://localhost:8000", "https://any.example"),
    );
}

#[test]
fn a_request_that_does_not_end_is_closed_in_time_and_others_are_served_meanwhile() {
    let running = start(|listener| listener.handshake_timeout_secs = 1);
    let slow: Vec<TcpStream> = (0..50)
        .map(|number| {
            let mut stream = Client::connect(running.addresses[0]);
            stream.write_all(&REQUEST.as_bytes()[..number]).unwrap();
            stream
        })
        .collect();
    Client::connected(&running, v5("quick"));
    for mut stream in slow {
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "closed without an answer");
    }
    running.wait_until("all are counted", |engine| engine.count(Count::HandshakesFailed) == 50);
}

#[test]
fn who_does_not_say_connect_is_closed_in_time() {
    let mut listener = Listener { protocol: Protocol::Ws, ..loopback() };
    listener.handshake_timeout_secs = 1;
    let running = start_with(|config| {
        config.listeners = vec![listener];
        config.limits.connect_timeout_secs = 1;
    });
    let mut silent = Client::open(&running, Version::V5);
    let mut pinging = Client::open(&running, Version::V5);
    pinging.write(&frame(PING, b""));
    assert_eq!(silent.farewell(), Some(1008));
    assert_eq!(pinging.farewell(), Some(1008), "a ping of WebSocket is no packet");
}

#[test]
fn only_a_trusted_proxy_says_who_the_client_is() {
    let address_of = |running: &Running, id: &str| {
        let request = REQUEST.replace("Host:", "X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nHost:");
        let (mut client, _) = Client::upgrade(running.addresses[0], Version::V5, &request);
        client.send(&[Packet::Connect(Box::new(v5(id)))]);
        client.next().unwrap();
        let shown = ask(running.broker().control().client(id)).unwrap();
        (shown.connection.unwrap().address.unwrap(), client.stream.local_addr().unwrap().to_string())
    };
    let running = start(|listener| listener.proxy_trusted = vec!["127.0.0.0/8".parse().unwrap()]);
    assert_eq!(address_of(&running, "behind").0, "192.0.2.7");
    let running = start(|listener| listener.proxy_trusted = vec!["10.0.0.0/8".parse().unwrap()]);
    let (shown, own) = address_of(&running, "liar");
    assert_eq!(shown, own);
}

#[test]
fn behind_a_proxy_that_names_no_client_nobody_says_who_the_client_is() {
    let running = start(|listener| {
        listener.proxy_protocol = true;
        listener.proxy_trusted = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let signature = "\r\n\r\n\0\r\nQUIT\n";
    let headers = [
        "PROXY UNKNOWN\r\n".to_owned(),
        format!("{signature}\x20\0\0\0"),
        // Of a family that tells nothing here.
        format!("{signature}\x21\0\0\0"),
    ];
    for header in headers {
        let request = header.clone() + &REQUEST.replace("Host:", "X-Forwarded-For: 192.0.2.7\r\nHost:");
        let (mut client, _) = Client::upgrade(running.addresses[0], Version::V5, &request);
        client.send(&[Packet::Connect(Box::new(v5("hidden")))]);
        client.next().unwrap();
        let shown = ask(running.broker().control().client("hidden")).unwrap().connection.unwrap();
        let own = client.stream.local_addr().unwrap().to_string();
        assert_eq!(shown.address, Some(own), "{header:?}");
    }
    // Where it names a client that is a proxy itself, that one is asked.
    let request = "PROXY TCP4 127.0.0.9 127.0.0.1 7 80\r\n".to_owned()
        + &REQUEST.replace("Host:", "X-Forwarded-For: 192.0.2.7\r\nHost:");
    let (mut client, _) = Client::upgrade(running.addresses[0], Version::V5, &request);
    client.send(&[Packet::Connect(Box::new(v5("named")))]);
    client.next().unwrap();
    let shown = ask(running.broker().control().client("named")).unwrap().connection.unwrap();
    assert_eq!(shown.address.as_deref(), Some("192.0.2.7"));
}

#[test]
fn a_client_that_closes_its_sending_half_still_reads_what_it_was_answered() {
    let running = start(|_| {});
    let mut client = Client::connected(&running, v311("half"));
    client.send(&[Packet::PingReq]);
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.next(), Some(Packet::PingResp));
    assert_eq!(client.farewell(), Some(1000));
}

#[test]
fn websocket_over_tls_and_the_client_that_dials_it() {
    let site = Site::new();
    let running = site.start(|listener| listener.protocol = Protocol::Wss);
    let settings =
        whimbrel_net::tls::ConnectorSettings { alpn: vec![b"http/1.1".to_vec()], ..site.settings(None) };
    let address = Address::new("localhost", running.addresses[0].port()).unwrap().over(Scheme::Wss);
    let mut tls = Tls::dial_with(Dialler::new(Some(Connector::new(&settings).unwrap())), &address).unwrap();
    assert_eq!(tls.connect("over-both"), Ok(0));
    tls.ping().unwrap();
    let wrong = address.at_path("/else").unwrap();
    let error = Tls::dial_with(Dialler::new(Some(Connector::new(&settings).unwrap())), &wrong).err().unwrap();
    assert!(error.contains("404 Not Found") && error.contains("MQTT is at /mqtt"), "{error}");
}
