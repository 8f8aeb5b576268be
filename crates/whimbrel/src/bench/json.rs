//! The results as JSON, and read back for a report. Not the text for people.

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::clock::SECOND;
use super::crew::{Early, INTERVAL};
use super::findings::Findings;
use super::process::Usage;
use super::recorder::Interval;

/// What the results are called in the file, so that a report knows its own.
pub(super) const FORMAT: &str = "whimbrel-bench-1";

/// The quantiles that are told, by name.
pub(super) const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0)];

pub(super) fn value(findings: &Findings) -> Value {
    let tally = &findings.tally;
    let options: Map<String, Value> =
        findings.options.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let figures: Map<String, Value> = findings
        .figures
        .iter()
        .map(|(name, value, unit)| ((*name).to_owned(), json!({ "value": value, "unit": unit })))
        .collect();
    let counts: Map<String, Value> =
        tally.faults().iter().map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
    let failures: Vec<&str> = findings.faults().into_iter().map(|(name, _)| name).collect();
    json!({
        "format": FORMAT,
        "program": concat!("whimbrel ", env!("CARGO_PKG_VERSION")),
        "started": findings.started,
        "scenario": findings.scenario,
        "label": findings.label,
        "options": options,
        "unit": findings.unit,
        "all_right": failures.is_empty(),
        "failures": failures,
        "warnings": findings.warnings(),
        "broken": findings.broken,
        "interrupted": findings.ended == Some(Early::Interrupted),
        "whole_run": { "sent": tally.sent, "delivered": tally.delivered, "faults": counts,
            "lost_at_qos0": tally.lost_qos0, "stalls": tally.stalls, "unsent": tally.unsent },
        "measured": { "seconds": findings.seconds(), "sent": tally.sent_measured,
            "delivered": tally.delivered_measured, "payload_bytes": tally.bytes_measured,
            "sent_per_second": findings.sent_per_second(),
            "delivered_per_second": findings.delivered_per_second() },
        "open_loop": findings.rate.map(|rate| json!({ "rate": rate, "due": tally.due_measured,
            "kept": findings.rate_missed().is_none(), "latest_us": tally.latest as f64 / 1e3 })),
        "latency": quantiles(&findings.latencies(), &findings.latency_of),
        "acknowledgement": quantiles(&findings.acknowledgements(), "from the moment when a message was due to its last acknowledgement"),
        "broker": findings.broker.as_ref().map(|usage| of_process(findings, usage)),
        "generator": of_process(findings, &findings.own),
        "generator_napping_us_per_message": findings.napping_micros(),
        "machine": { "cores": findings.cores, "others_cores": findings.others(),
            "stolen_cores": findings.cores_of(findings.machine.stolen_nanos) },
        "figures": figures,
        "series": series(findings),
    })
}

fn quantiles(all: &Histogram<u64>, of: &str) -> Value {
    if all.is_empty() {
        return Value::Null;
    }
    let mut latency = Map::new();
    latency.insert("of".to_owned(), json!(of));
    latency.insert("count".to_owned(), json!(all.len()));
    latency.insert("mean_us".to_owned(), json!(all.mean() / 1e3));
    latency.insert("min_us".to_owned(), json!(all.min() as f64 / 1e3));
    for (name, quantile) in QUANTILES {
        latency.insert(format!("{name}_us"), json!(all.value_at_quantile(quantile) as f64 / 1e3));
    }
    Value::Object(latency)
}

fn of_process(findings: &Findings, usage: &Usage) -> Value {
    json!({
        "cpu_us_per_message": findings.micros_per_message(usage),
        "cpu_seconds": usage.cpu_nanos as f64 / 1e9,
        "cores": findings.cores_of(usage.cpu_nanos),
        "busiest_thread_cores": findings.cores_of(usage.busiest_nanos),
        "kernel_share": usage.kernel_share,
        "context_switches": usage.switches,
        "rss_bytes": usage.rss_bytes,
        "pss_bytes": usage.pss_bytes,
    })
}

/// The intervals of the measured time, with throughput and latency of each.
fn series(findings: &Findings) -> Vec<Value> {
    let seconds = INTERVAL as f64 / SECOND as f64;
    let row = |interval: &Interval| {
        let at = |quantile| interval.latencies.value_at_quantile(quantile) as f64 / 1e3;
        let known = !interval.latencies.is_empty();
        json!({
            "seconds": (interval.index * INTERVAL) as f64 / SECOND as f64 - findings.from as f64 / SECOND as f64,
            "sent_per_second": interval.sent as f64 / seconds,
            "delivered_per_second": interval.delivered as f64 / seconds,
            "p50_us": known.then(|| at(0.5)),
            "p99_us": known.then(|| at(0.99)),
            "p99.9_us": known.then(|| at(0.999)),
            "max_us": known.then(|| at(1.0)),
        })
    };
    findings.measured_intervals().map(row).collect()
}
