//! The integration tests of the journal, in one binary.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "what tests share fails by panicking")]

mod it {
    mod copies;
    mod crashes;
    mod damage;
    mod dice;
    mod faults;
    mod files;
    mod fixtures;
    mod garbage;
    mod reclaim;
    mod rig;
}
