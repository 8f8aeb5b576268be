//! The one door to a running broker: what it is doing, who is connected, and what may be changed. Whatever administers
//! the broker comes through here, so that a tool, a page and a test can do the same things. Not a way in for clients.
//!
//! [`Control`] is a plain value with asynchronous methods that answer typed structs; [`socket`] serves the same over a
//! local socket, one line of JSON for each [`Request`].
//!
//! Nothing here runs on a worker. Sessions are looked at one after the other, each under its own lock for as long as it
//! takes to copy some numbers, and a walk through all of them lets others run between slices.

mod answer;
mod backup;
mod ban;
mod client;
mod clients;
mod kick;
mod pattern;
mod refusal;
mod reload;
mod request;
pub mod socket;
mod status;
mod why;

use std::{
    io,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use tokio::sync::Notify;
use whimbrel_engine::{Engine, Turn, proto::Millis};

use crate::{
    access::Keeper,
    auth::{PasswordFile, Tokens},
    config::{Config, Levels, Problems},
    listeners::Listeners,
    store::StoreView,
    worker::{Gate, Shared},
};

pub use answer::Answer;
pub use backup::BackedUp;
pub use ban::{BanChanged, Bans, HeldOff};
pub use client::{Client, Connection, SUBSCRIPTIONS_MAX, Subscription, Subscriptions, Will};
pub use clients::{ClientSummary, Clients, Query};
pub use kick::Kicked;
pub use pattern::PATTERN_BYTES_MAX;
pub use refusal::Refusal;
pub use reload::{Change, Fault, Reloaded};
pub use request::Request;
pub use status::{
    Alarm, Gauge, Journal, Listening, LogLevel, Logins, Newcomers, Queues, Retained, Status, Traffic, Tries,
};
pub use why::{Action, Decided};

/// What the program around a broker does for it.
pub trait Host: Send + Sync {
    /// Reads the configuration again, from wherever it came. May block on the disk.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    fn config(&self) -> Result<Config, Problems>;

    /// The configuration file, if there is one.
    fn config_file(&self) -> Option<std::path::PathBuf>;

    /// Opens the log file anew, after somebody has moved it away.
    ///
    /// # Errors
    /// The system does not open it; the old one stays in use.
    fn reopen_log(&self) -> io::Result<()>;

    /// Changes how much is logged, from now on.
    ///
    /// # Errors
    /// Why it cannot be changed, in words.
    fn set_log_levels(&self, levels: &Levels) -> Result<(), String>;

    /// The broker has come so far. For whoever supervises the program.
    fn reached(&self, _: Stage) {}
}

/// How far a broker has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Clients can connect.
    Ready,
    /// It has begun to end.
    Ending,
}

/// A program that has made the configuration itself and keeps the log to itself.
pub(crate) struct Embedding(pub(crate) Config);

impl Host for Embedding {
    fn config(&self) -> Result<Config, Problems> {
        Ok(self.0.clone())
    }

    fn config_file(&self) -> Option<std::path::PathBuf> {
        None
    }

    fn reopen_log(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_log_levels(&self, _levels: &Levels) -> Result<(), String> {
        Err("it is the affair of the program in which the broker runs".to_owned())
    }
}

/// The door. A clone is the same door.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    host: Arc<dyn Host>,
    passwords: Option<Arc<PasswordFile>>,
    tokens: Arc<Tokens>,
    rules: Option<Arc<Keeper>>,
    store: Option<StoreView>,
    listeners: Arc<Listeners>,
    gates: Vec<Arc<Gate>>,
    /// What the operator was warned of at the start.
    warnings: Vec<String>,
    loaded: Mutex<Loaded>,
    /// Held by the one reload that runs.
    reloading: Mutex<()>,
    /// Held by the one backup that is written.
    backing_up: Mutex<()>,
    /// For what is done to clients; nobody else's turn is touched.
    turn: Mutex<Turn>,
    stop: Notify,
}

/// What is in force of the configuration.
struct Loaded {
    config: Config,
    log_levels: Levels,
}

/// What the control door is made from, beside what it shares with the workers.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) listeners: Arc<Listeners>,
    pub(crate) passwords: Option<Arc<PasswordFile>>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) rules: Option<Arc<Keeper>>,
    pub(crate) warnings: Vec<String>,
    /// Those of the workers.
    pub(crate) gates: Vec<Arc<Gate>>,
    pub(crate) store: Option<StoreView>,
}

impl Control {
    pub(crate) fn new(shared: &Arc<Shared>, host: Arc<dyn Host>, parts: Parts) -> Self {
        let Parts { config, listeners, passwords, tokens, rules, warnings, gates, store } = parts;
        let log_levels = config.log.level.clone();
        Self(Arc::new(Inner {
            shared: shared.clone(),
            host,
            passwords,
            tokens,
            rules,
            store,
            listeners,
            gates,
            warnings,
            loaded: Mutex::new(Loaded { config, log_levels }),
            reloading: Mutex::new(()),
            backing_up: Mutex::new(()),
            turn: Mutex::new(shared.engine.turn()),
            stop: Notify::new(),
        }))
    }

    /// Asks whoever runs the broker to end it in order. It returns at once.
    pub fn stop(&self) {
        tracing::info!("control: the broker is asked to end");
        self.0.stop.notify_one();
    }

    /// Returns when somebody has asked for the end. For the one who runs the broker.
    pub async fn stop_asked(&self) {
        self.0.stop.notified().await;
    }

    /// Changes how much is logged until the broker ends or a reload finds another `log.level` in the configuration, or
    /// only tells it.
    ///
    /// # Errors
    /// [`Refusal::LogLevel`]: the program does not let it be changed.
    pub async fn log_level(&self, levels: Option<Levels>) -> Result<LogLevel, Refusal> {
        let configured = self.0.loaded.lock().config.log.level.to_string();
        if let Some(levels) = levels {
            self.0.host.set_log_levels(&levels).map_err(|why| Refusal::LogLevel { why })?;
            tracing::info!("control: the log is at {levels} now");
            self.0.loaded.lock().log_levels = levels;
        }
        Ok(LogLevel { level: self.0.loaded.lock().log_levels.to_string(), configured })
    }

    fn engine(&self) -> &Engine {
        &self.0.shared.engine
    }

    /// The present moment of the monotonic clock and of the wall's, to tell one by the other.
    fn moment(&self) -> Moment {
        let now = self.0.shared.now();
        Moment { mono: now.mono, unix_secs: now.wall_secs }
    }
}

/// One moment on two clocks.
#[derive(Clone, Copy)]
struct Moment {
    mono: Millis,
    unix_secs: u64,
}

impl Moment {
    /// Seconds since 1970 of another moment of the monotonic clock.
    fn unix_secs_of(self, other: Millis) -> u64 {
        let past = self.mono.since(other) / 1_000;
        let ahead = other.since(self.mono) / 1_000;
        (self.unix_secs + ahead).saturating_sub(past)
    }
}

/// Seconds since 1970.
fn unix_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
