//! How much of the engine's and the journal's code the simulation with a disk reaches, by lines and by file, with faults
//! and without. It needs the tools of the compiler's own LLVM: `rustup component add llvm-tools`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ci::succeed;
use crate::json;
use crate::workspace::{Reach, cargo, load, root};

/// Seeds of each of the two runs, unless the arguments say how many.
const SEEDS: &str = "2000";

/// Lines that were reached, and lines.
type Lines = (f64, f64);

/// Runs the seeds twice and prints the table.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let seeds = match arguments {
        [] => SEEDS,
        [seeds, number] if seeds == "--seeds" => number,
        _ => return Err("usage: cargo xtask sim-coverage [--seeds N]".to_owned()),
    };
    let tools = Tools::find()?;
    let folder = load(Reach::Members)?.target_directory.join("sim-coverage");
    let mut build = cargo();
    build.args(["build", "--release", "--package", "whimbrel-sim", "--bin", "sim"]);
    build.env("RUSTFLAGS", "-C instrument-coverage").env("CARGO_TARGET_DIR", &folder);
    // Build scripts are instrumented, too; what they reach is nobody's business.
    succeed(build.env("LLVM_PROFILE_FILE", folder.join("build-%p.profraw")))?;
    let program = folder.join("release/sim");
    let with = tools.measure(&program, &folder.join("with"), &["--seeds", seeds])?;
    let without = tools.measure(&program, &folder.join("without"), &["--sound", "--seeds", seeds])?;
    print(&with, &without);
    Ok(())
}

struct Tools {
    profdata: PathBuf,
    cov: PathBuf,
}

impl Tools {
    /// Those that belong to the compiler; others read other formats.
    fn find() -> Result<Tools, String> {
        let output = Command::new("rustc").args(["--print", "target-libdir"]).output();
        let output = output.map_err(|error| format!("rustc: {error}"))?;
        let libraries = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        let folder = libraries.with_file_name("bin");
        let (profdata, cov) = (folder.join("llvm-profdata"), folder.join("llvm-cov"));
        match profdata.exists() && cov.exists() {
            true => Ok(Tools { profdata, cov }),
            false => Err(format!("{} is not there: rustup component add llvm-tools", profdata.display())),
        }
    }

    fn measure(
        &self,
        program: &Path,
        name: &Path,
        arguments: &[&str],
    ) -> Result<BTreeMap<String, Lines>, String> {
        let (raw, data) = (name.with_extension("profraw"), name.with_extension("profdata"));
        let mut sim = Command::new(program);
        sim.args(["--disk", "--quiet", "--keep-going", "--jobs", "2"]).args(arguments);
        succeed(sim.env("LLVM_PROFILE_FILE", &raw))?;
        let mut merge = Command::new(&self.profdata);
        succeed(merge.args(["merge", "--sparse"]).arg(&raw).arg("-o").arg(&data))?;
        let mut export = Command::new(&self.cov);
        export.args(["export", "--summary-only", "--instr-profile"]).arg(&data).arg(program);
        let output = export.output().map_err(|error| format!("{}: {error}", self.cov.display()))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        files(&String::from_utf8_lossy(&output.stdout))
    }
}

/// The files of the two crates, by their names in the repository.
fn files(text: &str) -> Result<BTreeMap<String, Lines>, String> {
    let exported = json::parse(text)?;
    let mut found = BTreeMap::new();
    for file in exported.member("data").items().iter().flat_map(|data| data.member("files").items()) {
        let lines = file.member("summary").member("lines");
        let numbers = (lines.member("covered").number(), lines.member("count").number());
        let (Some(path), (Some(covered), Some(count))) = (file.member("filename").text(), numbers) else {
            continue;
        };
        if let Some(name) = name_of(path) {
            found.insert(name, (covered, count));
        }
    }
    Ok(found)
}

/// The simulation compiles a copy of the engine's sources.
fn name_of(path: &str) -> Option<String> {
    let journal = root().join("crates/journal/src");
    let name = match path.split_once("/out/engine/") {
        Some((_, rest)) => format!("crates/engine/src/{rest}"),
        None => format!("crates/journal/src/{}", Path::new(path).strip_prefix(journal).ok()?.display()),
    };
    // The simulated disk is no part of what is tested, and files are not what it keeps.
    (!name.contains("/journal/src/sim/") && !name.ends_with("file_disk.rs")).then_some(name)
}

fn print(with: &BTreeMap<String, Lines>, without: &BTreeMap<String, Lines>) {
    let percent = |(covered, count): Lines| 100.0 * covered / count.max(1.0);
    println!("{:<52} {:>6} {:>10} {:>14}", "file", "lines", "reached", "without faults");
    for (name, lines) in with {
        let sound = without.get(name).copied().unwrap_or_default();
        println!("{name:<52} {:>6} {:>8.1} % {:>12.1} %", lines.1, percent(*lines), percent(sound));
    }
    for part in ["crates/engine/src/", "crates/engine/src/store/", "crates/journal/src/"] {
        let sum = |files: &BTreeMap<String, Lines>| {
            let of_part = files.iter().filter(|(name, _)| name.starts_with(part));
            of_part.fold((0.0, 0.0), |sum, (_, lines)| (sum.0 + lines.0, sum.1 + lines.1))
        };
        let (all, sound) = (sum(with), sum(without));
        println!("{part:<52} {:>6} {:>8.1} % {:>12.1} %", all.1, percent(all), percent(sound));
    }
}
