//! What WebSocket holds: the head of a request that does not end, and a connection that is idle.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use whimbrel_broker::config::{Listener, Protocol};
use whimbrel_engine::Count;
use whimbrel_limits::{Heap, Running, loopback};
use whimbrel_testkit::{Packet, Version, v5};

use super::reach::LEFT;

/// What does not come within this time does not come.
const DEADLINE: Duration = Duration::from_secs(20);

/// What a connection holds while it shakes hands, beside what it has sent.
const HANDSHAKE_BYTES: usize = 6 << 10;

/// What WebSocket adds to an idle connection.
const ADDED_BYTES: usize = 512;

const REQUEST: &str = "GET /mqtt HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

fn start(upgrade_bytes_max: u32) -> Running {
    Running::start(|config| {
        config.listeners =
            vec![Listener { protocol: Protocol::Ws, upgrade_bytes_max, ..loopback() }, loopback()];
    })
}

fn open(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

#[test]
pub(super) fn bytes_of_a_request() {
    let mut heap = Heap::alone();
    const STRANGERS: usize = 50;
    const MAX: usize = 4_096;
    let running = start(MAX as u32);
    let address = running.address();
    drop(open(address)); // What the first stranger costs once is not measured.
    running.wait_until("it has left", |engine| engine.count(Count::HandshakesFailed) == 1);
    heap.begin();
    let mut strangers: Vec<TcpStream> = (0..STRANGERS).map(|_| open(address)).collect();
    for stranger in &mut strangers {
        stranger.write_all(REQUEST.replace("\r\n\r\n", "\r\n").as_bytes()).unwrap();
        stranger.write_all(&[b"Cookie: ".as_slice(), &[b'x'; MAX]].concat()).unwrap();
    }
    for stranger in &mut strangers {
        let mut answer = String::new();
        stranger.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    // A block that grows counts twice while its bytes move.
    heap.assert_never_above("50 requests that do not end", STRANGERS * (MAX + HANDSHAKE_BYTES) + MAX + LEFT);
    drop(strangers);
    running.wait_until("all are counted", |engine| {
        engine.count(Count::HandshakesFailed) == 1 + STRANGERS as u64
    });
    heap.assert_at_most("50 requests, refused", LEFT);
}

/// A client that has said CONNECT, over TCP or over WebSocket.
fn connect(address: SocketAddr, id: &str, is_websocket: bool) -> TcpStream {
    let mut stream = open(address);
    let connect = Packet::Connect(Box::new(v5(id))).encode(Version::V5);
    let mut bytes = connect.clone();
    if is_websocket {
        stream.write_all(REQUEST.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        bytes = [&[0x82, 0x80 | u8::try_from(connect.len()).unwrap(), 0, 0, 0, 0], &connect[..]].concat();
    }
    stream.write_all(&bytes).unwrap();
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).unwrap();
    assert_eq!(if is_websocket { connack[2] } else { connack[0] }, 0x20, "CONNACK");
    stream
}

#[test]
fn an_idle_websocket_costs_little_more_than_tcp() {
    let mut heap = Heap::alone();
    const CLIENTS: usize = 400;
    let running = start(8_192);
    let addresses = running.addresses();
    let grown = [false, true].map(|is_websocket| {
        let address = if is_websocket { addresses[0] } else { addresses[addresses.len() - 1] };
        let first = connect(address, "first", is_websocket);
        heap.begin();
        let clients: Vec<TcpStream> =
            (0..CLIENTS).map(|at| connect(address, &format!("client-{at}"), is_websocket)).collect();
        let grown = heap.grown();
        drop((first, clients));
        running.wait_until("all have gone", |engine| engine.connected() == 0);
        grown / CLIENTS
    });
    let [tcp, websocket] = grown;
    println!("an idle connection: {tcp} bytes by TCP, {websocket} by WebSocket");
    assert!(websocket <= tcp + ADDED_BYTES, "{websocket} bytes for {tcp}");
}
