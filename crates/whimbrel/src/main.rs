//! The program `whimbrel`: reads its command line and hands over to one command. Not a place for what
//! commands do.

mod acl;
mod bench;
mod cert;
mod cli;
mod completions;
mod config_command;
mod connect;
mod ctl;
mod log;
mod man;
mod output;
mod passwd;
mod publish;
mod serve;
mod store;
mod subscribe;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
