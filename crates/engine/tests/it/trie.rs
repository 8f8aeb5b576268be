//! The trie of subscriptions, against a list that is searched from end to end.

use proptest::collection::vec;
use proptest::prelude::*;
use whimbrel_engine::routing::trie::{Scratch, Trie};

use super::matching::{filter, matches, topic};

fn matched(trie: &Trie<u32>, topic: &str) -> Vec<(u64, u32)> {
    let mut found = Vec::new();
    trie.for_each_match(topic, &mut Scratch::new(), |key, &value| found.push((key, value)));
    found.sort_unstable();
    found
}

fn check(filter: &str, topic: &str, expect: bool) {
    let mut trie = Trie::new(1);
    trie.insert(filter, 7, 70);
    let expect = if expect { vec![(7, 70)] } else { vec![] };
    assert_eq!(matched(&trie, topic), expect, "{filter} and {topic}");
}

/// A sequence that looks random and is the same everywhere.
fn shuffled(count: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..count).collect();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for place in (1..numbers.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        numbers.swap(place, (state % (place as u64 + 1)) as usize);
    }
    numbers
}

#[test]
fn v5_4_7_1_2_hash_matches_the_parent_and_all_below() {
    for topic in ["sport", "sport/", "sport/tennis", "sport/tennis/player1/ranking"] {
        check("sport/#", topic, true);
        check("#", topic, true);
    }
    check("sport/#", "sports", false);
    check("sport/#", "", false);
    check("sport/tennis/#", "sport", false);
}

#[test]
fn v5_4_7_1_3_plus_matches_exactly_one_level() {
    check("sport/tennis/+", "sport/tennis/player1", true);
    check("sport/tennis/+", "sport/tennis/player1/ranking", false);
    check("sport/+", "sport", false);
    check("sport/+", "sport/", true);
    check("+/+", "/finance", true);
    check("/+", "/finance", true);
    check("+", "/finance", false);
    check("+/tennis/#", "sport/tennis", true);
}

#[test]
fn v5_4_7_2_1_wildcards_do_not_match_a_leading_dollar() {
    check("#", "$SYS/monitor/Clients", false);
    check("+/monitor/Clients", "$SYS/monitor/Clients", false);
    check("+/#", "$SYS", false);
    check("#", "$", false);
    check("$SYS/#", "$SYS/monitor/Clients", true);
    check("$SYS/#", "$SYS", true);
    check("$SYS/monitor/+", "$SYS/monitor/Clients", true);
    check("$SYS/+/Clients", "$SYS/monitor/Clients", true);
    check("a/+", "a/$SYS", true);
    check("#", "a/$SYS", true);
}

#[test]
fn v5_4_7_3_4_levels_are_compared_byte_for_byte() {
    check("ACCOUNTS", "Accounts", false);
    check("Accounts payable", "Accounts payable", true);
    check("/finance", "finance", false);
    check("a/", "a", false);
    check("a//b", "a/b", false);
    check("\u{c5}", "A\u{30a}", false);
    // One byte more and one less than a level that is stored inline.
    for length in 16..=20 {
        let text = "x".repeat(length);
        check(&text, &text, true);
        check(&text, &text[1..], false);
    }
}

#[test]
fn inserting_again_replaces_and_returns_the_old_value() {
    let mut trie = Trie::new(1);
    for count in 1..=40_u32 {
        assert_eq!(trie.insert("a/+", u64::from(count), count), None);
        for key in 1..=count {
            assert_eq!(
                trie.insert("a/+", u64::from(key), key + 100),
                Some(if key == count { key } else { key + 100 })
            );
        }
        assert_eq!(trie.len(), count as usize);
    }
    assert_eq!(trie.get("a/+", 17), Some(&117));
    assert_eq!(trie.get("a/+", 99), None);
    assert_eq!(trie.get("a", 17), None);
    assert_eq!(trie.get("a/b", 17), None);
}

#[test]
fn a_first_level_is_known_while_a_filter_begins_with_it() {
    let mut trie = Trie::new(1);
    trie.insert("#", 1, ());
    trie.insert("+/$SYS", 1, ());
    assert!(!trie.has_filter_under("$SYS"));
    assert!(!trie.has_filter_under("+"));
    trie.insert("$SYS/broker/#", 1, ());
    trie.insert("$SYS", 2, ());
    assert!(trie.has_filter_under("$SYS"));
    trie.remove("$SYS/broker/#", 1);
    assert!(trie.has_filter_under("$SYS"));
    trie.remove("$SYS", 2);
    assert!(!trie.has_filter_under("$SYS"));
}

#[test]
fn removing_what_is_not_there_changes_nothing() {
    let mut trie = Trie::new(1);
    assert_eq!(trie.remove("a", 1), None);
    trie.insert("a/b", 1, 10);
    for (filter, key) in [("a/b", 2), ("a", 1), ("a/b/c", 1), ("a/+", 1), ("a/#", 1), ("b", 1)] {
        assert_eq!(trie.remove(filter, key), None, "{filter} {key}");
    }
    assert_eq!(matched(&trie, "a/b"), [(1, 10)]);
    assert_eq!(trie.remove("a/b", 1), Some(10));
    assert!(trie.is_empty());
}

