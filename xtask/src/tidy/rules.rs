//! The small rules: each is a function from one file to what it finds there.

use std::path::Path;

use super::{Finding, SourceFile, holds_word};

/// Names that say nothing about what is in the file.
const EMPTY_NAMES: &[&str] =
    &["utils", "util", "common", "helpers", "helper", "types", "manager", "misc", "shared"];

/// Marks of what was left undone. In pieces, so that this file does not hold them.
const OPEN_ENDS: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

/// Where people's folders lie; a path into one works on one machine only.
const HOMES: &[&str] = &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];

/// Test code in which letting time pass is the task itself, with the reason.
const SLEEPERS: &[(&str, &str)] = &[
    (
        "tests/testkit/src/tcp.rs",
        "a scenario says `advance`; over TCP the only clock to advance is the wall's",
    ),
    ("crates/whimbrel/tests/it/bench/proxy.rs", "the fault that it plants between two sockets is a delay"),
];

/// A Rust file says first what it is.
pub(super) fn first_line(file: &SourceFile) -> Vec<Finding> {
    let says = file
        .text
        .lines()
        .next()
        .is_some_and(|line| line.strip_prefix("//! ").is_some_and(|text| text.len() > 3));
    if says || !file.is_rust() {
        return Vec::new();
    }
    vec![Finding::new(file, 1, "the first line says what the file is, and is not: `//! …`")]
}

/// A file is named for what is in it.
pub(super) fn file_name(file: &SourceFile) -> Vec<Finding> {
    let parts = file.path.rsplit('/').take(2).filter_map(|part| part.split('.').next());
    let empty = parts.filter(|part| EMPTY_NAMES.contains(part));
    empty
        .map(|part| Finding::new(file, 0, format!("`{part}` says nothing: name it for what is in it")))
        .collect()
}

/// What is begun is finished or left out whole.
pub(super) fn open_ends(file: &SourceFile) -> Vec<Finding> {
    on_lines(file, &file.text, |line| {
        let mark = OPEN_ENDS.iter().find(|mark| holds_word(line, mark))?;
        Some(format!("`{mark}`: do it, or file it as an issue"))
    })
}

/// A lint is answered, or expected with a reason; a test runs, or says why not.
pub(super) fn attributes(file: &SourceFile) -> Vec<Finding> {
    on_lines(file, &file.code, |line| {
        let line = line.trim_start();
        if line.starts_with("#[allow(") || line.starts_with("#![allow(") {
            Some("mend the cause, or `#[expect(…, reason = \"…\")]`".to_owned())
        } else if line.starts_with("#[ignore]") {
            Some("an ignored test gives its reason: `#[ignore = \"…\"]`".to_owned())
        } else {
            None
        }
    })
}

/// A test waits for an event with a deadline, never for time to pass.
pub(super) fn sleeps(file: &SourceFile) -> Vec<Finding> {
    let (text, calls): (_, &[&str]) = if file.is_rust() {
        (&file.code, &["thread::sleep(", "time::sleep(", "thread::sleep_ms("])
    } else if file.path.ends_with(".py") {
        (&file.text, &["time.sleep(", "asyncio.sleep("])
    } else {
        return Vec::new();
    };
    if SLEEPERS.iter().any(|(path, _)| *path == file.path) {
        return Vec::new();
    }
    let is_test = file.test_lines();
    let mut findings = on_lines(file, text, |line| {
        let call = calls.iter().find(|call| line.contains(**call))?;
        Some(format!("`{call}…)` in a test: wait for an event with a deadline"))
    });
    findings.retain(|finding| is_test.get(finding.line - 1).is_some_and(|is_test| *is_test));
    findings
}

/// Nothing names a folder of the machine that it was written on.
pub(super) fn machine_paths(file: &SourceFile) -> Vec<Finding> {
    let root = crate::workspace::root();
    on_lines(file, &file.text, |line| {
        let home = HOMES.iter().find(|home| starts_path(line, home)).map(|home| (*home).to_owned());
        let found =
            home.or_else(|| local_folders(&root).into_iter().find(|folder| starts_path(line, folder)))?;
        Some(format!("`{found}…` exists on one machine only"))
    })
}

/// The folder that the repository lies in, and the one around it unless that is one which every machine has.
fn local_folders(root: &Path) -> Vec<String> {
    let around =
        root.parent().filter(|parent| !["/", "/tmp", "/srv", "/opt", "/mnt"].map(Path::new).contains(parent));
    [Some(root), around].into_iter().flatten().map(|folder| format!("{}/", folder.display())).collect()
}

