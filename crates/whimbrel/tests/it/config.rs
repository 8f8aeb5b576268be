//! `whimbrel config`, and what `whimbrel serve` says of a configuration that is wrong.

use super::program::{folder_with, run};

const WRONG: &str = "\
[limits]
packet_byte_max = 5
receive_maximum = 0

[[listener]]
address = \"0.0.0.0:1883\"
";

#[test]
fn check_tells_every_problem_at_once_with_file_line_and_key() {
    let folder = folder_with("wrong.toml", WRONG);
    let said = run(folder.path(), &["config", "check", "wrong.toml"], &[]);
    let lines: Vec<&str> = said.err.lines().collect();
    assert_eq!((said.code, said.out.as_str(), lines.len()), (2, "", 4), "{}", said.err);
    let check = |line: usize, expect: &str| assert!(lines[line].starts_with(expect), "{}", said.err);
    check(0, "whimbrel: these 3 things are wrong with the configuration:");
    check(1, "wrong.toml:2:1: limits.packet_byte_max: there is no such key; did you mean packet_bytes_max?");
    check(2, "wrong.toml:3:19: limits.receive_maximum: 0 is not allowed here; allowed is an integer from 1 ");
    check(3, "wrong.toml:6:11: listener.address: other machines can reach 0.0.0.0:1883, and nobody is ");
}

#[test]
fn serve_refuses_what_check_refuses_in_the_same_words() {
    let folder = folder_with("wrong.toml", WRONG);
    let checked = run(folder.path(), &["config", "check", "wrong.toml"], &[]);
    let served = run(folder.path(), &["serve", "--config", "wrong.toml"], &[]);
    let bare = run(folder.path(), &[], &[("WHIMBREL_CONFIG", "wrong.toml")]);
    assert_eq!((served.code, &served.err), (2, &checked.err));
    assert_eq!((bare.code, &bare.err), (2, &checked.err));
}

#[test]
fn check_says_when_nothing_is_wrong() {
    let folder = folder_with("good.toml", "[limits]\nreceive_maximum = 20\n");
    let check = |arguments: &[&str], environment: &[(&str, &str)], expect: &str| {
        let said = run(folder.path(), arguments, environment);
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, expect, ""));
    };
    check(&["config", "check", "good.toml"], &[], "good.toml: nothing is wrong\n");
    check(&["config", "check"], &[("WHIMBREL_CONFIG", "good.toml")], "good.toml: nothing is wrong\n");
    check(&["config", "check"], &[], "the environment (there is no file): nothing is wrong\n");
}

#[test]
fn check_looks_at_the_environment_too() {
    let folder = folder_with("good.toml", "");
    let said =
        run(folder.path(), &["config", "check", "good.toml"], &[("WHIMBREL_LIMITS_PACKET_BYTE_MAX", "5")]);
    let expect = "environment WHIMBREL_LIMITS_PACKET_BYTE_MAX: there is no such setting; did you mean \
                  WHIMBREL_LIMITS_PACKET_BYTES_MAX?";
    assert_eq!((said.code, said.err.lines().nth(1)), (2, Some(expect)));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = folder_with("latin1.toml", "");
    std::fs::write(folder.path().join("latin1.toml"), [b'#', 0xE9]).expect("the file can be written");
    let check = |name: &str| {
        let said = run(folder.path(), &["config", "check", name], &[]);
        assert_eq!(said.code, 2);
        assert!(said.err.contains(&format!("{name}: the file cannot be read: ")), "{}", said.err);
    };
    check("missing.toml");
    check("latin1.toml");
}

#[test]
fn the_default_file_passes_the_check() {
    let folder = folder_with("empty.toml", "");
    let said = run(folder.path(), &["config", "default"], &[]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let folder = folder_with("default.toml", &said.out);
    assert_eq!(run(folder.path(), &["config", "check", "default.toml"], &[]).code, 0);
}

#[test]
fn the_reference_is_the_page_in_the_repository() {
    let folder = folder_with("empty.toml", "");
    let said = run(folder.path(), &["config", "reference"], &[]);
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md"));
    assert_eq!((said.code, said.out), (0, page.expect("the page is there")));
}
