//! What a run has found: counts, latencies, what the machine did meanwhile, and whether all was right. Not how it is
//! shown.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::clock::{Nanos, SECOND};
use super::crew::{Early, INTERVAL};
use super::process::{MachineUsage, Usage};
use super::recorder::{Interval, histogram};
use super::tally::Tally;

/// From this share of a core on, a thread of the generator is what limits the run.
const SATURATED: f64 = 0.95;
/// A share of the machine's processors that others may use without disturbing.
const DISTURBED: f64 = 0.05;
/// The part of its rate that an open loop must keep.
const RATE_KEPT: f64 = 0.99;
/// The longest time by which an open loop may send a message too late and still keep its rate.
const LATE_MAX: Nanos = 100_000_000;

#[derive(Debug)]
pub(super) struct Findings {
    pub(super) scenario: &'static str,
    pub(super) label: String,
    /// What the run was told, by the names of its options.
    pub(super) options: Vec<(&'static str, String)>,
    /// What one unit of `delivered` is.
    pub(super) unit: &'static str,
    /// What the latency is the latency of.
    pub(super) latency_of: String,
    pub(super) tally: Tally,
    pub(super) allow_qos0_loss: bool,
    /// The measured time in nanoseconds since the run began.
    pub(super) from: Nanos,
    pub(super) to: Nanos,
    pub(super) series: BTreeMap<u64, Interval>,
    pub(super) broker: Option<Usage>,
    /// Whether its process ended before the measured time did.
    pub(super) broker_has_gone: bool,
    pub(super) own: Usage,
    pub(super) machine: MachineUsage,
    /// What a nap of one of the generator's threads costs by itself, in nanoseconds of processor time, if that matters.
    pub(super) nap: Option<Nanos>,
    /// The time between the two looks at the processes.
    pub(super) looked: Nanos,
    /// Messages per second that were asked for, in an open loop.
    pub(super) rate: Option<f64>,
    /// Further figures of the scenario: name, value, unit.
    pub(super) figures: Vec<(&'static str, f64, &'static str)>,
    /// What was wrong with the first connections that broke.
    pub(super) broken: Vec<String>,
    /// Why it ended early, if it did.
    pub(super) ended: Option<Early>,
    /// Seconds since 1970 at the start of the run.
    pub(super) started: f64,
    pub(super) cores: usize,
}

impl Findings {
    pub(super) fn seconds(&self) -> f64 {
        self.to.saturating_sub(self.from).max(1) as f64 / SECOND as f64
    }

    pub(super) fn delivered_per_second(&self) -> f64 {
        self.tally.delivered_measured as f64 / self.seconds()
    }

    pub(super) fn sent_per_second(&self) -> f64 {
        self.tally.sent_measured as f64 / self.seconds()
    }

    /// All latencies of the measured time.
    pub(super) fn latencies(&self) -> Histogram<u64> {
        self.series.values().fold(histogram(), |mut sum, interval| {
            // All have the same bounds.
            let _ = sum.add(&interval.latencies);
            sum
        })
    }

    /// How long all publishers waited for the last acknowledgement of what was due in the measured time.
    pub(super) fn acknowledgements(&self) -> Histogram<u64> {
        self.series.values().fold(histogram(), |mut sum, interval| {
            // All have the same bounds.
            let _ = sum.add(&interval.acknowledgements);
            sum
        })
    }

    /// The intervals that lie within the measured time whole; all that touch it where it is shorter than two.
    pub(super) fn measured_intervals(&self) -> impl Iterator<Item = &Interval> {
        let whole = |interval: &Interval| {
            interval.index * INTERVAL >= self.from && (interval.index + 1) * INTERVAL <= self.to
        };
        let touches = |interval: &Interval| {
            (interval.index + 1) * INTERVAL > self.from && interval.index * INTERVAL < self.to
        };
        let short = self.series.values().filter(|interval| whole(interval)).count() < 2;
        self.series.values().filter(move |interval| if short { touches(interval) } else { whole(interval) })
    }

    /// Processor time per delivered message, in microseconds.
    pub(super) fn micros_per_message(&self, usage: &Usage) -> Option<f64> {
        let delivered = self.tally.delivered_measured;
        (delivered > 0).then(|| usage.cpu_nanos as f64 / 1e3 / delivered as f64)
    }

    /// The share of a core that somebody used.
    pub(super) fn cores_of(&self, nanos: u64) -> f64 {
        nanos as f64 / self.looked.max(1) as f64
    }

    /// Cores used by neither the broker nor the generator, if the broker's process is known.
    pub(super) fn others(&self) -> Option<f64> {
        let ours = self.own.cpu_nanos + self.broker?.cpu_nanos;
        Some(self.cores_of(self.machine.busy_nanos.saturating_sub(ours)))
    }

