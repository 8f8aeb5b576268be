//! The broker at one moment: what is loaded, how much of everything there is, and what an operator should look at.

use std::{collections::BTreeMap, path::PathBuf, sync::atomic::Ordering::Relaxed};

use serde::{Deserialize, Serialize};
use whimbrel_engine::Count;
use whimbrel_journal::State;

use super::{Control, unix_secs};
use crate::listeners::Entrance;

/// The broker at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the broker.
    pub version: String,
    /// The number of its process.
    pub pid: u32,
    /// How long it has run, in seconds.
    pub uptime_secs: u64,
    /// When it began, in seconds since 1970.
    pub started: u64,
    /// The configuration file, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_file: Option<PathBuf>,
    /// How much is logged now.
    pub log_level: String,
    /// Worker threads.
    pub workers: usize,
    /// The listeners, in the order of the configuration.
    pub listeners: Vec<Listening>,
    /// Clients with a connection whose CONNECT was accepted, of those that there may be.
    pub clients: Gauge,
    /// Connections, with or without CONNECT.
    pub connections: usize,
    /// Connections on their way in.
    #[serde(default)]
    pub newcomers: Newcomers,
    /// Sessions, with a connection or without, of those that there may be.
    pub sessions: Gauge,
    /// Subscriptions of all sessions, of those that there may be.
    pub subscriptions: Gauge,
    /// Shared groups.
    pub shared_groups: usize,
    /// Retained messages.
    pub retained: Retained,
    /// Messages that wait.
    pub queues: Queues,
    /// What was read and written since the start.
    pub traffic: Traffic,
    /// Who tries passwords.
    #[serde(default)]
    pub logins: Logins,
    /// Everything else that is counted since the start, by name; what has not happened is left out.
    pub counts: BTreeMap<String, u64>,
    /// The journal, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<Journal>,
    /// What is nearly full or full now.
    pub alarms: Vec<Alarm>,
    /// What the operator was warned of at the start.
    pub warnings: Vec<String>,
}

/// How much there is of something, and how much there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauge {
    /// So much there is.
    pub now: u64,
    /// So much there may be.
    pub max: u64,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// Its name, else its address as the configuration has it.
    pub name: String,
    /// Where it can be reached.
    pub addresses: Vec<String>,
    /// Who may connect: `anonymous` or `password_file`.
    pub authentication: String,
    /// Connections on it, with or without CONNECT.
    pub connections: usize,
    /// So many there may be on it, if it has a limit of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_max: Option<usize>,
}

/// Connections between their first words and the answer to CONNECT, where something is spoken before MQTT. All workers
/// together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newcomers {
    /// Those under way, of those that may be at once as late as everything is now.
    pub under_way: Gauge,
    /// Those that wait for their turn.
    pub waiting: usize,
    /// How late the latest worker was when it was looked at last, in microseconds; 0 where nobody comes.
    pub loop_lag_micros: u64,
    /// Workers that turn away whoever has no session, since they are late with everything.
    pub busy_workers: usize,
}

/// Retained messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retained {
    /// Messages.
    pub messages: Gauge,
    /// Bytes of their topics, properties and payloads.
    pub bytes: Gauge,
}

/// Messages that wait in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queues {
    /// Messages in the queues of sessions and shared groups.
    pub messages: usize,
    /// Those of them of which the disk alone has the bytes.
    pub messages_on_disk: usize,
    /// Their bytes of topic, properties and payload, of `limits.queues_disk_bytes_max`.
    pub bytes_on_disk: Gauge,
    /// What they, messages in flight and wills cost, of `limits.queues_bytes_max`.
    pub bytes: Gauge,
    /// Encoded bytes for clients whose sockets take nothing, of `limits.outbox_bytes_max`.
    pub outbox_bytes: Gauge,
}

/// Wrong passwords that are not forgiven yet, by what they are counted under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logins {
    /// Users at an address.
    pub users_at_addresses: Tries,
    /// Addresses (of IPv6: networks of 64 bits).
    pub addresses: Tries,
    /// Users, wherever they were tried.
    pub users: Tries,
    /// Addresses from which a user has come in lately, of those that are remembered (`guard.entries_max`).
    pub known: Gauge,
}

/// Who has tried wrong passwords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// Of `guard.entries_max`, so many have.
    pub wrong: Gauge,
    /// So many have tried so often that they are not heard now.
    pub unheard: u64,
}

