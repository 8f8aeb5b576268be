//! What the parts have in common: a broker of its own for every turn, a load, and the figures that come back. Not what is
//! compared with what.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Options;
use crate::compare::contestant::{Contestant, Running};
use crate::compare::statistics::median;
use crate::json::{self, Value};

/// More than any part lets wait, so that nothing is dropped; the door for administrators is no part of it.
const LIMITS: &str = "WHIMBREL_CONTROL_ENABLED=false WHIMBREL_LIMITS_QUEUE_MESSAGES_MAX=10000000 \
WHIMBREL_LIMITS_QUEUE_BYTES_MAX=8589934592 WHIMBREL_LIMITS_QUEUES_BYTES_MAX=17179869184 \
WHIMBREL_LIMITS_RETAINED_MESSAGES_MAX=4000000 WHIMBREL_LIMITS_RETAINED_BYTES_MAX=4294967296";

/// What an acknowledgement is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Memory,
    Process,
    Power,
}

impl Level {
    pub(super) fn name(self) -> &'static str {
        match self {
            Level::Memory => "memory",
            Level::Process => "process",
            Level::Power => "power",
        }
    }
}

pub(super) struct Stage {
    program: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) is_quick: bool,
    pub(super) rounds: usize,
    threads: Option<u16>,
    /// Cores that neither broker nor generator used, in each run since the last part.
    others: RefCell<Vec<f64>>,
}

impl Stage {
    pub(super) fn new(program: PathBuf, folder: PathBuf, options: &Options) -> Stage {
        Stage {
            program,
            folder,
            is_quick: options.is_quick,
            rounds: options.rounds,
            threads: options.threads,
            others: RefCell::default(),
        }
    }

    /// The one figure, or the other where all is small.
    pub(super) fn size<T>(&self, whole: T, quick: T) -> T {
        if self.is_quick { quick } else { whole }
    }

    /// Where the broker of this turn keeps what it keeps.
    pub(super) fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    pub(super) fn whimbrel(&self, level: Level) -> Contestant {
        let command = self.serve(level, &self.store().display().to_string());
        Contestant::new(&format!("Whimbrel, `{}`", level.name()), command)
    }

    /// The command that starts it; `{port}` stands for the port.
    pub(super) fn serve(&self, level: Level, store: &str) -> String {
        let threads = self.threads.map(|threads| format!(" --threads {threads}")).unwrap_or_default();
        format!(
            "{LIMITS} exec '{}' serve --listen 127.0.0.1:{{port}}{threads} --log-level warn --durability {} --store-directory '{store}'",
            self.program.display(),
            level.name(),
        )
    }

    /// Starts it with nothing kept.
    pub(super) fn start_anew(&self, contestant: &Contestant) -> Result<Running, String> {
        if self.store().exists() {
            fs::remove_dir_all(self.store())
                .map_err(|error| format!("{}: {error}", self.store().display()))?;
        }
        contestant.start(&self.folder)
    }

    /// Loads the broker, and returns what the generator found. What the broker did wrong is in the inner result.
    pub(super) fn bench<S: AsRef<str>>(
        &self,
        broker: &Running,
        arguments: &[S],
    ) -> Result<Result<Value, String>, String> {
        self.begin_bench(broker, arguments, "result")?.end(&self.others)
    }

    /// Begins to load the broker; several loads at a time have names of their own.
    pub(super) fn begin_bench<S: AsRef<str>>(
        &self,
        broker: &Running,
        arguments: &[S],
        name: &str,
    ) -> Result<Load, String> {
        let result = self.folder.join(format!("{name}.json"));
        let _earlier = fs::remove_file(&result);
        let child = Command::new(&self.program)
            .arg("bench")
            .args(arguments.iter().map(AsRef::as_ref))
            .args([
                "--port",
                &broker.port.to_string(),
                "--pid",
                &broker.pid().to_string(),
                "--quiet",
                "--json",
            ])
            .arg(&result)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("whimbrel bench: {error}"))?;
        Ok(Load { child, result })
    }

    /// Runs the program with these arguments and returns what it prints.
    pub(super) fn program(&self, arguments: &[&str], statuses: &[i32]) -> Result<String, String> {
        let output = Command::new(&self.program).args(arguments).stderr(Stdio::piped()).output();
        let output = output.map_err(|error| format!("whimbrel {}: {error}", arguments.join(" ")))?;
        if output.status.code().is_some_and(|code| statuses.contains(&code)) {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("whimbrel {}: {}: {}", arguments.join(" "), output.status, said.trim_end()))
    }

    /// What others did on the machine since the last part: whoever reads the figures has to know it.
    pub(super) fn disturbance(&self) -> String {
        let others = self.others.take();
        let most = others.iter().copied().fold(0.0, f64::max);
        median(&others)
            .map(|middle| {
                format!(" Other processes used {middle:.2} cores in the middle, {most:.2} at most.")
            })
            .unwrap_or_default()
    }
}

