//! A naive model of what clients do and are owed: lists and sets, nothing shared, nothing clever. It drives the engine
//! one operation at a time and compares.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_engine::{Limits, Standing, proto::server};
use whimbrel_testkit::{Ack, Connect, Packet, Publish, QoS, Subscribe, publish, v5, v311};

use super::{
    matching::matches,
    worker::{Who, Worker, text},
};

pub(super) const CLIENTS: usize = 4;
pub(super) const TOPICS: [&str; 4] = ["m/a", "m/b", "m/a/b", "s/a"];
pub(super) const FILTERS: [&str; 7] = ["m/a", "m/+", "m/#", "m/b", "+/a/b", "$share/g/s/#", "$share/h/s/+"];
/// The topic that only shared filters match, of so many groups.
const SHARED: &str = "s/a";
const GROUPS: usize = 2;

/// One thing that a client does, or that befalls it.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// CONNECT, 3.1.1 where `old`; takes an open connection of the same client over.
    Connect {
        client: usize,
        old: bool,
        clean: bool,
        expiry_secs: u16,
        room: u16,
    },
    /// PUBLISH with a payload that is never used again.
    Publish {
        client: usize,
        topic: usize,
        qos: QoS,
        retain: bool,
    },
    /// An empty retained PUBLISH.
    Clear {
        client: usize,
        topic: usize,
    },
    Subscribe {
        client: usize,
        filter: usize,
        qos: QoS,
    },
    Unsubscribe {
        client: usize,
        filter: usize,
    },
    /// Reads what has come.
    Read {
        client: usize,
    },
    /// Answers the oldest of what was read.
    Answer {
        client: usize,
        count: usize,
    },
    Cut {
        client: usize,
    },
    Disconnect {
        client: usize,
    },
    /// From here on the client takes so many bytes.
    Room {
        client: usize,
        bytes: usize,
    },
    /// An acknowledgement of something that was never sent.
    Stray {
        client: usize,
        kind: u8,
        id: u16,
    },
    Advance {
        secs: u16,
    },
}

#[derive(Default)]
struct Session {
    expiry_secs: u64,
    /// When it ends, while its client is absent.
    ends_millis: Option<u64>,
    subscriptions: BTreeMap<&'static str, u8>,
    /// Payloads at QoS 1 and 2 that it is owed, in order.
    owed: Vec<String>,
    /// Of these, those that the client has taken.
    taken: Vec<String>,
    /// Identifiers of QoS 2 messages that the client has taken and that were not released.
    open: BTreeSet<u16>,
    /// The client's own QoS 2 messages that are not complete; whether PUBREC has come.
    publishing: BTreeMap<u16, (Publish, bool)>,
}

struct Connection {
    who: Who,
    room: usize,
    unanswered: Vec<Packet>,
    /// Identifiers of messages that the client has not answered to the end.
    in_flight: BTreeSet<u16>,
}

#[derive(Default)]
struct Client {
    connection: Option<Connection>,
    session: Option<Session>,
    next_id: u16,
}

/// The model, and the engine beside it.
pub(super) struct Life {
    worker: Worker,
    clients: [Client; CLIENTS],
    retained: BTreeMap<&'static str, String>,
    published: u32,
    /// Shared messages, and how many have taken them at QoS 2.
    shared: BTreeMap<String, usize>,
}

impl Life {
    pub(super) fn new() -> Self {
        let connection = server::Limits { keep_alive_secs_max: 0, ..server::Limits::default() };
        let worker = Worker::new(Limits {
            connection,
            link_soft_bytes: 300,
            link_stall_millis: u64::MAX / 2,
            ..Limits::default()
        });
        Life {
            worker,
            clients: Default::default(),
            retained: BTreeMap::new(),
            published: 0,
            shared: BTreeMap::new(),
        }
    }

