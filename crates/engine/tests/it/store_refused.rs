//! What happens while too much waits for the disk, while it takes nothing, and where the journal refuses a record.

use whimbrel_engine::{Count, DiskFull, Limits, store::Trouble};
use whimbrel_testkit::{Packet, QoS, QoS1, QoS2, Subscribe, publish, v5, v311, will};

use super::{
    paper::Paper,
    store::{durable, guest, returns, send, stayer, subscribe},
    worker::{Worker, text},
};

/// The reason codes of acknowledgements.
fn codes(packets: &[Packet]) -> Vec<u8> {
    let code = |packet: &Packet| match packet {
        Packet::PubAck(ack) | Packet::PubRec(ack) => Some(ack.code),
        _ => None,
    };
    packets.iter().filter_map(code).collect()
}

/// A reader, a writer of this version, and a journal that takes so many records of the next publish.
fn refused_after(takes: usize, writer: whimbrel_testkit::Connect, qos: QoS) -> (Worker, usize, usize) {
    let mut worker = durable();
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "t", qos);
    let writer = worker.connect(writer.keep_alive(0));
    worker.paper.as_ref().unwrap().set_takes(Some(takes));
    send(&mut worker, writer, 1, "refused", qos);
    worker.paper.as_ref().unwrap().set_takes(None);
    (worker, reader, writer)
}

#[test]
fn a_publish_that_cannot_be_recorded_whole_is_refused_and_its_receivers_get_on_without_it() {
    // The message, its one receiver, the end: any of the three is refused.
    for takes in 0..3 {
        let (mut worker, reader, writer) = refused_after(takes, v5("writer"), QoS2);
        assert_eq!(codes(&worker.take(writer)), [0x83], "{takes}");
        assert_eq!(worker.count(Count::RefusedDisk), 1);
        send(&mut worker, writer, 1, "taken", QoS2);
        worker.commit();
        assert_eq!(codes(&worker.take(writer)), [0x00], "{takes}: the identifier is free again");
        assert_eq!(worker.payloads(reader), ["taken"], "{takes}");
        let mut worker = worker.crash(Limits::default(), usize::MAX);
        let all = returns(&mut worker, "reader").1;
        assert_eq!(all.iter().map(text).collect::<Vec<_>>(), ["taken"], "{takes}");
    }
}

#[test]
fn who_is_away_gets_nothing_of_a_qos_2_publish_that_was_refused() {
    for takes in 0..3 {
        let mut worker = durable();
        let reader = stayer(&mut worker, "reader");
        subscribe(&mut worker, reader, "t", QoS2);
        worker.cut(reader);
        let writer = worker.connect(v5("writer").keep_alive(0));
        worker.paper.as_ref().unwrap().set_takes(Some(takes));
        send(&mut worker, writer, 1, "refused", QoS2);
        worker.paper.as_ref().unwrap().set_takes(None);
        send(&mut worker, writer, 2, "taken", QoS2);
        worker.commit();
        assert_eq!(codes(&worker.take(writer)), [0x83, 0x00]);
        let all = returns(&mut worker, "reader").1;
        assert_eq!(all.iter().map(text).collect::<Vec<_>>(), ["taken"], "{takes}");
        assert_eq!(worker.paper.as_ref().unwrap().missing(), 0);
    }
}

#[test]
fn v311_a_publisher_whose_message_cannot_be_recorded_is_disconnected() {
    for takes in 0..3 {
        let (mut worker, reader, writer) = refused_after(takes, v311("writer"), QoS2);
        assert_eq!(worker.take(writer), []);
        assert!(worker.is_closed(writer));
        worker.commit();
        assert_eq!(worker.payloads(reader), [] as [String; 0]);
    }
}

#[test]
fn a_qos_1_publish_that_cannot_be_recorded_is_not_acknowledged_as_taken() {
    for takes in 0..3 {
        let (mut worker, reader, writer) = refused_after(takes, v5("writer"), QoS1);
        worker.commit();
        assert_eq!(codes(&worker.take(writer)), [0x83], "{takes}");
        worker.consume(reader);
        send(&mut worker, writer, 2, "taken", QoS1);
        worker.commit();
        assert_eq!(codes(&worker.take(writer)), [0x00]);
        assert_eq!(worker.payloads(reader), ["taken"], "{takes}");
        worker.crash(Limits::default(), usize::MAX);
    }
}

#[test]
fn a_promise_that_can_never_be_true_ends_its_connection_and_the_next_one_is_served() {
    let mut worker = durable();
    let reader = worker.start(v5("reader").expiry(100).keep_alive(0));
    worker.settle();
    worker.commit();
    worker.next_connack(reader);
    worker.paper.as_ref().unwrap().set_takes(Some(0));
    worker.send(reader, Packet::Subscribe(Subscribe::one(1, "t", QoS1)));
    worker.settle();
    assert!(worker.is_closed(reader));
    worker.paper.as_ref().unwrap().set_takes(None);
    worker.commits = true;
    let reader = worker.connect(v5("reader").resume().expiry(100).keep_alive(0));
    worker.subscribe(reader, "t", QoS1);
}

