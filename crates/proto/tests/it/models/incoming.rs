//! `Incoming` against a set.

use std::collections::BTreeSet;

use proptest::prelude::*;
use whimbrel_proto::Incoming;

use crate::it::transcript::id;

proptest! {
    #[test]
    fn open_identifiers_are_a_set(steps in prop::collection::vec((any::<bool>(), 1u16..40), 0..300)) {
        let mut incoming = Incoming::default();
        let mut set = BTreeSet::new();
        for (open, value) in steps {
            if open {
                prop_assert_eq!(incoming.open(id(value)), set.insert(value));
            } else {
                prop_assert_eq!(incoming.release(id(value)), set.remove(&value));
            }
            prop_assert_eq!(incoming.len(), set.len());
            prop_assert_eq!(incoming.is_empty(), set.is_empty());
            for value in 1..40 {
                prop_assert_eq!(incoming.contains(id(value)), set.contains(&value));
            }
        }
    }
}
