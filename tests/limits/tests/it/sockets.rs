//! The limits that live where the sockets are: connections of one listener, and bytes that have not become packets.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use whimbrel_broker::config::{Auto, Listener};
use whimbrel_engine::Count;
use whimbrel_limits::{Heap, Running, loopback};
use whimbrel_testkit::{Connect, Packet, Sender, Version, bytes, decode, publish, v5, v311};

use super::reach::LEFT;

/// What does not come within this time does not come.
const DEADLINE: Duration = Duration::from_secs(20);

/// What a connection costs in the broker, by the reference of the configuration, with room for what a debug build adds.
const CONNECTION_BYTES: usize = 2 << 10;

/// Packets that have not arrived whole may have so much beyond which the server looks at the sum.
const READ_BYTES: usize = 64 << 10;

/// A client's end of a real connection.
struct Socket {
    stream: TcpStream,
    version: Version,
}

impl Socket {
    fn open(address: SocketAddr, version: Version) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Socket { stream, version }
    }

    fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes); // A server that has closed does not mind.
    }

    /// What comes before the end of the connection.
    fn rest(&mut self) -> Vec<Packet> {
        let mut raw = Vec::new();
        let _ = self.stream.read_to_end(&mut raw); // A reset is an end too.
        let mut packets = Vec::new();
        let mut at = 0;
        while let Some((packet, length)) = decode(&raw[at..], self.version, Sender::Server).unwrap() {
            packets.push(packet);
            at += length;
        }
        packets
    }

    /// Sends CONNECT and gives the code of CONNACK; none where the connection ends without.
    fn connect(&mut self, connect: Connect) -> Option<u8> {
        self.send(&Packet::Connect(Box::new(connect)).encode(self.version));
        let mut raw = Vec::new();
        let mut byte = [0];
        loop {
            match decode(&raw, self.version, Sender::Server).unwrap() {
                Some((Packet::ConnAck(ack), _)) => return Some(ack.code),
                Some((other, _)) => panic!("instead of CONNACK: {other}"),
                None => {}
            }
            match self.stream.read(&mut byte) {
                Ok(1) => raw.extend(byte),
                _ => return None,
            }
        }
    }
}

/// How many of so many connections that come at once are let in, and how many the count says are not.
fn let_in(count: Count, change: impl FnOnce(&mut Listener)) -> (usize, u64) {
    let mut heap = Heap::alone();
    let mut listener = loopback();
    change(&mut listener);
    let running = Running::start(|config| config.listeners = vec![listener]);
    drop(Socket::open(running.address(), Version::V5)); // What the first one costs once is not measured.
    heap.begin();
    let connect = |number| Socket::open(running.address(), Version::V5).connect(v5(&format!("c{number}")));
    let inside = (0..100).filter(|number| connect(*number) == Some(0)).count();
    running.wait_until("they have left", |engine| engine.connected() == 0);
    heap.assert_at_most("100 connections at once", 2 * LEFT);
    (inside, running.engine().count(count))
}

/// While a hundred came, another second may have begun, or several on a machine that is busy.
const SECONDS: usize = 5;

#[test]
pub(super) fn rate_of_a_listener() {
    let (inside, refused) =
        let_in(Count::ConnectionRateLimit, |listener| listener.connection_rate_max = Auto::Set(5));
    assert!((4..5 + 5 * SECONDS).contains(&inside), "{inside}");
    assert_eq!(inside as u64 + refused, 100);
}

#[test]
pub(super) fn rate_of_a_source() {
    let (inside, refused) =
        let_in(Count::SourceRateLimit, |listener| listener.source_rate_max = Auto::Set(5));
    assert!((4..5 + 5 * SECONDS).contains(&inside), "{inside}");
    assert_eq!(inside as u64 + refused, 100);
}

#[test]
pub(super) fn burst_of_a_source() {
    let (inside, refused) = let_in(Count::SourceRateLimit, |listener| {
        (listener.source_rate_max, listener.source_burst_max) = (Auto::Set(1), Auto::Set(40));
    });
    assert!((39..40 + SECONDS).contains(&inside), "{inside}");
    assert_eq!(inside as u64 + refused, 100);
}

#[test]
pub(super) fn connections_of_a_listener() {
    let mut heap = Heap::alone();
    let running = Running::start(|config| {
        config.listeners = vec![Listener { connections_max: Auto::Set(2), ..loopback() }];
    });
    let address = running.address();
    let mut inside: Vec<Socket> = ["a", "b"]
        .into_iter()
        .map(|id| {
            let mut socket = Socket::open(address, Version::V5);
            assert_eq!(socket.connect(v5(id)), Some(0));
            socket
        })
        .collect();
    heap.begin();
    for connect in [v5("c"), v311("c")] {
        for _ in 0..100 {
            let mut socket = Socket::open(address, connect.version);
            assert_eq!(socket.connect(connect.clone()), None, "closed before anything is read");
        }
    }
    assert_eq!(running.engine().count(Count::ConnectionsLimit), 200);
    assert_eq!(running.engine().connected(), 2);
    heap.assert_at_most("200 connections that a listener has not let in", LEFT);
    inside.pop();
    running.wait_until("one has left", |engine| engine.connected() == 1);
    // The place is free a moment after.
    while Socket::open(address, Version::V5).connect(v5("c")).is_none() {}
}

