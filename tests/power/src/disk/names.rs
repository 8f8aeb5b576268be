//! The names in one folder: what a reader sees, what is on stable storage, and the changes in between, in their order.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};

use super::Cut;
use crate::draw::Draw;

/// One folder.
#[derive(Debug, Default)]
pub(crate) struct Names {
    cached: BTreeMap<OsString, u64>,
    durable: BTreeMap<OsString, u64>,
    pending: VecDeque<Change>,
    /// The number of the next change.
    next: u64,
}

/// A creation, a renaming or a removal: what each name means afterwards. It happens whole or not at all.
#[derive(Debug)]
struct Change {
    number: u64,
    names: Vec<(OsString, Option<u64>)>,
}

impl Names {
    pub(crate) fn find(&self, name: &OsStr) -> Option<u64> {
        self.cached.get(name).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OsStr, u64)> {
        self.cached.iter().map(|(name, node)| (name.as_os_str(), *node))
    }

    /// What the names mean from now on; `None` is nothing.
    pub(crate) fn change(&mut self, names: Vec<(OsString, Option<u64>)>) {
        let change = Change { number: self.next, names };
        change.apply(&mut self.cached);
        self.pending.push_back(change);
        self.next += 1;
    }

    /// Changes that no sync has covered.
    pub(crate) fn unsynced(&self) -> usize {
        self.pending.len()
    }

    /// The changes before this mark are those that have been made until now.
    pub(crate) fn mark(&self) -> u64 {
        self.next
    }

    /// A sync that began at `mark` has ended well.
    pub(crate) fn sync(&mut self, mark: u64) {
        let covered = self.pending.partition_point(|change| change.number < mark);
        self.pending.drain(..covered).for_each(|change| change.apply(&mut self.durable));
    }

    /// Settles what is unsynced. Every file system with a journal keeps the order of names, so that a cut takes the last
    /// of them, however it treats data.
    pub(crate) fn cut(&mut self, cut: Cut, draw: &mut Draw) {
        let changes: Vec<_> = self.pending.drain(..).collect();
        let kept = match cut {
            Cut::Lose => 0,
            Cut::Tear | Cut::Reorder => draw.below(changes.len() + 1),
        };
        changes.iter().take(kept).for_each(|change| change.apply(&mut self.durable));
        self.cached.clone_from(&self.durable);
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<OsString, u64>) {
        for (name, node) in &self.names {
            match node {
                Some(node) => names.insert(name.clone(), *node),
                None => names.remove(name),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(name: &str, node: u64) -> (OsString, Option<u64>) {
        (name.into(), Some(node))
    }

    fn seen(names: &Names) -> Vec<(String, u64)> {
        names.iter().map(|(name, node)| (name.to_string_lossy().into_owned(), node)).collect()
    }

    #[test]
    fn a_name_without_a_sync_of_its_folder_is_lost() {
        let mut names = Names::default();
        names.change(vec![is("a", 1)]);
        names.sync(names.mark());
        names.change(vec![is("b", 2)]);
        names.change(vec![("a".into(), None)]);
        names.cut(Cut::Lose, &mut Draw::new(1));
        assert_eq!(seen(&names), [("a".to_owned(), 1)]);
    }

    #[test]
    fn a_renaming_is_there_whole_or_not_at_all_and_the_order_is_kept() {
        let outcomes = (0..100).map(|seed| {
            let mut names = Names::default();
            names.change(vec![is("old", 1)]);
            names.sync(names.mark());
            names.change(vec![is("new", 2)]);
            names.change(vec![("new".into(), None), is("old", 2)]);
            names.cut(Cut::Reorder, &mut Draw::new(seed));
            seen(&names)
        });
        let outcomes: std::collections::BTreeSet<_> = outcomes.collect();
        let named =
            |list: &[(&str, u64)]| list.iter().map(|(name, node)| ((*name).to_owned(), *node)).collect();
        let expected: [Vec<_>; 3] =
            [named(&[("old", 1)]), named(&[("new", 2), ("old", 1)]), named(&[("old", 2)])];
        assert_eq!(outcomes, expected.into());
    }
}
