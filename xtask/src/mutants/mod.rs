//! `cargo xtask mutants`: changes `codec` and `proto` in a thousand places, one at a time, by cargo-mutants, and sees
//! whether a test of theirs fails. What survives needs its reason in `spec/mutants.toml`. It takes hours, so CI does not
//! run it.

mod reasons;
mod verdict;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use self::verdict::Outcomes;
use crate::report;
use crate::workspace::{Reach, cargo, load, root};

const USAGE: &str = "\
usage: cargo xtask mutants [--package codec|proto] [--file GLOB]… [--shard I/N] [--iterate]
       cargo xtask mutants --judge FOLDER…

  --package P   one crate instead of both
  --file GLOB   only mutants in these files; may be given several times
  --shard I/N   one of N parts of the list, from 0; several may run at once
  --iterate     leaves out what earlier runs of the same shard have killed
  --judge       compares with the reasons what runs have left in these folders, and runs nothing

Needs cargo-mutants, and is quicker where cargo-nextest is installed too.";

const CRATES: [&str; 2] = ["codec", "proto"];

/// What makes a build quick: a thousand of them take longer than the tests.
const CARGO_ARGUMENTS: [&str; 5] = [
    "--test=it",
    "--config=profile.dev.debug=0",
    "--config=profile.dev.package.whimbrel-codec.opt-level=0",
    "--config=profile.dev.package.whimbrel-proto.opt-level=0",
    "--config=profile.dev.package.proptest.opt-level=2",
];

/// How cargo-mutants ends where it has tested what it was to test: all killed, some survive, some never end.
const TESTED: [i32; 3] = [0, 2, 3];

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    /// One, or all where it is empty.
    package: Option<String>,
    /// For cargo-mutants, as it takes them.
    passed_on: Vec<String>,
    shard: Option<String>,
    is_iterating: bool,
    judged: Vec<PathBuf>,
}

/// Tests the mutants that are asked for, and judges what became of them.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let request = Request::parse(arguments)?;
    if !is_possible() {
        return Err("cargo-mutants is not installed: `cargo install cargo-mutants --locked`".to_owned());
    }
    let reasons = reasons::load(&root())?;
    let listed = verdict::listed(&list()?);
    let folders = if request.judged.is_empty() { vec![request.test()?] } else { request.judged };
    let mut outcomes = Outcomes::default();
    for folder in folders {
        let path = folder.join("mutants.out/outcomes.json");
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        outcomes.extend(Outcomes::read(&text).map_err(|error| format!("{}: {error}", path.display()))?);
    }
    println!("{outcomes}");
    report(Ok(verdict::judge(&outcomes, &reasons, &listed)))
}

impl Request {
    fn parse(arguments: &[String]) -> Result<Request, String> {
        let mut request = Request::default();
        if let [judge, folders @ ..] = arguments
            && judge == "--judge"
            && !folders.is_empty()
        {
            request.judged = folders.iter().map(PathBuf::from).collect();
            return Ok(request);
        }
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().cloned().ok_or(USAGE);
            match word.as_str() {
                "--package" => request.package = Some(value()?),
                "--file" => request.passed_on.extend([word.clone(), value()?]),
                "--shard" => request.shard = Some(value()?),
                "--iterate" => request.is_iterating = true,
                _ => return Err(USAGE.to_owned()),
            }
        }
        let is_known = request.package.as_deref().is_none_or(|package| CRATES.contains(&package));
        if is_known { Ok(request) } else { Err(USAGE.to_owned()) }
    }

    /// Runs cargo-mutants on a copy of the tree; gives the folder where it has written what became of each.
    fn test(&self) -> Result<PathBuf, String> {
        let shard = self.shard.as_ref().map_or_else(|| "all".to_owned(), |shard| shard.replace('/', "-of-"));
        let package = self.package.as_deref().unwrap_or("both");
        let folder =
            load(Reach::Members)?.target_directory.join("mutants").join(format!("{package}-{shard}"));
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let status = self.command(&folder).status().map_err(|error| format!("cargo mutants: {error}"))?;
        match status.code() {
            Some(code) if TESTED.contains(&code) => Ok(folder),
            _ => Err(format!("cargo mutants: {status}; its log is in {}", folder.display())),
        }
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = mutants();
        // Each mutant builds in its own copy of the tree; a target folder that is shared would be built over and over.
        command.env_remove("CARGO_TARGET_DIR").env("CARGO_INCREMENTAL", "1");
        command.args(["--test-workspace=false", "--minimum-test-timeout=60", "--output"]).arg(folder);
        for package in CRATES.iter().filter(|name| self.package.as_deref().is_none_or(|one| one == **name)) {
            command.arg(format!("--package=whimbrel-{package}"));
        }
        command.args(&self.passed_on);
        command.args(self.shard.iter().map(|shard| format!("--shard={shard}")));
        command.args(self.is_iterating.then_some("--iterate"));
        command.args(CARGO_ARGUMENTS.map(|argument| format!("--cargo-arg={argument}")));
        if crate::ci::is_installed("cargo-nextest") {
            // It stops at the first test that fails, which for most mutants is at once.
            let settings = root().join("xtask/src/mutants/nextest.toml");
            command
                .args(["--test-tool=nextest", "--", "--max-fail=1:immediate", "--config-file"])
                .arg(settings);
        }
        command
    }
}

fn is_possible() -> bool {
    let mut command = cargo();
    command.args(["mutants", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn mutants() -> Command {
    let mut command = cargo();
    // The settings of whoever runs it do not decide what the list holds.
    command.args(["mutants", "--no-config", "--colors=never"]);
    command
}

/// All mutants of the crates, one a line.
fn list() -> Result<String, String> {
    let mut command = mutants();
    command.args(["--list"]).args(CRATES.map(|name| format!("--package=whimbrel-{name}")));
    let output = command.output().map_err(|error| format!("cargo mutants: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo mutants --list: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read() {
        let check = |words: &str, expect: Option<Request>| {
            let arguments: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            assert_eq!(Request::parse(&arguments).ok(), expect, "{words}");
        };
        check("", Some(Request::default()));
        let part = Request {
            package: Some("proto".to_owned()),
            shard: Some("1/4".to_owned()),
            passed_on: vec!["--file".to_owned(), "flow.rs".to_owned()],
            is_iterating: true,
            judged: Vec::new(),
        };
        check("--package proto --shard 1/4 --file flow.rs --iterate", Some(part));
        let judged = vec![PathBuf::from("a"), PathBuf::from("b")];
        check("--judge a b", Some(Request { judged, ..Request::default() }));
        check("--judge", None);
        check("--package proto --judge a", None);
        check("--package engine", None);
        check("--shard", None);
        check("codec", None);
    }
}
