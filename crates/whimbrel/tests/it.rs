//! The program as its users meet it: what it prints, where, and with which exit code. Not what the broker
//! does.
#![expect(clippy::expect_used, reason = "a helper of tests fails the test in which it is used")]

#[path = "it/command_line.rs"]
mod command_line;
#[path = "it/config.rs"]
mod config;
#[cfg(test)]
#[path = "it/passwd.rs"]
mod passwd;
#[path = "it/program.rs"]
mod program;
