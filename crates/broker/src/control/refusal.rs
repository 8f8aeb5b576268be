//! Why the door does not do what it was asked. Not what is wrong with a configuration: a reload answers that.

use serde::{Deserialize, Serialize};

use crate::bans::Banned;

/// A request that is not fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// Nobody has this client identifier.
    #[error("there is no client {client_id:?}, and no session of one")]
    NoSuchClient {
        /// The client identifier.
        client_id: String,
    },
    /// The client has a session and no connection that could be ended.
    #[error(
        "client {client_id:?} is not connected; its session stays unless it is asked to end too (--session)"
    )]
    NotConnected {
        /// The client identifier.
        client_id: String,
    },
    /// The client was told to go and is still there.
    #[error(
        "client {client_id:?} was told to go and is still there after {secs} seconds; it goes when its worker comes to it"
    )]
    NotGone {
        /// The client identifier.
        client_id: String,
        /// How long it was waited for.
        secs: u64,
    },
    /// What is to be banned is neither an address nor a network.
    #[error("{text:?} is no IP address or network, such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32")]
    NoNetwork {
        /// What was given.
        text: String,
    },
    /// The words that say why somebody is banned are too many.
    #[error("why somebody is banned has at most {bytes_max} bytes")]
    BanTooLong {
        /// So many bytes they may have.
        bytes_max: usize,
    },
    /// There are as many bans as there may be.
    #[error("there are {bans_max} bans already (guard.bans_max); take some back")]
    TooManyBans {
        /// So many there may be.
        bans_max: usize,
    },
    /// There is no such ban.
    #[error("{of} is not banned")]
    NotBanned {
        /// Who is not.
        of: Banned,
    },
    /// Nobody has named a file of rules: everybody may do everything.
    #[error("there are no rules of access: everybody may do everything")]
    NoRules,
    /// The session is from before the broker's start, and its client has not come since.
    #[error(
        "nobody knows yet whose session {client_id:?} is: its client has not come since the broker's start"
    )]
    Unidentified {
        /// The client identifier.
        client_id: String,
    },
    /// The level of the log cannot be changed.
    #[error("the level of the log cannot be changed: {why}")]
    LogLevel {
        /// Why.
        why: String,
    },
    /// There is no backup.
    #[error("there is no backup: {why}")]
    Backup {
        /// Why.
        why: String,
    },
    /// A pattern of client identifiers is longer than one may be.
    #[error("a pattern has at most {bytes_max} bytes")]
    PatternTooLong {
        /// So many bytes it may have.
        bytes_max: usize,
    },
    /// The line is not a request.
    #[error("this is no request: {why}")]
    NoRequest {
        /// What is wrong with it.
        why: String,
    },
    /// The line is longer than a request may be.
    #[error("a request has at most {bytes_max} bytes")]
    RequestTooLarge {
        /// So many bytes it may have.
        bytes_max: usize,
    },
    /// The line did not come in time.
    #[error("a request has to come whole within {secs} seconds")]
    RequestTooSlow {
        /// So long it may take.
        secs: u64,
    },
    /// Too many others are at the socket.
    #[error("{connections_max} others are at the control socket already; try again")]
    Busy {
        /// How many there may be.
        connections_max: usize,
    },
    /// The account at the other end is neither the broker's nor root.
    #[error("account {uid} may not control this broker: only the account that it runs as and root may")]
    NotAllowed {
        /// The account's number.
        uid: u32,
    },
}
