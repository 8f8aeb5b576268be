//! A client machine and a server machine joined in memory by a network that splits, delays and breaks.

mod network;
mod server;

use network::{Network, Random};
use server::Server;
use whimbrel_proto::{
    Millis,
    client::{Ack, Connection, Event, Message, Session, Settings, Token},
    codec::{Connect, Disconnect, QoS, ReasonCode, Split, SubscribeOptions, UserProperties, Version, split},
};

/// Both sides, the network between them, and what the application has seen.
struct Pair {
    now: Millis,
    random: Random,
    network: Network,
    version: Version,
    receive_maximum: Option<u16>,
    client: Option<Connection>,
    /// The session while no connection holds it.
    session: Session,
    input: Vec<u8>,
    server: Server,
    /// Messages that the application has not answered yet.
    acks: Vec<Ack>,
    /// Payloads that the application received, in order.
    received: Vec<(QoS, bool, u32)>,
    /// Publications that were told to be delivered.
    delivered: Vec<Token>,
    granted: Vec<ReasonCode>,
    pongs: u32,
}

impl Pair {
    fn new(version: Version, seed: u64) -> Pair {
        Pair {
            now: Millis(0),
            random: Random::new(seed),
            network: Network::default(),
            version,
            receive_maximum: None,
            client: None,
            session: Session::default(),
            input: Vec::new(),
            server: Server::default(),
            acks: Vec::new(),
            received: Vec::new(),
            delivered: Vec::new(),
            granted: Vec::new(),
            pongs: 0,
        }
    }

    /// Opens a network connection; the handshake goes by [`Self::drive`].
    fn connect(&mut self) {
        self.network = Network::default();
        self.input.clear();
        let mut connect = Connect {
            version: self.version,
            clean_start: false,
            keep_alive_secs: 30,
            client_id: "pair",
            ..Connect::default()
        };
        if self.version == Version::V5 {
            connect.properties.session_expiry_secs = Some(3_600);
            connect.properties.receive_maximum = self.receive_maximum;
            connect.properties.topic_alias_max = Some(2);
        }
        let settings = Settings { topic_aliases_out_max: 2, ..Settings::default() };
        let session = std::mem::take(&mut self.session);
        let mut out = Vec::new();
        self.client = Some(Connection::new(&connect, settings, session, self.now, &mut out).unwrap());
        self.server.accept(self.now);
        self.network.up.send(&out, self.now, &mut self.random);
    }

    /// The network connection breaks: what is under way is lost.
    fn cut(&mut self) {
        if let Some(client) = self.client.take() {
            self.session = client.into_session();
        }
        self.server.lose();
        self.network = Network::default();
    }

    fn is_open(&self) -> bool {
        self.client.as_ref().is_some_and(Connection::is_open)
    }

    /// Goes to the next thing that happens. False when nothing does, but keep-alive.
    fn step(&mut self) -> bool {
        let due = self.network.up.due().min(self.network.down.due());
        let timer =
            self.client.as_ref().map_or(Millis::NEVER, Connection::deadline).min(self.server.deadline());
        let next = due.min(timer);
        if next == Millis::NEVER {
            return false;
        }
        self.now = self.now.max(next);
        let mut out = Vec::new();
        if let Some(bytes) = self.network.up.receive(self.now) {
            self.server.receive(&bytes, self.now, &mut out);
            self.network.down.send(&out, self.now, &mut self.random);
        } else if let Some(bytes) = self.network.down.receive(self.now) {
            self.receive(&bytes);
        } else {
            if let Some(client) = &mut self.client {
                client.handle_timeout(self.now, &mut out).expect("the server answers");
            }
            self.server.handle_timeout(self.now);
            self.network.up.send(&out, self.now, &mut self.random);
        }
        due != Millis::NEVER
    }

