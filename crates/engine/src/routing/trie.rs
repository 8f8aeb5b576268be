//! Topic filters → entries: who subscribed to what matches a topic. Knows no session, no QoS, no `$share`.

use core::num::NonZeroU32;

use super::arena::Arena;
use super::edges::{Edge, Edges, NodeId, ROOT};
use super::levels::{HASH, LevelId, Levels, PLUS};
use super::list::{Entry, List};
use super::seed::Seed;

/// Subscriptions by topic filter; every (filter, key) holds one value.
///
/// A tree of levels: their texts are interned, the nodes lie in one arena, and the edges of all nodes in one
/// table. At a million subscriptions that is about 65 bytes each; a match takes a quarter of a microsecond while
/// its nodes are in the cache, and just under one when all are read from memory. The `+` and `#` of a filter are
/// edges like others, and a node knows whether it has them, so that they are looked up only where they exist.
///
/// Filters must be valid (wildcards only as whole levels, `#` only last): what checks them is not here.
pub struct Trie<T> {
    seed: Seed,
    levels: Levels,
    edges: Edges,
    nodes: Arena<Node<T>>,
    lists: Arena<List<T>>,
    /// Bytes of heap that the lists own.
    list_bytes: usize,
    len: usize,
    /// The edges that the last removal went along; kept for its memory.
    path: Vec<(NodeId, LevelId)>,
}

/// Working memory of [`Trie::for_each_match`], kept by the caller so that matching does not allocate.
#[derive(Default, Debug)]
pub struct Scratch {
    /// The nodes that match the topic as far as it was read.
    nodes: Vec<NodeId>,
    /// Those that match one level more. Look-ups at one depth do not wait for each other, so that the
    /// processor overlaps their cache misses.
    children: Vec<NodeId>,
    visited: usize,
}

impl Scratch {
    /// Empty working memory.
    pub const fn new() -> Self {
        Self { nodes: Vec::new(), children: Vec::new(), visited: 0 }
    }

    /// Nodes that all matches with this memory have visited so far: what they have cost.
    pub const fn visited(&self) -> usize {
        self.visited
    }
}

impl<T> Trie<T> {
    /// An empty trie. The `seed` protects its hash tables from clients that choose their topics; no result
    /// and no order depends on it.
    pub fn new(seed: u64) -> Self {
        Self::with_seed(Seed::new(seed))
    }

    /// Sets the value of (`filter`, `key`) and returns the one that it replaces.
    pub fn insert(&mut self, filter: &str, key: u64, value: T) -> Option<T> {
        let mut node = ROOT;
        for text in filter.split('/') {
            let known = self.level_of(text).and_then(|level| self.edges.find(node, level));
            node = known.unwrap_or_else(|| self.add_child(node, text));
        }
        let old = self.add_entry(node, Entry { key, value });
        self.len += usize::from(old.is_none());
        old
    }

    /// Takes the value of (`filter`, `key`) out, and with it every node and level that nothing else needs.
    pub fn remove(&mut self, filter: &str, key: u64) -> Option<T> {
        if self.len == 0 {
            return None;
        }
        let mut path = core::mem::take(&mut self.path);
        path.clear();
        let removed = self.descend(filter, |parent, level| path.push((parent, level)));
        let removed = removed.and_then(|node| self.take_entry(node, key).map(|value| (node, value)));
        if let Some((node, _)) = removed {
            self.prune(node, &path);
            self.len -= 1;
        }
        self.path = path;
        if self.len == 0 {
            *self = Self::with_seed(self.seed.clone());
        } else if self.nodes.is_sparse() {
            self.compact();
        }
        removed.map(|(_, value)| value)
    }

    /// The value of (`filter`, `key`).
    pub fn get(&self, filter: &str, key: u64) -> Option<&T> {
        let node = self.nodes.at(self.descend(filter, |_, _| ())?.0);
        match &node.one {
            Some(entry) => (entry.key == key).then_some(&entry.value),
            None => self.lists.at(node.list?.place()).get(key, &self.seed),
        }
    }

