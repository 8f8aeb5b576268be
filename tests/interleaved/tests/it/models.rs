//! The models, and how they are run.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use shuttle::{rand::Rng, thread};
use whimbrel_engine::{
    Engine, Limits,
    planted::{BUGS, wake},
};
use whimbrel_locks::Moment;
use whimbrel_testkit::{Packet, QoS1, Subscribe, publish, v5};

use super::worker::{Who, Worker, messages, text};

const INTERLEAVINGS: usize = 400;
/// A bug that has been planted is looked for a little longer.
const LOOKS: usize = 4_000;

/// Runs a model in so many interleavings.
fn explore(interleavings: usize, model: fn()) {
    // Not at every chance, or no thread ever gets far while another one stands still.
    whimbrel_locks::tell(Some(|moment| {
        if moment == Moment::Waiting || shuttle::rand::thread_rng().gen_ratio(1, 8) {
            thread::yield_now();
        }
    }));
    shuttle::check_random(model, interleavings);
    whimbrel_locks::tell(None);
}

/// The model holds, and does not while these bugs are awake.
fn holds_but_for(bugs: &[&str], model: fn()) {
    explore(INTERLEAVINGS, model);
    let number = |bug: &&str| BUGS.iter().position(|known| known.name == *bug).expect("a bug of the list");
    let numbers: Vec<usize> = bugs.iter().map(number).collect();
    assert!(numbers.iter().all(|number| BUGS[*number].homeless.is_none()), "{bugs:?} have no place any more");
    wake(&numbers);
    let found = std::panic::catch_unwind(|| explore(LOOKS, model)).is_err();
    wake(&[]);
    whimbrel_locks::tell(None);
    assert!(found, "{bugs:?}: the model does not see it");
}

fn engine() -> Arc<Engine> {
    Arc::new(Engine::new(Limits::default(), 11))
}

fn payloads(packets: Vec<Packet>) -> Vec<String> {
    messages(packets).iter().map(text).collect()
}

fn say(worker: &mut Worker, who: Who, payload: &str, id: u16) {
    worker.put(who, Packet::Publish(publish("a/b", payload).at(QoS1, id)));
    worker.settle();
}

#[test]
fn what_is_published_behind_suback_finds_the_subscription() {
    holds_but_for(&["the generation is read behind the walk"], || {
        let engine = engine();
        let (mut here, mut there) = (Worker::of(&engine), Worker::of(&engine));
        let (reader, writer) = (here.connect(v5("reader")), there.connect(v5("writer")));
        let is_in = Arc::new(AtomicBool::new(false));
        let told = is_in.clone();
        let reading = thread::spawn(move || {
            here.put(reader, Packet::Subscribe(Subscribe::one(1, "a/b", QoS1)));
            here.settle();
            told.store(true, SeqCst);
            here
        });
        let mut owed = Vec::new();
        for id in 1..=3 {
            if is_in.load(SeqCst) {
                owed.push(id.to_string());
            }
            say(&mut there, writer, &id.to_string(), id);
        }
        let mut here = reading.join().expect("the reader is done");
        here.settle();
        let came = payloads(here.come(reader));
        assert!(owed.iter().all(|payload| came.contains(payload)), "{owed:?} was owed and {came:?} came");
    });
}

#[test]
fn what_is_appended_while_another_thread_writes_leaves_with_it() {
    holds_but_for(&["the writer does not look again"], || {
        let engine = engine();
        let (mut here, mut there) = (Worker::of(&engine), Worker::of(&engine));
        let reader = here.connect(v5("reader"));
        here.subscribe(reader, "a/b", QoS1);
        let (one, other) = (here.connect(v5("one")), there.connect(v5("other")));
        let writing = thread::spawn(move || {
            say(&mut there, other, "other", 1);
        });
        say(&mut here, one, "one", 1);
        writing.join().expect("the other is done");
        let mut came = payloads(here.come(reader));
        came.sort_unstable();
        assert_eq!(came, ["one", "other"]);
    });
}

#[test]
fn what_is_parked_in_a_group_goes_to_a_member_that_has_got_room_meanwhile() {
    holds_but_for(&["what was parked in a group is not looked at again"], || {
        let engine = engine();
        let (mut here, mut there) = (Worker::of(&engine), Worker::of(&engine));
        let member = here.connect(v5("member").receive_maximum(1));
        here.subscribe(member, "$share/g/a/b", QoS1);
        let writer = there.connect(v5("writer"));
        say(&mut there, writer, "1", 1);
        here.settle();
        let first = here.come(member);
        let writing = thread::spawn(move || {
            say(&mut there, writer, "2", 2);
        });
        here.acknowledge(member, &first);
        here.settle();
        writing.join().expect("the writer is done");
        // Its worker is woken where there is something for it.
        here.settle();
        assert_eq!(payloads(here.come(member)), ["2"]);
    });
}

#[test]
fn a_connection_hears_nothing_of_the_one_that_it_took_over() {
    let guards = [
        "a take-over does not wait for the connection before",
        "a connection goes on with what the next one has",
    ];
    holds_but_for(&guards, || {
        let engine = engine();
        let (mut here, mut there) = (Worker::of(&engine), Worker::of(&engine));
        let old = here.connect(v5("client").expiry(60));
        let first = here.connect(v5("reader"));
        here.subscribe(first, "a/b", QoS1);
        let taking = thread::spawn(move || {
            let new = there.start(v5("client").resume().expiry(60));
            there.settle();
            (there, new)
        });
        say(&mut here, old, "1", 7);
        let (mut there, new) = taking.join().expect("the new connection is served");
        here.settle();
        there.settle();
        let came = there.come(new);
        assert!(matches!(came[..], [Packet::ConnAck(_)]), "{came:?}");
        // It sends again what was not acknowledged to it, and is answered.
        say(&mut there, new, "1", 7);
        let came = there.come(new);
        assert!(matches!(came[..], [Packet::PubAck(_)]), "{came:?}");
        here.settle();
        assert!(payloads(here.come(first)).iter().all(|payload| payload == "1"));
    });
}