/// What was read and written since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Messages from clients.
    pub messages_received: u64,
    /// Messages to clients.
    pub messages_sent: u64,
    /// Bytes from clients.
    pub bytes_received: u64,
    /// Bytes to clients.
    pub bytes_sent: u64,
}

/// How much is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLevel {
    /// The level in force.
    pub level: String,
    /// The level of the configuration.
    pub configured: String,
}

/// The journal: what an acknowledgement rests on, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// What a promise waits for where a listener does not say it itself: `memory`, `process` or `power`.
    pub level: String,
    /// The folder of the store.
    pub folder: PathBuf,
    /// Whether it takes records: `running`, or why not.
    pub state: String,
    /// Synced commits since the start.
    pub commits: u64,
    /// How long commits take, in microseconds: half of them at most so long.
    pub commit_micros_p50: u64,
    /// Ninety-nine of a hundred commits take at most so long, in microseconds.
    pub commit_micros_p99: u64,
    /// Bytes of records in a commit, on the average.
    pub batch_bytes: u64,
    /// Bytes that wait to be synced, of `store.staged_bytes_max`.
    pub staged_bytes: Gauge,
    /// Bytes of the files.
    pub bytes: u64,
    /// Bytes of records that are needed still; the rest is given back by and by.
    pub live_bytes: u64,
}

/// Something that is nearly full, or full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// The key of the limit.
    pub limit: String,
    /// Whether it is reached, not only near.
    pub reached: bool,
    /// How full it is.
    pub gauge: Gauge,
}

impl Gauge {
    pub(crate) fn new(now: usize, max: usize) -> Self {
        Self { now: now as u64, max: max as u64 }
    }

    /// An alarm is raised from nine tenths on.
    fn alarm(self, limit: &str) -> Option<Alarm> {
        let near = self.max > 0 && u128::from(self.now) * 10 >= u128::from(self.max) * 9;
        near.then(|| Alarm { limit: limit.to_owned(), reached: self.now >= self.max, gauge: self })
    }
}

/// Counts that have a place of their own in the status, or say nothing to an operator.
const TOLD_ELSEWHERE: [Count; 5] = [
    Count::PublishReceived,
    Count::PublishSent,
    Count::BytesReceived,
    Count::BytesSent,
    Count::MatchCacheMisses,
];

