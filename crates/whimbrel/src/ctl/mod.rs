//! `whimbrel ctl`: asks a running broker on this machine through its control socket and tells what it answers. Not the
//! door itself, which is the broker's.

mod ban;
mod client;
mod clients;
mod door;
mod paint;
pub(crate) mod quantity;
mod reload;
mod status;
mod table;
mod why;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Subcommand, ValueHint};
use serde_json::json;
use whimbrel_broker::config::Levels;
use whimbrel_broker::control::{Answer, BackedUp, Query, Request};

use crate::cli::{FAILED, MISUSED};
use crate::output;
use door::Door;
use paint::Paint;
pub(crate) use table::shown;
use why::Wish;

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 no broker answers, it does not do what it was asked, or a reload has found faults; 2 the command \
line is wrong, or there are several brokers and none was named.

Without --socket it looks for control.sock where a broker of this account puts it: in $RUNTIME_DIRECTORY; as root in \
/run/whimbrel; else in $XDG_RUNTIME_DIR/whimbrel, in whimbrel-UID in the folder for temporary files, and in /run/whimbrel. \
Only the account that the broker runs as, and root, can use the socket.";

/// Clients that a list shows where nobody says how many.
const CLIENTS_SHOWN: usize = 100;

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Args {
    /// The control socket of the broker
    #[arg(long, global = true, value_name = "PATH", env = "WHIMBREL_CONTROL_SOCKET", value_hint = ValueHint::FilePath)]
    socket: Option<PathBuf>,

    /// Tell it as JSON: one object, and of lists one for each line
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What is loaded, how much of everything there is, and what is nearly full
    Status,
    /// List clients in the order of their identifiers, those with a connection and those without
    Clients {
        /// Only those whose identifier looks like this: `*` is any characters, `?` is one
        #[arg(value_name = "PATTERN")]
        pattern: Option<String>,

        /// Only those that are connected
        #[arg(long, conflicts_with = "absent")]
        connected: bool,

        /// Only those that are not connected
        #[arg(long)]
        absent: bool,

        /// So many at most
        #[arg(long, value_name = "NUMBER", default_value_t = CLIENTS_SHOWN)]
        limit: usize,

        /// Only those behind this identifier: the last one of the list before
        #[arg(long, value_name = "ID")]
        after: Option<String>,

        /// All of them
        #[arg(long, conflicts_with = "limit")]
        all: bool,
    },
    /// Everything about one client: connection, session, queue, what it has lost, subscriptions
    Client {
        /// The client identifier
        #[arg(value_name = "ID", allow_hyphen_values = true)]
        client_id: String,

        /// All subscriptions, not only the first hundred
        #[arg(long)]
        all: bool,
    },
    /// End a client's connection
    ///
    /// The client is told 0x98, administrative action, if it speaks MQTT 5.0. Its will is published. Nothing keeps it
    /// from coming back. The command waits until the connection is gone.
    Kick {
        /// The client identifier
        #[arg(value_name = "ID", allow_hyphen_values = true)]
        client_id: String,

        /// End its session too, with its subscriptions and its queue; it need not be connected for that
        #[arg(long)]
        session: bool,
    },
    /// Keep somebody out, let it come again, or list who is kept out
    Ban {
        #[command(subcommand)]
        command: ban::Command,
    },
    /// Tell whether a client may publish or subscribe to something, and which rule in which line says so
    ///
    /// It is about the client as it is here: the user name that it has proved, its address, its listener. `whimbrel acl why`
    /// answers for any other. Exit code 1 if it is denied.
    Why {
        /// The client identifier
        #[arg(value_name = "ID", allow_hyphen_values = true)]
        client_id: String,

        /// What it wants to do
        #[arg(value_enum)]
        action: Wish,

        /// The topic, or the topic filter of a subscription
        topic: String,

        /// The QoS of its message
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
        qos: u8,

        /// Its message is to be retained
        #[arg(long)]
        retain: bool,
    },
    /// Read the configuration, the rules and the password file again and open the log file anew, as SIGHUP does
    ///
    /// It tells what counts now, what counts after a restart, and everything that is wrong. What has faults stays as it
    /// was.
    Reload,
    /// Change how much is logged, or tell it
    ///
    /// It lasts until the broker ends, or until a reload finds another log.level in the configuration.
    Log {
        /// What log.level may hold: `debug`, or `info,whimbrel_broker=debug`
        #[arg(value_name = "LEVEL", value_parser = level)]
        level: Option<String>,
    },
    /// Copy the store as it is now into a folder, while the broker goes on
    ///
    /// Everything that was acknowledged before is in the copy. It is a store by itself: `whimbrel store check` reads it,
    /// `whimbrel store restore` puts it back. The folder has its name only when the copy is whole. The broker writes it, so
    /// it belongs to the broker's account.
    Backup {
        /// The folder for the backup; it must not be there, or be empty
        #[arg(value_name = "DEST", value_hint = ValueHint::DirPath)]
        destination: PathBuf,

        /// So many mebibytes in a second at most
        #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
        rate: Option<u64>,
    },
    /// End the broker in order, as SIGTERM does, and wait until it has ended
    Stop,
}

/// A level that is none is a mistake of the command line; no broker is asked for that.
fn level(word: &str) -> Result<String, String> {
    match Levels::parse(word) {
        Some(_) => Ok(word.to_owned()),
        None => Err(format!("allowed is {}", Levels::allowed())),
    }
}

/// Why a command ended early: the exit code, and what to say.
#[derive(Debug, PartialEq, Eq)]
struct Failure {
    code: u8,
    sentence: String,
}

