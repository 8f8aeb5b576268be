//! What the journal may forget, what happens while the disk takes nothing, and what the simulation of its failures has found.

use whimbrel_engine::{
    Count, Limits,
    store::{Reclaimed, Trouble},
};
use whimbrel_testkit::{Ack, Packet, QoS0, QoS1, QoS2, publish, v5, v311, will};

use super::{
    paper::Paper,
    store::{durable, guest, returns, send, stayer, subscribe},
    worker::{Worker, text},
};

#[test]
fn nothing_is_needed_of_what_is_delivered_replaced_or_over() {
    let mut worker = durable();
    worker.commits = true;
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "t", QoS2);
    subscribe(&mut worker, reader, "$share/g/t", QoS1);
    let writer = guest(&mut worker, "writer");
    let before = worker.paper.as_ref().unwrap().live();
    for round in 0..20 {
        send(&mut worker, writer, 1, "x", QoS1);
        worker.publish(writer, publish("t", "y").at(QoS2, 2).retain());
        worker.send(writer, Packet::PubRel(Ack::new(2, 0)));
        worker.take(writer);
        if round % 3 > 0 {
            worker.consume(reader);
        }
    }
    worker.consume(reader);
    worker.publish(writer, publish("t", "").at(QoS1, 3).retain());
    worker.consume(reader);
    assert_eq!(worker.paper.as_ref().unwrap().live(), before);
}

#[test]
fn a_client_to_which_too_much_is_owed_is_not_listened_to_until_the_disk_has_caught_up() {
    let mut limits = Limits::default();
    limits.connection.receive_maximum = 3;
    let mut worker = Worker::durable(limits, &Paper::default());
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "t", QoS1);
    let writer = guest(&mut worker, "writer");
    for id in 1..=3 {
        send(&mut worker, writer, id, "x", QoS1);
    }
    send(&mut worker, writer, 4, "late", QoS1);
    assert!(worker.unread(writer) > 0, "the fourth has been read");
    worker.commit();
    assert_eq!(worker.unread(writer), 0);
    worker.commit();
    assert_eq!(worker.take(writer).len(), 4);
}

#[test]
fn while_too_much_waits_for_the_disk_publishers_of_what_is_kept_wait_and_others_go_on() {
    let mut worker = durable();
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "t", QoS1);
    let paper = worker.paper.clone().unwrap();
    paper.set_over_budget(true);
    let writer = guest(&mut worker, "writer");
    send(&mut worker, writer, 1, "kept", QoS1);
    assert_eq!(worker.payloads(reader), [] as [String; 0]);
    assert_eq!(worker.count(Count::WaitedForDisk), 1);
    let other = guest(&mut worker, "other");
    worker.say(other, "t", "qos 0");
    assert_eq!(worker.say_acked(other, "elsewhere", "nobody is owed"), 0);
    assert_eq!(worker.payloads(reader), ["qos 0"]);
    // A publisher that goes takes what nobody has along.
    let gone = guest(&mut worker, "gone");
    send(&mut worker, gone, 1, "never", QoS1);
    worker.cut(gone);
    assert!(worker.is_over(gone));
    paper.set_over_budget(false);
    worker.commit();
    assert_eq!(worker.payloads(reader), ["kept"]);
}

#[test]
fn where_the_policy_says_so_a_full_disk_is_told_to_publishers() {
    let limits = Limits { disk_full: whimbrel_engine::DiskFull::Refuse, ..Limits::default() };
    let mut worker = Worker::durable(limits, &Paper::default());
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "t", QoS1);
    worker.paper.as_ref().unwrap().set_trouble(Some(Trouble::Full));
    let writer = worker.connect(v5("writer"));
    assert_eq!(worker.say_acked(writer, "t", "refused"), 0x97);
    assert_eq!(worker.say_acked(writer, "elsewhere", "nobody is owed"), 0x10);
    let old = guest(&mut worker, "old");
    send(&mut worker, old, 1, "refused", QoS1);
    assert!(worker.is_closed(old));
    assert_eq!(worker.payloads(reader), [] as [String; 0]);
    worker.paper.as_ref().unwrap().set_trouble(None);
    send(&mut worker, writer, 1, "taken", QoS1);
    worker.commit();
    assert_eq!(worker.payloads(reader), ["taken"]);
}