    pub(super) fn act(&mut self, op: &Op) {
        match *op {
            Op::Connect { client, old, clean, expiry_secs, room } => {
                self.connect(client, old, clean, expiry_secs, room);
            }
            Op::Publish { client, topic, qos, retain } => self.publish(client, TOPICS[topic], qos, retain),
            Op::Clear { client, topic } => self.clear(client, TOPICS[topic]),
            Op::Subscribe { client, filter, qos } => self.subscribe(client, FILTERS[filter], qos),
            Op::Unsubscribe { client, filter } => self.unsubscribe(client, FILTERS[filter]),
            Op::Read { client } => self.read(client),
            Op::Answer { client, count } => self.answer(client, count),
            Op::Cut { client } => self.leave(client, Worker::cut),
            Op::Disconnect { client } => self.leave(client, |worker, who| worker.disconnect(who, 0)),
            Op::Room { client, bytes } => {
                if let Some(connection) = &self.clients[client].connection {
                    self.worker.pipe(connection.who).allow(bytes);
                    self.worker.settle();
                }
            }
            Op::Stray { client, kind, id } => self.stray(client, kind, id),
            Op::Advance { secs } => {
                self.worker.advance(u64::from(secs) * 1_000);
                self.expire();
            }
        }
        self.compare();
    }

    /// What the engine says of itself, beside the model.
    fn compare(&self) {
        let engine = &self.worker.engine;
        let connected = self.clients.iter().filter(|client| client.connection.is_some()).count();
        assert_eq!(engine.connected(), connected, "connected");
        let sessions = self.clients.iter().filter_map(|client| client.session.as_ref());
        assert_eq!(engine.sessions(), sessions.clone().count(), "sessions");
        let subscriptions: usize = sessions.map(|session| session.subscriptions.len()).sum();
        assert_eq!(engine.subscriptions(), subscriptions, "subscriptions");
        assert!(engine.filters() <= subscriptions, "filters");
        let kept: usize = self.retained.iter().map(|(topic, payload)| topic.len() + payload.len()).sum();
        assert_eq!(engine.retained(), (self.retained.len(), kept), "retained");
        let (queues, outboxes) = engine.waiting_bytes();
        assert!(queues < 1 << 30 && outboxes < 1 << 30, "{queues} {outboxes}: below zero");
    }

    fn now(&self) -> u64 {
        self.worker.turn.now.mono.0
    }

    fn expire(&mut self) {
        let now = self.now();
        for client in &mut self.clients {
            let ends = client.session.as_ref().and_then(|session| session.ends_millis);
            if ends.is_some_and(|ends| ends <= now)
                && let Some(session) = client.session.take()
            {
                session.check_prefix();
            }
        }
    }

    fn connect(&mut self, client: usize, old: bool, clean: bool, expiry_secs: u16, room: u16) {
        let id = format!("c{client}");
        let connect: Connect = if old {
            if clean { v311(&id) } else { v311(&id).resume() }
        } else {
            let connect = v5(&id).expiry(u32::from(expiry_secs)).receive_maximum(room);
            if clean { connect } else { connect.resume() }
        };
        let state = &mut self.clients[client];
        if state.connection.take().is_some() && state.session.as_ref().is_some_and(|one| one.expiry_secs == 0)
        {
            state.end_session(); // The old connection lets go of it before the new one is there.
        }
        if clean {
            state.end_session();
        }
        let present = state.session.is_some();
        let session = state.session.get_or_insert_default();
        session.expiry_secs = match (old, clean) {
            (false, _) => u64::from(expiry_secs),
            (true, true) => 0,
            (true, false) => 7 * 24 * 3_600,
        };
        session.ends_millis = None;
        let (who, ack) = self.worker.connect_answered(connect.keep_alive(0));
        assert_eq!(ack.session_present, present, "session present");
        let room = if old { 1_000 } else { usize::from(room) };
        let (unanswered, in_flight) = Default::default();
        self.clients[client].connection = Some(Connection { who, room, unanswered, in_flight });
        self.send_again(client);
    }

    /// What a client does on a session that was there: QoS 2 goes on where it was.
    fn send_again(&mut self, client: usize) {
        let Some(session) = &self.clients[client].session else { return };
        let packets: Vec<Packet> = session
            .publishing
            .iter()
            .map(|(id, (message, received))| match received {
                true => Packet::PubRel(Ack::new(*id, 0)),
                false => Packet::Publish(message.clone().dup()),
            })
            .collect();
        for packet in packets {
            self.say(client, packet);
        }
    }

