//! The log: which events are written, how they look, and the file that can be opened anew. Not the events.
//!
//! Lines are written by a thread of their own: whoever reads the log and stops reading stops nobody but the log.

mod lines;

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, mpsc};
use std::time::Duration;

use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Registry, fmt, reload};
use whimbrel_broker::config::{Format, Level, Levels, Log};

use lines::{Lines, has_modules};

/// Lines that wait to be written. What comes beyond is dropped, counted and told.
const WAITING_LINES_MAX: usize = 8_192;

/// How long the end of the process waits for what has not been written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Which events are written, and the way to change that while others write. A clone changes the same.
#[derive(Clone)]
pub(crate) struct Filter {
    targets: reload::Handle<Targets, Registry>,
    /// Whether lines for people have the name of the module.
    modules: Arc<AtomicBool>,
}

/// The log of the process. When it is dropped, what waits is written, if that takes no more than a second.
pub(crate) struct Running {
    destination: Destination,
    filter: Filter,
    writer: Option<WorkerGuard>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let writer = self.writer.take();
        let (done, waiting) = mpsc::channel();
        // Where nobody takes the lines the guard may wait for ever; its thread ends with the process.
        let ended = std::thread::Builder::new().name("log-end".into()).spawn(move || {
            drop(writer);
            let _ = done.send(());
        });
        if ended.is_ok() {
            let _ = waiting.recv_timeout(LAST_LINES);
        }
    }
}

/// Where the log goes. A clone is the same place.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    StandardError,
    File(Arc<LogFile>),
}

/// A file to which lines are appended, and which can be opened anew while others write.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    /// A writer takes a reference out and writes without the lock: the file is in append mode, so lines do
    /// not mix.
    file: RwLock<Arc<File>>,
    /// Whether the last write failed. That is told once, not for every line.
    failing: AtomicBool,
}

/// Sends all events of the process to where the configuration says. Once for each process.
pub(crate) fn start(log: &Log) -> Result<Running, String> {
    let destination = match &log.file {
        None => Destination::StandardError,
        Some(path) => match LogFile::open(path.clone()) {
            Ok(file) => Destination::File(Arc::new(file)),
            Err(error) => return Err(format!("the log file {} cannot be opened: {error}", path.display())),
        },
    };
    let (writer, guard) = writer(destination.clone());
    let (dispatch, filter) = dispatch(log, writer, destination.bears_colours());
    match tracing::dispatcher::set_global_default(dispatch) {
        Ok(()) => Ok(Running { destination, filter, writer: Some(guard) }),
        Err(error) => Err(format!("the log cannot be started: {error}")),
    }
}

/// Hands lines over to a thread that writes them.
fn writer(destination: Destination) -> (NonBlocking, WorkerGuard) {
    let dropped = Arc::new(OnceLock::new());
    let telling = Telling { destination, dropped: dropped.clone(), told: 0 };
    let lines = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING_LINES_MAX);
    let (writer, guard) = lines.thread_name("log").finish(telling);
    // Nobody else sets it.
    let _ = dropped.set(writer.error_counter());
    (writer, guard)
}

/// Writes lines, and before a line how many are missing.
struct Telling {
    destination: Destination,
    dropped: Arc<OnceLock<ErrorCounter>>,
    told: usize,
}

impl Write for Telling {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let dropped = self.dropped.get().map_or(0, ErrorCounter::dropped_lines);
        if dropped > self.told {
            let missing = dropped - self.told;
            self.told = dropped;
            writeln!(
                self.destination,
                "whimbrel: {missing} lines are missing here: nobody took them in time"
            )?;
        }
        self.destination.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn dispatch<W>(log: &Log, writer: W, colours: bool) -> (Dispatch, Filter)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (targets, handle) = reload::Layer::new(targets(&log.level));
    let filter = Filter { targets: handle, modules: Arc::new(AtomicBool::new(has_modules(&log.level))) };
    let registry = Registry::default().with(targets);
    // A line that cannot be written is told by the destination; the layer would panic if standard error is
    // closed.
    let layer = fmt::layer().with_writer(writer).log_internal_errors(false);
    let dispatch = match log.format {
        Format::Json => registry.with(layer.json().flatten_event(true)).into(),
        Format::Human => {
            let lines = Lines::new(filter.modules.clone());
            registry.with(layer.event_format(lines).with_ansi(colours)).into()
        }
    };
    (dispatch, filter)
}