/// The trie of all `+` and `x` over a few levels has many paths to one topic, and each is one node: the
/// number of visits is that of matching filters, whatever the number of levels behind them.
#[test]
fn many_wildcards_on_deep_topics_cost_no_more_than_their_nodes() {
    let mut trie = Trie::new(1);
    for bits in 0..1024_u64 {
        let head: Vec<&str> = (0..10).map(|bit| if bits >> bit & 1 == 1 { "+" } else { "x" }).collect();
        trie.insert(&format!("{}{}", head.join("/"), "/+".repeat(118)), bits, 0);
    }
    assert_eq!(matched(&trie, &vec!["x"; 128].join("/")).len(), 1024);
    assert_eq!(matched(&trie, &vec!["x"; 127].join("/")).len(), 0);
    assert_eq!(matched(&trie, &vec!["y"; 128].join("/")), [(1023, 0)]);

    let mut trie = Trie::new(1);
    for depth in 1..=128 {
        trie.insert(&vec!["+"; depth].join("/"), 1, 0);
        trie.insert(&format!("{}/#", vec!["+"; depth].join("/")), 2, 0);
    }
    assert_eq!(matched(&trie, &vec!["x"; 128].join("/")).len(), 129);
    // The longest topic there is: 65,536 empty levels.
    assert_eq!(matched(&trie, &"/".repeat(65_535)).len(), 128);
}

#[test]
fn a_hundred_thousand_subscribers_of_one_filter_leave_in_any_order() {
    const COUNT: u64 = 100_000;
    let mut trie = Trie::new(1);
    for key in 0..COUNT {
        assert_eq!(trie.insert("news/#", key, key as u32), None);
    }
    assert_eq!(matched(&trie, "news").len(), 100_000);
    for (gone, key) in shuffled(COUNT).into_iter().enumerate() {
        assert_eq!(trie.remove("news/#", key), Some(key as u32));
        assert_eq!(trie.remove("news/#", key), None);
        if gone % 20_000 == 0 {
            assert_eq!(matched(&trie, "news/today").len(), 100_000 - gone - 1);
        }
    }
    assert!(trie.is_empty());
    assert!(trie.bytes() < 2048, "{}", trie.bytes());
}

#[test]
fn memory_comes_back_when_subscriptions_go() {
    const COUNT: u64 = 100_000;
    let filter_of = |key: u64| format!("devices/{key}/a long name of a level/{}/+", key % 100);
    let mut trie = Trie::new(1);
    for key in 0..COUNT {
        trie.insert(&filter_of(key), key, 0_u32);
        trie.insert("devices/+/#", key, 1);
    }
    let full = trie.bytes();
    let order = shuffled(COUNT);
    let (most, rest) = order.split_at(95_000);
    for &key in most {
        assert_eq!(trie.remove(&filter_of(key), key), Some(0));
        assert_eq!(trie.remove("devices/+/#", key), Some(1));
    }
    assert!(trie.bytes() < full / 4, "{} of {full}", trie.bytes());
    for &key in rest {
        let topic = format!("devices/{key}/a long name of a level/{}/x", key % 100);
        assert_eq!(matched(&trie, &topic).len(), 5_001);
    }
    for &key in rest {
        assert_eq!(trie.remove(&filter_of(key), key), Some(0));
        assert_eq!(trie.remove("devices/+/#", key), Some(1));
    }
    assert!(trie.bytes() < 2048, "{}", trie.bytes());
    trie.insert("a", 1, 1);
    assert_eq!(matched(&trie, "a"), [(1, 1)]);
}

/// One filter stays, so that nothing is forgotten merely because all is.
#[test]
fn memory_does_not_grow_with_those_who_come_and_go() {
    let mut trie = Trie::new(1);
    trie.insert("always/here", 1, 0);
    let mut bytes_first = 0;
    for round in 0..300_u64 {
        let filter_of = |key: u64| format!("{round}/a level longer than eighteen bytes {key}/+");
        for key in 0..20 {
            trie.insert(&filter_of(key), key, 0);
            trie.insert(&filter_of(key), key + 1, 0);
            trie.insert("popular/#", round * 20 + key, 0);
        }
        for key in 0..20 {
            assert_eq!(trie.remove(&filter_of(key), key), Some(0));
            assert_eq!(trie.remove(&filter_of(key), key + 1), Some(0));
            // Ten stay behind for a round: the list keeps its index all the time.
            trie.remove("popular/#", (round * 20 + key).saturating_sub(10));
        }
        if round == 1 {
            bytes_first = trie.bytes();
        }
    }
    assert!(trie.bytes() <= 2 * bytes_first, "{} after {bytes_first}", trie.bytes());
    assert_eq!(matched(&trie, "always/here"), [(1, 0)]);
}