#[test]
fn a_message_dropped_for_a_full_queue_does_not_rise_again_behind_a_later_one() {
    let limits = Limits { queue_messages_max: 2, ..Limits::default() };
    let mut worker = Worker::durable(limits.clone(), &Paper::default());
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "t", QoS1);
    worker.cut(reader);
    let writer = guest(&mut worker, "writer");
    for id in 1..=2 {
        send(&mut worker, writer, id, &format!("m{id}"), QoS1);
    }
    worker.commit();
    send(&mut worker, writer, 3, "m3", QoS1);
    // Its client is back, and the drop is not on the disk yet: nothing of the queue goes.
    let who = worker.start(v311("reader").resume().keep_alive(0));
    worker.settle();
    assert_eq!(worker.come(who), []);
    worker.commit();
    worker.next_connack(who);
    assert_eq!(worker.payloads(who), ["m2", "m3"]);
    let mut worker = worker.crash(limits, 0);
    assert_eq!(returns(&mut worker, "reader").1.iter().map(text).collect::<Vec<_>>(), ["m2", "m3"]);
}

#[test]
fn time_goes_on_while_the_server_is_down_but_never_back() {
    let mut worker = durable();
    let short = worker.start(v5("short").expiry(10));
    let long = worker.start(v5("long").expiry(10_000));
    worker.settle();
    worker.commit();
    assert!(worker.next(short).is_some() && worker.next(long).is_some());
    for who in [short, long] {
        worker.cut(who);
    }
    worker.commit();
    let paper = worker.paper.clone().unwrap();
    let at = |wall_secs| {
        let now = whimbrel_engine::Now { mono: whimbrel_engine::proto::Millis(0), wall_secs };
        let mut worker = Worker::of(&paper.crash(0).start(Limits::default(), now).0);
        worker.turn.now = now;
        worker.advance(1_000);
        worker.engine.sessions()
    };
    assert_eq!(at(1_700_000_005), 2);
    assert_eq!(at(1_700_000_011), 1);
    assert_eq!(at(1_700_020_000), 0);
    // The clock stands at 1970: no time has passed.
    assert_eq!(at(3), 2);
}

/// Records everything that lies before the end anew, and loses what is older.
fn clean(worker: &mut Worker) -> Paper {
    let paper = worker.paper.clone().unwrap();
    let below = paper.end();
    let mut reclaim = worker.engine.begin_reclaim(below);
    while worker.engine.reclaim(&mut worker.turn, &mut reclaim) == Reclaimed::More {}
    assert_eq!(
        paper.live_before(below),
        0,
        "what is needed of the old part: {:?}",
        paper.needed_before(below)
    );
    paper.without_before(below)
}

#[test]
fn what_lives_is_recorded_anew_and_the_rest_may_go() {
    let mut worker = durable();
    worker.commits = true;
    let writer = stayer(&mut worker, "writer");
    let reader = worker.connect(v5("reader").expiry(1_000).receive_maximum(3));
    worker.subscribe(reader, "t", QoS2);
    worker.subscribe(reader, "$share/g/t", QoS1);
    worker.subscribe(reader, "gone", QoS1);
    worker.unsubscribe(reader, "gone");
    let offline = stayer(&mut worker, "offline");
    worker.subscribe(offline, "#", QoS1);
    worker.cut(offline);
    let fleeting = guest(&mut worker, "fleeting");
    worker.subscribe(fleeting, "$share/h/u", QoS1);
    let sleeper = stayer(&mut worker, "sleeper");
    worker.subscribe(sleeper, "$share/h/u", QoS1);
    worker.cut(sleeper);
    for id in 1..=9 {
        send(&mut worker, writer, id, &format!("m{id}"), if id % 2 == 0 { QoS2 } else { QoS1 });
        worker.publish(writer, publish("u", format!("u{id}")).at(QoS1, 100 + id));
        worker.publish(writer, publish(&format!("$r/{id}"), "kept").at(QoS1, 200 + id).retain());
    }
    let of_reader = worker.messages(reader);
    assert_eq!(of_reader.len(), 3);
    worker.send(reader, Packet::PubRec(Ack::new(of_reader.iter().find(|one| one.qos == 2).unwrap().id, 0)));
    worker.take(reader);
    let plain = worker.paper.clone().unwrap().crash(usize::MAX);
    let cleaned = clean(&mut worker);
    let after = |paper: &Paper| {
        let mut worker = Worker::durable(Limits::default(), paper);
        worker.commits = true;
        let mut told = vec![format!("{:?}", worker.engine.retained())];
        for id in ["reader", "offline", "sleeper"] {
            let who = worker.connect(v311(id).resume().keep_alive(0));
            let packets = worker.take(who);
            told.push(format!("{id}: {packets:?}"));
            worker.acknowledge(who, &packets);
            told.push(format!("{:?}", worker.consume(who)));
            worker.cut(who);
        }
        let writer = worker.connect(v311("writer").resume().keep_alive(0));
        for id in [2, 4, 50] {
            worker.send(writer, Packet::PubRel(Ack::new(id, 0)));
        }
        worker.publish(writer, publish("t", "again").at(QoS2, 6).dup());
        told.push(format!("{:?}", worker.take(writer)));
        told
    };
    let (expected, got) = (after(&plain), after(&cleaned.crash(usize::MAX)));
    for (expected, got) in expected.iter().zip(&got) {
        assert_eq!(got, expected);
    }
    // And once more, from what was cleaned.
    let mut worker = Worker::durable(Limits::default(), &cleaned.crash(usize::MAX));
    worker.commits = true;
    assert_eq!(after(&clean(&mut worker)), expected);
}