#[test]
fn while_too_much_waits_for_the_disk_nothing_begins_that_has_to_be_recorded() {
    let mut worker = durable();
    let here = stayer(&mut worker, "here");
    let paper = worker.paper.clone().unwrap();
    paper.set_over_budget(true);
    let before = paper.records();
    let session = worker.start(v5("session").expiry(100).keep_alive(0));
    let mortal = worker.start(v5("mortal").keep_alive(0).will(will("w", "gone")));
    let again = worker.start(v311("here").keep_alive(0));
    worker.send(here, Packet::Subscribe(Subscribe::one(1, "t", QoS1)));
    let other = guest(&mut worker, "other");
    worker.publish(other, publish("kept", "x").retain());
    let fleeting = guest(&mut worker, "fleeting"); // It needs no record.
    worker.subscribe(fleeting, "#", QoS1);
    worker.say(fleeting, "t", "to myself");
    assert_eq!(worker.payloads(fleeting), ["to myself"]);
    for who in [session, mortal, again, here, other] {
        assert_eq!(worker.take(who), [], "client {who}");
    }
    assert_eq!(paper.records(), before, "records");
    assert!(worker.count(Count::WaitedForDisk) >= 5);
    paper.set_over_budget(false);
    worker.commits = true;
    worker.engine.nudge();
    worker.settle();
    for who in [session, mortal, again] {
        worker.next_connack(who);
    }
    assert_eq!(worker.engine.retained().0, 1);
}

#[test]
fn a_subscribe_that_had_to_wait_is_answered_when_the_disk_has_room() {
    let mut worker = durable();
    let here = stayer(&mut worker, "here");
    let paper = worker.paper.clone().unwrap();
    paper.set_over_budget(true);
    worker.send(here, Packet::Subscribe(Subscribe::one(1, "t", QoS1)));
    worker.send(here, Packet::PingReq);
    assert_eq!(worker.take(here), []);
    paper.set_over_budget(false);
    worker.commit();
    worker.commit();
    assert_eq!(worker.take(here).len(), 2);
}

#[test]
fn a_large_fan_out_keeps_the_budget_too_and_goes_on_by_itself() {
    let limits = Limits { fan_out_slice: 2, ..Limits::default() };
    let mut worker = Worker::durable(limits, &Paper::default());
    let readers: Vec<_> = (0..9).map(|at| stayer(&mut worker, &format!("reader {at}"))).collect();
    for reader in &readers {
        subscribe(&mut worker, *reader, "t", QoS1);
    }
    let writer = guest(&mut worker, "writer");
    let paper = worker.paper.clone().unwrap();
    let before = paper.records();
    paper.set_budget(Some(1));
    send(&mut worker, writer, 1, "large", QoS1);
    assert_eq!(paper.records() - before, 1 + 2, "the message and the receivers of the first slice");
    for _ in 0..6 {
        worker.commit();
    }
    assert_eq!(codes(&worker.take(writer)).len(), 1);
    for reader in readers {
        assert_eq!(worker.payloads(reader), ["large"]);
    }
}

#[test]
fn a_full_disk_is_told_as_a_quota_and_a_failed_one_as_an_error_of_the_server() {
    for (trouble, code) in [(Trouble::Full, 0x97), (Trouble::Failed, 0x83)] {
        let limits = Limits { disk_full: DiskFull::Refuse, ..Limits::default() };
        let mut worker = Worker::durable(limits, &Paper::default());
        let reader = stayer(&mut worker, "reader");
        subscribe(&mut worker, reader, "t", QoS2);
        worker.paper.as_ref().unwrap().set_trouble(Some(trouble));
        let writer = worker.connect(v5("writer").keep_alive(0));
        for (id, qos) in [(1, QoS1), (2, QoS2)] {
            send(&mut worker, writer, id, "refused", qos);
            assert_eq!(codes(&worker.take(writer)), [code], "{trouble:?} {qos:?}");
        }
        let old = guest(&mut worker, "old");
        send(&mut worker, old, 1, "refused", QoS1);
        assert!(worker.is_closed(old));
        assert_eq!(worker.count(Count::RefusedDisk), 3);
        assert_eq!(worker.count(Count::RefusedQueueFull), 0);
        worker.paper.as_ref().unwrap().set_trouble(None);
        send(&mut worker, writer, 2, "taken", QoS2);
        worker.commit();
        assert_eq!(worker.payloads(reader), ["taken"]);
    }
}

#[test]
fn by_default_a_disk_that_takes_nothing_is_told_by_no_acknowledgement() {
    for trouble in [Trouble::Full, Trouble::Failed] {
        let mut worker = durable();
        let reader = stayer(&mut worker, "reader");
        subscribe(&mut worker, reader, "t", QoS1);
        worker.paper.as_ref().unwrap().set_trouble(Some(trouble));
        let writer = worker.connect(v5("writer").keep_alive(0));
        send(&mut worker, writer, 1, "taken", QoS1);
        assert_eq!(worker.take(writer), []);
        worker.paper.as_ref().unwrap().set_trouble(None);
        worker.commit();
        assert_eq!(codes(&worker.take(writer)), [0x00]);
    }
}
