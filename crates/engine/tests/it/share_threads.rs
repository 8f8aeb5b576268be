//! Shared groups with threads: members get room, come and go while messages are parked for them. Nothing is lost, nothing
//! goes to two, and nothing stays in a group whose member has room.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use whimbrel_engine::{Engine, Limits, ShareStrategy};
use whimbrel_testkit::{Packet, QoS, QoS1, QoS2, Subscribe, publish, v5};

use super::{
    dice::Dice,
    threads::{run, settle},
    worker::{Who, Worker, messages, text},
};

const WORKERS: usize = 3;
/// Every member is in both groups.
const GROUPS: [&str; 2] = ["$share/g/a/#", "$share/h/b/#"];
const TOPICS: [&str; 2] = ["a/x", "b/x"];

struct Log {
    publisher: Who,
    name: usize,
    published: Vec<(String, QoS)>,
    open: usize,
    members: Vec<Member>,
    /// Messages that members have got which are gone.
    gone: Vec<String>,
    joined: usize,
}

struct Member {
    who: Who,
    unanswered: Vec<Packet>,
    got: Vec<String>,
}

impl Member {
    fn join(worker: &mut Worker, id: &str, room: u16) -> Self {
        let who = worker.start(v5(id).keep_alive(0).receive_maximum(room));
        let both = Subscribe::one(1, GROUPS[0], QoS2).and(GROUPS[1], QoS2);
        worker.put(who, Packet::Subscribe(both));
        for _ in 0..3 {
            worker.step(who);
        }
        Member { who, unanswered: Vec::new(), got: Vec::new() }
    }

    fn hear(&mut self, worker: &mut Worker, answer: bool) -> bool {
        let packets = worker.come(self.who);
        self.got.extend(messages(packets.clone()).iter().map(text));
        self.unanswered.extend(packets);
        let answered = answer && !self.unanswered.is_empty();
        if answered {
            worker.acknowledge(self.who, &std::mem::take(&mut self.unanswered));
        }
        answered
    }
}

fn crew(engine: &Arc<Engine>, name: usize, members: usize) -> (Worker, Log) {
    let mut worker = Worker::of(engine);
    let publisher = worker.connect(v5(&format!("p{name}")).keep_alive(0));
    let members = (0..members)
        .map(|at| Member::join(&mut worker, &format!("m{name}.{at}"), 1 + u16::try_from(at).unwrap()))
        .collect();
    worker.settle();
    let (published, gone) = Default::default();
    (worker, Log { publisher, name, published, open: 0, members, gone, joined: 100 })
}

fn say(worker: &mut Worker, log: &mut Log, dice: &mut Dice) {
    let packets = worker.come(log.publisher);
    log.open -=
        packets.iter().filter(|packet| matches!(packet, Packet::PubAck(_) | Packet::PubComp(_))).count();
    worker.acknowledge(log.publisher, &packets);
    if log.open < 900 {
        log.open += 1;
        let id = log.published.len() + 1;
        let (qos, payload) = (*dice.pick(&[QoS1, QoS2]), format!("{}:{id}", log.name));
        let message = publish(TOPICS[dice.below(2)], &payload).at(qos, u16::try_from(id).unwrap());
        worker.put(log.publisher, Packet::Publish(message));
        log.published.push((payload, qos));
    }
    worker.step(log.publisher);
}

fn act(worker: &mut Worker, log: &mut Log, dice: &mut Dice) {
    match dice.below(8) {
        0..3 => say(worker, log, dice),
        3..6 => {
            let at = dice.below(log.members.len());
            let member = &mut log.members[at];
            member.hear(worker, true);
            worker.step(member.who);
        }
        _ => {
            worker.round();
        }
    }
}

/// The same, and members come and go; the first of each worker stays.
fn act_with_deaths(worker: &mut Worker, log: &mut Log, dice: &mut Dice) {
    if !dice.one_in(12) {
        return act(worker, log, dice);
    }
    if log.members.len() > 1 {
        let mut member = log.members.remove(1);
        member.hear(worker, false);
        worker.put_cut(member.who);
        worker.step(member.who);
        log.gone.extend(member.got);
    } else {
        log.joined += 1;
        let id = format!("m{}.{}", log.name, log.joined);
        log.members.push(Member::join(worker, &id, 3));
    }
}

fn drain(mut crews: Vec<(Worker, Log)>) -> Vec<(Worker, Log)> {
    loop {
        crews = settle(crews);
        let mut busy = false;
        for (worker, log) in &mut crews {
            let packets = worker.come(log.publisher);
            busy |= !packets.is_empty();
            worker.acknowledge(log.publisher, &packets);
            for member in &mut log.members {
                busy |= member.hear(worker, true);
            }
        }
        if !busy {
            return crews;
        }
    }
}

/// How often each message has been delivered, and all that were published.
fn sum(crews: &[(Worker, Log)]) -> (BTreeMap<&str, usize>, BTreeSet<(&str, u8)>) {
    let mut delivered = BTreeMap::new();
    for (_, log) in crews {
        for payload in log.members.iter().flat_map(|member| &member.got).chain(&log.gone) {
            *delivered.entry(payload.as_str()).or_insert(0) += 1;
        }
    }
    let all = crews.iter().flat_map(|(_, log)| &log.published);
    (delivered, all.map(|(payload, qos)| (payload.as_str(), *qos as u8)).collect())
}

const STRATEGIES: [ShareStrategy; 3] =
    [ShareStrategy::RoundRobin, ShareStrategy::LeastBacklog, ShareStrategy::StickyByPublisher];

#[test]
fn every_message_goes_to_one_member_and_none_is_stuck_while_a_member_has_room() {
    for seed in 1..=15 {
        let share_strategy = STRATEGIES[seed % 3];
        let limits = Limits { share_strategy, queue_messages_max: 1 << 20, ..Limits::default() };
        let engine = Arc::new(Engine::new(limits, seed as u64));
        let crews = (0..WORKERS).map(|name| crew(&engine, name, 2)).collect();
        let crews = drain(run(crews, seed as u64, 800, act));
        assert_eq!(engine.waiting_bytes(), (0, 0), "nothing is stuck (seed {seed})");
        let (delivered, published) = sum(&crews);
        assert!(delivered.values().all(|times| *times == 1));
        assert!(delivered.keys().eq(published.iter().map(|(payload, _)| payload)), "nothing is lost");
    }
}

#[test]
fn what_members_that_die_had_goes_to_others() {
    for seed in 1..=15 {
        let share_strategy = STRATEGIES[seed % 3];
        let limits = Limits { share_strategy, queue_messages_max: 1 << 20, ..Limits::default() };
        let engine = Arc::new(Engine::new(limits, seed as u64));
        let crews = (0..WORKERS).map(|name| crew(&engine, name, 3)).collect();
        let crews = drain(run(crews, seed as u64, 800, act_with_deaths));
        assert_eq!(engine.waiting_bytes(), (0, 0), "nothing is stuck (seed {seed})");
        let (delivered, published) = sum(&crews);
        for (payload, qos) in published {
            let times = delivered.get(payload).copied().unwrap_or_default();
            match qos {
                1 => assert!(times >= 1, "{payload} is lost (seed {seed})"),
                _ => assert!(times <= 1, "{payload} went to {times} [MQTT-4.8.2-4] [MQTT-4.8.2-5]"),
            }
        }
        assert!(crews.iter().any(|(_, log)| !log.gone.is_empty()));
    }
}
