//! The engine with a real world around it: workers, listeners, authentication, configuration, control, signals.
//!
//! [`run`] is the whole broker until a signal ends it; [`Broker`] is the same for whoever embeds it, and
//! [`control::Control`] the way to look at it and to command it.

pub mod access;
mod admission;
mod announcement;
pub mod auth;
mod authenticators;
pub mod bans;
mod broker;
mod certificates;
pub mod config;
pub mod control;
mod doors;
mod file_limit;
mod guard;
mod listeners;
mod mapping;
mod names;
mod quota;
mod rates;
mod signals;
pub mod store;
mod worker;

use std::sync::Arc;

pub use broker::{Broker, Error};
use control::socket::Reserved;
pub use store::StoreError;

/// Runs the broker until SIGTERM, SIGINT or [`control::Control::stop`]. SIGHUP is a reload.
///
/// # Errors
/// The broker cannot start; every reason says what to do.
pub fn run(config: &config::Config, host: Arc<dyn control::Host>) -> Result<(), Error> {
    // First: no client is let in by a broker that then does not start.
    let reserved = Reserved::open(&config.control)?;
    let signals = signals::Signals::open()?;
    let broker = Broker::start_in(config, host.clone())?;
    let socket = match reserved.map(|reserved| reserved.serve(broker.control())).transpose() {
        Ok(socket) => socket,
        Err(error) => {
            broker.stop();
            return Err(error.into());
        }
    };
    signals::wait(&broker, signals, || host.reached(control::Stage::Ready))?;
    host.reached(control::Stage::Ending);
    broker.stop();
    // Last: whoever has asked for the end learns by its going that it has come.
    drop(socket);
    Ok(())
}