#[test]
fn what_a_crash_left_of_a_session_that_ended_with_it_is_no_session_that_is_present() {
    let mut worker = durable();
    let who = worker.start(v5("back").keep_alive(0).will(will("w", "gone")));
    worker.settle();
    worker.commit();
    worker.next_connack(who);
    let mut worker = worker.crash(Limits::default(), 0);
    worker.commits = true;
    let who = worker.start(v5("back").resume().keep_alive(0));
    worker.settle();
    assert!(!worker.next_connack(who).session_present);
}

#[test]
fn a_session_is_looked_at_once_however_often_the_journal_reports_less_than_it_waits_for() {
    let mut worker = durable();
    let reader = stayer(&mut worker, "reader");
    subscribe(&mut worker, reader, "t", QoS2);
    for id in 1..=3 {
        send(&mut worker, reader, id, "two", QoS2);
    }
    let paper = worker.paper.clone().unwrap();
    for _ in 0..20 {
        paper.write();
        worker.engine.clone().release(&mut worker.turn);
        worker.settle();
    }
    assert!(worker.turn.parked() <= 4, "{} looks", worker.turn.parked());
    assert_eq!(worker.come(reader), []);
    worker.commit();
    assert!(matches!(worker.take(reader)[..], [Packet::PubRec(_), ..]));
}

#[test]
fn what_a_member_without_a_session_has_completed_at_qos_2_comes_to_nobody_after_the_crash() {
    let mut worker = durable();
    let stayer = stayer(&mut worker, "stayer");
    subscribe(&mut worker, stayer, "$share/g/t", QoS2);
    worker.cut(stayer);
    worker.commit();
    let fleeting = guest(&mut worker, "fleeting");
    worker.subscribe(fleeting, "$share/g/t", QoS2);
    let writer = guest(&mut worker, "writer");
    send(&mut worker, writer, 1, "taken", QoS2);
    worker.commits = true;
    worker.settle();
    let come = worker.consume(fleeting);
    assert_eq!(come.iter().map(text).collect::<Vec<_>>(), ["taken"]);
    worker.commit();
    let mut worker = worker.crash(Limits::default(), 0);
    assert_eq!(returns(&mut worker, "stayer").1, []);
}

#[test]
fn what_nobody_waits_for_is_written_without_waiting_for_the_next_who_does() {
    let mut worker = durable();
    let writer = guest(&mut worker, "writer");
    let before = worker.paper.as_ref().unwrap().nudges();
    worker.publish(writer, publish("t", "kept").retain());
    assert!(worker.paper.as_ref().unwrap().nudges() > before);
}

#[test]
fn what_nobody_needed_for_a_while_is_recorded_anew_for_who_comes_to_need_it() {
    let mut worker = durable();
    worker.commits = true;
    let reader = stayer(&mut worker, "reader");
    worker.subscribe(reader, "t", QoS1);
    // A group without anybody who outlives a crash: nothing is recorded for it.
    let fleeting = guest(&mut worker, "fleeting");
    worker.subscribe(fleeting, "$share/g/t", QoS1);
    let writer = guest(&mut worker, "writer");
    send(&mut worker, writer, 1, "handed on", QoS1);
    worker.take(writer);
    assert_eq!(worker.messages(fleeting).len(), 1);
    worker.consume(reader); // Nobody needs the record any more.
    worker.subscribe(reader, "$share/g/t", QoS1);
    worker.unsubscribe(reader, "t");
    worker.pipe(reader).block();
    worker.cut(fleeting); // Its message goes to the reader, who outlives the crash.
    let mut worker = worker.crash(Limits::default(), usize::MAX);
    let all = returns(&mut worker, "reader").1;
    assert_eq!(all.iter().map(text).collect::<Vec<_>>(), ["handed on"]);
}

