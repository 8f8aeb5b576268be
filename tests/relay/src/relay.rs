//! The event loop: reads what is ready, copies it to those who want it, writes once per receiver and turn.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use crate::connection::Connection;
use crate::frame::{Frame, after_properties, cut, filters, text};
use crate::routes::{Place, Routes};

const LISTENER: Token = Token(usize::MAX);
const READ_BYTES: usize = 64 << 10;
/// A receiver for whom more waits holds back those who publish to it, until less than half of it is left.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// Receivers with something to write, beyond which they are served at once: their bytes are still in the caches.
const DIRTY_MAX: usize = 64;

/// Packet types, as the upper four bits of the first byte, and first bytes of answers.
const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;
const DISCONNECT: u8 = 14;
const PUBREC_IN: u8 = 5;
const PUBREL_IN: u8 = 6;
const PINGREQ: u8 = 12;
const CONNACK: u8 = 0x20;
const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;
const SUBACK: u8 = 0x90;
const UNSUBACK: u8 = 0xb0;
const PINGRESP: u8 = 0xd0;

/// All connections and the loop over them.
pub(crate) struct Relay {
    poll: Poll,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    free: Vec<Place>,
    /// Connections that are gone; their places are given away in the next turn.
    ended: Vec<Place>,
    buffer: Box<[u8]>,
    others: Others,
}

/// What handling one connection's packets changes besides the connection.
#[derive(Default)]
struct Others {
    routes: Routes,
    receivers: Vec<Place>,
    dirty: Vec<Place>,
    /// Publishers who are not read from while a receiver of theirs is congested.
    held: Vec<Place>,
    congested: usize,
    /// The connection that is being read from, which is out of its place meanwhile.
    reading: Option<Place>,
}

/// What is left to do after a connection's bytes were looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Read,
    /// Until the poll says that there is more.
    Wait,
    /// Until nobody is congested.
    Hold,
    Close,
}

impl Relay {
    pub(crate) fn listen(address: SocketAddr) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(address)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Relay {
            poll,
            listener,
            connections: Vec::new(),
            free: Vec::new(),
            ended: Vec::new(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            others: Others::default(),
        })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Relays until something is wrong with the listener or the poll.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1_024);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept()?;
                    continue;
                }
                let place = event.token().0;
                if event.is_writable() {
                    self.writable(place);
                }
                if event.is_readable() || event.is_read_closed() {
                    self.readable(place, event.is_read_closed());
                }
            }
            self.finish();
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // A client that is gone before it is accepted.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let place = self.free.pop().unwrap_or(self.connections.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(place), interest)?;
            let connection = Some(Connection::new(stream));
            match self.connections.get_mut(place) {
                Some(slot) => *slot = connection,
                None => self.connections.push(connection),
            }
        }
    }

    /// Reads until there is no more.
    fn readable(&mut self, place: Place, is_ending: bool) {
        if !self.others.held.contains(&place) {
            while self.read_once(place, is_ending) {}
        }
    }

    /// Whether to read again: a short read has emptied the socket, unless its end has come too.
    fn read_once(&mut self, place: Place, is_ending: bool) -> bool {
        let Some(mut connection) = self.connections.get_mut(place).and_then(Option::take) else {
            return false;
        };
        let kept = std::mem::take(&mut connection.tail);
        if kept.len() >= self.buffer.len() {
            // A packet that is larger than the buffer: the buffer grows with it.
            self.buffer = vec![0; kept.len() * 2].into_boxed_slice();
        }
        let (start, room) = self.buffer.split_at_mut(kept.len());
        start.copy_from_slice(&kept);
        let mut is_short = true;
        let next = match connection.read(room) {
            Ok(0) => Next::Close,
            Ok(read) => {
                is_short = read < room.len();
                let input = self.buffer.get(..kept.len() + read).unwrap_or_default();
                self.others.handle(&mut self.connections, place, &mut connection, input)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                connection.tail = kept;
                Next::Wait
            }
            Err(_) => Next::Close,
        };
        if let Some(slot) = self.connections.get_mut(place) {
            *slot = Some(connection);
        }
        match next {
            Next::Read => return !is_short || is_ending,
            Next::Wait => {}
            Next::Hold => self.others.held.push(place),
            Next::Close => self.close(place),
        }
        false
    }

    fn writable(&mut self, place: Place) {
        if let Some(Some(connection)) = self.connections.get_mut(place) {
            connection.unblock();
        }
        self.others.flush_one(&mut self.connections, place);
    }

    /// The end of a turn: everything is written, and publishers who were held back are read from again.
    fn finish(&mut self) {
        self.others.flush(&mut self.connections);
        while self.others.congested == 0 && !self.others.held.is_empty() {
            for place in std::mem::take(&mut self.others.held) {
                self.readable(place, true);
            }
            self.others.flush(&mut self.connections);
        }
        self.free.append(&mut self.ended);
    }

    fn close(&mut self, place: Place) {
        let connection = self.connections.get_mut(place).and_then(Option::take);
        let Some(mut connection) = connection else { return };
        if is_congested(&connection) {
            self.others.congested -= 1;
        }
        self.others.routes.remove(place);
        self.others.held.retain(|held| *held != place);
        // A socket that cannot be deregistered is closed by being dropped.
        let _closed = self.poll.registry().deregister(connection.stream());
        self.ended.push(place);
    }
}

