//! One thread writes a link, others come while it does: what it finds when it looks again. Each interleaving is made on
//! purpose: what happens elsewhere happens inside of the write.

use std::sync::{Arc, Mutex};

use whimbrel_engine::Limits;
use whimbrel_testkit::{Disconnect, Packet, QoS0, QoS1, publish, v5, v311};

use super::worker::{Who, Worker};

/// A subscriber of `t` and a publisher on one worker, and a second worker with a publisher of its own.
struct Scene {
    own: Worker,
    to: Who,
    from: Who,
    other: Arc<Mutex<Worker>>,
    other_from: Who,
}

fn scene(limits: Limits) -> Scene {
    let mut own = Worker::in_memory(limits);
    let to = own.connect(v5("to").persistent());
    own.subscribe(to, "t", QoS1);
    let from = own.connect(v311("from"));
    let mut other = Worker::of(&own.engine);
    let other_from = other.connect(v311("other"));
    Scene { own, to, from, other: Arc::new(Mutex::new(other)), other_from }
}

impl Scene {
    /// While the next write to the subscriber is under way, the other worker does this and comes to rest.
    fn meanwhile(&self, act: impl FnOnce(&mut Worker, Who) + Send + 'static) {
        let (other, from) = (self.other.clone(), self.other_from);
        self.own.pipe(self.to).meanwhile(move || {
            let mut other = other.lock().unwrap();
            act(&mut other, from);
            other.settle();
        });
    }

    /// Publishes and ends the turn without another look at anything.
    fn say_and_flush(&mut self, payload: &str) {
        self.own.put(self.from, Packet::Publish(publish("t", payload)));
        self.own.step(self.from);
        while self.own.turn.has_output() {
            let engine = self.own.engine.clone();
            engine.flush(&mut self.own.turn);
        }
    }

    fn texts(&mut self) -> Vec<String> {
        super::worker::messages(self.own.come(self.to)).iter().map(super::worker::text).collect()
    }
}

#[test]
fn the_writer_sends_what_was_appended_while_it_wrote() {
    let mut scene = scene(Limits::default());
    scene.meanwhile(|other, from| other.say(from, "t", "2"));
    scene.say_and_flush("1");
    assert_eq!(scene.texts(), ["1", "2"]);
}

#[test]
fn what_was_appended_while_the_wire_stopped_stays_behind_what_it_left() {
    for room in [0, 1, 5, 6] {
        let mut scene = scene(Limits::default());
        scene.own.pipe(scene.to).allow(room);
        scene.meanwhile(|other, from| {
            other.say(from, "t", "2");
            other.say(from, "t", &"3".repeat(5_000));
        });
        scene.say_and_flush("1");
        scene.own.settle();
        scene.say_and_flush("4");
        assert_eq!(scene.texts(), [""; 0]);
        scene.own.pipe(scene.to).open();
        scene.own.settle();
        assert_eq!(scene.texts(), ["1".into(), "2".into(), "3".repeat(5_000), "4".into()]);
        assert_eq!(scene.own.engine.waiting_bytes(), (0, 0));
    }
}

#[test]
fn what_went_into_the_queue_while_the_writer_wrote_is_sent_when_it_is_done() {
    // Beyond the hard limit nothing is appended, although the wire is not blocked.
    let mut scene = scene(Limits { link_soft_bytes: 100, link_hard_bytes: 300, ..Limits::default() });
    scene.meanwhile(|other, from| {
        for number in 0..20_u16 {
            other.publish(from, publish("t", format!("{number:>100}")).at(QoS1, 1 + number));
        }
    });
    scene.say_and_flush("1");
    let got: Vec<String> = scene.own.consume(scene.to).iter().map(super::worker::text).collect();
    let numbers = got[1..].iter().map(|text| text.trim().parse::<u16>().unwrap());
    assert!(numbers.eq(0..20), "{got:?}");
    assert_eq!(scene.own.engine.waiting_bytes(), (0, 0));
}

#[test]
fn a_takeover_while_the_socket_breaks_under_a_write_comes_to_its_end() {
    let mut scene = scene(Limits::default());
    let pipe = scene.own.pipe(scene.to).clone();
    scene.meanwhile(move |other, from| {
        other.say(from, "t", "2");
        other.start(v5("to").persistent());
        other.round(); // The old connection is told, by a DISCONNECT behind what is being written.
        other.round();
        pipe.close();
    });
    scene.say_and_flush("1");
    scene.own.settle();
    assert!(scene.own.is_over(scene.to), "its owner lets go");
    let mut other = scene.other.lock().unwrap();
    other.settle();
    let last = other.clients() - 1;
    assert_eq!(other.next_connack(last).code, 0);
    assert_eq!(other.engine.waiting_bytes(), (0, 0));
}

#[test]
fn a_writer_that_returns_to_another_connection_leaves_it_alone() {
    let mut scene = scene(Limits::default());
    let own = Arc::new(Mutex::new(Worker::of(&scene.own.engine)));
    let to = own.lock().unwrap().connect(v5("moving").persistent());
    own.lock().unwrap().subscribe(to, "t", QoS0);
    let (pipe, owner) = (own.lock().unwrap().pipe(to).clone(), own.clone());
    pipe.meanwhile(move || {
        let mut owner = owner.lock().unwrap();
        owner.cut(to);
        let again = owner.connect(v5("moving").persistent());
        owner.pipe(again).block();
        let from = owner.connect(v311("third"));
        owner.say(from, "t", "new");
    });
    scene.say_and_flush("old");
    let mut owner = own.lock().unwrap();
    let again = to + 1;
    assert_ne!(owner.engine.waiting_bytes().1, 0, "the new connection is as blocked as it was");
    owner.pipe(again).open();
    assert_eq!(owner.payloads(again), ["new"], "what was written to the old one is not repeated at QoS 0");
    assert_eq!(owner.engine.waiting_bytes(), (0, 0));
}

#[test]
fn v5_3_14_4_1_a_disconnect_behind_a_write_under_way_is_the_last_packet() {
    let mut scene = scene(Limits::default());
    scene.meanwhile(|other, from| {
        other.start(v5("to"));
        other.round();
        other.round();
        other.say(from, "t", "too late");
    });
    scene.say_and_flush("1");
    scene.own.settle();
    let packets = scene.own.come(scene.to);
    assert!(matches!(&packets[0], Packet::Publish(_)));
    assert_eq!(packets[1..], [Packet::Disconnect(Disconnect::new(0x8e))]);
    assert!(scene.own.is_over(scene.to));
}