    /// Runs until nothing is under way.
    fn drive(&mut self) {
        while self.network.up.due().min(self.network.down.due()) != Millis::NEVER {
            self.step();
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        let Some(client) = &mut self.client else { return };
        self.input.extend_from_slice(bytes);
        let mut out = Vec::new();
        let mut used = 0;
        while let Ok(Split::Whole { frame, len }) = split(&self.input[used..], client.packet_bytes_max()) {
            used += len;
            match client.handle(frame, self.now, &mut out).expect("the server keeps the rules") {
                Some(Event::Connected(connected)) => {
                    assert!(connected.unfinished.is_empty(), "nothing is lost in a session that goes on");
                }
                Some(Event::Message { publish, topic, ack }) => {
                    assert!(topic.starts_with("down/"), "{topic}");
                    let number = u32::from_be_bytes(publish.payload.try_into().unwrap());
                    self.received.push((publish.qos, publish.dup, number));
                    self.acks.extend(ack);
                }
                Some(Event::Delivery { token, reason, .. }) => {
                    assert_eq!(reason, ReasonCode::Success);
                    self.delivered.push(token);
                }
                Some(Event::Subscribed(suback)) => self.granted.extend(suback.reasons.iter()),
                Some(Event::Unsubscribed(unsuback)) => self.granted.extend(unsuback.reasons.iter()),
                Some(Event::Pong) => self.pongs += 1,
                Some(Event::Stray { .. }) | None => {}
                Some(other) => panic!("{other:?}"),
            }
        }
        self.input.drain(..used);
        self.network.up.send(&out, self.now, &mut self.random);
    }

    /// The application asks for something, on an open connection.
    fn ask<T>(&mut self, ask: impl FnOnce(&mut Connection, Millis, &mut Vec<u8>) -> T) -> T {
        let mut out = Vec::new();
        let done = ask(self.client.as_mut().unwrap(), self.now, &mut out);
        self.network.up.send(&out, self.now, &mut self.random);
        done
    }

    fn publish(&mut self, qos: QoS, number: u32) {
        let topic = format!("up/{}", number % 3);
        let message = Message::new(&topic, number.to_be_bytes().to_vec(), qos, false).unwrap();
        self.ask(|client, now, out| client.publish(message, Token(number.into()), now, now, out)).unwrap();
    }

    /// The server has a message for the client.
    fn push(&mut self, qos: QoS, number: u32) {
        let mut out = Vec::new();
        self.server.push(qos, number, &mut out);
        self.network.down.send(&out, self.now, &mut self.random);
    }

    /// The application takes one of the messages that it holds, not always the oldest.
    fn take_one(&mut self) {
        if self.acks.is_empty() || self.client.is_none() {
            return;
        }
        let ack = self.acks.remove(self.random.below(self.acks.len()));
        self.ask(|client, now, out| client.acknowledge(ack, ReasonCode::Success, now, out)).unwrap();
    }

    fn take_all(&mut self) {
        while !self.acks.is_empty() {
            self.take_one();
            self.drive();
        }
    }
}

fn qos(number: usize) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][number % 3]
}

/// The first arrivals of these messages, to look at their order.
fn first_arrivals(received: &[(QoS, bool, u32)], qos: QoS) -> Vec<u32> {
    let mut seen = Vec::new();
    for (_, _, number) in received.iter().filter(|(arrived, ..)| *arrived == qos) {
        if !seen.contains(number) {
            seen.push(*number);
        }
    }
    seen
}

#[test]
fn every_quality_of_service_in_both_directions() {
    for version in [Version::V31, Version::V311, Version::V5] {
        for seed in 0..20 {
            let mut pair = Pair::new(version, seed);
            pair.connect();
            pair.drive();
            assert!(pair.is_open());
            for number in 0..30 {
                while !pair.client.as_ref().unwrap().has_room() || !pair.server.has_room() {
                    pair.take_one();
                    pair.step();
                }
                pair.publish(qos(number as usize), number);
                pair.push(qos(number as usize), number);
                pair.step();
            }
            pair.drive();
            pair.take_all();
            let all: Vec<u32> = (0..30).collect();
            assert_eq!(pair.server.numbers(), all, "{version:?} {seed}");
            assert_eq!(pair.received.iter().map(|(_, _, number)| *number).collect::<Vec<_>>(), all);
            assert_eq!(pair.delivered.len(), 20);
            assert_eq!(pair.session_in_flight(), 0);
            assert_eq!(pair.server.in_flight(), 0);
        }
    }
}

