//! What a seed draws: which features and which faults a run has, and how much of each. A run has few of them and those
//! thoroughly; over many seeds everything meets everything.

use std::sync::Arc;

use whimbrel_engine::{Limits, QueueFull, ShareStrategy, proto::codec::Version};

use crate::{
    dice::Dice,
    log::Tally,
    player::{Habits, Persona, Weights, WillPlan},
};

/// Seconds that the server keeps a session at most.
pub const EXPIRY_SECS_MAX: u32 = 7 * 24 * 3_600;

/// How the network behaves.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Milliseconds that bytes are under way at most.
    pub delay_millis_max: u64,
    /// How often a chunk of bytes is cut into smaller ones, in a hundred.
    pub split_percent: u32,
    /// How often the server's socket takes less than it could, in a hundred.
    pub partial_percent: u32,
    /// Bytes that wait for a client in the network at most.
    pub window_bytes: u64,
    /// How often, in a thousand times that bytes are under way, the network cuts the connection.
    pub cut_per_mille: u32,
    /// How often another worker goes on in the middle of a write, in a hundred.
    pub interrupt_percent: u32,
    /// How often, in a thousand times that a worker holds no lock, another worker goes on.
    pub interleave_per_mille: u32,
    /// Milliseconds between two moments at which workers have their turns: what has piled up meets there.
    pub beat_millis: u64,
    /// How often the authenticator answers later, in a hundred.
    pub verdict_percent: u32,
}

/// A run.
pub struct Plan {
    /// The server's limits.
    pub limits: Limits,
    /// Workers.
    pub workers: usize,
    /// The clients that take part.
    pub personas: Vec<Persona>,
    /// What they are given to.
    pub habits: Arc<Habits>,
    /// The network.
    pub weather: Weather,
    /// Milliseconds of the phase with faults.
    pub faults_millis: u64,
    /// Faults stop when so much has happened: many short runs show more than a few long ones.
    pub events_max: usize,
    /// Limits are so small that messages are dropped.
    pub is_tight: bool,
    /// A client that the network spares watches everything.
    pub has_witness: bool,
    /// Receivers that subscribe once and do nothing else.
    pub crowd: Vec<Listener>,
}

/// A receiver that subscribes once and does nothing else.
#[derive(Copy, Clone, Debug)]
pub struct Listener {
    /// To what.
    pub filter: &'static str,
    /// At which QoS.
    pub qos: u8,
    /// Its Receive Maximum.
    pub receive_maximum: Option<u16>,
}

