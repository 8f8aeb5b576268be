//! The retained tree, against a map, and its walk against the promise that it gives while the tree changes.

use core::ops::ControlFlow;
use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use whimbrel_engine::retained::tree::{Cursor, Tree, Walk};

use super::matching::{filter, matches, topic};

/// All topics that match, in one slice.
fn matched(tree: &Tree<String>, filter: &str) -> Vec<String> {
    let mut found = Vec::new();
    let end = tree.walk(filter, &mut Cursor::new(), usize::MAX, |value| {
        found.push(value.clone());
        ControlFlow::Continue(())
    });
    assert_eq!(end, Walk::Done);
    found.sort_unstable();
    found
}

fn tree_of(topics: &[&str]) -> Tree<String> {
    let mut tree = Tree::new(1);
    for topic in topics {
        tree.insert(topic, (*topic).to_owned());
    }
    tree
}

fn check(topics: &[&str], filter: &str, expect: &[&str]) {
    assert_eq!(matched(&tree_of(topics), filter), expect, "{filter}");
}

#[test]
fn v5_4_7_1_2_hash_matches_the_parent_and_all_below() {
    let topics = ["sport", "sport/", "sport/tennis", "sport/tennis/player1", "sports", "/sport"];
    check(&topics, "sport/#", &["sport", "sport/", "sport/tennis", "sport/tennis/player1"]);
    check(&topics, "sport/tennis/#", &["sport/tennis", "sport/tennis/player1"]);
    check(&topics, "/#", &["/sport"]);
    assert_eq!(matched(&tree_of(&topics), "#").len(), 6);
    check(&topics, "golf/#", &[]);
}

#[test]
fn v5_4_7_1_3_plus_matches_exactly_one_level() {
    let topics = ["a", "a/", "a/b", "a/b/c", "a/c/c", "b", "/b"];
    check(&topics, "a/+", &["a/", "a/b"]);
    check(&topics, "a/+/c", &["a/b/c", "a/c/c"]);
    check(&topics, "+", &["a", "b"]);
    check(&topics, "+/b", &["/b", "a/b"]);
    check(&topics, "+/+/#", &["/b", "a/", "a/b", "a/b/c", "a/c/c"]);
    check(&topics, "a/b", &["a/b"]);
    check(&topics, "a/x", &[]);
}

#[test]
fn v5_4_7_2_1_wildcards_do_not_match_a_leading_dollar() {
    let topics = ["$SYS", "$SYS/load", "a", "a/$SYS"];
    check(&topics, "#", &["a", "a/$SYS"]);
    check(&topics, "+", &["a"]);
    check(&topics, "+/load", &[]);
    check(&topics, "+/#", &["a", "a/$SYS"]);
    check(&topics, "$SYS/#", &["$SYS", "$SYS/load"]);
    check(&topics, "$SYS/+", &["$SYS/load"]);
}

/// A walk of one level must not look at the subtrees beside or below it.
#[test]
fn a_walk_enters_only_what_can_match() {
    let mut tree = Tree::new(1);
    for room in 0..100 {
        for sensor in 0..100 {
            tree.insert(&format!("house/{room}/{sensor}/value"), ());
        }
    }
    let check = |filter: &str, steps: usize| {
        let mut count = 0;
        let end = tree.walk(filter, &mut Cursor::new(), steps, |()| {
            count += 1;
            ControlFlow::Continue(())
        });
        assert_eq!(end, Walk::Done, "{filter}");
        assert_eq!(
            tree.walk(filter, &mut Cursor::new(), steps - 1, |()| ControlFlow::Continue(())),
            Walk::More
        );
        count
    };
    assert_eq!(check("house/7/8/value", 4), 1);
    assert_eq!(check("house/+/8/value", 1 + 3 * 100), 100);
    assert_eq!(check("house/7/#", 2 + 2 * 100), 100);
    assert_eq!(check("house/+", 1 + 100), 0);
    assert_eq!(check("#", 1 + 100 + 2 * 10_000), 10_000);
}