impl Failure {
    fn failed(sentence: impl Into<String>) -> Self {
        Self { code: FAILED, sentence: sentence.into() }
    }

    fn misused(sentence: impl Into<String>) -> Self {
        Self { code: MISUSED, sentence: sentence.into() }
    }
}

/// What a command has to say, and its exit code.
struct Said {
    code: u8,
    text: String,
    /// What is beside the point, for standard error.
    note: Option<String>,
}

impl Said {
    fn text(text: String) -> Self {
        Self { code: 0, text, note: None }
    }
}

pub(crate) fn run(args: Args) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::failure(FAILED, format!("the system gives no runtime: {error}")),
    };
    match runtime.block_on(said(args)) {
        Ok(Said { code, text, note }) => {
            let written = output::text(text.as_bytes());
            if let Some(note) = note {
                output::note(note);
            }
            if code == 0 { written } else { ExitCode::from(code) }
        }
        Err(Failure { code, sentence }) => output::failure(code, sentence),
    }
}

/// The backup of a running broker, for `whimbrel store backup`.
pub(crate) fn backup(
    socket: Option<PathBuf>,
    json: bool,
    destination: &Path,
    bytes_per_sec: Option<u64>,
) -> ExitCode {
    let rate = bytes_per_sec.map(|bytes| bytes >> 20);
    run(Args { socket, json, command: Command::Backup { destination: destination.to_owned(), rate } })
}

/// What has come of a backup, for people.
pub(crate) fn backup_text(copied: &BackedUp) -> String {
    let BackedUp { folder, segments, bytes, position, millis } = copied;
    format!(
        "{}: {} in {segments} segments, everything before position {position}; {millis} ms\n",
        shown(&folder.display().to_string()),
        quantity::bytes(*bytes),
    )
}

async fn said(args: Args) -> Result<Said, Failure> {
    let Args { socket, json, command } = args;
    let mut door = Door::open(socket).await?;
    let paint = Paint::for_output();
    match command {
        Command::Status => {
            let path = door.path().to_owned();
            let Answer::Status(status) = door.ask(&Request::Status).await? else {
                return Err(door.foreign());
            };
            Ok(Said::text(if json { line(&status)? } else { status::text(&status, &path, paint) }))
        }
        Command::Clients { pattern, connected, absent, limit, after, all } => {
            let connected = (connected || absent).then_some(connected);
            let query = Query { pattern, connected, after, limit: (!all).then_some(limit) };
            clients::list(&mut door, query, json, paint).await
        }
        Command::Client { client_id, all } => client::show(&mut door, client_id, all, json, paint).await,
        Command::Kick { client_id, session } => {
            let Answer::Kicked(kicked) = door.ask(&Request::Kick { client_id, session }).await? else {
                return Err(door.foreign());
            };
            let id = table::shown(&kicked.client_id);
            let words = match (kicked.disconnected, kicked.session_ended) {
                (true, true) => format!("{id} is disconnected, and its session has ended\n"),
                (true, false) => format!("{id} is disconnected\n"),
                (false, _) => format!("the session of {id} has ended\n"),
            };
            Ok(Said::text(if json { line(&kicked)? } else { words }))
        }
        Command::Ban { command } => ban::run(&mut door, command, json, paint).await,
        Command::Why { client_id, action, topic, qos, retain } => {
            why::ask(&mut door, Request::Why { client_id, action: action.into(), topic, qos, retain }, json)
                .await
        }
        Command::Reload => {
            let Answer::Reloaded(reloaded) = door.ask(&Request::Reload).await? else {
                return Err(door.foreign());
            };
            let code = if reloaded.faults.is_empty() { 0 } else { FAILED };
            let text = if json { line(&reloaded)? } else { reload::text(&reloaded, paint) };
            Ok(Said { code, text, note: None })
        }
        Command::Log { level } => {
            let Answer::Log(log) = door.ask(&Request::Log { level }).await? else {
                return Err(door.foreign());
            };
            let configured = match log.level == log.configured {
                true => String::new(),
                false => format!(" (the configuration says {})", log.configured),
            };
            Ok(Said::text(if json { line(&log)? } else { format!("{}{configured}\n", log.level) }))
        }
        Command::Backup { destination, rate } => {
            // The broker has another working directory than this program.
            let folder = std::path::absolute(&destination)
                .map_err(|error| Failure::misused(format!("{}: {error}", destination.display())))?;
            let bytes_per_sec = rate.map(|mib| mib << 20);
            let asked = Request::Backup { folder, bytes_per_sec };
            let Answer::Backup(copied) = door.ask_patiently(&asked).await? else {
                return Err(door.foreign());
            };
            Ok(Said::text(if json { line(&copied)? } else { backup_text(&copied) }))
        }
        Command::Stop => stop(door, json).await,
    }
}

async fn stop(mut door: Door, json: bool) -> Result<Said, Failure> {
    let Answer::Stopping {} = door.ask(&Request::Stop).await? else { return Err(door.foreign()) };
    door.wait_for_end().await?;
    let words = || "the broker has ended\n".to_owned();
    Ok(Said::text(if json { line(&json!({ "stopped": true }))? } else { words() }))
}

/// An object as a line of JSON.
fn line(value: &impl serde::Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(value);
    text.map(|text| text + "\n")
        .map_err(|error| Failure::failed(format!("it cannot be told as JSON: {error}")))
}

/// The outcome of a wait with an end.
async fn within<T>(secs: u64, what: &str, wait: impl Future<Output = T>) -> Result<T, Failure> {
    let outcome = tokio::time::timeout(std::time::Duration::from_secs(secs), wait).await;
    outcome.map_err(|_| Failure::failed(format!("{what} within {secs} seconds")))
}
