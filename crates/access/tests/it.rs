//! The crate's integration tests, in one binary.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod it {
    mod acl_file;
    mod claims;
    mod draw;
    mod dynamic_security;
    mod lint;
    mod names;
    mod one_by_one;
    mod order;
    mod rule_file;
    mod subscriptions;
}