/// A load under way.
pub(super) struct Load {
    child: Child,
    result: PathBuf,
}

impl Load {
    /// Waits for its end.
    pub(super) fn end(self, others: &RefCell<Vec<f64>>) -> Result<Result<Value, String>, String> {
        let output = self.child.wait_with_output().map_err(|error| format!("whimbrel bench: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let text = fs::read_to_string(&self.result)
            .map_err(|_| format!("whimbrel bench: {}: {}", output.status, said.trim_end()))?;
        let value = right(&text)?;
        if let Ok(value) = &value {
            others.borrow_mut().extend(number(value, &["machine", "others_cores"]));
        }
        Ok(value)
    }
}

/// A result, unless something was lost, repeated or damaged in it. That an open loop came late is no fault of what it
/// measured: its latencies count from the moment when a message was due.
fn right(text: &str) -> Result<Result<Value, String>, String> {
    let result = json::parse(text).map_err(|error| format!("the result of whimbrel bench: {error}"))?;
    let failures: Vec<&str> = result.member("failures").items().iter().filter_map(Value::text).collect();
    if failures.iter().all(|failure| *failure == "rate_not_kept") {
        return Ok(Ok(result));
    }
    Ok(Err(format!("not all right: {}", failures.join(", "))))
}

/// A number in a result.
pub(super) fn number(value: &Value, path: &[&str]) -> Option<f64> {
    path.iter().fold(value, |value, key| value.member(key)).number()
}

/// The same, where it must be there.
pub(super) fn needed(value: &Value, path: &[&str]) -> Result<f64, String> {
    number(value, path).ok_or_else(|| format!("the result has no {}", path.join(".")))
}

/// A line of /proc/PID/status or /proc/PID/io, without its unit.
pub(super) fn of_process(pid: u32, file: &str, name: &str) -> Result<f64, String> {
    let path = format!("/proc/{pid}/{file}");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    field(&text, name).ok_or_else(|| format!("{path} has no {name}"))
}

fn field(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What the files of a folder take on disk, in bytes.
pub(super) fn bytes_on_disk(folder: &Path) -> Result<u64, String> {
    use std::os::unix::fs::MetadataExt;
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut bytes = 0;
    for entry in fs::read_dir(folder).map_err(told)? {
        // One that has gone meanwhile takes nothing.
        bytes += entry.and_then(|entry| entry.metadata()).map_or(0, |data| data.blocks() * 512);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_with_faults_is_none_and_a_late_one_is() {
        assert!(right(r#"{"all_right":true,"failures":[]}"#).unwrap().is_ok());
        assert!(right(r#"{"all_right":false,"failures":["rate_not_kept"]}"#).unwrap().is_ok());
        let lost = right(r#"{"all_right":false,"failures":["rate_not_kept","lost"]}"#).unwrap();
        assert_eq!(lost, Err("not all right: rate_not_kept, lost".to_owned()));
        assert!(right("").is_err());
    }

    #[test]
    fn a_field_of_a_process_is_found_by_its_whole_name() {
        let text = "rchar: 5\nVmHWM:\t  1234 kB\ncancelled_write_bytes: 7\nwrite_bytes: 9\n";
        assert_eq!(field(text, "VmHWM"), Some(1234.0));
        assert_eq!(field(text, "write_bytes"), Some(9.0));
        assert_eq!(field(text, "VmRSS"), None);
    }
}
