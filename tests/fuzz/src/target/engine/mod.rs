//! The targets of the engine, which drive the worker without sockets of the engine's own tests and their naive model of
//! sessions. Nothing is added to those here; `limits` and `version` are what an input of several clients needs.

pub(super) mod conversations;
pub(super) mod session;

use whimbrel_codec::{Connect, Split, split};
use whimbrel_engine::Limits;
use whimbrel_testkit::Version;

#[path = "../../../../../crates/engine/tests/it/dice.rs"]
#[expect(dead_code, reason = "the engine's tests use the rest")]
mod dice;
#[path = "../../../../../crates/engine/tests/it/life.rs"]
mod life;
#[path = "../../../../../crates/engine/tests/it/paper.rs"]
#[expect(dead_code, reason = "the engine's tests use the rest")]
mod paper;
#[path = "../../../../../crates/engine/tests/it/wire.rs"]
#[expect(dead_code, reason = "the engine's tests use the rest")]
mod wire;
#[path = "../../../../../crates/engine/tests/it/worker.rs"]
#[expect(dead_code, reason = "the engine's tests use the rest")]
mod worker;

/// The model of sessions asks for its matcher here.
mod matching {
    pub(super) use whimbrel_codec::matches;
}

/// Small enough that inputs of a few hundred bytes reach them.
fn limits(choice: u8) -> Limits {
    let mut limits = Limits { link_soft_bytes: 200, link_hard_bytes: 2_000, ..Limits::default() };
    if choice & 1 == 1 {
        limits = Limits { queue_messages_max: 3, queue_bytes_max: 300, subscriptions_max: 3, ..limits };
    }
    if choice & 2 == 2 {
        limits = Limits { sessions_max: 3, retained_messages_max: 2, queue_qos0: true, ..limits };
    }
    limits
}

/// The version of the CONNECT that the bytes begin with, if they do.
fn version(bytes: &[u8]) -> Option<Version> {
    let Ok(Split::Whole { frame, .. }) = split(bytes, u32::MAX) else { return None };
    let versions = [Version::V31, Version::V311, Version::V5];
    let level = Connect::version_of(frame).ok()?.level();
    versions.into_iter().find(|version| version.level() == level)
}
