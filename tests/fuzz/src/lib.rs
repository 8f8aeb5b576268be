//! Hostile bytes: for each room that strangers can reach a function from any bytes to nothing, which panics when the
//! room breaks a promise. No fuzzer is here: `feed` is the bounded generator for stable Rust, `fuzz/` at the root of the
//! repository hands the same functions to libFuzzer.
//!
//! A target reads its bytes as what it is about: packets, operations of several clients, the text of a file. Whatever
//! the bytes are, they mean something, so that no input is wasted on being refused by the target itself.

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a target fails by panicking"
)]

mod draw;
mod feed;
mod machine;
mod target;

pub use feed::{Feed, Input, corpus};
pub use target::{TARGETS, Target};

/// Runs the target of this name.
///
/// # Panics
/// There is none, or it does not survive the input.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("there is no target {name}")).run)(input);
}
