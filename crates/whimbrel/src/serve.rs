//! `whimbrel serve`: reads the configuration, starts the log, and runs the broker. Not the broker.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, ValueHint};
use sd_notify::NotifyState;
use whimbrel_broker::config::{self, Config, File, Flag, Key, Kind, Levels, Problems, Sources};
use whimbrel_broker::control::{Host, Stage};

use crate::cli::FAILED;
use crate::{config_command, log, output};

/// The file, and the flags that set keys: those come from the table of keys.
#[derive(Debug)]
pub(crate) struct Args {
    file: Option<PathBuf>,
    flags: Vec<Flag>,
}

/// What the broker may ask of this program while it runs.
struct Program {
    args: Args,
    config_file: Option<PathBuf>,
    log: log::Destination,
    filter: log::Filter,
}

pub(crate) fn run(args: Args) -> ExitCode {
    let (config, config_file) = match configure(&args) {
        Ok(configured) => configured,
        Err(problems) => return config_command::refuse(&problems),
    };
    let log = match log::start(&config.log) {
        Ok(log) => log,
        Err(error) => return output::failure(FAILED, error),
    };
    let program = Program { args, config_file, log: log.destination(), filter: log.filter() };
    match whimbrel_broker::run(&config, Arc::new(program)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::failed(FAILED, &error),
    }
}

/// The configuration, and the file from which it comes.
fn configure(args: &Args) -> Result<(Config, Option<PathBuf>), Problems> {
    let sources = Sources { flags: args.flags.clone(), ..sources(args.file.clone())? };
    let config = Config::load(&sources)?;
    Ok((config, sources.file.map(|file| std::path::absolute(&file.path).unwrap_or(file.path))))
}

impl Host for Program {
    fn config(&self) -> Result<Config, Problems> {
        configure(&self.args).map(|(config, _)| config)
    }

    fn config_file(&self) -> Option<PathBuf> {
        self.config_file.clone()
    }

    fn reopen_log(&self) -> io::Result<()> {
        self.log.reopen()
    }

    fn set_log_levels(&self, levels: &Levels) -> Result<(), String> {
        self.filter.set(levels)
    }

    fn reached(&self, stage: Stage) {
        let state = match stage {
            Stage::Ready => NotifyState::Ready,
            Stage::Ending => NotifyState::Stopping,
        };
        // Nothing happens where nobody asks for it (NOTIFY_SOCKET).
        if let Err(error) = sd_notify::notify(false, &[state]) {
            tracing::warn!("whoever has started this program could not be told how far it is: {error}");
        }
    }
}

/// The environment, and the file that was named by a flag or else by the environment.
pub(crate) fn sources(file: Option<PathBuf>) -> Result<Sources, Problems> {
    let environment = Sources::from_environment();
    let named =
        || environment.environment.get("WHIMBREL_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let file = file.or_else(named).map(|path| File::read(&path)).transpose()?;
    Ok(Sources { file, ..environment })
}

impl clap::Args for Args {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config")
            .long("config")
            .short('c')
            .value_name("FILE")
            .value_hint(ValueHint::FilePath)
            .value_parser(clap::value_parser!(PathBuf))
            .help("The configuration file [env: WHIMBREL_CONFIG]");
        let verbose = Arg::new("verbose")
            .short('v')
            .long("verbose")
            .action(ArgAction::Count)
            .conflicts_with("log-level")
            .help("Log at level debug; twice, at level trace");
        let flags = config::keys().filter_map(|key| Some(flag(key, key.flag?)));
        command.arg(file).args(flags).arg(verbose)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The flag of a key, with what the table says of it.
fn flag(key: &'static Key, name: &'static str) -> Arg {
    let doc = key.doc().collect::<Vec<_>>().join(" ");
    let short =
        doc.split_inclusive(". ").next().unwrap_or_default().trim_end().trim_end_matches('.').to_owned();
    let default =
        key.default().map(|default| format!(" [default: {}]", default.replace('"', ""))).unwrap_or_default();
    let variables = key.environments(1).collect::<Vec<_>>().join(", ");
    let long = format!("{doc}\n\nAllowed is {}. [env: {variables}]{default}", key.allowed());
    let arg = Arg::new(name)
        .long(name)
        .value_name(value_name(key.kind))
        .action(ArgAction::Append)
        .allow_hyphen_values(true)
        .help(format!("{short}{default}"))
        .long_help(long);
    match key.kind {
        Kind::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        Kind::Choice(words) => arg.hide_possible_values(true).value_parser(PossibleValuesParser::new(words)),
        Kind::Path => arg.value_hint(ValueHint::FilePath).value_parser(ValueParser::string()),
        _ => arg,
    }
}

fn value_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Switch => "BOOL",
        Kind::Whole => "NUMBER",
        Kind::Choice(_) | Kind::Choices(_) => "WORD",
        Kind::Text => "TEXT",
        Kind::Path => "FILE",
        Kind::Paths => "FILES",
        Kind::Form { .. } => "TEXT",
        Kind::Forms { .. } => "TEXTS",
        Kind::Address => "ADDRESS",
        Kind::Levels => "LEVEL",
        Kind::OrAuto(kind) => value_name(*kind),
    }
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Vec::new();
        for key in config::keys() {
            let Some(name) = key.flag else { continue };
            for word in matches.get_many::<String>(name).into_iter().flatten() {
                flags.push(Flag { key, spelled: format!("--{name}"), word: word.clone() });
            }
        }
        let level = match matches.get_count("verbose") {
            0 => None,
            1 => Some("debug"),
            _ => Some("trace"),
        };
        let log_level = config::keys().find(|key| key.path() == "log.level");
        if let (Some(key), Some(word)) = (log_level, level) {
            flags.push(Flag { key, spelled: "-v".to_owned(), word: word.to_owned() });
        }
        Ok(Self { file: matches.get_one::<PathBuf>("config").cloned(), flags })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use whimbrel_broker::config::{Auto, Level};

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[track_caller]
    fn config(line: &[&str]) -> Config {
        let line = Line::try_parse_from(std::iter::once("serve").chain(line.iter().copied())).unwrap();
        Config::load(&Sources { flags: line.args.flags, ..Sources::default() }).unwrap()
    }

    #[test]
    fn without_flags_the_configuration_is_the_default() {
        assert_eq!(config(&[]), Config::default());
    }

    #[test]
    fn flags_reach_the_configuration() {
        let listen = config(&["--listen", "127.0.0.1:1", "--listen=[::1]:2"]);
        assert_eq!(
            listen.listeners.iter().map(|listener| listener.label()).collect::<Vec<_>>(),
            ["127.0.0.1:1", "[::1]:2"]
        );
        assert_eq!(config(&["--threads", "3"]).worker.threads, Auto::Set(3));
        assert_eq!(config(&["--password-file", "p"]).authentication.password_file, Some("p".into()));
    }

    #[test]
    fn verbose_is_the_level_debug_and_twice_the_level_trace() {
        let level = |line: &[&str]| config(line).log.level.base;
        assert_eq!(level(&["-v"]), Level::Debug);
        assert_eq!(level(&["-vv"]), Level::Trace);
        assert_eq!(level(&["--log-level", "warn"]), Level::Warn);
    }

    #[test]
    fn the_danger_flag_needs_no_value() {
        let danger = |line: &[&str]| config(line).listeners[0].danger_allow_anonymous_on_network;
        assert!(danger(&["--danger-allow-anonymous-on-network"]));
        assert!(!danger(&["--danger-allow-anonymous-on-network=false"]));
    }
}
