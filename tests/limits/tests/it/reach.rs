//! What the tests share: a worker with one key set, and how a client in each version is told.

use whimbrel_broker::config;
use whimbrel_limits::{Worker, engine_limits};
use whimbrel_testkit::{Connect, Packet, Publish, Version, publish, v5, v311};

/// What may stay when everybody has gone: buffers and tables for the next.
pub(super) const LEFT: usize = 128 << 10;

/// Topics that a worker remembers with their subscribers, and what each costs besides its name.
pub(super) const TOPICS_REMEMBERED: usize = 16_384;
pub(super) const TOPIC_REMEMBERED_BYTES: usize = 160;

/// A worker of an engine whose limits are the defaults, changed in the words of the configuration.
pub(super) fn worker(change: impl FnOnce(&mut config::Limits)) -> Worker {
    Worker::new(engine_limits(|config| change(&mut config.limits)))
}

/// A client of 5.0 with the code of DISCONNECT that it gets, and one of 3.1.1, which is closed without a word.
pub(super) fn ended_with(code: u8) -> [(Connect, Option<u8>); 2] {
    [(v5("c"), Some(code)), (v311("c"), None)]
}

/// A PUBLISH of QoS 0 that has so many bytes on the wire.
pub(super) fn sized(version: Version, bytes: usize) -> Publish {
    let of = |payload: usize| publish("t", vec![b'x'; payload]);
    let length = |payload: usize| Packet::Publish(of(payload)).encode(version).len();
    let payload = (0..=bytes).rev().find(|payload| length(*payload) == bytes);
    of(payload.unwrap())
}
