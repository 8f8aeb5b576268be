//! The file of rules: read at the start, again at a reload and when somebody has changed it, and put in force for those
//! who are connected. Not the rules, and not what they are asked.
//!
//! A file that has a mistake changes nothing while the broker runs, and keeps it from starting.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use whimbrel_access::{Mistakes, Rules};
use whimbrel_engine::{Engine, Notice, Turn};

use crate::{
    config::{Access, Config},
    mapping,
    worker::{Shared, Words},
};

/// The largest file of rules that is read, in bytes.
pub const RULES_BYTES_MAX: u64 = 64 << 20;

/// How often the file is looked at. A change counts after the second look that finds it: whoever writes it has so long.
const LOOK: Duration = Duration::from_millis(500);
/// How long the end of the broker waits for a look at the file: a disk that does not answer does not keep it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Of what the linter finds, and of subscriptions that end, so many are told in the log.
const TOLD_MAX: usize = 20;

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whimbrel's own, TOML.
    Rules,
    /// Mosquitto's `acl_file`.
    AclFile,
    /// The `dynamic-security.json` of Mosquitto's plug-in.
    DynamicSecurity,
}

/// A file of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
}

/// Why a file of rules is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The system does not give its contents, or they are no text.
    #[error("the file of rules {} cannot be read: {source}; put it there, or correct its name in [access]", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no file: who opened it could wait for ever.
    #[error("the file of rules {} is not a regular file", path.display())]
    NotAFile {
        /// What it names.
        path: PathBuf,
    },
    /// It is larger than a file of rules can be.
    #[error("the file of rules {} is larger than {RULES_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It has mistakes; one is enough to use none of it.
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
}

impl RulesFile {
    /// The file that a configuration names.
    #[must_use]
    pub fn of(access: &Access) -> Option<RulesFile> {
        let of = |path: &Option<PathBuf>, kind| path.clone().map(|path| RulesFile { path, kind });
        of(&access.file, Kind::Rules)
            .or_else(|| of(&access.mosquitto_acl_file, Kind::AclFile))
            .or_else(|| of(&access.mosquitto_dynamic_security_file, Kind::DynamicSecurity))
    }

    /// Reads the file. Blocks on the disk.
    ///
    /// # Errors
    /// It cannot be read, or says something that is no rule.
    pub fn read(&self) -> Result<Arc<Rules>, RulesError> {
        let path = || self.path.clone();
        let cannot_read = |source| RulesError::Read { path: path(), source };
        let mut text = String::new();
        // Asked before it is opened: to open a pipe waits for somebody who writes.
        if !fs::metadata(&self.path).map_err(cannot_read)?.is_file() {
            return Err(RulesError::NotAFile { path: path() });
        }
        let file = File::open(&self.path).map_err(cannot_read)?;
        let mut limited = file.take(RULES_BYTES_MAX + 1);
        let read = limited.read_to_string(&mut text);
        if limited.limit() == 0 {
            return Err(RulesError::TooLarge { path: path() });
        }
        read.map_err(cannot_read)?;
        let name = self.path.display().to_string();
        Ok(match self.kind {
            Kind::Rules => Rules::from_rule_file(&name, &text)?,
            Kind::AclFile => Rules::from_acl_file(&name, &text)?,
            Kind::DynamicSecurity => Rules::from_dynamic_security(&name, &text)?,
        })
    }
}

/// The file that a configuration names, read, if it names one.
pub(crate) struct Opened(Option<(RulesFile, Arc<Rules>)>);

impl Opened {
    /// Reads it.
    ///
    /// # Errors
    /// As of [`RulesFile::read`].
    pub(crate) fn read(config: &Config) -> Result<Opened, RulesError> {
        let file = RulesFile::of(&config.access);
        Ok(Opened(file.map(|file| file.read().map(|rules| (file, rules))).transpose()?))
    }

    /// Has the engine ask the rules.
    pub(crate) fn put_in_force(&self, engine: Engine, config: &Config) -> Engine {
        let Some((_, rules)) = &self.0 else {
            return match mapping::tokens_grant(config) {
                true => engine.with_access(Rules::open(), mapping::access(config)),
                false => engine,
            };
        };
        tell_findings(rules);
        tracing::info!("{}: {} rules say who may publish and subscribe to what", rules.file(), rules.len());
        engine.with_access(rules.clone(), mapping::access(config))
    }

    /// Looks after the file from now on.
    pub(crate) fn keep(self, shared: &Arc<Shared>) -> io::Result<(Option<Arc<Keeper>>, Option<Watch>)> {
        let keeper = self.0.map(|(file, _)| Keeper::new(file, shared));
        let watch = keeper.as_ref().map(Watch::start).transpose()?;
        Ok((keeper, watch))
    }
}

/// What new rules have brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    /// How many there are.
    pub rules: usize,
    /// Subscriptions that they have ended.
    pub ended: usize,
}

