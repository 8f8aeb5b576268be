//! A worker of the broker without sockets: one turn, the conversations placed on it, and the clients at their other
//! ends. Several of them share an engine, on one thread or on several.

use std::{collections::VecDeque, sync::Arc};

use whimbrel_engine::{
    Conversation, Count, Engine, Level, Limits, Notice, Now, Progress, Publishing, Standing, Ticked, Turn,
    Wire, proto::Millis, store::ReadBack,
};
use whimbrel_testkit::{
    Ack, ConnAck, Connect, Disconnect, Options, Packet, Publish, QoS, Sender, SubAck, Subscribe, Unsubscribe,
    Version, decode, publish,
};

use super::{paper::Paper, wire::Pipe};

/// When virtual time begins.
pub(super) const START: Millis = Millis(1_000);
/// Rounds after which a worker that still is not idle never will be.
pub(super) const ROUNDS_MAX: usize = 200_000;

/// A client, by its place on its worker.
pub(super) type Who = usize;

struct Client {
    version: Version,
    pipe: Arc<Pipe>,
    /// Absent once the connection is over and everything owed is done.
    conversation: Option<Conversation>,
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
pub(super) struct Worker {
    pub(super) engine: Arc<Engine>,
    pub(super) turn: Turn,
    clients: Vec<Client>,
    publishing: VecDeque<Box<Publishing>>,
    nobody: Arc<dyn Wire>,
    /// The journal of the engine, and whether it commits by itself.
    pub(super) paper: Option<Paper>,
    pub(super) commits: bool,
    /// What is on disk alone is read back when a client wants it.
    pub(super) reads_back: bool,
    /// Of the listener on which connections open.
    pub(super) level: Level,
    /// What replies for the authentication method that a client names; without it no method is known.
    pub(super) judge: Option<Judge>,
}

/// Replies, or does not yet, to the data of a method.
pub(super) type Judge = fn(&mut Conversation, &Engine, &mut Turn, Option<&[u8]>, &Arc<dyn Wire>);

/// Has every test run on an engine with a journal that commits at once, if the environment says so: what they ask must
/// hold with it, too.
const JOURNAL: &str = "WHIMBREL_TEST_JOURNAL";

/// The same, and whatever is queued and recorded is left to the disk alone.
const SPILL: &str = "WHIMBREL_TEST_SPILL";

impl Worker {
    /// The only worker of a new engine.
    pub(super) fn new(limits: Limits) -> Self {
        Worker::or_spilling(limits, std::env::var_os(SPILL).is_some())
    }

    /// The same, but its queues stay in memory: for tests that look at what is full, or expired, there.
    pub(super) fn resident(limits: Limits) -> Self {
        Worker::or_spilling(limits, false)
    }

    fn or_spilling(limits: Limits, spills: bool) -> Self {
        if spills || std::env::var_os(JOURNAL).is_some() {
            let (from, kept) = (limits.queues_spill_bytes, limits.queue_kept_messages);
            let (queues_spill_bytes, queue_kept_messages) = if spills { (0, 0) } else { (from, kept) };
            let limits = Limits { queues_spill_bytes, queue_kept_messages, ..limits };
            let mut worker = Worker::durable(limits, &Paper::default());
            worker.commits = true;
            return worker;
        }
        Worker::in_memory(limits)
    }

    /// The only worker of a new engine that never has a journal: for tests that look at what happens between two steps.
    pub(super) fn in_memory(limits: Limits) -> Self {
        Worker::of(&Arc::new(Engine::new(limits, 11)))
    }

    /// The only worker of an engine that goes on from this journal, which commits when the test says so.
    pub(super) fn durable(limits: Limits, paper: &Paper) -> Self {
        let now = Now { mono: START, wall_secs: 1_700_000_000 };
        let mut worker = Worker::of(&paper.start(limits, now).0);
        worker.paper = Some(paper.clone());
        worker
    }

    /// The journal commits, and what waited for it leaves.
    pub(super) fn commit(&mut self) {
        self.paper.as_ref().expect("a journal").commit();
        self.engine.release(&mut self.turn);
        self.settle();
    }

