//! What the threads of a run need to know about how to do it: options, resolved. Not who does what.

use std::net::IpAddr;
use std::time::Duration;

use whimbrel_codec::{QoS, Version};

use super::arrival;
use super::clock::{MILLI, Nanos, nanos};
use super::options::{Broker, Pace, Payload};
use super::plan::Plan;
use super::quantity::PayloadSize;
use super::stamp::CHECKED_BYTES;
use super::target::Target;
use super::template::Names;
use crate::connect::Url;

/// The longest time between two looks, which is still short for whoever waits for an answer.
const GATHER_MAX: Nanos = 100 * MILLI;

/// It does not change while they run.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) target: Target,
    pub(super) sources: Vec<IpAddr>,
    pub(super) version: Version,
    pub(super) user_name: Option<String>,
    pub(super) password: Option<String>,
    pub(super) keep_alive_secs: u16,
    pub(super) connect_rate: Option<u32>,
    pub(super) connect_timeout: Nanos,
    pub(super) threads: usize,
    pub(super) size: PayloadSize,
    /// What fills payloads, repeated.
    pub(super) filler: String,
    pub(super) batch: u64,
    pub(super) pace: Drive,
    /// Closed loop: the least time between two looks at the connections. Open loop: the least time between two moments
    /// at which messages are due.
    pub(super) gather: Nanos,
    /// Whether what arrives may be read late, since the kernel stamps it and nobody waits for an answer.
    pub(super) reads_late: bool,
    pub(super) drain: Nanos,
    /// Whether the time that a connection takes to come up is the latency of the scenario.
    pub(super) connecting_is_measured: bool,
}

/// What makes a publisher send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Drive {
    /// So many messages of each publisher may be on their way.
    Closed { window: u64 },
    /// So many messages per second of all publishers together are due, whatever becomes of them.
    Open { per_second: f64 },
}

impl Settings {
    /// How to reach the broker; how to load it is what a closed loop of single short messages is.
    pub(super) fn new(broker: &Broker, drain: Duration) -> Result<Settings, String> {
        let of_url = |part: fn(&Url) -> Option<String>| broker.url.as_ref().and_then(part);
        let user_name = broker.username.clone().or_else(|| of_url(|url| url.user.clone()));
        let password =
            broker.password.clone().or_else(|| of_url(|url| String::from_utf8(url.password.clone()?).ok()));
        if password.is_some() && user_name.is_none() && !broker.protocol.version().has_properties() {
            // [MQTT-3.1.2-22] of 3.1.1.
            return Err("a password without a user name takes MQTT 5.0".to_owned());
        }
        Ok(Settings {
            target: Target::new(broker)?,
            sources: broker.source.as_ref().map(|sources| sources.0.clone()).unwrap_or_default(),
            version: broker.protocol.version(),
            user_name,
            password,
            keep_alive_secs: broker.keep_alive,
            connect_rate: broker.connect_rate,
            connect_timeout: nanos(broker.connect_timeout),
            threads: usize::from(broker.threads),
            size: PayloadSize { min: CHECKED_BYTES, max: CHECKED_BYTES },
            filler: String::new(),
            batch: 1,
            pace: Drive::Closed { window: 1 },
            gather: 0,
            reads_late: false,
            drain: nanos(drain),
            connecting_is_measured: false,
        })
    }

    pub(super) fn with_payload(self, payload: &Payload, run: &str) -> Settings {
        let names = Names { index: "", number: 0, kind: "pub", run };
        Settings { size: payload.size, filler: payload.payload.fill(names), ..self }
    }

    pub(super) fn with_pace(self, pace: &Pace) -> Result<Settings, String> {
        let batch = u64::from(pace.batch);
        let drive = match (pace.rate, pace.window) {
            (Some(per_second), _) => Drive::Open { per_second },
            (None, Some(window)) if window < pace.batch => {
                return Err(format!("a window of {window} never has room for a batch of {batch}"));
            }
            (None, window) => Drive::Closed { window: window.map_or(batch, u64::from) },
        };
        let gather = nanos(pace.gather.unwrap_or_default());
        if gather > GATHER_MAX {
            return Err("--gather is 100 ms at most".to_owned());
        }
        Ok(Settings { batch, pace: drive, gather, ..self })
    }

    /// Lets arrivals be read late where it changes nothing but the price: in an open loop no arrival lets anything be
    /// sent, and at QoS 0 none is answered.
    pub(super) fn with_late_reading(self, plan: &Plan) -> Settings {
        let is_open = matches!(self.pace, Drive::Open { .. });
        let is_answered = plan.senders.iter().any(|sender| sender.qos != QoS::AtMostOnce);
        // A Unix socket stamps nothing.
        let is_stamped = self.target.ip().is_some() && arrival::can_stamp();
        Settings { reads_late: is_open && !is_answered && is_stamped, ..self }
    }
}
