//! `cargo xtask fuzz`: the targets of `tests/fuzz` for as long as somebody likes, by libFuzzer where nightly Rust and
//! cargo-fuzz are installed, else by the bounded generator. Nothing is written to the repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::ci::succeed;
use crate::workspace::{Reach, cargo, load, root};

const USAGE: &str = "\
usage: cargo xtask fuzz [--target T] [--minutes N] [--stable]

  --target T   one target instead of all; their names are the folders of tests/fuzz/corpus
  --minutes N  for each target; 1 without it
  --stable     the bounded generator, also where libFuzzer can be had";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    target: Option<String>,
    minutes: u64,
    is_stable: bool,
}

/// Fuzzes and prints what each target has done.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let request = Request::parse(arguments)?;
    let folder = load(Reach::Members)?.target_directory;
    succeed(cargo().args(["build", "--quiet", "--locked", "--package", "whimbrel-fuzz"]))?;
    let generator = folder.join("debug/fuzz");
    let mut targets = names(&generator)?;
    if let Some(wanted) = &request.target {
        targets.retain(|target| target == wanted);
        if targets.is_empty() {
            return Err(format!("there is no target {wanted}\n\n{USAGE}"));
        }
    }
    let seconds = (request.minutes * 60).to_string();
    if request.is_stable || !has_libfuzzer() {
        println!("by the bounded generator on this toolchain, which measures no coverage");
        let failed = |target: &&String| {
            succeed(Command::new(&generator).args(["--target", target, "--seconds", &seconds])).is_err()
        };
        return verdict(targets.iter().filter(failed).cloned().collect());
    }
    println!("by libFuzzer on nightly Rust");
    let mut failed = Vec::new();
    for target in targets {
        let place = folder.join("fuzz").join(&target);
        let said = libfuzzer(&target, &place, &generator, &seconds)?;
        match figures(&said) {
            Some(figures) => println!("{target:<15} {figures}"),
            None => {
                println!("{said}\n{target} fails; the input is in {}", place.join("failures").display());
                println!("again: {} --file {target} FILE", generator.display());
                failed.push(target);
            }
        }
    }
    verdict(failed)
}

impl Request {
    fn parse(arguments: &[String]) -> Result<Request, String> {
        let mut request = Request { target: None, minutes: 1, is_stable: false };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(USAGE);
            match word.as_str() {
                "--target" => request.target = Some(value()?.clone()),
                "--minutes" => request.minutes = value()?.parse().map_err(|_| USAGE)?,
                "--stable" => request.is_stable = true,
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(request)
    }
}

fn verdict(failed: Vec<String>) -> Result<(), String> {
    if failed.is_empty() { Ok(()) } else { Err(format!("{} failed", failed.join(", "))) }
}

fn names(generator: &Path) -> Result<Vec<String>, String> {
    let output = Command::new(generator).arg("--list").output();
    let output = output.map_err(|error| format!("{}: {error}", generator.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

fn has_libfuzzer() -> bool {
    let mut command = Command::new("cargo");
    command.args(["+nightly", "fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs libFuzzer on the kept corpus, on generated inputs and on what earlier runs have found here; gives what it said.
fn libfuzzer(target: &str, place: &Path, generator: &Path, seconds: &str) -> Result<String, String> {
    let folder = |name: &str| -> Result<PathBuf, String> {
        let folder = place.join(name);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(folder)
    };
    let (corpus, seeds, failures) = (folder("corpus")?, folder("seeds")?, folder("failures")?);
    succeed(Command::new(generator).args(["--target", target, "--write"]).arg(&seeds))?;
    let build = load(Reach::Members)?.target_directory.join("libfuzzer");
    let output = Command::new("cargo")
        .current_dir(root().join("fuzz"))
        .env("CARGO_TARGET_DIR", build)
        // The code under test has no `unsafe`, so that an address sanitizer would find nothing.
        .args(["+nightly", "fuzz", "run", "--fuzz-dir", ".", "--sanitizer", "none", target])
        .args([&corpus, &seeds])
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", failures.display()))
        .args(["-max_len=3000", "-timeout=20", "-rss_limit_mb=3000"])
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Executions, coverage and time, where libFuzzer came to its end.
fn figures(said: &str) -> Option<String> {
    let done = said.lines().rev().find(|line| line.contains("DONE"))?;
    let words: Vec<&str> = done.split_whitespace().collect();
    let after = |key: &str| words.iter().skip_while(|word| **word != key).nth(1).copied();
    let time = said.lines().find(|line| line.starts_with("Done "))?;
    let (_, seconds) = time.rsplit_once(" in ")?;
    let executions = words.first()?.trim_start_matches('#');
    Some(format!("{executions:>10} executions in {seconds}, {} edges covered", after("cov:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_read_from_the_last_lines() {
        let said = "#2\tINITED cov: 3\n#1300696\tDONE   cov: 1853 ft: 6988 corp: 1226/161Kb exec/s: 8613\n\
                    Done 1300696 runs in 151 second(s)\n";
        let expect = "   1300696 executions in 151 second(s), 1853 edges covered";
        assert_eq!(figures(said).as_deref(), Some(expect));
        assert_eq!(figures("#5\tNEW cov: 4\n==1== ERROR: libFuzzer: deadly signal\n"), None);
    }

    #[test]
    fn what_is_asked_for_is_read() {
        let check = |words: &str, expect: Option<Request>| {
            let arguments: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            assert_eq!(Request::parse(&arguments).ok(), expect, "{words}");
        };
        check("", Some(Request { target: None, minutes: 1, is_stable: false }));
        let one = Request { target: Some("pair".to_owned()), minutes: 9, is_stable: true };
        check("--target pair --minutes 9 --stable", Some(one));
        check("--minutes", None);
        check("--minutes many", None);
        check("pair", None);
    }
}