    /// The power fails when the journal has no more than `keep` records beyond what is synced; gives the server that comes
    /// after.
    pub(super) fn crash(self, limits: Limits, keep: usize) -> Self {
        Worker::durable(limits, &self.paper.expect("a journal").crash(keep))
    }

    /// One more worker of an engine.
    pub(super) fn of(engine: &Arc<Engine>) -> Self {
        let mut turn = engine.turn();
        turn.now = Now { mono: START, wall_secs: 1_700_000_000 };
        let nobody: Arc<dyn Wire> = Arc::new(Pipe::default());
        Worker {
            engine: engine.clone(),
            turn,
            clients: Vec::new(),
            publishing: VecDeque::new(),
            nobody,
            paper: None,
            commits: false,
            reads_back: true,
            level: Level::Power,
            judge: None,
        }
    }

    /// Opens a connection and sends nothing.
    pub(super) fn open(&mut self, version: Version) -> Who {
        self.clients.push(Client {
            version,
            pipe: Arc::default(),
            conversation: Some(Conversation::new(&self.engine, self.turn.now.mono).at_level(self.level)),
            input: Vec::new(),
            fresh: false,
            raw: Vec::new(),
            cut: false,
            closed: false,
        });
        self.clients.len() - 1
    }

    /// Opens a connection and sends this CONNECT; nothing is handled yet.
    pub(super) fn start(&mut self, connect: Connect) -> Who {
        let who = self.open(connect.version);
        self.put(who, Packet::Connect(Box::new(connect)));
        who
    }

    /// Connects; gives the client and the answer.
    #[track_caller]
    pub(super) fn connect_answered(&mut self, connect: Connect) -> (Who, ConnAck) {
        let who = self.start(connect);
        self.settle();
        let ack = self.next_connack(who);
        assert_eq!(ack.code, 0, "the code of CONNACK");
        (who, ack)
    }

    #[track_caller]
    pub(super) fn connect(&mut self, connect: Connect) -> Who {
        self.connect_answered(connect).0
    }

    /// The CONNACK that is first in what has come; what came behind it stays.
    #[track_caller]
    pub(super) fn next_connack(&mut self, who: Who) -> ConnAck {
        match self.next(who) {
            Some(Packet::ConnAck(ack)) => ack,
            other => panic!("instead of CONNACK: {other:?}"),
        }
    }

    pub(super) fn pipe(&self, who: Who) -> &Arc<Pipe> {
        &self.clients[who].pipe
    }

    pub(super) fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Hands bytes to the connection; nothing is handled yet.
    pub(super) fn put_bytes(&mut self, who: Who, bytes: &[u8]) {
        let client = &mut self.clients[who];
        client.input.extend_from_slice(bytes);
        client.fresh = true;
    }

    pub(super) fn put(&mut self, who: Who, packet: Packet) {
        let bytes = packet.encode(self.clients[who].version);
        self.put_bytes(who, &bytes);
    }

    /// Sends a packet and lets everything happen that follows from it.
    pub(super) fn send(&mut self, who: Who, packet: Packet) {
        self.put(who, packet);
        self.settle();
    }

    pub(super) fn publish(&mut self, who: Who, publish: Publish) {
        self.send(who, Packet::Publish(publish));
    }

    /// Sends a message; nothing is handled yet.
    pub(super) fn put_publish(&mut self, who: Who, publish: Publish) {
        self.put(who, Packet::Publish(publish));
    }

    /// Publishes at QoS 0.
    pub(super) fn say(&mut self, who: Who, topic: &str, payload: &str) {
        self.publish(who, publish(topic, payload));
    }

    /// Publishes at QoS 1 and gives the reason code of the PUBACK.
    #[track_caller]
    pub(super) fn say_acked(&mut self, who: Who, topic: &str, payload: &str) -> u8 {
        self.publish(who, publish(topic, payload).at(QoS::QoS1, 1_000));
        let acks = self.take(who).into_iter().filter_map(|packet| match packet {
            Packet::PubAck(ack) => Some(ack.code),
            _ => None,
        });
        let codes: Vec<u8> = acks.collect();
        assert_eq!(codes.len(), 1, "one PUBACK");
        codes[0]
    }

