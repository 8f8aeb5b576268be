//! The authenticator that asks for a token of an identity provider (JWT, RFC 7519) as the password. Not what its client may
//! do then: the rules say that.
//!
//! ```text
//! worker:   authenticate ── looks like a token ──▶ Queue (bounded) ──▶ Answer::Later
//!                                                    │
//! threads:                  take apart, find the issuer, verify the signature, hold the claims against what is asked
//!                                                    │ a key that nobody knows
//! "token-keys":             wait ──▶ fetch the keys (never more often than the pause allows) ──▶ Queue again
//! ```

#[cfg(test)]
mod attack_tests;
mod claims;
mod fetch;
mod issuer;
mod json;
mod jws;
#[cfg(test)]
mod key_server_tests;
mod keys;
mod queue;
mod refresh;
#[cfg(test)]
mod test_issuer;
#[cfg(test)]
mod tests;

use std::{
    io,
    num::NonZeroUsize,
    path::PathBuf,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;

use super::{Answer, Authenticator, Credentials, Denial, Verdict};
use crate::config::{Algorithm, KeysUrl};
use fetch::Fetcher;
use issuer::{Issuer, Outcome};
use jws::{Jws, looks_like_token};
use queue::{Attempt, Queue};
use refresh::Refresher;

pub use jws::TOKEN_BYTES_MAX;

/// An issuer, and what its tokens have to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenOptions {
    /// Its table in the configuration, from 1.
    pub number: usize,
    /// What logs call it.
    pub label: String,
    /// `iss`, to the letter; none for every issuer that has no options of its own.
    pub issuer: Option<String>,
    /// One of these has to be in `aud`; without any, a token has none.
    pub audience: Vec<String>,
    /// Where the keys are.
    pub keys: KeySource,
    /// The algorithms that count; all that a key is good for, if there are none.
    pub algorithms: Vec<Algorithm>,
    /// Whether a token has to end.
    pub expiry_required: bool,
    /// By how much two clocks may differ.
    pub clock_skew_secs: u64,
    /// The claim with the user name.
    pub user_name_claim: String,
    /// The claim with the client identifier.
    pub client_id_claim: Option<String>,
    /// The claim with groups of the file of rules.
    pub groups_claim: Option<String>,
    /// The claim with filters to which the client may publish.
    pub publish_claim: Option<String>,
    /// The claim with filters to which it may subscribe.
    pub subscribe_claim: Option<String>,
}

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A secret, in a file.
    Secret(PathBuf),
    /// Public keys, in a file.
    File(PathBuf),
    /// A JWK set of a server.
    Url {
        /// Where it is.
        url: KeysUrl,
        /// The CAs whose certificates are good for the server; else the machine's own.
        ca: Option<PathBuf>,
        /// How old it becomes.
        refresh: Duration,
        /// The least time between two fetches.
        pause: Duration,
        /// How long it counts while no other can be fetched.
        keep: Duration,
        /// How long a fetch may take, from the look-up of the host to the last byte. So long a client waits for keys, at
        /// least, when they cannot be fetched.
        within: Duration,
    },
}

impl KeySource {
    /// The key of the configuration that names it.
    fn key(&self) -> &'static str {
        match self {
            Self::Secret(_) => "secret_file",
            Self::File(_) => "keys_file",
            Self::Url { .. } => "jwks_url",
        }
    }
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// It has more bytes than [`TOKEN_BYTES_MAX`].
    TooLong,
    /// It is no JWT: its parts are no base64url, no JSON, or say something twice.
    Malformed,
    /// Its head asks for something that is not done here.
    Head,
    /// Its algorithm is none that its key may have, or none at all.
    Algorithm,
    /// None of the issuer's keys is the one that it names.
    UnknownKey,
    /// Its signature is wrong.
    Signature,
    /// Nobody's tokens with this `iss` are good here.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// It has ended.
    Expired,
    /// It counts later.
    NotYetValid,
    /// It does not say when it ends.
    NoExpiry,
    /// Its `exp` or `nbf` is no time.
    Time,
    /// It does not say who its client is, or in no way that could be a user name.
    UserName,
    /// It does not say the client identifier that it should.
    ClientId,
    /// What should be a list of groups is none.
    Groups,
    /// What should be a list of topic filters is none.
    Permissions,
}

