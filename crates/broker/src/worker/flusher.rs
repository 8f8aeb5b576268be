//! Writes what a turn has appended, once the tasks that were ready have run: woken by the first that appends, it stands
//! behind them in the run queue.

use std::{future::poll_fn, task::Poll};

use whimbrel_engine::Notice;

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
            for notice in bench.turn.notices.drain(..) {
                tell(&notice);
            }
            bench.finish(); // For a link that the flush has left for the next one.
        });
        Poll::<()>::Pending
    })
    .await;
}

/// Says what an operator wants to know.
pub(super) fn tell(notice: &Notice) {
    match notice {
        Notice::QueueFull { client_id, cause } => {
            tracing::warn!(client = %client_id, cause = cause.name(), "messages are dropped for this client");
        }
        Notice::RetainedFull { topic } => {
            tracing::warn!(%topic, "a message was not retained: the limit of retained messages is reached");
        }
        Notice::SlowClient { client_id, cause } => {
            tracing::warn!(client = %client_id, cause = cause.name(), "disconnected: it does not take what is sent to it");
        }
        _ => {}
    }
}
