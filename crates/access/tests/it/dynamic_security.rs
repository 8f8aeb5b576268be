//! `dynamic-security.json`: roles in their order, as an oracle goes through them.

use serde_json::{Value, json};
use whimbrel_access::{Partly, Rules};
use whimbrel_codec::matches;

use super::draw::{Draw, LEVELS, rights};

const KINDS: [&str; 6] = [
    "publishClientSend",
    "publishClientReceive",
    "subscribeLiteral",
    "subscribePattern",
    "unsubscribePattern",
    "PublishClientSend",
];
const ROLES: [&str; 4] = ["reader", "writer", "all", "none"];
const GROUPS: [&str; 3] = ["ops", "guests", "field"];
const USERS: [&str; 3] = ["alice", "bob", "carol"];

fn roles(draw: &mut Draw) -> Vec<Value> {
    let mut names = ROLES.to_vec();
    let count = draw.below(3);
    (0..count)
        .map(|_| {
            let name = names.remove(draw.below(names.len()));
            let mut role = json!({ "rolename": name });
            if !draw.one_in(3) {
                role["priority"] = json!(draw.below(3));
            }
            role
        })
        .collect()
}

fn file(draw: &mut Draw) -> Value {
    let role = |draw: &mut Draw, name: &str| {
        let acls: Vec<Value> = (0..draw.below(6))
            .map(|number| {
                // A topic and a priority once each: what else comes first, Mosquitto does not say.
                json!({ "acltype": draw.of(&KINDS), "topic": draw.filter(&["a", "b", "$SYS", "$CONTROL"]),
                        "priority": number, "allow": !draw.one_in(3) })
            })
            .collect();
        json!({ "rolename": name, "acls": acls })
    };
    let group = |draw: &mut Draw, name: &str| {
        let mut members = USERS.to_vec();
        let count = draw.below(3);
        let clients: Vec<Value> = (0..count)
            .map(|_| json!({ "username": members.remove(draw.below(members.len())), "priority": draw.below(2) }))
            .collect();
        json!({ "groupname": name, "roles": roles(draw), "clients": clients })
    };
    let mut document = json!({
        "roles": ROLES.iter().map(|name| role(draw, name)).collect::<Vec<_>>(),
        "groups": GROUPS.iter().map(|name| group(draw, name)).collect::<Vec<_>>(),
        "clients": USERS.iter().map(|name| json!({ "username": name, "roles": roles(draw) })).collect::<Vec<_>>(),
        "defaultACLAccess": { "publishClientSend": draw.one_in(2), "publishClientReceive": draw.one_in(2),
                              "subscribe": draw.one_in(2), "unsubscribe": true },
    });
    if draw.one_in(2) {
        document["anonymousGroup"] = json!("guests");
    }
    document
}

/// By priority, the highest first, then by name.
fn sorted<'a>(list: &'a Value, name: &str) -> Vec<&'a Value> {
    let mut list: Vec<&Value> = list.as_array().unwrap().iter().collect();
    list.sort_by_key(|one| (-one["priority"].as_i64().unwrap_or(-1), one[name].as_str().unwrap().to_owned()));
    list
}

fn by_role(document: &Value, role: &Value, meets: &dyn Fn(&Value) -> bool) -> Option<bool> {
    let all = document["roles"].as_array().unwrap();
    let role = all.iter().find(|one| one["rolename"] == role["rolename"]).unwrap();
    let mut acls: Vec<&Value> = role["acls"].as_array().unwrap().iter().collect();
    acls.sort_by_key(|acl| (acl["acltype"] != "subscribeLiteral", -acl["priority"].as_i64().unwrap()));
    acls.into_iter().find(|acl| meets(acl)).map(|acl| acl["allow"].as_bool().unwrap())
}

