//! Topic → value, by level, so that a filter visits only what can match. Knows no message and no limit.

use core::ops::Bound::{Excluded, Included, Unbounded};
use std::collections::BTreeMap;
use std::collections::btree_map::Range;

use crate::routing::arena::Arena;
use crate::routing::edges::{Edge, Edges, NodeId, ROOT};
use crate::routing::levels::{LevelId, Levels, PLUS};
use crate::routing::seed::Seed;

pub use super::walk::{Cursor, Walk};

/// What an entry of an ordered map costs: its key and value, and the share of the map's nodes, which are
/// seven tenths full on average.
const SIBLING_BYTES: usize = 24;

/// One value per topic.
///
/// Nodes lie in an arena. A node with one child holds the edge itself: most nodes of real topics are such
/// links of a chain. The edges of the others are in two tables: by hash, for whoever knows the topic, and in
/// order, for whoever walks and wants to go on later ([`Tree::walk`]). The order is that of the numbers that
/// the levels got; it is the same whatever the seed.
pub struct Tree<V> {
    seed: Seed,
    pub(super) levels: Levels,
    nodes: Arena<Node<V>>,
    /// The edges of all nodes with two children or more.
    edges: Edges,
    /// The same edges in order.
    siblings: BTreeMap<(NodeId, LevelId), NodeId>,
    len: usize,
}

impl<V> Tree<V> {
    /// An empty tree. The `seed` protects its hash tables from clients that choose their topics; no result
    /// and no order depends on it.
    pub fn new(seed: u64) -> Self {
        Self::with_seed(Seed::new(seed))
    }

    /// Sets the value of `topic` and returns the one that it replaces.
    pub fn insert(&mut self, topic: &str, value: V) -> Option<V> {
        let mut node = ROOT;
        for text in topic.split('/') {
            let known = self.levels.find(text).and_then(|level| self.child(node, level));
            node = known.unwrap_or_else(|| self.add_child(node, text));
        }
        let old = self.nodes.at_mut(node.0).value.replace(value);
        self.len += usize::from(old.is_none());
        old
    }

    /// Takes the value of `topic` out, and with it every node and level that nothing else needs.
    pub fn remove(&mut self, topic: &str) -> Option<V> {
        let mut path = Vec::new();
        let node = self.descend(topic, |parent, level| path.push((parent, level)))?;
        let removed = self.nodes.at_mut(node.0).value.take()?;
        self.prune(node, &path);
        self.len -= 1;
        if self.len == 0 {
            *self = Self::with_seed(self.seed.clone());
        } else if self.nodes.is_sparse() {
            self.compact();
        }
        Some(removed)
    }

    /// The value of `topic`.
    pub fn get(&self, topic: &str) -> Option<&V> {
        self.value(self.descend(topic, |_, _| ())?)
    }

    /// The number of topics with a value.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no topic has a value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of heap in use, without what the values own and without the allocator's overhead. The part of
    /// the ordered edges is estimated.
    pub fn bytes(&self) -> usize {
        self.levels.bytes() + self.nodes.bytes() + self.edges.bytes() + self.siblings.len() * SIBLING_BYTES
    }

    pub(super) fn value(&self, id: NodeId) -> Option<&V> {
        self.nodes.at(id.0).value.as_ref()
    }

    pub(super) fn child(&self, parent: NodeId, level: LevelId) -> Option<NodeId> {
        match self.nodes.at(parent.0).children {
            Children::None => None,
            Children::One(only, child) => (only == level).then_some(child),
            Children::Many(_) => self.edges.find(parent, level),
        }
    }

