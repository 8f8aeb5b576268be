//! One worker of the broker without sockets, on virtual time: a turn, the conversations placed on it, and the clients at
//! their other ends. It looks only at clients for which there is something to do, so that there can be many.

use std::{collections::VecDeque, sync::Arc};

use whimbrel_engine::{
    Conversation, Count, Engine, Limits, Notice, Now, Progress, Publishing, Standing, Ticked, Turn, Wire,
    proto::Millis,
};
use whimbrel_testkit::{
    Ack, ConnAck, Connect, Disconnect, Options, Packet, Publish, Sender, Subscribe, Version, decode,
};

use crate::pipe::{Pipe, Ready};

/// When virtual time begins.
const START: Millis = Millis(1_000);
/// Looks after which a worker that still is not idle never will be.
const LOOKS_MAX: usize = 50_000_000;

/// A client, by its place on its worker.
pub type Who = usize;

struct Client {
    version: Version,
    pipe: Arc<Pipe>,
    /// Absent once the connection is over and everything owed is done.
    conversation: Option<Box<Conversation>>,
    /// Bytes for the server.
    input: Vec<u8>,
    fresh: bool,
    /// Bytes from the server that are not yet a whole packet.
    raw: Vec<u8>,
    /// The client has cut the connection.
    cut: bool,
    /// The server has closed it.
    closed: bool,
}

/// A turn and the connections that it serves.
pub struct Worker {
    /// What is under test.
    pub engine: Engine,
    turn: Turn,
    clients: Vec<Client>,
    ready: Ready,
    publishing: VecDeque<Box<Publishing>>,
    nobody: Arc<dyn Wire>,
}

