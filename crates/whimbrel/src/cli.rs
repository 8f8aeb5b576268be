//! The frame of the command line: the commands and what is common to them. Not the commands: each has a
//! module.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    acl, bench, cert, completions, config_command, ctl, man, passwd, publish, serve, store, subscribe,
};

/// Something failed while it ran.
pub(crate) const FAILED: u8 = 1;
/// The command line or the configuration is wrong; nothing was done.
pub(crate) const MISUSED: u8 = 2;

const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit: ",
    env!("WHIMBREL_COMMIT"),
    "\nfeatures: ",
    env!("WHIMBREL_FEATURES")
);

/// An MQTT broker, and the tools that go with it.
///
/// Without a command it is `whimbrel serve`: a broker on localhost, port 1883.
///
/// Exit codes: 0 all went well; 1 something failed while it ran; 2 the command line or the configuration is
/// wrong.
#[derive(Debug, Parser)]
#[command(name = "whimbrel", version, long_version = LONG_VERSION)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the broker.
    Serve(serve::Args),
    #[command(name = "pub")]
    Publish(publish::Args),
    #[command(name = "sub")]
    Subscribe(subscribe::Args),
    /// Load a broker, any broker, and tell what it costs and whether all is right.
    Bench(bench::Args),
    /// Look at a running broker and command it.
    Ctl(ctl::Args),
    /// Check, dump, compact, back up or restore what a broker keeps on disk.
    Store(store::Args),
    /// Check a configuration, or show what can be configured.
    Config(config_command::Args),
    /// Tell what the rules of access say of a client, and which of them decide nothing.
    Acl(acl::Args),
    /// Set, delete or check a user's password in a password file.
    ///
    /// Without an option it sets the password: it asks for it twice on a terminal, and reads one line where
    /// standard input is none. The password is stored as an argon2id hash. Lines of other users (Mosquitto's
    /// too), comments and their order stay as they are.
    Passwd(passwd::Args),
    /// Make certificates to try TLS with.
    Cert(cert::Args),
    /// Write the completions of a shell to standard output.
    Completions(completions::Args),
    /// Write the manual pages.
    Man(man::Args),
}

/// Reads the command line and runs what it asks for.
pub(crate) fn run() -> ExitCode {
    // The bare name is read as if `serve` stood behind it, so that both are one in every respect.
    let command = Cli::parse().command.or_else(|| Cli::parse_from(["whimbrel", "serve"]).command);
    match command {
        Some(Command::Serve(args)) => serve::run(args),
        Some(Command::Publish(args)) => publish::run(args),
        Some(Command::Subscribe(args)) => subscribe::run(args),
        Some(Command::Bench(args)) => bench::run(args),
        Some(Command::Ctl(args)) => ctl::run(args),
        Some(Command::Store(args)) => store::run(args),
        Some(Command::Config(args)) => config_command::run(args),
        Some(Command::Acl(args)) => acl::run(args),
        Some(Command::Passwd(args)) => passwd::run(args),
        Some(Command::Cert(args)) => cert::run(args),
        Some(Command::Completions(args)) => completions::run(args),
        Some(Command::Man(args)) => man::run(args),
        None => ExitCode::from(MISUSED),
    }
}
