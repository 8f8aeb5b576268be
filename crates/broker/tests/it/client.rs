//! A client on a real socket: packets out, packets in, each wait with a deadline. It knows no rule of MQTT.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Instant,
};

use whimbrel_testkit::{
    Ack, ConnAck, Connect, Options, Packet, Publish, Sender, Subscribe, Version, decode, publish,
};

use super::running::DEADLINE;

pub(super) struct Client {
    stream: TcpStream,
    version: Version,
    /// Bytes that were read, and how many of them have been packets.
    raw: Vec<u8>,
    taken: usize,
    /// Packets that were passed over.
    kept: VecDeque<Packet>,
}

impl Client {
    /// Connects a socket and says nothing.
    pub(super) fn open(address: SocketAddr, version: Version) -> Self {
        Self::over(TcpStream::connect(address).expect("the broker listens"), version)
    }

    /// The same with a receive buffer as small as the system has them: a client that stops reading is noticed soon.
    pub(super) fn open_narrow(address: SocketAddr, version: Version) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None);
        let socket = socket.expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("a small buffer");
        socket.connect(&address.into()).expect("the broker listens");
        Self::over(socket.into(), version)
    }

    /// The same from an address of this machine.
    pub(super) fn open_from(from: &str, address: SocketAddr, version: Version) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None);
        let socket = socket.expect("a socket");
        let from: SocketAddr = format!("{from}:0").parse().expect("an address");
        socket.bind(&from.into()).expect("an address of this machine");
        socket.connect(&address.into()).expect("the broker listens");
        Self::over(socket.into(), version)
    }

    fn over(stream: TcpStream, version: Version) -> Self {
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        stream.set_write_timeout(Some(DEADLINE)).expect("a time-out can be set");
        Client { stream, version, raw: Vec::new(), taken: 0, kept: VecDeque::new() }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes. A broker that has closed does not mind.
    pub(super) fn send_bytes(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes) {
            let late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            assert!(!late, "the broker does not read");
        }
    }

    pub(super) fn send(&mut self, packet: Packet) {
        let bytes = packet.encode(self.version);
        self.send_bytes(&bytes);
    }

    /// CONNECT and its answer.
    #[track_caller]
    pub(super) fn connect(&mut self, connect: Connect) -> ConnAck {
        self.send(Packet::Connect(Box::new(connect)));
        self.connack()
    }

    #[track_caller]
    pub(super) fn connack(&mut self) -> ConnAck {
        self.expect("CONNACK", |packet| match packet {
            Packet::ConnAck(ack) => Some(ack.clone()),
            _ => None,
        })
    }

    #[track_caller]
    pub(super) fn subscribe(&mut self, filter: &str, options: impl Into<Options>) {
        self.send(Packet::Subscribe(Subscribe::one(1, filter, options)));
        let codes = self.expect("SUBACK", |packet| match packet {
            Packet::SubAck(ack) => Some(ack.codes.clone()),
            _ => None,
        });
        assert!(codes.iter().all(|&code| code < 0x80), "the codes of SUBACK: {codes:02X?}");
    }

    pub(super) fn publish(&mut self, publish: Publish) {
        self.send(Packet::Publish(publish));
    }

    /// Publishes at QoS 0.
    pub(super) fn say(&mut self, topic: &str, payload: &str) {
        self.publish(publish(topic, payload));
    }

    #[track_caller]
    pub(super) fn ping(&mut self) {
        self.send(Packet::PingReq);
        self.expect("PINGRESP", |packet| (*packet == Packet::PingResp).then_some(()));
    }

    /// The first message that has come or comes.
    #[track_caller]
    pub(super) fn message(&mut self) -> Publish {
        self.expect("PUBLISH", |packet| match packet {
            Packet::Publish(publish) => Some(publish.clone()),
            _ => None,
        })
    }

    /// The first message, with the whole exchange of its QoS.
    #[track_caller]
    pub(super) fn taken(&mut self) -> Publish {
        let publish = self.message();
        match publish.qos {
            1 => self.send(Packet::PubAck(Ack::new(publish.id, 0))),
            2 => {
                self.send(Packet::PubRec(Ack::new(publish.id, 0)));
                self.expect("PUBREL", |packet| matches!(packet, Packet::PubRel(_)).then_some(()));
                self.send(Packet::PubComp(Ack::new(publish.id, 0)));
            }
            _ => {}
        }
        publish
    }

    #[track_caller]
    pub(super) fn puback(&mut self, id: u16) -> u8 {
        self.expect("PUBACK", |packet| match packet {
            Packet::PubAck(ack) if ack.id == id => Some(ack.code),
            _ => None,
        })
    }

    /// Publishes with the whole exchange of its QoS.
    #[track_caller]
    pub(super) fn published(&mut self, publish: Publish) {
        let (qos, id) = (publish.qos, publish.id);
        self.publish(publish);
        match qos {
            1 => _ = self.puback(id),
            2 => {
                self.expect("PUBREC", |packet| matches!(packet, Packet::PubRec(_)).then_some(()));
                self.send(Packet::PubRel(Ack::new(id, 0)));
                self.expect("PUBCOMP", |packet| matches!(packet, Packet::PubComp(_)).then_some(()));
            }
            _ => {}
        }
    }

    /// The first packet that `find` wants; others are kept.
    #[track_caller]
    pub(super) fn expect<T>(&mut self, what: &str, find: impl Fn(&Packet) -> Option<T>) -> T {
        let found = self.kept.iter().enumerate().find_map(|(at, packet)| Some((at, find(packet)?)));
        if let Some((at, found)) = found {
            self.kept.remove(at);
            return found;
        }
        loop {
            let Some(packet) = self.read_packet() else { panic!("closed instead of {what}") };
            match find(&packet) {
                Some(found) => return found,
                None => self.kept.push_back(packet),
            }
        }
    }

    /// What comes next; nothing at the end of the connection.
    #[track_caller]
    pub(super) fn next(&mut self) -> Option<Packet> {
        self.kept.pop_front().or_else(|| self.read_packet())
    }

    /// The reason code of the server's DISCONNECT (5.0), and that the connection ends without an error behind it.
    #[track_caller]
    pub(super) fn farewell(&mut self) -> Option<u8> {
        let mut code = None;
        while let Some(packet) = self.next() {
            if let Packet::Disconnect(disconnect) = packet {
                code = Some(disconnect.code);
            }
        }
        code
    }

    /// Whether the connection ends, before anything else comes.
    #[track_caller]
    pub(super) fn is_closed(&mut self) -> bool {
        self.next().is_none()
    }

    /// Closes the sending half.
    pub(super) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).expect("it is open");
    }

    #[track_caller]
    fn read_packet(&mut self) -> Option<Packet> {
        let end = Instant::now() + DEADLINE;
        let mut buffer = [0; 64 << 10];
        loop {
            match decode(&self.raw[self.taken..], self.version, Sender::Server) {
                Ok(Some((packet, length))) => {
                    self.taken += length;
                    return Some(packet);
                }
                Ok(None) => drop(self.raw.drain(..std::mem::take(&mut self.taken))),
                Err(broken) => panic!("the broker sent a wrong packet: {}", broken.0),
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "nothing comes");
            self.stream.set_read_timeout(Some(left)).expect("a time-out can be set");
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    assert!(self.raw.is_empty(), "closed within a packet: {:02x?}", self.raw);
                    return None;
                }
                Ok(length) => self.raw.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => assert!(
                    matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ),
                    "{error}"
                ),
            }
        }
    }
}
