//! How a line for people looks: with the name of the module where somebody looks for a fault, and without it where
//! somebody reads that the broker has started. Which of both can change while others write.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use whimbrel_broker::config::{Level, Levels};

/// Lines of both kinds.
pub(super) struct Lines {
    plain: Format,
    with_module: Format,
    modules: Arc<AtomicBool>,
}

impl Lines {
    /// Lines with modules while `modules` says so.
    pub(super) fn new(modules: Arc<AtomicBool>) -> Self {
        Self { plain: Format::default().with_target(false), with_module: Format::default(), modules }
    }
}

/// Whether lines of these levels have their modules.
pub(super) fn has_modules(levels: &Levels) -> bool {
    levels.most() > Level::Info
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let lines = if self.modules.load(Ordering::Relaxed) { &self.with_module } else { &self.plain };
        lines.format_event(context, writer, event)
    }
}
