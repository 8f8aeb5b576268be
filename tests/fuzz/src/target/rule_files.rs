//! The texts of the three files of rules: no panic, every mistake has its line and is told in one, decisions name lines that
//! there are, and what another writer writes out decides the same.

use std::sync::Arc;

use whimbrel_access::{Mistakes, Partly, Rights, Rules, Who};

type Read = Result<Arc<Rules>, Mistakes>;

/// Whimbrel's own.
pub(super) fn rule_file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some(rules) = read(Rules::from_rule_file("rules", &text), &text) else { return };
    // Another writer keeps the values, and the order of the rules among themselves.
    let table: toml::Table = text.parse().expect("what was read is TOML");
    let written = toml::to_string(&table).expect("what was read can be written");
    same(&rules, &Rules::from_rule_file("rules", &written), &written);
}

/// Mosquitto's `acl_file`.
pub(super) fn acl_file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some(rules) = read(Rules::from_acl_file("acl", &text), &text) else { return };
    let commented = text.split('\n').map(|line| format!("# user eve\n{line} \r\n\n")).collect::<String>();
    same(&rules, &Rules::from_acl_file("acl", &commented), &commented);
}

/// Mosquitto's `dynamic-security.json`.
pub(super) fn dynamic_security(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some(rules) = read(Rules::from_dynamic_security("dynamic", &text), &text) else { return };
    let value: serde_json::Value = serde_json::from_str(&text).expect("what was read is JSON");
    let written = serde_json::to_string_pretty(&value).expect("what was read can be written");
    same(&rules, &Rules::from_dynamic_security("dynamic", &written), &written);
}

/// The rules, if nothing is wrong with the text; else everything that is wrong is told well.
fn read(read: Read, text: &str) -> Option<Arc<Rules>> {
    let mistakes = match read {
        Ok(rules) => return Some(rules),
        Err(mistakes) => mistakes,
    };
    let lines: Vec<&str> = text.split('\n').collect();
    assert!(!mistakes.mistakes.is_empty());
    for mistake in &mistakes.mistakes {
        let line = mistake.line.checked_sub(1).and_then(|at| lines.get(at));
        let line = line.unwrap_or_else(|| panic!("there is no line {}: {mistakes}", mistake.line));
        let is_there = |column: usize| (1..=line.chars().count() + 1).contains(&column);
        assert!(mistake.column.is_none_or(is_there), "{mistakes}");
    }
    let told = mistakes.to_string();
    let count = mistakes.mistakes.len() + usize::from(mistakes.untold > 0);
    assert_eq!(told.lines().count(), count, "{told}");
    None
}

/// Both decide the same, whoever asks; and what they say of themselves is there.
fn same(rules: &Arc<Rules>, other: &Read, written: &str) {
    let other = other.as_ref().unwrap_or_else(|mistakes| panic!("{mistakes}\n{written}"));
    assert_eq!(rules.len(), other.len(), "{written}");
    let _ = rules.lint();
    for (client, user) in [("pump", None), ("b", Some("alice")), ("a/b", Some("bob")), ("#", Some("x+"))] {
        let who = Arc::new(Who {
            client_id: client.into(),
            user_name: user.map(Arc::from),
            address: "10.1.2.3".parse().ok(),
            listener: "house".into(),
            claims: None,
        });
        let unlike = |known: &Arc<Rules>| Rights::of_unknown(known, client);
        for (one, two) in
            [(Rights::new(rules, &who), Rights::new(other, &who)), (unlike(rules), unlike(other))]
        {
            for topic in ["a", "a/b", "pump/x", "alice/pump", "$SYS/a", "$CONTROL/a", "", "/", "b/pump/alice"]
            {
                let (first, second) = (one.publish(topic, 1, true), two.publish(topic, 1, true));
                assert_eq!(first, second, "{topic} by {client}\n{written}");
                assert_eq!(one.receive(topic), two.receive(topic), "{topic} by {client}\n{written}");
                assert!(first.rule.is_none_or(|rule| rules.describe(rule).is_some()));
            }
            for filter in ["#", "a/#", "+/+", "pump/+", "$SYS/#", "a"] {
                let (first, second) =
                    (one.subscribe(filter, Partly::Filter), two.subscribe(filter, Partly::Filter));
                assert_eq!(first, second, "{filter} by {client}\n{written}");
            }
        }
    }
}
