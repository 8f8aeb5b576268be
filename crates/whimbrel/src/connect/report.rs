//! What a tool tells on standard error: what fails, and with -d what happens.

use std::{
    fmt::Display,
    io::{self, Write},
};

use tracing_subscriber::{Registry, filter::Targets, fmt, layer::SubscriberExt};
use whimbrel_client::{Connected, Event, Version};

use super::hint;

/// How much is told.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Report {
    pub(crate) debug: bool,
    pub(crate) quiet: bool,
}

impl Report {
    /// Shows the client's log, with every packet, where -d asks for it.
    pub(crate) fn start(self) {
        if !self.debug {
            return;
        }
        let filter = Targets::new().with_target("whimbrel_client", tracing::Level::TRACE);
        let layer = fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(false)
            .with_target(false)
            .with_level(false)
            .without_time()
            .log_internal_errors(false);
        // There is one command in a process, so nobody has set one before; if so, theirs stays.
        let _ = tracing::subscriber::set_global_default(Registry::default().with(filter).with(layer));
    }

    /// Something failed.
    pub(crate) fn failure(self, sentence: impl Display) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "whimbrel: {sentence}");
        }
    }

    /// Something happened, for those who want to know.
    pub(crate) fn detail(self, sentence: impl Display) {
        if self.debug {
            let _ = writeln!(io::stderr(), "whimbrel: {sentence}");
        }
    }

    /// The connection has changed.
    pub(crate) fn change(self, change: &Event, version: Version) {
        match change {
            Event::Connected(connected) => self.connected(connected),
            Event::Disconnected { cause, retry_in: Some(pause) } => {
                let hint = hint(cause, version);
                self.failure(format!("{cause}{hint}; trying again in {:.1} s", pause.as_secs_f64()));
            }
            Event::Disconnected { cause, retry_in: None } => self.detail(cause),
            Event::Resubscribed { refused } => {
                self.detail("the server had lost the session; subscribed again");
                for (filter, reason) in refused {
                    self.failure(format!(
                        "the server refused the subscription to {filter}: {}",
                        reason.name()
                    ));
                }
            }
            Event::Skipped(count) => self.detail(format!("{count} changes of the connection were not told")),
            _ => {}
        }
    }

    fn connected(self, connected: &Connected) {
        let Connected { client_id, session_present, .. } = connected;
        let session = if *session_present { "the session goes on" } else { "a new session" };
        self.detail(format!("connected as `{client_id}`: {session}"));
    }
}
