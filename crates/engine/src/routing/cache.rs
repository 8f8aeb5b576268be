//! A worker's memory of match results: topic → targets, valid while the generations stand still.

use std::sync::Arc;

use hashbrown::HashTable;

use super::{
    router::{Generation, Router},
    target::Target,
    trie::Scratch,
};

/// Targets that all results of a cache may hold together.
const TARGETS_MAX: usize = 1 << 20;

struct Cached {
    hash: u64,
    topic: Box<str>,
    generation: Generation,
    targets: Arc<[Target]>,
}

/// Match results of one worker.
#[derive(Default)]
pub(crate) struct MatchCache {
    results: HashTable<Cached>,
    topics_max: usize,
    targets: usize,
    scratch: Scratch,
}

impl MatchCache {
    pub(crate) fn new(topics_max: usize) -> Self {
        MatchCache { topics_max, ..MatchCache::default() }
    }

    /// Who gets messages of this topic; the second value tells whether the router had to be asked.
    pub(crate) fn targets(&mut self, router: &Router, topic: &str) -> (Arc<[Target]>, bool) {
        let hash = router.hash(topic);
        // Read before the walk: a change in between makes the result stale at once, never valid for too long.
        let generation = router.generation(hash);
        let cached = self.results.find_mut(hash, |cached| cached.hash == hash && *cached.topic == *topic);
        if let Some(cached) = cached {
            if cached.generation == generation {
                return (cached.targets.clone(), false);
            }
            let targets = router.matches(topic, &mut self.scratch);
            self.targets = self.targets + targets.len() - cached.targets.len();
            cached.generation = generation;
            cached.targets = targets.clone();
            return (targets, true);
        }
        let targets = router.matches(topic, &mut self.scratch);
        self.make_room(targets.len());
        self.targets += targets.len();
        let entry = Cached { hash, topic: topic.into(), generation, targets: targets.clone() };
        self.results.insert_unique(hash, entry, |cached| cached.hash);
        (targets, true)
    }

    /// Drops a quarter of the results when there are too many; which quarter follows from their hashes.
    fn make_room(&mut self, more: usize) {
        if self.results.len() < self.topics_max && self.targets + more <= TARGETS_MAX {
            return;
        }
        let quarter = self.results.len() % 4;
        let mut left = 0;
        self.results.retain(|cached| {
            let keep = (cached.hash >> 40) as usize % 4 != quarter;
            left += if keep { cached.targets.len() } else { 0 };
            keep
        });
        self.targets = left;
        if self.targets + more > TARGETS_MAX {
            self.clear();
        }
    }

    /// Forgets results that are no longer valid, so that they do not keep ended sessions in memory.
    pub(crate) fn sweep(&mut self, router: &Router) {
        let mut left = 0;
        self.results.retain(|cached| {
            let keep = cached.generation == router.generation(cached.hash);
            left += if keep { cached.targets.len() } else { 0 };
            keep
        });
        self.targets = left;
        if self.results.len() * 4 < self.results.capacity() {
            self.results.shrink_to_fit(|cached| cached.hash);
        }
    }

    /// Nodes of the trie that all misses so far have visited.
    pub(crate) fn visited(&self) -> usize {
        self.scratch.visited()
    }

    fn clear(&mut self) {
        self.results.clear();
        self.targets = 0;
    }
}