impl Filter {
    /// Changes what is written, from the next event on.
    pub(crate) fn set(&self, levels: &Levels) -> Result<(), String> {
        self.targets.reload(targets(levels)).map_err(|error| error.to_string())?;
        self.modules.store(has_modules(levels), Ordering::Relaxed);
        Ok(())
    }
}

/// What these levels let through.
fn targets(levels: &Levels) -> Targets {
    let parts = levels.parts.iter().map(|(part, level)| (part.clone(), filter_of(*level)));
    Targets::new().with_default(filter_of(levels.base)).with_targets(parts)
}

fn filter_of(level: Level) -> LevelFilter {
    match level {
        Level::Off => LevelFilter::OFF,
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}

impl Running {
    /// Where it goes.
    pub(crate) fn destination(&self) -> Destination {
        self.destination.clone()
    }

    /// Which events are written.
    pub(crate) fn filter(&self) -> Filter {
        self.filter.clone()
    }
}

impl Destination {
    /// Opens the log file anew, after somebody has moved the old one away. If that fails the old one goes on.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        match self {
            Self::StandardError => Ok(()),
            Self::File(file) => file.reopen(),
        }
    }

    /// Colours are for a terminal, and for nobody who has set NO_COLOR.
    fn bears_colours(&self) -> bool {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        matches!(self, Self::StandardError) && io::stderr().is_terminal() && !unwanted
    }
}

