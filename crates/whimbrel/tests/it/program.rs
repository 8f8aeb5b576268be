//! Runs the program and keeps what it said.

use std::path::Path;
use std::process::{Command, Output};

/// What the program said, and its exit code.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs it with these arguments and with nothing of the environment of the tests that it would listen to.
pub(crate) fn run(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WHIMBREL_")) {
        command.env_remove(name);
    }
    let variables = environment.iter().copied();
    let output = command.args(arguments).envs(variables).current_dir(folder).output();
    let Output { status, stdout, stderr } = output.expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program speaks UTF-8");
    Said { code: status.code().expect("the program ends by itself"), out: text(stdout), err: text(stderr) }
}

/// A folder with one configuration file.
pub(crate) fn folder_with(name: &str, text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    std::fs::write(folder.path().join(name), text).expect("the file can be written");
    folder
}
