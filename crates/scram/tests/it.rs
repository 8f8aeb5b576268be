//! The integration tests of SCRAM, in one binary.

#![expect(clippy::unwrap_used, reason = "what tests share fails them")]

mod it {
    mod attacks;
    mod vectors;
}