impl LogFile {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = RwLock::new(Arc::new(append_to(&path)?));
        Ok(Self { path, file, failing: AtomicBool::new(false) })
    }

    fn reopen(&self) -> io::Result<()> {
        let file = Arc::new(append_to(&self.path)?);
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(())
    }

    fn write_line(&self, line: &[u8]) {
        let file = Arc::clone(&self.file.read().unwrap_or_else(PoisonError::into_inner));
        let failing = (&*file).write_all(line).err();
        let told = self.failing.swap(failing.is_some(), Ordering::Relaxed);
        if let (Some(error), false) = (failing, told) {
            let path = self.path.display();
            // Nobody is left to tell if this fails too.
            let _ = writeln!(io::stderr(), "whimbrel: lines are missing in the log file {path}: {error}");
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// The layer writes every event as one line with one call.
impl Write for Destination {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self {
            Self::StandardError => io::stderr().write_all(line)?,
            Self::File(file) => file.write_line(line),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Destination {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn after_a_reopen_lines_go_to_a_new_file_of_the_same_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
        let mut destination = Destination::File(Arc::new(LogFile::open(path.clone()).unwrap()));
        let mut clone = destination.clone();
        destination.write_all(b"one\n").unwrap();
        fs::rename(&path, &moved).unwrap();
        destination.write_all(b"two\n").unwrap();
        destination.reopen().unwrap();
        clone.write_all(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn a_reopen_that_fails_leaves_the_old_file_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, moved) = (folder.path().join("inner"), folder.path().join("moved"));
        fs::create_dir(&inner).unwrap();
        let mut destination = Destination::File(Arc::new(LogFile::open(inner.join("a.log")).unwrap()));
        fs::rename(&inner, &moved).unwrap();
        assert_eq!(destination.reopen().unwrap_err().kind(), io::ErrorKind::NotFound);
        destination.write_all(b"one\n").unwrap();
        assert_eq!(fs::read_to_string(moved.join("a.log")).unwrap(), "one\n");
    }

    #[test]
    fn a_file_that_exists_is_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        fs::write(&path, "old\n").unwrap();
        LogFile::open(path.clone()).unwrap().write_line(b"new\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\nnew\n");
    }

    #[test]
    fn a_reader_that_stops_reading_stops_nobody_who_logs() {
        // A pipe without a reader takes 64 KiB; this is several times as much.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let both = || OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let reader = both();
        let file = LogFile {
            path: path.clone(),
            file: RwLock::new(Arc::new(both())),
            failing: AtomicBool::new(false),
        };
        let (writer, guard) = writer(Destination::File(Arc::new(file)));
        tracing::dispatcher::with_default(&dispatch(&Log::default(), writer.clone(), false).0, || {
            for number in 0..20_000 {
                tracing::warn!(number, "the log goes on");
            }
        });
        assert!(writer.error_counter().dropped_lines() > 1_000);
        // Somebody reads again: what is missing is told.
        let mut lines = io::BufRead::lines(io::BufReader::new(reader));
        assert!(lines.any(|line| line.unwrap().contains("lines are missing here")));
        drop((guard, writer));
    }

    /// What one warning and one line for the curious leave in the log file.
    fn logged(log: &Log) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let destination = Destination::File(Arc::new(LogFile::open(path.clone()).unwrap()));
        tracing::dispatcher::with_default(&dispatch(log, destination, false).0, || {
            tracing::warn!(listener = "house", "nobody is asked for a password");
            tracing::debug!("for the curious");
        });
        fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn a_human_line_has_the_time_the_level_and_the_sentence_without_colours_in_a_file() {
        let text = logged(&Log::default());
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.contains('T'), "{text}");
        assert_eq!(rest, " WARN nobody is asked for a password listener=\"house\"\n");
    }

    #[test]
    fn at_debug_a_human_line_names_its_module_too() {
        let level = Levels { base: Level::Debug, parts: Vec::new() };
        let text = logged(&Log { level, ..Log::default() });
        assert!(text.contains("DEBUG whimbrel::log::tests: for the curious\n"), "{text}");
    }

    #[test]
    fn the_levels_can_be_changed_while_the_log_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let destination = Destination::File(Arc::new(LogFile::open(path.clone()).unwrap()));
        let (dispatch, filter) = dispatch(&Log::default(), destination, false);
        tracing::dispatcher::with_default(&dispatch, || {
            for base in [Level::Debug, Level::Warn] {
                filter.set(&Levels { base, parts: Vec::new() }).unwrap();
                tracing::debug!("for the curious");
                tracing::warn!("for all");
            }
        });
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> =
            text.lines().filter_map(|line| Some(line.split_once("Z ")?.1.trim_start())).collect();
        let module = "whimbrel::log::tests";
        let expect = [
            format!("DEBUG {module}: for the curious"),
            format!("WARN {module}: for all"),
            "WARN for all".into(),
        ];
        assert_eq!(lines, expect);
    }

    #[test]
    fn a_json_line_is_one_object_with_the_fields_beside_the_message() {
        let text = logged(&Log { format: Format::Json, ..Log::default() });
        assert_eq!(text.lines().count(), 1);
        assert!(text.starts_with("{\"timestamp\":\"") && text.ends_with("}\n"), "{text}");
        let fields =
            "\"level\":\"WARN\",\"message\":\"nobody is asked for a password\",\"listener\":\"house\",";
        assert!(text.contains(fields), "{text}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_stops_nobody_who_logs() {
        let file = LogFile::open("/dev/full".into()).unwrap();
        file.write_line(b"lost\n");
        assert!(file.failing.load(Ordering::Relaxed));
    }

    #[test]
    fn a_part_of_the_program_has_the_level_that_was_set_for_it() {
        let parts = vec![("whimbrel_broker::worker".to_owned(), Level::Trace)];
        let targets = targets(&Levels { base: Level::Warn, parts });
        let check = |target: &str, level: tracing::Level, expect: bool| {
            assert_eq!(targets.would_enable(target, &level), expect, "{target} at {level}");
        };
        check("whimbrel_broker::worker::link", tracing::Level::TRACE, true);
        check("whimbrel_broker", tracing::Level::INFO, false);
        check("whimbrel_broker", tracing::Level::WARN, true);
    }
}
