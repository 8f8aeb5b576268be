//! A client of few needs, over one connection: it says what it is told, and tells what has come. It checks no rule.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use whimbrel_testkit::{Connect, Packet, Sender, Version, decode};

/// A slow disk may have much to write before it answers; what has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connection that the broker has accepted.
pub(crate) struct Client {
    stream: TcpStream,
    version: Version,
    heard: Vec<u8>,
}

impl Client {
    pub(crate) fn open(address: SocketAddr, connect: Connect) -> Client {
        let stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a time-out");
        stream.set_nodelay(true).expect("a socket has no delay");
        let mut client = Client { stream, version: connect.version, heard: Vec::new() };
        client.send(&Packet::Connect(Box::new(connect)));
        let answer = client.next().expect("the broker answers");
        assert!(matches!(&answer, Packet::ConnAck(ack) if ack.code == 0), "{answer}");
        client
    }

    pub(crate) fn send(&mut self, packet: &Packet) {
        // Whoever has closed the connection is noticed when it is read.
        let _ = self.stream.write_all(&packet.encode(self.version));
    }

    /// The next packet; none when the connection has ended, or nothing has come for long.
    pub(crate) fn next(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = self.whole() {
                return Some(packet);
            }
            if self.read().ok()? == 0 {
                return None;
            }
        }
    }

    /// All that has come until now; waits for nothing.
    pub(crate) fn come(&mut self) -> Vec<Packet> {
        self.stream.set_nonblocking(true).expect("a socket need not block");
        while match self.read() {
            Ok(bytes) => bytes > 0,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("the connection is broken: {error}"),
        } {}
        self.stream.set_nonblocking(false).expect("a socket may block");
        std::iter::from_fn(|| self.whole()).collect()
    }

    fn whole(&mut self) -> Option<Packet> {
        let (packet, bytes) =
            decode(&self.heard, self.version, Sender::Server).expect("the broker speaks MQTT")?;
        self.heard.drain(..bytes);
        Some(packet)
    }

    fn read(&mut self) -> std::io::Result<usize> {
        let mut buffer = [0; 4096];
        let bytes = self.stream.read(&mut buffer)?;
        self.heard.extend_from_slice(&buffer[..bytes]);
        Ok(bytes)
    }
}
