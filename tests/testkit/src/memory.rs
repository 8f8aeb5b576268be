//! The driver in memory: the shipped engine and its conversations in one thread, on virtual time. No socket, no clock:
//! a scenario of hours runs in microseconds, and nothing is ever late.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use whimbrel_engine::{
    Conversation, Engine, Limits, Now, Progress, Publishing, Reply, Standing, Ticked, Turn, Wire, Written,
    proto::{Millis, codec::ReasonCode, server::Said},
};
use whimbrel_scram::{Challenge, Hash, ITERATIONS_MIN, Opening, Verifier};

use crate::driver::{Driver, Link, Quiet, Received};

/// What a client has not yet taken.
#[derive(Default)]
struct MemoryWire {
    sent: Mutex<Vec<u8>>,
    woken: AtomicBool,
}

impl Wire for MemoryWire {
    fn write(&self, parts: &[&[u8]]) -> Written {
        let mut sent = self.sent.lock();
        parts.iter().for_each(|part| sent.extend_from_slice(part));
        Written::Bytes(parts.iter().map(|part| part.len()).sum())
    }

    fn wake(&self) {
        self.woken.store(true, Ordering::SeqCst);
    }
}

struct Peer {
    /// What waits for the client's answer to a challenge.
    challenge: Option<Challenge>,
    /// Exchanges that have begun; each has a nonce of its own.
    exchanges: usize,
    wire: Arc<MemoryWire>,
    /// Absent once the connection is over and everything owed is done.
    conversation: Option<Conversation>,
    /// Bytes that the server has not handled.
    input: Vec<u8>,
    /// `input` has bytes that came since the server last looked.
    fresh: bool,
    /// The client has cut the connection.
    cut: bool,
    /// The server has closed its side.
    closed: bool,
}

/// A broker in memory.
pub struct Memory {
    engine: Engine,
    turn: Turn,
    peers: Vec<Peer>,
    publishing: VecDeque<Box<Publishing>>,
    /// Stands in for a client where the server publishes.
    nobody: Arc<dyn Wire>,
    /// The one user that has a verifier for SCRAM.
    user: Option<(&'static str, Verifier)>,
}

impl Memory {
    /// A broker with these limits, at the beginning of its time. The seed is fixed: every run is the same.
    pub fn new(limits: Limits) -> Self {
        let engine = Engine::new(limits, 7);
        let mut turn = engine.turn();
        turn.now = Now { mono: Millis(1_000), wall_secs: 1_700_000_000 };
        let nobody: Arc<dyn Wire> = Arc::new(MemoryWire::default());
        engine.sys_tick(&mut turn, &nobody);
        Self { engine, turn, peers: Vec::new(), publishing: VecDeque::new(), nobody, user: None }
    }

    /// The broker knows SCRAM-SHA-256, and this user by it. Who names no method is believed as before.
    pub fn knowing(mut self, user: &'static str, password: &str) -> Self {
        let (hash, salt) = (Hash::Sha256, b"testkit-salt");
        self.user = Some((user, Verifier::create(hash, password.as_bytes(), salt, ITERATIONS_MIN)));
        self
    }

    /// The engine, to look at its counters.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Lets everybody go on until nobody has anything to do.
    fn settle(&mut self) {
        loop {
            let mut busy = false;
            for at in 0..self.peers.len() {
                busy |= self.step(at);
            }
            for publishing in std::mem::take(&mut self.publishing) {
                busy = true;
                if let Progress::More(rest) = self.engine.resume(&mut self.turn, publishing) {
                    self.publishing.push_back(rest);
                }
            }
            busy |= self.turn.has_output();
            self.engine.flush(&mut self.turn);
            if !busy {
                return;
            }
        }
    }