    /// The children of `parent`, in order; only those after the level `after`, if one is given.
    pub(super) fn children(&self, parent: NodeId, after: Option<LevelId>) -> Siblings<'_> {
        match self.nodes.at(parent.0).children {
            Children::None => Siblings::One(None),
            Children::One(level, child) => {
                Siblings::One(Some((level, child)).filter(|_| Some(level) > after))
            }
            Children::Many(_) => {
                let from = after.map_or(Included((parent, PLUS)), |level| Excluded((parent, level)));
                Siblings::Many(parent, self.siblings.range((from, Unbounded)))
            }
        }
    }

    fn with_seed(seed: Seed) -> Self {
        let mut nodes = Arena::new();
        nodes.insert(Node::default());
        let (levels, edges) = (Levels::new(seed.clone()), Edges::new(seed.clone()));
        Self { seed, levels, nodes, edges, siblings: BTreeMap::new(), len: 0 }
    }

    /// The node of `topic`; `step` hears of every edge on the way.
    fn descend(&self, topic: &str, mut step: impl FnMut(NodeId, LevelId)) -> Option<NodeId> {
        let mut node = ROOT;
        for text in topic.split('/') {
            let level = self.levels.find(text)?;
            step(node, level);
            node = self.child(node, level)?;
        }
        Some(node)
    }

    fn add_child(&mut self, parent: NodeId, text: &str) -> NodeId {
        let level = self.levels.hold(text);
        let child = NodeId(self.nodes.insert(Node::default()));
        let children = match self.nodes.at(parent.0).children {
            Children::None => Children::One(level, child),
            Children::One(first_level, first) => {
                self.add_edge(Edge { parent, level: first_level, child: first });
                self.add_edge(Edge { parent, level, child });
                Children::Many(2)
            }
            Children::Many(count) => {
                self.add_edge(Edge { parent, level, child });
                Children::Many(count + 1)
            }
        };
        self.nodes.at_mut(parent.0).children = children;
        child
    }

    fn remove_child(&mut self, parent: NodeId, level: LevelId) {
        let Children::Many(count) = self.nodes.at(parent.0).children else {
            self.nodes.at_mut(parent.0).children = Children::None;
            return;
        };
        self.remove_edge(parent, level);
        let last = self.children(parent, None).next().filter(|_| count == 2);
        self.nodes.at_mut(parent.0).children = match last {
            Some((level, child)) => {
                self.remove_edge(parent, level);
                Children::One(level, child)
            }
            None => Children::Many(count - 1),
        };
    }

    fn add_edge(&mut self, edge: Edge) {
        self.edges.insert(edge);
        self.siblings.insert((edge.parent, edge.level), edge.child);
    }

    fn remove_edge(&mut self, parent: NodeId, level: LevelId) {
        self.edges.remove(parent, level);
        self.siblings.remove(&(parent, level));
    }

    /// Frees `node`, if it is empty, and then upwards along `path` every node that became so.
    fn prune(&mut self, mut node: NodeId, path: &[(NodeId, LevelId)]) {
        for &(parent, level) in path.iter().rev() {
            if !self.nodes.at(node.0).is_empty() {
                return;
            }
            self.nodes.take(node.0);
            self.remove_child(parent, level);
            self.levels.release(level);
            node = parent;
        }
    }

    /// Returns the memory of removed nodes by renumbering those that are left.
    ///
    /// The levels keep their numbers, because cursors hold them.
    fn compact(&mut self) {
        let nodes = self.nodes.compact();
        let node = |NodeId(old): NodeId| NodeId(nodes.get(old as usize).copied().unwrap_or(old));
        self.edges.rebuild(|edge| Edge { parent: node(edge.parent), child: node(edge.child), ..edge });
        // The new numbers have the order of the old ones, so the map is built from sorted entries.
        let siblings = core::mem::take(&mut self.siblings).into_iter();
        self.siblings =
            siblings.map(|((parent, level), child)| ((node(parent), level), node(child))).collect();
        for Node { children, .. } in self.nodes.iter_mut() {
            if let Children::One(_, child) = children {
                *child = node(*child);
            }
        }
        self.levels.shrink();
    }
}

/// One level of one or more topics.
struct Node<V> {
    value: Option<V>,
    children: Children,
}

impl<V> Node<V> {
    const fn is_empty(&self) -> bool {
        self.value.is_none() && matches!(self.children, Children::None)
    }
}

impl<V> Default for Node<V> {
    fn default() -> Self {
        Self { value: None, children: Children::None }
    }
}

#[derive(Clone, Copy)]
enum Children {
    None,
    /// The edge to the only child, which is in no table.
    One(LevelId, NodeId),
    /// So many, at least two: their edges are in the tables.
    Many(u32),
}

/// Children of one node that are still to be visited, in the order of their levels.
pub(super) enum Siblings<'a> {
    One(Option<(LevelId, NodeId)>),
    /// The parent, and the edges from the next child on; those of other parents follow.
    Many(NodeId, Range<'a, (NodeId, LevelId), NodeId>),
}

impl Iterator for Siblings<'_> {
    type Item = (LevelId, NodeId);

    fn next(&mut self) -> Option<(LevelId, NodeId)> {
        match self {
            Self::One(child) => child.take(),
            Self::Many(parent, edges) => {
                let (&(of, level), &child) = edges.next()?;
                (of == *parent).then_some((level, child))
            }
        }
    }
}