    /// Subscribes and gives the reason codes of the SUBACK; what came with it is lost.
    #[track_caller]
    pub(super) fn subscribe(&mut self, who: Who, filter: &str, options: impl Into<Options>) -> Vec<u8> {
        let (ack, rest) = self.subscribe_with(who, Subscribe::one(500, filter, options));
        assert_eq!(rest, [], "what came behind SUBACK");
        ack.codes
    }

    /// Subscribes; gives SUBACK and the messages that came behind it.
    #[track_caller]
    pub(super) fn subscribe_with(&mut self, who: Who, subscribe: Subscribe) -> (SubAck, Vec<Publish>) {
        self.send(who, Packet::Subscribe(subscribe));
        let mut packets = self.take(who).into_iter();
        let ack = packets.find_map(|packet| match packet {
            Packet::SubAck(ack) => Some(ack),
            _ => None,
        });
        (ack.expect("a SUBACK"), messages(packets.collect()))
    }

    /// Sends UNSUBSCRIBE; nothing is handled yet.
    pub(super) fn put_unsubscribe(&mut self, who: Who, filter: &str) {
        let (id, properties) = (501, Default::default());
        self.put(who, Packet::Unsubscribe(Unsubscribe { id, properties, filters: vec![filter.into()] }));
    }

    #[track_caller]
    pub(super) fn unsubscribe(&mut self, who: Who, filter: &str) {
        self.put_unsubscribe(who, filter);
        self.settle();
        assert!(matches!(self.take(who)[..], [Packet::UnsubAck(_)]), "an UNSUBACK");
    }

    pub(super) fn puback(&mut self, who: Who, id: u16) {
        self.send(who, Packet::PubAck(Ack::new(id, 0)));
    }

    pub(super) fn disconnect(&mut self, who: Who, code: u8) {
        self.send(who, Packet::Disconnect(Disconnect::new(code)));
    }

    /// Cuts the connection without a word.
    pub(super) fn cut(&mut self, who: Who) {
        self.put_cut(who);
        self.settle();
    }

    /// Ends the connection in this way, or cuts it where the server reads no more of it.
    pub(super) fn cut_or(&mut self, who: Who, how: impl Fn(&mut Worker, Who)) {
        how(self, who);
        if !self.is_over(who) {
            self.cut(who);
        }
    }

    pub(super) fn put_cut(&mut self, who: Who) {
        let client = &mut self.clients[who];
        client.cut = true;
        client.pipe.close();
    }

    /// Cuts the connection that was opened last and gives its place to the next.
    pub(super) fn forget(&mut self, who: Who) {
        self.cut(who);
        assert!(who + 1 == self.clients.len() && self.is_over(who));
        self.clients.pop();
    }

    /// Whether the server has closed the connection.
    pub(super) fn is_closed(&self, who: Who) -> bool {
        self.clients[who].closed
    }

    /// Whether the connection is over and everything that it owed is done.
    pub(super) fn is_over(&self, who: Who) -> bool {
        self.clients[who].conversation.is_none()
    }

    pub(super) fn standing(&self, who: Who) -> Option<Standing> {
        self.clients[who].conversation.as_ref().map(Conversation::standing)
    }

    /// Bytes that the server has not taken from the connection.
    pub(super) fn unread(&self, who: Who) -> usize {
        self.clients[who].input.len()
    }

    /// The next packet that has come, without letting anything happen.
    #[track_caller]
    pub(super) fn next(&mut self, who: Who) -> Option<Packet> {
        let client = &mut self.clients[who];
        client.raw.extend(client.pipe.drain());
        let (packet, len) = match decode(&client.raw, client.version, Sender::Server) {
            Ok(whole) => whole?,
            Err(broken) => panic!("the server sent a wrong packet: {}", broken.0),
        };
        client.raw.drain(..len);
        Some(packet)
    }