/// Why the tokens of an issuer cannot be verified.
#[derive(Debug, thiserror::Error)]
#[error("{}token[{number}].{key}: {message}", path.as_ref().map(|path| format!("{}: ", path.display())).unwrap_or_default())]
pub struct TokenError {
    /// The file, if it is in one.
    pub path: Option<PathBuf>,
    /// The table of the configuration, from 1.
    pub number: usize,
    /// Its key.
    pub key: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

impl TokenError {
    /// The line of the file, from 1, where it is known.
    pub(crate) fn line(&self) -> Option<usize> {
        self.message.strip_prefix("line ")?.split_once(':')?.0.parse().ok()
    }
}

/// Seconds since 1970.
type Clock = Box<dyn Fn() -> u64 + Send + Sync>;

/// Lets in whoever has a good token. Dropping it ends its threads.
pub struct Tokens {
    inner: Arc<Inner>,
    threads: NonZeroUsize,
    /// Whether they run: without an issuer there is nothing for them to do.
    started: Mutex<bool>,
}

struct Inner {
    current: RwLock<Arc<Current>>,
    queue: Arc<Queue>,
    clock: Clock,
}

/// The issuers in force.
#[derive(Default)]
struct Current {
    issuers: Vec<Arc<Issuer>>,
    _refresher: Option<Refresher>,
}

impl Tokens {
    /// Reads the files of keys and begins to fetch the others. Blocks on the disk.
    ///
    /// # Errors
    /// A file that cannot be used; the system gives no threads.
    pub fn open(
        issuers: Vec<TokenOptions>,
        threads: NonZeroUsize,
        waiting_max: NonZeroUsize,
    ) -> Result<Tokens, TokenError> {
        Self::with_clock(issuers, threads, waiting_max, Box::new(crate::worker::wall_secs))
    }

    fn with_clock(
        issuers: Vec<TokenOptions>,
        threads: NonZeroUsize,
        waiting_max: NonZeroUsize,
        clock: Clock,
    ) -> Result<Tokens, TokenError> {
        let queue = Arc::new(Queue::new(waiting_max));
        let inner = Arc::new(Inner { current: RwLock::default(), queue, clock });
        let tokens = Tokens { inner, threads, started: Mutex::new(false) };
        tokens.replace(issuers)?;
        Ok(tokens)
    }

    /// Other issuers, or the same with files that are read again. Who is connected stays.
    ///
    /// # Errors
    /// As of [`Self::open`]; what was in force stays so.
    pub fn replace(&self, issuers: Vec<TokenOptions>) -> Result<usize, TokenError> {
        let former = self.inner.current.read().clone();
        let of_system = |message: String| TokenError { path: None, number: 1, key: "issuer", message };
        let (mut opened, mut fetched) = (Vec::new(), Vec::new());
        for options in issuers {
            let same = former.issuers.iter().find(|known| known.options.issuer == options.issuer);
            let issuer = Arc::new(Issuer::open(options, same.map(Arc::as_ref))?);
            if let KeySource::Url { url, ca, within, .. } = &issuer.options.keys {
                let fetcher =
                    Fetcher::new(url.clone(), ca.as_deref(), *within).map_err(|fault| TokenError {
                        path: None,
                        number: issuer.options.number,
                        key: if ca.is_some() { "jwks_ca" } else { "jwks_url" },
                        message: fault.to_string(),
                    })?;
                fetched.push((issuer.clone(), fetcher));
            }
            opened.push(issuer);
        }
        let count = opened.len();
        if count > 0 {
            self.start().map_err(|error| of_system(format!("the system refuses a thread: {error}")))?;
        }
        let refresher = match fetched.is_empty() {
            true => None,
            false => Some(
                Refresher::start(fetched, &self.inner.queue)
                    .map_err(|error| of_system(format!("the system refuses a thread: {error}")))?,
            ),
        };
        *self.inner.current.write() = Arc::new(Current { issuers: opened, _refresher: refresher });
        // Whoever waits for keys of before asks anew.
        for attempt in former.issuers.iter().flat_map(|issuer| issuer.take_waiting()) {
            self.inner.queue.push(attempt);
        }
        Ok(count)
    }

