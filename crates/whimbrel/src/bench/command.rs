//! The command line of `whimbrel bench`: from a scenario's options to its run and its exit code. Not the run.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;

use super::clock::Clock;
use super::crash;
use super::crew::{Crew, Early};
use super::desk::Run;
use super::display::Display;
use super::findings::Findings;
use super::interrupt::{INTERRUPTED, Interrupt};
use super::lazy;
use super::meter::Meter;
use super::ready::{self, Course, Ready};
use super::report;
use super::scenario::{Connect, FanIn, FanOut, Idle, Match, Mixed, Offline, P2p, Retained, Shared, Storm};
use super::script::{Raw, Script};
use super::settings::Drive;
use super::summary;
use crate::cli::{FAILED, MISUSED};
use crate::output;

#[derive(Debug, clap::Args)]
#[command(after_help = FIRST_RUN)]
pub(crate) struct Args {
    #[command(subcommand)]
    scenario: Scenario,
}

const FIRST_RUN: &str = "\
A first run, against a broker on this machine (`whimbrel serve` starts one):

  whimbrel bench p2p                       throughput, and latency under it
  whimbrel bench p2p --rate 1000           latency at 1,000 messages per second
  whimbrel bench p2p --batch 16 --pid PID  what a message costs the broker
  whimbrel bench idle -n 10000 --pid PID   what a connection costs the broker

Ctrl-C ends a run early, with the results until then; a second one ends it at once.

Exit codes:
    0  all was right
    1  something was lost, repeated, out of order, damaged or late, or could
       not be found out
    2  wrong options
  130  ended early by Ctrl-C, and all was right until then";

#[derive(Debug, Subcommand)]
enum Scenario {
    /// Point to point: pairs of one publisher and one subscriber.
    #[command(name = "p2p")]
    P2p(Box<P2p>),
    /// Many publish, few get everything.
    FanIn(Box<FanIn>),
    /// Few publish, many get everything.
    FanOut(Box<FanOut>),
    /// Many publish, groups share it out among their members.
    Shared(Box<Shared>),
    /// Up to millions of subscriptions, of which each message matches one.
    Match(Box<Match>),
    /// All of these at once, at every QoS.
    Mixed(Box<Mixed>),
    /// Clients connect and leave, again and again.
    Connect(Box<Connect>),
    /// Clients connect and stay.
    Idle(Box<Idle>),
    /// Clients with sessions lose their connections and come back all at once.
    Storm(Box<Storm>),
    /// Subscribers ask for many retained messages.
    Retained(Box<Retained>),
    /// Sessions that are away get their messages when they come back.
    Offline(Box<Offline>),
    /// Kill the broker again and again, and account for everything that it had acknowledged.
    Crash(Box<crash::Args>),
    /// One page (HTML) of several results, side by side.
    Report(report::Args),
}

pub(crate) fn run(args: Args) -> ExitCode {
    let name = run_name();
    let ready = match args.scenario {
        Scenario::P2p(one) => ready::p2p(*one, &name),
        Scenario::FanIn(one) => ready::fan_in(*one, &name),
        Scenario::FanOut(one) => ready::fan_out(*one, &name),
        Scenario::Shared(one) => ready::shared(*one, &name),
        Scenario::Match(one) => ready::matching(*one, &name),
        Scenario::Mixed(one) => ready::mixed(*one, &name),
        Scenario::Connect(one) => ready::connect(*one, &name),
        Scenario::Idle(one) => ready::idle(*one, &name),
        Scenario::Storm(one) => ready::storm(*one, &name),
        Scenario::Retained(one) => ready::retained(*one, &name),
        Scenario::Offline(one) => ready::offline(*one, &name),
        Scenario::Report(args) => return report::run(&args),
        Scenario::Crash(one) => return crash::run(&one),
    };
    match ready.and_then(Ready::checked) {
        Ok(ready) => go(ready),
        Err(wrong) => output::failure(MISUSED, wrong),
    }
}

/// A name that no other run has, so that topics and client ids of two runs never meet.
fn run_name() -> String {
    let mut bytes = [0; 4];
    if getrandom::fill(&mut bytes).is_err() {
        bytes = std::process::id().to_be_bytes();
    }
    format!("{:08x}", u32::from_be_bytes(bytes))
}

fn go(ready: Ready) -> ExitCode {
    let clock = Clock::start();
    let mut meter = match Meter::new(clock, ready.results.pid) {
        Ok(meter) => meter,
        Err(wrong) => return output::failure(MISUSED, wrong),
    };
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    if let Err(wrong) = summary::check(&ready.results) {
        return output::failure(MISUSED, wrong);
    }
    let interrupt = match Interrupt::watch() {
        Ok(interrupt) => interrupt,
        Err(error) => return output::failure(FAILED, format!("signals cannot be heard: {error}")),
    };
    let display = Display::new(ready.results.quiet);
    if !ready.settings.target.is_here() {
        display.note(&format!("traffic leaves this machine: {}", ready.settings.target));
    }
    let rate = match ready.settings.pace {
        Drive::Open { per_second } => Some(per_second),
        Drive::Closed { .. } => None,
    };
    let run = Run::new(clock, ready.plan, ready.settings);
    let crew = Crew::start(Arc::new(run), display, interrupt.clone());
    let raw = match crew
        .map_err(|error| error.to_string())
        .and_then(|crew| perform(ready.course, crew, &mut meter))
    {
        Ok(raw) => raw,
        Err(reason) => {
            let code = if interrupt.has_come() { INTERRUPTED } else { FAILED };
            return output::failure(code, format!("{}: {reason}", ready.name));
        }
    };
    let (broker, own, machine, looked) = meter.usage();
    let nap = match raw.tally.naps_measured {
        naps @ 1.. if Findings::costs_more_than(&own, broker.as_ref()) => lazy::price_of_a_nap(looked / naps),
        _ => None,
    };
    let findings = Findings {
        scenario: ready.name,
        label: ready.results.label.clone(),
        options: ready.options,
        unit: ready.unit,
        latency_of: ready.latency_of,
        tally: raw.tally,
        allow_qos0_loss: ready.allow_qos0_loss,
        from: raw.from,
        to: raw.to,
        series: raw.series,
        broker,
        broker_has_gone: meter.has_lost_broker(),
        own,
        machine,
        nap,
        looked,
        rate,
        figures: raw.figures,
        broken: raw.broken,
        ended: raw.ended,
        started,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    };
    match summary::tell(&findings, &ready.results) {
        Ok(()) if !findings.faults().is_empty() => ExitCode::from(FAILED),
        Ok(()) if findings.ended == Some(Early::Interrupted) => ExitCode::from(INTERRUPTED),
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::failure(FAILED, error),
    }
}

fn perform(course: Course, crew: Crew, meter: &mut Meter) -> Result<Raw, String> {
    let script = Script { crew, meter, figures: Vec::new() };
    match course {
        Course::Traffic(length) => script.traffic(length),
        Course::Storm(length) => script.storm(length),
        Course::Return { patience, cut } => script.come_back(patience, cut),
        Course::Idle(duration) => script.idle(duration),
        Course::Retained { messages, length } => script.retained(messages, length),
        Course::Offline { messages, come_back } => script.offline(messages, come_back),
    }
}
