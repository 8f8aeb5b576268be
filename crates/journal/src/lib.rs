//! A segmented log on disk with group commit, recovery and reclaim. Knows no MQTT.
//!
//! A [`Log`] takes records from many threads into memory; its one [`Committer`] writes what has gathered in one go, syncs it
//! where somebody asked, and publishes two watermarks: what survives the end of the process, and what survives a loss of
//! power. What one commit takes is what arrived during the one before: there is no timer.
//!
//! | to | call |
//! |---|---|
//! | begin | [`Log::open`], which gives all records to a visitor |
//! | record | [`Log::stage`], then [`Log::ask`] or [`Log::wake`] |
//! | write | [`Committer::run`] on a thread, or [`Committer::commit_once`] by one's own measure |
//! | wait | [`Committer::on_reached`], [`Log::written`], [`Log::synced`] |
//! | get space back | [`Log::live`], [`Log::needs_reclaim`], [`Log::oldest`], [`Log::read_segment`], [`Log::drop_segment`] |
//! | copy | [`Log::copy_to`] while it is written to, [`copy_store`] while nobody does |
//! | mend | [`Log::state`], [`Committer::reopen`] |
//! | end | [`Log::stop`] |
//!
//! All reaches the disk through [`Disk`]: a folder is a [`FileDisk`], and [`sim::SimDisk`] plays one that fails.
#![forbid(unsafe_code)]

mod committer;
mod copy;
mod disk;
mod error;
mod file_disk;
mod folder;
mod format;
mod log;
mod open;
mod options;
mod position;
mod reader;
mod recovery;
mod scan;
mod segments;
pub mod sim;
mod staging;
mod state;
mod survey;
mod unsynced;
mod writer;

pub use committer::Committer;
pub use copy::{Copied, Hold, Pace, copy_store};
pub use disk::{Disk, DiskFile, DiskLock, LockError};
pub use error::{
    CopyError, Corruption, Damage, DropError, Fault, OpenError, ReadError, ReopenError, StageError,
};
pub use file_disk::FileDisk;
pub use format::{FORMAT_VERSION, RECORD_BYTES_MAX, RECORD_HEADER_BYTES};
pub use log::{Log, Staged};
pub use options::Options;
pub use position::Position;
pub use recovery::{Recovery, Visitor, read_store};
pub use segments::{Live, SegmentInfo};
pub use state::{Level, Outcome, Reached, State, Stopped};
