//! The scenarios: their numbers on the command line. Not how each is written out, and not how it is run.

use std::time::Duration;

use clap::Args;
use clap::builder::RangedI64ValueParser;

use super::options::{Broker, Drain, Keeping, Pace, Payload, Quality, Results, Span, Topic, Window, rate};
use super::quantity::length_of_time;

/// A number of clients.
fn many() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=1_000_000)
}

/// A number of subscriptions or retained messages.
fn very_many() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=4_000_000)
}

/// What all scenarios with messages in flight have in common.
#[derive(Debug, Args)]
pub(super) struct Traffic {
    #[command(flatten)]
    pub(super) pace: Pace,
    #[command(flatten)]
    pub(super) span: Span,
    #[command(flatten)]
    pub(super) drain: Drain,
    #[command(flatten)]
    pub(super) payload: Payload,
    #[command(flatten)]
    pub(super) broker: Broker,
    #[command(flatten)]
    pub(super) results: Results,
}

/// What scenarios have in common in which each publisher has one topic, and all have one QoS.
#[derive(Debug, Args)]
pub(super) struct Flow {
    #[command(flatten)]
    pub(super) quality: Quality,
    #[command(flatten)]
    pub(super) topic: Topic,
    #[command(flatten)]
    pub(super) keeping: Keeping,
    #[command(flatten)]
    pub(super) traffic: Traffic,
}

#[derive(Debug, Args)]
pub(super) struct P2p {
    /// Pairs of one publisher and one subscriber
    #[arg(short = 'n', long, default_value_t = 100, value_parser = many())]
    pub(super) pairs: u32,
    #[command(flatten)]
    pub(super) flow: Flow,
}

#[derive(Debug, Args)]
pub(super) struct FanIn {
    /// Publishers, each with a topic of its own
    #[arg(long, default_value_t = 200, value_parser = many())]
    pub(super) publishers: u32,
    /// Subscribers, each of whom gets everything
    #[arg(long, default_value_t = 1, value_parser = many())]
    pub(super) subscribers: u32,
    #[command(flatten)]
    pub(super) flow: Flow,
}

#[derive(Debug, Args)]
pub(super) struct FanOut {
    /// Publishers, each with a topic of its own
    #[arg(long, default_value_t = 1, value_parser = many())]
    pub(super) publishers: u32,
    /// Subscribers, each of whom gets everything
    #[arg(long, default_value_t = 1_000, value_parser = many())]
    pub(super) subscribers: u32,
    #[command(flatten)]
    pub(super) flow: Flow,
}

#[derive(Debug, Args)]
pub(super) struct Shared {
    /// Publishers, each with a topic of its own
    #[arg(long, default_value_t = 100, value_parser = many())]
    pub(super) publishers: u32,
    /// Groups, each of which gets everything
    #[arg(long, default_value_t = 1, value_parser = many())]
    pub(super) groups: u32,
    /// Members of each group, who share it out
    #[arg(long, default_value_t = 8, value_parser = many())]
    pub(super) members: u32,
    #[command(flatten)]
    pub(super) flow: Flow,
}

#[derive(Debug, Args)]
pub(super) struct Match {
    /// Subscriptions: a third exact, a third with +, a third with #
    #[arg(long, default_value_t = 100_000, value_parser = very_many())]
    pub(super) filters: u32,
    /// Subscriptions of one client
    #[arg(long, default_value_t = 1_000, value_parser = many())]
    pub(super) per_client: u32,
    /// Publishers, who walk over topics that match one subscription each
    #[arg(long, default_value_t = 50, value_parser = many())]
    pub(super) publishers: u32,
    #[command(flatten)]
    pub(super) quality: Quality,
    #[command(flatten)]
    pub(super) traffic: Traffic,
}

#[derive(Debug, Args)]
pub(super) struct Mixed {
    /// How large it is: as many pairs at each QoS, as many subscribers of the fan-out, publishers of the fan-in and
    /// of the shared group
    #[arg(long, default_value_t = 30, value_parser = many())]
    pub(super) scale: u32,
    /// Lost messages of QoS 0 are counted and reported, but no failure
    #[arg(long)]
    pub(super) allow_qos0_loss: bool,
    #[command(flatten)]
    pub(super) traffic: Traffic,
}