/// Lists are renumbered with the nodes, when some of them have gone.
#[test]
fn lists_stay_with_their_filters_when_memory_comes_back() {
    let mut trie = Trie::new(1);
    for key in 0..5_000_u64 {
        trie.insert(&format!("a/{key}"), key, 1);
        trie.insert(&format!("a/{key}"), key + 1, 2);
    }
    for key in (0..5_000).filter(|key| key % 10 != 0) {
        trie.remove(&format!("a/{key}"), key);
        trie.remove(&format!("a/{key}"), key + 1);
    }
    for key in (0..5_000).filter(|key| key % 10 == 0) {
        assert_eq!(matched(&trie, &format!("a/{key}")), [(key, 1), (key + 1, 2)]);
    }
}

#[test]
fn values_are_dropped_once() {
    let value = std::rc::Rc::new(());
    let mut trie = Trie::new(1);
    for key in 0..3000 {
        trie.insert(&format!("a/{}", key % 1500), key, value.clone());
        trie.insert("b", key, value.clone());
    }
    assert_eq!(std::rc::Rc::strong_count(&value), 6001);
    for key in 0..2900 {
        trie.remove(&format!("a/{}", key % 1500), key);
        trie.remove("b", key);
    }
    assert_eq!(std::rc::Rc::strong_count(&value), 201);
    drop(trie);
    assert_eq!(std::rc::Rc::strong_count(&value), 1);
}

#[derive(Clone, Debug)]
enum Step {
    Insert(String, u64),
    Remove(String, u64),
    Match(String),
}

/// Keys from a small range, so that lists grow, shrink and get and lose their index.
fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (filter(), 0..40_u64).prop_map(|(filter, key)| Step::Insert(filter, key)),
        3 => (filter(), 0..40_u64).prop_map(|(filter, key)| Step::Remove(filter, key)),
        1 => topic().prop_map(Step::Match),
    ]
}

/// Filters so few that steps meet.
fn crowded_step() -> impl Strategy<Value = Step> {
    let filter = || proptest::sample::select(vec!["a", "a/+", "#", "+/a"]).prop_map(String::from);
    prop_oneof![
        5 => (filter(), 0..40_u64).prop_map(|(filter, key)| Step::Insert(filter, key)),
        4 => (filter(), 0..40_u64).prop_map(|(filter, key)| Step::Remove(filter, key)),
        1 => topic().prop_map(Step::Match),
    ]
}

fn run(steps: Vec<Step>) {
    let mut trie = Trie::new(1);
    let mut other_seed = Trie::new(2);
    let mut list: Vec<(String, u64, u32)> = Vec::new();
    let mut scratch = Scratch::new();
    for (number, step) in (0..).zip(steps) {
        match step {
            Step::Insert(filter, key) => {
                let old = list.iter_mut().find(|(f, k, _)| *f == filter && *k == key);
                let old = old.map(|(_, _, value)| core::mem::replace(value, number));
                if old.is_none() {
                    list.push((filter.clone(), key, number));
                }
                assert_eq!(trie.insert(&filter, key, number), old);
                other_seed.insert(&filter, key, number);
            }
            Step::Remove(filter, key) => {
                let place = list.iter().position(|(f, k, _)| *f == filter && *k == key);
                let old = place.map(|place| list.swap_remove(place).2);
                assert_eq!(trie.get(&filter, key).copied(), old);
                assert_eq!(trie.remove(&filter, key), old);
                other_seed.remove(&filter, key);
            }
            Step::Match(topic) => {
                let mut expected: Vec<(u64, u32)> =
                    list.iter().filter(|(f, _, _)| matches(f, &topic)).map(|&(_, k, v)| (k, v)).collect();
                expected.sort_unstable();
                let (mut found, mut found_other) = (Vec::new(), Vec::new());
                trie.for_each_match(&topic, &mut scratch, |key, &value| found.push((key, value)));
                other_seed.for_each_match(&topic, &mut scratch, |key, &value| found_other.push((key, value)));
                assert_eq!(found, found_other, "the order does not depend on the seed");
                found.sort_unstable();
                assert_eq!(found, expected);
            }
        }
        assert_eq!(trie.len(), list.len());
        for level in ["a", "$s", ""] {
            let expected = list.iter().any(|(filter, _, _)| filter.split('/').next() == Some(level));
            assert_eq!(trie.has_filter_under(level), expected);
        }
    }
    for (filter, key, value) in list {
        assert_eq!(trie.remove(&filter, key), Some(value));
    }
    assert!(trie.bytes() < 2048, "{}", trie.bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_agrees_with_a_list(steps in vec(step(), 1..200)) {
        run(steps);
    }

    #[test]
    fn any_sequence_on_crowded_filters_agrees_with_a_list(steps in vec(crowded_step(), 1..400)) {
        run(steps);
    }
}
