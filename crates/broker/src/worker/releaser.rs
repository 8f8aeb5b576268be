//! Lets go what has waited for the disk: rung by the thread that writes the journal.

use std::{future::poll_fn, task::Poll};

use super::with_bench;

/// Runs for as long as the worker.
pub(super) async fn run() {
    poll_fn(|context| {
        with_bench(|bench| {
            bench.bell.register(context.waker());
            bench.begin();
            let engine = bench.shared.engine.clone();
            engine.release(&mut bench.turn);
            bench.finish();
        });
        Poll::<()>::Pending
    })
    .await;
}
