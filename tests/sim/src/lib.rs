//! The broker's engine and the shipped client machine over simulated links, in one thread, on virtual time, from one
//! seed: what a run does is drawn, what it must show the oracles of `whimbrel-oracle` say. No socket is here; the soak,
//! which has some, is a program of its own beside it.

#![expect(
    clippy::indexing_slicing,
    reason = "a test program whose places are its own: a wrong one shall stop the run"
)]

pub mod dice;
mod duel;
pub mod link;
pub mod log;
pub mod plan;
pub mod planted;
pub mod player;
pub mod run;
pub mod server;
pub mod task;
pub mod world;
