//! All sessions by client identifier [MQTT-3.1.3-2], in a table of shards so that a connection storm does not queue at
//! one lock.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use hashbrown::HashTable;

use crate::sync::Mutex;
use crate::{routing::Seed, session::Session};

/// So many that a listing, which copies a shard under its lock, holds nobody up for longer than a fan-out does: at a
/// million sessions a shard has a thousand.
const SHARDS: usize = 1_024;

pub(crate) struct Sessions {
    shards: Box<[Mutex<HashTable<Arc<Session>>>]>,
    count: AtomicUsize,
    seed: Seed,
}

impl Sessions {
    pub(crate) fn new(seed: u64) -> Self {
        Sessions {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            count: AtomicUsize::new(0),
            seed: Seed::new(seed),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    pub(crate) fn find(&self, client_id: &str) -> Option<Arc<Session>> {
        let (hash, shard) = self.shard(client_id)?;
        shard.lock().find(hash, |session| *session.client_id == *client_id).cloned()
    }

    /// Enters a session unless its client identifier has one already.
    pub(crate) fn insert(&self, session: &Arc<Session>) -> bool {
        let Some((hash, shard)) = self.shard(&session.client_id) else { return false };
        let mut shard = shard.lock();
        if shard.find(hash, |known| known.client_id == session.client_id).is_some() {
            return false;
        }
        shard.insert_unique(hash, session.clone(), |known| self.seed.text(known.client_id.as_bytes()));
        self.count.fetch_add(1, Relaxed);
        true
    }

    /// Removes this very session; another one with its client identifier stays.
    pub(crate) fn remove(&self, session: &Arc<Session>) {
        let Some((hash, shard)) = self.shard(&session.client_id) else { return };
        let mut shard = shard.lock();
        if let Ok(entry) = shard.find_entry(hash, |known| Arc::ptr_eq(known, session)) {
            entry.remove();
            self.count.fetch_sub(1, Relaxed);
            if shard.len() * 8 < shard.capacity() {
                shard.shrink_to_fit(|known| self.seed.text(known.client_id.as_bytes()));
            }
        }
    }

    /// Every session at the moment; for rare tasks.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.shards.iter().flat_map(|shard| shard.lock().iter().cloned().collect::<Vec<_>>()).collect()
    }

    /// The sessions of one shard; `None` behind the last.
    pub(crate) fn slice(&self, shard: usize) -> Option<Vec<Arc<Session>>> {
        self.shards.get(shard).map(|shard| shard.lock().iter().cloned().collect())
    }

    /// Spreads a number over all others, so that assigned identifiers cannot be guessed from one another.
    pub(crate) fn spread(&self, number: u64) -> u64 {
        self.seed.number(number)
    }

    /// Spreads client identifiers over any table.
    pub(crate) fn hash(&self, client_id: &str) -> u64 {
        self.seed.text(client_id.as_bytes())
    }

    fn shard(&self, client_id: &str) -> Option<(u64, &Mutex<HashTable<Arc<Session>>>)> {
        let hash = self.hash(client_id);
        Some((hash, self.shards.get((hash >> 32) as usize % SHARDS)?))
    }
}
