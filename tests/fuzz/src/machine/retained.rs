//! The retained tree beside a map, and a walk under way beside what it has promised. Not the choice of the topics.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use whimbrel_codec::matches;
use whimbrel_engine::retained::tree::{Cursor, Tree, Walk};

/// A topic is stored with a number of its own, so that one inserted again is told from the one before.
pub(crate) struct Pair {
    tree: Tree<(String, u32)>,
    map: BTreeMap<String, u32>,
    walk: Option<Walking>,
    next: u32,
}

/// A walk under way.
#[derive(Default)]
struct Walking {
    filter: String,
    cursor: Cursor,
    visited: BTreeSet<u32>,
    /// What has been there since it began.
    stays: BTreeMap<String, u32>,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Pair { tree: Tree::new(1), map: BTreeMap::new(), walk: None, next: 0 }
    }

    pub(crate) fn insert(&mut self, topic: String) {
        let old = self.tree.insert(&topic, (topic.clone(), self.next)).map(|(_, number)| number);
        assert_eq!(old, self.map.insert(topic, self.next));
        self.next += 1;
        self.changed();
    }

    pub(crate) fn remove(&mut self, topic: &str) {
        assert_eq!(self.tree.get(topic).map(|(_, number)| number), self.map.get(topic));
        assert_eq!(self.tree.remove(topic).map(|(_, number)| number), self.map.remove(topic));
        self.changed();
    }

    fn changed(&mut self) {
        if let Some(walk) = &mut self.walk {
            walk.stays.retain(|topic, number| self.map.get(topic) == Some(number));
        }
        assert_eq!(self.tree.len(), self.map.len());
    }

    pub(crate) fn is_walking(&self) -> bool {
        self.walk.is_some()
    }

    /// Begins a walk in the place of the one that may be under way.
    pub(crate) fn begin(&mut self, filter: String) {
        self.walk = Some(Walking { filter, stays: self.map.clone(), ..Walking::default() });
    }

    /// Goes on with the walk: at most `steps` steps, and half as many values.
    pub(crate) fn go_on(&mut self, steps: usize) {
        let Some(Walking { filter, cursor, visited, stays }) = &mut self.walk else { return };
        let mut values = 0;
        let end = self.tree.walk(filter, cursor, steps, |(topic, number)| {
            assert!(matches(filter, topic), "{filter} and {topic}");
            assert_eq!(self.map.get(topic), Some(number), "what is visited is there");
            assert!(visited.insert(*number), "{topic} comes twice");
            values += 1;
            if values * 2 > steps { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(values <= steps, "{values} values in {steps} steps");
        if end == Walk::Done {
            let mut matching = stays.iter().filter(|(topic, _)| matches(filter, topic));
            assert_eq!(matching.find(|(_, number)| !visited.contains(number)), None, "{filter}");
            self.walk = None;
        }
    }

    /// Takes everything out; the memory comes back.
    pub(crate) fn empty(mut self) {
        for topic in self.map.keys() {
            assert!(self.tree.remove(topic).is_some(), "{topic}");
        }
        assert!(self.tree.bytes() < 2048, "{} bytes stay", self.tree.bytes());
    }
}
