//! Keeps the keys fresh that come from a URL: on a thread of its own, at the start, by interval, and when a token names a
//! key that nobody knows; never more often than the pause allows.

use std::{io, sync::Arc, thread, time::Duration};

use tokio::{
    sync::oneshot,
    task::LocalSet,
    time::{Instant, sleep, timeout},
};

use super::{KeySource, fetch::Fetcher, issuer::Issuer, keys::KeySet, queue::Queue};

/// After a failure the next attempt comes so soon, though nobody asks.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// Ends the thread when it is dropped.
pub(super) struct Refresher {
    _stop: oneshot::Sender<()>,
}

impl Refresher {
    /// Begins to fetch.
    pub(super) fn start(issuers: Vec<(Arc<Issuer>, Fetcher)>, queue: &Arc<Queue>) -> io::Result<Refresher> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let queue = queue.clone();
        thread::Builder::new().name("token-keys".into()).spawn(move || {
            let tasks = LocalSet::new();
            for (issuer, fetcher) in issuers {
                tasks.spawn_local(keep_fresh(issuer, fetcher, queue.clone()));
            }
            runtime.block_on(tasks.run_until(async {
                let _ = stopped.await; // Either way: the keys are no longer wanted.
            }));
        })?;
        Ok(Refresher { _stop: stop })
    }
}

async fn keep_fresh(issuer: Arc<Issuer>, mut fetcher: Fetcher, queue: Arc<Queue>) {
    let KeySource::Url { url, refresh, pause, within, .. } = issuer.options.keys.clone() else { return };
    let url = url.as_str();
    let mut is_failing = false;
    // Keys that a reload has taken over are as fresh as they were.
    if let Some(fetched) = issuer.fetched() {
        let _ = timeout(refresh.saturating_sub(fetched.elapsed()), issuer.wanted.notified()).await;
    }
    loop {
        let began = Instant::now();
        let waiting = issuer.take_waiting();
        let fetched = fetcher.fetch().await.map_err(|fault| fault.to_string());
        let keys = fetched.and_then(|text| KeySet::of_jwks(&text, &issuer.options.algorithms));
        let again = match keys {
            Ok(keys) => {
                let now = keys.len();
                let before = issuer.take(keys);
                if std::mem::take(&mut is_failing) || before != now {
                    tracing::info!("{url}: {now} keys verify the tokens of {}", issuer.options.label);
                }
                for mut attempt in waiting {
                    attempt.is_last = true;
                    queue.push(attempt);
                }
                // Who came meanwhile may find its key here already.
                issuer.take_waiting().into_iter().for_each(|attempt| queue.push(attempt));
                refresh
            }
            Err(why) => {
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::error!("{url}: no keys for the tokens of {}: {why}", issuer.options.label);
                }
                issuer.wait_again(waiting, within);
                refresh.min(AFTER_FAILURE)
            }
        };
        sleep(pause.saturating_sub(began.elapsed())).await;
        if !issuer.has_waiting() {
            let _ = timeout(again.saturating_sub(began.elapsed()), issuer.wanted.notified()).await;
        }
    }
}
