//! Runs targets on generated inputs for a while, on stable Rust: `fuzz [--target T] [--seconds N] [--seed S]`, or
//! `fuzz --file T FILE` for one input, or `fuzz --write FOLDER --target T` for a thousand to begin with. It measures no
//! coverage; `fuzz/` does, with libFuzzer.

use std::{
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use whimbrel_fuzz::{Feed, Input, TARGETS, Target, corpus};

const USAGE: &str =
    "usage: fuzz [--target T] [--seconds N] [--seed S] [--write FOLDER] | fuzz --file T FILE | fuzz --list";

/// Inputs that are written for another fuzzer.
const WRITTEN: usize = 1_000;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all targets survived.
fn run(words: &[String]) -> Result<bool, String> {
    let (mut targets, mut seconds, mut seed, mut folder) = (TARGETS.to_vec(), 10, 1, None);
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(USAGE.to_owned());
        match word {
            "--target" => targets = vec![find(value()?)?],
            "--seconds" => seconds = number(value()?)?,
            "--seed" => seed = number(value()?)?,
            "--write" => folder = Some(value()?),
            "--list" => {
                TARGETS.iter().for_each(|target| println!("{}", target.name));
                return Ok(true);
            }
            "--file" => {
                let (target, path) = (find(value()?)?, value()?);
                let input = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
                return Ok(survives(&target, &input));
            }
            _ => return Err(USAGE.to_owned()),
        }
    }
    if let Some(folder) = folder {
        let written = targets.iter().try_for_each(|target| write(target, seed, Path::new(folder)));
        return written.map(|()| true).map_err(|error| format!("{folder}: {error}"));
    }
    // One that fails keeps no other from its turn.
    let failed = targets.iter().filter(|target| !fuzz(target, Duration::from_secs(seconds), seed)).count();
    Ok(failed == 0)
}

fn find(name: &str) -> Result<Target, String> {
    let found = TARGETS.iter().find(|target| target.name == name);
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    found.copied().ok_or_else(|| format!("there is no target {name}; there are {}", names.join(", ")))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

/// Writes inputs into a folder, from its corpus and generated ones.
fn write(target: &Target, seed: u64, folder: &Path) -> std::io::Result<()> {
    let kept = corpus(target.name).into_iter().map(|(_, input)| input);
    for (number, input) in kept.chain(Feed::new(target, seed).take(WRITTEN)).enumerate() {
        fs::write(folder.join(format!("{}-{number}", target.name)), input)?;
    }
    Ok(())
}

fn fuzz(target: &Target, time: Duration, seed: u64) -> bool {
    let start = Instant::now();
    let mut count = 0;
    for input in Feed::new(target, seed) {
        count += 1;
        if !survives(target, &input) {
            let path = keep(target, &input);
            println!("{:<15}{count:>10} executions, the last fails: {}", target.name, path.display());
            return false;
        }
        if start.elapsed() >= time {
            break;
        }
    }
    println!("{:<15}{count:>10} executions in {:.1} s", target.name, start.elapsed().as_secs_f64());
    true
}

fn survives(target: &Target, input: &Input) -> bool {
    catch_unwind(|| (target.run)(input)).is_ok()
}

/// Puts an input that fails where the next command can read it.
fn keep(target: &Target, input: &Input) -> PathBuf {
    let name = format!("whimbrel-fuzz-{}-{}", target.name, std::process::id());
    let path = std::env::temp_dir().join(name);
    if let Err(error) = fs::write(&path, input) {
        eprintln!("fuzz: {}: {error}; the input is {input:02x?}", path.display());
    }
    path
}
