//! The integration tests of the engine, in one binary.

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what tests share fails by panicking"
)]

mod it {
    mod access;
    mod administration;
    mod answers;
    mod arbitrary;
    mod blocked;
    mod crowd;
    mod dice;
    mod exchange;
    mod fairness;
    mod fan_out;
    mod flush_threads;
    mod garbage;
    mod life;
    mod limits;
    mod match_cache;
    mod matching;
    mod paper;
    mod proof;
    mod queue;
    mod retained_threads;
    mod session;
    mod session_threads;
    mod share;
    mod share_threads;
    mod spill;
    mod store;
    mod store_fetch;
    mod store_groups;
    mod store_limits;
    mod store_notes;
    mod store_refused;
    mod store_room;
    mod store_wills;
    mod sys;
    mod threads;
    mod tree;
    mod trie;
    mod wire;
    mod worker;
    mod writer;
}
