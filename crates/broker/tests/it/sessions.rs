//! Sessions and their connections, which may be on different workers.

use std::{sync::Barrier, thread};

use whimbrel_engine::Count;
use whimbrel_testkit::{Disconnect, Packet, Property, QoS, Version, publish, v5, v311, will};

use super::{client::Client, running::start};

#[test]
fn v5_3_1_4_3_a_take_over_across_workers_tells_the_old_connection_and_keeps_the_session() {
    // Connections go to the worker that has the fewest: every other one here.
    let running = start();
    let mut watcher = running.connect(v5("watcher"));
    watcher.subscribe("wills", QoS::QoS0);
    let (mut old, ack) = running.connect_answered(v5("one").persistent().will(will("wills", "0")));
    assert!(!ack.session_present);
    old.subscribe("t", QoS::QoS1);
    for round in 1..20 {
        let text = round.to_string();
        let (mut new, ack) = running.connect_answered(v5("one").persistent().will(will("wills", &text)));
        assert!(ack.session_present, "round {round}");
        assert_eq!(old.farewell(), Some(0x8E), "round {round}");
        assert_eq!(watcher.message().payload, (round - 1).to_string().as_bytes());
        watcher.published(publish("t", text.as_bytes()).at(QoS::QoS1, round));
        assert_eq!(new.taken().payload, text.as_bytes());
        new.ping(); // What is acknowledged is so before the next connection comes.
        old = new;
    }
    assert_eq!(running.count(Count::Takeovers), 19);
}

#[test]
fn of_many_connections_that_want_one_session_one_stays() {
    const AT_ONCE: usize = 16;
    let running = start();
    for _ in 0..5 {
        let barrier = Barrier::new(AT_ONCE);
        let clients: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..AT_ONCE)
                .map(|_| {
                    scope.spawn(|| {
                        let mut client = running.open(Version::V5);
                        barrier.wait();
                        client.send(Packet::Connect(Box::new(v5("wanted").persistent())));
                        client
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut left = clients;
        while left.len() > 1 {
            left.retain_mut(is_still_there);
        }
        assert!(left.iter_mut().all(is_still_there) && !left.is_empty(), "nobody has the session");
        drop(left);
        running.wait_until("all have left", |engine| engine.connected() == 0);
    }
    assert_eq!(running.broker().engine().sessions(), 1);
}

fn is_still_there(client: &mut Client) -> bool {
    client.send(Packet::PingReq);
    loop {
        match client.next() {
            Some(Packet::PingResp) => return true,
            Some(_) => {}
            None => return false,
        }
    }
}

#[test]
fn what_came_while_a_client_was_away_waits_for_it_in_order() {
    for connect in [v311("away").resume(), v5("away").persistent()] {
        let running = start();
        let mut away = running.connect(connect.clone());
        away.subscribe("t/#", QoS::QoS2);
        drop(away);
        running.wait_until("it is away", |engine| engine.connected() == 0);
        let mut from = running.connect(v5("from"));
        for id in 1..=100 {
            let qos = if id % 2 == 0 { QoS::QoS1 } else { QoS::QoS2 };
            from.published(publish(&format!("t/{id}"), "x").at(qos, id));
        }
        let (mut back, ack) = running.connect_answered(connect);
        assert!(ack.session_present);
        for id in 1..=100 {
            assert_eq!(back.taken().topic, format!("t/{id}"));
        }
    }
}

#[test]
fn what_was_not_acknowledged_comes_again_with_dup_on_the_next_connection() {
    let running = start();
    let mut first = running.connect(v5("c").persistent());
    first.subscribe("t", QoS::QoS1);
    let mut from = running.connect(v5("from"));
    for id in 1..=3 {
        from.published(publish("t", id.to_string()).at(QoS::QoS1, id));
    }
    let ids: Vec<u16> = (0..3).map(|_| first.message().id).collect();
    drop(first);
    let (mut second, ack) = running.connect_answered(v5("c").persistent());
    assert!(ack.session_present);
    for (at, id) in ids.into_iter().enumerate() {
        let again = second.taken();
        assert_eq!((again.id, again.dup, again.payload), (id, true, (at + 1).to_string().into_bytes()));
    }
}

#[test]
fn a_session_ends_with_its_connection_or_when_disconnect_says_so() {
    let running = start();
    running.connect(v5("short")).send(Packet::Disconnect(Disconnect::new(0)));
    running.wait_until("the session is over", |engine| engine.sessions() == 0);
    let mut long = running.connect(v5("long").persistent());
    long.subscribe("t", QoS::QoS1);
    long.send(Packet::Disconnect(Disconnect::new(0).with(Property::SessionExpiry(0))));
    running.wait_until("the session is over", |engine| engine.sessions() == 0 && engine.filters() == 0);
}