impl Plan {
    /// Draws a run.
    #[must_use]
    pub fn draw(dice: &mut Dice, tally: &mut Tally) -> Plan {
        let mut on = |dice: &mut Dice, name: &'static str, percent: u32| {
            let drawn = dice.percent(percent);
            tally.add(name, u64::from(drawn));
            drawn
        };
        let is_tight = on(dice, "runs with small limits", 15);
        let has_wills = on(dice, "runs with wills", 40);
        let crowd = crowd(dice, &mut on);
        let habits = habits(dice, &mut on);
        let mut weights = weights(dice, &mut on, has_wills);
        // What only the next PINGREQ would set going is stuck then; and nobody else would notice a silence.
        let no_pings = on(dice, "runs without keep-alive", 20);
        if no_pings {
            weights.silence = 0;
        }
        // Who is told that an UNSUBSCRIBE is through, and takes all at once, can tell what comes too late.
        let is_swift = on(dice, "runs where nothing waits", 25);
        if is_swift {
            weights.pause = 0;
            weights.silence = 0;
        }
        let count = dice.within(2, 9);
        let mut personas = Vec::new();
        for number in 0..count {
            personas.push(persona(dice, u32::try_from(number).unwrap_or(0), has_wills, &weights));
        }
        let limits = limits(dice, is_tight, personas.len() + crowd.len());
        let weather = weather(dice, &mut on);
        let has_witness = on(dice, "runs with a witness", if has_wills { 100 } else { 50 });
        let mut plan = Plan {
            limits,
            workers: *dice.pick(&[2, 2, 2, 3, 4]).unwrap_or(&2),
            personas,
            habits: Arc::new(habits),
            weather,
            faults_millis: *dice.pick(&[2_000, 10_000, 30_000, 60_000]).unwrap_or(&10_000),
            events_max: *dice.pick(&[200, 1_000, 4_000]).unwrap_or(&1_000),
            is_tight,
            has_witness,
            crowd,
        };
        plan.settle(is_swift, no_pings);
        if !is_tight && on(dice, "duels", 40) {
            plan.become_duel(dice);
        }
        plan
    }

    /// What follows from what was drawn.
    fn settle(&mut self, is_swift: bool, no_pings: bool) {
        let Plan { limits, weather, personas, .. } = self;
        if is_swift {
            weather.window_bytes = 1 << 20;
            limits.connection.inflight_max = 1_000;
        }
        if no_pings {
            limits.connection.keep_alive_secs_max = 1_200;
        }
        for persona in personas {
            if limits.queue_full == QueueFull::Refuse {
                // Who cannot be told is closed, and comes back with the same message: no run would come to rest.
                persona.version = Version::V5;
            }
            if no_pings {
                persona.keep_alive_secs = 0;
            }
            if is_swift {
                (persona.receive_maximum, persona.lazy_percent) = (None, 0);
            }
        }
    }
}