impl Others {
    /// Handles every whole packet of `input`, keeps the rest, and says how to go on.
    fn handle(
        &mut self,
        connections: &mut [Option<Connection>],
        place: Place,
        connection: &mut Connection,
        input: &[u8],
    ) -> Next {
        self.reading = Some(place);
        let next = self.handle_all(connections, place, connection, input);
        self.reading = None;
        next
    }

    fn handle_all(
        &mut self,
        connections: &mut [Option<Connection>],
        place: Place,
        connection: &mut Connection,
        input: &[u8],
    ) -> Next {
        let mut rest = input;
        let mut has_published = false;
        while let Some(frame) = cut(rest) {
            rest = rest.get(frame.whole.len()..).unwrap_or_default();
            match frame.first >> 4 {
                PUBLISH => {
                    has_published = true;
                    self.publish(connections, place, connection, frame);
                }
                DISCONNECT => return Next::Close,
                _ => self.answer(place, connection, frame),
            }
        }
        connection.tail = rest.to_vec();
        if has_published && self.congested > 0 { Next::Hold } else { Next::Read }
    }

    fn publish(
        &mut self,
        connections: &mut [Option<Connection>],
        place: Place,
        connection: &mut Connection,
        frame: Frame<'_>,
    ) {
        let Some((topic, rest)) = text(frame.body) else { return };
        let first = match frame.first & 0b0110 {
            0 => None,
            0b0010 => Some(PUBACK),
            _ => Some(PUBREC),
        };
        if let (Some(first), Some(id)) = (first, rest.first_chunk::<2>()) {
            self.append(place, connection, &acknowledgement(first, *id));
        }
        let Some(route) = self.routes.route(topic) else { return };
        self.receivers.clear();
        self.receivers.extend_from_slice(&route.everyone);
        self.receivers.extend(route.members());
        for at in 0..self.receivers.len() {
            let Some(&receiver) = self.receivers.get(at) else { return };
            if receiver == place {
                self.append(place, connection, frame.whole);
            } else if let Some(Some(receiving)) = connections.get_mut(receiver) {
                self.append(receiver, receiving, frame.whole);
            }
            if self.dirty.len() >= DIRTY_MAX {
                self.flush(connections);
            }
        }
    }

    /// What a packet that is not a PUBLISH is answered with.
    fn answer(&mut self, place: Place, connection: &mut Connection, frame: Frame<'_>) {
        let id = frame.body.first_chunk::<2>().copied().unwrap_or_default();
        let answer = match frame.first >> 4 {
            CONNECT => {
                let level = text(frame.body).and_then(|(_, rest)| rest.first().copied());
                connection.is_v5 = level == Some(5);
                packet(CONNACK, if connection.is_v5 { &[0, 0, 0] } else { &[0, 0] })
            }
            PUBREC_IN => acknowledgement(PUBREL, id).to_vec(),
            PUBREL_IN => acknowledgement(PUBCOMP, id).to_vec(),
            kind @ (SUBSCRIBE | UNSUBSCRIBE) => self.subscribe(place, connection, kind, id, frame),
            PINGREQ => packet(PINGRESP, &[]),
            _ => return,
        };
        self.append(place, connection, &answer);
    }

    fn subscribe(
        &mut self,
        place: Place,
        connection: &Connection,
        kind: u8,
        id: [u8; 2],
        frame: Frame<'_>,
    ) -> Vec<u8> {
        let rest = frame.body.get(2..).unwrap_or_default();
        let (payload, mut answer) = match connection.is_v5 {
            true => (after_properties(rest).unwrap_or_default(), vec![id[0], id[1], 0]),
            false => (rest, id.to_vec()),
        };
        if kind == SUBSCRIBE {
            for (filter, options) in filters(payload, true) {
                self.routes.subscribe(filter, place);
                answer.push(options & 0b11);
            }
            return packet(SUBACK, &answer);
        }
        for (filter, _) in filters(payload, false) {
            self.routes.unsubscribe(filter, place);
            answer.extend(connection.is_v5.then_some(0));
        }
        packet(UNSUBACK, &answer)
    }

    #[inline]
    fn append(&mut self, place: Place, connection: &mut Connection, bytes: &[u8]) {
        let was_congested = is_congested(connection);
        connection.append(bytes);
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push(place);
        }
        self.congested += usize::from(!was_congested && is_congested(connection));
    }

    fn flush(&mut self, connections: &mut [Option<Connection>]) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for place in dirty.drain(..) {
            self.flush_one(connections, place);
        }
        // What the publisher itself is owed waits until its packets are handled: it is out of its place.
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
    }

    fn flush_one(&mut self, connections: &mut [Option<Connection>], place: Place) {
        match connections.get_mut(place) {
            Some(Some(connection)) => {
                let was_congested = is_congested(connection);
                connection.flush();
                self.congested -= usize::from(was_congested && !is_congested(connection));
            }
            // Gone, or being read from just now; a connection that is gone stays away.
            Some(None) if self.reading == Some(place) => self.dirty.push(place),
            _ => {}
        }
    }
}