    fn start(&self) -> io::Result<()> {
        let mut started = self.started.lock();
        if !*started {
            let inner: Weak<Inner> = Arc::downgrade(&self.inner);
            let verify = move |attempt| {
                if let Some(inner) = inner.upgrade() {
                    inner.verify(attempt);
                }
            };
            queue::start_threads(self.threads, &self.inner.queue, &Arc::new(verify))?;
            *started = true;
        }
        Ok(())
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.inner.queue.close();
        *self.inner.current.write() = Arc::default();
    }
}

impl Authenticator for Tokens {
    /// A password that looks like a token, whatever user name stands beside it.
    fn is_for(&self, credentials: &Credentials) -> bool {
        credentials.password.as_ref().is_some_and(|password| looks_like_token(password.expose()))
    }

    /// What is signed cannot be guessed, and whoever has somebody's user name could have it locked out by bad tokens.
    fn is_guess(&self, _credentials: &Credentials) -> bool {
        false
    }

    fn authenticate(&self, credentials: Credentials) -> Answer {
        let Credentials { password, client_id, .. } = credentials;
        let deny = |denial| Answer::Now(Verdict::Deny(denial));
        match password {
            Some(token) if token.expose().len() > TOKEN_BYTES_MAX => {
                deny(Denial::BadToken(TokenFault::TooLong))
            }
            Some(token) if looks_like_token(token.expose()) => {
                let (reply, verdict) = oneshot::channel();
                let (arrived, is_last) = (Instant::now(), false);
                self.inner.queue.push(Attempt { token, client_id, arrived, is_last, reply });
                Answer::Later(verdict)
            }
            Some(_) => deny(Denial::BadToken(TokenFault::Malformed)),
            None => deny(Denial::NotAuthorized),
        }
    }
}

impl Inner {
    /// Decides about a token, or has it wait for keys.
    fn verify(&self, attempt: Attempt) {
        let issuers = self.current.read().clone();
        let judged = Jws::parse(attempt.token.expose()).and_then(|token| {
            let issuer = issuers.issuer_of(&token).ok_or(TokenFault::Issuer)?;
            // One that names no key is none of ours if its signature is nobody's.
            let fault = if token.key_id.is_some() { TokenFault::UnknownKey } else { TokenFault::Signature };
            Ok((issuer.judge(&token, &attempt.client_id, (self.clock)()), issuer, fault))
        });
        match judged {
            Ok((Outcome::Decided(Ok(identity)), ..)) => attempt.answer(Verdict::Allow(identity)),
            Ok((Outcome::Decided(Err(denial)), ..)) => attempt.answer(Verdict::Deny(denial)),
            Ok((Outcome::UnknownKey, issuer, fault)) => issuer.wait(attempt, self.queue.waiting_max(), fault),
            Err(fault) => attempt.answer(Verdict::Deny(Denial::BadToken(fault))),
        }
    }
}

impl Current {
    /// Whose token it says it is; its signature proves it.
    fn issuer_of(&self, token: &Jws<'_>) -> Option<&Arc<Issuer>> {
        let named = token.claims.get("iss").and_then(serde_json::Value::as_str);
        let by =
            |name: Option<&str>| self.issuers.iter().find(|issuer| issuer.options.issuer.as_deref() == name);
        named.and_then(|name| by(Some(name))).or_else(|| by(None))
    }
}