fn oracle(
    document: &Value,
    user: Option<&str>,
    action: &str,
    topic: &str,
    meets: &dyn Fn(&Value) -> bool,
) -> bool {
    let by_roles = |owner: &Value| {
        sorted(&owner["roles"], "rolename").into_iter().find_map(|role| by_role(document, role, meets))
    };
    let groups = document["groups"].as_array().unwrap();
    let said = match user {
        Some(user) => {
            let Some(client) =
                document["clients"].as_array().unwrap().iter().find(|one| one["username"] == user)
            else {
                return false;
            };
            by_roles(client).or_else(|| {
                let mut mine: Vec<(i64, &str, &Value)> = groups
                    .iter()
                    .filter_map(|group| {
                        let member = group["clients"]
                            .as_array()
                            .unwrap()
                            .iter()
                            .find(|one| one["username"] == user)?;
                        Some((
                            -member["priority"].as_i64().unwrap(),
                            group["groupname"].as_str().unwrap(),
                            group,
                        ))
                    })
                    .collect();
                mine.sort_by_key(|(priority, name, _)| (*priority, *name));
                mine.into_iter().find_map(|(_, _, group)| by_roles(group))
            })
        }
        None => document["anonymousGroup"]
            .as_str()
            .and_then(|name| groups.iter().find(|group| group["groupname"] == name))
            .and_then(by_roles),
    };
    said.unwrap_or_else(|| {
        document["defaultACLAccess"][action].as_bool().unwrap() && !topic.starts_with("$CONTROL")
    })
}

#[test]
fn random_files_are_decided_role_by_role() {
    let mut decided = [0; 2];
    for seed in 0..1_500 {
        let mut draw = Draw::new(seed + 5);
        let document = file(&mut draw);
        let rules = Rules::from_dynamic_security("dynsec", &document.to_string()).unwrap();
        for user in [Some("alice"), Some("bob"), Some("stranger"), None] {
            let rights = rights(&rules, "pump", user);
            for _ in 0..6 {
                let topic = draw.topic(&[&LEVELS[..], &["$CONTROL"]].concat());
                for (kind, decision) in [
                    ("publishClientSend", rights.publish(&topic, 0, false)),
                    ("publishClientReceive", rights.receive(&topic)),
                ] {
                    let meets = |acl: &Value| {
                        acl["acltype"].as_str().unwrap().eq_ignore_ascii_case(kind)
                            && matches(acl["topic"].as_str().unwrap(), &topic)
                    };
                    let expect = oracle(&document, user, kind, &topic, &meets);
                    assert_eq!(decision.allowed, expect, "{kind} {topic} by {user:?}\n{document:#}");
                    decided[usize::from(expect)] += 1;
                }
            }
        }
    }
    assert!(decided.iter().all(|count| *count > 5_000), "{decided:?}");
}

#[test]
fn subscriptions_have_rules_of_their_own_and_messages_are_looked_at_all_the_same() {
    let document = json!({
        "roles": [{ "rolename": "r", "acls": [
            { "acltype": "subscribePattern", "topic": "a/#", "allow": true, "priority": 0 },
            { "acltype": "subscribeLiteral", "topic": "a/+/b", "allow": false, "priority": -3 },
            { "acltype": "publishClientReceive", "topic": "a/ok", "allow": true },
        ] }],
        "clients": [{ "username": "alice", "roles": [{ "rolename": "r" }] }],
        "defaultACLAccess": { "subscribe": false },
    });
    let rules = Rules::from_dynamic_security("dynsec", &document.to_string()).unwrap();
    let alice = rights(&rules, "pump", Some("alice"));
    let granted = |filter: &str| alice.subscribe(filter, Partly::Refuse).granted;
    assert_eq!(["a/#", "a/x/b", "a/+/b", "a/+/c", "b"].map(granted), [true, true, false, true, false]);
    assert!(!alice.subscribe("a/#", Partly::Refuse).whole && alice.subscribe("a/ok", Partly::Refuse).whole);
    let rule = rules.describe(alice.receive("a/ok").rule.unwrap()).unwrap();
    assert_eq!(rule.line, None);
    assert_eq!(&*rule.words, "role r: allow publishClientReceive a/ok, priority 0");
}

#[test]
fn what_the_plug_in_does_not_write_is_told() {
    let document = json!({
        "roles": [{ "acls": [] }, { "rolename": "r", "acls": [{ "acltype": "publish", "topic": "a" }, { "acltype": "subscribeLiteral" }] }],
        "clients": [{ "username": "alice", "roles": [{ "rolename": "s" }] }],
        "groups": 7,
    });
    let told = Rules::from_dynamic_security("dynsec", &document.to_string()).unwrap_err().to_string();
    for part in [
        "roles, number 1: rolename is missing",
        "roles, number 2: acls number 1: \"publish\" is no acltype",
        "roles, number 2: acls number 2: topic is missing",
        "clients, number 1: there is no role \"s\"",
        "groups is no list",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let half = Rules::from_dynamic_security("dynsec", "{\n \"roles\": [").unwrap_err().to_string();
    assert!(half.starts_with("dynsec:2: this is not JSON"), "{half}");
}