#[test]
fn a_walk_goes_on_behind_the_value_at_which_it_was_stopped() {
    let tree = tree_of(&["a", "a/b", "a/b/c", "d", "e/f"]);
    let mut cursor = Cursor::new();
    let mut found = BTreeSet::new();
    for _ in 0..5 {
        let end = tree.walk("#", &mut cursor, usize::MAX, |value| {
            assert!(found.insert(value.clone()));
            ControlFlow::Break(())
        });
        assert_eq!(end, Walk::More);
    }
    assert_eq!(found.len(), 5);
    for _ in 0..2 {
        assert_eq!(tree.walk("#", &mut cursor, usize::MAX, |_| unreachable!()), Walk::Done);
    }
}

#[test]
fn a_walk_without_steps_makes_none() {
    let tree = tree_of(&["a"]);
    let mut cursor = Cursor::new();
    assert_eq!(tree.walk("#", &mut cursor, 0, |_| unreachable!()), Walk::More);
    assert_eq!(tree.walk("#", &mut cursor, 1, |_| ControlFlow::Continue(())), Walk::Done);
}

/// One step per call among topics of which none may be visited: the place is kept all the same.
#[test]
fn a_walk_in_single_steps_passes_dollar_topics() {
    let tree = tree_of(&["$a/x", "$b/x", "c"]);
    let mut cursor = Cursor::new();
    let mut found = Vec::new();
    for _ in 0..3 {
        tree.walk("#", &mut cursor, 1, |value| {
            found.push(value.clone());
            ControlFlow::Continue(())
        });
    }
    assert_eq!(found, ["c"]);
    assert_eq!(tree.walk("#", &mut cursor, 1, |_| unreachable!()), Walk::Done);
}

/// The level at which a walk rests goes, and its number is given to another text.
#[test]
fn a_number_of_a_level_that_is_used_again_leads_no_walk_astray() {
    let mut tree = tree_of(&["a/b/x", "a/c/x"]);
    let mut cursor = Cursor::new();
    assert_eq!(tree.walk("a/b/+", &mut cursor, 2, |_| unreachable!()), Walk::More);
    tree.remove("a/b/x");
    tree.insert("a/d/x", "a/d/x".to_owned());
    assert_eq!(tree.walk("a/b/+", &mut cursor, usize::MAX, |_| unreachable!()), Walk::Done);

    let mut tree = tree_of(&["a/x", "z"]);
    let mut cursor = Cursor::new();
    assert_eq!(tree.walk("+/x", &mut cursor, 1, |_| unreachable!()), Walk::More);
    tree.remove("a/x");
    tree.insert("$/x", "$/x".to_owned());
    assert_eq!(tree.walk("+/x", &mut cursor, usize::MAX, |_| unreachable!()), Walk::Done);
}

#[test]
fn a_walk_survives_that_everything_goes() {
    let mut tree = tree_of(&["a/b/c/d", "e"]);
    let mut cursor = Cursor::new();
    assert_eq!(tree.walk("#", &mut cursor, 3, |_| unreachable!()), Walk::More);
    tree.remove("a/b/c/d");
    tree.remove("e");
    assert_eq!(tree.walk("#", &mut cursor, usize::MAX, |_| unreachable!()), Walk::Done);
}

#[test]
fn memory_comes_back_when_topics_go() {
    let topic_of = |number: u32| format!("devices/{number}/a long name of a level/{}", number % 7);
    let mut tree = Tree::new(1);
    for number in 0..50_000 {
        assert_eq!(tree.insert(&topic_of(number), number), None);
    }
    assert_eq!(tree.insert(&topic_of(3), 3), Some(3));
    let full = tree.bytes();
    for number in (0..50_000).filter(|number| number % 50 != 0) {
        assert_eq!(tree.remove(&topic_of(number)), Some(number));
        assert_eq!(tree.remove(&topic_of(number)), None);
    }
    assert!(tree.bytes() < full / 2, "{} of {full}", tree.bytes());
    for number in (0..50_000).filter(|number| number % 50 == 0) {
        assert_eq!(tree.get(&topic_of(number)), Some(&number));
        assert_eq!(tree.remove(&topic_of(number)), Some(number));
    }
    assert!(tree.bytes() < 2048, "{}", tree.bytes());
}