/// Looks after the rules of a running broker.
pub(crate) struct Keeper {
    pub(crate) file: RulesFile,
    shared: Arc<Shared>,
    /// Counts how often the file was read.
    readings: AtomicU64,
    changing: Mutex<Changing>,
}

/// Held by the one change that is made; not while the file is read, which may take for ever.
struct Changing {
    turn: Turn,
    /// The reading that is in force.
    reading: u64,
}

impl Keeper {
    /// Has the engine ask the rules of this file, which have been read.
    pub(crate) fn new(file: RulesFile, shared: &Arc<Shared>) -> Arc<Keeper> {
        let changing = Mutex::new(Changing { turn: shared.engine.turn(), reading: 0 });
        Arc::new(Keeper { file, shared: shared.clone(), readings: AtomicU64::new(0), changing })
    }

    /// Reads the file again and puts it in force. Blocks on the disk, and for as long as it takes to look at every session.
    ///
    /// # Errors
    /// As of [`RulesFile::read`]; what was in force stays so.
    pub(crate) fn reload(&self) -> Result<Applied, RulesError> {
        let reading = self.readings.fetch_add(1, SeqCst) + 1;
        let rules = self.file.read()?;
        tell_findings(&rules);
        Ok(self.put_in_force(reading, rules))
    }

    /// Unless a reading that began later is in force already: the file may have changed between the two.
    fn put_in_force(&self, reading: u64, rules: Arc<Rules>) -> Applied {
        let mut changing = self.changing.lock();
        let engine = &self.shared.engine;
        if reading < changing.reading {
            return Applied { rules: engine.rules().map_or(0, |rules| rules.len()), ended: 0 };
        }
        changing.reading = reading;
        let count = rules.len();
        engine.set_rules(rules);
        Applied { rules: count, ended: apply(engine, &self.shared, &mut changing.turn) }
    }
}

/// Ends what the rules in force do not allow; gives how many subscriptions that were.
fn apply(engine: &Engine, shared: &Shared, turn: &mut Turn) -> usize {
    let (mut slice, mut ended) = (0, 0);
    let mut told = 0;
    loop {
        turn.now = shared.now();
        let Some(more) = engine.apply_rules(turn, slice) else { break };
        engine.flush(turn);
        for notice in turn.notices.drain(..) {
            if let Notice::SubscriptionEnded { client_id, filter } = notice
                && told < TOLD_MAX
            {
                told += 1;
                let (client, filter) = (Words(&client_id), Words(&filter));
                tracing::info!(%client, %filter, "a subscription ended: the rules no longer allow it");
            }
        }
        ended += more;
        slice += 1;
    }
    if ended > told {
        tracing::info!("subscriptions ended: {} more like this", ended - told);
    }
    ended
}

/// Warns of rules that decide nothing.
pub(crate) fn tell_findings(rules: &Rules) {
    let findings = rules.lint();
    for finding in findings.iter().take(TOLD_MAX) {
        let line = finding.line.map(|line| format!("{line}: ")).unwrap_or_default();
        tracing::warn!("{}:{line}{}", rules.file(), finding.message);
    }
    if findings.len() > TOLD_MAX {
        tracing::warn!("{}: {} more like this: whimbrel acl check", rules.file(), findings.len() - TOLD_MAX);
    }
}

/// Looks after the file; ends when it is dropped.
pub(crate) struct Watch {
    stop: Option<SyncSender<()>>,
    /// Closed when the thread is over.
    over: Mutex<Receiver<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watch {
    pub(crate) fn start(keeper: &Arc<Keeper>) -> io::Result<Watch> {
        let (stop, stopped) = sync_channel(0);
        let (is_over, over) = sync_channel::<()>(0);
        let (keeper, stamp) = (keeper.clone(), stamp(&keeper.file.path));
        let watch = move || {
            watch(&keeper, stamp, &stopped);
            drop(is_over);
        };
        let thread = thread::Builder::new().name("access".into()).spawn(watch)?;
        Ok(Watch { stop: Some(stop), over: Mutex::new(over), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.over.get_mut().recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the file of rules is still being read; nobody waits for it");
            return;
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // A panic there was reported where it happened.
        }
    }
}

/// What tells a file from what it was: absent, or another, or written to.
type Stamp = Option<(u64, u64, i64, i64, u64)>;

fn stamp(file: &Path) -> Stamp {
    let found = fs::metadata(file).ok()?;
    Some((found.dev(), found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
}

fn watch(keeper: &Keeper, mut read: Stamp, stopped: &Receiver<()>) {
    let mut last = read;
    while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        let now = stamp(&keeper.file.path);
        if now == read || now != last {
            last = now;
            continue;
        }
        read = now;
        match keeper.reload() {
            Ok(Applied { rules, ended }) => {
                tracing::info!(
                    "{}: {rules} rules are in force now; {ended} subscriptions ended",
                    keeper.file.path.display()
                );
            }
            Err(error) => tracing::error!("{error}\nthe rules in force stay so"),
        }
    }
}