impl Worker {
    /// The only worker of a new engine.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let engine = Engine::new(limits, 11);
        let mut turn = engine.turn();
        turn.now = Now { mono: START, wall_secs: 1_700_000_000 };
        let ready = Ready::default();
        let nobody: Arc<dyn Wire> = Pipe::new(usize::MAX, ready.clone());
        Worker { engine, turn, clients: Vec::new(), ready, publishing: VecDeque::new(), nobody }
    }

    /// Opens a connection and sends nothing.
    pub fn open(&mut self, version: Version) -> Who {
        let who = self.clients.len();
        self.clients.push(Client {
            version,
            pipe: Pipe::new(who, self.ready.clone()),
            conversation: Some(Box::new(Conversation::new(&self.engine, self.turn.now.mono))),
            input: Vec::new(),
            fresh: false,
            raw: Vec::new(),
            cut: false,
            closed: false,
        });
        who
    }

    /// Opens a connection, sends this CONNECT and gives the answer; none where the server closed without one.
    #[track_caller]
    pub fn try_connect(&mut self, connect: Connect) -> (Who, Option<ConnAck>) {
        let who = self.open(connect.version);
        self.send(who, Packet::Connect(Box::new(connect)));
        match self.next(who) {
            Some(Packet::ConnAck(ack)) => (who, Some(ack)),
            None if self.is_closed(who) => (who, None),
            other => panic!("instead of CONNACK: {other:?}"),
        }
    }

    /// Connects and gives the client and the answer.
    #[track_caller]
    pub fn connect_answered(&mut self, connect: Connect) -> (Who, ConnAck) {
        let (who, ack) = self.try_connect(connect);
        let ack = ack.expect("a CONNACK");
        assert_eq!(ack.code, 0, "the code of CONNACK");
        (who, ack)
    }

    /// Connects.
    #[track_caller]
    pub fn connect(&mut self, connect: Connect) -> Who {
        self.connect_answered(connect).0
    }

    /// Asserts that this CONNECT is refused with this code, or closed without a word where there is none.
    #[track_caller]
    pub fn assert_refused(&mut self, connect: Connect, code: Option<u8>) {
        let (who, ack) = self.try_connect(connect);
        assert_eq!(ack.map(|ack| ack.code), code, "the code of CONNACK");
        assert!(self.is_closed(who), "a refused connection is closed");
        self.forget_last();
    }

    /// The client's end of the wire.
    #[must_use]
    pub fn pipe(&self, who: Who) -> &Arc<Pipe> {
        &self.clients[who].pipe
    }

    /// Sends bytes and lets everything happen that follows from it.
    pub fn send_bytes(&mut self, who: Who, bytes: &[u8]) {
        let client = &mut self.clients[who];
        client.input.extend_from_slice(bytes);
        client.fresh = true;
        self.ready.lock().push(who);
        self.settle();
    }

    /// Sends a packet and lets everything happen that follows from it.
    pub fn send(&mut self, who: Who, packet: Packet) {
        let bytes = packet.encode(self.clients[who].version);
        self.send_bytes(who, &bytes);
    }

    /// Publishes.
    pub fn publish(&mut self, who: Who, publish: Publish) {
        self.send(who, Packet::Publish(publish));
    }

    /// Publishes at QoS 1 or 2 and gives the code of the PUBACK or PUBREC, which comes first.
    #[track_caller]
    pub fn acked(&mut self, who: Who, publish: Publish) -> u8 {
        self.publish(who, publish);
        match self.next(who) {
            Some(Packet::PubAck(ack) | Packet::PubRec(ack)) => ack.code,
            other => panic!("instead of an acknowledgement: {other:?}"),
        }
    }

    /// Subscribes and gives the reason codes of the SUBACK, which comes first.
    #[track_caller]
    pub fn subscribe(&mut self, who: Who, filter: &str, options: impl Into<Options>) -> Vec<u8> {
        self.subscribe_all(who, Subscribe::one(500, filter, options))
    }

    /// Subscribes to several filters and gives the reason codes of the SUBACK, which comes first.
    #[track_caller]
    pub fn subscribe_all(&mut self, who: Who, subscribe: Subscribe) -> Vec<u8> {
        self.send(who, Packet::Subscribe(subscribe));
        match self.next(who) {
            Some(Packet::SubAck(ack)) => ack.codes,
            other => panic!("instead of SUBACK: {other:?}"),
        }
    }

    /// Says DISCONNECT; the will is not published.
    pub fn disconnect(&mut self, who: Who) {
        self.send(who, Packet::Disconnect(Disconnect::new(0)));
    }

    /// Cuts the connection without a word.
    pub fn cut(&mut self, who: Who) {
        let client = &mut self.clients[who];
        client.cut = true;
        client.pipe.close();
        self.ready.lock().push(who);
        self.settle();
    }

    /// Cuts the connection that was opened last and gives its place to the next.
    pub fn forget_last(&mut self) {
        let who = self.clients.len() - 1;
        self.cut(who);
        assert!(self.clients[who].conversation.is_none(), "it is over");
        self.clients.pop();
        if self.clients.is_empty() {
            self.clients.shrink_to_fit();
        }
    }

    /// Cuts all connections from this one on, the last first, and forgets them.
    pub fn forget_from(&mut self, first: Who) {
        while self.clients.len() > first {
            self.forget_last();
        }
        self.clients.shrink_to_fit();
        *self.ready.lock() = Vec::new();
    }

    /// Whether the server has closed the connection.
    #[must_use]
    pub fn is_closed(&self, who: Who) -> bool {
        self.clients[who].closed
    }

    /// The next packet that has come.
    #[track_caller]
    pub fn next(&mut self, who: Who) -> Option<Packet> {
        let client = &mut self.clients[who];
        client.raw.append(&mut client.pipe.drain());
        let (packet, len) = match decode(&client.raw, client.version, Sender::Server) {
            Ok(whole) => whole?,
            Err(broken) => panic!("the server sent a wrong packet: {}", broken.0),
        };
        client.raw.drain(..len);
        if client.raw.is_empty() {
            client.raw = Vec::new();
        }
        Some(packet)
    }

    /// All packets that have come.
    #[track_caller]
    pub fn take(&mut self, who: Who) -> Vec<Packet> {
        std::iter::from_fn(|| self.next(who)).collect()
    }

    /// The messages that have come; other packets are lost.
    #[track_caller]
    pub fn messages(&mut self, who: Who) -> Vec<Publish> {
        let message = |packet| match packet {
            Packet::Publish(publish) => Some(publish),
            _ => None,
        };
        self.take(who).into_iter().filter_map(message).collect()
    }

    /// Takes messages and acknowledges them until no more come; gives them in order.
    #[track_caller]
    pub fn consume(&mut self, who: Who) -> Vec<Publish> {
        let mut all = Vec::new();
        loop {
            let packets = self.take(who);
            if packets.is_empty() {
                return all;
            }
            for packet in packets {
                match &packet {
                    Packet::Publish(publish) if publish.qos == 1 => {
                        self.send(who, Packet::PubAck(Ack::new(publish.id, 0)));
                    }
                    Packet::Publish(publish) if publish.qos == 2 => {
                        self.send(who, Packet::PubRec(Ack::new(publish.id, 0)));
                    }
                    Packet::PubRel(ack) => self.send(who, Packet::PubComp(Ack::new(ack.id, 0))),
                    _ => {}
                }
                if let Packet::Publish(publish) = packet {
                    all.push(publish);
                }
            }
        }
    }

    /// Asserts how the connection ended: with this code in DISCONNECT, or without a word.
    #[track_caller]
    pub fn assert_ended(&mut self, who: Who, code: Option<u8>) {
        assert!(self.is_closed(who), "the connection goes on");
        let told = self.take(who).into_iter().find_map(|packet| match packet {
            Packet::Disconnect(disconnect) => Some(disconnect.code),
            _ => None,
        });
        assert_eq!(told, code, "the code of DISCONNECT");
    }

    /// A count of the engine.
    #[must_use]
    pub fn count(&self, count: Count) -> u64 {
        self.engine.count(count)
    }

    /// What the operator would read.
    pub fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.turn.notices)
    }

    /// Lets everybody go on until nobody has anything to do.
    pub fn settle(&mut self) {
        for _ in 0..LOOKS_MAX {
            let next = self.ready.lock().pop();
            match next {
                Some(who) => self.step(who),
                None if self.turn.has_output() => self.engine.flush(&mut self.turn),
                None if self.go_on() => {}
                None => return,
            }
        }
        panic!("the worker never comes to rest");
    }

    /// The server's own messages. Whether one got further.
    fn go_on(&mut self) -> bool {
        let mut further = false;
        for publishing in std::mem::take(&mut self.publishing) {
            let waited = publishing.is_waiting();
            match self.engine.resume(&mut self.turn, publishing) {
                Progress::More(rest) => {
                    further |= !(waited && rest.is_waiting());
                    self.publishing.push_back(rest);
                }
                Progress::Done { .. } => further = true,
            }
        }
        further
    }

    /// One look at one connection, like its task in the broker.
    fn step(&mut self, who: Who) {
        let Self { engine, turn, clients, ready, .. } = self;
        let Some(client) = clients.get_mut(who) else { return };
        let wire: Arc<dyn Wire> = client.pipe.clone();
        let woken = client.pipe.take_woken();
        let Some(conversation) = &mut client.conversation else { return };
        if client.closed || client.cut {
            if conversation.end(engine, turn) {
                client.conversation = None;
            } else if conversation.standing() != Standing::Waiting {
                ready.lock().push(who);
            }
            return;
        }
        if woken {
            conversation.proceed(engine, turn, &wire);
        }
        let mut again = true;
        match conversation.standing() {
            Standing::Reading if client.fresh => {
                let used = conversation.receive(engine, turn, &client.input);
                if used == client.input.len() {
                    client.input = Vec::new();
                } else {
                    client.input.drain(..used);
                }
                client.fresh = conversation.standing() != Standing::Reading && !client.input.is_empty();
            }
            Standing::Asking => {
                let _ = conversation.question();
                conversation.answer(engine, turn, Ok(()), &wire);
            }
            Standing::Working => conversation.proceed(engine, turn, &wire),
            Standing::Closing => {
                engine.flush(turn);
                let words = conversation.last_words();
                if !words.is_empty() {
                    let _ = wire.write(&[words]);
                }
                client.closed = true;
            }
            Standing::Reading | Standing::Waiting => again = false,
        }
        if conversation.is_blocked() && client.pipe.has_room() && !client.closed {
            conversation.writable(engine, turn);
            again = true;
        }
        if again {
            engine.flush(turn);
            ready.lock().push(who);
        }
    }

    /// Forgets what the worker remembers in vain, as it does now and then.
    pub fn sweep(&mut self) {
        self.engine.sweep(&mut self.turn);
    }

    /// Lets time pass, from deadline to deadline.
    pub fn advance(&mut self, millis: u64) {
        let end = self.turn.now.mono + millis;
        self.settle();
        while self.turn.now.mono < end {
            let before = self.turn.now.mono;
            let next = self.next_deadline().max(before + 1).min(end);
            self.turn.now.mono = next;
            self.turn.now.wall_secs += next.since(before) / 1_000;
            self.time_out();
            self.settle();
        }
    }

    fn next_deadline(&self) -> Millis {
        let talking = self.clients.iter().filter(|client| !client.closed && !client.cut);
        let conversations = talking.filter_map(|client| client.conversation.as_ref());
        let next = conversations.map(|conversation| conversation.deadline()).min().unwrap_or(Millis::NEVER);
        next.min(self.engine.next_deadline())
    }

    fn time_out(&mut self) {
        let Self { engine, turn, clients, ready, .. } = self;
        for (who, client) in clients.iter_mut().enumerate() {
            let wire: Arc<dyn Wire> = client.pipe.clone();
            if let Some(conversation) = &mut client.conversation
                && conversation.deadline() <= turn.now.mono
                && !client.closed
                && !client.cut
            {
                conversation.handle_timeout(engine, turn, &wire);
                ready.lock().push(who);
            }
        }
        let Ticked { publishing, .. } = engine.tick(turn, &self.nobody);
        self.publishing.extend(publishing);
    }
}
