//! All subscriptions, behind one lock that only SUBSCRIBE and UNSUBSCRIBE write, and the generations that tell a
//! worker's cache whether its result still holds.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use whimbrel_proto::codec::QoS;

use super::{
    seed::Seed,
    target::{Target, merge},
    trie::{Scratch, Trie},
};
use crate::sync::RwLock;
use crate::{session::Session, share::Group};

/// Generations of filters without wildcards, by hash of the topic: a client that subscribes to its own command topic
/// does not flush everybody's cache.
const EXACT_GENERATIONS: usize = 1_024;

/// What one subscription asks for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interest {
    pub qos: QoS,
    pub no_local: bool,
    pub retain_as_published: bool,
    /// Subscription identifier, 0 for none.
    pub id: u32,
    /// Retained messages up to this number are brought by SUBSCRIBE, later ones by the live stream.
    pub since: u64,
    /// The stamp of the rules and the client under which all that it brings may be read; 0: each message is asked about.
    pub free: u64,
}

/// Who stands behind a filter.
pub(crate) enum Entry {
    Session { session: Arc<Session>, interest: Interest },
    Group(Arc<Group>),
}

/// Moments of change that a match result depends on.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Generation {
    wildcard: u64,
    exact: u64,
}

pub(crate) struct Router {
    trie: RwLock<Trie<Entry>>,
    wildcard: AtomicU64,
    exact: Box<[AtomicU64]>,
    /// Subscriptions that have gone so far.
    removals: AtomicU64,
    /// What the tree itself costs.
    bytes: AtomicUsize,
    seed: Seed,
}

impl Router {
    pub(crate) fn new(seed: u64) -> Self {
        Router {
            trie: RwLock::new(Trie::new(seed)),
            wildcard: AtomicU64::new(1),
            exact: (0..EXACT_GENERATIONS).map(|_| AtomicU64::new(1)).collect(),
            removals: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            seed: Seed::new(seed.rotate_left(17)),
        }
    }

    /// Enters a session's subscription. `last_number` is asked for the last number of the retained store while nobody
    /// can match: what is retained later finds the subscription. Gives that number. It is `since`, unless there was a
    /// subscription before: that one goes on without a gap, with its own `keep_since`.
    pub(crate) fn insert(
        &self,
        session: &Arc<Session>,
        filter: &str,
        mut interest: Interest,
        keep_since: Option<u64>,
        last_number: impl Fn() -> u64,
    ) -> u64 {
        let mut trie = self.trie.write();
        // The generation moves first: who reads the old one has matched a message that was retained before the number
        // is read; who reads the new one waits for this lock and finds the entry.
        self.bump(filter);
        let last = last_number();
        interest.since = keep_since.unwrap_or(last);
        trie.insert(filter, session.key, Entry::of(session, interest));
        self.bytes.store(trie.bytes(), Ordering::Relaxed);
        last
    }

    pub(crate) fn insert_group(&self, filter: &str, group: &Arc<Group>) {
        let mut trie = self.trie.write();
        self.bump(filter);
        trie.insert(filter, group.key, Entry::Group(group.clone()));
        self.bytes.store(trie.bytes(), Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, filter: &str, key: u64) {
        let mut trie = self.trie.write();
        self.bump(filter);
        self.removals.fetch_add(1, Ordering::SeqCst);
        let removed = trie.remove(filter, key);
        self.bytes.store(trie.bytes(), Ordering::Relaxed);
        drop(trie);
        drop(removed);
    }

    fn bump(&self, filter: &str) {
        if filter.contains(['+', '#']) {
            self.wildcard.fetch_add(1, Ordering::SeqCst);
        } else if let Some(exact) = self.exact.get(self.hash(filter) as usize % EXACT_GENERATIONS) {
            exact.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[inline]
    pub(crate) fn hash(&self, topic: &str) -> u64 {
        self.seed.text(topic.as_bytes())
    }

    #[inline]
    pub(crate) fn generation(&self, hash: u64) -> Generation {
        let exact = self.exact.get(hash as usize % EXACT_GENERATIONS);
        Generation {
            wildcard: self.wildcard.load(Ordering::SeqCst),
            exact: exact.map_or(0, |exact| exact.load(Ordering::SeqCst)),
        }
    }

    /// How many subscriptions have gone so far.
    #[inline]
    pub(crate) fn removals(&self) -> u64 {
        self.removals.load(Ordering::SeqCst)
    }

    /// Walks the subscriptions. The caller has read the generation before.
    pub(crate) fn matches(&self, topic: &str, scratch: &mut Scratch) -> Arc<[Target]> {
        let trie = self.trie.read();
        let mut found = Vec::new();
        trie.for_each_match(topic, scratch, |key, entry| found.push((key, entry)));
        merge(found)
    }

    /// Whether any filter begins with this very level.
    pub(crate) fn has_filter_under(&self, first_level: &str) -> bool {
        self.trie.read().has_filter_under(first_level)
    }

    /// Bytes of heap that the tree of filters costs.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Filters of sessions and groups.
    pub(crate) fn len(&self) -> usize {
        self.trie.read().len()
    }
}
