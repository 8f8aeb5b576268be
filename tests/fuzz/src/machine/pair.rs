//! A client machine and a server machine joined by two byte streams, with an application on each side. What happens and
//! when is for a target to say; either machine finding a violation in the other is a panic. The server around the
//! server's machine is the one of the protocol's own tests.

#[path = "../../../../crates/proto/tests/it/pair/server.rs"]
#[expect(dead_code, reason = "the protocol's tests use the rest")]
mod server;

use std::collections::VecDeque;

use server::Server;
use whimbrel_proto::{
    Millis,
    client::{Ack, Connection, Event, Message, Session, Settings, Token},
    codec::{Connect, QoS, ReasonCode, Split, Version, split},
};

/// Both sides, the streams between them, and what the applications have seen.
pub(crate) struct Pair {
    version: Version,
    receive_maximum: u16,
    now: Millis,
    client: Option<Connection>,
    /// The session while no connection holds it.
    session: Session,
    server: Server,
    up: VecDeque<u8>,
    down: VecDeque<u8>,
    /// Bytes that the client has and that are not yet a packet.
    input: Vec<u8>,
    /// Messages that the client's application has not answered.
    acks: Vec<Ack>,
    /// What the client's application has received: QoS, DUP, number.
    received: Vec<(QoS, bool, u32)>,
    /// Numbers whose delivery the client was told.
    delivered: Vec<u32>,
    /// How many messages each side has sent.
    sent: (u32, u32),
}

/// The QoS of the message with this number.
fn qos(number: u32) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][number as usize % 3]
}

impl Pair {
    pub(crate) fn new(version: Version, receive_maximum: u16) -> Self {
        Pair {
            version,
            receive_maximum,
            now: Millis(0),
            client: None,
            // The first CONNACK may be lost, and the session be there all the same.
            session: Session::continued(),
            server: Server::default(),
            up: VecDeque::new(),
            down: VecDeque::new(),
            input: Vec::new(),
            acks: Vec::new(),
            received: Vec::new(),
            delivered: Vec::new(),
            sent: (0, 0),
        }
    }

    /// Opens a connection in the place of the one that may be there.
    pub(crate) fn connect(&mut self) {
        self.cut();
        let version = self.version;
        let mut connect = Connect { version, keep_alive_secs: 30, client_id: "pair", ..Connect::default() };
        if version == Version::V5 {
            connect.properties.session_expiry_secs = Some(3_600);
            connect.properties.receive_maximum = Some(self.receive_maximum);
            connect.properties.topic_alias_max = Some(2);
        }
        let settings = Settings { topic_aliases_out_max: 2, ..Settings::default() };
        let session = std::mem::take(&mut self.session);
        let mut out = Vec::new();
        self.client = Some(Connection::new(&connect, settings, session, self.now, &mut out).unwrap());
        self.server.accept(self.now);
        self.up.extend(out);
    }

    /// The connection breaks: what is under way is lost.
    pub(crate) fn cut(&mut self) {
        if let Some(client) = self.client.take() {
            self.session = client.into_session();
            self.server.lose();
        }
        self.up.clear();
        self.down.clear();
        self.input.clear();
    }

    /// So many bytes of what is under way to the server arrive.
    pub(crate) fn carry_up(&mut self, bytes: usize) {
        let piece: Vec<u8> = self.up.drain(..bytes.min(self.up.len())).collect();
        let mut out = Vec::new();
        self.server.receive(&piece, self.now, &mut out);
        self.down.extend(out);
    }

    /// So many bytes of what is under way to the client arrive.
    pub(crate) fn carry_down(&mut self, bytes: usize) {
        let piece: Vec<u8> = self.down.drain(..bytes.min(self.down.len())).collect();
        let Some(client) = &mut self.client else { return };
        self.input.extend(piece);
        let (mut out, mut used) = (Vec::new(), 0);
        while let Ok(Split::Whole { frame, len }) = split(&self.input[used..], client.packet_bytes_max()) {
            used += len;
            match client.handle(frame, self.now, &mut out).expect("the server keeps the rules") {
                Some(Event::Connected(connected)) => assert!(connected.unfinished.is_empty()),
                Some(Event::Message { publish, topic, ack }) => {
                    assert!(topic.starts_with("down/"), "{topic}");
                    let number = u32::from_be_bytes(publish.payload.try_into().unwrap());
                    self.received.push((publish.qos, publish.dup, number));
                    self.acks.extend(ack);
                }
                Some(Event::Delivery { token, reason, .. }) => {
                    assert_eq!(reason, ReasonCode::Success);
                    self.delivered.push(token.0 as u32);
                }
                Some(Event::Pong | Event::Stray { .. }) | None => {}
                Some(other) => panic!("{other:?}"),
            }
        }
        self.input.drain(..used);
        self.up.extend(out);
    }

