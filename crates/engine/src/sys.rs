//! The server's own topics, `$SYS/broker/…`, under the names that users of Mosquitto know.
//!
//! They are computed when somebody subscribes (current values at once) and at each interval while somebody does;
//! nobody who does not subscribe pays for them.

use std::sync::Arc;

use parking_lot::Mutex;
use whimbrel_proto::{
    Millis,
    codec::{QoS, matches},
};

use crate::{
    Count, Engine, Turn, Wire,
    message::{Body, Message},
};

/// Counts whose load is told as an average per minute.
const LOADS: &[(Count, &str)] = &[
    (Count::PacketsReceived, "messages/received"),
    (Count::PacketsSent, "messages/sent"),
    (Count::PublishReceived, "publish/received"),
    (Count::PublishSent, "publish/sent"),
    (Count::BytesReceived, "bytes/received"),
    (Count::BytesSent, "bytes/sent"),
    (Count::Connected, "connections"),
];

const WINDOWS: [(&str, f64); 3] = [("1min", 60.0), ("5min", 300.0), ("15min", 900.0)];

/// Averages that remember.
#[derive(Default)]
pub(crate) struct Sys {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    started: Option<Millis>,
    measured: Millis,
    clients_max: usize,
    last: [u64; LOADS.len()],
    load: [[f64; 3]; LOADS.len()],
}

impl Engine {
    /// One interval has passed: averages move on, and subscribers of `$SYS` get the values. Called by one worker.
    pub fn sys_tick(&self, turn: &mut Turn, waiter: &Arc<dyn Wire>) {
        self.measure_load(turn);
        if !self.router.has_filter_under("$SYS") {
            return;
        }
        for (topic, value) in self.all_sys_values(turn) {
            let body = sys_body(&topic, &value);
            // Not retained: who subscribes gets the values of that moment. A fan-out in slices goes on at once.
            let mut progress = self.publish_body(turn, body, None, None, waiter);
            while let crate::Progress::More(rest) = progress {
                progress = self.resume(turn, rest);
            }
        }
    }

    fn measure_load(&self, turn: &Turn) {
        let now = turn.now.mono;
        let mut state = self.sys.state.lock();
        let state = &mut *state;
        state.started.get_or_insert(now);
        let seconds = now.since(state.measured) as f64 / 1_000.0;
        if seconds <= 0.0 {
            return;
        }
        state.measured = now;
        state.clients_max = state.clients_max.max(self.connected());
        let rows = LOADS.iter().zip(&mut state.last).zip(&mut state.load);
        for (((count, _), last), averages) in rows {
            let total = self.counters.sum(*count);
            let per_minute = total.wrapping_sub(*last) as f64 * 60.0 / seconds;
            *last = total;
            for (average, (_, window)) in averages.iter_mut().zip(WINDOWS) {
                let weight = (-seconds / window).exp();
                *average = per_minute + weight * (*average - per_minute);
            }
        }
    }

    /// The current values of the server's topics that a new subscription matches.
    pub(crate) fn sys_values(&self, turn: &Turn, filter: &str) -> Vec<Arc<Message>> {
        if !filter.starts_with("$SYS") {
            return Vec::new();
        }
        let values = self.all_sys_values(turn);
        let mut matching: Vec<_> = values
            .iter()
            .filter(|(topic, _)| matches(filter, topic))
            .map(|(topic, value)| Arc::new(Message::new(&sys_body(topic, value))))
            .collect();
        matching.reverse(); // The fetch takes them from the end.
        matching
    }

    fn all_sys_values(&self, turn: &Turn) -> Vec<(String, String)> {
        let sum = |count| self.counters.sum(count).to_string();
        let (total, connected) = (self.sessions.len(), self.connected());
        let state = self.sys.state.lock();
        let uptime = turn.now.mono.since(state.started.unwrap_or(turn.now.mono)) / 1_000;
        let dropped: u64 = Count::ALL
            .iter()
            .filter(|count| count.name().starts_with("dropped_"))
            .map(|count| self.counters.sum(*count))
            .sum();
        let mut values = vec![
            ("version", format!("whimbrel version {}", env!("CARGO_PKG_VERSION"))),
            ("uptime", format!("{uptime} seconds")),
            ("clients/total", total.to_string()),
            ("clients/connected", connected.to_string()),
            ("clients/active", connected.to_string()),
            ("clients/disconnected", total.saturating_sub(connected).to_string()),
            ("clients/inactive", total.saturating_sub(connected).to_string()),
            ("clients/maximum", state.clients_max.max(connected).to_string()),
            ("clients/expired", sum(Count::SessionsExpired)),
            ("messages/received", sum(Count::PacketsReceived)),
            ("messages/sent", sum(Count::PacketsSent)),
            ("publish/messages/received", sum(Count::PublishReceived)),
            ("publish/messages/sent", sum(Count::PublishSent)),
            ("publish/messages/dropped", dropped.to_string()),
            ("publish/bytes/received", sum(Count::PayloadReceived)),
            ("publish/bytes/sent", sum(Count::PayloadSent)),
            ("bytes/received", sum(Count::BytesReceived)),
            ("bytes/sent", sum(Count::BytesSent)),
            ("retained messages/count", self.retained.len().to_string()),
            ("store/messages/bytes", (self.retained.bytes() + self.budget.queue_bytes()).to_string()),
            ("subscriptions/count", self.subscriptions().to_string()),
            ("shared_subscriptions/count", self.groups.len().to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (format!("$SYS/broker/{name}"), value))
        .collect::<Vec<_>>();
        for count in Count::ALL {
            values.push((
                format!("$SYS/broker/counters/{}", count.name()),
                self.counters.sum(*count).to_string(),
            ));
        }
        for ((_, name), averages) in LOADS.iter().zip(&state.load) {
            for ((window, _), average) in WINDOWS.iter().zip(averages) {
                values.push((format!("$SYS/broker/load/{name}/{window}"), format!("{average:.2}")));
            }
        }
        values
    }
}

fn sys_body<'a>(topic: &'a str, value: &'a str) -> Body<'a> {
    Body {
        topic,
        forwarded: &[],
        payload: value.as_bytes(),
        qos: QoS::AtLeastOnce,
        retain: false,
        expires: Millis::NEVER,
        publisher: 0,
        number: 0,
    }
}