fn is_congested(connection: &Connection) -> bool {
    connection.waiting() > WAITING_BYTES_MAX
}

fn acknowledgement(first: u8, [high, low]: [u8; 2]) -> [u8; 4] {
    [first, 2, high, low]
}

/// A packet with this first byte and this body.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::thread;
    use std::time::Duration;

    use whimbrel_testkit::{Demand, QoS0, QoS1, QoS2, Tcp, Version, World, publish, v5, v311};

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    /// A relay that runs until the tests end.
    fn relay() -> SocketAddr {
        let mut relay = Relay::listen(([127, 0, 0, 1], 0).into()).unwrap();
        let address = relay.address().unwrap();
        thread::spawn(move || relay.run());
        address
    }

    fn world(version: Version) -> World {
        World::new(Box::new(Tcp::new(relay(), DEADLINE)), version, Demand::Text)
    }

    /// A client that says these bytes and hears the answer of `answer_len` bytes.
    fn client(address: SocketAddr, says: &[u8], answer_len: usize) -> TcpStream {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(says).unwrap();
        stream.read_exact(&mut vec![0; answer_len]).unwrap();
        stream
    }

    const CONNECT_311: [u8; 15] = *b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c";

    #[test]
    fn bytes_arrive_as_they_were_sent() {
        let mut world = world(Version::V5);
        let mut receiver = world.connect(v5("receiver"));
        receiver.subscribe(1, "a/+", QoS2).expect_suback(&[2]);
        let mut publisher = world.connect(v5("publisher"));
        publisher.publish(publish("a/b", "none"));
        receiver.taken("a/b", "none").expect_qos(QoS0);
        publisher.publish(publish("a/b", "one").at(QoS1, 7)).expect_puback(7);
        receiver.taken("a/b", "one").expect_qos(QoS1);
    }

    #[test]
    fn qos_2_is_said_to_the_end_on_both_sides() {
        let address = relay();
        let mut receiver = client(address, &CONNECT_311, 4);
        receiver.write_all(b"\x82\x06\x00\x01\x00\x01t\x02").unwrap();
        receiver.read_exact(&mut [0; 5]).unwrap();
        let mut publisher = client(address, &CONNECT_311, 4);
        let check = |stream: &mut TcpStream, says: &[u8], hears: &[u8]| {
            stream.write_all(says).unwrap();
            let mut heard = vec![0; hears.len()];
            stream.read_exact(&mut heard).unwrap();
            assert_eq!(heard, hears);
        };
        let message = b"\x34\x06\x00\x01t\x00\x09p";
        check(&mut publisher, message, &[0x50, 2, 0, 9]);
        check(&mut publisher, &[0x62, 2, 0, 9], &[0x70, 2, 0, 9]);
        check(&mut receiver, &[], message);
        check(&mut receiver, &[0x50, 2, 0, 9], &[0x62, 2, 0, 9]);
        check(&mut receiver, &[0x70, 2, 0, 9, 0xc0, 0], &[0xd0, 0]);
    }

    #[test]
    fn a_publisher_may_be_its_own_receiver() {
        let mut world = world(Version::V311);
        let mut client = world.connect(v311("self"));
        client.subscribe(1, "#", QoS0).expect_suback(&[0]);
        client.publish(publish("a", "me"));
        client.taken("a", "me").expect_qos(QoS0);
    }

    #[test]
    fn a_receiver_that_does_not_read_holds_its_publisher_back_and_loses_nothing() {
        const FRAME_BYTES: usize = 1 << 14;
        let address = relay();
        let mut receiver = client(address, &CONNECT_311, 4);
        receiver.write_all(b"\x82\x06\x00\x01\x00\x01t\x00").unwrap();
        receiver.read_exact(&mut [0; 5]).unwrap();
        let mut publisher = client(address, &CONNECT_311, 4);
        publisher.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        // A body of 16,384 bytes: its length takes three bytes.
        let mut frame = b"\x30\x80\x80\x01\x00\x01t".to_vec();
        frame.resize(4 + FRAME_BYTES, b'p');
        let mut sent = 0;
        while sent < 256 << 20 {
            match publisher.write(frame.get(sent % frame.len()..).unwrap()) {
                Ok(written) => sent += written,
                Err(_) => break,
            }
        }
        assert!(sent < 256 << 20, "nobody held the publisher back");
        let whole = sent / frame.len() * frame.len();
        let mut received = vec![0; whole];
        receiver.read_exact(&mut received).unwrap();
        assert!(received.chunks(frame.len()).all(|chunk| chunk == frame));
    }
}
