//! A reload, by SIGHUP or through the door: opens the log anew, reads the password file, the rules, the certificates and the
//! configuration again, and tells what has come of it. Not the reading of a configuration.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use whimbrel_access::Mistake;
use whimbrel_net::tls::TlsFault;

use super::Control;
use crate::{
    access::{Applied, RulesError, RulesFile},
    auth::{Counts, FaultAt, PasswordFile, PasswordFileError},
    broker::Error,
    certificates,
    config::{Config, Difference, Durability, Guard, LISTENER, Listener, Origin, Problem, Reload, TOKEN},
    mapping,
};

/// What has come of a reload. Each part stands by itself: a fault in one does not keep the others from being taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Whether the log goes on in the file of its name, or on standard error.
    pub log_reopened: bool,
    /// Users that the password file has now, where there is one and it was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<usize>,
    /// The rules that are in force now, where there is a file of them and it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<usize>,
    /// Subscriptions that they have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriptions_ended: Option<usize>,
    /// The issuers whose tokens are good now, where there are any and all of them were taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<usize>,
    /// Listeners of which certificates, keys, CAs or revocation lists are others from now on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
    /// Listeners that were opened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opened: Vec<String>,
    /// Listeners that were closed; their clients are told so (0x98 in 5.0).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<String>,
    /// Keys that were changed in the configuration and count from now on.
    pub changed: Vec<Change>,
    /// Keys that were changed in the configuration and count after a restart.
    pub needs_restart: Vec<Change>,
    /// What is wrong; what it is about stays as it was.
    pub faults: Vec<Fault>,
}

