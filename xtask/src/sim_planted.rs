//! Whether the simulation finds bugs: plants those of a list, one at a time, in a copy of the repository, and has the
//! simulation look for each within the number of seeds that the list gives it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::workspace::{Reach, cargo, load, root};

const LIST: &str = "tests/sim/planted.toml";
/// What the copy is made of.
const PARTS: &[&str] = &["Cargo.toml", "Cargo.lock", "crates", "tests", "xtask"];
/// Who never ends has found something as well, and is ended.
const RUN_MAX: Duration = Duration::from_secs(1_200);
const LOOK: Duration = Duration::from_millis(200);

/// One bug: a text and what stands there instead.
#[derive(Debug, Default, PartialEq, Eq)]
struct Bug {
    name: String,
    file: String,
    find: String,
    replace: String,
    seeds: u64,
}

/// Plants each bug of the list, or the one that is named.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let only = match arguments {
        [] => None,
        [only, name] if only == "--only" => Some(name.as_str()),
        _ => return Err("usage: cargo xtask sim --planted [--only NAME]".to_owned()),
    };
    let text = read(&root().join(LIST))?;
    let bugs = parse(&text)?;
    let plot = Plot::new()?;
    let mut rows = Vec::new();
    for bug in bugs.iter().filter(|bug| only.is_none_or(|only| bug.name == only)) {
        let found = plot.look_for(bug)?;
        println!("== {}: {}", bug.name, found.as_deref().unwrap_or("not found"));
        rows.push((bug, found));
    }
    let mut missed = 0;
    for (bug, found) in &rows {
        let said = found.clone().unwrap_or_else(|| {
            missed += 1;
            format!("NOT FOUND in {} seeds", bug.seeds)
        });
        println!("{:<44} {said}", bug.name);
    }
    match missed {
        0 if rows.is_empty() => Err("no such bug".to_owned()),
        0 => Ok(()),
        _ => Err(format!("{missed} of {} bugs were not found", rows.len())),
    }
}

/// The copy that bugs are planted in.
struct Plot {
    tree: PathBuf,
    target: PathBuf,
}

impl Plot {
    fn new() -> Result<Plot, String> {
        let folder = load(Reach::Members)?.target_directory.join("planted");
        let (tree, target) = (folder.join("tree"), folder.join("target"));
        fs::create_dir_all(&tree).map_err(|error| format!("{}: {error}", tree.display()))?;
        for part in PARTS {
            copy(&root().join(part), &tree.join(part))?;
        }
        Ok(Plot { tree, target })
    }

    /// Plants a bug, runs the seeds, and takes it out again. What found it, if anything did.
    fn look_for(&self, bug: &Bug) -> Result<Option<String>, String> {
        let path = self.tree.join(&bug.file);
        let sound = read(&root().join(&bug.file))?;
        let places = sound.matches(&bug.find).count();
        if places != 1 {
            return Err(format!(
                "{}: what {} replaces is there {places} times, not once",
                bug.file, bug.name
            ));
        }
        write(&path, &sound.replace(&bug.find, &bug.replace))?;
        let found = self.build().and_then(|()| self.run(bug.seeds));
        write(&path, &sound)?;
        found
    }

    fn build(&self) -> Result<(), String> {
        let mut build = cargo();
        build
            .args(["build", "--quiet", "--release", "--package", "whimbrel-sim", "--bin", "sim"])
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
            .env("RUSTFLAGS", "--cap-lints=warn")
            .stderr(Stdio::piped())
            .current_dir(&self.tree);
        let output = build.output().map_err(|error| format!("cargo build: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("it does not build:\n{said}")) }
    }

    fn run(&self, seeds: u64) -> Result<Option<String>, String> {
        let start = Instant::now();
        let mut sim = Command::new(self.target.join("release/sim"));
        sim.args(["--quiet", "--jobs", "2", "--seeds", &seeds.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = sim.spawn().map_err(|error| format!("sim: {error}"))?;
        while child.try_wait().map_err(|error| format!("sim: {error}"))?.is_none() {
            if start.elapsed() > RUN_MAX {
                let _ = child.kill();
                let _ = child.wait();
                return Ok(Some("a run that never ends".to_owned()));
            }
            std::thread::sleep(LOOK);
        }
        let output = child.wait_with_output().map_err(|error| format!("sim: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        match (output.status.success(), said.lines().find(|line| line.starts_with("seed "))) {
            (true, _) => Ok(None),
            (false, Some(line)) => Ok(Some(line.chars().take(110).collect())),
            (false, None) => Err(format!("sim: {}", output.status)),
        }
    }
}

/// Reads the list: tables `[[bug]]` of `key = "…"`, `key = '''…'''` over several lines, and `key = number`.
fn parse(text: &str) -> Result<Vec<Bug>, String> {
    let mut bugs: Vec<Bug> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line == "[[bug]]" {
            bugs.push(Bug::default());
            continue;
        }
        let wrong = || format!("{LIST}: {line}");
        let (key, value) = line.split_once(" = ").ok_or_else(wrong)?;
        let value = if value == "'''" {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "'''").collect();
            block.join("\n")
        } else {
            value.trim_matches('"').to_owned()
        };
        let bug = bugs.last_mut().ok_or_else(wrong)?;
        match key {
            "name" => bug.name = value,
            "file" => bug.file = value,
            "find" => bug.find = value,
            "replace" => bug.replace = value,
            "seeds" => bug.seeds = value.parse().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        }
    }
    Ok(bugs)
}

/// Copies what differs, so that what was built from the rest stays valid.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", from.display());
    if from.is_dir() {
        fs::create_dir_all(to).map_err(failed)?;
        for entry in fs::read_dir(from).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    let bytes = fs::read(from).map_err(failed)?;
    if fs::read(to).is_ok_and(|known| known == bytes) {
        return Ok(());
    }
    fs::write(to, bytes).map_err(failed)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read() {
        let text = "# x\n[[bug]]\nname = \"a b\"\nfile = \"f\"\nfind = '''\n  one\n  two\n'''\nreplace = \"\"\nseeds = 7\n";
        let bug = Bug {
            name: "a b".into(),
            file: "f".into(),
            find: "  one\n  two".into(),
            replace: String::new(),
            seeds: 7,
        };
        assert_eq!(parse(text), Ok(vec![bug]));
        assert!(parse("name = \"a\"").is_err());
    }

    #[test]
    fn every_planted_bug_has_its_place() {
        for bug in parse(&read(&root().join(LIST)).unwrap()).unwrap() {
            let text = read(&root().join(&bug.file)).unwrap();
            assert_eq!(text.matches(&bug.find).count(), 1, "{}", bug.name);
            assert!(bug.seeds > 0 && bug.find != bug.replace, "{}", bug.name);
        }
    }
}