    /// Calls `visit` once with the key and the value of every entry whose filter matches `topic`.
    ///
    /// A key with several matching filters comes several times. The time is bounded by the nodes that match:
    /// each is visited once, however many wildcards lead near it.
    pub fn for_each_match<'t>(
        &'t self,
        topic: &str,
        scratch: &mut Scratch,
        mut visit: impl FnMut(u64, &'t T),
    ) {
        // [MQTT-4.7.2-1] A filter that starts with a wildcard does not match a topic that starts with `$`.
        let mut wildcards_match = !topic.starts_with('$');
        let Scratch { nodes, children, visited } = scratch;
        nodes.clear();
        nodes.push(ROOT);
        for text in topic.split('/') {
            let level = self.levels.find(text);
            children.clear();
            for &id in nodes.iter() {
                let kinds = &self.nodes.at(id.0).edges;
                if let Some(level) = level.filter(|_| kinds.has_texts()) {
                    children.extend(self.edges.find(id, level));
                }
                if kinds.has_plus() && wildcards_match {
                    children.extend(self.edges.find(id, PLUS));
                }
                if kinds.has_hash() && wildcards_match {
                    self.visit_hash(id, &mut visit);
                }
            }
            *visited += children.len();
            core::mem::swap(nodes, children);
            if nodes.is_empty() {
                return;
            }
            wildcards_match = true;
        }
        for &id in nodes.iter() {
            self.visit_entries(id, &mut visit);
            // `sport/#` matches `sport` too.
            if self.nodes.at(id.0).edges.has_hash() {
                self.visit_hash(id, &mut visit);
            }
        }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the first level of any filter is exactly `first_level`. A wildcard there does not count.
    pub fn has_filter_under(&self, first_level: &str) -> bool {
        self.levels.find(first_level).is_some_and(|level| self.edges.find(ROOT, level).is_some())
    }

    /// Bytes of heap in use, without what the values own and without the allocator's overhead.
    pub fn bytes(&self) -> usize {
        self.levels.bytes()
            + self.edges.bytes()
            + self.nodes.bytes()
            + self.lists.bytes()
            + self.list_bytes
            + self.path.capacity() * size_of::<(NodeId, LevelId)>()
    }

    fn with_seed(seed: Seed) -> Self {
        let mut nodes = Arena::new();
        nodes.insert(Node::default());
        Self {
            levels: Levels::new(seed.clone()),
            edges: Edges::new(seed.clone()),
            nodes,
            lists: Arena::new(),
            list_bytes: 0,
            len: 0,
            path: Vec::new(),
            seed,
        }
    }

    fn level_of(&self, text: &str) -> Option<LevelId> {
        match text {
            "+" => Some(PLUS),
            "#" => Some(HASH),
            text => self.levels.find(text),
        }
    }

    /// The node of `filter`; `step` hears of every edge on the way.
    fn descend(&self, filter: &str, mut step: impl FnMut(NodeId, LevelId)) -> Option<NodeId> {
        let mut node = ROOT;
        for text in filter.split('/') {
            let level = self.level_of(text)?;
            step(node, level);
            node = self.edges.find(node, level)?;
        }
        Some(node)
    }

    fn add_child(&mut self, parent: NodeId, text: &str) -> NodeId {
        let level = match text {
            "+" => PLUS,
            "#" => HASH,
            text => self.levels.hold(text),
        };
        let child = NodeId(self.nodes.insert(Node::default()));
        self.edges.insert(Edge { parent, level, child });
        self.nodes.at_mut(parent.0).edges.add(level);
        child
    }

    /// Frees `node`, if it is empty, and then upwards along `path` every node that became so.
    fn prune(&mut self, mut node: NodeId, path: &[(NodeId, LevelId)]) {
        for &(parent, level) in path.iter().rev() {
            if !self.nodes.at(node.0).is_empty() {
                return;
            }
            self.nodes.take(node.0);
            self.edges.remove(parent, level);
            self.nodes.at_mut(parent.0).edges.remove(level);
            if level != PLUS && level != HASH {
                self.levels.release(level);
            }
            node = parent;
        }
    }

    /// Visits the entries of the filter that continues `parent` with `#`.
    fn visit_hash<'t>(&'t self, parent: NodeId, visit: &mut impl FnMut(u64, &'t T)) {
        if let Some(child) = self.edges.find(parent, HASH) {
            self.visit_entries(child, visit);
        }
    }

    fn visit_entries<'t>(&'t self, id: NodeId, visit: &mut impl FnMut(u64, &'t T)) {
        let node = self.nodes.at(id.0);
        if let Some(entry) = &node.one {
            visit(entry.key, &entry.value);
        } else if let Some(list) = node.list {
            for entry in self.lists.at(list.place()).entries() {
                visit(entry.key, &entry.value);
            }
        }
    }

    fn add_entry(&mut self, id: NodeId, entry: Entry<T>) -> Option<T> {
        let node = self.nodes.at_mut(id.0);
        if let Some(list) = node.list {
            let list = self.lists.at_mut(list.place());
            let bytes_before = list.bytes();
            let old = list.insert(entry, &self.seed);
            self.list_bytes = self.list_bytes - bytes_before + list.bytes();
            return old;
        }
        match node.one.take() {
            None => {
                node.one = Some(entry);
                None
            }
            Some(one) if one.key == entry.key => {
                node.one = Some(entry);
                Some(one.value)
            }
            Some(one) => {
                let list = List::of_two(one, entry);
                self.list_bytes += list.bytes();
                node.list = Some(ListId::new(self.lists.insert(list)));
                None
            }
        }
    }

    fn take_entry(&mut self, id: NodeId, key: u64) -> Option<T> {
        let node = self.nodes.at_mut(id.0);
        let Some(place) = node.list.map(ListId::place) else {
            return node.one.take_if(|entry| entry.key == key).map(|entry| entry.value);
        };
        let list = self.lists.at_mut(place);
        let bytes_before = list.bytes();
        let removed = list.remove(key, &self.seed)?;
        node.one = list.take_last();
        if node.one.is_some() {
            node.list = None;
            self.lists.take(place);
            self.list_bytes -= bytes_before;
        } else {
            self.list_bytes = self.list_bytes - bytes_before + list.bytes();
        }
        Some(removed)
    }

    /// Returns the memory of what was removed by renumbering what is left.
    ///
    /// The time is that of as many insertions as there are entries left, and three times as many removals went
    /// before.
    fn compact(&mut self) {
        let nodes = self.nodes.compact();
        let node = |NodeId(old): NodeId| NodeId(nodes.get(old as usize).copied().unwrap_or(old));
        let levels = self.levels.compact();
        self.edges.rebuild(|edge| Edge {
            parent: node(edge.parent),
            level: levels.translate(edge.level),
            child: node(edge.child),
        });
        let lists = self.lists.compact();
        for node in self.nodes.iter_mut() {
            node.list = node.list.and_then(|old| lists.get(old.place() as usize).copied().map(ListId::new));
        }
        self.path = Vec::new();
    }
}

/// One node: the entries of one filter, and what its edges are.
struct Node<T> {
    edges: EdgeKinds,
    /// The entries, if they are at least two.
    list: Option<ListId>,
    /// The entry, if it is the only one.
    one: Option<Entry<T>>,
}

impl<T> Node<T> {
    const fn is_empty(&self) -> bool {
        self.edges.is_empty() && self.list.is_none() && self.one.is_none()
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { edges: EdgeKinds(0), list: None, one: None }
    }
}

/// The place of a list, plus one: so that a node spends four bytes on having none.
#[derive(Clone, Copy)]
struct ListId(NonZeroU32);

impl ListId {
    const fn new(place: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(place))
    }

    const fn place(self) -> u32 {
        self.0.get() - 1
    }
}

/// How many edges with a text a node has, and in the upper two bits whether it has one with `+` and with `#`.
///
/// An arena holds fewer than 2^30 nodes, so the count fits.
struct EdgeKinds(u32);

impl EdgeKinds {
    const PLUS_BIT: u32 = 1 << 31;
    const HASH_BIT: u32 = 1 << 30;

    const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    const fn has_plus(&self) -> bool {
        self.0 & Self::PLUS_BIT != 0
    }

    const fn has_hash(&self) -> bool {
        self.0 & Self::HASH_BIT != 0
    }

    const fn has_texts(&self) -> bool {
        self.0 & !(Self::PLUS_BIT | Self::HASH_BIT) != 0
    }

    fn add(&mut self, level: LevelId) {
        self.0 += Self::weight(level);
    }

    fn remove(&mut self, level: LevelId) {
        self.0 -= Self::weight(level);
    }

    /// What one edge adds: a node has at most one with each wildcard, so adding sets the bit.
    fn weight(level: LevelId) -> u32 {
        match level {
            PLUS => Self::PLUS_BIT,
            HASH => Self::HASH_BIT,
            _ => 1,
        }
    }
}