/// A key with another value than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The key with its section.
    pub key: String,
    /// The value in force until now, as it would stand in the file; absent where it was not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The value in the configuration now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Something that is wrong, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The file, if it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The character in the line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The variable of the environment or the flag, if it is in none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The key that it is about, with its section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Control {
    /// Opens the log anew, reads the password file, the certificates and the configuration again. Who is connected stays
    /// connected, unless its listener is gone or lets others in now.
    /// `asked_by` is how the log calls whoever wants it. Needs a tokio runtime: the files are read on a thread for that.
    pub async fn reload(&self, asked_by: &'static str) -> Reloaded {
        let control = self.clone();
        let reload = spawn_blocking(move || {
            let _alone = control.0.reloading.lock();
            let mut reloaded = Reloaded::default();
            control.reopen_log(&mut reloaded);
            control.reload_passwords(&mut reloaded);
            control.reload_rules(&mut reloaded);
            control.reload_certificates(&mut reloaded);
            control.reload_config(&mut reloaded);
            reloaded.tell(asked_by);
            reloaded
        });
        match reload.await {
            Ok(reloaded) => reloaded,
            Err(error) => {
                let message = format!("the reload did not come to its end: {error}");
                Reloaded { faults: vec![Fault { message, ..Fault::default() }], ..Reloaded::default() }
            }
        }
    }

    fn reopen_log(&self, reloaded: &mut Reloaded) {
        match self.0.host.reopen_log() {
            Ok(()) => reloaded.log_reopened = true,
            Err(error) => reloaded.faults.push(Fault {
                file: self.0.loaded.lock().config.log.file.as_deref().map(absolute),
                key: Some("log.file".to_owned()),
                message: format!("the log file cannot be opened anew: {error}; the old one stays in use"),
                ..Fault::default()
            }),
        }
    }

    fn reload_passwords(&self, reloaded: &mut Reloaded) {
        let Some(passwords) = &self.0.passwords else { return };
        match read_again(passwords) {
            Ok(users) => reloaded.users = Some(users),
            Err(error) => reloaded.faults.extend(password_faults(&error)),
        }
    }

    fn reload_rules(&self, reloaded: &mut Reloaded) {
        let Some(keeper) = &self.0.rules else { return };
        match keeper.reload() {
            Ok(Applied { rules, ended }) => {
                (reloaded.rules, reloaded.subscriptions_ended) = (Some(rules), Some(ended));
            }
            Err(error) => reloaded.faults.extend(rules_faults(&keeper.file, &error)),
        }
    }

    fn reload_certificates(&self, reloaded: &mut Reloaded) {
        for door in self.0.listeners.doors() {
            match certificates::reload(&door, &self.0.shared) {
                Ok(true) => reloaded.certificates.push(door.name.to_string()),
                Ok(false) => {}
                Err(fault) => reloaded.faults.push(certificate_fault(&door.name, &fault)),
            }
        }
    }

    fn reload_config(&self, reloaded: &mut Reloaded) {
        let after = match self.0.host.config() {
            Ok(after) => after,
            Err(problems) => {
                reloaded.faults.extend(problems.0.iter().map(Fault::of_config));
                return;
            }
        };
        let before = self.0.loaded.lock().config.clone();
        // First: a listener may ask for tokens that were not asked for before.
        let tokens_taken = self.reload_tokens(&before, &after, reloaded);
        let taken = self.reload_listeners(&before, &after, reloaded);
        for difference in before.differences(&after) {
            if difference.key.section == LISTENER {
                if taken {
                    reloaded.changed.push(difference.into());
                }
                continue; // What is wrong with them was told.
            }
            if difference.key.section == TOKEN {
                if tokens_taken {
                    reloaded.changed.push(difference.into());
                }
                continue;
            }
            match self.take(&difference, &after) {
                Ok(true) => reloaded.changed.push(difference.into()),
                Ok(false) => reloaded.needs_restart.push(difference.into()),
                Err(message) => {
                    let key = Some(difference.path);
                    reloaded.faults.push(Fault { key, message, ..Fault::default() });
                }
            }
        }
    }

    /// Reads the keys of the issuers again and takes other issuers in; false if all stay as they were.
    fn reload_tokens(&self, before: &Config, after: &Config, reloaded: &mut Reloaded) -> bool {
        if before.tokens.is_empty() && after.tokens.is_empty() {
            return true;
        }
        let file = || self.0.host.config_file().map(|file| absolute(&file));
        if mapping::tokens_grant(after) && !self.engine().has_rules() {
            let message = "what tokens grant counts after a restart, since there were neither rules nor such tokens at the \
                           start; all issuers stay as they were"
                .to_owned();
            reloaded.faults.push(Fault {
                file: file(),
                key: Some(TOKEN.to_owned()),
                message,
                ..Fault::default()
            });
            return false;
        }
        match self.0.tokens.replace(mapping::tokens(after)) {
            Ok(issuers) => {
                reloaded.tokens = Some(issuers);
                self.0.loaded.lock().config.tokens = after.tokens.clone();
                true
            }
            Err(error) => {
                let key = Some(format!("{TOKEN}[{}].{}", error.number, error.key));
                let message = format!("{}; all issuers stay as they were", error.message);
                let (file, line) = (error.path.as_deref().map(absolute).or_else(file), error.line());
                reloaded.faults.push(Fault { file, line, key, message, ..Fault::default() });
                false
            }
        }
    }

    /// Opens, closes and changes listeners; false if all stay as they were.
    fn reload_listeners(&self, before: &Config, after: &Config, reloaded: &mut Reloaded) -> bool {
        let asks_as_before = |listener: &Listener| before.methods(listener) == after.methods(listener);
        if before.listeners == after.listeners && after.listeners.iter().all(asks_as_before) {
            return true;
        }
        // What else is new in the configuration is not in force yet.
        let tokens = self.0.loaded.lock().config.tokens.clone();
        let mixed = Config { listeners: after.listeners.clone(), tokens, ..before.clone() };
        let fault = |message: String| Fault {
            file: self.0.host.config_file().map(|file| absolute(&file)),
            message: format!("{message}; all listeners stay as they were"),
            ..Fault::default()
        };
        for listener in &after.listeners {
            let label = listener.label();
            if mixed.methods(listener) != after.methods(listener) {
                let why =
                    "who may connect there follows from keys of authentication that count after a restart";
                reloaded.faults.push(fault(format!("listener {label}: {why}")));
                return false;
            }
            if mixed.durability(listener) > Durability::Memory && self.0.store.is_none() {
                let why = "its durability needs the store, which is opened at a start";
                reloaded.faults.push(fault(format!("listener {label}: {why}")));
                return false;
            }
        }
        match self.0.listeners.change(&mixed) {
            Ok(changed) => {
                reloaded.opened = changed.opened;
                reloaded.closed = changed.closed;
                self.0.loaded.lock().config.listeners = after.listeners.clone();
                true
            }
            Err(Error::Tls { listener, source }) => {
                reloaded.faults.push(certificate_fault(&listener, &source));
                false
            }
            Err(error) => {
                reloaded.faults.push(fault(error.to_string()));
                false
            }
        }
    }

    /// Takes one value of the new configuration, if it is one that can change while the broker runs.
    fn take(&self, difference: &Difference, after: &Config) -> Result<bool, String> {
        if difference.key.reload != Reload::Live {
            return Ok(false);
        }
        if difference.key.section == "quota" {
            let mut loaded = self.0.loaded.lock();
            loaded.config.quota = after.quota.clone();
            self.0.shared.guards.quotas.set(mapping::quota(&loaded.config));
            return Ok(true);
        }
        if difference.key.section == "guard" {
            self.take_guard(&after.guard);
            return Ok(true);
        }
        let levels = &after.log.level;
        self.0.host.set_log_levels(levels)?;
        let mut loaded = self.0.loaded.lock();
        loaded.config.log.level = levels.clone();
        loaded.log_levels = levels.clone();
        Ok(true)
    }
}

