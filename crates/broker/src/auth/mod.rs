//! Who may connect: the question a connection asks at CONNECT, by a method also later, and those that answer it.
//! Not what a client may then publish or subscribe to.
//!
//! An [`Authenticator`] is called on a worker and must return at once. What takes time is answered
//! [`Answer::Later`]: the task of that one connection awaits it and reads no further meanwhile;
//! everybody else goes on. A listener may have several: its [`Chain`].

mod anonymous;
mod certificate;
mod chain;
mod exchange;
mod password_file;
mod secret;
mod stored_hash;
mod token;

use std::{net::IpAddr, sync::Arc};

use tokio::sync::oneshot;
use whimbrel_access::{Claims, Who};
use whimbrel_codec::ReasonCode;

pub use anonymous::Anonymous;
pub use certificate::Certificate;
pub use chain::Chain;
pub use exchange::{Exchange, Said, Step};
pub use password_file::{
    CREDENTIALS_BYTES_MAX, Counts, FILE_BYTES_MAX, FaultAt, LineFault, MalformedFile, PasswordFile,
    PasswordFileError, PasswordFileOptions, UserName, UserNameFault, Warning, edit,
};
pub use secret::Secret;
pub use stored_hash::{Argon2id, HashFault, NewHash, SALT_BYTES, Scratch, StoredHash};
pub use token::{KeySource, TOKEN_BYTES_MAX, TokenError, TokenFault, TokenOptions, Tokens};
pub use whimbrel_scram as scram;

/// Decides who may connect.
pub trait Authenticator: Send + Sync {
    /// Whether what a client gave is of the kind that this one judges, right or wrong. In a [`Chain`] what is of another
    /// kind is passed on; what is of its kind and wrong is refused.
    fn is_for(&self, _credentials: &Credentials) -> bool {
        true
    }

    /// Whether it may be somebody's guess, of which there are only so many. Who is let in whatever it says guesses
    /// nothing, nor does who gives no password, or one that nobody can guess, such as a signed token.
    fn is_guess(&self, credentials: &Credentials) -> bool {
        credentials.password.is_some()
    }

    /// Judges what a client said of itself in its CONNECT. Never blocks and never takes longer than a
    /// few microseconds: anything slower is an [`Answer::Later`].
    fn authenticate(&self, credentials: Credentials) -> Answer;

    /// Begins an exchange by the method of enhanced authentication that a client names, instead of looking at its
    /// password; nothing where the method is not offered.
    fn begin(&self, method: &str) -> Option<Box<dyn Exchange>> {
        let _ = method;
        None
    }
}

/// What a client gave to prove who it is: in its CONNECT, and before.
#[derive(Debug, Default)]
pub struct Credentials {
    /// The user name, when the CONNECT has one. It may be empty.
    pub user_name: Option<Box<str>>,
    /// The password, when the CONNECT has one. It may be empty, and need not be text.
    pub password: Option<Secret>,
    /// The client identifier; empty when the server shall assign one.
    pub client_id: Box<str>,
    /// The name in its certificate, where the listener takes that for its user name.
    pub certificate: Option<Arc<str>>,
}

/// Who a connection turned out to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user name that was proved; `None` where nobody asked for a proof.
    pub user_name: Option<Arc<str>>,
    /// What a token says of it, for the rules.
    pub claims: Option<Arc<Claims>>,
    /// When the proof ends, in seconds since 1970: the connection ends with it.
    pub ends_at: Option<u64>,
}

impl Identity {
    /// Somebody who has proved this name, for as long as the connection lasts.
    pub fn named(user_name: Arc<str>) -> Self {
        Self { user_name: Some(user_name), ..Self::default() }
    }

    /// The same with everything else that rules ask about.
    pub(crate) fn who(self, client_id: &str, address: Option<IpAddr>, listener: &Arc<str>) -> Who {
        let (client_id, listener) = (client_id.into(), listener.clone());
        Who { client_id, user_name: self.user_name, address, listener, claims: self.claims }
    }
}

/// Whether a client may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may, and this is who it is.
    Allow(Identity),
    /// It may not.
    Deny(Denial),
}

/// Why a client may not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// User name and password do not belong together. It is not said which of the two is wrong.
    BadUserNameOrPassword,
    /// No user name was given where one is needed.
    NotAuthorized,
    /// The certificate or the token belongs to another client identifier than the CONNECT names.
    ForeignClientId,
    /// The token is not taken.
    BadToken(TokenFault),
    /// The client names a method of enhanced authentication that is not offered here.
    UnknownMethod,
    /// Too many verifications wait already, or the keys for a token cannot be had: the client may try again.
    ServerBusy,
}

impl Denial {
    /// What the CONNACK says; for 3.1 and 3.1.1 the codec finds the nearest return code.
    pub fn reason(self) -> ReasonCode {
        match self {
            Self::BadUserNameOrPassword | Self::BadToken(_) => ReasonCode::BadUserNameOrPassword,
            Self::NotAuthorized => ReasonCode::NotAuthorized,
            Self::ForeignClientId => ReasonCode::ClientIdNotValid,
            Self::UnknownMethod => ReasonCode::BadAuthenticationMethod,
            Self::ServerBusy => ReasonCode::ServerBusy,
        }
    }
}

/// An [`Authenticator`]'s answer.
#[derive(Debug)]
pub enum Answer {
    /// The verdict is known.
    Now(Verdict),
    /// The verdict comes by this channel. When the channel closes without one, the authenticator has
    /// been shut down; [`Answer::verdict`] reads that as [`Denial::ServerBusy`].
    Later(oneshot::Receiver<Verdict>),
}

impl Answer {
    /// Waits for the verdict. Dropping the future gives the question up: a verification that has not
    /// begun by then is not made.
    pub async fn verdict(self) -> Verdict {
        match self {
            Self::Now(verdict) => verdict,
            Self::Later(verdict) => verdict.await.unwrap_or(Verdict::Deny(Denial::ServerBusy)),
        }
    }
}
