//! What a filter is granted says the truth about every topic that it matches.

use whimbrel_access::{Partly, Rules};
use whimbrel_codec::matches;

use super::draw::{CLIENTS, Draw, LEVELS, USERS, rights};

/// Every topic of up to three of the levels.
fn topics() -> Vec<String> {
    let mut topics = Vec::new();
    for one in LEVELS {
        topics.push(one.to_owned());
        for two in LEVELS {
            topics.push(format!("{one}/{two}"));
            topics.extend(LEVELS.iter().map(|three| format!("{one}/{two}/{three}")));
        }
    }
    topics.retain(|topic| !topic.is_empty());
    topics
}

#[test]
fn what_is_granted_whole_is_readable_and_what_is_refused_has_a_part_that_is_not() {
    let topics = topics();
    let mut seen = [0; 3];
    for seed in 0..1_200 {
        let mut draw = Draw::new(seed + 7);
        let mut text = String::new();
        for _ in 0..1 + draw.below(8) {
            let says = if draw.one_in(3) { "deny" } else { "allow" };
            let filter = draw.filter(&["%c", "%u", "a", "b", "alice", "$SYS"]);
            text += &format!("[[rule]]\n{says} = \"subscribe\"\ntopics = {filter:?}\n");
        }
        let rules = Rules::from_rule_file("rules", &text).unwrap();
        let user = (!draw.one_in(4)).then(|| draw.of(&USERS));
        let rights = rights(&rules, draw.of(&CLIENTS), user);
        for _ in 0..6 {
            let filter = draw.filter(&["a", "b", "alice", "pump", "$SYS"]);
            let readable: Vec<bool> = topics
                .iter()
                .filter(|topic| matches(&filter, topic))
                .map(|topic| rights.receive(topic).allowed)
                .collect();
            let grant = rights.subscribe(&filter, Partly::Filter);
            let strict = rights.subscribe(&filter, Partly::Refuse);
            let context = || format!("{filter} by {:?}: {grant:?} {readable:?}\n{text}", rights.who());
            assert_eq!(strict.granted, grant.whole, "{}", context());
            assert_eq!(grant.granted, grant.whole || grant.partly, "{}", context());
            assert!(!grant.whole || readable.iter().all(|one| *one), "whole is all: {}", context());
            assert!(grant.granted || !readable.iter().any(|one| *one), "refused is nothing: {}", context());
            seen[if grant.whole { 0 } else { 1 + usize::from(grant.granted) }] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 300), "each is drawn often: {seen:?}");
}

#[test]
fn a_wildcard_does_not_widen_what_may_be_read() {
    let text = "\
[[rule]]
deny = \"subscribe\"
topics = \"house/safe/#\"

[[rule]]
allow = \"subscribe\"
topics = \"house/#\"
";
    let rules = Rules::from_rule_file("rules", text).unwrap();
    let rights = rights(&rules, "pump", None);
    let check = |filter: &str, granted: bool, partly: bool, line: Option<usize>| {
        let grant = rights.subscribe(filter, Partly::Refuse);
        let of = grant.rule.and_then(|rule| rules.describe(rule)).and_then(|rule| rule.line);
        assert_eq!((grant.granted, grant.partly, of), (granted, partly, line), "{filter}");
    };
    check("house/hall", true, false, Some(5));
    check("house/hall/#", true, false, Some(5));
    check("house/#", false, true, Some(1));
    check("house/+/door", false, true, Some(1));
    check("#", false, true, Some(1));
    check("+/safe/door", false, true, Some(1));
    check("house/safe/door", false, false, Some(1));
    check("garden/#", false, false, None);
    check("$SYS/#", false, false, None);
}

#[test]
fn topics_that_begin_with_a_dollar_have_rules_of_their_own() {
    let text = "[[rule]]\nallow = [\"publish\", \"subscribe\"]\ntopics = [\"#\", \"$SYS/broker/uptime\"]\n";
    let rules = Rules::from_rule_file("rules", text).unwrap();
    let rights = rights(&rules, "pump", None);
    assert!(rights.receive("$SYS/broker/uptime").allowed);
    assert!(!rights.receive("$SYS/broker/version").allowed);
    assert!(!rights.publish("$mine/topic", 0, false).allowed);
    assert!(rights.subscribe("#", Partly::Refuse).whole);
    assert!(!rights.subscribe("$SYS/#", Partly::Refuse).granted);
    assert!(rights.subscribe("$SYS/broker/uptime", Partly::Refuse).granted);
}

#[test]
fn a_question_about_a_filter_tells_how_many_rules_it_met() {
    let rule = |topic: &str| format!("[[rule]]\nallow = \"subscribe\"\ntopics = \"{topic}\"\n");
    let text: String = (0..40).map(|number| rule(&format!("a/{number}"))).collect();
    let rules = Rules::from_rule_file("rules", &text).unwrap();
    let rights = rights(&rules, "pump", None);
    for (filter, met) in [("a/#", 40), ("a/+", 40), ("a/7", 1), ("b/#", 0)] {
        assert_eq!(rights.subscribe(filter, Partly::Refuse).met, met, "{filter}");
    }
}
