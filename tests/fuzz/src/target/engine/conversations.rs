//! The engine under arbitrary bytes of several clients, cuts, pauses and time: no panic, what is sent reads, and when
//! everybody has gone every count is zero again.

use whimbrel_engine::proto::Millis;
use whimbrel_testkit::{QoS0, Subscribe, Version, publish, v5};

use super::{
    limits, version,
    worker::{Who, Worker},
};
use crate::draw::Draw;

/// The first byte chooses limits. Each operation is a byte that says which, one for the client, and then bytes for it.
pub(in crate::target) fn conversations(data: &[u8]) {
    let mut draw = Draw::new(data);
    let mut worker = Worker::new(limits(draw.byte()));
    // Of each client whether its packets can be read: its version is known.
    let mut clients: Vec<(Who, bool)> = Vec::new();
    while !draw.is_empty() {
        let choice = draw.byte();
        let client = (!clients.is_empty()).then(|| clients[draw.below(clients.len())]);
        match (choice % 16, client) {
            (0..=2, _) | (_, None) if clients.len() < 8 => {
                let len = usize::from(draw.byte());
                let bytes = draw.slice(len);
                let version = version(bytes);
                let who = worker.open(version.unwrap_or(Version::V311));
                clients.push((who, version.is_some()));
                worker.put_bytes(who, bytes);
            }
            (0..=9, Some((who, _))) => {
                let len = usize::from(draw.byte());
                worker.put_bytes(who, draw.slice(len));
            }
            (10, Some((who, _))) => worker.put_cut(who),
            (11, Some((who, _))) => worker.pipe(who).allow(usize::from(choice >> 4) * 20),
            (12, Some((who, _))) => worker.pipe(who).open(),
            (13, _) => worker.advance(u64::from(choice >> 4) * 4_000),
            _ => {}
        }
        if choice < 200 {
            worker.settle();
        }
    }
    worker.settle();
    clients.iter().for_each(|(who, known)| {
        worker.pipe(*who).open();
        if *known {
            worker.take(*who);
        }
        worker.cut(*who);
        assert!(worker.is_over(*who), "connection {who} does not end");
    });
    empty(&mut worker, data.contains(&b'$'));
}

/// Everybody has gone and every session has ended; what is retained is taken back, but for topics that `#` does not find.
fn empty(worker: &mut Worker, hidden: bool) {
    worker.advance(8 * 24 * 3_600 * 1_000);
    let sweeper = worker.connect(v5("sweeper"));
    let (_, kept) = worker.subscribe_with(sweeper, Subscribe::one(1, "#", QoS0));
    kept.iter().for_each(|message| worker.publish(sweeper, publish(&message.topic, "").retain()));
    worker.cut(sweeper);
    let engine = &worker.engine;
    assert_eq!((engine.connected(), engine.sessions()), (0, 0));
    assert_eq!((engine.subscriptions(), engine.filters()), (0, 0));
    assert_eq!((engine.waiting_bytes(), engine.held_bytes()), ((0, 0), 0));
    assert!(hidden || engine.retained() == (0, 0), "{:?} stay", engine.retained());
    assert!(hidden || engine.next_deadline() == Millis::NEVER, "{:?}", engine.next_deadline());
}
