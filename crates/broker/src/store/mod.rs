//! The store: the journal on disk, what it brings back at the start, and the thread that writes it; and the tools that look
//! at a store, copy it and make it smaller. What the records mean is the engine's business.

mod adapter;
mod backup;
mod check;
mod cleaner;
mod compact;
mod dump;
mod folder;
mod measure;
mod tool;
mod writer;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
    time::Instant,
};

use whimbrel_engine::{
    Engine, Journal, Limits, Now,
    store::{Fold, Restored},
};
use whimbrel_journal::{FileDisk, Log, OpenError, Options, Position, RECORD_HEADER_BYTES, Recovery};

use crate::{config::Config, worker::Shared};

pub(crate) use backup::backup_log;
pub use backup::{BackedUp, backup, restore};
pub use check::{Checked, Trouble, check};
pub use compact::{Compacted, compact};
pub use dump::{DumpEnd, Dumped, dump};
pub use folder::of as folder_of;
use measure::Measures;
pub use tool::ToolError;
pub(crate) use writer::{Bell, Bells, SYNCED, WRITTEN};

/// Written bytes that may wait for a sync that nobody asked for.
const UNSYNCED_BYTES_MAX: usize = 1 << 20;

/// The store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing says where it is.
    #[error(
        "there is no folder for the store: neither HOME nor XDG_DATA_HOME nor STATE_DIRECTORY is set; name one with --store-directory (store.directory), or keep nothing with --durability memory"
    )]
    NoFolder,
    /// The folder cannot be made.
    #[error(
        "the folder of the store {} cannot be made: {source}; name another with --store-directory (store.directory), or keep nothing with --durability memory",
        folder.display()
    )]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has it, the disk fails, or it is damaged.
    #[error("the store in {}: {source}", folder.display())]
    Open {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        source: OpenError,
    },
    /// Messages that somebody is owed are not in the store.
    #[error(
        "the store in {} is damaged: {missing} messages that somebody is owed are not there; restore a backup, or look at it with `whimbrel store check`",
        folder.display()
    )]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// How many.
        missing: usize,
    },
    /// The system gives no thread.
    #[error("the system refuses the thread that writes the store: {0}")]
    Thread(io::Error),
}

/// What can be looked at of an open store.
#[derive(Clone)]
pub(crate) struct StoreView {
    pub log: Log,
    pub folder: PathBuf,
    /// As the engine has it.
    pub journal: Arc<dyn Journal>,
}

/// A store that is open, and the threads that write and clean it.
pub(crate) struct Store {
    pub view: StoreView,
    writer: Option<thread::JoinHandle<()>>,
    cleaner: Option<(mpsc::Sender<()>, thread::JoinHandle<()>)>,
}

/// An engine with all that its store holds.
pub(crate) struct Kept {
    pub engine: Engine,
    pub store: Option<Store>,
    /// For the workers that wait for the disk.
    pub bells: Arc<Bells>,
}

/// Makes the engine: with its store, unless nobody asks for one.
pub(crate) fn open(config: &Config, limits: Limits, seed: u64, now: Now) -> Result<Kept, StoreError> {
    let bells = Arc::new(Bells::default());
    let engine = Engine::new(limits, seed);
    if !config.keeps() {
        return Ok(Kept { engine, store: None, bells });
    }
    let folder = folder::of(config).ok_or(StoreError::NoFolder)?;
    let disk =
        FileDisk::new(&folder).map_err(|source| StoreError::Folder { folder: folder.clone(), source })?;
    let options = Options {
        staged_bytes_max: usize::try_from(config.store.staged_bytes_max).unwrap_or(usize::MAX),
        // What nobody waits for is synced in small pieces: on a slow disk everybody else waits for that.
        unsynced_bytes_max: UNSYNCED_BYTES_MAX,
        store_id: seed_id(seed),
        ..Options::default()
    };
    let started = Instant::now();
    let mut fold = Fold::new();
    let mut visit = |_: &whimbrel_journal::Live, position: Position, record: &[u8]| {
        let end = position.0 + (RECORD_HEADER_BYTES + record.len()) as u64;
        fold.take(position.0, end, record).map_err(Into::into)
    };
    let (log, committer, recovery) = Log::open(Arc::new(disk), options, &mut visit)
        .map_err(|source| StoreError::Open { folder: folder.clone(), source })?;
    let journal = Arc::new(adapter::LogJournal::new(log.clone(), config.store.staged_bytes_max));
    let engine = engine.with_journal(journal.clone());
    let restored = fold.restore(&engine, now);
    tell(&folder, &recovery, restored, started);
    if restored.missing > 0 {
        return Err(StoreError::Missing { folder, missing: restored.missing });
    }
    engine.begin_records(now);
    let writer =
        writer::start(committer, log.clone(), bells.clone(), journal.measures.clone(), folder.clone())
            .map_err(StoreError::Thread)?;
    let view = StoreView { log, folder, journal };
    let store = Store { view, writer: Some(writer), cleaner: None };
    Ok(Kept { engine, store: Some(store), bells })
}

/// What a new store is called in its files.
fn seed_id(seed: u64) -> [u8; 16] {
    let mut id = [0; 16];
    let (front, back) = id.split_at_mut(8);
    front.copy_from_slice(&seed.to_le_bytes());
    back.copy_from_slice(&u64::from(std::process::id()).to_le_bytes());
    id
}

fn tell(folder: &std::path::Path, recovery: &Recovery, restored: Restored, started: Instant) {
    let Restored { sessions, subscriptions, owed, retained, wills, dropped, .. } = restored;
    tracing::info!(
        "store {}: {sessions} sessions with {subscriptions} subscriptions, {owed} messages owed, {retained} retained, {wills} wills; read in {} ms",
        folder.display(),
        started.elapsed().as_millis(),
    );
    if let Some(cut) = &recovery.cut {
        tracing::info!("the last write was not whole and is left out, nobody was promised it: {cut}");
    }
    if dropped > 0 {
        tracing::info!(
            "{dropped} messages that had not been taken whole are left out; their publishers send them again"
        );
    }
    for file in &recovery.foreign_files {
        tracing::warn!("{} holds {file}, which is none of the store's files", folder.display());
    }
}

impl Store {
    /// Begins to give back the space of what is needed no more.
    pub(crate) fn keep_clean(&mut self, shared: &Arc<Shared>) -> Result<(), StoreError> {
        let (stop, stopped) = mpsc::channel();
        let thread =
            cleaner::start(shared.clone(), self.view.log.clone(), stopped).map_err(StoreError::Thread)?;
        self.cleaner = Some((stop, thread));
        Ok(())
    }
}

impl Drop for Store {
    /// Writes what is staged and ends the thread. Blocks on the disk.
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.cleaner.take() {
            drop(stop);
            let _ = thread.join(); // A panic there was reported where it happened.
        }
        self.view.log.stop();
        if let Some(thread) = self.writer.take() {
            let _ = thread.join();
        }
    }
}
