//! `Quota` against a set of numbers.

use proptest::prelude::*;
use whimbrel_proto::flow::Quota;

proptest! {
    #[test]
    fn a_quota_counts_what_is_owed(receive_maximum in 1u16..20, takes in prop::collection::vec(any::<bool>(), 0..200)) {
        let mut quota = Quota::new(receive_maximum);
        let mut owed = 0u16;
        for take in takes {
            if take {
                let room = owed < receive_maximum;
                prop_assert_eq!(quota.take(), room);
                owed += u16::from(room);
            } else {
                quota.give_back();
                owed = owed.saturating_sub(1);
            }
        }
        while owed < receive_maximum {
            prop_assert!(quota.take(), "{owed} of {receive_maximum} are owed");
            owed += 1;
        }
        prop_assert!(!quota.take(), "all are owed");
    }
}
