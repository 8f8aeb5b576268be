//! Very many subscribers of one filter, each as small as can be: a wire that reads what comes, checks the order, and
//! keeps no bytes.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
};

use whimbrel_engine::{Conversation, Engine, Turn, Wire, Written};
use whimbrel_testkit::{Packet, QoS0, Subscribe, v311};

use super::worker::Worker;

/// Bytes of a message as they come: `t` is the topic, four bytes are the payload.
const FRAME: usize = 2 + 3 + 4;

/// Takes everything. A member of the crowd gets CONNACK, SUBACK, and then messages that carry ascending numbers.
#[derive(Default)]
struct CrowdWire {
    bytes: AtomicU64,
    last: AtomicU32,
    messages: AtomicU32,
}

/// CONNACK and SUBACK of 3.1.1.
const WELCOME: u64 = 4 + 5;

impl Wire for CrowdWire {
    fn write(&self, parts: &[&[u8]]) -> Written {
        let bytes = parts.concat();
        let mut rest = bytes.as_slice();
        if self.bytes.fetch_add(bytes.len() as u64, SeqCst) < WELCOME {
            assert_eq!(bytes.len() as u64, WELCOME, "CONNACK and SUBACK in one write");
            rest = &[];
        }
        assert_eq!(rest.len() % FRAME, 0, "whole messages");
        for frame in rest.chunks(FRAME) {
            let number = u32::from_be_bytes(frame[5..].try_into().unwrap());
            let last = self.last.swap(number, SeqCst);
            assert!(number > last, "{number} after {last}");
            self.messages.fetch_add(1, SeqCst);
        }
        Written::Bytes(bytes.len())
    }

    fn wake(&self) {}
}

/// Subscribers of `t` at QoS 0.
pub(super) struct Crowd {
    members: Vec<(Arc<CrowdWire>, Conversation)>,
}

impl Crowd {
    pub(super) fn gather(worker: &mut Worker, count: usize) -> Self {
        let engine = worker.engine.clone();
        let members = (0..count).map(|at| join(&engine, &mut worker.turn, at)).collect();
        engine.flush(&mut worker.turn);
        Crowd { members }
    }

    /// How many of them have got so many messages, the last of them this one.
    pub(super) fn count_with(&self, messages: u32, last: u32) -> usize {
        let has = |wire: &CrowdWire| {
            wire.messages.load(SeqCst) == messages && (messages == 0 || wire.last.load(SeqCst) == last)
        };
        self.members.iter().filter(|(wire, _)| has(wire)).count()
    }

    pub(super) fn leave(mut self, worker: &mut Worker) {
        for (_, conversation) in &mut self.members {
            assert!(conversation.end(&worker.engine.clone(), &mut worker.turn));
        }
    }
}

fn join(engine: &Engine, turn: &mut Turn, at: usize) -> (Arc<CrowdWire>, Conversation) {
    let wire = Arc::new(CrowdWire::default());
    let as_dyn: Arc<dyn Wire> = wire.clone();
    let mut conversation = Conversation::new(engine, turn.now.mono);
    let connect = v311(&format!("c{at}"));
    let version = connect.version;
    conversation.receive(engine, turn, &Packet::Connect(Box::new(connect)).encode(version));
    conversation.answer(engine, turn, Ok(()), &as_dyn);
    let subscribe = Packet::Subscribe(Subscribe::one(1, "t", QoS0)).encode(version);
    assert_eq!(conversation.receive(engine, turn, &subscribe), subscribe.len());
    engine.flush(turn);
    (wire, conversation)
}
