//! `whimbrel acl`: the line behind a decision, and the rules that decide nothing.

use std::fs;

use super::program::{folder_with, run};

const RULES: &str = "\
[groups]
operators = [\"anna\"]

[[rule]]
deny = \"subscribe\"
topics = \"house/safe/#\"

[[rule]]
allow = [\"publish\", \"subscribe\"]
topics = [\"house/#\", \"devices/%c/+\"]
groups = \"operators\"

[[rule]]
allow = \"publish\"
topics = \"devices/%c/state\"
addresses = \"10.0.0.0/8\"
";

#[test]
fn why_names_the_rule_and_its_line() {
    let folder = folder_with("access.toml", RULES);
    fs::write(folder.path().join("whimbrel.toml"), "[access]\nfile = \"access.toml\"\n").unwrap();
    let check = |arguments: &[&str], code: u8, expect: &str| {
        for source in [["--rules", "access.toml"], ["--config", "whimbrel.toml"]] {
            let line = [&["acl", "why"], &source[..], arguments].concat();
            let said = run(folder.path(), &line, &[]);
            assert_eq!(
                (said.code, said.out.as_str(), said.err.as_str()),
                (code.into(), expect, ""),
                "{line:?}"
            );
        }
    };
    check(
        &["--client", "pump", "--user", "anna", "publish", "house/safe/door"],
        0,
        "allowed to publish by access.toml:8: allow = [\"publish\", \"subscribe\"], topics = [\"house/#\", \
         \"devices/%c/+\"], groups = \"operators\"\n",
    );
    check(
        &["--client", "pump", "--user", "anna", "subscribe", "house/#"],
        1,
        "denied to subscribe by access.toml:4: deny = \"subscribe\", topics = \"house/safe/#\"\na part of what it asks \
         for may be read, another part not\n",
    );
    check(
        &["--client", "pump", "--address", "10.1.2.3", "publish", "devices/pump/state"],
        0,
        "allowed to publish by access.toml:13: allow = \"publish\", topics = \"devices/%c/state\", addresses = \
         \"10.0.0.0/8\"\n",
    );
    check(
        &["--client", "pump", "--address", "11.1.2.3", "publish", "devices/pump/state"],
        1,
        "denied to publish: no rule of access.toml allows it\n",
    );
    check(
        &["--client", "pump", "subscribe", "house/safe/door"],
        1,
        "denied to subscribe by access.toml:4: deny = \"subscribe\", topics = \"house/safe/#\"\ndenied to read by \
         access.toml:4: deny = \"subscribe\", topics = \"house/safe/#\"\n",
    );
}

#[test]
fn why_says_what_it_cannot_answer() {
    let folder = folder_with("whimbrel.toml", "");
    fs::write(folder.path().join("access.toml"), RULES).unwrap();
    let check = |arguments: &[&str], told: &str| {
        let line = [&["acl", "why", "--client", "c"], arguments].concat();
        let said = run(folder.path(), &line, &[]);
        assert_eq!(said.code, 2, "{line:?}");
        assert!(said.err.contains(told), "{}", said.err);
    };
    check(&["--config", "whimbrel.toml", "publish", "a"], "names no file of rules in [access]");
    check(&["--rules", "absent.toml", "publish", "a"], "the file of rules absent.toml cannot be read");
    check(&["--rules", "access.toml", "publish", "a/#"], "\"a/#\" is no topic");
    check(&["--rules", "access.toml", "subscribe", "a/#/b"], "\"a/#/b\" is no topic filter");
}

#[test]
fn check_tells_mistakes_and_rules_that_never_decide() {
    let folder = folder_with("access.toml", RULES);
    let said = run(folder.path(), &["acl", "check", "access.toml"], &[]);
    assert_eq!((said.code, said.out.as_str()), (0, "access.toml: 3 rules, nothing is wrong\n"));

    let shadowed = format!(
        "[[rule]]\nallow = [\"publish\", \"subscribe\"]\ntopics = \"#\"\n{}",
        RULES.split_at(RULES.find("[[").unwrap()).1.replace("groups = \"operators\"\n", "")
    );
    fs::write(folder.path().join("shadowed.toml"), shadowed).unwrap();
    let said = run(folder.path(), &["acl", "check", "shadowed.toml"], &[]);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!((said.code, lines.len()), (1, 3), "{}", said.out);
    assert!(lines[0].starts_with("shadowed.toml:4: the rule never decides"), "{}", said.out);

    fs::write(folder.path().join("wrong.toml"), "[[rule]]\nallow = \"read\"\n[rules]\n").unwrap();
    let said = run(folder.path(), &["acl", "check", "wrong.toml"], &[]);
    assert_eq!((said.code, said.err.lines().count()), (2, 3), "{}", said.err);
    assert!(said.err.contains("wrong.toml:2:9: rule.allow"), "{}", said.err);

    fs::write(folder.path().join("acl"), "topic read a/%c\n").unwrap();
    let said = run(folder.path(), &["acl", "check", "acl"], &[]);
    assert_eq!(said.code, 1);
    assert!(said.out.starts_with("acl:1: in a `topic` line"), "{}", said.out);
}
