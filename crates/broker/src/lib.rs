//! The engine with a real world around it: workers, listeners, authentication, configuration, signals.
//!
//! [`run`] is the whole broker until a signal ends it; [`Broker`] is the same for whoever embeds it.

mod announcement;
pub mod auth;
mod broker;
pub mod config;
mod file_limit;
mod mapping;
mod signals;
mod store;
mod worker;

pub use broker::{Broker, Error};
pub use store::StoreError;

/// Runs the broker until SIGTERM or SIGINT. At SIGHUP `reopen_log` is called, and the password file is read again.
///
/// # Errors
/// The broker cannot start; every reason says what to do.
pub fn run(config: &config::Config, reopen_log: impl Fn() -> std::io::Result<()>) -> Result<(), Error> {
    let broker = Broker::start(config)?;
    signals::wait(&broker, reopen_log)?;
    broker.stop();
    Ok(())
}
