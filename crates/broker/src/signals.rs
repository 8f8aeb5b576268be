//! Signals: SIGTERM and SIGINT end the broker, a second one ends the process at once; SIGHUP opens the log anew
//! and reads the password file again.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

use crate::{Broker, Error};

/// Waits until a signal says that the broker is to end.
pub(crate) fn wait(broker: &Broker, reopen_log: impl Fn() -> io::Result<()>) -> Result<(), Error> {
    let system = |source| Error::System { what: "signal handlers", source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(system)?;
    let connected = || broker.engine().connected();
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(system)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(system)?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(system)?;
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => {
                    match reopen_log() {
                        Ok(()) => tracing::info!("SIGHUP: the log goes on here"),
                        Err(error) => tracing::error!(%error, "SIGHUP: the log file cannot be opened anew; the old one stays"),
                    }
                    reload_passwords(broker);
                }
            }
        }
        tracing::info!("ending; {} clients are told to disconnect", connected());
        Ok::<(), Error>(())
    })?;
    // The stop takes a moment; whoever does not want to wait signals again.
    std::thread::spawn(move || {
        runtime.block_on(async {
            let (Ok(mut terminate), Ok(mut interrupt)) =
                (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
            else {
                return;
            };
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(1);
        });
    });
    Ok(())
}

/// On this thread, which does nothing else: workers go on meanwhile.
fn reload_passwords(broker: &Broker) {
    match broker.reload_passwords() {
        Ok(None) => {}
        Ok(Some(users)) => tracing::info!("SIGHUP: the password file has {users} users now"),
        Err(faults) => {
            // One line for each fault, with the file and the number of its line.
            for fault in faults.to_string().lines() {
                tracing::error!("SIGHUP: {fault}");
            }
            tracing::error!("SIGHUP: the password file is not taken; the users stay as they were");
        }
    }
}
