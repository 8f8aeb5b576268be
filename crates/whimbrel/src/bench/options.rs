//! The options that scenarios have in common, in groups. Not the scenarios' own numbers.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use whimbrel_codec::{QoS, Version};

use super::quantity::{PayloadSize, Sources, length_of_time};
use super::template::Template;
use crate::connect::{TlsArgs, Url};

/// Where the broker is, and how clients come to it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Broker and clients")]
pub(super) struct Broker {
    /// The broker's host; traffic leaves this machine only if another one is named here
    #[arg(long, default_value = "127.0.0.1", value_hint = ValueHint::Hostname)]
    pub(super) host: String,
    /// The broker's port [default: 1883, with TLS 8883]
    #[arg(short, long)]
    pub(super) port: Option<u16>,
    /// In place of both: mqtt://[USER[:PASSWORD]@]HOST[:PORT], with TLS mqtts://…, with WebSocket ws://… or wss://…; or
    /// unix:/PATH
    #[arg(short = 'L', long, value_name = "URL", conflicts_with_all = ["host", "port"])]
    pub(super) url: Option<Url>,
    /// The path at which the broker speaks WebSocket [default: /mqtt]
    #[arg(long, value_name = "PATH", requires = "url")]
    pub(super) ws_path: Option<String>,
    #[command(flatten)]
    pub(super) tls: TlsArgs,
    /// Every handshake of TLS is a full one; else whoever connects again resumes what was agreed before
    #[arg(long, help_heading = "TLS")]
    pub(super) no_resume: bool,
    /// The version of MQTT
    #[arg(short = 'V', long = "protocol", value_enum, default_value_t = Protocol::V5)]
    pub(super) protocol: Protocol,
    /// The user name
    #[arg(short, long)]
    pub(super) username: Option<String>,
    /// The password
    #[arg(short = 'P', long, env = "WHIMBREL_BENCH_PASSWORD", hide_env_values = true)]
    pub(super) password: Option<String>,
    /// Keep Alive in seconds; 0 turns it off
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60)]
    pub(super) keep_alive: u16,
    /// Client ids: %i is the index, %n the number of clients, %k the kind (pub, sub, …), %r the run
    #[arg(long, value_name = "TEMPLATE", default_value = "bench-%r-%k%i")]
    pub(super) client_id: Template,
    /// Addresses to connect from in turn, such as 127.0.0.2-9: one address has ports for about 28,000 connections
    #[arg(long, value_name = "ADDRESSES")]
    pub(super) source: Option<Sources>,
    /// Connections per second while clients connect; as many as go if not given
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) connect_rate: Option<u32>,
    /// How long clients may take to connect and subscribe
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = length_of_time)]
    pub(super) connect_timeout: Duration,
    /// Threads of the generator
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) threads: u16,
}

/// A version of MQTT that the generator speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Protocol {
    #[value(name = "3.1.1", alias = "4")]
    V311,
    #[value(name = "5", alias = "5.0")]
    V5,
}

impl Protocol {
    pub(super) fn version(self) -> Version {
        match self {
            Protocol::V311 => Version::V311,
            Protocol::V5 => Version::V5,
        }
    }
}

/// What the payloads are.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Messages")]
pub(super) struct Payload {
    /// Payload length in bytes, or a range such as 20-1000; at least 16, and 20 for a checksum
    #[arg(short, long, value_name = "BYTES", default_value = "64")]
    pub(super) size: PayloadSize,
    /// What fills the payload behind sender, number, time and checksum, repeated; %r is the run
    #[arg(long, value_name = "TEMPLATE", default_value = "whimbrel ")]
    pub(super) payload: Template,
}

/// What is published, and on which topics.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Messages")]
pub(super) struct Topic {
    /// Topics: %i is the publisher's index, %n the number of publishers, %r the run
    #[arg(short, long, value_name = "TEMPLATE", default_value = "bench/%r/%i")]
    pub(super) topic: Template,
}