#[test]
fn idle_connections_cost_what_the_reference_says() {
    let mut heap = Heap::alone();
    const CLIENTS: usize = 400;
    let running = Running::start(|_| {});
    let mut first = Socket::open(running.address(), Version::V5);
    assert_eq!(first.connect(v5("first")), Some(0));
    heap.begin();
    let sockets: Vec<Socket> = (0..CLIENTS)
        .map(|at| {
            let version = if at % 2 == 0 { Version::V5 } else { Version::V311 };
            let mut socket = Socket::open(running.address(), version);
            assert_eq!(socket.connect(Connect::new(version, &format!("client-{at}"))), Some(0));
            socket
        })
        .collect();
    heap.assert_at_most("400 idle connections", CLIENTS * CONNECTION_BYTES + LEFT);
    drop(sockets);
    running.wait_until("all have gone", |engine| engine.connected() == 1);
    heap.assert_at_most("400 connections, gone", LEFT);
}

/// Clients of `connect` that announce a packet of 900,000 bytes and send all but its end.
fn with_half_a_packet(address: SocketAddr, connect: &dyn Fn(usize) -> Connect, count: usize) -> Vec<Socket> {
    const SENT: usize = 900_000;
    (0..count)
        .map(|at| {
            let connect = connect(at);
            let mut socket = Socket::open(address, connect.version);
            assert_eq!(socket.connect(connect), Some(0));
            let whole = Packet::Publish(publish("t", vec![b'x'; SENT])).encode(socket.version);
            socket.send(&whole[..SENT]);
            socket
        })
        .collect()
}

#[test]
pub(super) fn bytes_of_packets_that_have_not_arrived_whole() {
    let mut heap = Heap::alone();
    const ALL: usize = 4 << 20;
    const CLIENTS: usize = 12;
    let running = Running::start(|config| config.limits.input_bytes_max = ALL as u64);
    let address = running.address();
    drop(with_half_a_packet(address, &|_| v5("first"), 1));
    running.wait_until("it has gone", |engine| engine.sessions() == 0);
    for (new, code) in [(true, Some(0x89)), (false, None)] {
        let before = running.engine().count(Count::InputLimit);
        heap.begin();
        let name = |at: usize| if new { v5(&format!("c{at}")) } else { v311(&format!("c{at}")) };
        let mut sockets = with_half_a_packet(address, &name, CLIENTS);
        running.wait_until("enough of them are closed", |engine| engine.connected() <= 5);
        let closed = (running.engine().count(Count::InputLimit) - before) as usize;
        assert!((CLIENTS - 5..=CLIENTS - 2).contains(&closed), "{closed} are closed");
        // A tail that grows is there twice for a moment.
        heap.assert_never_above(
            "packets that have not arrived whole",
            ALL + 3 * (1 << 20) + CLIENTS * (CONNECTION_BYTES + READ_BYTES),
        );
        // Who is closed hears why where it can; the others go on.
        for socket in &mut sockets {
            let _ = socket.stream.shutdown(Shutdown::Write);
        }
        let told: Vec<Option<u8>> = sockets
            .iter_mut()
            .flat_map(Socket::rest)
            .map(|packet| match packet {
                Packet::Disconnect(disconnect) => Some(disconnect.code),
                other => panic!("{other}"),
            })
            .collect();
        assert!(told.iter().all(|one| *one == code), "{told:?}");
        drop(sockets);
        running.wait_until("all have gone", |engine| engine.sessions() == 0);
        heap.assert_at_most("packets that never arrived, gone", LEFT);
    }
    // Before CONNECT is accepted there is a quarter of the room.
    let before = running.engine().count(Count::InputLimit);
    heap.begin();
    let mut strangers: Vec<Socket> = (0..30)
        .map(|_| {
            let mut socket = Socket::open(address, Version::V311);
            let start = bytes().string("MQTT").u8(4).u8(0xC2).u16(60).raw(vec![b'x'; 130_000]).packet(0x10);
            socket.send(&start[..120_000]);
            socket
        })
        .collect();
    running.wait_until("strangers are closed", |engine| engine.count(Count::InputLimit) - before >= 10);
    heap.assert_never_above("what strangers have sent", ALL / 4 + 3 * (128 << 10) + 30 * CONNECTION_BYTES);
    for socket in &mut strangers {
        let _ = socket.stream.shutdown(Shutdown::Write);
        assert_eq!(socket.rest(), []);
    }
}