/// One topic stays, so that nothing is forgotten merely because all is.
#[test]
fn memory_does_not_grow_with_topics_that_come_and_go() {
    let mut tree = Tree::new(1);
    tree.insert("always/here", 0);
    let mut bytes_first = 0;
    for round in 0..300 {
        let topic_of = |number: u32| format!("{round}/{}/a long name of a level {number}", number % 3);
        for number in 0..20 {
            tree.insert(&topic_of(number), number);
        }
        for number in 0..20 {
            assert_eq!(tree.remove(&topic_of(number)), Some(number));
        }
        if round == 0 {
            bytes_first = tree.bytes();
        }
    }
    assert!(tree.bytes() <= 2 * bytes_first, "{} after {bytes_first}", tree.bytes());
    assert_eq!(tree.get("always/here"), Some(&0));
}

/// The numbers of levels that went are free while the table of texts grows again; none may answer for the
/// empty text.
#[test]
fn a_tree_grows_again_after_most_of_it_has_gone() {
    let mut tree = Tree::new(1);
    for number in 0..20_000 {
        tree.insert(&format!("first/{number}"), number);
    }
    for number in 100..20_000 {
        tree.remove(&format!("first/{number}"));
    }
    for number in 0..10_000 {
        assert_eq!(tree.get("first/"), None);
        assert_eq!(tree.insert(&format!("second/{number}"), number), None);
        assert_eq!(tree.insert(&format!("{number}/"), number), None);
        assert_eq!(tree.remove(&format!("{number}/")), Some(number));
    }
    assert_eq!(tree.len(), 10_100);
    assert!((0..100).all(|number| tree.get(&format!("first/{number}")) == Some(&number)));
    assert!((0..10_000).all(|number| tree.get(&format!("second/{number}")) == Some(&number)));
}

#[test]
fn a_walk_that_is_done_stays_done() {
    let mut tree = Tree::new(1);
    let mut cursor = Cursor::new();
    assert_eq!(tree.walk("#", &mut cursor, usize::MAX, |()| unreachable!()), Walk::Done);
    tree.insert("a", ());
    assert_eq!(tree.walk("#", &mut cursor, usize::MAX, |()| unreachable!()), Walk::Done);
}

/// What is renumbered inside when much is removed does not show in a walk that rests meanwhile.
#[test]
fn a_walk_goes_on_after_most_of_the_tree_has_gone() {
    let mut tree = Tree::new(1);
    let topic_of = |number: u32| format!("a/{}/{number}", number % 10);
    for number in 0..10_000 {
        tree.insert(&topic_of(number), number);
    }
    let mut cursor = Cursor::new();
    let mut found = BTreeSet::new();
    let mut visit = |number: &u32| {
        assert!(found.insert(*number));
        ControlFlow::Continue(())
    };
    assert_eq!(tree.walk("a/+/#", &mut cursor, 5_000, &mut visit), Walk::More);
    for number in (0..10_000).filter(|number| number % 13 != 0) {
        tree.remove(&topic_of(number));
    }
    assert_eq!(tree.walk("a/+/#", &mut cursor, usize::MAX, &mut visit), Walk::Done);
    assert!((0..10_000).filter(|number| number % 13 == 0).all(|number| found.contains(&number)));
}

#[derive(Clone, Debug)]
enum Change {
    Insert(String),
    Remove(String),
    /// Removes the topic that the walk visited last: the case in which its place goes.
    RemoveLast,
    Clear,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        8 => topic().prop_map(Change::Insert),
        6 => topic().prop_map(Change::Remove),
        3 => Just(Change::RemoveLast),
        1 => Just(Change::Clear),
    ]
}

