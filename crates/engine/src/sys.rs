//! The server's own topics, `$SYS/broker/…`, under the names that users of Mosquitto know.
//!
//! A value is computed when somebody subscribes to its topic (the present value comes at once) and at each interval
//! while somebody does; nobody who does not subscribe pays for it.

use std::sync::Arc;

use whimbrel_proto::{
    Millis,
    codec::{QoS, matches},
};

use crate::{
    Count, Engine, Publishing, Turn, Wire,
    message::{Body, Message},
    store::Trouble,
    sync::Mutex,
};

/// What is told as an average per minute.
#[derive(Copy, Clone)]
enum Rate {
    Of(Count),
    /// Messages dropped for whatever cause.
    Dropped,
    /// Network connections that came as far as CONNECT, accepted or refused.
    Sockets,
}

const LOADS: &[(Rate, &str)] = &[
    (Rate::Of(Count::PacketsReceived), "messages/received"),
    (Rate::Of(Count::PacketsSent), "messages/sent"),
    (Rate::Of(Count::PublishReceived), "publish/received"),
    (Rate::Of(Count::PublishSent), "publish/sent"),
    (Rate::Dropped, "publish/dropped"),
    (Rate::Of(Count::BytesReceived), "bytes/received"),
    (Rate::Of(Count::BytesSent), "bytes/sent"),
    (Rate::Of(Count::Connected), "connections"),
    (Rate::Sockets, "sockets"),
];

const WINDOWS: [(&str, f64); 3] = [("1min", 60.0), ("5min", 300.0), ("15min", 900.0)];

/// At every so-manieth interval also the values go out that have not changed: who was away, or took nothing, has lost
/// what a change told.
const FULL_EVERY: u32 = 10;

/// What a topic tells.
#[derive(Copy, Clone)]
enum Value {
    Version,
    Uptime,
    Sessions,
    Connected,
    Absent,
    ConnectedMax,
    Sum(Count),
    Dropped,
    Retained,
    Stored,
    StoredBytes,
    Subscriptions,
    Groups,
    Load {
        row: usize,
        window: usize,
    },
    /// Where there is a store.
    Store(Figure),
}

/// What is told of the store.
#[derive(Copy, Clone)]
enum Figure {
    State,
    Alarms,
    Syncs,
    CommitMedian,
    Commit99,
    BatchBytes,
    StagedBytes,
    Bytes,
    LiveBytes,
}

/// The topics under `$SYS/broker/`; the counters and the loads come besides.
const VALUES: &[(&str, Value)] = &[
    ("version", Value::Version),
    ("uptime", Value::Uptime),
    ("clients/total", Value::Sessions),
    ("clients/connected", Value::Connected),
    ("clients/active", Value::Connected),
    ("clients/disconnected", Value::Absent),
    ("clients/inactive", Value::Absent),
    ("clients/maximum", Value::ConnectedMax),
    ("clients/expired", Value::Sum(Count::SessionsExpired)),
    ("messages/received", Value::Sum(Count::PacketsReceived)),
    ("messages/sent", Value::Sum(Count::PacketsSent)),
    ("messages/stored", Value::Stored),
    ("publish/messages/received", Value::Sum(Count::PublishReceived)),
    ("publish/messages/sent", Value::Sum(Count::PublishSent)),
    ("publish/messages/dropped", Value::Dropped),
    ("publish/bytes/received", Value::Sum(Count::PayloadReceived)),
    ("publish/bytes/sent", Value::Sum(Count::PayloadSent)),
    ("bytes/received", Value::Sum(Count::BytesReceived)),
    ("bytes/sent", Value::Sum(Count::BytesSent)),
    ("retained messages/count", Value::Retained),
    ("store/messages/count", Value::Stored),
    ("store/messages/bytes", Value::StoredBytes),
    ("subscriptions/count", Value::Subscriptions),
    ("shared_subscriptions/count", Value::Groups),
    ("store/state", Value::Store(Figure::State)),
    ("store/alarms", Value::Store(Figure::Alarms)),
    ("store/syncs", Value::Store(Figure::Syncs)),
    ("store/commit/micros/median", Value::Store(Figure::CommitMedian)),
    ("store/commit/micros/99percent", Value::Store(Figure::Commit99)),
    ("store/commit/bytes", Value::Store(Figure::BatchBytes)),
    ("store/staged/bytes", Value::Store(Figure::StagedBytes)),
    ("store/bytes", Value::Store(Figure::Bytes)),
    ("store/live/bytes", Value::Store(Figure::LiveBytes)),
];

