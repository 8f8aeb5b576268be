//! A worker's memory of match results: topic → targets, valid while the generations stand still.

use std::sync::Arc;

use hashbrown::HashTable;

use super::{
    router::{Generation, Router},
    target::Target,
    trie::Scratch,
};

/// Longer topics are looked up each time: the cache is for what comes often, and bounded in bytes too.
const TOPIC_BYTES_MAX: usize = 1_024;

/// Targets that all results of a cache may hold together.
const TARGETS_MAX: usize = 1 << 20;

struct Cached {
    hash: u64,
    topic: Box<str>,
    generation: Generation,
    targets: Arc<[Target]>,
}

/// Who gets messages of a topic, and what tells whether that still holds.
#[derive(Clone)]
pub(crate) struct Matched {
    pub targets: Arc<[Target]>,
    removals: u64,
}

impl Matched {
    /// Whether a subscription has gone since, of this topic or of another.
    #[inline]
    pub(crate) fn is_stale(&self, router: &Router) -> bool {
        router.removals() != self.removals
    }
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
    pub(crate) fn targets(&mut self, router: &Router, topic: &str) -> (Matched, bool) {
        let removals = router.removals();
        let hash = router.hash(topic);
        // Read before the walk: a change in between makes the result stale at once, never valid for too long.
        let generation = router.generation(hash);
        let matched = |targets| Matched { targets, removals };
        if topic.len() > TOPIC_BYTES_MAX {
            return (matched(router.matches(topic, &mut self.scratch)), true);
        }
        let same = |cached: &Cached| cached.hash == hash && *cached.topic == *topic;
        let mut stale = None;
        if let Ok(known) = self.results.find_entry(hash, same) {
            if known.get().generation == generation {
                return (matched(known.get().targets.clone()), false);
            }
            let (cached, _) = known.remove();
            self.targets -= cached.targets.len();
            stale = Some(cached.topic);
        }
        let targets = router.matches(topic, &mut self.scratch);
        self.make_room(targets.len()); // For a result that is not new as well: it may have grown.
        self.targets += targets.len();
        let topic = stale.unwrap_or_else(|| topic.into());
        let cached = Cached { hash, topic, generation, targets: targets.clone() };
        self.results.insert_unique(hash, cached, |cached| cached.hash);
        (matched(targets), true)
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

#[cfg(test)]
mod tests {
    use whimbrel_proto::codec::QoS;

    use super::*;
    use crate::{routing::Interest, session::Session};

    const INTEREST: Interest = Interest {
        qos: QoS::AtMostOnce,
        no_local: false,
        retain_as_published: false,
        id: 0,
        since: 0,
        free: 0,
    };

    fn subscribe(router: &Router, key: u64, filter: &str) -> Arc<Session> {
        let session = Arc::new(Session::new(key, key.to_string().into(), None));
        router.insert(&session, filter, INTEREST, None, || 0);
        session
    }

    fn sum(cache: &MatchCache) -> usize {
        cache.results.iter().map(|cached| cached.targets.len()).sum()
    }

    #[test]
    fn a_cache_holds_no_more_topics_than_it_may() {
        let (router, mut cache) = (Router::new(1), MatchCache::new(100));
        for number in 0..5_000 {
            cache.targets(&router, &format!("t/{number}"));
            assert!(cache.results.len() <= 104, "a quarter without any of them lets one more in");
        }
        let long = "x".repeat(TOPIC_BYTES_MAX + 1);
        assert!((0..2).all(|_| cache.targets(&router, &long).1), "a long topic is not kept");
    }

    #[test]
    fn a_cache_holds_no_more_targets_than_it_may_also_when_known_results_grow() {
        let (router, mut cache) = (Router::new(1), MatchCache::new(10_000));
        let topics: Vec<String> = (0..1_100).map(|number| format!("t/{number}")).collect();
        let look = |cache: &mut MatchCache| {
            for topic in &topics {
                cache.targets(&router, topic);
                assert!(cache.targets <= TARGETS_MAX);
            }
        };
        look(&mut cache);
        (0..1_000).for_each(|key| drop(subscribe(&router, key, "#")));
        look(&mut cache);
        assert_eq!(cache.targets, sum(&cache));
        assert!(cache.targets > TARGETS_MAX / 2, "it is used");
    }

    #[test]
    fn a_session_that_ended_is_let_go_at_the_next_sweep() {
        for filter in ["a/b", "a/+", "#"] {
            let (router, mut cache) = (Router::new(1), MatchCache::new(100));
            let stays = subscribe(&router, 1, filter);
            let session = Arc::downgrade(&subscribe(&router, 2, filter));
            assert_eq!(cache.targets(&router, "a/b").0.targets.len(), 2);
            router.remove(filter, 2);
            assert!(session.upgrade().is_some(), "the result still holds it");
            cache.sweep(&router);
            assert!(session.upgrade().is_none(), "{filter}");
            assert_eq!((cache.targets, cache.results.len()), (0, 0));
            assert_eq!(cache.targets(&router, "a/b").0.targets.len(), 1);
            drop(stays);
        }
    }
}
