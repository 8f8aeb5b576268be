//! Makes scenarios ready to run: from their options to a plan, settings and a course. Not the running.

use std::fmt::Write as _;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use whimbrel_codec::QoS;

use super::cast::Cast;
use super::options::{Broker, Pace, Results, Span, Window};
use super::plan::{Plan, Work};
use super::scenario::{
    Connect, FanIn, FanOut, Flow, Idle, Match, Mixed, Offline, P2p, Retained, Shared, Storm, Traffic,
};
use super::script::Length;
use super::settings::{Drive, Settings};

/// Files that the generator needs besides its connections.
const OWN_FILES: u64 = 64;

/// A scenario made ready.
pub(super) struct Ready {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) latency_of: String,
    pub(super) plan: Plan,
    pub(super) settings: Settings,
    pub(super) results: Results,
    pub(super) allow_qos0_loss: bool,
    pub(super) options: Options,
    pub(super) course: Course,
}

/// What a run was told, by the names of the options.
type Options = Vec<(&'static str, String)>;

/// Which script it follows.
pub(super) enum Course {
    Traffic(Length),
    Storm(Length),
    Idle(Duration),
    Return { patience: Duration, cut: bool },
    Retained { messages: u64, length: Option<Length> },
    Offline { messages: u64, come_back: bool },
}

impl Ready {
    /// Refuses what no broker would take, or what this machine cannot do.
    pub(super) fn checked(self) -> Result<Ready, String> {
        self.plan.check()?;
        let needed = self.plan.clients.len() as u64 + OWN_FILES;
        let files = raise_file_limit();
        if needed > files {
            let most = files.saturating_sub(OWN_FILES);
            return Err(format!(
                "{} connections are too many: this process may open {files} files, so {most} connections (see ulimit -n)",
                self.plan.clients.len()
            ));
        }
        Ok(self)
    }
}

/// Raises the limit of open files as far as the system lets this process and gives it.
fn raise_file_limit() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // Whatever it is then, it is what counts.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

pub(super) fn p2p(one: P2p, run: &str) -> Result<Ready, String> {
    let mut cast = Cast::new(&one.flow.traffic.broker.client_id, run);
    let (qos, topic) = (one.flow.quality.qos(), &one.flow.topic.topic);
    cast.pairs(one.pairs as usize, qos, topic, "");
    flow("p2p", cast.plan, vec![("pairs", one.pairs.to_string())], one.flow, run)
}

pub(super) fn fan_in(one: FanIn, run: &str) -> Result<Ready, String> {
    fan("fan-in", (one.publishers, one.subscribers), one.flow, run)
}

pub(super) fn fan_out(one: FanOut, run: &str) -> Result<Ready, String> {
    fan("fan-out", (one.publishers, one.subscribers), one.flow, run)
}

fn fan(
    name: &'static str,
    (publishers, subscribers): (u32, u32),
    all: Flow,
    run: &str,
) -> Result<Ready, String> {
    let mut cast = Cast::new(&all.traffic.broker.client_id, run);
    cast.fan(publishers as usize, subscribers as usize, all.quality.qos(), &all.topic.topic, "")?;
    let options = vec![("publishers", publishers.to_string()), ("subscribers", subscribers.to_string())];
    flow(name, cast.plan, options, all, run)
}

pub(super) fn shared(one: Shared, run: &str) -> Result<Ready, String> {
    let mut cast = Cast::new(&one.flow.traffic.broker.client_id, run);
    let (qos, topic) = (one.flow.quality.qos(), &one.flow.topic.topic);
    let groups = (one.groups as usize, one.members as usize);
    cast.shared(one.publishers as usize, groups, qos, topic, "")?;
    let options = vec![
        ("publishers", one.publishers.to_string()),
        ("groups", one.groups.to_string()),
        ("members", one.members.to_string()),
    ];
    flow("shared", cast.plan, options, one.flow, run)
}

/// Traffic with one QoS for all.
fn flow(
    name: &'static str,
    mut plan: Plan,
    mut options: Options,
    flow: Flow,
    run: &str,
) -> Result<Ready, String> {
    options.push(("qos", flow.quality.qos().to_string()));
    if flow.keeping.persistent {
        options.push(("persistent", true.to_string()));
        plan.keep_sessions();
    }
    traffic(name, plan, options, flow.quality.allow_qos0_loss, flow.traffic, run)
}

pub(super) fn matching(one: Match, run: &str) -> Result<Ready, String> {
    let mut cast = Cast::new(&one.traffic.broker.client_id, run);
    let qos = one.quality.qos();
    cast.matching(one.filters as usize, one.per_client as usize, one.publishers as usize, qos);
    let plan = cast.plan;
    let options = vec![
        ("filters", one.filters.to_string()),
        ("per-client", one.per_client.to_string()),
        ("publishers", one.publishers.to_string()),
        ("qos", qos.to_string()),
    ];
    traffic("match", plan, options, one.quality.allow_qos0_loss, one.traffic, run)
}

pub(super) fn mixed(one: Mixed, run: &str) -> Result<Ready, String> {
    let mut cast = Cast::new(&one.traffic.broker.client_id, run);
    let scale = one.scale as usize;
    for (qos, kind) in [(QoS::AtMostOnce, "a"), (QoS::AtLeastOnce, "b"), (QoS::ExactlyOnce, "c")] {
        cast.pairs(scale, qos, &format!("bench/%r/p2p{kind}/%i").parse()?, kind);
    }
    cast.fan(1, scale, QoS::AtMostOnce, &"bench/%r/out/%i".parse()?, "out")?;
    cast.fan(scale, 1, QoS::AtLeastOnce, &"bench/%r/in/%i".parse()?, "in")?;
    cast.shared(scale, (2, 4), QoS::AtLeastOnce, &"bench/%r/shared/%i".parse()?, "shared")?;
    let plan = cast.plan;
    let options = vec![("scale", one.scale.to_string())];
    traffic("mixed", plan, options, one.allow_qos0_loss, one.traffic, run)
}

pub(super) fn connect(one: Connect, run: &str) -> Result<Ready, String> {
    let mut cast = Cast::new(&one.broker.client_id, run);
    cast.clients(one.clients as usize, &Work::Churn, false);
    let plan = cast.plan;
    let mut options = vec![("clients", one.clients.to_string())];
    options.extend(one.rate.map(|rate| ("rate", rate.to_string())));
    options.extend(broker_options(&one.broker));
    let mut settings = Settings::new(&one.broker, one.drain.drain)?;
    if let Some(rate) = one.rate {
        settings.pace = Drive::Open { per_second: f64::from(rate) };
    }
    settings.connecting_is_measured = true;
    Ok(Ready {
        name: "connect",
        unit: "connections",
        latency_of: "from the dialling to CONNACK".to_owned(),
        plan,
        settings,
        results: one.results,
        allow_qos0_loss: false,
        options,
        course: Course::Storm(window(&one.window)),
    })
}

pub(super) fn idle(one: Idle, run: &str) -> Result<Ready, String> {
    let mut cast = Cast::new(&one.broker.client_id, run);
    cast.clients(one.connections as usize, &Work::Hold, one.subscribe);
    let plan = cast.plan;
    let mut options =
        vec![("connections", one.connections.to_string()), ("subscribe", one.subscribe.to_string())];
    options.extend(broker_options(&one.broker));
    let mut settings = Settings::new(&one.broker, one.drain.drain)?;
    settings.connecting_is_measured = true;
    Ok(Ready {
        name: "idle",
        unit: "messages",
        latency_of: "from the dialling to CONNACK".to_owned(),
        plan,
        settings,
        results: one.results,
        allow_qos0_loss: false,
        options,
        course: Course::Idle(one.duration),
    })
}

pub(super) fn storm(one: Storm, run: &str) -> Result<Ready, String> {
    let mut cast = Cast::new(&one.broker.client_id, run);
    cast.clients(one.clients as usize, &Work::Hold, true);
    let mut plan = cast.plan;
    plan.clients.iter_mut().for_each(|client| client.persistent = true);
    let mut options = vec![("clients", one.clients.to_string()), ("patience", format!("{:?}", one.patience))];
    options.extend(broker_options(&one.broker));
    let mut settings = Settings::new(&one.broker, one.drain.drain)?;
    settings.connecting_is_measured = true;
    Ok(Ready {
        name: "storm",
        unit: "connections",
        latency_of: "from the end of a connection to the CONNACK of the next".to_owned(),
        plan,
        settings,
        results: one.results,
        allow_qos0_loss: false,
        options,
        course: Course::Return { patience: one.patience, cut: !one.restart },
    })
}

pub(super) fn retained(one: Retained, run: &str) -> Result<Ready, String> {
    let mut cast = Cast::new(&one.broker.client_id, run);
    let qos = one.quality.qos();
    let subscribers = if one.leave { 0 } else { one.subscribers };
    cast.retained(one.messages as usize, subscribers as usize, qos);
    let plan = cast.plan;
    let mut options = vec![
        ("messages", one.messages.to_string()),
        ("subscribers", subscribers.to_string()),
        ("qos", qos.to_string()),
        ("size", one.payload.size.to_string()),
    ];
    options.extend(broker_options(&one.broker));
    let settings = Settings::new(&one.broker, one.drain.drain)?.with_payload(&one.payload, run);
    let settings = settings.with_pace(&Pace { batch: 16, window: Some(256), rate: None, gather: None })?;
    Ok(Ready {
        name: "retained",
        unit: "messages",
        latency_of: "from SUBSCRIBE to each message".to_owned(),
        plan,
        settings,
        results: one.results,
        allow_qos0_loss: one.quality.allow_qos0_loss,
        options,
        course: Course::Retained {
            messages: u64::from(one.messages),
            length: (!one.leave).then(|| window(&one.window)),
        },
    })
}

pub(super) fn offline(one: Offline, run: &str) -> Result<Ready, String> {
    let mut cast = Cast::new(&one.broker.client_id, run);
    let qos = QoS::from_bits(one.qos).unwrap_or_default();
    cast.sessions(one.sessions as usize, qos, &one.topic.topic, !one.leave);
    let plan = cast.plan;
    let mut options = vec![
        ("sessions", one.sessions.to_string()),
        ("messages", one.messages.to_string()),
        ("qos", qos.to_string()),
        one.rate.map_or(("window", one.window.to_string()), |rate| ("rate", rate.to_string())),
        ("leave", one.leave.to_string()),
        ("size", one.payload.size.to_string()),
    ];
    options.extend(broker_options(&one.broker));
    let settings = Settings::new(&one.broker, one.drain.drain)?.with_payload(&one.payload, run);
    let settings =
        settings.with_pace(&Pace { batch: 1, window: Some(one.window), rate: one.rate, gather: None })?;
    Ok(Ready {
        name: "offline",
        unit: "messages",
        latency_of: "from the moment when all may come back to each message".to_owned(),
        plan,
        settings,
        results: one.results,
        allow_qos0_loss: false,
        options,
        course: Course::Offline { messages: one.messages, come_back: !one.leave },
    })
}

/// What all scenarios with traffic in both directions do alike.
fn traffic(
    name: &'static str,
    plan: Plan,
    mut options: Options,
    allow_qos0_loss: bool,
    traffic: Traffic,
    run: &str,
) -> Result<Ready, String> {
    let settings = Settings::new(&traffic.broker, traffic.drain.drain)?
        .with_payload(&traffic.payload, run)
        .with_pace(&traffic.pace)?
        .with_late_reading(&plan);
    options.push(("size", traffic.payload.size.to_string()));
    options.push(("batch", traffic.pace.batch.to_string()));
    options.push(match settings.pace {
        Drive::Open { per_second } => ("rate", per_second.to_string()),
        Drive::Closed { window } => ("window", window.to_string()),
    });
    options.extend(traffic.pace.gather.map(|gather| ("gather", format!("{gather:?}"))));
    options.extend(traffic.span.count.map(|count| ("count", count.to_string())));
    options.extend(broker_options(&traffic.broker));
    let mut latency_of = match settings.pace {
        Drive::Open { .. } if settings.reads_late => {
            "from the moment when a message was due to its arrival (the kernel's stamp)"
        }
        Drive::Open { .. } => "from the moment when a message was due to its arrival",
        Drive::Closed { .. } => "from sending to arrival",
    }
    .to_owned();
    if let Some(gather) = traffic.pace.gather.filter(|_| !settings.reads_late) {
        // Writing to a string does not fail.
        let _ = write!(latency_of, ", each of the two up to {gather:?} late (--gather)");
    }
    Ok(Ready {
        name,
        unit: "messages",
        latency_of,
        plan,
        settings,
        results: traffic.results,
        allow_qos0_loss,
        options,
        course: Course::Traffic(span(&traffic.span)),
    })
}

fn broker_options(broker: &Broker) -> Options {
    let protocol = broker.protocol.version().to_string();
    let mut options = vec![("protocol", protocol), ("threads", broker.threads.to_string())];
    options.extend(broker.url.as_ref().map(|url| ("transport", url.address.scheme().word().to_owned())));
    if broker.no_resume {
        options.push(("no-resume", true.to_string()));
    }
    options
}

fn span(span: &Span) -> Length {
    match span.count {
        Some(messages) => Length::Count { messages, limit: span.time_limit },
        None => window(&span.window),
    }
}

fn window(window: &Window) -> Length {
    Length::Time { warmup: window.warmup, duration: window.duration }
}