#[test]
fn subscriptions_and_the_end() {
    let mut pair = Pair::new(Version::V5, 1);
    pair.connect();
    pair.drive();
    let options = SubscribeOptions::with_qos(QoS::AtLeastOnce);
    pair.ask(|client, now, out| {
        let none = UserProperties::default();
        client.subscribe(&[("a", options), ("refused", options)], None, none, now, out).unwrap();
        client.unsubscribe(&["a"], none, now, out).unwrap();
        client.ping(now, out).unwrap();
    });
    pair.drive();
    let answers = [ReasonCode::GrantedQoS1, ReasonCode::NotAuthorized, ReasonCode::Success];
    assert_eq!(pair.granted, answers);
    assert_eq!(pair.pongs, 1);
    pair.ask(|client, now, out| client.disconnect(&Disconnect::default(), now, out)).unwrap();
    pair.drive();
    assert!(pair.server.said_goodbye);
}

#[test]
fn keep_alive_holds_an_idle_connection() {
    let mut pair = Pair::new(Version::V311, 1);
    pair.connect();
    pair.drive();
    // The server's time-out would fail the test.
    while pair.now < Millis(1_000_000) {
        pair.step();
    }
    assert!(pair.is_open());
    assert!(pair.pongs >= 33, "{}", pair.pongs);
}

#[test]
fn v5_4_3_3_qos_2_is_once_and_qos_1_at_least_once_over_broken_connections() {
    for version in [Version::V311, Version::V5] {
        for seed in 0..300 {
            broken_connections(version, seed);
        }
    }
}

fn broken_connections(version: Version, seed: u64) {
    let mut pair = Pair::new(version, seed);
    pair.receive_maximum = Some(1 + u16::try_from(seed % 7).unwrap());
    let (mut up, mut down) = (0, 0);
    pair.connect();
    pair.drive();
    while up < 40 || down < 40 || pair.delivered.len() < 40 {
        match pair.random.below(12) {
            0 => {
                pair.cut();
                pair.connect();
            }
            1..=3 if up < 40 && pair.is_open() && pair.client.as_ref().unwrap().has_room() => {
                pair.publish(qos(1 + up as usize % 2), up);
                up += 1;
            }
            4..=6 if down < 40 && pair.server.has_room() => {
                pair.push(qos(1 + down as usize % 2), down);
                down += 1;
            }
            7 | 8 => pair.take_one(),
            _ => {
                pair.step();
            }
        }
    }
    // No more faults: everything ends.
    pair.drive();
    pair.take_all();
    pair.drive();
    let context = format!("{version:?}, seed {seed}");
    assert_eq!(pair.session_in_flight(), 0, "{context}");
    assert_eq!(pair.server.in_flight(), 0, "{context}");
    let mut delivered: Vec<u64> = pair.delivered.iter().map(|token| token.0).collect();
    delivered.sort_unstable();
    assert_eq!(delivered, (0..40).collect::<Vec<_>>(), "each outcome is told once; {context}");
    for (received, side) in [(&pair.received, "client"), (&pair.server.received, "server")] {
        let expected = |odd: u32| (0..40).filter(|number| number % 2 == odd).collect::<Vec<u32>>();
        let twos: Vec<_> = received.iter().filter(|(qos, ..)| *qos == QoS::ExactlyOnce).collect();
        assert_eq!(twos.len(), 20, "QoS 2 once at the {side}; {context}");
        // [MQTT-4.6.0-1]: in order, at QoS 1 the first arrival of each.
        assert_eq!(first_arrivals(received, QoS::ExactlyOnce), expected(1), "{side}; {context}");
        assert_eq!(first_arrivals(received, QoS::AtLeastOnce), expected(0), "{side}; {context}");
        // [MQTT-3.3.1-1]: whatever comes a second time says so.
        let mut seen = Vec::new();
        for (_, dup, number) in received.iter().filter(|(qos, ..)| *qos == QoS::AtLeastOnce) {
            assert!(*dup || !seen.contains(number), "a repetition without DUP at the {side}; {context}");
            seen.push(*number);
        }
    }
}

impl Pair {
    fn session_in_flight(&self) -> usize {
        self.client.as_ref().map_or(&self.session, Connection::session).in_flight()
    }
}
