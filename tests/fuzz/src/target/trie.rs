//! The trie of subscriptions against a list that is searched from end to end.

use whimbrel_codec::matches;
use whimbrel_engine::routing::trie::{Scratch, Trie};

use crate::draw::Draw;

/// The trie, one with another seed, and the list.
struct Pair {
    trie: Trie<u32>,
    other: Trie<u32>,
    list: Vec<(String, u64, u32)>,
    scratch: Scratch,
}

/// Each operation is a byte that says what and who, then a filter or a topic.
pub(super) fn trie(data: &[u8]) {
    let mut draw = Draw::new(data);
    let mut pair =
        Pair { trie: Trie::new(1), other: Trie::new(2), list: Vec::new(), scratch: Scratch::new() };
    let mut number = 0;
    while !draw.is_empty() {
        let choice = draw.byte();
        let key = u64::from(choice >> 3);
        match choice & 7 {
            0..=3 => pair.insert(&draw.filter(), key, number),
            4 | 5 => pair.remove(&draw.filter(), key),
            _ => pair.compare(&draw.topic()),
        }
        number += 1;
        assert_eq!(pair.trie.len(), pair.list.len());
    }
    for (filter, key, value) in std::mem::take(&mut pair.list) {
        assert_eq!(pair.trie.remove(&filter, key), Some(value));
    }
    assert!(pair.trie.is_empty() && pair.trie.bytes() < 2048, "{} bytes stay", pair.trie.bytes());
}

impl Pair {
    fn insert(&mut self, filter: &str, key: u64, value: u32) {
        let place = self.list.iter_mut().find(|(text, owner, _)| text == filter && *owner == key);
        let old = place.map(|(_, _, old)| std::mem::replace(old, value));
        if old.is_none() {
            self.list.push((filter.to_owned(), key, value));
        }
        assert_eq!(self.trie.insert(filter, key, value), old);
        self.other.insert(filter, key, value);
    }

    fn remove(&mut self, filter: &str, key: u64) {
        let place = self.list.iter().position(|(text, owner, _)| text == filter && *owner == key);
        let old = place.map(|place| self.list.swap_remove(place).2);
        assert_eq!(self.trie.get(filter, key).copied(), old);
        assert_eq!(self.trie.remove(filter, key), old);
        self.other.remove(filter, key);
    }

    fn compare(&mut self, topic: &str) {
        let matching = self.list.iter().filter(|(filter, _, _)| matches(filter, topic));
        let mut expect: Vec<_> = matching.map(|(_, key, value)| (*key, *value)).collect();
        expect.sort_unstable();
        let (mut found, mut found_other) = (Vec::new(), Vec::new());
        self.trie.for_each_match(topic, &mut self.scratch, |key, value| found.push((key, *value)));
        self.other.for_each_match(topic, &mut self.scratch, |key, value| found_other.push((key, *value)));
        assert_eq!(found, found_other, "the order does not depend on the seed");
        found.sort_unstable();
        assert_eq!(found, expect, "{topic}");
        let first = topic.split('/').next().unwrap_or_default();
        let is_there = self.list.iter().any(|(filter, _, _)| filter.split('/').next() == Some(first));
        assert_eq!(self.trie.has_filter_under(first), is_there, "{first}");
    }
}
