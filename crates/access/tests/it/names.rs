//! Names of clients and users in rules: what they contain opens nothing.

use whimbrel_access::{Partly, Rights, Rules};

use super::draw::rights;

const OWN: &str = "\
[[rule]]
allow = [\"publish\", \"subscribe\"]
topics = [\"devices/%c/#\", \"home/%u/+\", \"by-%u-%c\"]
";

#[test]
fn a_name_stands_for_one_level_and_nothing_else() {
    let rules = Rules::from_rule_file("rules", OWN).unwrap();
    let check = |client: &str, user: Option<&str>, topic: &str, allowed: bool| {
        let rights = rights(&rules, client, user);
        assert_eq!(rights.publish(topic, 0, false).allowed, allowed, "{client} {user:?} {topic}");
        assert_eq!(rights.receive(topic).allowed, allowed, "{client} {user:?} {topic}");
        assert_eq!(rights.subscribe(topic, Partly::Refuse).granted, allowed, "{client} {user:?} {topic}");
    };
    check("pump", Some("alice"), "devices/pump/speed", true);
    check("pump", Some("alice"), "devices/pump", true);
    check("pump", Some("alice"), "devices/pumps/speed", false);
    check("pump", Some("alice"), "devices/other/speed", false);
    check("pump", Some("alice"), "home/alice/door", true);
    check("pump", Some("alice"), "home/bob/door", false);
    check("pump", None, "home/alice/door", false);
    check("pump", Some("alice"), "by-alice-pump", true);
    check("pump", Some("alice"), "by-alice-pumps", false);
    check("pump", None, "by--pump", false);
}

#[test]
fn wildcards_and_slashes_in_names_open_nothing() {
    let rules = Rules::from_rule_file("rules", OWN).unwrap();
    for name in ["+", "#", "a/b", "+/x", "a+", "", "\0"] {
        for rights in [rights(&rules, name, Some("alice")), rights(&rules, "pump", Some(name))] {
            let who = rights.who().clone();
            for topic in [
                "devices/+/speed",
                "devices/a/b",
                "devices/a/b/c",
                "devices/#",
                "home/a/b",
                "devices//x",
                "home//x",
            ] {
                if *who.client_id == *name {
                    assert!(!rights.publish(topic, 0, false).allowed, "{topic} {who:?}");
                    assert!(!rights.subscribe(topic, Partly::Filter).granted, "{topic} {who:?}");
                } else if topic.starts_with("home") {
                    assert!(!rights.publish(topic, 0, false).allowed, "{topic} {who:?}");
                }
            }
        }
    }
}

#[test]
fn a_denial_is_not_escaped_by_an_odd_name() {
    let text = "\
[[rule]]
deny = [\"publish\", \"subscribe\"]
topics = \"queue/%c/#\"

[[rule]]
allow = [\"publish\", \"subscribe\"]
topics = \"queue/#\"
";
    let rules = Rules::from_rule_file("rules", text).unwrap();
    let check = |client: &str, topic: &str, allowed: bool| {
        let rights = rights(&rules, client, None);
        assert_eq!(rights.publish(topic, 0, false).allowed, allowed, "{client} {topic}");
        assert_eq!(rights.subscribe(topic, Partly::Refuse).granted, allowed, "{client} {topic}");
    };
    check("pump", "queue/pump/x", false);
    check("pump", "queue/other/x", true);
    check("a/b", "queue/a/b/x", false);
    check("a/b", "queue/other/x", false);
    check("a/b", "queue", true);
}

#[test]
fn a_name_does_not_make_a_topic_of_the_server() {
    let rules =
        Rules::from_rule_file("rules", "[[rule]]\nallow = \"subscribe\"\ntopics = \"%c/#\"\n").unwrap();
    assert!(!rights(&rules, "$SYS", None).receive("$SYS/broker/uptime").allowed);
    assert!(!rights(&rules, "$SYS", None).subscribe("$SYS/#", Partly::Filter).granted);
    assert!(rights(&rules, "pump", None).receive("pump/x").allowed);
}

/// What allows has to be for everybody with the identifier; what denies may be for anybody.
#[test]
fn who_is_unknown_gets_what_whoever_it_was_may_do() {
    let check = |text: &str, allowed: bool| {
        let rules = Rules::from_rule_file("rules", text).unwrap();
        assert_eq!(Rights::of_unknown(&rules, "pump").publish("a/pump", 1, true).allowed, allowed, "{text}");
    };
    let groups = "[groups]\ng = [\"alice\"]\n";
    let rule = |says: &str, topics: &str, whom: &str| {
        format!("[[rule]]\n{says} = \"publish\"\ntopics = \"{topics}\"\n{whom}\n")
    };
    check("", false);
    let open = rule("allow", "a/%c", "");
    check(&open, true);
    check(&rule("allow", "#", "clients = \"pu*\""), true);
    check(&rule("allow", "#", "clients = \"other\""), false);
    for whom in [
        "users = \"alice\"",
        "users = [\"alice\", \"bob\"]",
        "groups = \"g\"",
        "anonymous = true",
        "addresses = \"0.0.0.0/0\"",
        "listeners = \"house\"",
    ] {
        check(&(groups.to_owned() + &rule("allow", "a/#", whom)), false);
        check(&(groups.to_owned() + &rule("deny", "a/#", whom) + &open), false);
        check(&(groups.to_owned() + &open + &rule("deny", "a/#", whom)), true);
        let of_others = format!("{whom}\nclients = \"other\"");
        check(&(groups.to_owned() + &rule("deny", "a/#", &of_others) + &open), true);
    }
    check(&rule("allow", "+/%u", ""), false);
    check(&(rule("deny", "a/%u", "") + &open), false);
    check(&(rule("deny", "b/%u", "") + &open), true);
}

#[test]
fn who_is_unknown_gets_nothing_of_roles_and_of_no_users_list() {
    let allowed = |rules: &std::sync::Arc<Rules>, topic: &str| {
        Rights::of_unknown(rules, "pump").publish(topic, 0, false).allowed
    };
    let acl = "topic write all/x\nuser alice\ntopic write a/#\ntopic deny d/pump\npattern write d/%c\npattern write b/%c\n";
    let rules = Rules::from_acl_file("acl", acl).unwrap();
    for (topic, expect) in
        [("all/x", false), ("a/x", false), ("d/pump", false), ("b/pump", true), ("b/other", false)]
    {
        assert_eq!(allowed(&rules, topic), expect, "{topic}");
    }
    let roles = r##"{"defaultACLAccess": {"publishClientSend": true}, "anonymousGroup": "g",
        "groups": [{"groupname": "g", "roles": [{"rolename": "r"}]}],
        "roles": [{"rolename": "r", "acls": [{"acltype": "publishClientSend", "topic": "#", "allow": true}]}]}"##;
    let rules = Rules::from_dynamic_security("file", roles).unwrap();
    assert!(!allowed(&rules, "a"));
}
