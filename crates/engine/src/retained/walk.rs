//! A walk over what matches a filter, in slices, while the tree changes in between. Changes nothing itself.

use core::ops::ControlFlow;

use super::tree::{Siblings, Tree};
use crate::routing::edges::{NodeId, ROOT};
use crate::routing::levels::{LevelId, PLUS};

/// Whether a walk has come to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Walk {
    /// Everything that matches was visited.
    Done,
    /// The next call goes on where this one stopped.
    More,
}

/// How far a walk has come. It belongs to one tree and one filter.
///
/// It holds no node, only the levels that lead to the one that was entered last. Topics, written as the
/// numbers of their levels, have an order, and a level keeps its number while any topic has it. So "behind
/// this path" stays well defined whatever is inserted or removed meanwhile, also when the path itself is gone,
/// and a topic that stays where it is lies either before or behind, never both.
#[derive(Default, Debug)]
pub struct Cursor {
    path: Vec<LevelId>,
    is_done: bool,
}

impl Cursor {
    /// Before the first topic.
    pub const fn new() -> Self {
        Self { path: Vec::new(), is_done: false }
    }
}

impl<V> Tree<V> {
    /// Visits the values whose topics match `filter`, from `cursor` on, entering at most `steps_max` nodes.
    ///
    /// The filter must be valid and the same in every call with this cursor. `ControlFlow::Break` ends the call
    /// after the value just visited; the answer is then [`Walk::More`], and the next call goes on with the
    /// value after it. When the answer is [`Walk::Done`], further calls visit nothing.
    ///
    /// Between calls the tree may change. What is there from the first call to the last is visited
    /// exactly once. What comes or goes meanwhile may or may not be visited, and nothing twice unless it was
    /// removed and inserted again.
    pub fn walk(
        &self,
        filter: &str,
        cursor: &mut Cursor,
        steps_max: usize,
        visit: impl FnMut(&V) -> ControlFlow<()>,
    ) -> Walk {
        self.walk_by(&Plan::new(self, filter), cursor, steps_max, visit)
    }

    /// Visits all values, those under `$` too; else like [`walk`](Self::walk).
    pub fn walk_all(
        &self,
        cursor: &mut Cursor,
        steps_max: usize,
        visit: impl FnMut(&V) -> ControlFlow<()>,
    ) -> Walk {
        self.walk_by(
            &Plan { levels: Vec::new(), ends_with_hash: true, is_all: true },
            cursor,
            steps_max,
            visit,
        )
    }

    fn walk_by(
        &self,
        plan: &Plan,
        cursor: &mut Cursor,
        steps_max: usize,
        mut visit: impl FnMut(&V) -> ControlFlow<()>,
    ) -> Walk {
        if cursor.is_done {
            return Walk::Done;
        }
        let mut open = self.reopen(plan, &cursor.path);
        let mut steps = 0;
        while let Some(siblings) = open.last_mut() {
            let Some((level, node)) = siblings.next() else {
                open.pop();
                continue;
            };
            if steps == steps_max {
                return Walk::More;
            }
            steps += 1;
            let depth = open.len();
            cursor.path.truncate(depth - 1);
            cursor.path.push(level);
            if !plan.allows(self, depth - 1, level) {
                continue;
            }
            open.push(plan.open(self, depth, node, None));
            let value = self.value(node).filter(|_| plan.ends_at(depth));
            if value.is_some_and(|value| visit(value).is_break()) {
                return Walk::More;
            }
        }
        cursor.is_done = true;
        Walk::Done
    }

    /// What is still to be visited behind `path`, by depth, as deep as the path still exists: below, everything
    /// has gone that was there.
    fn reopen(&self, plan: &Plan, path: &[LevelId]) -> Vec<Siblings<'_>> {
        let mut open = Vec::with_capacity(path.len() + 1);
        let mut node = ROOT;
        for (depth, &level) in path.iter().enumerate() {
            open.push(plan.open(self, depth, node, Some(level)));
            match self.child(node, level) {
                Some(child) if plan.allows(self, depth, level) => node = child,
                _ => return open,
            }
        }
        open.push(plan.open(self, path.len(), node, None));
        open
    }
}

/// A filter in the numbers of one tree. Numbers change hands while a walk rests, so it lives for one call.
struct Plan {
    /// The levels before the `#`, if there is one. `None`: no topic has this text.
    levels: Vec<Option<LevelId>>,
    ends_with_hash: bool,
    /// Topics that start with `$` too.
    is_all: bool,
}

impl Plan {
    fn new<V>(tree: &Tree<V>, filter: &str) -> Self {
        let (front, ends_with_hash) = match filter.strip_suffix('#') {
            Some(front) => (front.strip_suffix('/'), true),
            None => (Some(filter), false),
        };
        let level_of = |text| if text == "+" { Some(PLUS) } else { tree.levels.find(text) };
        let levels = front.map(|front| front.split('/').map(level_of).collect()).unwrap_or_default();
        Self { levels, ends_with_hash, is_all: false }
    }

    /// The children of `node` that the level of the filter at `depth` may match, behind `after`.
    fn open<'t, V>(
        &self,
        tree: &'t Tree<V>,
        depth: usize,
        node: NodeId,
        after: Option<LevelId>,
    ) -> Siblings<'t> {
        match self.levels.get(depth) {
            Some(&Some(PLUS)) => tree.children(node, after),
            None if self.ends_with_hash => tree.children(node, after),
            Some(&Some(level)) if after.is_none() => {
                Siblings::One(tree.child(node, level).map(|child| (level, child)))
            }
            _ => Siblings::One(None),
        }
    }

    /// Whether a topic with `level` at `depth` can match, as far as that level goes.
    fn allows<V>(&self, tree: &Tree<V>, depth: usize, level: LevelId) -> bool {
        match self.levels.get(depth) {
            Some(&Some(PLUS)) | None => {
                // [MQTT-4.7.2-1] A filter that starts with a wildcard does not match a topic that starts with `$`.
                depth > 0 || self.is_all || !tree.levels.bytes_of(level).starts_with(b"$")
            }
            Some(&literal) => literal == Some(level),
        }
    }

    /// Whether a topic of `depth` levels can match.
    fn ends_at(&self, depth: usize) -> bool {
        depth == self.levels.len() || (self.ends_with_hash && depth > self.levels.len())
    }
}