impl Control {
    /// What is loaded, and how much of everything there is. It locks no session and costs microseconds.
    pub async fn status(&self) -> Status {
        let (engine, shared) = (self.engine(), &self.0.shared);
        let limits = engine.limits();
        let (retained_messages, retained_bytes) = engine.retained();
        let (_, outbox_bytes) = engine.waiting_bytes();
        let on_disk = engine.queued_on_disk();
        // Not within the expression: the lock would be held to its end.
        let log_level = self.0.loaded.lock().log_levels.to_string();
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_secs: self.moment().mono.0 / 1_000,
            started: unix_secs().saturating_sub(self.moment().mono.0 / 1_000),
            config_file: self.0.host.config_file(),
            log_level,
            workers: self.0.gates.len(),
            listeners: self.listeners(),
            clients: Gauge::new(engine.connected(), limits.connections_max),
            connections: shared.connections.load(Relaxed),
            newcomers: self.newcomers(),
            sessions: Gauge::new(engine.sessions(), limits.sessions_max),
            subscriptions: Gauge::new(engine.subscriptions(), limits.subscriptions_total_max),
            shared_groups: engine.groups(),
            retained: Retained {
                messages: Gauge::new(retained_messages, limits.retained_messages_max),
                bytes: Gauge::new(retained_bytes, limits.retained_bytes_max),
            },
            queues: Queues {
                messages: engine.queued_messages(),
                messages_on_disk: on_disk.0,
                bytes_on_disk: Gauge::new(on_disk.1, limits.queues_disk_bytes_max),
                bytes: Gauge::new(engine.messages_bytes(), limits.queues_bytes_max),
                outbox_bytes: Gauge::new(outbox_bytes, limits.outbox_bytes_max),
            },
            traffic: Traffic {
                messages_received: engine.count(Count::PublishReceived),
                messages_sent: engine.count(Count::PublishSent),
                bytes_received: engine.count(Count::BytesReceived),
                bytes_sent: engine.count(Count::BytesSent),
            },
            logins: self.logins(),
            counts: self.counts(),
            journal: self.journal(),
            alarms: Vec::new(),
            warnings: self.0.warnings.clone(),
        };
        status.alarms = alarms(&status);
        status
    }

    fn newcomers(&self) -> Newcomers {
        self.0.gates.iter().map(|gate| gate.standing()).fold(Newcomers::default(), |sum, one| Newcomers {
            under_way: Gauge {
                now: sum.under_way.now + one.under_way as u64,
                max: sum.under_way.max + one.window as u64,
            },
            waiting: sum.waiting + one.waiting,
            loop_lag_micros: sum.loop_lag_micros.max(one.lag_micros),
            busy_workers: sum.busy_workers + usize::from(one.is_busy),
        })
    }

    fn journal(&self) -> Option<Journal> {
        let view = self.0.store.as_ref()?;
        let figures = view.journal.figures();
        let loaded = self.0.loaded.lock();
        Some(Journal {
            level: loaded.config.store.durability.word().to_owned(),
            folder: view.folder.clone(),
            state: match view.log.state() {
                State::Running => "running".to_owned(),
                State::Full { fault, .. } => format!("the disk is full: {fault}"),
                State::Poisoned { fault, .. } => format!("the disk has failed: {fault}"),
            },
            commits: figures.syncs,
            commit_micros_p50: figures.commit_micros_p50,
            commit_micros_p99: figures.commit_micros_p99,
            batch_bytes: figures.batch_bytes,
            staged_bytes: Gauge { now: figures.staged_bytes, max: figures.staged_bytes_max },
            bytes: figures.bytes,
            live_bytes: figures.live_bytes,
        })
    }

    fn logins(&self) -> Logins {
        let figures = self.0.shared.guards.logins.figures(self.moment().mono.0);
        let tries = |at: usize| {
            let of = |counts: [usize; 3]| counts.get(at).copied().unwrap_or_default();
            Tries {
                wrong: Gauge::new(of(figures.owing), figures.entries_max),
                unheard: of(figures.unheard) as u64,
            }
        };
        let known = Gauge::new(figures.known, figures.entries_max);
        Logins { users_at_addresses: tries(0), addresses: tries(1), users: tries(2), known }
    }

    fn listeners(&self) -> Vec<Listening> {
        let listening = |entrance: Entrance| {
            let door = &entrance.door;
            Listening {
                name: door.name.to_string(),
                addresses: entrance.addresses.clone(),
                authentication: entrance.methods.to_string(),
                connections: door.connections.load(Relaxed),
                connections_max: (door.connections_max < u32::MAX as usize).then_some(door.connections_max),
            }
        };
        self.0.listeners.entrances().into_iter().map(listening).collect()
    }

    fn counts(&self) -> BTreeMap<String, u64> {
        let others = Count::ALL.iter().filter(|count| !TOLD_ELSEWHERE.contains(count));
        let counted = others.map(|count| (count.name().to_owned(), self.engine().count(*count)));
        counted.filter(|(_, value)| *value > 0).collect()
    }
}

fn alarms(status: &Status) -> Vec<Alarm> {
    let Status { clients, sessions, subscriptions, retained, queues, .. } = status;
    let watched = [
        (clients, "limits.connections_max"),
        (sessions, "limits.sessions_max"),
        (subscriptions, "limits.subscriptions_total_max"),
        (&retained.messages, "limits.retained_messages_max"),
        (&retained.bytes, "limits.retained_bytes_max"),
        (&queues.bytes, "limits.queues_bytes_max"),
        (&queues.bytes_on_disk, "limits.queues_disk_bytes_max"),
        (&queues.outbox_bytes, "limits.outbox_bytes_max"),
    ];
    let mut alarms: Vec<Alarm> = watched.iter().filter_map(|(gauge, limit)| gauge.alarm(limit)).collect();
    if let Some(journal) = &status.journal {
        alarms.extend(journal.staged_bytes.alarm("store.staged_bytes_max"));
        if journal.state != "running" {
            let gauge = journal.staged_bytes;
            alarms.push(Alarm { limit: "store".to_owned(), reached: true, gauge });
        }
    }
    alarms
}

#[cfg(test)]
mod tests {
    use super::Gauge;

    #[test]
    fn an_alarm_is_raised_from_nine_tenths_on_and_says_whether_the_limit_is_reached() {
        let alarm = |now, max| Gauge { now, max }.alarm("limits.x").map(|alarm| alarm.reached);
        assert_eq!(alarm(89, 100), None);
        assert_eq!(alarm(90, 100), Some(false));
        assert_eq!(alarm(100, 100), Some(true));
        assert_eq!(alarm(101, 100), Some(true));
        assert_eq!(alarm(0, 0), None, "who wants none misses none");
        assert_eq!(alarm(u64::MAX, u64::MAX), Some(true));
    }
}
