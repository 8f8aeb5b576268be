//! The engine with clients whose sockets are counters: what a worker does, without the worker.

use std::sync::{
    Arc,
    atomic::{AtomicU16, AtomicU64, Ordering::Relaxed},
};

use whimbrel_codec::{
    Ack, Connect, Filters, PacketId, PacketType, Publish, QoS, ReasonCode, Subscribe, SubscribeOptions,
    UserProperties, Version,
};
use whimbrel_engine::{
    AccessOptions, Conversation, Engine, Limits, Now, Standing, Turn, Wire, Written, proto::Millis,
    rules::Rules,
};

const SEED: u64 = 7;

/// Topic and payload of the messages, 64 bytes of payload.
const PAYLOAD: [u8; 64] = [b'p'; 64];

/// The engine and the one worker that drives it.
pub(crate) struct Server {
    engine: Engine,
    turn: Turn,
}

/// One client and its conversation with the server.
pub(crate) struct Client {
    conversation: Conversation,
    counter: Arc<Counter>,
    wire: Arc<dyn Wire>,
}

/// Takes all bytes and keeps none: what a socket costs is the kernel's.
#[derive(Default)]
struct Counter {
    bytes: AtomicU64,
    /// The packet identifier of the last PUBLISH above QoS 0 that was written.
    packet_id: AtomicU16,
}

impl Wire for Counter {
    fn write(&self, parts: &[&[u8]]) -> Written {
        for part in parts {
            if let Some(id) = packet_id(part) {
                self.packet_id.store(id, Relaxed);
            }
        }
        let bytes = parts.iter().map(|part| part.len()).sum();
        self.bytes.fetch_add(bytes as u64, Relaxed);
        Written::Bytes(bytes)
    }

    fn wake(&self) {}
}

/// The packet identifier of a PUBLISH above QoS 0 with a short head at the start of `part`.
fn packet_id(part: &[u8]) -> Option<u16> {
    let (first, rest) = part.split_first()?;
    let topic_len = usize::from(u16::from_be_bytes([*rest.get(1)?, *rest.get(2)?]));
    let is_acknowledged = first >> 4 == PacketType::Publish.bits() && first & 0b0110 != 0;
    let id = rest.get(3 + topic_len..5 + topic_len).filter(|_| is_acknowledged)?;
    id.try_into().ok().map(u16::from_be_bytes)
}

impl Server {
    pub(crate) fn new() -> Self {
        Server::of(Engine::new(limits(), SEED))
    }

    /// A server that asks these rules.
    pub(crate) fn ruled(rules: Arc<Rules>) -> Self {
        Server::of(Engine::new(limits(), SEED).with_access(rules, AccessOptions::default()))
    }

    fn of(engine: Engine) -> Self {
        let mut turn = engine.turn();
        turn.now = Now { mono: Millis(1_000), wall_secs: 1_700_000_000 };
        Server { engine, turn }
    }

    pub(crate) fn connect(&mut self, client_id: &str) -> Client {
        let counter = Arc::new(Counter::default());
        let wire: Arc<dyn Wire> = counter.clone();
        let conversation = Conversation::new(&self.engine, self.turn.now.mono);
        let mut client = Client { conversation, counter, wire };
        let connect = Connect { version: Version::V311, clean_start: true, client_id, ..Connect::default() };
        let mut bytes = Vec::new();
        connect.encode(Version::V311, &mut bytes);
        client.conversation.receive(&self.engine, &mut self.turn, &bytes);
        assert!(client.conversation.question().is_some(), "CONNECT asks who it is");
        client.conversation.answer(&self.engine, &mut self.turn, Ok(()), &client.wire);
        assert!(client.conversation.attached().is_some(), "CONNECT is accepted");
        self.flush();
        client
    }

    pub(crate) fn subscribe(&mut self, client: &mut Client, filter: &str, qos: QoS) {
        let filters = [(filter, SubscribeOptions::with_qos(qos))];
        let subscribe = Subscribe {
            packet_id: PacketId::new(1).expect("1 is not 0"),
            subscription_id: None,
            user_properties: UserProperties::default(),
            filters: Filters::from_slice(&filters),
        };
        let mut bytes = Vec::new();
        subscribe.encode(Version::V311, &mut bytes);
        self.hear(client, &bytes);
        self.flush();
        client.forget();
    }

    /// Hands over what a client has sent, all of it, and lets the server finish with it.
    pub(crate) fn hear(&mut self, client: &mut Client, mut bytes: &[u8]) {
        loop {
            let used = client.conversation.receive(&self.engine, &mut self.turn, bytes);
            bytes = bytes.get(used..).unwrap_or_default();
            match client.conversation.standing() {
                Standing::Reading if bytes.is_empty() => return,
                Standing::Working => {
                    client.conversation.proceed(&self.engine, &mut self.turn, &client.wire);
                }
                standing => assert_eq!(standing, Standing::Reading, "the server reads on"),
            }
        }
    }

    pub(crate) fn flush(&mut self) {
        self.engine.flush(&mut self.turn);
    }
}

fn limits() -> Limits {
    Limits { subscriptions_max: 20_000, ..Limits::default() }
}

impl Client {
    /// Bytes that the server wrote to this client since the last [`Self::forget`].
    pub(crate) fn written(&self) -> u64 {
        self.counter.bytes.load(Relaxed)
    }

    pub(crate) fn forget(&self) {
        self.counter.bytes.store(0, Relaxed);
    }

    /// What the client answers to the last message that came: PUBACK, PUBREC or PUBCOMP.
    pub(crate) fn answer(&self, kind: PacketType) -> [u8; 4] {
        let [high, low] = self.counter.packet_id.load(Relaxed).to_be_bytes();
        [kind.bits() << 4, 2, high, low]
    }
}

/// A PUBLISH of 3.1.1 as bytes.
pub(crate) fn publish(topic: &str, qos: QoS) -> Vec<u8> {
    let packet_id = PacketId::new(9).filter(|_| qos != QoS::AtMostOnce);
    let publish = Publish { qos, topic, packet_id, payload: &PAYLOAD, ..Publish::default() };
    let mut bytes = Vec::new();
    publish.encode(Version::V311, &mut bytes);
    bytes
}

/// The PUBREL for that message.
pub(crate) fn pubrel() -> [u8; 4] {
    [PacketType::PubRel.bits() << 4 | 0b0010, 2, 0, 9]
}

/// The size of the PUBACK that the server sends, and of PUBREC, PUBREL and PUBCOMP.
pub(crate) fn ack_len() -> u64 {
    let ack = Ack::new(PacketId::new(9).expect("9 is not 0"), ReasonCode::Success);
    ack.encoded_len(PacketType::PubAck, Version::V311) as u64
}
