//! How the scenarios go: what is ordered, in which order, and what is measured of it. Not who does it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::clock::{MILLI, Nanos, SECOND, nanos};
use super::connection::Entrance;
use super::crew::{Crew, Early, Sum};
use super::desk::Measured;
use super::meter::Meter;
use super::orders::{Order, Who};
use super::recorder::Interval;
use super::tally::Tally;

/// Time for the threads to hear of what begins.
const NOTICE: Nanos = 20 * MILLI;

/// What a script leaves behind, before it is put together.
pub(super) struct Raw {
    pub(super) tally: Tally,
    pub(super) series: BTreeMap<u64, Interval>,
    pub(super) broken: Vec<String>,
    pub(super) from: Nanos,
    pub(super) to: Nanos,
    pub(super) figures: Vec<(&'static str, f64, &'static str)>,
    /// Why it ended early, if it did.
    pub(super) ended: Option<Early>,
}

/// How long the load lasts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    Time { warmup: Duration, duration: Duration },
    Count { messages: u64, limit: Duration },
}

pub(super) struct Script<'a> {
    pub(super) crew: Crew,
    pub(super) meter: &'a mut Meter,
    pub(super) figures: Vec<(&'static str, f64, &'static str)>,
}

impl Script<'_> {
    /// Everybody connects, publishers send, receivers get: point to point, the fans, shared groups, matching, mixed.
    pub(super) fn traffic(mut self, length: Length) -> Result<Raw, String> {
        self.subscribe()?;
        self.connect(Who::Publishers, Entrance::New)?;
        let (from, to) = self.load(Who::All, length)?;
        self.settle()?;
        if let Length::Count { .. } = length {
            self.meter.end();
        }
        let keeps = self.crew.run.plan.clients.iter().any(|client| client.persistent);
        if keeps && self.crew.ended() != Some(Early::Deserted) {
            self.crew.order(Order::Leave(Who::Receivers));
            self.connect(Who::Receivers, Entrance::Wipe)?;
        }
        match length {
            Length::Time { .. } => self.end(from, to),
            Length::Count { .. } => self.end(from, Nanos::MAX),
        }
    }

    /// Receivers connect and subscribe; where there are many subscriptions, that is a figure of its own.
    fn subscribe(&mut self) -> Result<(), String> {
        let before = self.meter.broker_rss();
        let start = self.crew.now();
        self.connect(Who::Receivers, Entrance::New)?;
        if self.crew.run.plan.spread.is_empty() {
            return Ok(());
        }
        let filters = self.crew.run.plan.spread.len() as f64;
        let seconds = (self.crew.now() - start) as f64 / SECOND as f64;
        self.figures.push(("subscribed", filters / seconds, "filters/s"));
        if let (Some(before), Some(after)) = (before, self.meter.broker_rss()) {
            self.figures.push(("rss_per_filter", after.saturating_sub(before) as f64 / filters, "B"));
        }
        Ok(())
    }

    /// Clients connect and leave, again and again.
    pub(super) fn storm(mut self, length: Length) -> Result<Raw, String> {
        let (from, to) = self.load(Who::All, length)?;
        self.end(from, to)
    }

    /// Clients connect and stay.
    pub(super) fn idle(mut self, duration: Duration) -> Result<Raw, String> {
        let before = self.meter.broker_rss();
        let connections = self.crew.run.plan.clients.len() as f64;
        let start = self.crew.now();
        self.crew.order(Order::Measure(Measured { from: start, to: Nanos::MAX, since: 0 }));
        self.connect(Who::All, Entrance::New)?;
        let seconds = (self.crew.now() - start) as f64 / SECOND as f64;
        self.figures.push(("connect_rate", connections / seconds, "connections/s"));
        // What a broker needs only while a client connects may go again.
        let now = self.crew.now();
        self.crew.display.stage("hold", Some((now, now + nanos(duration))));
        self.meter.begin();
        if self.crew.wait_until(now + nanos(duration))?.is_some() {
            self.crew.heed();
        }
        self.meter.end();
        let to = self.crew.now();
        if let (Some(before), Some(after)) = (before, self.meter.broker_rss()) {
            self.figures.push(("rss_before", before as f64, "B"));
            self.figures.push(("rss_after", after as f64, "B"));
            let bytes = (after as f64 - before as f64) / connections;
            self.figures.push(("rss_per_connection", bytes, "B"));
        }
        self.settle()?;
        self.end(now, to)
    }

    /// Sessions lose their connections and take them up again, all at once.
    pub(super) fn come_back(mut self, patience: Duration, cut: bool) -> Result<Raw, String> {
        self.connect(Who::All, Entrance::New)?;
        let before = self.meter.broker_rss();
        let start = self.crew.now();
        self.crew.order(Order::Measure(Measured { from: start, to: Nanos::MAX, since: 0 }));
        if cut {
            // A broker that is restarted is another process, of which nothing is known.
            self.meter.begin();
        } else {
            self.crew.display.note("all are connected: restart the broker now");
        }
        self.crew.display.stage("return", None);
        self.crew.order(Order::Scatter { cut, patience: nanos(patience) });
        let deadline = start + self.crew.run.settings.connect_timeout;
        self.crew.wait_done(deadline, "coming back")?;
        let back = self.crew.now();
        if cut {
            self.meter.end();
        }
        self.figures.push(("all_back", (back - start) as f64 / SECOND as f64, "s"));
        if let (Some(before), Some(after)) = (before, self.meter.broker_rss()) {
            self.figures.push(("rss_before", before as f64, "B"));
            self.figures.push(("rss_after", after as f64, "B"));
        }
        self.crew.order(Order::Leave(Who::All));
        self.connect(Who::All, Entrance::Wipe)?;
        self.end(start, back)
    }

    /// One leaves retained messages; subscribers ask for all of them, again and again for so long.
    pub(super) fn retained(mut self, messages: u64, length: Option<Length>) -> Result<Raw, String> {
        let before = self.meter.broker_rss();
        self.connect(Who::Publishers, Entrance::New)?;
        self.meter.begin();
        let start = self.crew.now();
        self.all_of(Who::Publishers, messages, "store")?;
        let seconds = (self.crew.now() - start) as f64 / SECOND as f64;
        self.meter.end();
        self.figures.push(("stored", messages as f64 / seconds, "messages/s"));
        if let (Some(before), Some(after)) = (before, self.meter.broker_rss()) {
            let bytes = after.saturating_sub(before) as f64 / messages.max(1) as f64;
            self.figures.push(("rss_per_retained", bytes, "B"));
        }
        self.crew.order(Order::Leave(Who::Publishers));
        let Some(length) = length else { return self.end(start, Nanos::MAX) };
        self.connect(Who::Receivers, Entrance::New)?;
        let (from, to) = self.load(Who::Receivers, length)?;
        self.settle()?;
        if self.crew.ended() != Some(Early::Deserted) {
            self.connect(Who::Cleaners, Entrance::New)?;
            self.all_of(Who::Cleaners, messages, "clear")?;
        }
        self.end(from, to)
    }

    /// Sessions go away, messages come for them, they come back and get them, if they do.
    pub(super) fn offline(mut self, messages: u64, come_back: bool) -> Result<Raw, String> {
        self.connect(Who::Receivers, Entrance::New)?;
        self.crew.order(Order::Leave(Who::Receivers));
        self.connect(Who::Publishers, Entrance::New)?;
        let all = messages as f64 * self.crew.run.plan.senders.len() as f64;
        let before = self.meter.broker_rss();
        self.meter.begin();
        let start = self.crew.now();
        self.all_of(Who::Publishers, messages, "store")?;
        let seconds = (self.crew.now() - start) as f64 / SECOND as f64;
        self.meter.end();
        self.figures.push(("stored", all / seconds, "messages/s"));
        if let Some(broker) = self.meter.usage().0 {
            self.figures.push(("storing_cpu", broker.cpu_nanos as f64 / 1e3 / all, "µs/message"));
        }
        if let (Some(before), Some(after)) = (before, self.meter.broker_rss()) {
            self.figures.push(("rss_per_stored", after.saturating_sub(before) as f64 / all, "B"));
        }
        if !come_back {
            return self.end(start, Nanos::MAX);
        }
        let back = self.crew.now();
        self.crew.order(Order::Measure(Measured { from: back, to: Nanos::MAX, since: back }));
        self.meter.begin();
        self.connect(Who::Receivers, Entrance::Return)?;
        self.settle()?;
        self.meter.end();
        self.crew.order(Order::Leave(Who::Receivers));
        self.connect(Who::Receivers, Entrance::Wipe)?;
        self.end(back, Nanos::MAX)
    }

    fn connect(&mut self, who: Who, entrance: Entrance) -> Result<(), String> {
        let deadline = self.crew.now() + self.crew.run.settings.connect_timeout;
        self.crew.display.stage(if entrance == Entrance::Return { "return" } else { "connect" }, None);
        self.crew.order(Order::Connect { who, entrance });
        self.crew.wait_unbroken(deadline, "connecting")
    }

    /// Loads the broker, looks at it at both ends of the measured time, and returns these.
    fn load(&mut self, who: Who, length: Length) -> Result<(Nanos, Nanos), String> {
        let start = self.crew.now() + NOTICE;
        let patience = self.crew.run.settings.drain + SECOND;
        let (from, mut to, mut stop_at, limit) = match length {
            Length::Time { warmup, duration } => {
                let from = start + nanos(warmup);
                let to = from + nanos(duration);
                (from, to, to, None)
            }
            Length::Count { messages, limit } => {
                (start - NOTICE, Nanos::MAX, start + nanos(limit), Some(messages))
            }
        };
        self.crew.order(Order::Measure(Measured { from, to, since: 0 }));
        if limit.is_some() {
            self.meter.begin();
        }
        self.crew.order(Order::Load { who, start, stop_at, limit });
        if limit.is_none() {
            self.crew.display.stage("warm up", Some((start, from)));
            if let Some(why) = self.crew.wait_until(from)? {
                return Err(self.nothing_measured(why));
            }
            self.meter.begin();
            self.crew.display.stage("measure", Some((from, to)));
            if self.crew.wait_until(to)?.is_some() {
                let now = self.crew.now();
                (to, stop_at) = (now, now);
                self.crew.order(Order::Measure(Measured { from, to, since: 0 }));
                self.crew.heed();
            }
            self.meter.end();
        } else {
            self.crew.display.stage("measure", None);
        }
        self.crew.wait_sent(stop_at.saturating_add(patience), "publishing")?;
        Ok((from, to))
    }

    fn nothing_measured(&self, why: Early) -> String {
        match (why, self.crew.broken.first()) {
            (Early::Deserted, Some(first)) => {
                format!("all connections broke before anything was measured; the first: {first}")
            }
            _ => "interrupted before anything was measured".to_owned(),
        }
    }

    /// These publishers send so many messages each, which nobody measures.
    fn all_of(&mut self, who: Who, messages: u64, stage: &str) -> Result<(), String> {
        self.crew.display.stage(stage, None);
        let start = self.crew.now();
        let stop_at = start + 600 * SECOND;
        self.crew.order(Order::Load { who, start, stop_at, limit: Some(messages) });
        self.crew.wait_unbroken(stop_at + self.crew.run.settings.drain + SECOND, stage)
    }

    fn settle(&mut self) -> Result<(), String> {
        let deadline = self.crew.now() + self.crew.run.settings.drain;
        self.crew.display.stage("drain", None);
        self.crew.order(Order::Settle { deadline });
        self.crew.wait_done(deadline + SECOND, "draining")
    }

    /// Ends the run. Where the measured time has no end of its own, the last arrival is.
    fn end(self, from: Nanos, to: Nanos) -> Result<Raw, String> {
        let ended = self.crew.ended();
        let now = self.crew.now();
        let Sum { tally, series, broken } = self.crew.finish()?;
        let last = if tally.last_arrival > from { tally.last_arrival } else { now };
        let to = if to == Nanos::MAX { last } else { to };
        let mut figures = self.figures;
        for (name, count) in [
            ("tries_failed", tally.tries_failed),
            ("tries_refused", tally.tries_refused),
            ("tries_given_up", tally.tries_given_up),
        ] {
            if count > 0 {
                figures.push((name, count as f64, "tries"));
            }
        }
        if tally.handshakes > 0 {
            let share = tally.resumed as f64 * 100.0 / tally.handshakes as f64;
            figures.push(("tls_resumed", share, "% of handshakes"));
        }
        Ok(Raw { tally, series, broken, from, to, figures, ended })
    }
}