#[derive(Debug, Args)]
pub(super) struct Connect {
    /// Connections at a time
    #[arg(short = 'n', long, default_value_t = 50, value_parser = many())]
    pub(super) clients: u32,
    /// Open loop: connections per second; latency counts from the moment when one was due
    #[arg(short, long, value_name = "PER_SECOND", value_parser = many())]
    pub(super) rate: Option<u32>,
    #[command(flatten)]
    pub(super) window: Window,
    #[command(flatten)]
    pub(super) drain: Drain,
    #[command(flatten)]
    pub(super) broker: Broker,
    #[command(flatten)]
    pub(super) results: Results,
}

#[derive(Debug, Args)]
pub(super) struct Idle {
    /// Connections to hold
    #[arg(short = 'n', long, default_value_t = 10_000, value_parser = many())]
    pub(super) connections: u32,
    /// Each subscribes to one topic of its own
    #[arg(long)]
    pub(super) subscribe: bool,
    /// How long to hold them
    #[arg(short, long, value_name = "TIME", default_value = "5s", value_parser = length_of_time)]
    pub(super) duration: Duration,
    #[command(flatten)]
    pub(super) drain: Drain,
    #[command(flatten)]
    pub(super) broker: Broker,
    #[command(flatten)]
    pub(super) results: Results,
}

#[derive(Debug, Args)]
pub(super) struct Storm {
    /// Clients, each with a session that stays and one subscription
    #[arg(short = 'n', long, default_value_t = 10_000, value_parser = many())]
    pub(super) clients: u32,
    /// How long a client waits for its CONNACK before it gives up and tries again at once; one that is closed or refused
    /// rests for 0.5 to 1.5 s
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = length_of_time)]
    pub(super) patience: Duration,
    /// Do not cut the connections: somebody restarts the broker when this program says so
    #[arg(long)]
    pub(super) restart: bool,
    #[command(flatten)]
    pub(super) drain: Drain,
    #[command(flatten)]
    pub(super) broker: Broker,
    #[command(flatten)]
    pub(super) results: Results,
}

#[derive(Debug, Args)]
pub(super) struct Retained {
    /// Retained messages, each on a topic of its own
    #[arg(long, default_value_t = 10_000, value_parser = very_many())]
    pub(super) messages: u32,
    /// Subscribers, who subscribe, get everything, unsubscribe, and begin again
    #[arg(long, default_value_t = 4, value_parser = many())]
    pub(super) subscribers: u32,
    /// Only store them: nobody asks for them, and the broker keeps them
    #[arg(long)]
    pub(super) leave: bool,
    #[command(flatten)]
    pub(super) quality: Quality,
    #[command(flatten)]
    pub(super) window: Window,
    #[command(flatten)]
    pub(super) drain: Drain,
    #[command(flatten)]
    pub(super) payload: Payload,
    #[command(flatten)]
    pub(super) broker: Broker,
    #[command(flatten)]
    pub(super) results: Results,
}

#[derive(Debug, Args)]
pub(super) struct Offline {
    /// Sessions, each with a publisher of its own
    #[arg(short = 'n', long, default_value_t = 100, value_parser = many())]
    pub(super) sessions: u32,
    /// Messages that wait for each session
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) messages: u64,
    /// The quality of service of publishers and subscribers
    #[arg(short, long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(super) qos: u8,
    /// Messages that a publisher sends before the first is acknowledged
    #[arg(short, long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) window: u16,
    /// Open loop: messages per second of all publishers together
    #[arg(short, long, value_name = "PER_SECOND", conflicts_with = "window", value_parser = rate)]
    pub(super) rate: Option<f64>,
    /// Only store them: nobody comes back for them, and the broker keeps them
    #[arg(long)]
    pub(super) leave: bool,
    #[command(flatten)]
    pub(super) drain: Drain,
    #[command(flatten)]
    pub(super) topic: Topic,
    #[command(flatten)]
    pub(super) payload: Payload,
    #[command(flatten)]
    pub(super) broker: Broker,
    #[command(flatten)]
    pub(super) results: Results,
}