/// One slice: how many steps, after how many values to break, and what happens afterwards.
type Slice = (usize, usize, Vec<Change>);

fn slice() -> impl Strategy<Value = Slice> {
    (1..6_usize, 1..4_usize, vec(change(), 0..6))
}

/// A topic is stored with a number of its own, so that one inserted again is told from the one before.
struct Model {
    tree: Tree<(String, usize)>,
    topics: BTreeMap<String, usize>,
    next: usize,
}

impl Model {
    fn new() -> Self {
        Self { tree: Tree::new(1), topics: BTreeMap::new(), next: 0 }
    }

    /// Inserts a topic or keeps what is there: the promise of a walk is about topics that stay.
    fn insert(&mut self, topic: String) {
        if !self.topics.contains_key(&topic) {
            assert_eq!(self.tree.insert(&topic, (topic.clone(), self.next)), None);
            self.topics.insert(topic, self.next);
            self.next += 1;
        }
    }

    fn remove(&mut self, topic: &str) {
        let removed = self.tree.remove(topic).map(|(_, number)| number);
        assert_eq!(removed, self.topics.remove(topic));
    }

    fn apply(&mut self, change: Change, last: Option<&String>) {
        match change {
            Change::Insert(topic) => self.insert(topic),
            Change::Remove(topic) => self.remove(&topic),
            Change::RemoveLast => self.remove(last.map_or("nothing", String::as_str)),
            Change::Clear => {
                for topic in self.topics.keys().cloned().collect::<Vec<_>>() {
                    self.remove(&topic);
                }
            }
        }
        assert_eq!(self.tree.len(), self.topics.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_agrees_with_a_map(
        changes in vec((any::<bool>(), topic()), 1..200),
        filters in vec(filter(), 1..5),
    ) {
        let mut tree = Tree::new(1);
        let mut map = BTreeMap::new();
        for (is_insert, topic) in changes {
            prop_assert_eq!(tree.get(&topic), map.get(&topic));
            if is_insert {
                prop_assert_eq!(tree.insert(&topic, topic.clone()), map.insert(topic.clone(), topic.clone()));
            } else {
                prop_assert_eq!(tree.remove(&topic), map.remove(&topic));
            }
            prop_assert_eq!(tree.len(), map.len());
        }
        for filter in filters {
            let expected: Vec<String> = map.keys().filter(|topic| matches(&filter, topic)).cloned().collect();
            prop_assert_eq!(matched(&tree, &filter), expected);
        }
        for topic in map.keys() {
            prop_assert!(tree.remove(topic).is_some());
        }
        prop_assert!(tree.bytes() < 2048);
    }

    #[test]
    fn a_walk_visits_once_what_stays_while_the_tree_changes(
        start in vec(topic(), 0..40),
        filter in filter(),
        slices in vec(slice(), 1..20),
    ) {
        let mut model = Model::new();
        start.into_iter().for_each(|topic| model.insert(topic));
        let mut stays = model.topics.clone();
        let mut cursor = Cursor::new();
        let mut visited: BTreeSet<usize> = BTreeSet::new();
        let mut slices = slices.into_iter();
        let mut last: Option<String> = None;
        loop {
            let (steps_max, values_max, changes) = slices.next().unwrap_or((3, 2, Vec::new()));
            let mut values = 0;
            let end = model.tree.walk(&filter, &mut cursor, steps_max, |(topic, number)| {
                assert!(matches(&filter, topic), "{topic}");
                assert_eq!(model.topics.get(topic), Some(number), "what is visited is there");
                assert!(visited.insert(*number), "{topic} comes twice");
                last = Some(topic.clone());
                values += 1;
                if values == values_max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert!(values <= steps_max);
            if end == Walk::Done {
                break;
            }
            for change in changes {
                model.apply(change, last.as_ref());
                stays.retain(|topic, number| model.topics.get(topic) == Some(number));
            }
        }
        for (topic, number) in stays {
            prop_assert!(!matches(&filter, &topic) || visited.contains(&number), "{} was not visited", topic);
        }
    }
}