/// Whether an absolute path in `line` starts with `folder`; not one that merely contains it.
fn starts_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|before| before.is_alphanumeric() || "_-.+#}>)/".contains(before))
    })
}

fn on_lines(file: &SourceFile, text: &str, find: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let lines = text.lines().enumerate();
    lines.filter_map(|(number, line)| Some(Finding::new(file, number + 1, find(line)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&SourceFile) -> Vec<Finding>;

    /// The lines on which the rule finds something.
    fn check(rule: Rule, path: &str, text: &str, expect: &[usize]) {
        let found: Vec<_> = rule(&SourceFile::new(path, text)).iter().map(|finding| finding.line).collect();
        assert_eq!(found, expect, "{path}: {text}");
    }

    #[test]
    fn the_first_line_says_what_it_is() {
        check(first_line, "a.rs", "//! A frame; not a packet.\n", &[]);
        check(first_line, "a.rs", "use std::fmt;\n", &[1]);
        check(first_line, "a.rs", "//!\n", &[1]);
        check(first_line, "a.rs", "", &[1]);
        check(first_line, "a.py", "import os\n", &[]);
    }

    #[test]
    fn a_name_that_says_nothing_is_found() {
        check(file_name, "crates/net/src/utils.rs", "", &[0]);
        check(file_name, "crates/net/src/common/mod.rs", "", &[0]);
        check(file_name, "tests/interop/helpers.py", "", &[0]);
        check(file_name, "crates/engine/src/share.rs", "", &[]);
    }

    #[test]
    fn an_open_end_is_found() {
        let mark = OPEN_ENDS[0];
        check(open_ends, "a.rs", &format!("a\n// {mark}: later\n"), &[2]);
        check(open_ends, "a.md", mark, &[1]);
        check(open_ends, "a.rs", &format!("{mark}S"), &[]);
    }

    #[test]
    fn an_attribute_that_silences_is_found() {
        let allow = format!("#[{}(dead_code)]", "allow");
        check(attributes, "a.rs", &allow, &[1]);
        check(attributes, "a.rs", &allow.replace("#[", "#!["), &[1]);
        check(attributes, "a.rs", "#[expect(dead_code, reason = \"x\")]", &[]);
        check(attributes, "a.rs", "    #[ignore]", &[1]);
        check(attributes, "a.rs", "    #[ignore = \"needs a terminal\"]", &[]);
    }

    #[test]
    fn a_sleep_in_a_test_is_found() {
        let sleep = "std::thread::sleep(x);";
        check(sleeps, "crates/broker/tests/it.rs", sleep, &[1]);
        check(sleeps, "crates/broker/src/lib.rs", sleep, &[]);
        check(sleeps, "crates/broker/src/lib.rs", &format!("#[cfg(test)]\nmod tests {{\n{sleep}\n}}"), &[3]);
        check(sleeps, "crates/broker/tests/it.rs", "tokio::time::sleep(x).await;", &[1]);
        check(sleeps, "crates/broker/tests/it.rs", "// thread::sleep(x)", &[]);
        check(sleeps, SLEEPERS[0].0, sleep, &[]);
        check(sleeps, "tests/interop/a.py", concat!("time.", "sleep(1)"), &[1]);
    }

    #[test]
    fn every_sleeper_still_sleeps() {
        for (path, _) in SLEEPERS {
            let text = std::fs::read_to_string(crate::workspace::root().join(path)).unwrap();
            assert!(
                SourceFile::new(path, &text).code.contains("thread::sleep("),
                "{path} needs no exception"
            );
        }
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let home = HOMES[0];
        check(machine_paths, "a.md", &format!("see {home}me/notes"), &[1]);
        check(
            machine_paths,
            "a.rs",
            &format!("open(\"{}x\")", local_folders(&crate::workspace::root())[0]),
            &[1],
        );
        check(machine_paths, "a.md", &format!("topic/a{home}b"), &[]);
        check(machine_paths, "a.md", "/etc/whimbrel/whimbrel.toml", &[]);
    }

    #[test]
    fn a_folder_that_every_machine_has_is_no_finding() {
        assert_eq!(local_folders(Path::new("/tmp/some-clone-of-it")), ["/tmp/some-clone-of-it/"]);
        assert_eq!(
            local_folders(Path::new("/some/where/clone-of-it")),
            ["/some/where/clone-of-it/", "/some/where/"]
        );
    }
}
