//! The frame of the command line: version, help, completions, manual pages, mistakes.

use std::path::Path;

use super::program::{Said, run};

fn say(arguments: &[&str]) -> Said {
    run(Path::new("."), arguments, &[])
}

#[test]
fn the_version_names_the_commit_and_the_features() {
    let said = say(&["--version"]);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!((said.code, lines.len()), (0, 3), "{}", said.out);
    assert_eq!(lines[0], concat!("whimbrel ", env!("CARGO_PKG_VERSION")));
    assert!(lines[1].strip_prefix("commit: ").is_some_and(|commit| !commit.is_empty()));
    assert!(lines[2].strip_prefix("features: ").is_some_and(|features| !features.is_empty()));
}

#[test]
fn mistakes_on_the_command_line_end_with_2_and_say_what_was_meant() {
    let check = |arguments: &[&str], expect: &str| {
        let said = say(arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""));
        assert!(said.err.contains(expect), "{}", said.err);
    };
    check(&["sevre"], "serve");
    check(&["serve", "--pasword-file", "x"], "--password-file");
    check(&["serve", "--log-format", "xml"], "human, json");
    check(&["serve", "-v", "--log-level", "info"], "cannot be used with");
    check(
        &["serve", "--packet-bytes-max", "many"],
        "flag --packet-bytes-max: limits.packet_bytes_max: \"many\"",
    );
    check(&["completions", "dos"], "bash");
}

#[test]
fn every_shell_has_completions_for_every_flag() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let said = say(&["completions", shell]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{shell}");
        assert!(said.out.contains("packet-bytes-max"), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let pages = folder.path().join("man1");
    let said = run(folder.path(), &["man", "man1"], &[]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    for command in [
        "",
        "-serve",
        "-pub",
        "-sub",
        "-bench",
        "-bench-p2p",
        "-ctl",
        "-ctl-kick",
        "-ctl-backup",
        "-store-check",
        "-config",
        "-config-check",
        "-completions",
        "-man",
    ] {
        let page =
            std::fs::read_to_string(pages.join(format!("whimbrel{command}.1"))).expect("there is a page");
        assert!(page.contains(".SH NAME"), "whimbrel{command}");
    }
    let first = std::fs::read_to_string(pages.join("whimbrel.1")).expect("there is a page");
    assert_eq!(say(&["man"]).out, first);
}

#[test]
fn pages_that_cannot_be_written_end_with_1() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    std::fs::write(folder.path().join("man1"), "").expect("the file can be written");
    let said = run(folder.path(), &["man", "man1"], &[]);
    assert_eq!(said.code, 1);
    assert!(said.err.starts_with("whimbrel: the manual pages cannot be written to man1: "), "{}", said.err);
}

#[test]
fn help_names_the_default_and_the_variable_of_a_flag() {
    let said = say(&["serve", "--help"]);
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("[env: WHIMBREL_LIMITS_PACKET_BYTES_MAX] [default: 1_048_576]"), "{}", said.out);
}
