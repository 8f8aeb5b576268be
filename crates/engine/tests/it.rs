//! The integration tests of the engine, in one binary.

mod it {
    mod matching;
    mod tree;
    mod trie;
}
