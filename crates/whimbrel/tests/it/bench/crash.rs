//! `whimbrel bench crash` starts, kills and starts again what it is told to, and says what became of the promises.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::super::program::{Said, run};

const KILLS: u64 = 2;

fn crash(command: &str, more: &[&str]) -> Said {
    let kills = KILLS.to_string();
    let mut line = vec!["bench", "crash", command, "--kills", &kills, "--json", "-"];
    line.extend(["--kill-min", "300ms", "--kill-max", "400ms", "--patience", "1s"]);
    line.extend_from_slice(more);
    run(Path::new("."), &line, &[])
}

/// The broker of this program with these flags; the shell makes room for it.
fn broker(flags: &str) -> String {
    format!("exec '{}' serve --listen 127.0.0.1:{{port}} --threads 1 {flags}", env!("CARGO_BIN_EXE_whimbrel"))
}

#[test]
fn a_broker_that_keeps_what_it_acknowledged_loses_nothing_at_either_level() {
    for level in ["process", "power"] {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let flags = format!("--durability {level} --store-directory '{}'", folder.path().display());
        let said = crash(&broker(&flags), &[]);
        assert_eq!(said.code, 0, "{level}: {}", said.err);
        let account: Value = serde_json::from_str(&said.out).expect(&said.err);
        assert_eq!((&account["ok"], &account["kills"]), (&Value::from(true), &Value::from(KILLS)));
        for lane in account["lanes"].as_array().expect("lanes") {
            let at = |name: &str| lane[name].as_u64().expect(name);
            assert!(at("published") > 0 && at("sessions_resumed") > 0, "{lane}");
            assert_eq!(at("acknowledged") > 0, at("qos") > 0, "{lane}");
            for never in [
                "lost",
                "qos0_duplicates",
                "qos2_duplicates",
                "sessions_lost",
                "retained_lost",
                "retained_stale",
                "late",
            ] {
                assert_eq!(at(never), 0, "{level}: {never}: {lane}");
            }
        }
    }
}

#[test]
fn a_broker_that_keeps_all_in_memory_loses_sessions_and_retained_values_and_nothing_else() {
    let said = crash(&broker("--durability memory"), &[]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("NOT KEPT") && said.err.contains("killed 1 times"), "{}", said.err);
    let account: Value = serde_json::from_str(&said.out).expect(&said.err);
    assert_eq!((&account["ok"], &account["kills"]), (&Value::from(false), &Value::from(KILLS)));
    let lanes = account["lanes"].as_array().expect("lanes");
    assert_eq!(lanes.len(), 6);
    for lane in lanes.iter().filter(|lane| lane["qos"] != 0) {
        let at = |name: &str| lane[name].as_u64().expect(name);
        assert!(at("acknowledged") > 0 && at("owed") > 0, "{lane}");
        assert_eq!(at("published"), at("acknowledged") + at("abandoned"), "{lane}");
        // The publisher and the subscriber that is always there come back after each kill, the one that is away every
        // other time after the last. None finds its session.
        assert_eq!((at("sessions_lost"), at("sessions_resumed")), (2 * KILLS + 1, 0), "{lane}");
        // What was lost was in a session that is gone: whoever was away missed a whole round.
        assert!(at("lost") > 0 && at("lost") == at("lost_with_session"), "{lane}");
        // Four topics have had a value when the broker is killed, and have none afterwards.
        assert!((1..=4 * KILLS).contains(&at("retained_lost")), "{lane}");
        for never in [
            "refused",
            "unanswered",
            "qos2_duplicates",
            "qos1_repeated",
            "late",
            "strangers",
            "retained_stale",
            "retained_strangers",
        ] {
            assert_eq!(at(never), 0, "{never}: {lane}");
        }
    }
}

#[test]
fn a_command_before_each_kill_has_ended_when_the_broker_is_killed() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let pids = folder.path().join("pids");
    // Each start leaves its process number; the command finds that process alive.
    let start = format!("echo $$ > '{}'; {}", pids.display(), broker("--durability memory"));
    let before = format!("kill -0 $(cat '{0}') && echo {{port}} >> '{0}.alive'", pids.display());
    let said = crash(&start, &["--before-kill", &before]);
    assert_eq!(said.code, 1, "{}", said.err);
    let alive = std::fs::read_to_string(folder.path().join("pids.alive")).expect("it ran");
    assert_eq!(alive.lines().count() as u64, KILLS + 1, "{alive}");
    let said = crash(&start, &["--before-kill", "echo no such luck >&2; exit 3"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{}", said.err);
    assert!(said.err.contains("before a kill: exit status: 3: no such luck"), "{}", said.err);
}

#[test]
fn what_cannot_be_found_out_is_a_failure_and_says_why() {
    let check = |command: &str, code: i32, expect: &str| {
        let said = crash(command, &["--start-timeout", "100ms"]);
        assert_eq!((said.code, said.out.as_str()), (code, ""), "{command}: {}", said.err);
        assert!(said.err.contains(expect), "{command}: {}", said.err);
    };
    check("broker", 2, "has no {port}");
    check("echo no such luck; exit 3 # {port}", 1, "exit status: 3; it printed:\nno such luck");
    check("exec sleep 60 # {port}", 1, "after 100ms, and printed nothing");
}

#[test]
fn an_interrupted_run_accounts_for_the_kills_until_then_and_leaves_no_broker_behind() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let pid_file = folder.path().join("pid");
    let command = format!("echo $$ > '{}'; {}", pid_file.display(), broker("--durability memory"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_whimbrel"))
        .args(["bench", "crash", &command, "--kills", "10000", "--patience", "1s", "--json", "-"])
        .args(["--kill-min", "300ms", "--kill-max", "400ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut err = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    err.read_line(&mut line).expect("it tells of the first kill");
    assert_eq!(line, "killed 1 times\n");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    std::thread::spawn(move || err.read_to_end(&mut Vec::new()));
    let mut out = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut out).expect("UTF-8");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    let account: Value = serde_json::from_str(&out).expect(&out);
    assert!(account["kills"].as_u64().is_some_and(|kills| (1..1_000).contains(&kills)), "{out}");
    let pid = std::fs::read_to_string(pid_file).expect("the broker was started");
    let pid = pid.trim().parse().ok().and_then(Pid::from_raw).expect("a process id");
    assert!(rustix::process::test_kill_process(pid).is_err(), "{pid:?} still runs");
}
