//! The tests of the test kit itself: what the peer reads, writes and complains of.

mod it {
    mod packets;
    mod rules;
}
