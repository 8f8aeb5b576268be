//! Rules that decide nothing are found, and no others.

use whimbrel_access::Rules;

#[track_caller]
fn check(text: &str, lines: &[usize]) {
    let rules = Rules::from_rule_file("access.toml", text).unwrap();
    let findings = rules.lint();
    assert_eq!(findings.iter().filter_map(|one| one.line).collect::<Vec<_>>(), lines, "{findings:#?}");
}

fn rule(words: &str) -> String {
    format!("[[rule]]\n{words}\n")
}

#[test]
fn a_rule_behind_one_that_says_all_is_found() {
    let all = rule("allow = [\"publish\", \"subscribe\"]\ntopics = \"a/#\"");
    check(&(all.clone() + &rule("deny = \"publish\"\ntopics = \"a/b\"")), &[4]);
    check(&(all.clone() + &rule("deny = \"publish\"\ntopics = [\"a/b\", \"b\"]")), &[]);
    check(&(all.clone() + &rule("deny = \"publish\"\ntopics = \"a/%c/+\"\nusers = \"bob\"")), &[4]);
    check(&(rule("deny = \"publish\"\ntopics = \"a/b\"") + &all), &[]);
    check(&(all.clone() + &all), &[4]);
}

#[test]
fn a_rule_for_some_does_not_hide_one_for_others() {
    let some = rule("allow = \"publish\"\ntopics = \"#\"\nusers = [\"alice\", \"bob\"]");
    check(&(some.clone() + &rule("deny = \"publish\"\ntopics = \"a\"\nusers = \"bob\"")), &[5]);
    check(&(some.clone() + &rule("deny = \"publish\"\ntopics = \"a\"\nusers = \"carol\"")), &[]);
    check(&(some.clone() + &rule("deny = \"publish\"\ntopics = \"a\"")), &[]);
    check(&(some.clone() + &rule("deny = \"publish\"\ntopics = \"$SYS/a\"\nusers = \"bob\"")), &[]);
    let near = rule("allow = \"publish\"\ntopics = \"#\"\naddresses = \"10.0.0.0/8\"");
    check(&(near.clone() + &rule("deny = \"publish\"\ntopics = \"a\"\naddresses = \"10.2.0.0/16\"")), &[5]);
    check(&(near + &rule("deny = \"publish\"\ntopics = \"a\"\naddresses = \"11.2.0.0/16\"")), &[]);
    let of_user = rule("allow = \"publish\"\ntopics = \"a/%u\"");
    check(&(of_user.clone() + &of_user), &[4]);
    check(&(of_user.clone() + &rule("deny = \"publish\"\ntopics = \"a/%u\"")), &[]);
    check(&(of_user + &rule("deny = \"publish\"\ntopics = \"a/%c\"")), &[]);
    let level = rule("allow = \"publish\"\ntopics = \"a\"\nqos = [0, 1]");
    check(&(level.clone() + &rule("deny = \"publish\"\ntopics = \"a\"\nqos = 1")), &[5]);
    check(&(level + &rule("deny = \"publish\"\ntopics = \"a\"")), &[]);
}

#[test]
fn what_looks_like_a_name_in_an_acl_file_is_told() {
    let text = "user bob\ntopic read a/%c\npattern read b/c\npattern read b/%c\ntopic read a/+\n";
    let findings = Rules::from_acl_file("acl", text).unwrap().lint();
    let lines: Vec<_> =
        findings.iter().map(|finding| (finding.line, finding.message.split(' ').next().unwrap())).collect();
    assert_eq!(lines, [(Some(2), "in"), (Some(3), "the")], "{findings:#?}");
}
