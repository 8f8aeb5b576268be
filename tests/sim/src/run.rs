//! One seed, one run: a phase with faults, a phase without, in which everything that is owed must arrive, then the
//! verdict; and when all have left, nothing may be left of them.

use std::sync::Arc;

use whimbrel_engine::{Count, DiskFull, Level, QueueFull, proto::codec::Version};
use whimbrel_oracle::{
    Facts, Finding, Leftovers,
    event::{Event, Wish},
    history::History,
    judge, story,
};

use crate::{
    dice::Dice,
    log::Tally,
    plan::{EXPIRY_SECS_MAX, Listener, Plan, Weather},
    player::{Habits, Persona, Player, Weights},
    server::Server,
    store::{Faults, Machine},
    world::{Stuck, World},
};

/// Clients that are part of the test.
const WITNESS: u32 = 1_000_000;
const AUDITOR: u32 = 1_000_001;
const CROWD: u32 = 2_000_000;
/// Milliseconds within which everything that is owed must have arrived once faults have stopped.
const CALM_MILLIS_MAX: u64 = 40_000_000;
/// Milliseconds that late wills and time-outs are given.
const AFTERMATH_MILLIS: u64 = 130_000;
/// A connection that is over is known to the server by then, keep-alive aside.
const NOTICE_MILLIS_MAX: u64 = 5_000;

/// How many of the clients whose sessions last so long stay away when faults stop.
const ABSENT_PERCENT: u32 = 15;
const LASTING_SECS: u32 = 86_400;

/// What the server keeps its journal on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Disk {
    /// It has none.
    None,
    /// One that does what it is told, and the server never dies.
    Sound,
    /// One that fails, and the server dies.
    Failing,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What must not be.
    pub findings: Vec<Finding>,
    /// The same in words, with the events that concern it.
    pub report: String,
    /// What happened how often.
    pub tally: Tally,
    /// Everything that clients did and saw, up to the verdict.
    pub events: Vec<Event>,
}

/// Runs a seed. A panic is a finding, too.
#[must_use]
pub fn run_caught(seed: u64, disk: Disk) -> Outcome {
    std::panic::catch_unwind(|| run_on(seed, disk)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
        let found = finding("panic", text.to_owned());
        Outcome { report: format!("{found}\n"), findings: vec![found], ..Outcome::default() }
    })
}

/// Runs a seed on a server without a disk.
#[must_use]
pub fn run(seed: u64) -> Outcome {
    run_on(seed, Disk::None)
}

/// Runs a seed on a server with a disk that fails, and that dies.
#[must_use]
pub fn run_with_disk(seed: u64) -> Outcome {
    run_on(seed, Disk::Failing)
}

fn run_on(seed: u64, disk: Disk) -> Outcome {
    let mut dice = Dice::new(seed);
    let mut tally = Tally::default();
    let mut plan = Plan::draw(&mut dice, &mut tally);
    let server = if disk != Disk::None {
        let mut faults = Faults::draw(&mut dice, &mut plan, &mut tally);
        if disk == Disk::Sound {
            faults = faults.none();
        }
        let machine = Machine::new(faults, plan.limits.clone(), seed, dice.fork());
        let (engine, store, _) = machine.start(0, None);
        Server::of(engine, Some(store), plan.workers, &plan.weather, dice.fork())
    } else {
        Server::new(plan.limits.clone(), plan.workers, &plan.weather, seed, dice.fork())
    };
    let mut world = World::new(server, dice.fork());
    world.log.tally = tally;
    let played = play(&mut world, &plan, &mut dice);
    let mut findings = played.unwrap_or_else(|Stuck(text)| vec![finding("liveness", text)]);
    let stuck = (!findings.is_empty()).then(|| world.server.describe());
    let tasks = world.snapshot.take().or(stuck).unwrap_or_default();
    let facts = facts(&world, &plan);
    note_counts(&mut world);
    if let Some(store) = &world.server.store {
        store.machine().tell(&mut world.log.tally);
    }
    let events = std::mem::take(&mut world.log.events);
    let history = History::new(events, &facts);
    findings.extend(judge(&history, &facts));
    if findings.is_empty() {
        findings = everybody_leaves(&mut world);
    }
    Server::dismiss();
    let mut report = String::new();
    if !tasks.is_empty() {
        report.push_str(&format!("the server's connections:\n  {tasks}\n"));
    }
    for crash in &world.crashes {
        let what = if crash.is_power_cut { "lost its power" } else { "was killed" };
        report.push_str(&format!("the server {what}, and was back at {} ms\n", crash.at));
    }
    for finding in findings.iter().take(3) {
        report.push_str(&format!("{finding}\n{}", story(&history, finding)));
    }
    Outcome { findings, report, tally: world.log.tally, events: history.events }
}

fn finding(oracle: &'static str, text: String) -> Finding {
    Finding { oracle, text, client: None, message: None }
}

