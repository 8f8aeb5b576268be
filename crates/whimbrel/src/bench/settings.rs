//! What the threads of a run need to know about how to do it: options, resolved. Not who does what.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use whimbrel_codec::{QoS, Version};

use super::arrival;
use super::clock::{MILLI, Nanos, nanos};
use super::options::{Broker, Pace, Payload};
use super::plan::Plan;
use super::quantity::PayloadSize;
use super::stamp::CHECKED_BYTES;
use super::template::Names;

/// The longest time between two looks, which is still short for whoever waits for an answer.
const GATHER_MAX: Nanos = 100 * MILLI;

/// It does not change while they run.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) address: SocketAddr,
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
        if broker.password.is_some()
            && broker.username.is_none()
            && !broker.protocol.version().has_properties()
        {
            // [MQTT-3.1.2-22] of 3.1.1.
            return Err("a password without a user name takes MQTT 5.0".to_owned());
        }
        Ok(Settings {
            address: resolve(&broker.host, broker.port)?,
            sources: broker.source.as_ref().map(|sources| sources.0.clone()).unwrap_or_default(),
            version: broker.protocol.version(),
            user_name: broker.username.clone(),
            password: broker.password.clone(),
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
        Settings { reads_late: is_open && !is_answered && arrival::can_stamp(), ..self }
    }
}

fn no_host(host: &str, error: &io::Error) -> String {
    let hint = if host.contains(':') { " (the port goes to --port)" } else { "" };
    format!("host {host}: {error}{hint}")
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut addresses =
        (host, port).to_socket_addrs().map_err(|error| no_host(host, &error))?.collect::<Vec<_>>();
    // A broker that listens on one loopback address only is more often found on the older one.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.first().copied().ok_or_else(|| format!("host {host} has no address"))
}
