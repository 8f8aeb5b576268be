//! The integration tests of the engine, in one binary.

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what tests share fails by panicking"
)]

mod it {
    mod blocked;
    mod crowd;
    mod dice;
    mod fan_out;
    mod fairness;
    mod limits;
    mod matching;
    mod queue;
    mod session;
    mod share;
    mod tree;
    mod trie;
    mod wire;
    mod worker;
}