/// The two phases. What it finds is what never came to rest.
fn play(world: &mut World, plan: &Plan, dice: &mut Dice) -> Result<Vec<Finding>, Stuck> {
    let spared =
        Weather { partial_percent: 0, window_bytes: 1 << 24, cut_per_mille: 0, ..plan.weather.clone() };
    let mut steady = Vec::new();
    if plan.has_witness {
        steady.push((WITNESS, Listener { filter: "#", qos: 2, receive_maximum: None }));
    }
    steady.extend((CROWD..).zip(plan.crowd.iter().copied()));
    if !come_in(world, &spared, dice, &steady)? {
        return Ok(vec![finding("liveness", "the first clients cannot subscribe".to_owned())]);
    }
    for persona in &plan.personas {
        let player = Player::new(persona.clone(), plan.habits.clone(), dice.fork());
        world.seat(player, &plan.weather, false);
    }
    let end = world.now() + plan.faults_millis;
    world.run_until(end, |world| world.log.events.len() > plan.events_max)?;
    world.faulty = false;
    let World { seats, log, .. } = world;
    for seat in seats.iter_mut() {
        seat.calm(log);
        let persona = &seat.player.persona;
        // Of a silent client without keep-alive the server never hears that it is gone.
        let noticed = persona.keep_alive_secs > 0 || persona.weights.silence == 0;
        let lasts = persona.expiry_secs >= LASTING_SECS && noticed && persona.number < WITNESS;
        if lasts && dice.percent(ABSENT_PERCENT) {
            seat.depart_at(log.now + dice.within(1, 40_000));
        }
        log.tally.add("clients that stay away", u64::from(seat.player.absent));
    }
    let end = world.now() + CALM_MILLIS_MAX;
    // Wills that are due late, connections of which the server has not heard that they are over.
    let quiet_at = world.now() + AFTERMATH_MILLIS;
    if !world.run_until(end, |world| world.now() >= quiet_at && world.is_settled())? {
        return Ok(vec![finding("liveness", unsettled(world))]);
    }
    if !come_in(world, &spared, dice, &[(AUDITOR, Listener { filter: "#", qos: 2, receive_maximum: None })])?
    {
        return Ok(vec![finding("liveness", "the auditor gets no answer".to_owned())]);
    }
    let stays = world.server.check_space().err();
    Ok(stays.map(|why| finding("space", why)).into_iter().collect())
}

fn unsettled(world: &World) -> String {
    let mut text = format!("not at rest long after the last fault; workers busy: {:?}", world.server.busy());
    for seat in world.seats.iter().filter(|seat| !seat.player.is_settled()) {
        text.push_str(&format!("; client {}: {}", seat.player.persona.number, seat.player.waits_for()));
    }
    text
}

/// Clients that subscribe to one filter and stay. Whether all could.
fn come_in(
    world: &mut World,
    weather: &Weather,
    dice: &mut Dice,
    who: &[(u32, Listener)],
) -> Result<bool, Stuck> {
    let mut seats = Vec::new();
    for (number, listener) in who {
        let mut player = bystander(*number, dice.fork());
        player.persona.receive_maximum = listener.receive_maximum;
        if world.server.store.is_some() {
            player.persona.expiry_secs = u32::MAX; // It comes back when the server has died.
        }
        seats.push(world.seat(player, weather, true));
    }
    // They subscribe once: a death of the server in its middle would undo that.
    let was_faulty = std::mem::replace(&mut world.faulty, false);
    let end = world.now() + 600_000;
    let all_in = |world: &World| seats.iter().all(|seat| world.seats[*seat].player.is_open());
    if !world.run_until(end, all_in)? {
        return Ok(false);
    }
    for (seat, (number, listener)) in seats.iter().zip(who) {
        let is_witness = *number == WITNESS;
        let wish = Wish {
            text: listener.filter.into(),
            qos: listener.qos,
            no_local: false,
            retain_as_published: is_witness,
            retain_handling: 0,
            id: u32::from(is_witness),
        };
        world.subscribe(*seat, vec![wish]);
    }
    let end = world.now() + 600_000;
    let is_settled = world.run_until(end, World::is_settled);
    world.faulty = was_faulty;
    is_settled
}

/// A client that does nothing of its own accord and takes whatever comes.
#[must_use]
pub fn bystander(number: u32, dice: Dice) -> Player {
    let persona = Persona {
        number,
        version: Version::V5,
        expiry_secs: 0,
        keep_alive_secs: 0,
        receive_maximum: None,
        packet_bytes_max: None,
        topic_aliases_in: 0,
        topic_aliases_out: 0,
        reuses_ids: false,
        will: None,
        lazy_percent: 0,
        weights: Weights::default(),
    };
    let mut player = Player::new(persona, Arc::new(Habits::default()), dice);
    player.calm = true;
    player
}

