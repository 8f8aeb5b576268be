//! What the door can be asked, as one line of JSON. Not the answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Action, Query};
use crate::bans::Banned;

/// A request: `{"ask":"status"}`, `{"ask":"kick","client_id":"pump-7"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// What is loaded and how much of everything there is. One answer, `status`.
    Status,
    /// Clients by the order of their identifiers. Many answers, a `client_summary` for each, and `end` behind the last.
    Clients {
        /// Which of them.
        #[serde(default)]
        query: Query,
    },
    /// One client. One answer, `client`.
    Client {
        /// Its identifier.
        client_id: String,
    },
    /// Some of the subscriptions of a client. One answer, `subscriptions`.
    Subscriptions {
        /// Its identifier.
        client_id: String,
        /// From behind this topic filter on; from the first if absent.
        #[serde(default)]
        after: Option<String>,
    },
    /// Ends a client's connection. One answer, `kicked`, when it is gone.
    Kick {
        /// Its identifier.
        client_id: String,
        /// Whether its session ends too.
        #[serde(default)]
        session: bool,
    },
    /// Keeps somebody out. One answer, `ban_changed`, when the disk has it.
    BanAdd {
        /// Whom.
        of: Banned,
        /// For so long; until it is taken back if absent.
        #[serde(default)]
        secs: Option<u64>,
        /// Why, for whoever is banned.
        #[serde(default)]
        why: Option<String>,
    },
    /// Takes a ban back. One answer, `ban_changed`.
    BanRemove {
        /// Of whom.
        of: Banned,
    },
    /// Everybody who is kept out. One answer, `bans`.
    Bans,
    /// Whether a client may do something, and which rule says so. One answer, `decided`.
    Why {
        /// Its identifier.
        client_id: String,
        /// What it wants to do.
        action: Action,
        /// The topic, or the topic filter.
        topic: String,
        /// Of a message.
        #[serde(default)]
        qos: u8,
        /// Of a message.
        #[serde(default)]
        retain: bool,
    },
    /// Reads the configuration, the rules and the password file again and opens the log anew. One answer, `reloaded`.
    Reload,
    /// Changes how much is logged, or tells it. One answer, `log`.
    Log {
        /// What `log.level` may hold; if absent nothing changes.
        #[serde(default)]
        level: Option<String>,
    },
    /// Copies the store, as it is now, into a folder. One answer, `backup`, when the copy is whole; that may take long.
    Backup {
        /// The folder, with its whole path. It must not be there, or be empty.
        folder: PathBuf,
        /// So many bytes are copied in a second at most; as many as the disk takes if absent.
        #[serde(default)]
        bytes_per_sec: Option<u64>,
    },
    /// Ends the broker in order. One answer, `stopping`; the connection closes when the broker has ended.
    Stop,
}
