//! Bytes that are not what they should be: whatever comes, the connection ends or goes on, the others do not notice, and
//! nothing is left behind.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use whimbrel_engine::{Limits, proto::Millis};
use whimbrel_testkit::{
    Ack, Disconnect, Packet, QoS0, QoS1, QoS2, Subscribe, Unsubscribe, Version, publish, v5, v31, v311, will,
};

use super::worker::Worker;

/// What a client may well say after CONNECT.
fn sentence(version: Version) -> impl Strategy<Value = Vec<u8>> {
    let (id, properties) = (3, Default::default());
    let packets = vec![
        Packet::Publish(publish("a/b", "payload")),
        Packet::Publish(publish("a", "payload").retain().at(QoS1, 1)),
        Packet::Publish(publish("a/b/c", "x".repeat(5_000)).at(QoS2, 2)),
        Packet::PubRel(Ack::new(2, 0)),
        Packet::PubAck(Ack::new(1, 0)),
        Packet::PubRec(Ack::new(1, 0)),
        Packet::PubComp(Ack::new(1, 0)),
        Packet::Subscribe(Subscribe::one(1, "a/+", QoS2).and("$share/g/#", QoS1)),
        Packet::Unsubscribe(Unsubscribe { id, properties, filters: vec!["a/+".into()] }),
        Packet::PingReq,
        Packet::Disconnect(Disconnect::new(0)),
    ];
    select(packets).prop_map(move |packet| packet.encode(version))
}

/// How bytes go wrong on their way.
#[derive(Clone, Debug)]
enum Fault {
    None,
    Change(Index, u8),
    Remove(Index),
    Insert(Index, u8),
    Cut(Index),
}

/// Any byte but `$`: what is retained under a topic that begins with it is not found by `#`, with which the test sweeps.
fn byte() -> impl Strategy<Value = u8> {
    any::<u8>().prop_map(|byte| if byte == b'$' { b'%' } else { byte })
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::None),
        3 => (any::<Index>(), byte()).prop_map(|(at, byte)| Fault::Change(at, byte)),
        1 => any::<Index>().prop_map(Fault::Remove),
        1 => (any::<Index>(), byte()).prop_map(|(at, byte)| Fault::Insert(at, byte)),
        1 => any::<Index>().prop_map(Fault::Cut),
    ]
}

fn spoil(mut bytes: Vec<u8>, fault: &Fault) -> Vec<u8> {
    let len = bytes.len();
    match fault {
        Fault::None => {}
        Fault::Change(at, byte) => bytes[at.index(len)] = *byte,
        Fault::Remove(at) => _ = bytes.remove(at.index(len)),
        Fault::Insert(at, byte) => bytes.insert(at.index(len), *byte),
        Fault::Cut(at) => bytes.truncate(at.index(len)),
    }
    bytes
}

/// One connection: CONNECT and what comes behind it, and in pieces of how many bytes.
fn talk() -> impl Strategy<Value = (Version, Vec<u8>, usize)> {
    let version = select(vec![Version::V31, Version::V311, Version::V5]);
    version.prop_flat_map(|version| {
        let connect = match version {
            Version::V31 => v31("bad"),
            Version::V311 => v311("bad").persistent().will(will("w", "gone")),
            Version::V5 => v5("bad").expiry(10).will(will("w", "gone").delay(5)),
        };
        let connect = Packet::Connect(Box::new(connect)).encode(version);
        let sentences = vec((sentence(version), fault()), 0..12);
        (fault(), sentences, select(vec![1, 3, 50, 100_000])).prop_map(move |(first, sentences, step)| {
            let mut bytes = if matches!(first, Fault::Change(..)) {
                spoil(connect.clone(), &first)
            } else {
                connect.clone()
            };
            sentences.into_iter().for_each(|(sentence, fault)| bytes.extend(spoil(sentence, &fault)));
            (version, bytes, step)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn bad_input_harms_nobody_else_and_leaves_nothing_behind(talks in vec(talk(), 1..6)) {
        let mut worker = Worker::new(Limits::default());
        let [one, two] = ["one", "two"].map(|id| worker.connect(v311(id).keep_alive(0)));
        worker.subscribe(two, "good", QoS1);
        for (version, bytes, step) in talks {
            let who = worker.open(version);
            for part in bytes.chunks(step) {
                worker.put_bytes(who, part);
                worker.settle();
            }
            worker.publish(one, publish("good", "news").at(QoS1, 1));
            prop_assert_eq!(worker.consume(two).len(), 1);
            prop_assert!(matches!(worker.take(one)[..], [Packet::PubAck(_)]));
            worker.cut(who);
            prop_assert!(worker.is_over(who));
        }
        worker.advance(8 * 24 * 3_600 * 1_000);
        prop_assert_eq!((worker.engine.connected(), worker.engine.sessions()), (2, 2));
        prop_assert_eq!((worker.engine.subscriptions(), worker.engine.filters()), (1, 1));
        prop_assert_eq!(worker.engine.waiting_bytes(), (0, 0));
        prop_assert_eq!(worker.engine.next_deadline(), Millis::NEVER);
        // Topics that bytes went wrong in are retained as well: what is there can be cleared.
        let sweeper = worker.connect(v5("sweeper"));
        let (_, kept) = worker.subscribe_with(sweeper, Subscribe::one(1, "#", QoS0));
        prop_assert_eq!(kept.len(), worker.engine.retained().0);
        for message in kept {
            worker.publish(sweeper, publish(&message.topic, "").retain());
        }
        prop_assert_eq!(worker.engine.retained(), (0, 0));
    }
}
