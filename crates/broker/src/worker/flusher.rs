//! Writes what a turn has appended, once the tasks that were ready have run: woken by the first that appends, it stands
//! behind them in the run queue.

use std::{future::poll_fn, task::Poll};

use super::with_bench;

/// Runs for as long as the worker.
pub(super) async fn run() {
    poll_fn(|context| {
        with_bench(|bench| {
            if !bench.flusher.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
                bench.flusher = Some(context.waker().clone());
            }
            bench.flush_due = false;
            let engine = bench.shared.engine.clone();
            engine.flush(&mut bench.turn);
            bench.finish(); // For a link that the flush has left for the next one.
        });
        Poll::<()>::Pending
    })
    .await;
}