    /// Sends a packet where the server reads; elsewhere a client would wait, and this one leaves it.
    fn say(&mut self, client: usize, packet: Packet) -> bool {
        let Some(connection) = &self.clients[client].connection else { return false };
        let who = connection.who;
        if self.worker.standing(who) != Some(Standing::Reading) || self.worker.unread(who) > 0 {
            return false;
        }
        self.worker.send(who, packet);
        assert_eq!(self.worker.unread(who), 0, "it was read");
        true
    }

    fn publish(&mut self, client: usize, topic: &'static str, qos: QoS, retain: bool) {
        let state = &mut self.clients[client];
        state.next_id += 1;
        let id = state.next_id;
        let payload = format!("{}:{}", self.published, "x".repeat(self.published as usize * 7 % 90));
        let mut message = publish(topic, &payload).at(qos, id);
        message.retain = retain;
        if !self.say(client, Packet::Publish(message.clone())) {
            return;
        }
        self.published += 1;
        if qos == QoS::QoS2
            && let Some(session) = &mut self.clients[client].session
        {
            session.publishing.insert(id, (message, false));
        }
        if retain {
            self.retained.insert(topic, payload.clone());
        }
        if topic == SHARED {
            return; // Who gets it is the group's affair.
        }
        for session in self.clients.iter_mut().filter_map(|client| client.session.as_mut()) {
            let granted = session.subscriptions.iter().filter(|(filter, _)| matches(filter, topic));
            let highest = granted.map(|(_, qos)| *qos).max();
            if highest.is_some_and(|granted| granted.min(qos as u8) > 0) {
                session.owed.push(payload.clone());
            }
        }
    }

    fn clear(&mut self, client: usize, topic: &'static str) {
        if self.say(client, Packet::Publish(publish(topic, "").retain())) {
            self.retained.remove(topic);
        }
    }

    fn subscribe(&mut self, client: usize, filter: &'static str, qos: QoS) {
        if self.say(client, Packet::Subscribe(Subscribe::one(60_001, filter, qos)))
            && let Some(session) = &mut self.clients[client].session
        {
            session.subscriptions.insert(filter, qos as u8);
        }
    }

    fn unsubscribe(&mut self, client: usize, filter: &'static str) {
        let (id, properties) = (60_002, Default::default());
        let packet = whimbrel_testkit::Unsubscribe { id, properties, filters: vec![filter.into()] };
        if self.say(client, Packet::Unsubscribe(packet))
            && let Some(session) = &mut self.clients[client].session
        {
            session.subscriptions.remove(filter);
        }
    }

    fn stray(&mut self, client: usize, kind: u8, id: u16) {
        let ack = Ack::new(50_000 + id % 1_000, 0);
        let packet = match kind % 4 {
            0 => Packet::PubAck(ack),
            1 => Packet::PubRec(ack),
            2 => Packet::PubRel(ack),
            _ => Packet::PubComp(ack),
        };
        self.say(client, packet);
    }

    fn read(&mut self, client: usize) {
        let Client { connection: Some(connection), session: Some(session), .. } = &mut self.clients[client]
        else {
            return;
        };
        for packet in self.worker.come(connection.who) {
            match &packet {
                Packet::Publish(message) => {
                    if message.qos > 0 {
                        connection.in_flight.insert(message.id);
                        let in_flight = connection.in_flight.len();
                        assert!(in_flight <= connection.room, "{in_flight} in flight [MQTT-3.3.4-9]");
                    }
                    session.take(message, &mut self.shared);
                }
                Packet::PubRel(ack) if ack.code == 0 => {
                    connection.in_flight.insert(ack.id);
                    session.open.remove(&ack.id);
                }
                Packet::PubRec(ack) if ack.code < 0x80 => {
                    if let Some((_, received)) = session.publishing.get_mut(&ack.id) {
                        *received = true;
                    }
                }
                Packet::PubComp(ack) => _ = session.publishing.remove(&ack.id),
                Packet::Disconnect(_) => panic!("the server has ended the connection: {packet}"),
                _ => continue,
            }
            connection.unanswered.push(packet);
        }
    }

