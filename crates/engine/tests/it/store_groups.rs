//! What the journal says of shared groups whose last member has left: they stay over, and what was theirs is nobody else's.

use whimbrel_engine::{Limits, store::Reclaimed};
use whimbrel_testkit::{QoS1, QoS2, v5};

use super::{
    store::{durable, guest, send, subscribe},
    worker::Worker,
};

/// Everything is written anew, and what lay before is gone.
fn cleaned(mut worker: Worker) -> Worker {
    let paper = worker.paper.clone().unwrap();
    let below = paper.end();
    let mut reclaim = worker.engine.begin_reclaim(below);
    while worker.engine.reclaim(&mut worker.turn, &mut reclaim) == Reclaimed::More {}
    assert_eq!(paper.live_before(below), 0, "{:?}", paper.needed_before(below));
    let paper = paper.without_before(below);
    assert_eq!(paper.missing(), 0);
    Worker::durable(Limits::default(), &paper)
}

#[test]
fn what_a_group_was_owed_whose_last_member_ended_in_a_crash_is_nobodys() {
    let mut worker = durable();
    let member = worker.start(v5("member").resume().expiry(60).keep_alive(0));
    worker.settle();
    worker.commit();
    worker.next_connack(member);
    subscribe(&mut worker, member, "$share/g/t", QoS1);
    let writer = guest(&mut worker, "writer");
    send(&mut worker, writer, 1, "sent", QoS1);
    worker.commit();
    assert_eq!(worker.payloads(member), ["sent"]);
    worker.cut(member);
    worker.commit();
    let before = worker.paper.as_ref().unwrap().records();
    worker.advance(61_000);
    // The crash comes behind the end of the session, and before that of its group.
    let told = worker.paper.as_ref().unwrap().told(before);
    assert!(told.iter().any(|record| record.starts_with("Park")), "{told:?}");
    let end = told.iter().position(|record| record.starts_with("SessionEnd")).unwrap();
    assert!(told[end + 1].starts_with("GroupEnd"), "{told:?}");
    let mut worker = worker.crash(Limits::default(), before + end + 1);
    worker.commits = true;
    // A group of the same name is another one, after the next crash too, whatever cleaning has left of the first.
    let heir = worker.connect(v5("heir").resume().expiry(60).keep_alive(0));
    worker.subscribe(heir, "$share/g/t", QoS1);
    let mut worker = cleaned(worker.crash(Limits::default(), usize::MAX));
    worker.commits = true;
    let heir = worker.connect(v5("heir").resume().expiry(60).keep_alive(0));
    assert_eq!(worker.payloads(heir), [] as [String; 0]);
}

#[test]
fn who_had_a_message_of_a_group_that_ended_strikes_nothing_off_the_next_one_of_its_name() {
    let mut worker = durable();
    worker.commits = true;
    let fleeting = guest(&mut worker, "fleeting");
    let writer = guest(&mut worker, "writer");
    let stayer = worker.connect(v5("stayer").resume().expiry(1_000).keep_alive(0));
    worker.subscribe(stayer, "$share/g/t", QoS1);
    worker.cut(stayer);
    worker.subscribe(fleeting, "$share/g/t", QoS1);
    send(&mut worker, writer, 1, "first", QoS1);
    let first = worker.messages(fleeting);
    assert_eq!(first.len(), 1);
    // All leave; one has a message of it still.
    worker.unsubscribe(fleeting, "$share/g/t");
    let stayer = worker.connect(v5("stayer").resume().expiry(1_000).keep_alive(0));
    worker.unsubscribe(stayer, "$share/g/t");
    // The next group of this name is owed one.
    worker.subscribe(stayer, "$share/g/t", QoS1);
    worker.cut(stayer);
    send(&mut worker, writer, 2, "second", QoS1);
    worker.puback(fleeting, first[0].id);
    let mut worker = worker.crash(Limits::default(), usize::MAX);
    worker.commits = true;
    let stayer = worker.connect(v5("stayer").resume().expiry(1_000).keep_alive(0));
    assert_eq!(worker.payloads(stayer), ["second"]);
}

#[test]
fn a_message_that_a_member_gave_back_in_a_crash_is_its_groups_once() {
    let mut worker = durable();
    worker.commits = true;
    let first = worker.connect(v5("first").resume().expiry(1_000).keep_alive(0));
    worker.subscribe(first, "$share/g/t", QoS1);
    let writer = guest(&mut worker, "writer");
    send(&mut worker, writer, 1, "one", QoS2);
    worker.consume(writer);
    assert_eq!(worker.payloads(first), ["one"]);
    worker.cut(first);
    worker.commits = false;
    let before = worker.paper.as_ref().unwrap().records();
    // Who comes then gets what the first one has not acknowledged.
    let second = worker.start(v5("second").resume().expiry(1_000).keep_alive(0));
    worker.settle();
    worker.commit();
    worker.next_connack(second);
    worker.send(
        second,
        whimbrel_testkit::Packet::Subscribe(whimbrel_testkit::Subscribe::one(1, "$share/g/t", QoS2)),
    );
    let told = worker.paper.as_ref().unwrap().told(before);
    let park = told.iter().position(|record| record.starts_with("Park")).unwrap();
    assert!(told[park + 1].starts_with("Done"), "{told:?}");
    let mut worker = worker.crash(Limits::default(), before + park + 1);
    for _ in 0..2 {
        worker.commits = true;
        let second = worker.connect(v5("second").resume().expiry(1_000).keep_alive(0));
        assert_eq!(worker.payloads(second), ["one"]);
        worker = worker.crash(Limits::default(), usize::MAX);
    }
}
