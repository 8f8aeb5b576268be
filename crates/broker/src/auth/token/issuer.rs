//! An issuer of tokens while the broker runs: its keys, those who wait for them, and what becomes of a token. Not the way
//! by which keys are fetched.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::{
    KeySource, TokenError, TokenFault, TokenOptions, claims,
    jws::Jws,
    keys::{KeySet, Signed},
    queue::Attempt,
};
use crate::auth::{Denial, Identity, Verdict};

/// The largest file of keys that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// An issuer.
pub(super) struct Issuer {
    pub(super) options: TokenOptions,
    held: RwLock<Held>,
    /// Tokens that name a key which is not here, until keys were fetched.
    waiting: Mutex<Vec<Attempt>>,
    /// Somebody waits.
    pub(super) wanted: Notify,
}

/// The keys, and since when they are here.
#[derive(Clone, Default)]
struct Held {
    keys: Arc<KeySet>,
    /// None for keys of a file, which count until it is read again.
    fetched: Option<Instant>,
}

/// What becomes of a token.
pub(super) enum Outcome {
    Decided(Result<Identity, Denial>),
    /// Its key is none of those that are here.
    UnknownKey,
}

impl Issuer {
    /// Reads the keys, where they are in a file; takes over those that were fetched for the same URL.
    ///
    /// # Errors
    /// The file cannot be read, or holds no keys that can be used.
    pub(super) fn open(options: TokenOptions, former: Option<&Issuer>) -> Result<Issuer, TokenError> {
        let fault = |path: &Path| {
            let (path, number, key) = (path.to_owned(), options.number, options.keys.key());
            move |message| TokenError { path: Some(path), number, key, message }
        };
        let keys = match &options.keys {
            KeySource::Secret(path) => {
                let bytes = read(path).map_err(fault(path))?;
                KeySet::of_secret(&bytes, &options.algorithms).map_err(fault(path))?
            }
            KeySource::File(path) => {
                let bytes = read(path).map_err(fault(path))?;
                let text = str::from_utf8(&bytes).map_err(|_| fault(path)("it is no text".to_owned()))?;
                KeySet::of_public(text, &options.algorithms).map_err(fault(path))?
            }
            KeySource::Url { .. } => KeySet::default(),
        };
        let is_same = |former: &&Issuer| {
            matches!(options.keys, KeySource::Url { .. })
                && (&former.options.keys, &former.options.algorithms) == (&options.keys, &options.algorithms)
        };
        let held = match former.filter(is_same) {
            Some(former) => former.held.read().clone(),
            None => Held { keys: Arc::new(keys), fetched: None },
        };
        Ok(Issuer { options, held: RwLock::new(held), waiting: Mutex::default(), wanted: Notify::new() })
    }

    /// Keys that were fetched are in force from now on; gives how many there were before.
    pub(super) fn take(&self, keys: KeySet) -> usize {
        let held = Held { keys: Arc::new(keys), fetched: Some(Instant::now()) };
        std::mem::replace(&mut *self.held.write(), held).keys.len()
    }

    /// When keys were fetched, if they were.
    pub(super) fn fetched(&self) -> Option<Instant> {
        self.held.read().fetched
    }

    /// The keys that count now.
    fn keys(&self) -> Arc<KeySet> {
        let held = self.held.read();
        match (&self.options.keys, held.fetched) {
            (KeySource::Url { keep, .. }, Some(fetched)) if fetched.elapsed() >= *keep => Arc::default(),
            _ => held.keys.clone(),
        }
    }

    /// Decides about a token at `now`, in seconds since 1970.
    pub(super) fn judge(&self, token: &Jws<'_>, client_id: &str, now: u64) -> Outcome {
        let refuse = |fault| Outcome::Decided(Err(Denial::BadToken(fault)));
        match self.keys().verify(token) {
            Signed::Good => {}
            Signed::UnknownKey => return Outcome::UnknownKey,
            Signed::Bad(fault) => return refuse(fault),
        }
        let said = match claims::read(&self.options, &token.claims, now) {
            Ok(said) => said,
            Err(fault) => return refuse(fault),
        };
        if said.client_id.is_some_and(|own| *own != *client_id) {
            return Outcome::Decided(Err(Denial::ForeignClientId));
        }
        Outcome::Decided(Ok(Identity {
            user_name: Some(said.user_name.into()),
            claims: Some(Arc::new(said.claims)),
            ends_at: said.ends_at,
        }))
    }

    /// Has an attempt wait for the next keys that are fetched, where keys are fetched; else it has this fault.
    pub(super) fn wait(&self, attempt: Attempt, waiting_max: usize, fault: TokenFault) {
        let can_come = matches!(self.options.keys, KeySource::Url { .. }) && !attempt.is_last;
        if !can_come {
            return attempt.answer(Verdict::Deny(Denial::BadToken(fault)));
        }
        let mut waiting = self.waiting.lock();
        waiting.retain(|attempt| !attempt.reply.is_closed());
        if waiting.len() >= waiting_max {
            drop(waiting);
            return attempt.answer(Verdict::Deny(Denial::ServerBusy));
        }
        waiting.push(attempt);
        drop(waiting);
        self.wanted.notify_one();
    }

    /// Those who wait: keys that are fetched from here on are newer than their question.
    pub(super) fn take_waiting(&self) -> Vec<Attempt> {
        std::mem::take(&mut *self.waiting.lock())
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.lock().is_empty()
    }

    /// No keys came: who has not waited for long yet waits for the next attempt.
    pub(super) fn wait_again(&self, attempts: Vec<Attempt>, patience: Duration) {
        for attempt in attempts {
            if attempt.arrived.elapsed() < patience {
                self.waiting.lock().push(attempt);
            } else {
                attempt.answer(Verdict::Deny(Denial::ServerBusy));
            }
        }
    }
}

/// The bytes of a file of keys.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut bytes = Zeroizing::new(Vec::new());
    let cannot = |error: io::Error| format!("it cannot be read: {error}");
    // Asked before it is opened: to open a pipe waits for somebody who writes.
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut file = File::open(path).map_err(cannot)?.take(FILE_BYTES_MAX + 1);
    file.read_to_end(&mut bytes).map_err(cannot)?;
    match bytes.len() as u64 > FILE_BYTES_MAX {
        true => Err(format!("it is larger than {FILE_BYTES_MAX} bytes")),
        false => Ok(bytes),
    }
}
