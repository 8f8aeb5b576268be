//! Starts the tests in `tests/interop`, which are Python: builds what they test and finds their interpreter.
//! What they test is not decided here.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use crate::ci::succeed;
use crate::workspace::{Reach, cargo, load, root};

/// Runs the interoperability tests against the release build, which is what README.md's first command runs.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let mut command = python("run.py")?;
    command.args(arguments);
    if !names_a_program(arguments) {
        command.arg("--whimbrel").arg(release_build()?);
    }
    succeed(&mut command)
}

/// Runs Eclipse Paho's suite, whose files lie in `suite`.
pub(crate) fn paho_suite(suite: &str, arguments: &[String]) -> Result<(), String> {
    let mut command = python("paho_suite.py")?;
    command.arg("--suite").arg(std::path::absolute(suite).map_err(|error| format!("{suite}: {error}"))?);
    command.args(arguments);
    if !names_a_program(arguments) {
        command.arg("--whimbrel").arg(release_build()?);
    }
    succeed(&mut command)
}

/// What the interoperability tests would skip here, one line each.
pub(crate) fn missing_programs() -> Vec<String> {
    let output = python("run.py").and_then(|mut command| {
        command.arg("--missing").output().map_err(|error| format!("python3: {error}"))
    });
    match output {
        Ok(output) => String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect(),
        Err(error) => vec![format!("missing: {error}")],
    }
}

fn names_a_program(arguments: &[String]) -> bool {
    let tells = ["--whimbrel", "--broker", "--help", "--list", "--missing"];
    arguments.iter().any(|argument| tells.iter().any(|tell| argument.split('=').next() == Some(*tell)))
}

/// The interpreter that `tests/interop/setup.sh` prepared, or the system's.
fn python(script: &str) -> Result<Command, String> {
    let folder = load(Reach::Members)?.target_directory.join("interop");
    let prepared = folder.join("venv/bin/python");
    let interpreter = if prepared.exists() { prepared.into_os_string() } else { OsString::from("python3") };
    let mut command = Command::new(interpreter);
    command.arg(root().join("tests/interop").join(script)).arg("--prepared").arg(folder);
    Ok(command)
}

fn release_build() -> Result<PathBuf, String> {
    succeed(cargo().args(["build", "--release", "--package", "whimbrel"]))?;
    Ok(load(Reach::Members)?.target_directory.join("release/whimbrel"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_named_is_not_built() {
        let check = |arguments: &[&str], expect: bool| {
            let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
            assert_eq!(names_a_program(&arguments), expect, "{arguments:?}");
        };
        check(&["--require"], false);
        check(&["--only", "paho"], false);
        check(&["--broker", "mosquitto"], true);
        check(&["--whimbrel=target/debug/whimbrel"], true);
    }
}