struct Topic {
    name: String,
    value: Value,
}

/// What the subscribers of a topic know.
#[derive(Clone, Default, PartialEq, Eq)]
enum Told {
    /// There were none at the last interval.
    #[default]
    Nothing,
    /// All of them this value.
    Value(String),
    /// Some of them another value than others, because they have subscribed meanwhile.
    Several,
}

/// The topics, and averages that remember.
pub(crate) struct Sys {
    topics: Vec<Topic>,
    state: Mutex<State>,
}

struct State {
    started: Option<Millis>,
    measured: Millis,
    clients_max: usize,
    last: [u64; LOADS.len()],
    load: [[f64; 3]; LOADS.len()],
    intervals: u32,
    /// One for each topic.
    told: Vec<Told>,
}

impl Default for Sys {
    fn default() -> Self {
        let topic = |name: &str, value| Topic { name: format!("$SYS/broker/{name}"), value };
        let mut topics: Vec<Topic> = VALUES.iter().map(|(name, value)| topic(name, *value)).collect();
        for count in Count::ALL {
            topics.push(topic(&format!("counters/{}", count.name()), Value::Sum(*count)));
        }
        for (row, (_, name)) in LOADS.iter().enumerate() {
            for (window, (minutes, _)) in WINDOWS.iter().enumerate() {
                topics.push(topic(&format!("load/{name}/{minutes}"), Value::Load { row, window }));
            }
        }
        let state = State {
            started: None,
            measured: Millis(0),
            clients_max: 0,
            last: [0; LOADS.len()],
            load: [[0.0; 3]; LOADS.len()],
            intervals: 0,
            told: vec![Told::Nothing; topics.len()],
        };
        Sys { topics, state: Mutex::new(state) }
    }
}

