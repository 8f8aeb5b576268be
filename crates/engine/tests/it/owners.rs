//! A session is its user's, also after a crash of the server.

use whimbrel_engine::{ClientIdOf, Count, Limits, store::Reclaimed};
use whimbrel_testkit::{Connect, QoS1, v5};

use super::{
    paper::Paper,
    store::durable,
    worker::{Worker, text},
};

fn of(user: &str) -> Connect {
    v5("lamp").user_name(user).expiry(1_000)
}

/// The code that a user hears who comes with the client identifier; it leaves at once.
fn code(worker: &mut Worker, connect: Connect) -> u8 {
    let who = worker.start(connect);
    worker.settle();
    let answer = worker.next_connack(who);
    if answer.code == 0 {
        worker.cut(who);
    }
    answer.code
}

#[test]
fn nobody_else_gets_the_session_of_a_user_not_even_after_a_crash() {
    let mut worker = durable();
    worker.commits = true;
    let anna = worker.connect(of("anna"));
    worker.subscribe(anna, "t", QoS1);
    assert_eq!(code(&mut worker, of("ben")), 0x87, "while she is there");
    worker.cut(anna);
    assert_eq!(code(&mut worker, of("ben")), 0x87);
    assert_eq!(code(&mut worker, v5("lamp")), 0x87, "nor does who has proved nothing");
    assert_eq!(worker.count(Count::DeniedClientId), 3);
    let mut worker = worker.crash(Limits::default(), 0);
    worker.commits = true;
    let writer = worker.connect(v5("writer"));
    worker.say_acked(writer, "t", "for anna");
    assert_eq!(code(&mut worker, of("ben")), 0x87, "nor can anybody end it");
    let (anna, answer) = worker.connect_answered(of("anna").resume());
    assert!(answer.session_present);
    assert_eq!(worker.messages(anna).iter().map(text).collect::<Vec<_>>(), ["for anna"]);
}

#[test]
fn cleaning_keeps_whose_a_session_is() {
    let mut worker = durable();
    worker.commits = true;
    let anna = worker.connect(of("anna"));
    worker.cut(anna);
    let paper = worker.paper.clone().unwrap();
    let below = paper.end();
    let mut reclaim = worker.engine.begin_reclaim(below);
    while worker.engine.reclaim(&mut worker.turn, &mut reclaim) == Reclaimed::More {}
    assert_eq!(paper.live_before(below), 0);
    worker.commit();
    let left: Paper = paper.without_before(below);
    let mut worker = Worker::durable(Limits::default(), &left);
    worker.commits = true;
    assert_eq!(code(&mut worker, of("ben")), 0x87);
    assert_eq!(code(&mut worker, of("anna")), 0);
}

#[test]
fn a_session_without_a_user_becomes_that_of_the_first_who_comes_and_anyone_may_where_that_is_said() {
    let mut worker = Worker::new(Limits::default());
    assert_eq!(code(&mut worker, v5("lamp").expiry(1_000)), 0);
    assert_eq!(code(&mut worker, of("anna")), 0);
    assert_eq!(code(&mut worker, of("ben")), 0x87);
    let mut worker = Worker::new(Limits { session_of: ClientIdOf::Anyone, ..Limits::default() });
    assert_eq!((code(&mut worker, of("anna")), code(&mut worker, of("ben"))), (0, 0));
}