    /// All packets that have come, without letting anything happen.
    #[track_caller]
    pub(super) fn come(&mut self, who: Who) -> Vec<Packet> {
        let client = &mut self.clients[who];
        client.raw.extend(client.pipe.drain());
        let mut packets = Vec::new();
        let mut at = 0;
        loop {
            match decode(&client.raw[at..], client.version, Sender::Server) {
                Ok(Some((packet, len))) => {
                    packets.push(packet);
                    at += len;
                }
                Ok(None) => break,
                Err(broken) => panic!("the server sent a wrong packet: {}", broken.0),
            }
        }
        client.raw.drain(..at);
        packets
    }

    /// All packets that have come once everybody is idle.
    #[track_caller]
    pub(super) fn take(&mut self, who: Who) -> Vec<Packet> {
        self.settle();
        self.come(who)
    }

    #[track_caller]
    pub(super) fn messages(&mut self, who: Who) -> Vec<Publish> {
        messages(self.take(who))
    }

    /// The payloads that have come, as text.
    #[track_caller]
    pub(super) fn payloads(&mut self, who: Who) -> Vec<String> {
        self.messages(who).iter().map(text).collect()
    }

    /// Takes messages and acknowledges them until no more come; gives them in order.
    #[track_caller]
    pub(super) fn consume(&mut self, who: Who) -> Vec<Publish> {
        let mut all = Vec::new();
        loop {
            let packets = self.take(who);
            if packets.is_empty() {
                return all;
            }
            self.acknowledge(who, &packets);
            all.extend(messages(packets));
        }
    }

    /// Answers what has come as a client by the book; nothing is handled yet.
    pub(super) fn acknowledge(&mut self, who: Who, packets: &[Packet]) {
        for packet in packets {
            match packet {
                Packet::Publish(publish) if publish.qos == 1 => {
                    self.put(who, Packet::PubAck(Ack::new(publish.id, 0)));
                }
                Packet::Publish(publish) if publish.qos == 2 => {
                    self.put(who, Packet::PubRec(Ack::new(publish.id, 0)));
                }
                Packet::PubRel(ack) => self.put(who, Packet::PubComp(Ack::new(ack.id, 0))),
                Packet::PubRec(ack) if ack.code < 0x80 => self.put(who, Packet::PubRel(Ack::new(ack.id, 0))),
                _ => {}
            }
        }
    }

    pub(super) fn count(&self, count: Count) -> u64 {
        self.engine.count(count)
    }

