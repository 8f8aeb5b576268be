//! Signals: SIGTERM and SIGINT end the broker, a second one ends the process at once; SIGHUP is a reload.

use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{Broker, Error};

/// SIGHUP is heard from the start on: it ends nothing, and what it asks for is done when the broker runs.
pub(crate) struct Signals {
    runtime: Runtime,
    hang_up: Signal,
}

fn system(source: std::io::Error) -> Error {
    Error::System { what: "signal handlers", source }
}

impl Signals {
    pub(crate) fn open() -> Result<Self, Error> {
        let runtime = Builder::new_current_thread().enable_io().build().map_err(system)?;
        let hang_up = runtime.block_on(async { signal(SignalKind::hangup()) }).map_err(system)?;
        Ok(Signals { runtime, hang_up })
    }
}

/// Waits until a signal says that the broker is to end, or somebody at the control door. `listens` is called as soon as a
/// signal is heard.
pub(crate) fn wait(broker: &Broker, signals: Signals, listens: impl FnOnce()) -> Result<(), Error> {
    let Signals { runtime, mut hang_up } = signals;
    let connected = || broker.engine().connected();
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(system)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(system)?;
        listens();
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                () = broker.control().stop_asked() => break,
                _ = hang_up.recv() => drop(broker.control().reload("SIGHUP").await),
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