    /// Time passes while everything arrives at once, so that nobody has a reason to give the other up.
    pub(crate) fn advance(&mut self, secs: u64) {
        let end = self.now.plus_secs(secs);
        self.carry_all();
        while self.now < end {
            let due = self.client.as_ref().map_or(Millis::NEVER, Connection::deadline);
            self.now = due.min(self.server.deadline()).max(self.now + 1).min(end);
            let mut out = Vec::new();
            if let Some(client) = &mut self.client {
                client.handle_timeout(self.now, &mut out).expect("the server answers");
            }
            self.up.extend(out);
            self.carry_all();
            if self.client.is_some() {
                self.server.handle_timeout(self.now);
            }
        }
    }

    fn carry_all(&mut self) {
        while !self.up.is_empty() || !self.down.is_empty() {
            self.carry_up(usize::MAX);
            self.carry_down(usize::MAX);
        }
    }

    /// The client publishes, where it may.
    pub(crate) fn publish(&mut self) {
        let Some(client) = self.client.as_mut().filter(|client| client.has_room()) else { return };
        let number = self.sent.0;
        let topic = format!("up/{}", number % 4);
        let message = Message::new(&topic, number.to_be_bytes().to_vec(), qos(number), false).unwrap();
        let mut out = Vec::new();
        client.publish(message, Token(number.into()), self.now, self.now, &mut out).unwrap();
        self.up.extend(out);
        self.sent.0 += 1;
    }

    /// The server publishes, where it may.
    pub(crate) fn push(&mut self) {
        if self.client.is_some() && self.server.has_room() {
            let mut out = Vec::new();
            self.server.push(qos(self.sent.1), self.sent.1, &mut out);
            self.down.extend(out);
            self.sent.1 += 1;
        }
    }

    /// The client's application answers one of the messages that it holds.
    pub(crate) fn answer(&mut self, choice: usize) {
        let Some(client) = self.client.as_mut().filter(|client| client.is_open()) else { return };
        if self.acks.is_empty() {
            return;
        }
        let ack = self.acks.remove(choice % self.acks.len());
        let mut out = Vec::new();
        client.acknowledge(ack, ReasonCode::Success, self.now, &mut out).unwrap();
        self.up.extend(out);
    }

    /// No more faults: everything ends, and both sides have what they are owed.
    pub(crate) fn finish(mut self) {
        self.connect();
        self.carry_all();
        while !self.acks.is_empty() {
            self.answer(0);
            self.carry_all();
        }
        assert_eq!(self.client.as_ref().unwrap().session().in_flight(), 0, "the client waits for something");
        assert_eq!(self.server.in_flight(), 0, "the server waits for something");
        self.delivered.sort_unstable();
        let acknowledged = |sent: u32| (0..sent).filter(|number| qos(*number) > QoS::AtMostOnce);
        assert!(self.delivered.iter().copied().eq(acknowledged(self.sent.0)), "each outcome is told once");
        complete(&self.server.received, self.sent.0);
        complete(&self.received, self.sent.1);
    }
}

/// [MQTT-4.3.3] QoS 2 once, [MQTT-4.3.2] QoS 1 at least once, [MQTT-4.6.0-1] each in order, [MQTT-3.3.1-1] what comes
/// again says so, and QoS 0 at most once.
fn complete(received: &[(QoS, bool, u32)], sent: u32) {
    for level in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut seen = Vec::new();
        for (_, dup, number) in received.iter().filter(|(arrived, ..)| *arrived == level) {
            if seen.contains(number) {
                assert!(level == QoS::AtLeastOnce && *dup, "{level:?}: {number} comes again");
            } else {
                assert!(seen.last().is_none_or(|last| last < number), "{level:?}: {number} is out of order");
                seen.push(*number);
            }
        }
        let owed = (0..sent).filter(|number| qos(*number) == level).count();
        assert!(seen.len() == owed || level == QoS::AtMostOnce, "{level:?}: {} of {owed}", seen.len());
    }
}