    pub(super) fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.turn.notices)
    }

    /// Lets everybody on this worker go on until nobody has anything to do.
    pub(super) fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            if !self.round() {
                return;
            }
        }
        panic!("the worker never comes to rest");
    }

    /// Everybody on this worker once, then the flush. Whether something happened.
    pub(super) fn round(&mut self) -> bool {
        let mut busy = false;
        for who in 0..self.clients.len() {
            busy |= self.step(who);
        }
        for publishing in std::mem::take(&mut self.publishing) {
            let waited = publishing.is_waiting();
            if let Progress::More(rest) = self.engine.resume(&mut self.turn, publishing) {
                busy |= !(waited && rest.is_waiting());
                self.publishing.push_back(rest);
            } else {
                busy = true;
            }
        }
        busy |= self.turn.has_output();
        self.engine.flush(&mut self.turn);
        if let Some(paper) = self.paper.as_ref().filter(|_| self.commits) {
            paper.commit();
            if self.engine.may_release(&self.turn) {
                self.engine.release(&mut self.turn);
                busy = true;
            }
        }
        if self.reads_back {
            busy |= self.engine.read_back(&mut self.turn) == ReadBack::Done;
        }
        busy || self.clients.iter().any(|client| client.conversation.is_some() && client.pipe.is_woken())
    }

    /// One look at one connection, like its task in the broker. Whether something happened.
    pub(super) fn step(&mut self, who: Who) -> bool {
        let Self { engine, turn, clients, judge, .. } = self;
        let client = &mut clients[who];
        let wire: Arc<dyn Wire> = client.pipe.clone();
        let Some(conversation) = &mut client.conversation else { return false };
        let woken = client.pipe.take_woken();
        if client.closed || client.cut {
            let must_wait = conversation.standing() == Standing::Waiting && !woken;
            if conversation.end(engine, turn) {
                client.conversation = None;
                return true;
            }
            return !must_wait || conversation.standing() != Standing::Waiting;
        }
        let mut busy = woken;
        if woken {
            conversation.proceed(engine, turn, &wire);
        }
        match conversation.standing() {
            Standing::Reading if client.fresh => {
                let used = conversation.receive(engine, turn, &client.input);
                client.input.drain(..used);
                client.fresh = conversation.standing() != Standing::Reading && !client.input.is_empty();
                busy = true;
            }
            Standing::Asking => {
                if let Some(mut question) = conversation.question() {
                    let method = question.method.take();
                    conversation.identify(engine, question.believed());
                    match (method, *judge) {
                        (Some(method), Some(judge)) => {
                            judge(conversation, engine, turn, method.data.as_deref(), &wire);
                        }
                        _ => conversation.answer(engine, turn, Ok(()), &wire),
                    }
                    busy = true;
                }
            }
            Standing::Working => {
                conversation.proceed(engine, turn, &wire);
                busy = true;
            }
            Standing::Closing => {
                engine.flush(turn);
                if conversation.has_output(engine) {
                    std::thread::yield_now(); // Another worker is writing.
                    return true;
                }
                let words = conversation.last_words();
                if !words.is_empty() {
                    let _ = wire.write(&[words]);
                }
                client.pipe.close();
                client.closed = true;
                busy = true;
            }
            Standing::Reading | Standing::Waiting => {}
        }
        if let (Some(said), Some(judge)) = (conversation.said(), *judge) {
            judge(conversation, engine, turn, said.data.as_deref(), &wire);
            busy = true;
        }
        if conversation.is_blocked() && client.pipe.has_room() {
            conversation.writable(engine, turn);
            busy = true;
        }
        busy
    }

    /// The wire can take bytes, or so the system says.
    pub(super) fn pretend_writable(&mut self, who: Who) {
        self.intervene(who, |conversation, engine, turn, _| conversation.writable(engine, turn));
    }

    /// Does something with the conversation of this client, and lets everything happen that follows from it.
    pub(super) fn intervene(
        &mut self,
        who: Who,
        deed: impl FnOnce(&mut Conversation, &Engine, &mut Turn, &Arc<dyn Wire>),
    ) {
        let Self { engine, turn, clients, .. } = self;
        let wire: Arc<dyn Wire> = clients[who].pipe.clone();
        if let Some(conversation) = &mut clients[who].conversation {
            deed(conversation, engine, turn, &wire);
        }
        self.settle();
    }

    /// Lets time pass for this worker, from deadline to deadline.
    pub(super) fn advance(&mut self, millis: u64) {
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

    /// Goes on with a message of the server's own.
    pub(super) fn go_on(&mut self, publishing: Box<Publishing>) {
        self.publishing.push_back(publishing);
    }

    /// The client has said nothing of what waits to be read.
    pub(super) fn forget_input(&mut self, who: Who) {
        self.clients[who].input.clear();
    }

    /// The next moment at which somebody has something to do.
    pub(super) fn next_deadline(&self) -> Millis {
        let talking = self.clients.iter().filter(|client| !client.closed && !client.cut);
        let conversations = talking.filter_map(|client| client.conversation.as_ref());
        let next = conversations.map(Conversation::deadline).min().unwrap_or(Millis::NEVER);
        next.min(self.engine.next_deadline())
    }

    fn time_out(&mut self) {
        let Self { engine, turn, clients, .. } = self;
        for client in clients.iter_mut().filter(|client| !client.closed && !client.cut) {
            let wire: Arc<dyn Wire> = client.pipe.clone();
            if let Some(conversation) = &mut client.conversation {
                conversation.handle_timeout(engine, turn, &wire);
            }
        }
        let Ticked { publishing, .. } = engine.tick(turn, &self.nobody);
        self.publishing.extend(publishing);
    }
}

/// The messages among packets.
pub(super) fn messages(packets: Vec<Packet>) -> Vec<Publish> {
    let message = |packet| match packet {
        Packet::Publish(publish) => Some(publish),
        _ => None,
    };
    packets.into_iter().filter_map(message).collect()
}

/// The payload as text.
pub(super) fn text(publish: &Publish) -> String {
    String::from_utf8_lossy(&publish.payload).into_owned()
}
