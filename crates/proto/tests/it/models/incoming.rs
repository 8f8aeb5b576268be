//! `Incoming` against a map: identifier → whether it was opened on the present connection.

use std::collections::BTreeMap;

use proptest::prelude::*;
use whimbrel_proto::{Incoming, Release};

use crate::it::transcript::id;

proptest! {
    #[test]
    fn open_identifiers_are_a_set(steps in prop::collection::vec((0u8..24, 1u16..40), 0..300)) {
        let mut incoming = Incoming::default();
        let mut set = BTreeMap::new();
        for (step, value) in steps {
            match step {
                0..10 => {
                    prop_assert_eq!(incoming.open(id(value)), !set.contains_key(&value));
                    set.entry(value).or_insert(true);
                }
                10..19 => {
                    let expected = match set.remove(&value) {
                        Some(true) => Release::Present,
                        Some(false) => Release::Earlier,
                        None => Release::Unknown,
                    };
                    prop_assert_eq!(incoming.release(id(value)), expected);
                }
                19..22 => {
                    // It takes a unit of the quota where its first copy came on an earlier connection.
                    let takes = set.get(&value) == Some(&false);
                    prop_assert_eq!(incoming.renew(id(value)), takes);
                    set.entry(value).and_modify(|present| *present = true);
                }
                22 => {
                    incoming.restore(id(value));
                    set.entry(value).or_insert(false);
                }
                _ => {
                    incoming.link_lost();
                    set.values_mut().for_each(|present| *present = false);
                }
            }
            prop_assert_eq!(incoming.len(), set.len());
            prop_assert_eq!(incoming.is_empty(), set.is_empty());
            for value in 1..40 {
                prop_assert_eq!(incoming.contains(id(value)), set.contains_key(&value));
            }
        }
    }
}

#[test]
fn v5_4_3_3_12_a_released_identifier_takes_no_other_along_however_many_are_open() {
    let mut incoming = Incoming::default();
    for value in 1..=1_000 {
        assert!(incoming.open(id(value)));
    }
    for value in 1..=1_000 {
        assert_eq!(incoming.release(id(value)), Release::Present);
        assert_eq!(incoming.len(), usize::from(1_000 - value));
    }
}