fn crowd(dice: &mut Dice, on: &mut impl FnMut(&mut Dice, &'static str, u32) -> bool) -> Vec<Listener> {
    let crowd = if on(dice, "runs with a crowd", 10) { dice.within(5, 30) } else { 0 };
    let listener = |number: u64| Listener {
        filter: "a/b",
        qos: u8::try_from(number % 3).unwrap_or(0),
        receive_maximum: None,
    };
    (0..crowd).map(listener).collect()
}

fn habits(dice: &mut Dice, on: &mut impl FnMut(&mut Dice, &'static str, u32) -> bool) -> Habits {
    let is_narrow = on(dice, "runs with one topic", 25);
    let groups = on(dice, "runs with shared groups", 40);
    let wildcards = on(dice, "runs with wildcards", 70);
    let retained = on(dice, "runs with retained messages", 50);
    let expiry = on(dice, "runs with message expiry", 20);
    let ids = on(dice, "runs with subscription identifiers", 40);
    let options = on(dice, "runs with subscription options", 40);
    Habits {
        prefix: Box::default(),
        topics: topics(dice, is_narrow),
        filters: filters(dice, groups, wildcards, is_narrow),
        publish_qos: weights_of_qos(dice),
        subscribe_qos: weights_of_qos(dice),
        retain_percent: if retained { percents(dice, 10, 80) } else { 0 },
        clear_percent: percents(dice, 0, 40),
        expiry_percent: if expiry { percents(dice, 5, 50) } else { 0 },
        large_percent: percents(dice, 0, 40),
        burst_max: dice.within(2, 80),
        id_percent: if ids { 70 } else { 0 },
        option_percent: if options { 40 } else { 0 },
        clean_start_percent: if on(dice, "runs with clean starts", 40) { 15 } else { 0 },
        rest_millis_max: *dice.pick(&[20, 200, 1_000, 5_000]).unwrap_or(&200),
    }
}

fn percents(dice: &mut Dice, low: u64, high: u64) -> u32 {
    u32::try_from(dice.within(low, high)).unwrap_or(0)
}

fn weights_of_qos(dice: &mut Dice) -> [u32; 3] {
    *dice.pick(&[[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 1, 0], [1, 4, 4], [4, 1, 1]]).unwrap_or(&[1, 1, 1])
}

fn topics(dice: &mut Dice, is_narrow: bool) -> Vec<Box<str>> {
    if is_narrow {
        return vec!["a/b".into()];
    }
    let all = ["a/b", "a/c", "a/b/c", "a", "d", "d/e", "f/g/h", "/x"];
    let count = 1 + dice.below(all.len());
    all.iter().take(count).map(|topic| (*topic).into()).collect()
}

fn filters(dice: &mut Dice, groups: bool, wildcards: bool, is_narrow: bool) -> Vec<Box<str>> {
    let plain = ["a/b", "a/c", "a/b/c", "d"];
    let wild = ["a/+", "a/#", "#", "+/b", "+", "d/#", "a/+/c", "+/+/+"];
    let shared = ["$share/g/a/b", "$share/g/a/#", "$share/h/#", "$share/g/d", "$share/h/a/b"];
    // Of each kind those come first that match the first topic.
    let some = |all: &[&'static str], narrow: usize| {
        all.iter().take(if is_narrow { narrow } else { all.len() }).copied().collect::<Vec<_>>()
    };
    let mut filters = some(&plain, 1);
    if wildcards {
        filters.extend(some(&wild, 2));
    }
    if groups {
        filters.extend(some(&shared, 1));
    }
    let keep = 3 + dice.below(filters.len());
    while filters.len() > keep {
        filters.remove(dice.below(filters.len()));
    }
    filters.into_iter().map(Box::from).collect()
}

fn weights(
    dice: &mut Dice,
    on: &mut impl FnMut(&mut Dice, &'static str, u32) -> bool,
    wills: bool,
) -> Weights {
    let mut fault = |dice: &mut Dice, name: &'static str, percent: u32, most: u64| {
        if on(dice, name, percent) { percents(dice, 1, most) } else { 0 }
    };
    Weights {
        leave: fault(dice, "runs with disconnects", 60, 6),
        leave_with_will: if wills { 2 } else { 0 },
        reset: fault(dice, "runs with resets", 60, 8),
        half_close: fault(dice, "runs with half-closes", 40, 5),
        silence: fault(dice, "runs with silences", 25, 3),
        take_over: fault(dice, "runs with take-overs", 50, 6),
        pause: fault(dice, "runs with slow readers", 35, 6),
        unsubscribe: fault(dice, "runs with unsubscribes", 60, 8),
        burst: fault(dice, "runs with bursts", 60, 8),
        publish: 60,
        subscribe: percents(dice, 5, 25),
        ping: 2,
    }
}

fn persona(dice: &mut Dice, number: u32, wills: bool, weights: &Weights) -> Persona {
    let version =
        *dice.pick(&[Version::V31, Version::V311, Version::V5, Version::V5]).unwrap_or(&Version::V5);
    let persists = dice.percent(65);
    let life = *dice.pick(&[4, 15, 3_600, 86_400, u32::MAX]).unwrap_or(&3_600);
    let some = |dice: &mut Dice, percent: u32, low: u64, high: u64| {
        dice.percent(percent).then(|| dice.within(low, high))
    };
    let will = (wills && dice.percent(70)).then(|| WillPlan {
        qos: u8::try_from(dice.below(3)).unwrap_or(0),
        retain: dice.percent(40),
        delay_secs: *dice.pick(&[0, 0, 1, 3, 20]).unwrap_or(&0),
    });
    Persona {
        number,
        version,
        expiry_secs: match (persists, version) {
            (false, _) => 0,
            (true, Version::V5) => life,
            (true, _) => u32::MAX,
        },
        keep_alive_secs: *dice.pick(&[0, 5, 10, 30, 60]).unwrap_or(&30),
        receive_maximum: some(dice, 40, 1, 6).and_then(|max| u16::try_from(max).ok()),
        packet_bytes_max: None,
        topic_aliases_in: *dice.pick(&[0, 0, 1, 3, 20]).unwrap_or(&0),
        topic_aliases_out: *dice.pick(&[0, 0, 1, 3, 20]).unwrap_or(&0),
        reuses_ids: false,
        will,
        lazy_percent: *dice.pick(&[0, 0, 20, 60]).unwrap_or(&0),
        weights: *weights,
    }
}

fn limits(dice: &mut Dice, tight: bool, clients: usize) -> Limits {
    let mut limits = Limits::default();
    let strategies =
        [ShareStrategy::RoundRobin, ShareStrategy::LeastBacklog, ShareStrategy::StickyByPublisher];
    limits.share_strategy = *dice.pick(&strategies).unwrap_or(&ShareStrategy::RoundRobin);
    limits.queue_qos0 = dice.percent(30);
    limits.connection.session_expiry_secs_max = EXPIRY_SECS_MAX;
    limits.connection.keep_alive_secs_max = 60;
    limits.connection.receive_maximum = *dice.pick(&[1, 3, 20, 1_000]).unwrap_or(&1_000);
    limits.connection.inflight_max = *dice.pick(&[1, 5, 100, 1_000]).unwrap_or(&1_000);
    limits.connection.topic_aliases_in_max = *dice.pick(&[0, 2, 64]).unwrap_or(&64);
    limits.connection.topic_aliases_out_max = *dice.pick(&[0, 2, 64]).unwrap_or(&64);
    limits.link_soft_bytes = *dice.pick(&[200, 2_000, 64 << 10]).unwrap_or(&(64 << 10));
    limits.match_cache_topics_max = *dice.pick(&[2, 16_384]).unwrap_or(&16_384);
    limits.fan_out_slice = *dice.pick(&[1, 1, 2, 5, 1_000]).unwrap_or(&1_000);
    limits.connections_max = clients * 4 + 100;
    if tight {
        limits.queue_messages_max = *dice.pick(&[1, 5, 30]).unwrap_or(&5);
        limits.queue_bytes_max = *dice.pick(&[300, 5_000, 1 << 20]).unwrap_or(&5_000);
        let policies = [QueueFull::DropOldest, QueueFull::DropNewest, QueueFull::Refuse];
        limits.queue_full = *dice.pick(&policies).unwrap_or(&QueueFull::DropOldest);
    } else {
        limits.queue_messages_max = 1_000_000;
        limits.queue_bytes_max = 1 << 30;
        limits.link_hard_bytes = 16 << 20;
    }
    limits
}

fn weather(dice: &mut Dice, on: &mut impl FnMut(&mut Dice, &'static str, u32) -> bool) -> Weather {
    let delay_millis_max = *dice.pick(&[0, 5, 100, 2_000]).unwrap_or(&5);
    let mut weather = Weather {
        delay_millis_max,
        split_percent: percents(dice, 0, 60),
        partial_percent: if on(dice, "runs with partial writes", 50) { percents(dice, 10, 80) } else { 0 },
        window_bytes: if on(dice, "runs with small windows", 40) { dice.within(50, 5_000) } else { 1 << 20 },
        cut_per_mille: if on(dice, "runs with cuts by the network", 50) { percents(dice, 1, 20) } else { 0 },
        interrupt_percent: if on(dice, "runs with interrupted writes", 60) {
            percents(dice, 5, 50)
        } else {
            0
        },
        interleave_per_mille: if on(dice, "runs with interleaved workers", 50) {
            percents(dice, 5, 300)
        } else {
            0
        },
        beat_millis: if on(dice, "runs in beats", 40) { dice.within(10, 400) } else { 1 },
        verdict_percent: if on(dice, "runs with late verdicts", 20) { 50 } else { 0 },
    };
    // So narrow that a link is full, not so slow that a large message outlasts a client's patience: a window passes once
    // in the time that bytes take, and once in a beat of the server.
    weather.window_bytes = weather.window_bytes.max(delay_millis_max.max(weather.beat_millis) * 10);
    weather
}