#[test]
fn what_one_is_done_with_between_two_steps_of_cleaning_is_there_for_the_other_after_a_crash() {
    let mut worker = durable();
    worker.commits = true;
    for id in ["a", "b"] {
        let reader = stayer(&mut worker, id);
        worker.subscribe(reader, "t", QoS1);
        worker.cut(reader);
    }
    let writer = guest(&mut worker, "writer");
    send(&mut worker, writer, 1, "for both", QoS1);
    let _ = clean(&mut worker);
    let paper = worker.paper.clone().unwrap();
    let below = paper.end();
    let mut reclaim = worker.engine.begin_reclaim(below);
    let is_moved = |told: &str| told.contains("Enqueue");
    let first = loop {
        let from = paper.records();
        assert_eq!(worker.engine.reclaim(&mut worker.turn, &mut reclaim), Reclaimed::More);
        let told = paper.told(from);
        if told.iter().any(|told| is_moved(told)) {
            break if told.iter().any(|told| told.contains("client_id: \"a\"")) { "a" } else { "b" };
        }
    };
    assert_eq!(returns(&mut worker, first).1.len(), 1);
    while worker.engine.reclaim(&mut worker.turn, &mut reclaim) == Reclaimed::More {}
    assert_eq!(paper.live_before(below), 0);
    let mut worker = Worker::durable(Limits::default(), &paper.without_before(below));
    worker.commits = true;
    let other = if first == "a" { "b" } else { "a" };
    let all = returns(&mut worker, other).1;
    assert_eq!(all.iter().map(text).collect::<Vec<_>>(), ["for both"]);
}

/// A member took a message of its group while its own queue waited for the disk, and left before it was sent.
fn a_message_waits_behind_one_that_waits_for_the_disk(leaves: impl Fn(&mut Worker, super::worker::Who)) {
    let mut worker = durable();
    let leaver = stayer(&mut worker, "leaver");
    subscribe(&mut worker, leaver, "own", QoS2);
    subscribe(&mut worker, leaver, "$share/g/t", QoS1);
    let other = stayer(&mut worker, "other");
    subscribe(&mut worker, other, "$share/g/t", QoS1);
    worker.cut(other);
    let writer = guest(&mut worker, "writer");
    worker.publish(writer, publish("own", "waits").at(QoS2, 1));
    send(&mut worker, writer, 2, "the group's", QoS1);
    assert_eq!(worker.payloads(leaver), [] as [String; 0]);
    leaves(&mut worker, leaver);
    worker.commit();
    let got = returns(&mut worker, "other").1;
    assert_eq!(got.iter().map(text).collect::<Vec<_>>(), ["the group's"]);
}

#[test]
fn a_groups_message_that_waits_in_the_queue_of_an_absent_member_goes_to_another() {
    a_message_waits_behind_one_that_waits_for_the_disk(Worker::cut);
}

#[test]
fn v5_4_8_2_a_groups_message_that_waits_in_the_queue_of_a_session_that_ends_goes_to_another() {
    a_message_waits_behind_one_that_waits_for_the_disk(|worker, leaver| {
        worker.cut(leaver);
        worker.commit();
        let again = worker.start(v311("leaver").keep_alive(0));
        worker.commit();
        worker.take(again);
    });
}

#[test]
fn what_a_member_takes_at_qos_0_is_owed_to_its_group_no_more() {
    let mut worker = durable();
    worker.commits = true;
    for (id, qos) in [("reader", QoS0), ("other", QoS1)] {
        let member = stayer(&mut worker, id);
        worker.subscribe(member, "$share/g/t", qos);
        worker.cut(member);
    }
    let before = worker.paper.as_ref().unwrap().live();
    let writer = guest(&mut worker, "writer");
    send(&mut worker, writer, 1, "once", QoS1);
    assert_eq!(returns(&mut worker, "reader").1.iter().map(text).collect::<Vec<_>>(), ["once"]);
    assert_eq!(worker.paper.as_ref().unwrap().live(), before);
    let mut worker = worker.crash(Limits::default(), usize::MAX);
    assert_eq!(returns(&mut worker, "other").1, []);
}