impl Control {
    /// Wrong passwords are counted by these budgets from now on; what was counted stays.
    fn take_guard(&self, after: &Guard) {
        let mut loaded = self.0.loaded.lock();
        // The sizes of its tables are for the next start.
        let Guard { entries_max, bans_max, .. } = loaded.config.guard;
        loaded.config.guard = Guard { entries_max, bans_max, ..after.clone() };
        self.0.shared.guards.logins.set(mapping::guard(&loaded.config));
        self.0.shared.guards.flapping.set(mapping::flapping(&loaded.config));
    }
}

fn read_again(passwords: &PasswordFile) -> Result<usize, PasswordFileError> {
    let Counts { accepted, denied, remembered, busy } = passwords.counts();
    tracing::debug!(accepted, denied, remembered, busy, "passwords asked for since the start");
    for warning in passwords.reload()? {
        tracing::warn!("{warning}");
    }
    Ok(passwords.user_count())
}

fn password_faults(error: &PasswordFileError) -> Vec<Fault> {
    let key = || Some("authentication.password_file".to_owned());
    let PasswordFileError::Malformed(file) = error else {
        return vec![Fault { key: key(), message: error.to_string(), ..Fault::default() }];
    };
    let message = |at: &FaultAt| match &at.user_name {
        Some(user) => format!("user {user:?}: {}", at.fault),
        None => at.fault.to_string(),
    };
    let fault = |at: &FaultAt| Fault {
        file: Some(absolute(&file.path)),
        line: Some(at.line),
        key: key(),
        message: message(at),
        ..Fault::default()
    };
    let untold = file.fault_count - file.faults.len();
    let rest = (untold > 0).then(|| Fault {
        file: Some(absolute(&file.path)),
        key: key(),
        message: format!("{untold} more lines cannot be used"),
        ..Fault::default()
    });
    file.faults.iter().map(fault).chain(rest).collect()
}