    fn answer(&mut self, client: usize, count: usize) {
        for _ in 0..count {
            let Some(connection) = &mut self.clients[client].connection else { return };
            if connection.unanswered.is_empty() {
                return;
            }
            let packet = connection.unanswered.remove(0);
            let answer = match &packet {
                Packet::Publish(message) if message.qos == 1 => Packet::PubAck(Ack::new(message.id, 0)),
                Packet::Publish(message) if message.qos == 2 => Packet::PubRec(Ack::new(message.id, 0)),
                Packet::PubRel(ack) => Packet::PubComp(Ack::new(ack.id, 0)),
                Packet::PubRec(ack) if ack.code < 0x80 => Packet::PubRel(Ack::new(ack.id, 0)),
                _ => continue,
            };
            if let Packet::PubAck(ack) | Packet::PubComp(ack) = &answer {
                connection.in_flight.remove(&ack.id);
            }
            if !self.say(client, answer) {
                // Not sent: it is asked again on the next connection, or later on this one.
                let Some(connection) = &mut self.clients[client].connection else { return };
                connection.unanswered.insert(0, packet);
                return;
            }
        }
    }

    fn leave(&mut self, client: usize, how: impl Fn(&mut Worker, Who)) {
        let now = self.now();
        let state = &mut self.clients[client];
        let Some(connection) = state.connection.take() else { return };
        if let Some(session) = &mut state.session {
            session.ends_millis = Some(now + session.expiry_secs * 1_000);
            if session.expiry_secs == 0 {
                state.end_session();
            }
        }
        self.worker.cut_or(connection.who, how);
    }

    /// Everybody takes everything and answers, absent ones come back: what was owed has come.
    pub(super) fn finish(mut self) {
        for client in 0..CLIENTS {
            let state = &self.clients[client];
            if state.connection.is_none() && state.session.is_some() {
                self.connect(client, false, false, 1_000, 7);
            }
        }
        for _ in 0..10_000 {
            let mut idle = true;
            for client in 0..CLIENTS {
                let Some(connection) = &self.clients[client].connection else { continue };
                self.worker.pipe(connection.who).open();
                self.worker.settle();
                self.read(client);
                idle &= self.clients[client].connection.as_ref().is_none_or(|one| one.unanswered.is_empty());
                self.answer(client, 100);
            }
            if idle {
                break;
            }
        }
        self.compare();
        for session in self.clients.iter().filter_map(|client| client.session.as_ref()) {
            assert_eq!(session.taken, session.owed, "everything that was owed, in its order");
        }
        assert_eq!(self.worker.engine.waiting_bytes().1, 0);
        let late = self.worker.connect(v5("late").keep_alive(0));
        let (_, kept) = self.worker.subscribe_with(late, Subscribe::one(1, "#", QoS::QoS0));
        let kept: BTreeMap<String, String> =
            kept.iter().map(|message| (message.topic.clone(), text(message))).collect();
        let expect = self.retained.iter().map(|(topic, payload)| (topic.to_string(), payload.clone()));
        assert_eq!(kept, expect.collect());
    }
}

impl Client {
    fn end_session(&mut self) {
        if let Some(session) = self.session.take() {
            session.check_prefix();
        }
    }
}

impl Session {
    /// The client has got a message.
    fn take(&mut self, message: &Publish, shared: &mut BTreeMap<String, usize>) {
        let known = message.qos == 2 && !self.open.insert(message.id);
        assert!(!known || message.dup, "QoS 2 again without DUP: {message}");
        if message.retain || message.qos == 0 || known {
            return; // What a SUBSCRIBE brings is compared at the end.
        }
        let payload = text(message);
        if message.topic == SHARED {
            let takers = shared.entry(payload).or_insert(0);
            *takers += usize::from(message.qos == 2);
            assert!(*takers <= GROUPS, "a member too many [MQTT-4.8.2-4]: {message}");
            return;
        }
        if self.taken.contains(&payload) {
            assert!(message.qos == 1 && message.dup, "a second time: {message}");
            return;
        }
        self.taken.push(payload);
    }

    /// What has been taken is the beginning of what was owed.
    fn check_prefix(&self) {
        assert!(self.owed.starts_with(&self.taken), "{:?} of {:?}", self.taken, self.owed);
    }
}
