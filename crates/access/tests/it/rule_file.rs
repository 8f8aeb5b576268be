//! The file of rules: what it may say, and that all mistakes are told at once with their places.

use whimbrel_access::Rules;

use super::draw::rights;

#[track_caller]
fn told(text: &str) -> Vec<String> {
    let mistakes = Rules::from_rule_file("access.toml", text).unwrap_err();
    mistakes.to_string().lines().map(str::to_owned).collect()
}

#[track_caller]
fn check(text: &str, expect: &[&str]) {
    let told = told(text);
    assert_eq!(told.len(), expect.len(), "{told:#?}");
    for (line, expect) in told.iter().zip(expect) {
        assert!(line.starts_with(expect), "told:     {line}\nexpected: {expect}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_with_line_column_and_key() {
    let text = "\
[groups]
ops = [\"alice\", 7]

[[rule]]
allow = \"write\"
topics = [\"a/#/b\", \"$share/g/a\"]
user = \"alice\"

[[rule]]
topics = \"a\"

[[rule]]
allow = \"publish\"
deny = \"publish\"
topics = \"a\"

[[rule]]
deny = [\"publish\", \"subscribe\"]
groups = [\"opps\"]
addresses = [\"10.1.2.3/8\", \"house\"]
qos = 3
anonymous = false
clients = \"a*b\"

[rules]
";
    check(
        text,
        &[
            "access.toml:2:17: groups.ops: allowed is a text that is not empty",
            "access.toml:5:9: rule.allow: \"write\" is not allowed here; allowed is \"publish\" or \"subscribe\"",
            "access.toml:6:11: rule.topics: \"a/#/b\" is no topic filter",
            "access.toml:6:20: rule.topics: name the filter behind $share/NAME/",
            "access.toml:7:1: rule.user: there is no such key; a rule has \"allow\"",
            "access.toml:9:1: rule: say what it does",
            "access.toml:14:8: rule.deny: the rule has `allow` already",
            "access.toml:17:1: rule: topics is missing",
            "access.toml:19:11: rule.groups: there is no group \"opps\" in [groups]",
            "access.toml:20:14: rule.addresses: \"10.1.2.3/8\": bits are set behind those that count; write 10.0.0.0/8",
            "access.toml:20:28: rule.addresses: \"house\": this is not an address",
            "access.toml:21:7: rule.qos: it speaks of messages that are published",
            "access.toml:21:7: rule.qos: allowed is 0, 1 or 2",
            "access.toml:22:13: rule.anonymous: allowed is true",
            "access.toml:23:11: rule.clients: * may stand at the end only",
            "access.toml:25:2: rules: there is no such section",
        ],
    );
}

#[test]
fn a_file_that_is_half_written_is_no_file_of_rules() {
    let whole = "\
[[rule]]
deny = \"publish\"
topics = \"a/#\"
users = [\"alice\"]

[[rule]]
allow = \"publish\"
topics = \"#\"
";
    assert!(Rules::from_rule_file("access.toml", whole).is_ok());
    let first = whole.find("\n\n").unwrap();
    for (end, _) in whole.char_indices() {
        let half = &whole[..end];
        match Rules::from_rule_file("access.toml", half) {
            Err(mistakes) => assert!(mistakes.mistakes[0].line > 0),
            // A file that ends between two keys or rules cannot be told from one that is meant so: then it says no more
            // than what stands there, and nobody is allowed what the missing part would have denied.
            Ok(rules) => {
                let allowed = rights(&rules, "pump", Some("alice")).publish("a/b", 0, false).allowed;
                assert!(!allowed, "{half}");
                assert!(end < first || half.ends_with(['\n', ']', '"']), "{half}");
            }
        }
    }
}

#[test]
fn a_text_that_is_not_toml_is_told_line_by_line() {
    check(
        "[[rule]]\nallow = \"publish\ntopics = \"a\"\nusers = alice\n",
        &["access.toml:2:17: this is not TOML", "access.toml:4:9: this is not TOML"],
    );
}

#[test]
fn a_decision_names_the_line_and_the_words_of_its_rule() {
    let text = "# who may do what\n\n[[rule]]\nallow = \"publish\"\ntopics = [\"a/+\", \"b\"]\nusers = \"alice\"\nqos = [0, 1]\n";
    let rules = Rules::from_rule_file("access.toml", text).unwrap();
    let decision = rights(&rules, "pump", Some("alice")).publish("a/b", 1, false);
    let rule = rules.describe(decision.rule.unwrap()).unwrap();
    assert_eq!((&*rule.file, rule.line), ("access.toml", Some(3)));
    assert_eq!(
        &*rule.words,
        "allow = \"publish\", topics = [\"a/+\", \"b\"], users = \"alice\", qos = [0, 1]"
    );
    assert!(!rights(&rules, "pump", Some("alice")).publish("a/b", 2, false).allowed);
}

#[test]
fn of_very_many_mistakes_the_first_hundred_are_told() {
    let told = told(&"[[rule]]\n".repeat(150));
    assert_eq!(told.len(), 101);
    assert_eq!(told[100], "access.toml: and 50 mistakes more");
}
