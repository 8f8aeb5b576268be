//! Notes of the program around the engine: they outlive a crash and cleaning, and cost nothing once they are gone.

use whimbrel_engine::{Engine, Limits, store::Reclaimed};

use super::{paper::Paper, store::durable, worker::Worker};

fn names(worker: &Worker, prefix: &str) -> Vec<String> {
    let told = |(name, value): &(Box<str>, std::sync::Arc<[u8]>)| {
        format!("{name}={}", String::from_utf8_lossy(value))
    };
    worker.engine.notes(prefix).iter().map(told).collect()
}

#[test]
fn a_note_that_is_kept_is_there_after_a_crash_and_one_that_is_forgotten_is_not() {
    let mut worker = durable();
    let paper = worker.paper.clone().unwrap();
    let live = paper.live();
    let Worker { engine, turn, .. } = &mut worker;
    engine.keep_note(turn, "ban/b", b"1").unwrap();
    engine.keep_note(turn, "ban/a", b"1").unwrap();
    engine.keep_note(turn, "ban/a", b"2").unwrap();
    engine.keep_note(turn, "other", b"").unwrap();
    let end = engine.keep_note(turn, "ban/c", b"3").unwrap();
    assert!(!engine.has_note(end));
    worker.commit();
    assert!(worker.engine.has_note(end));
    let mut worker = worker.crash(Limits::default(), 0);
    assert_eq!(names(&worker, "ban/"), ["ban/a=2", "ban/b=1", "ban/c=3"]);
    assert_eq!(names(&worker, "").len(), 4);
    let Worker { engine, turn, .. } = &mut worker;
    for name in ["ban/a", "ban/b", "other", "ban/c"] {
        assert!(engine.forget_note(turn, name).is_some());
    }
    assert_eq!(engine.forget_note(turn, "ban/a"), None);
    worker.commit();
    let worker = worker.crash(Limits::default(), 0);
    assert_eq!(names(&worker, ""), [] as [String; 0]);
    assert_eq!(worker.paper.as_ref().unwrap().live(), live);
}

#[test]
fn notes_are_recorded_anew_where_the_oldest_part_goes() {
    let mut worker = durable();
    let Worker { engine, turn, .. } = &mut worker;
    for number in 0..600 {
        engine.keep_note(turn, &format!("ban/{number:03}"), b"x").unwrap();
    }
    worker.commit();
    let paper = worker.paper.clone().unwrap();
    let below = paper.end();
    let mut reclaim = worker.engine.begin_reclaim(below);
    while worker.engine.reclaim(&mut worker.turn, &mut reclaim) == Reclaimed::More {}
    assert_eq!(paper.live_before(below), 0);
    worker.commit();
    let left: Paper = paper.without_before(below);
    let worker = Worker::durable(Limits::default(), &left);
    assert_eq!(names(&worker, "ban/").len(), 600);
}

#[test]
fn without_a_journal_a_note_lasts_as_long_as_the_engine() {
    let engine = Engine::new(Limits::default(), 7);
    let mut turn = engine.turn();
    let end = engine.keep_note(&mut turn, "a", b"1").unwrap();
    assert!(engine.has_note(end) && !engine.keeps());
    assert_eq!(engine.notes("a").len(), 1);
}