/// The promise of a delivery.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Messages")]
pub(super) struct Quality {
    /// The quality of service of publishers and subscribers
    #[arg(short, long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    qos: u8,
    /// Lost messages of QoS 0 are counted and reported, but no failure
    #[arg(long)]
    pub(super) allow_qos0_loss: bool,
}

impl Quality {
    pub(super) fn qos(&self) -> QoS {
        QoS::from_bits(self.qos).unwrap_or_default()
    }
}

/// What becomes of the sessions of subscribers.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Broker and clients")]
pub(super) struct Keeping {
    /// The sessions of subscribers outlive their connections, so that a broker owes them what it has acknowledged; they
    /// are ended when all is over
    #[arg(long)]
    pub(super) persistent: bool,
}

/// How fast.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct Pace {
    /// Messages per write
    #[arg(short, long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(super) batch: u16,
    /// Closed loop: messages of one publisher that may be on their way, not yet acknowledged or not yet at their last
    /// receiver [default: the batch]
    #[arg(short, long, conflicts_with = "rate", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) window: Option<u16>,
    /// Open loop: messages per second of all publishers together; latency counts from the moment when a message was
    /// due, however late the broker or the generator is; at over 10,000 writes per second, groups are due every 100 µs.
    /// At QoS 0 arrivals do not wake the generator (Linux): it reads them when something is due, and takes the time from
    /// the kernel's stamp. Of several messages that one read brings all have the last one's: none looks faster than it
    /// was, and one that came first slower by the time between two moments, or 10 ms, at most
    #[arg(short, long, value_name = "PER_SECOND", value_parser = rate)]
    pub(super) rate: Option<f64>,
    /// The generator wakes less often and costs less. Open loop: the least time between two moments at which messages
    /// are due; what would be due in between is due together with the others. In a closed loop, and where QoS 1 or 2
    /// has to be answered: the least time between two looks at what has come; latencies look longer by up to as much at
    /// each end, and the results say so
    #[arg(long, value_name = "TIME", value_parser = length_of_time)]
    pub(super) gather: Option<Duration>,
}

/// How long.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct Window {
    /// Load before the measured time
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = length_of_time)]
    pub(super) warmup: Duration,
    /// The measured time
    #[arg(short, long, value_name = "TIME", default_value = "5s", value_parser = length_of_time)]
    pub(super) duration: Duration,
}

/// How long, or how many.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct Span {
    #[command(flatten)]
    pub(super) window: Window,
    /// Instead of a time: messages of each publisher, all of them measured
    #[arg(long, value_name = "MESSAGES", conflicts_with_all = ["warmup", "duration"],
          value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// With --count: the longest time that publishing may take
    #[arg(long, value_name = "TIME", default_value = "10m", requires = "count", value_parser = length_of_time)]
    pub(super) time_limit: Duration,
}

/// What happens when the publishers have stopped.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct Drain {
    /// How long to wait at the end for messages that are still on their way
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = length_of_time)]
    pub(super) drain: Duration,
}

/// What is measured beside, and where results go.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Results")]
pub(super) struct Results {
    /// The broker's process: CPU per message, context switches and memory of it and its children are measured
    #[arg(long)]
    pub(super) pid: Option<u32>,
    /// Print nothing while it runs
    #[arg(long)]
    pub(super) quiet: bool,
    /// A name for the results, such as the broker's
    #[arg(long, default_value = "")]
    pub(super) label: String,
    /// Write the results as JSON; - is standard output, and the text then goes to standard error
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) json: Option<PathBuf>,
    /// Write the latencies as an HdrHistogram log
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) histogram: Option<PathBuf>,
    /// Plot latencies and throughput over time (SVG)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) plot: Option<PathBuf>,
}

/// Something per second.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1e9).contains(&rate) => Ok(rate),
        Ok(_) => Err("a rate is 0.001 to 1,000,000,000 per second".to_owned()),
        Err(_) => Err(format!("`{text}` is not a number")),
    }
}
