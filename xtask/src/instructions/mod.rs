//! Counts the instructions and allocations of the operations in `tests/instructions` with Valgrind, and compares them
//! with the ratchet file. Not a measure of time: a processor's caches and predictions play no part.
//!
//! Each operation runs twice, N and 2 N times; the difference is what N of them cost, without the start of the program
//! and what the operation needs to be set up.

mod ratchet;
mod verdict;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use self::ratchet::{Cost, Entry, Ratchet};
use self::verdict::Verdict;
use crate::ci::succeed;
use crate::workspace::{Reach, cargo, load, root};

/// As users run it: one unit of code, so that a change in one place does not move what is inlined in another.
const PROFILE: &str = "dist";

/// The C library picks its copying and comparing by the processor. These are left out, so that every machine of one
/// architecture counts the same.
const TUNABLES: &str =
    "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX,-ERMS,-FSRM,-BMI2,-AVX2_Usable,-AVX_Fast_Unaligned_Load";

/// What is counted, and how.
#[derive(Debug, Clone, Copy)]
enum Tool {
    Callgrind,
    Dhat,
}

/// Whether Valgrind is there.
pub(crate) fn is_possible() -> bool {
    crate::ci::is_installed("valgrind")
}

/// `cargo xtask instructions [--bless REASON]`.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let reason = match arguments {
        [] => None,
        [bless, reason] if bless == "--bless" && !reason.trim().is_empty() => Some(reason.trim()),
        _ => return Err("usage: cargo xtask instructions [--bless REASON]".to_owned()),
    };
    if !is_possible() {
        return Err("valgrind is not installed".to_owned());
    }
    let compiler = compiler()?;
    let measured = measure()?;
    let path = root().join("tests/instructions/ratchet.toml");
    let ratchet = match fs::read_to_string(&path) {
        Ok(text) => ratchet::read(&text)?,
        Err(_) if reason.is_some() => Ratchet::default(),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    if let Some(reason) = reason {
        let blessed = ratchet.bless(&compiler, &measured, reason);
        return fs::write(&path, blessed.to_string()).map_err(|error| format!("{}: {error}", path.display()));
    }
    judge(&ratchet, &compiler, &measured)
}

/// Prints what became of each operation. Growth is a failure where the compiler is the ratchet's own.
fn judge(ratchet: &Ratchet, compiler: &str, measured: &[(String, Cost)]) -> Result<(), String> {
    let verdicts = verdict::compare(ratchet, measured);
    println!("{:<40} {:>14} {:>9} {:>11}", "operation", "instructions", "change", "allocations");
    for (name, verdict) in &verdicts {
        println!("{}", verdict::line(name, verdict));
    }
    let failed = verdicts.iter().filter(|(_, verdict)| verdict.is_failure()).count();
    if ratchet.compiler != compiler {
        println!(
            "the ratchet was taken with {}, this is {compiler}: growth is reported only",
            ratchet.compiler
        );
        let unknown =
            verdicts.iter().filter(|(_, verdict)| !matches!(verdict, Verdict::Known { .. })).count();
        return if unknown == 0 {
            Ok(())
        } else {
            Err(format!("{unknown} operations and the ratchet do not match"))
        };
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!(
            "{failed} of {} operations: mend it, or `cargo xtask instructions --bless REASON`",
            verdicts.len()
        )),
    }
}

/// The compiler and the machine that it compiles for: what decides the counts besides the code.
fn compiler() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().map_err(|error| format!("rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let first = text.lines().next().ok_or("rustc -vV: says nothing")?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc -vV: names no host")?;
    Ok(format!("{first} {host}"))
}

/// The costs of all operations, in the order in which the program lists them.
fn measure() -> Result<Vec<(String, Cost)>, String> {
    succeed(cargo().args([
        "build",
        "--quiet",
        "--locked",
        "--package",
        "whimbrel-instructions",
        "--profile",
        PROFILE,
    ]))?;
    let target = load(Reach::Members)?.target_directory;
    let program = target.join(PROFILE).join("instructions");
    let folder = target.join("instructions");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let listed = Command::new(&program).arg("--list").output();
    let listed = listed.map_err(|error| format!("{}: {error}", program.display()))?;
    let mut costs = Vec::new();
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        let (name, iterations) =
            line.split_once(' ').ok_or_else(|| format!("`{line}` names no iterations"))?;
        let iterations: u64 = iterations.parse().map_err(|_| format!("`{line}` names no iterations"))?;
        let cost = |tool: Tool| -> Result<f64, String> {
            let count = |times: u64| count(tool, &program, &folder, name, times);
            verdict::per_operation(count(iterations)?, count(2 * iterations)?, iterations)
                .ok_or_else(|| format!("{name}: twice as many operations do not cost more"))
        };
        costs.push((
            name.to_owned(),
            Cost { instructions: cost(Tool::Callgrind)?, allocations: cost(Tool::Dhat)? },
        ));
    }
    Ok(costs)
}

/// What one whole run costs.
fn count(tool: Tool, program: &Path, folder: &Path, name: &str, times: u64) -> Result<u64, String> {
    let mut command = Command::new("valgrind");
    let file = folder.join(format!("{name}.callgrind"));
    match tool {
        Tool::Callgrind => command.arg("--tool=callgrind").arg(out_file("callgrind", &file)),
        Tool::Dhat => command.arg("--tool=dhat").arg(out_file("dhat", &PathBuf::from("/dev/null"))),
    };
    command.arg(program).arg(name).arg(times.to_string()).env("GLIBC_TUNABLES", TUNABLES);
    let output = command.output().map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{name} under {tool:?}: {}\n{said}", output.status));
    }
    match tool {
        Tool::Callgrind => {
            let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            verdict::instructions(&text).ok_or_else(|| format!("{}: holds no total", file.display()))
        }
        Tool::Dhat => verdict::blocks(&said).ok_or_else(|| format!("{name}: DHAT told no total:\n{said}")),
    }
}

fn out_file(tool: &str, path: &Path) -> String {
    format!("--{tool}-out-file={}", path.display())
}