fn rules_faults(file: &RulesFile, error: &RulesError) -> Vec<Fault> {
    let path = || Some(absolute(&file.path));
    let RulesError::Mistakes(told) = error else {
        return vec![Fault { message: error.to_string(), ..Fault::default() }];
    };
    let fault = |mistake: &Mistake| Fault {
        file: path(),
        line: Some(mistake.line),
        column: mistake.column,
        key: mistake.key.clone(),
        message: mistake.message.clone(),
        ..Fault::default()
    };
    let rest = (told.untold > 0).then(|| Fault {
        file: path(),
        message: format!("there are {} mistakes more", told.untold),
        ..Fault::default()
    });
    told.mistakes.iter().map(fault).chain(rest).collect()
}

fn certificate_fault(listener: &str, fault: &TlsFault) -> Fault {
    let text = fault.to_string();
    let Some((path, line)) = fault.place() else {
        return Fault { message: format!("listener {listener}: {text}"), ..Fault::default() };
    };
    let place =
        line.map_or_else(|| format!("{}: ", path.display()), |line| format!("{}:{line}: ", path.display()));
    let message = text.strip_prefix(&place).unwrap_or(&text);
    Fault {
        file: Some(absolute(path)),
        line,
        message: format!("{message} (listener {listener})"),
        ..Fault::default()
    }
}

/// The path for whoever reads it in another folder than the broker's.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Fault {
    fn of_config(problem: &Problem) -> Self {
        let fault = Self { key: problem.key.clone(), message: problem.fault.to_string(), ..Self::default() };
        match &problem.origin {
            Origin::File(path) => Self { file: Some(absolute(path)), ..fault },
            Origin::Place { path, line, column } => {
                Self { file: Some(absolute(path)), line: Some(*line), column: Some(*column), ..fault }
            }
            Origin::Environment(_) | Origin::Flag(_) => {
                Self { source: Some(problem.origin.to_string()), ..fault }
            }
            Origin::Default => fault,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(file) = &self.file {
            write!(out, "{}:", file.display())?;
            self.line.map_or(Ok(()), |line| write!(out, "{line}:"))?;
            self.column.map_or(Ok(()), |column| write!(out, "{column}:"))?;
            out.write_str(" ")?;
        }
        self.source.as_ref().map_or(Ok(()), |source| write!(out, "{source}: "))?;
        self.key.as_ref().map_or(Ok(()), |key| write!(out, "{key}: "))?;
        out.write_str(&self.message)
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
        write!(out, "{}: {} → {}", self.key, value(&self.before), value(&self.after))
    }
}

impl From<Difference> for Change {
    fn from(difference: Difference) -> Self {
        let Difference { path: key, before, after, .. } = difference;
        Self { key, before, after }
    }
}

impl Reloaded {
    /// Tells it to the log.
    fn tell(&self, asked_by: &str) {
        if self.log_reopened {
            tracing::info!("{asked_by}: the log goes on here");
        }
        if let Some(users) = self.users {
            tracing::info!("{asked_by}: the password file has {users} users now");
        }
        if let (Some(rules), Some(ended)) = (self.rules, self.subscriptions_ended) {
            tracing::info!("{asked_by}: {rules} rules are in force now; {ended} subscriptions ended");
        }
        if let Some(issuers) = self.tokens {
            tracing::info!("{asked_by}: the tokens of {issuers} issuers are good now");
        }
        for listener in &self.certificates {
            tracing::info!("{asked_by}: listener {listener} has other certificates now");
        }
        for listener in &self.opened {
            tracing::info!("{asked_by}: listener {listener} is open");
        }
        for listener in &self.closed {
            tracing::info!("{asked_by}: listener {listener} is closed, and its clients are disconnected");
        }
        for change in &self.changed {
            tracing::info!("{asked_by}: {change}, from now on");
        }
        for change in &self.needs_restart {
            tracing::warn!("{asked_by}: {change}, after a restart");
        }
        for fault in &self.faults {
            tracing::error!("{asked_by}: {fault}");
        }
        if !self.faults.is_empty() {
            tracing::error!("{asked_by}: what has faults is not taken and stays as it was");
        }
    }
}
