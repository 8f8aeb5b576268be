//! Sessions with threads: many connections of one client at once, and sessions that end while others publish to them.

use std::{collections::BTreeSet, sync::Arc};

use whimbrel_engine::{Engine, Limits, Standing};
use whimbrel_testkit::{Connect, Packet, QoS1, Subscribe, publish, v5, v311, will};

use super::{
    dice::Dice,
    threads::{run, settle},
    worker::{Who, Worker, messages, text},
};

const WORKERS: usize = 4;

#[derive(Default)]
struct Log {
    name: usize,
    publisher: Option<Who>,
    published: usize,
    acknowledged: usize,
    /// Connections of the one client.
    connections: Vec<Who>,
    /// Payloads that any of them has got, and of those that were sent for the first time, how often.
    got: BTreeSet<String>,
}

fn crew(engine: &Arc<Engine>, name: usize) -> (Worker, Log) {
    let mut worker = Worker::of(engine);
    let publisher = Some(worker.connect(v311(&format!("p{name}")).keep_alive(0)));
    (worker, Log { name, publisher, ..Log::default() })
}

/// The next message at QoS 1, its number in the payload.
fn say(worker: &mut Worker, log: &mut Log, topic: &str) {
    let Some(publisher) = log.publisher else { return };
    log.acknowledged += worker.come(publisher).len();
    if log.published - log.acknowledged > 900 {
        return;
    }
    log.published += 1;
    let id = u16::try_from(log.published).unwrap();
    let message = publish(topic, format!("{}:{id}", log.name)).at(QoS1, id);
    worker.put(publisher, Packet::Publish(message));
    worker.step(publisher);
}

fn hear(worker: &mut Worker, log: &mut Log) -> bool {
    let mut busy = false;
    for at in 0..log.connections.len() {
        let who = log.connections[at];
        let packets = worker.come(who);
        busy |= !packets.is_empty();
        log.got.extend(messages(packets.clone()).iter().map(text));
        worker.acknowledge(who, &packets);
    }
    busy
}

fn the_one() -> Connect {
    v5("one").persistent().keep_alive(0).receive_maximum(5)
}

fn storm(worker: &mut Worker, log: &mut Log, dice: &mut Dice) {
    match dice.below(10) {
        0 => {
            let who = worker.start(the_one());
            log.connections.push(who);
            worker.step(who);
        }
        1 if !log.connections.is_empty() => {
            let at = dice.below(log.connections.len());
            worker.put_cut(log.connections[at]);
        }
        2..5 => say(worker, log, "t"),
        5 | 6 => {
            hear(worker, log);
        }
        _ => {
            worker.round();
        }
    }
}

fn drain(mut crews: Vec<(Worker, Log)>) -> Vec<(Worker, Log)> {
    loop {
        crews = settle(crews);
        let mut busy = false;
        for (worker, log) in &mut crews {
            busy |= hear(worker, log);
        }
        if !busy {
            return crews;
        }
    }
}

#[test]
fn many_takeovers_of_one_client_at_once_leave_one_connection_and_lose_nothing() {
    for seed in 1..=10 {
        let limits = Limits { queue_messages_max: 1 << 20, ..Limits::default() };
        let engine = Arc::new(Engine::new(limits, seed));
        let mut crews: Vec<(Worker, Log)> = (0..WORKERS).map(|name| crew(&engine, name)).collect();
        let (worker, log) = &mut crews[0];
        let first = worker.connect(the_one());
        worker.subscribe(first, "t", QoS1);
        log.connections.push(first);
        let mut crews = drain(run(crews, seed, 400, storm));

        let open = |worker: &Worker, who: Who| worker.standing(who) == Some(Standing::Reading);
        let held: usize = crews
            .iter()
            .map(|(worker, log)| log.connections.iter().filter(|who| open(worker, **who)).count())
            .sum();
        assert!(held <= 1, "{held} connections of one client");
        assert_eq!(engine.connected(), WORKERS + held);
        assert_eq!(engine.sessions(), WORKERS + 1);
        for (worker, log) in &crews {
            for who in &log.connections {
                assert!(worker.is_over(*who) || open(worker, *who), "nobody waits for ever");
            }
        }
        // Whoever comes last gets what is left.
        let (worker, log) = &mut crews[0];
        let last = worker.start(the_one());
        log.connections.push(last);
        let crews = drain(crews);
        let got: BTreeSet<&String> = crews.iter().flat_map(|(_, log)| &log.got).collect();
        let published: usize = crews.iter().map(|(_, log)| log.published).sum();
        assert_eq!(got.len(), published, "every message has come at least once (seed {seed})");
        assert_eq!(engine.waiting_bytes(), (0, 0));
    }
}

/// Clients that subscribe, leave a will, and go, in every way there is.
fn come_and_go(worker: &mut Worker, log: &mut Log, dice: &mut Dice) {
    match dice.below(8) {
        0 => {
            let id = format!("s{}", dice.below(6)); // Also ids that clients of other workers have.
            let mut connect = if dice.one_in(2) { v5(&id).persistent() } else { v5(&id) };
            if dice.one_in(3) {
                connect = connect.will(will("t", "gone").delay(u32::try_from(dice.below(2)).unwrap()));
            }
            let who = worker.start(connect.keep_alive(0));
            let filters = Subscribe::one(1, "t", QoS1).and("$share/g/t", QoS1).and("+", QoS1);
            worker.put(who, Packet::Subscribe(filters));
            worker.step(who);
            log.connections.push(who);
        }
        1 if !log.connections.is_empty() => {
            let at = dice.below(log.connections.len());
            worker.put_cut(log.connections.swap_remove(at));
        }
        2 if !log.connections.is_empty() => {
            let at = dice.below(log.connections.len());
            let room = *dice.pick(&[0, 100, usize::MAX]);
            worker.pipe(log.connections[at]).allow(room);
        }
        3 if dice.one_in(4) => worker.advance(dice.below(2_000_000) as u64),
        3 => {
            hear(worker, log);
        }
        4 | 5 => say(worker, log, "t"),
        _ => {
            worker.round();
        }
    }
}

#[test]
fn sessions_that_end_while_others_publish_to_them_leave_nothing_behind() {
    for seed in 1..=10 {
        let limits = Limits { link_soft_bytes: 500, queue_messages_max: 20, ..Limits::default() };
        let engine = Arc::new(Engine::new(limits, seed));
        let crews: Vec<(Worker, Log)> = (0..WORKERS).map(|name| crew(&engine, name)).collect();
        let mut crews = run(crews, seed, 500, come_and_go);
        for (worker, log) in &mut crews {
            log.connections.drain(..).for_each(|who| worker.put_cut(who));
        }
        let mut crews = settle(crews);
        assert_eq!(engine.connected(), WORKERS, "only the publishers are left (seed {seed})");
        for (worker, log) in &mut crews {
            worker.advance(20_000_000);
            log.acknowledged += worker.come(log.publisher.unwrap()).len();
            assert_eq!(log.acknowledged, log.published, "every message was answered");
        }
        assert_eq!(engine.sessions(), WORKERS, "seed {seed}");
        assert_eq!((engine.filters(), engine.subscriptions()), (0, 0), "seed {seed}");
        assert_eq!(engine.waiting_bytes(), (0, 0), "seed {seed}");
        assert_eq!(engine.next_deadline(), whimbrel_engine::proto::Millis::NEVER);
    }
}