    /// One look at one connection. Whether something happened.
    fn step(&mut self, at: usize) -> bool {
        let Self { engine, turn, peers, user, .. } = self;
        let peer = &mut peers[at];
        let wire: Arc<dyn Wire> = peer.wire.clone();
        let Some(conversation) = &mut peer.conversation else { return false };
        let mut busy = peer.wire.woken.swap(false, Ordering::SeqCst);
        if peer.closed || peer.cut {
            if conversation.end(engine, turn) {
                peer.conversation = None;
            }
            return true;
        }
        if busy {
            conversation.proceed(engine, turn, &wire);
        }
        match conversation.standing() {
            Standing::Reading if peer.fresh => {
                let used = conversation.receive(engine, turn, &peer.input);
                peer.input.drain(..used);
                // What is left is incomplete, or waits until the conversation reads again.
                peer.fresh = conversation.standing() != Standing::Reading && !peer.input.is_empty();
                busy = true;
            }
            Standing::Asking => {
                match conversation.question().map(|question| question.method) {
                    Some(Some(method)) if user.is_some() && &*method.name == Hash::Sha256.method() => {
                        let said = Said { data: method.data, is_anew: true };
                        let reply = reply(user.as_ref(), &mut peer.challenge, &mut peer.exchanges, &said);
                        conversation.reply(engine, turn, reply, &wire);
                    }
                    Some(_) => conversation.answer(engine, turn, Ok(()), &wire),
                    None => {}
                }
                busy = true;
            }
            Standing::Working => {
                conversation.proceed(engine, turn, &wire);
                busy = true;
            }
            Standing::Closing => {
                engine.flush(turn);
                peer.wire.sent.lock().extend_from_slice(conversation.last_words());
                peer.closed = true;
                busy = true;
            }
            Standing::Reading | Standing::Waiting => {}
        }
        if let Some(said) = conversation.said() {
            let reply = reply(user.as_ref(), &mut peer.challenge, &mut peer.exchanges, &said);
            conversation.reply(engine, turn, reply, &wire);
            busy = true;
        }
        busy
    }

    /// The next moment at which somebody has something to do.
    fn next_deadline(&self) -> Millis {
        let talking = self.peers.iter().filter(|peer| !peer.closed && !peer.cut);
        let conversations = talking.filter_map(|peer| peer.conversation.as_ref());
        conversations
            .map(Conversation::deadline)
            .min()
            .unwrap_or(Millis::NEVER)
            .min(self.engine.next_deadline())
    }

    fn time_out(&mut self) {
        let Self { engine, turn, peers, .. } = self;
        for peer in peers.iter_mut().filter(|peer| !peer.closed && !peer.cut) {
            let wire: Arc<dyn Wire> = peer.wire.clone();
            if let Some(conversation) = &mut peer.conversation {
                conversation.handle_timeout(engine, turn, &wire);
            }
        }
        let Ticked { publishing, .. } = self.engine.tick(&mut self.turn, &self.nobody);
        self.publishing.extend(publishing);
    }
}

/// What SCRAM says to what the client says.
fn reply(
    user: Option<&(&str, Verifier)>,
    challenge: &mut Option<Challenge>,
    exchanges: &mut usize,
    said: &Said,
) -> Reply {
    let data = said.data.as_deref().unwrap_or_default();
    let denied = Reply::Denied(ReasonCode::NotAuthorized);
    if !said.is_anew {
        let proved = challenge.take().and_then(|challenge| challenge.judge(data).ok());
        return proved.map_or(denied, |proof| Reply::Success(Some(proof.into_bytes().into())));
    }
    let (Ok(opening), Some((name, verifier))) = (Opening::read(data), user) else { return denied };
    if opening.user_name() != *name {
        return denied;
    }
    *exchanges += 1;
    let (asked, question) = opening.challenge(verifier.clone(), &format!("server-{exchanges}"));
    *challenge = Some(asked);
    Reply::Continue(Some(question.into_bytes().into()))
}

impl Driver for Memory {
    fn open(&mut self) -> Link {
        let conversation = Conversation::new(&self.engine, self.turn.now.mono);
        self.peers.push(Peer {
            challenge: None,
            exchanges: 0,
            wire: Arc::default(),
            conversation: Some(conversation),
            input: Vec::new(),
            fresh: false,
            cut: false,
            closed: false,
        });
        Link(self.peers.len() - 1)
    }

    fn send(&mut self, link: Link, bytes: &[u8]) {
        let peer = &mut self.peers[link.0];
        if !peer.closed {
            peer.input.extend_from_slice(bytes);
            peer.fresh = true;
        }
        self.settle();
    }

    fn receive(&mut self, link: Link) -> Received {
        self.settle();
        let peer = &self.peers[link.0];
        let sent = std::mem::take(&mut *peer.wire.sent.lock());
        match (sent.is_empty(), peer.closed) {
            (false, _) => Received::Bytes(sent),
            (true, true) => Received::Closed,
            (true, false) => Received::Nothing,
        }
    }

    fn close(&mut self, link: Link) {
        self.peers[link.0].cut = true;
        self.settle();
    }

    fn advance(&mut self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).expect("a scenario ends within the age of the universe");
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

    fn quiet(&mut self, _link: Link) -> Quiet {
        Quiet::Proven
    }
}
