//! Whoever waits for room in the journal is let in, whoever has filled it, and whether or not anybody else waits for it.

use whimbrel_engine::{Level, store::Reclaimed};
use whimbrel_testkit::{Packet, QoS1, Subscribe, v5, will};

use super::{
    paper::Paper,
    store::{durable, guest, send, stayer, subscribe},
    worker::{Who, Worker},
};

/// A reader that is away and is owed a message, a writer, and their journal, which is synced.
fn house() -> (Worker, Who, Paper) {
    let mut worker = durable();
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "t", QoS1);
    worker.cut(reader);
    let writer = guest(&mut worker, "writer");
    send(&mut worker, writer, 1, "first", QoS1);
    worker.commit();
    assert_eq!(worker.take(writer).len(), 1);
    let paper = worker.paper.clone().unwrap();
    (worker, writer, paper)
}

/// Cleaning records everything anew; it waits for nothing, and nothing of it is flushed.
fn clean(worker: &Worker, paper: &Paper) {
    let (mut turn, before) = (worker.engine.turn(), paper.end());
    let mut reclaim = worker.engine.begin_reclaim(before);
    while worker.engine.reclaim(&mut turn, &mut reclaim) == Reclaimed::More {}
    assert!(paper.end() > before);
}

/// The journal does what it was asked for, and says so.
fn serve(worker: &mut Worker, paper: &Paper) {
    paper.serve();
    worker.engine.release(&mut worker.turn);
    worker.settle();
}

#[test]
fn who_waits_behind_what_cleaning_has_recorded_asks_for_it() {
    let (mut worker, writer, paper) = house();
    paper.set_budget(Some(1));
    clean(&worker, &paper);
    send(&mut worker, writer, 2, "second", QoS1);
    assert!(worker.engine.has_waiting());
    serve(&mut worker, &paper); // What cleaning has recorded.
    assert!(!worker.engine.has_waiting());
    serve(&mut worker, &paper); // What the writer has sent.
    assert!(matches!(worker.take(writer)[..], [Packet::PubAck(_)]));
}

#[test]
fn who_waits_asks_again_where_the_room_that_came_has_been_taken_meanwhile() {
    let (mut worker, writer, paper) = house();
    paper.set_budget(Some(1));
    clean(&worker, &paper);
    send(&mut worker, writer, 2, "second", QoS1);
    clean(&worker, &paper);
    serve(&mut worker, &paper);
    assert!(worker.engine.has_waiting(), "the second cleaning came behind the question");
    serve(&mut worker, &paper);
    assert!(!worker.engine.has_waiting());
    serve(&mut worker, &paper);
    assert!(matches!(worker.take(writer)[..], [Packet::PubAck(_)]));
}

#[test]
fn a_connect_and_a_subscribe_that_wait_for_room_ask_for_it_too() {
    let (mut worker, _, paper) = house();
    let here = stayer(&mut worker, "here");
    for begins in [
        |worker: &mut Worker, _| {
            worker.start(whimbrel_testkit::v5("mortal").keep_alive(0).will(will("w", "x")))
        },
        |worker: &mut Worker, here| {
            worker.put(here, Packet::Subscribe(Subscribe::one(1, "u", QoS1)));
            here
        },
    ] {
        paper.set_budget(Some(1));
        clean(&worker, &paper);
        let who = begins(&mut worker, here);
        worker.settle();
        assert!(worker.engine.has_waiting());
        serve(&mut worker, &paper);
        serve(&mut worker, &paper);
        assert_eq!(worker.take(who).len(), 1);
    }
}

#[test]
fn who_waits_for_room_is_worth_a_release_where_nothing_is_parked() {
    let (mut worker, _, paper) = house();
    worker.level = Level::Process;
    let writer = guest(&mut worker, "hasty");
    paper.set_budget(Some(1));
    send(&mut worker, writer, 1, "second", QoS1);
    paper.write();
    worker.engine.release(&mut worker.turn);
    send(&mut worker, writer, 2, "third", QoS1);
    assert_eq!(worker.take(writer).len(), 1, "the acknowledgement of what is written");
    assert!(!worker.turn.has_parked() && worker.engine.has_waiting());
    assert!(!worker.engine.may_release(&worker.turn));
    paper.commit();
    assert!(worker.engine.may_release(&worker.turn));
    worker.commit();
    assert!(!worker.engine.has_waiting());
    worker.commit();
    assert_eq!(worker.take(writer).len(), 1);
}

#[test]
fn subscriptions_of_a_session_that_ends_with_its_connection_keep_no_room() {
    let mut worker = durable();
    worker.commits = true;
    let who = worker.connect(v5("who").resume().expiry(1_000).keep_alive(0));
    worker.subscribe(who, "t", QoS1);
    worker.cut(who);
    let who = worker.connect(v5("who").resume().keep_alive(0));
    let paper = worker.paper.clone().unwrap();
    clean(&worker, &paper);
    let (mut turn, below) = (worker.engine.turn(), paper.end());
    let mut reclaim = worker.engine.begin_reclaim(below);
    while worker.engine.reclaim(&mut turn, &mut reclaim) == Reclaimed::More {}
    assert_eq!(paper.live_before(below), 0, "{:?}", paper.needed_before(below));
    // They are there for as long as it lasts, and count as nothing when it ends.
    let writer = guest(&mut worker, "writer");
    send(&mut worker, writer, 1, "live", QoS1);
    assert_eq!(worker.payloads(who), ["live"]);
    worker.cut(who);
    assert_eq!(paper.live(), 0);
}
