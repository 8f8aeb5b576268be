//! The room `[store]`: what is kept on disk, where, and how sure it has to be. Not the store.

use std::path::PathBuf;

use super::room::room;
use super::setting::Choice;

room! {
    /// What is kept on disk: sessions, subscriptions, messages of QoS 1 and 2 that are owed, retained messages, wills.
    /// Nothing that promises leaves the broker before what it promises is as sure as the listener asks.
    pub struct Store("store") {
        /// How sure that is on a listener that does not say it itself: `power` survives a loss of power (synced before
        /// the acknowledgement), `process` survives the end of the process, `kill -9` included (written before the
        /// acknowledgement), `memory` survives nothing. Where no listener asks for more than `memory` nothing is kept on
        /// disk. What it costs stands in docs/durability.md.
        durability: Durability = Durability::Power, flag("durability");

        /// The folder of the store. It is made if it is missing, for its owner alone, and one process at a time has it.
        /// Without the key it is $STATE_DIRECTORY (systemd sets it), else /var/lib/whimbrel for root, else
        /// $XDG_DATA_HOME/whimbrel, else ~/.local/share/whimbrel. In the configuration file a relative path counts from
        /// the folder of that file.
        directory: Option<PathBuf> = None, flag("store-directory"), example("/var/lib/whimbrel");

        /// What happens to messages of QoS 1 and 2 that have to be kept while the disk is full or has failed: `wait`
        /// takes them as far as staged_bytes_max allows and acknowledges them when the disk has them (beyond it their
        /// publishers wait), `refuse` refuses them to their publishers: with 0x97, quota exceeded, while the disk is full,
        /// with 0x83, implementation specific error, while it has failed or nobody may write to it. A client older than
        /// MQTT 5.0 cannot be told: with `wait` it gets no acknowledgement until the disk has the message, with `refuse`
        /// it is disconnected. QoS 0 goes on, and so does everything that nobody is owed on disk.
        disk_full: DiskFull = DiskFull::Wait;

        /// Bytes that may wait for the disk. Beyond it whoever brings something that has to be kept waits: messages of QoS 1
        /// and 2 and retained ones, subscriptions of sessions that stay, and clients that connect with such a session or
        /// with a will.
        staged_bytes_max: u64 = 67_108_864, within(1_048_576, 17_179_869_184), unit("bytes");

        /// How long the clients that were connected have to come back after a restart before their wills are published.
        will_grace_secs: u16 = 30, within(0, 65_535), unit("seconds");
    }
}

/// How sure something has to be before it is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// It survives nothing.
    Memory,
    /// It survives the end of the process.
    Process,
    /// It survives a loss of power.
    Power,
}

/// What happens to messages that have to be kept while the disk takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFull {
    /// They wait.
    Wait,
    /// They are refused.
    Refuse,
}

impl Choice for Durability {
    const WORDS: &'static [&'static str] = &["memory", "process", "power"];
    const VALUES: &'static [Self] = &[Self::Memory, Self::Process, Self::Power];
}

impl Durability {
    /// Its word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Process => "process",
            Self::Power => "power",
        }
    }
}

impl Choice for DiskFull {
    const WORDS: &'static [&'static str] = &["wait", "refuse"];
    const VALUES: &'static [Self] = &[Self::Wait, Self::Refuse];
}
