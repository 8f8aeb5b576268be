//! Topics and filters for the other modules, and a matcher too simple to be wrong.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Whether `filter` matches `topic`, by the words of section 4.7 and nothing else.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && (filter.starts_with('+') || filter.starts_with('#')) {
        return false;
    }
    let filter: Vec<&str> = filter.split('/').collect();
    let topic: Vec<&str> = topic.split('/').collect();
    levels_match(&filter, &topic)
}

fn levels_match(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], _) => true,
        ([], []) => true,
        ([first, filter @ ..], [level, topic @ ..]) => {
            (*first == "+" || first == level) && levels_match(filter, topic)
        }
        _ => false,
    }
}

/// Topics of up to five levels over an alphabet so small that most share a part; some levels are empty, some
/// begin with `$`, some are too long to be stored inline.
pub(super) fn topic() -> impl Strategy<Value = String> {
    let level = select(vec!["a", "b", "c", "", "$s", "a level longer than eighteen bytes"]);
    vec(level, 1..=5).prop_map(|levels| levels.join("/")).prop_filter("not empty", |topic| !topic.is_empty())
}

/// Filters over the alphabet of [`topic`], half of the levels wildcards.
pub(super) fn filter() -> impl Strategy<Value = String> {
    let level = select(vec!["+", "+", "+", "a", "b", "", "$s", "a level longer than eighteen bytes"]);
    (vec(level, 0..=5), any::<bool>()).prop_map(|(mut levels, ends_with_hash)| {
        if ends_with_hash || levels.is_empty() || levels == [""] {
            levels.push("#");
        }
        levels.join("/")
    })
}

#[test]
fn v5_4_7_1_2_the_examples_of_the_multi_level_wildcard() {
    for topic in
        ["sport/tennis/player1", "sport/tennis/player1/ranking", "sport/tennis/player1/score/wimbledon"]
    {
        assert!(matches("sport/tennis/player1/#", topic), "{topic}");
    }
    assert!(matches("sport/#", "sport"));
    assert!(matches("#", "anything/at/all"));
}

#[test]
fn v5_4_7_1_3_the_examples_of_the_single_level_wildcard() {
    assert!(matches("sport/tennis/+", "sport/tennis/player1"));
    assert!(!matches("sport/tennis/+", "sport/tennis/player1/ranking"));
    assert!(!matches("sport/+", "sport"));
    assert!(matches("sport/+", "sport/"));
    assert!(matches("+/+", "/finance"));
    assert!(matches("/+", "/finance"));
    assert!(!matches("+", "/finance"));
}
