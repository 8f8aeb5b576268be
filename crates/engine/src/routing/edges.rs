//! The edges of a tree of levels in one table: (node, level) → node. Does not know what hangs at a node.

use hashbrown::HashTable;

use super::levels::LevelId;
use super::seed::Seed;

/// The number of a node in its arena.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(crate) struct NodeId(pub(crate) u32);

/// Where every walk begins. The root is the first node of its arena and is never freed.
pub(crate) const ROOT: NodeId = NodeId(0);

#[derive(Clone, Copy)]
pub(crate) struct Edge {
    pub(crate) parent: NodeId,
    pub(crate) level: LevelId,
    pub(crate) child: NodeId,
}

/// All edges of one tree.
///
/// One table instead of one per node: 12 bytes and a control byte per edge, and a node without children
/// costs nothing here.
pub(crate) struct Edges {
    seed: Seed,
    table: HashTable<Edge>,
}

impl Edges {
    pub(crate) const fn new(seed: Seed) -> Self {
        Self { seed, table: HashTable::new() }
    }

    pub(crate) fn find(&self, parent: NodeId, level: LevelId) -> Option<NodeId> {
        let hash = hash(&self.seed, parent, level);
        self.table.find(hash, |edge| edge.parent == parent && edge.level == level).map(|edge| edge.child)
    }

    /// Adds an edge that is not there yet.
    pub(crate) fn insert(&mut self, edge: Edge) {
        let Self { seed, table } = self;
        let rehash = |edge: &Edge| hash(seed, edge.parent, edge.level);
        table.insert_unique(rehash(&edge), edge, rehash);
    }

    pub(crate) fn remove(&mut self, parent: NodeId, level: LevelId) -> Option<NodeId> {
        let hash = hash(&self.seed, parent, level);
        let found = self.table.find_entry(hash, |edge| edge.parent == parent && edge.level == level);
        found.ok().map(|entry| entry.remove().0.child)
    }

    /// Replaces every edge by what `renumber` makes of it, in a table no larger than needed.
    pub(crate) fn rebuild(&mut self, renumber: impl Fn(Edge) -> Edge) {
        let old = core::mem::take(&mut self.table);
        self.table = HashTable::with_capacity(old.len());
        for edge in old {
            self.insert(renumber(edge));
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.table.allocation_size()
    }
}

fn hash(seed: &Seed, parent: NodeId, level: LevelId) -> u64 {
    seed.number((u64::from(parent.0) << 32) | u64::from(level.0))
}
