//! What the door answers, as one line of JSON for each. Not how it finds the answers.

use serde::{Deserialize, Serialize};

use super::{
    BackedUp, BanChanged, Bans, Client, ClientSummary, Decided, Kicked, LogLevel, Refusal, Reloaded, Status,
    Subscriptions,
};

/// An answer: an object with one member, named after what it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To `status`.
    Status(Box<Status>),
    /// To `clients`, once for each.
    ClientSummary(ClientSummary),
    /// To `clients`, behind the last.
    End {
        /// Clients that match.
        matching: usize,
        /// How many of them were not told, because of the limit.
        left: usize,
    },
    /// To `client`.
    Client(Box<Client>),
    /// To `subscriptions`.
    Subscriptions(Subscriptions),
    /// To `why`.
    Decided(Decided),
    /// To `kick`.
    Kicked(Kicked),
    /// To `ban_add` and `ban_remove`.
    BanChanged(BanChanged),
    /// To `bans`.
    Bans(Bans),
    /// To `reload`.
    Reloaded(Reloaded),
    /// To `log`.
    Log(LogLevel),
    /// To `backup`.
    Backup(BackedUp),
    /// To `stop`.
    Stopping {},
    /// To anything: it is not done.
    Refused {
        /// Why, in words.
        message: String,
        /// Why.
        refusal: Refusal,
    },
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Answer::Refused { message: refusal.to_string(), refusal }
    }
}