/// Whether a topic is the server's own: no client publishes there.
pub(crate) fn is_reserved(topic: &str) -> bool {
    topic.strip_prefix("$SYS").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Engine {
    /// One interval has passed: averages move on, and subscribers of `$SYS` are to get what has changed. Called by one
    /// worker, which goes on with the messages.
    pub fn sys_tick(&self, turn: &mut Turn, waiter: &Arc<dyn Wire>) -> Vec<Box<Publishing>> {
        self.measure_load(turn);
        let subscribed = self.router.has_filter_under("$SYS");
        let mut publishing = Vec::new();
        for (at, topic) in self.sys.topics.iter().enumerate() {
            let wanted = subscribed
                && self.has_value(topic.value)
                && !self.targets(turn, &topic.name).targets.is_empty();
            let mut state = self.sys.state.lock();
            let full = state.intervals.is_multiple_of(FULL_EVERY);
            let now =
                if wanted { Told::Value(self.sys_value(turn, &state, topic.value)) } else { Told::Nothing };
            let Some(told) = state.told.get_mut(at) else { continue };
            let changed = *told != now;
            if let Told::Value(value) = &now
                && (changed || full)
            {
                // Not retained: who subscribes gets the values of that moment.
                let message = Message::new(&sys_body(&topic.name, value));
                publishing.push(Box::new(Publishing::new(message, waiter)));
            }
            *told = now;
        }
        publishing
    }

    fn measure_load(&self, turn: &Turn) {
        let now = turn.now.mono;
        let mut state = self.sys.state.lock();
        let state = &mut *state;
        state.started.get_or_insert(now);
        state.intervals = state.intervals.wrapping_add(1);
        let seconds = now.since(state.measured) as f64 / 1_000.0;
        if seconds <= 0.0 {
            return;
        }
        state.measured = now;
        state.clients_max = state.clients_max.max(self.connected());
        let rows = LOADS.iter().zip(&mut state.last).zip(&mut state.load);
        for (((rate, _), last), averages) in rows {
            let total = match rate {
                Rate::Of(count) => self.counters.sum(*count),
                Rate::Dropped => self.dropped(),
                Rate::Sockets => {
                    self.counters.sum(Count::Connected) + self.counters.sum(Count::ConnectRefused)
                }
            };
            let per_minute = total.wrapping_sub(*last) as f64 * 60.0 / seconds;
            *last = total;
            for (average, (_, window)) in averages.iter_mut().zip(WINDOWS) {
                let weight = (-seconds / window).exp();
                *average = per_minute + weight * (*average - per_minute);
            }
        }
    }

    /// The present values of the server's topics that a new subscription matches.
    pub(crate) fn sys_values(&self, turn: &mut Turn, filter: &str) -> Vec<Arc<Message>> {
        if !filter.starts_with("$SYS") {
            return Vec::new(); // [MQTT-4.7.2-1]
        }
        let mut state = self.sys.state.lock();
        let mut matching = Vec::new();
        for (at, topic) in self.sys.topics.iter().enumerate() {
            if !self.has_value(topic.value) || !matches(filter, &topic.name) {
                continue;
            }
            let value = self.sys_value(turn, &state, topic.value);
            matching.push(Arc::new(Message::new(&sys_body(&topic.name, &value))));
            if let Some(told) = state.told.get_mut(at) {
                let now = Told::Value(value);
                *told = if matches!(told, Told::Nothing) || *told == now { now } else { Told::Several };
            }
        }
        turn.work += matching.len() as u64;
        matching.reverse(); // The fetch takes them from the end.
        matching
    }

    fn has_value(&self, value: Value) -> bool {
        !matches!(value, Value::Store(_)) || self.store.is_on()
    }

    fn store_value(&self, figure: Figure) -> String {
        let Some(journal) = self.store.journal() else { return String::new() };
        let (figures, trouble) = (journal.figures(), journal.trouble());
        let value = match figure {
            Figure::State => {
                return match trouble {
                    None => "running",
                    Some(Trouble::Full) => "full",
                    Some(Trouble::Failed) => "failed",
                }
                .to_owned();
            }
            Figure::Alarms => {
                // As everywhere, from nine tenths on.
                let nearly = figures.staged_bytes_max / 10 * 9;
                u64::from(trouble.is_some()) + u64::from(nearly > 0 && figures.staged_bytes >= nearly)
            }
            Figure::Syncs => figures.syncs,
            Figure::CommitMedian => figures.commit_micros_p50,
            Figure::Commit99 => figures.commit_micros_p99,
            Figure::BatchBytes => figures.batch_bytes,
            Figure::StagedBytes => figures.staged_bytes,
            Figure::Bytes => figures.bytes,
            Figure::LiveBytes => figures.live_bytes,
        };
        value.to_string()
    }

    fn dropped(&self) -> u64 {
        let dropped = Count::ALL.iter().filter(|count| count.name().starts_with("dropped_"));
        dropped.map(|count| self.counters.sum(*count)).sum()
    }

    fn sys_value(&self, turn: &Turn, state: &State, value: Value) -> String {
        let connected = self.connected();
        match value {
            Value::Version => format!("whimbrel version {}", env!("CARGO_PKG_VERSION")),
            Value::Uptime => {
                let now = turn.now.mono;
                format!("{} seconds", now.since(state.started.unwrap_or(now)) / 1_000)
            }
            Value::Sessions => self.sessions.len().to_string(),
            Value::Connected => connected.to_string(),
            Value::Absent => self.sessions.len().saturating_sub(connected).to_string(),
            Value::ConnectedMax => state.clients_max.max(connected).to_string(),
            Value::Sum(count) => self.counters.sum(count).to_string(),
            Value::Dropped => self.dropped().to_string(),
            Value::Retained => self.retained.len().to_string(),
            Value::Stored => (self.retained.len() + self.budget.queued_messages()).to_string(),
            Value::StoredBytes => (self.retained.bytes() + self.budget.queue_bytes()).to_string(),
            Value::Subscriptions => self.subscriptions().to_string(),
            Value::Groups => self.groups.len().to_string(),
            Value::Store(figure) => self.store_value(figure),
            Value::Load { row, window } => {
                let average = state.load.get(row).and_then(|averages| averages.get(window));
                format!("{:.2}", average.copied().unwrap_or_default())
            }
        }
    }
}

/// A value as a message. At QoS 0: it is a status, which the next interval replaces; at a higher one, the values would
/// fill the queues of clients that are away and push out the messages that they wait for.
fn sys_body<'a>(topic: &'a str, value: &'a str) -> Body<'a> {
    Body {
        topic,
        forwarded: &[],
        payload: value.as_bytes(),
        qos: QoS::AtMostOnce,
        retain: false,
        expires: Millis::NEVER,
        publisher: 0,
        number: 0,
    }
}
