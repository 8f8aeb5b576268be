//! What the tests of limits stand on: a heap that is counted, the limits as the configuration's keys set them, and a
//! worker without sockets whose clients may take nothing. Not the tests: those are in `tests/it`.

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what tests stand on fails by panicking"
)]

mod heap;
mod pipe;
mod settings;
mod worker;

pub use heap::Heap;
pub use pipe::Pipe;
pub use settings::{Running, engine_limits, loopback};
pub use worker::{Who, Worker};
