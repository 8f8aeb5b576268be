//! The runtime of a tool, and the signals that end it.

use std::{future::Future, process::ExitCode, time::Duration};

use tokio::sync::watch;

use super::End;
use crate::{cli::FAILED, output};

/// How long the client may take to part from the server when everything else is done.
const PARTING: Duration = Duration::from_secs(3);

/// Whether the user wants an end.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    asked: watch::Receiver<bool>,
}

impl Stop {
    /// Returns when a signal has come.
    pub(crate) async fn wait(&mut self) {
        if self.asked.wait_for(|asked| *asked).await.is_err() {
            // Nobody listens for signals any more, so none will come.
            std::future::pending::<()>().await;
        }
    }
}

/// Runs `work`. The socket has a thread of its own: while this one waits for a reader of its output that has stopped
/// reading, the other one keeps the connection alive.
pub(crate) fn run<F: Future<Output = End>>(work: impl FnOnce(Stop) -> F) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return output::failure(FAILED, format!("no thread can be started: {error}")),
    };
    let (ask, asked) = watch::channel(false);
    runtime.spawn(signals(ask));
    let end = runtime.block_on(work(Stop { asked }));
    // A thread that reads standard input cannot be stopped; it ends with the process.
    runtime.shutdown_timeout(PARTING);
    end.into()
}

/// The first signal asks for an end, the second one takes it: the first may find this program writing to a reader that
/// has stopped reading.
async fn signals(ask: watch::Sender<bool>) {
    if next_signal().await {
        let _ = ask.send(true);
        if next_signal().await {
            std::process::exit(130);
        }
    }
    // The receivers shall not believe that the sender is gone because of a signal.
    std::future::pending::<()>().await;
}

/// Waits for SIGINT or SIGTERM. False where the system cannot tell of signals.
#[cfg(unix)]
async fn next_signal() -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return false;
    };
    super::either(interrupt.recv(), terminate.recv()).await;
    true
}

/// Waits for Ctrl-C. False where the system cannot tell of it.
#[cfg(not(unix))]
async fn next_signal() -> bool {
    tokio::signal::ctrl_c().await.is_ok()
}