fn facts(world: &World, plan: &Plan) -> Facts {
    let has_disk = world.server.store.is_some();
    // A witness whose subscription is lost has not seen all.
    let has_lost = world.server.store.as_ref().is_some_and(|store| store.machine().has_lost());
    let witness = (plan.has_witness && !has_lost).then_some(WITNESS);
    let arrived = world.seats.iter().any(|seat| seat.player.persona.number == AUDITOR);
    Facts {
        dropped: world.dropped + world.server.dropped(),
        refuses: plan.limits.queue_full == QueueFull::Refuse || plan.limits.disk_full == DiskFull::Refuse,
        delay_max_millis: 3 * plan.weather.delay_millis_max + 5_000,
        notice_max_millis: NOTICE_MILLIS_MAX + 3 * plan.weather.delay_millis_max,
        expiry_max_secs: EXPIRY_SECS_MAX,
        witness,
        unqueued: if has_disk { Vec::new() } else { unqueued(plan) },
        prompt_millis: (!has_disk)
            .then_some(2 * plan.weather.delay_millis_max + 2 * plan.weather.beat_millis + 300),
        absent: absent(world),
        crashes: world.crashes.clone(),
        weak: weak(world),
        will_grace_millis: plan.limits.will_grace_millis,
        // Where nobody came to rest there is nothing to compare.
        subscriptions: (arrived && world.crashes.is_empty()).then(|| world.server.engine.subscriptions()),
        auditor: arrived.then_some(AUDITOR),
    }
}

/// Clients that are promised less than the server's deaths leave.
fn weak(world: &World) -> Vec<u32> {
    let Some(store) = &world.server.store else { return Vec::new() };
    let worst = match world.crashes.iter().map(|crash| crash.is_power_cut).max() {
        None => return Vec::new(),
        Some(false) => Level::Process,
        Some(true) => Level::Power,
    };
    let numbers = world.seats.iter().map(|seat| seat.player.persona.number);
    let has_lost = store.machine().has_lost();
    numbers.filter(|number| has_lost || store.level_of(*number) < worst).collect()
}

/// Clients that have not come back.
fn absent(world: &World) -> Vec<u32> {
    let away = world.seats.iter().filter(|seat| seat.player.absent);
    away.map(|seat| seat.player.persona.number).collect()
}

/// Clients whose links and quotas are so wide that nothing waits for them.
fn unqueued(plan: &Plan) -> Vec<u32> {
    let wide = plan.weather.window_bytes >= 1 << 20 && plan.limits.connection.inflight_max >= 1_000;
    let swift = |persona: &&Persona| {
        let pauses = persona.weights.pause + persona.weights.silence;
        wide && pauses == 0 && persona.receive_maximum.is_none() && persona.lazy_percent == 0
    };
    plan.personas.iter().filter(swift).map(|persona| persona.number).collect()
}

/// Everybody ends its session; then the server has nothing left of them.
fn everybody_leaves(world: &mut World) -> Vec<Finding> {
    world.seats.iter_mut().for_each(|seat| seat.leave());
    let left = |world: &World| {
        let Leftovers { connected, sessions, .. } = leftovers(world);
        connected == 0 && sessions == 0 && world.seats.iter().all(|seat| seat.player.is_gone())
    };
    let end = world.now() + CALM_MILLIS_MAX;
    match world.run_until(end, left) {
        Ok(_) => leftovers(world).check(),
        Err(Stuck(text)) => vec![finding("liveness", text)],
    }
}

fn leftovers(world: &World) -> Leftovers {
    let engine = &world.server.engine;
    let (queued_bytes, outbox_bytes) = engine.waiting_bytes();
    Leftovers {
        connected: engine.connected(),
        sessions: engine.sessions(),
        subscriptions: engine.subscriptions(),
        filters: engine.filters(),
        queued_bytes,
        outbox_bytes,
    }
}

/// Writes down what the server has counted.
pub(crate) fn note_counts(world: &mut World) {
    let World { server, log, .. } = world;
    let counts = [
        ("messages dropped from full queues", Count::DroppedQueueOldest),
        ("messages dropped for full queues", Count::DroppedQueueNewest),
        ("messages refused for full queues", Count::RefusedQueueFull),
        ("messages expired", Count::DroppedExpired),
        ("QoS 0 dropped for slow readers", Count::DroppedQos0Blocked),
        ("slow readers disconnected", Count::SlowStalled),
        ("slow readers disconnected for what waits", Count::SlowOverflow),
        ("keep-alive time-outs", Count::KeepAliveTimeout),
        ("sessions taken over", Count::Takeovers),
        ("sessions expired", Count::SessionsExpired),
        ("wills published", Count::WillsPublished),
    ];
    for (name, count) in counts {
        log.tally.add(name, server.engine.count(count));
    }
    log.tally.add("writes interrupted by another worker", server.interrupts.get());
    log.tally.add("turns interleaved with another worker's", server.interleaved.get());
    log.tally.add("turns while the disk worked", server.meanwhile.get());
    for (name, count) in [
        ("publishers that waited for the disk", Count::WaitedForDisk),
        ("messages refused for the disk", Count::RefusedDisk),
        ("records refused", Count::RecordsRefused),
    ] {
        log.tally.add(name, server.engine.count(count));
    }
}
