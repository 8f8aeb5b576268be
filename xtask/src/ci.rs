//! All checks and tests in one go. Each step runs whatever became of the one before; the table at the end says which
//! failed and how long each took.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::workspace::{cargo, root};
use crate::{conformance, instructions, interop, layers, no_std, power, report, tidy, transports};

/// The tests of the whole workspace, as README.md tells a newcomer to run them.
const TEST_COMMAND: &[&str] = &["test", "--workspace"];

const STEPS: &[(&str, Step)] = &[
    ("format", Step::Cargo(&["fmt", "--all", "--check"])),
    ("tidy", Step::Check(tidy::run)),
    ("layers", Step::Check(layers::run)),
    ("conformance", Step::Check(conformance::check)),
    ("no-std", Step::Check(no_std::run)),
    ("deny", Step::Tool("cargo-deny", &["deny", "check", "bans", "licenses", "sources"])),
    ("clippy", Step::Cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])),
    ("doc", Step::Documentation),
    ("test", Step::Cargo(TEST_COMMAND)),
    ("test journal", Step::Engine("WHIMBREL_TEST_JOURNAL")),
    ("test spill", Step::Engine("WHIMBREL_TEST_SPILL")),
    ("instructions", Step::Instructions),
    ("power", Step::Power),
    ("transports", Step::Transports),
];

/// One step of the whole.
enum Step {
    /// A cargo command.
    Cargo(&'static [&'static str]),
    /// A cargo command that needs a program which Rust does not bring.
    Tool(&'static str, &'static [&'static str]),
    /// A check of this program.
    Check(fn() -> Result<Vec<String>, String>),
    /// The engine's tests once more, on engines with a journal, or with queues that are on disk alone.
    Engine(&'static str),
    /// The documentation of the libraries builds and its links lead somewhere. A program's doc lines are its help.
    Documentation,
    /// The counts of instructions stay below their ratchet.
    Instructions,
    /// The broker keeps what it has acknowledged when the power goes, and acknowledges nothing that a failing disk has not.
    Power,
    /// The suite over other transports than TCP, and a short soak.
    Transports,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
}

/// Runs every step. With `require`, a step that cannot run has failed.
pub(crate) fn run(require: bool) -> Result<(), String> {
    let mut results = Vec::new();
    for (name, step) in STEPS {
        println!("== {name}");
        let start = Instant::now();
        let outcome = match step.run() {
            Outcome::Skipped(reason) if require => Outcome::Failed(reason),
            outcome => outcome,
        };
        results.push((*name, outcome, start.elapsed()));
    }
    for (name, outcome, duration) in &results {
        println!("{}", line(name, outcome, *duration));
    }
    match results.iter().filter(|(_, outcome, _)| matches!(outcome, Outcome::Failed(_))).count() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {} steps failed", results.len())),
    }
}

/// Runs the tests, then names what is not among them: nothing is left out in silence.
pub(crate) fn test_and_say_what_is_not_tested() -> Result<(), String> {
    let tested = succeed(cargo().args(TEST_COMMAND));
    println!("\nnot among these: the tests with programs that others wrote, `cargo xtask interop`");
    for line in interop::missing_programs() {
        println!("  {line}");
    }
    tested
}

impl Step {
    fn run(&self) -> Outcome {
        let result = match self {
            Step::Cargo(arguments) => succeed(cargo().args(*arguments)),
            Step::Tool(program, arguments) if is_installed(program) => succeed(cargo().args(*arguments)),
            Step::Tool(program, _) => return Outcome::Skipped(format!("{program} is not installed")),
            Step::Check(check) => report(check()),
            Step::Engine(variable) => {
                let test = ["test", "-p", "whimbrel-engine", "--test", "it", "--locked"];
                succeed(cargo().args(test).env(variable, "1"))
            }
            Step::Instructions if instructions::is_possible() => instructions::run(&[]),
            Step::Instructions => return Outcome::Skipped("valgrind is not installed".to_owned()),
            Step::Power => match power::obstacle() {
                Some(obstacle) => return Outcome::Skipped(obstacle.to_owned()),
                None => power::run(&[]),
            },
            Step::Transports => transports::run(true),
            Step::Documentation => succeed(
                cargo()
                    .args(["doc", "--workspace", "--lib", "--no-deps", "--locked"])
                    .env("RUSTDOCFLAGS", "-D warnings"),
            ),
        };
        result.map_or_else(Outcome::Failed, |()| Outcome::Passed)
    }
}

fn line(name: &str, outcome: &Outcome, duration: Duration) -> String {
    let said = match outcome {
        Outcome::Passed => "passed".to_owned(),
        Outcome::Skipped(reason) => format!("skipped: {reason}"),
        Outcome::Failed(reason) => format!("FAILED: {reason}"),
    };
    format!("{name:<13}{:>6} s  {said}", duration.as_secs())
}

/// Runs a command; anything but success is an error that says which.
pub(crate) fn succeed(command: &mut Command) -> Result<(), String> {
    let said = || format!("{} {:?}", command.get_program().display(), command.get_args().collect::<Vec<_>>());
    let said = said();
    match command.current_dir(root()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{said}: {status}")),
        Err(error) => Err(format!("{said}: {error}")),
    }
}

pub(crate) fn is_installed(program: &str) -> bool {
    let status = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_said() {
        let step = Step::Tool("whimbrel-has-no-such-program", &["--version"]);
        assert_eq!(step.run(), Outcome::Skipped("whimbrel-has-no-such-program is not installed".to_owned()));
    }

    #[test]
    fn a_finding_fails_its_step() {
        assert_eq!(Step::Check(|| Ok(vec!["a".to_owned()])).run(), Outcome::Failed("1 found".to_owned()));
        assert_eq!(Step::Check(|| Ok(vec![])).run(), Outcome::Passed);
        assert!(matches!(Step::Cargo(&["no-such-command"]).run(), Outcome::Failed(_)));
    }

    #[test]
    fn the_table_says_what_became_of_a_step() {
        let check = |outcome: Outcome, expect: &str| {
            assert_eq!(line("deny", &outcome, Duration::from_millis(2500)), expect);
        };
        check(Outcome::Passed, "deny              2 s  passed");
        check(Outcome::Skipped("no".to_owned()), "deny              2 s  skipped: no");
        check(Outcome::Failed("no".to_owned()), "deny              2 s  FAILED: no");
    }

    #[test]
    fn readme_tells_the_command_that_ci_runs() {
        let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
        let command = format!("cargo {}", TEST_COMMAND.join(" "));
        assert!(
            readme.lines().any(|line| line.split('#').next().map(str::trim) == Some(&command)),
            "{command}"
        );
    }
}
