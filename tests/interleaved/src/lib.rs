//! The engine as the simulation drives it: the same sources, with other locks and with bugs that sleep. What it is built
//! from is written by `build.rs`.
#![forbid(unsafe_code)]

pub mod planted;

include!(concat!(env!("OUT_DIR"), "/engine/lib.rs"));
