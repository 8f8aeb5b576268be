//! The scenarios that are compared: what `whimbrel bench` is told, and what is looked at. Not who takes part.

/// A figure of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    /// The broker's processor time per delivered message.
    Cpu,
    /// Delivered messages per second.
    Throughput,
    /// The latency that one of a hundred messages exceeds.
    P99,
    /// Resident memory per idle connection.
    Bytes,
}

/// One scenario.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// What follows `whimbrel bench`.
    pub(super) arguments: &'static [&'static str],
    pub(super) metrics: &'static [Metric],
}

const LOADED: &[Metric] = &[Metric::Cpu, Metric::Throughput, Metric::P99];

/// All of them, in the order of the tables.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "p2p",
        title: "100 pairs, one message at a time each, QoS 0",
        arguments: &["p2p", "--pairs", "100"],
        metrics: LOADED,
    },
    Scenario {
        name: "p2p-16-qos0",
        title: "100 pairs, batches of 16, QoS 0",
        arguments: &["p2p", "--pairs", "100", "--batch", "16"],
        metrics: LOADED,
    },
    Scenario {
        name: "p2p-16-qos1",
        title: "100 pairs, batches of 16, QoS 1",
        arguments: &["p2p", "--pairs", "100", "--batch", "16", "--qos", "1"],
        metrics: LOADED,
    },
    Scenario {
        name: "p2p-16-qos2",
        title: "100 pairs, batches of 16, QoS 2",
        arguments: &["p2p", "--pairs", "100", "--batch", "16", "--qos", "2"],
        metrics: LOADED,
    },
    Scenario {
        name: "fan-out",
        title: "fan-out from 1 to 1,000, QoS 0",
        arguments: &["fan-out", "--publishers", "1", "--subscribers", "1000"],
        metrics: LOADED,
    },
    Scenario {
        name: "fan-in",
        title: "fan-in from 200 to 1, QoS 0",
        arguments: &["fan-in", "--publishers", "200", "--subscribers", "1"],
        metrics: LOADED,
    },
    Scenario {
        name: "shared",
        title: "100 publishers, a shared group of 8, QoS 0",
        arguments: &["shared", "--publishers", "100", "--groups", "1", "--members", "8"],
        metrics: LOADED,
    },
    Scenario {
        name: "match",
        title: "100,000 filters, of which each message matches one, QoS 0",
        arguments: &["match", "--filters", "100000"],
        metrics: LOADED,
    },
    Scenario {
        name: "connect",
        title: "50 clients that connect and leave (per connection)",
        // From many addresses, since the search for a free port becomes long where the last ones are hardly closed.
        arguments: &["connect", "--clients", "50", "--source", "127.0.0.2-200"],
        metrics: LOADED,
    },
    Scenario {
        name: "paced",
        title: "50 pairs, 5,000 messages/s in all, QoS 0",
        arguments: &["p2p", "--pairs", "50", "--rate", "5000"],
        metrics: &[Metric::Cpu, Metric::P99],
    },
    Scenario {
        name: "idle",
        title: "5,000 idle connections with a subscription each",
        arguments: &["idle", "--connections", "5000", "--subscribe"],
        metrics: &[Metric::Bytes],
    },
];

impl Scenario {
    /// Whether the relay can stand for the physical limit: it walks over all filters, which is not what matching costs.
    pub(super) fn has_limit(&self) -> bool {
        self.name != "match"
    }

    /// Whether messages flow, so that a load before the measured time makes sense.
    pub(super) fn has_load(&self) -> bool {
        self.metrics.contains(&Metric::Cpu)
    }
}

impl Metric {
    pub(super) const ALL: [Metric; 4] = [Metric::Cpu, Metric::Throughput, Metric::P99, Metric::Bytes];

    /// Where it stands in the JSON of a run.
    pub(super) fn path(self) -> &'static [&'static str] {
        match self {
            Metric::Cpu => &["broker", "cpu_us_per_message"],
            Metric::Throughput => &["measured", "delivered_per_second"],
            Metric::P99 => &["latency", "p99_us"],
            Metric::Bytes => &["figures", "rss_per_connection", "value"],
        }
    }

    /// The heading of its table.
    pub(super) fn heading(self) -> &'static str {
        match self {
            Metric::Cpu => "Processor time of the broker per delivered message (less is better)",
            Metric::Throughput => "Delivered messages per second (more is better)",
            Metric::P99 => "99th percentile of the latency (less is better)",
            Metric::Bytes => "Resident memory per idle connection (less is better)",
        }
    }

    pub(super) fn figure(self, value: f64) -> String {
        match self {
            Metric::Cpu => format!("{value:.2} µs"),
            Metric::Throughput => format!("{value:.0}/s"),
            Metric::P99 => format!("{:.2} ms", value / 1e3),
            Metric::Bytes => format!("{value:.0} B"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_have_names_of_their_own_and_something_to_compare() {
        for (at, scenario) in SCENARIOS.iter().enumerate() {
            assert!(!scenario.metrics.is_empty(), "{}", scenario.name);
            assert!(
                SCENARIOS.iter().skip(at + 1).all(|other| other.name != scenario.name),
                "{}",
                scenario.name
            );
        }
    }
}