    /// Faults that make the run a failure, with their counts.
    pub(super) fn faults(&self) -> Vec<(&'static str, u64)> {
        let counted = self.tally.faults().into_iter().map(|(name, count)| match name {
            "lost" if self.allow_qos0_loss => (name, count - self.tally.lost_qos0.min(count)),
            _ => (name, count),
        });
        let mut faults: Vec<_> = counted.filter(|(_, count)| *count > 0).collect();
        if self.rate_missed().is_some() {
            faults.push(("rate_not_kept", 1));
        }
        faults
    }

    /// Why the open loop did not keep its rate, if it did not.
    pub(super) fn rate_missed(&self) -> Option<String> {
        let rate = self.rate?;
        let due = self.tally.due_measured as f64;
        let sent = self.tally.due_sent as f64;
        if sent < due * RATE_KEPT || self.tally.latest > LATE_MAX {
            let late = self.tally.latest as f64 / 1e6;
            let kept = sent / self.seconds();
            return Some(format!(
                "the rate was not kept: {rate:.0}/s were due, {kept:.0}/s were sent, the latest {late:.1} ms too late"
            ));
        }
        None
    }

    /// Whether the generator spent more than the broker.
    pub(super) fn costs_more_than(own: &Usage, broker: Option<&Usage>) -> bool {
        broker.is_some_and(|broker| own.cpu_nanos > broker.cpu_nanos)
    }

    /// What of the generator's processor time per message goes into sleeping and waking, in microseconds.
    pub(super) fn napping_micros(&self) -> Option<f64> {
        let naps = self.tally.naps_measured as f64 / self.tally.delivered_measured.max(1) as f64;
        Some(naps * self.nap? as f64 / 1e3)
    }

    /// Why the generator may spend more processor time than the broker: what it cannot do at a lower price.
    fn why(&self) -> String {
        match (self.scenario, self.rate, self.nap.zip(self.napping_micros())) {
            ("connect", _, _) => {
                "on one machine whoever opens a connection pays for both sides of its handshake, \
                 and looks for a free port (see --source)"
                    .to_owned()
            }
            (_, Some(_), Some((nap, per_message))) => format!(
                "it sleeps until a message is due, and a thread that does only that spends {:.1} µs each time on this \
                 machine, {per_message:.1} µs per message; the broker is woken by what is sent (see --gather)",
                nap as f64 / 1e3
            ),
            (_, Some(_), None) => {
                "it wakes when a message is due and again when there is something to answer (see --gather)"
                    .to_owned()
            }
            (_, None, _) => "on one machine whoever sends pays for the way to the receiver".to_owned(),
        }
    }

    /// What a reader of the figures must know to read them right.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self.rate_missed().into_iter().collect();
        let busiest = self.cores_of(self.own.busiest_nanos);
        if busiest >= SATURATED {
            warnings.push(format!(
                "the generator is the bottleneck: one of its threads was busy {:.0} % of the time (see --threads)",
                busiest * 100.0
            ));
        }
        if self.tally.delivered_measured > 0 && Findings::costs_more_than(&self.own, self.broker.as_ref()) {
            let why = self.why();
            warnings.push(format!("the generator spent more processor time than the broker: {why}"));
        }
        if let Some(others) = self.others().filter(|others| *others > DISTURBED * self.cores as f64) {
            warnings.push(format!("others used {others:.2} cores meanwhile: the figures are disturbed"));
        }
        let stolen = self.cores_of(self.machine.stolen_nanos);
        if stolen > DISTURBED * self.cores as f64 {
            warnings
                .push(format!("the hypervisor took {stolen:.2} cores meanwhile: the figures are disturbed"));
        }
        match self.ended {
            None => {}
            Some(Early::Interrupted) => warnings.push("ended early by the user".to_owned()),
            Some(Early::Deserted) => warnings.push("ended early: no connection was left".to_owned()),
        }
        if self.broker_has_gone {
            warnings.push("the process of --pid ended meanwhile".to_owned());
        }
        let had_work = self.tally.delivered_measured > 1_000 && self.looked > SECOND;
        if had_work && self.broker.is_some_and(|broker| broker.cpu_nanos == 0) {
            warnings.push("the process of --pid did nothing meanwhile: is it the broker?".to_owned());
        }
        if self.tally.doubted > 0 {
            warnings.push(format!(
                "the wall clock was set meanwhile: what {} reads brought counts as having come when it was read",
                self.tally.doubted
            ));
        }
        if self.tally.stalls > 0 {
            warnings.push(format!(
                "publishers waited a second in vain and went on, {} times in all: throughput suffers from it",
                self.tally.stalls
            ));
        }
        warnings
    }
}
