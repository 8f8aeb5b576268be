//! `AliasesOut` and `AliasesIn` joined: whatever the sender writes, the receiver reads the topic that was meant.

use std::collections::BTreeMap;

use proptest::prelude::*;
use whimbrel_proto::{
    Violation,
    flow::{Alias, AliasesIn, AliasesOut},
};

/// What the topics behind the aliases hold: their bytes, and a place for each alias up to the highest that was set.
fn held(model: &BTreeMap<u16, String>) -> usize {
    let places = model.keys().max().copied().map_or(0, usize::from);
    model.values().map(String::len).sum::<usize>() + places * size_of::<Option<Box<str>>>()
}

proptest! {
    #[test]
    fn the_receiver_reads_the_topic_that_was_meant(
        max in 0u16..8,
        topics in prop::collection::vec("[a-e]{1,2}", 0..200),
    ) {
        let mut sender = AliasesOut::new(max);
        let mut receiver = AliasesIn::default();
        let mut known = Vec::new();
        for topic in &topics {
            let (written, alias) = match sender.assign(topic) {
                Alias::Known(alias) => {
                    prop_assert!(known.contains(topic), "an alias is known after it was sent");
                    ("", Some(alias))
                }
                Alias::New(alias) => {
                    prop_assert!((1..=max).contains(&alias));
                    prop_assert!(!known.contains(topic));
                    known.push(topic.clone());
                    (topic.as_str(), Some(alias))
                }
                Alias::None => {
                    prop_assert_eq!(known.len(), usize::from(max), "there is an alias left");
                    (topic.as_str(), None)
                }
            };
            prop_assert_eq!(receiver.resolve(written, alias, max), Ok(topic.as_str()));
        }
    }

    #[test]
    fn an_alias_means_the_last_topic_that_was_set(
        max in 0u16..6,
        steps in prop::collection::vec((prop::option::of("[a-c]"), prop::option::of(1u16..8)), 0..200),
    ) {
        let mut receiver = AliasesIn::default();
        let mut model = BTreeMap::new();
        for (topic, alias) in steps {
            let topic = topic.unwrap_or_default();
            let expected = match alias {
                None => Ok(topic.clone()),
                Some(alias) if alias > max => Err(Violation::TopicAliasTooHigh),
                Some(alias) if topic.is_empty() => {
                    model.get(&alias).cloned().ok_or(Violation::TopicAliasUnknown)
                }
                Some(alias) => {
                    model.insert(alias, topic.clone());
                    Ok(topic.clone())
                }
            };
            prop_assert_eq!(receiver.resolve(&topic, alias, max).map(str::to_owned), expected);
            prop_assert_eq!(receiver.bytes(), held(&model));
        }
    }
}

#[test]
fn a_topic_of_more_than_256_bytes_gets_no_alias() {
    let mut sender = AliasesOut::new(9);
    let mut check =
        |length: usize, expect| assert_eq!(sender.assign(&"t".repeat(length)), expect, "{length}");
    check(257, Alias::None);
    check(256, Alias::New(1));
    check(300, Alias::None);
    check(256, Alias::Known(1));
}
