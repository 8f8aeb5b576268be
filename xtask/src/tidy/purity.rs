//! The pure crates read no clock, socket, file, environment or random source, and print nothing: invariant 1.

use super::{Finding, SourceFile, holds_word, is_word};

/// Where it holds: what these crates are built from. Their integration tests may read files.
const PURE: &[&str] = &["crates/codec/src/", "crates/proto/src/", "crates/engine/src/"];

/// Modules of the standard library that reach the world.
const WORLDLY: &[&str] = &["net", "fs", "thread", "env", "process", "os", "time::Instant::now"];

/// Words that reach it by another way, matched as whole words.
const WORDS: &[&str] = &[
    "tokio",
    "rand",
    "getrandom",
    "Instant::now",
    "SystemTime",
    "RandomState",
    "println!",
    "eprintln!",
    "print!",
    "eprint!",
    "dbg!",
    "thread_local!",
];

pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    if !file.is_rust() || !PURE.iter().any(|folder| file.path.starts_with(folder)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in file.code.lines().enumerate() {
        for word in WORDS.iter().filter(|word| holds_word(line, word)) {
            findings.push(Finding::new(file, number + 1, format!("`{word}` in a pure crate")));
        }
    }
    for (at, _) in file.code.match_indices("std::") {
        let is_std = !file.code.get(..at).is_some_and(|before| before.ends_with(is_word));
        let after = file.code.get(at + "std::".len()..).unwrap_or_default();
        if let Some(module) = WORLDLY.iter().find(|module| is_std && imports(after, module)) {
            let line = file.code.get(..at).map_or(0, |before| before.matches('\n').count());
            findings.push(Finding::new(file, line + 1, format!("`std::{module}` in a pure crate")));
        }
    }
    findings
}

/// Whether what follows `std::` names the module, alone or as a member of a group in braces.
fn imports(after: &str, module: &str) -> bool {
    match after.strip_prefix('{') {
        None => starts_with_word(after, module),
        Some(group) => members(group).iter().any(|member| starts_with_word(member.trim_start(), module)),
    }
}

/// The members of a group up to its closing brace; what lies in braces within is left with its member.
fn members(group: &str) -> Vec<&str> {
    let mut members = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                members.extend(group.get(start..at));
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    members
}

fn starts_with_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| !rest.starts_with(is_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        super::check(&SourceFile::new(path, text))
            .into_iter()
            .map(|finding| (finding.line, finding.what))
            .collect()
    }

    #[test]
    fn the_world_is_found_wherever_it_hides() {
        let check = |text: &str, expect: Option<&str>| {
            let found = found("crates/engine/src/will.rs", text);
            let expect: Vec<_> =
                expect.map(|what| (1, format!("`{what}` in a pure crate"))).into_iter().collect();
            assert_eq!(found, expect, "{text}");
        };
        check("use std::net::TcpStream;", Some("std::net"));
        check("use std::{collections::HashMap, fs};", Some("std::fs"));
        check("use std::{sync::{Arc, Mutex}, thread};", Some("std::thread"));
        check("let now = Instant::now();", Some("Instant::now"));
        check("let now: SystemTime = now;", Some("SystemTime"));
        check("std::env::var(name)", Some("std::env"));
        check("tokio::spawn(x)", Some("tokio"));
        check("let x = rand::random();", Some("rand"));
        check("println!();", Some("println!"));
        check("use std::{collections::HashMap, sync::{Arc, Mutex}};", None);
        check("use std::network::X; let operand = 1;", None);
        check("// println! and std::fs in a comment", None);
        check("let text = \"tokio\";", None);
        check("let brand = my_std::fs();", None);
    }

    #[test]
    fn it_holds_for_pure_crates_only() {
        assert_eq!(found("crates/codec/src/frame.rs", "\nuse std::fs;").len(), 1);
        assert!(found("crates/codec/tests/it.rs", "use std::fs;").is_empty());
        assert!(found("crates/broker/src/lib.rs", "use std::fs;").is_empty());
    }
}
