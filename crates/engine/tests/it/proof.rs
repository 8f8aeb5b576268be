//! A connection ends when what its client has proved of itself ends.

use whimbrel_engine::{Count, Limits, proto::Millis};
use whimbrel_testkit::{Packet, QoS0, v5, v311, will};

use super::worker::{Who, Worker};

/// What the client has proved ends so many milliseconds from now.
fn ends_in(worker: &mut Worker, who: Who, millis: u64) {
    let at = Millis(worker.turn.now.mono.0 + millis);
    worker.intervene(who, |conversation, _, _, _| conversation.ends_at(at));
}

fn codes(worker: &mut Worker, who: Who) -> Vec<u8> {
    let farewell = |packet| match packet {
        Packet::Disconnect(disconnect) => Some(disconnect.code),
        _ => None,
    };
    worker.come(who).into_iter().filter_map(farewell).collect()
}

#[test]
fn the_connection_ends_with_the_proof_and_one_of_five_is_told_why() {
    let mut worker = Worker::new(Limits::default());
    let five = worker.connect(v5("five").keep_alive(0));
    let three = worker.connect(v311("three").keep_alive(0));
    let forever = worker.connect(v5("forever").keep_alive(0));
    for who in [five, three] {
        ends_in(&mut worker, who, 60_000);
    }
    worker.advance(59_000);
    assert!([five, three].iter().all(|who| !worker.is_closed(*who)));
    worker.advance(2_000);
    assert_eq!(codes(&mut worker, five), [0x87]);
    assert!(codes(&mut worker, three).is_empty());
    assert!([five, three].iter().all(|who| worker.is_closed(*who)));
    assert!(!worker.is_closed(forever));
    assert_eq!(worker.count(Count::ProofEnded), 2);
}

#[test]
fn a_client_that_talks_all_the_time_is_not_heard_beyond_its_proof() {
    let mut worker = Worker::new(Limits::default());
    let who = worker.connect(v5("c").keep_alive(10));
    ends_in(&mut worker, who, 30_000);
    for _ in 0..29 {
        worker.advance(1_000);
        worker.say(who, "t", "still here");
        assert!(!worker.is_closed(who));
    }
    worker.advance(3_000);
    assert!(worker.is_closed(who));
}

#[test]
fn a_new_proof_takes_the_place_of_the_old_one() {
    let mut worker = Worker::new(Limits::default());
    let who = worker.connect(v5("c").keep_alive(0));
    ends_in(&mut worker, who, 10_000);
    worker.advance(5_000);
    ends_in(&mut worker, who, 60_000);
    worker.advance(50_000);
    assert!(!worker.is_closed(who));
    worker.advance(11_000);
    assert_eq!(codes(&mut worker, who), [0x87]);
    // It may also end earlier than the one before.
    let who = worker.connect(v5("d").keep_alive(0));
    ends_in(&mut worker, who, 60_000);
    ends_in(&mut worker, who, 1_000);
    worker.advance(2_500);
    assert_eq!(codes(&mut worker, who), [0x87]);
}

#[test]
fn whose_proof_ends_leaves_its_will() {
    let mut worker = Worker::new(Limits::default());
    let watcher = worker.connect(v5("watcher").keep_alive(0));
    worker.subscribe(watcher, "will", QoS0);
    let who = worker.connect(v5("c").keep_alive(0).will(will("will", "gone")));
    ends_in(&mut worker, who, 1_000);
    worker.advance(3_000);
    assert_eq!(worker.payloads(watcher), ["gone"]);
}
