//! Mosquitto's `acl_file`: decided as by its own lists, which an oracle keeps here as that broker does.

use whimbrel_access::{Partly, Rules};
use whimbrel_codec::matches;

use super::draw::{CLIENTS, Draw, LEVELS, USERS, rights};

/// A line as it was drawn.
#[derive(Clone, Debug)]
struct Line {
    access: &'static str,
    topic: String,
}

/// The lists that the lines of a file make: of each user, of nobody, and the patterns.
#[derive(Default)]
struct Lists {
    of: Vec<(Option<&'static str>, Vec<Line>)>,
    patterns: Vec<Line>,
}

const ACCESS: [&str; 5] = ["read", "write", "readwrite", "deny", ""];
const WORDS: [&str; 8] = ["a", "b", "%c", "%u", "alice", "$SYS", "x%c", "pump"];

fn add(list: &mut Vec<Line>, line: Line) {
    if line.access == "deny" { list.insert(0, line) } else { list.push(line) }
}

fn drawn(draw: &mut Draw) -> (String, Lists) {
    let (mut text, mut lists, mut user) = (String::new(), Lists::default(), None);
    for _ in 0..1 + draw.below(25) {
        match draw.below(5) {
            0 => {
                let name = draw.of(&USERS);
                user = Some(name);
                text += &format!("user {name}\n");
                continue;
            }
            1 => text += draw.of(&["# a remark\n", "\n", "   \n"]),
            _ => {}
        }
        let line = Line { access: draw.of(&ACCESS), topic: draw.filter(&WORDS) };
        let is_pattern = draw.one_in(2);
        let kind = if is_pattern { "pattern" } else { "topic" };
        let blank = draw.of(&[" ", "  ", " "]);
        text += &format!("{kind}{blank}{}{blank}{}\r\n", line.access, line.topic);
        let list = match is_pattern {
            true => &mut lists.patterns,
            false => match lists.of.iter().position(|(name, _)| *name == user) {
                Some(at) => &mut lists.of[at].1,
                None => {
                    lists.of.push((user, Vec::new()));
                    &mut lists.of.last_mut().unwrap().1
                }
            },
        };
        add(list, line);
    }
    (text, lists)
}

fn says(line: &Line, filter: &str, topic: &str, access: &str) -> Option<bool> {
    if !matches(filter, topic) {
        return None;
    }
    match line.access {
        "deny" => Some(false),
        "readwrite" | "" => Some(true),
        own => (own == access).then_some(true),
    }
}

fn oracle(lists: &Lists, client: &str, user: Option<&str>, topic: &str, access: &str) -> bool {
    let own = lists
        .of
        .iter()
        .find(|(name, _)| *name == user)
        .map(|(_, lines)| lines.as_slice())
        .unwrap_or_default();
    if let Some(said) = own.iter().find_map(|line| says(line, &line.topic, topic, access)) {
        return said;
    }
    if client.contains(['+', '#']) || user.is_some_and(|user| user.contains(['+', '#'])) {
        return false;
    }
    let of_pattern = |line: &Line| {
        if line.topic.contains("%u") && user.is_none() {
            return None;
        }
        // In one pass: what a name contains is not looked at again.
        let mut filter = String::new();
        let mut rest = line.topic.as_str();
        while !rest.is_empty() {
            let (take, put) = match (rest.get(..2), user) {
                (Some("%c"), _) => (2, client),
                (Some("%u"), Some(user)) => (2, user),
                _ => (1, &rest[..1]),
            };
            filter += put;
            rest = &rest[take..];
        }
        says(line, &filter, topic, access)
    };
    lists.patterns.iter().find_map(of_pattern).unwrap_or(false)
}

#[test]
fn random_files_are_decided_as_mosquitto_decides_them() {
    let mut decided = [0; 2];
    for seed in 0..2_000 {
        let mut draw = Draw::new(seed + 3);
        let (text, lists) = drawn(&mut draw);
        let rules =
            Rules::from_acl_file("acl", &text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
        for _ in 0..8 {
            let user = (!draw.one_in(4)).then(|| draw.of(&USERS));
            let rights = rights(&rules, draw.of(&CLIENTS), user);
            let client = rights.who().client_id.clone();
            for _ in 0..8 {
                let topic = draw.topic(&[&LEVELS[..], &["xpump", "xb"]].concat());
                for (access, allowed) in
                    [("write", rights.publish(&topic, 0, false)), ("read", rights.receive(&topic))]
                {
                    let expect = oracle(&lists, &client, user, &topic, access);
                    assert_eq!(allowed.allowed, expect, "{access} {topic} by {client} {user:?}\n{text}");
                    decided[usize::from(expect)] += 1;
                }
            }
        }
    }
    assert!(decided.iter().all(|count| *count > 5_000), "both are drawn often: {decided:?}");
}

#[test]
fn what_a_filter_is_granted_is_true_of_its_topics() {
    for seed in 0..800 {
        let mut draw = Draw::new(seed + 11);
        let (text, _) = drawn(&mut draw);
        let rules = Rules::from_acl_file("acl", &text).unwrap();
        let user = (!draw.one_in(4)).then(|| draw.of(&USERS));
        let rights = rights(&rules, draw.of(&CLIENTS), user);
        for _ in 0..6 {
            let filter = draw.filter(&["a", "b", "alice", "$SYS"]);
            let grant = rights.subscribe(&filter, Partly::Refuse);
            assert!(grant.granted, "a subscription is always granted");
            for _ in 0..40 {
                let topic = draw.topic(&LEVELS);
                if matches(&filter, &topic) {
                    let readable = rights.receive(&topic).allowed;
                    assert!(!grant.whole || readable, "{filter} {topic} {:?}\n{text}", rights.who());
                    assert!(
                        grant.whole || grant.partly || !readable,
                        "{filter} {topic} {:?}\n{text}",
                        rights.who()
                    );
                }
            }
        }
    }
}

#[test]
fn lines_are_read_as_mosquitto_reads_them() {
    let text = "\
topic read news/#
# a remark
user  bob builder
topic write plain with blanks
topic readwrite   a/b \t
topic read
topic deny secret
pattern write %c/up
";
    let rules = Rules::from_acl_file("acl", text).unwrap();
    let bob = rights(&rules, "pump", Some("bob builder"));
    let check = |allowed: whimbrel_access::Decision, expect: bool, line: Option<usize>| {
        let of = allowed.rule.and_then(|rule| rules.describe(rule)).and_then(|rule| rule.line);
        assert_eq!((allowed.allowed, of), (expect, line));
    };
    check(rights(&rules, "pump", None).receive("news/today"), true, Some(1));
    check(bob.receive("news/today"), false, None);
    check(bob.publish("plain with blanks", 0, false), true, Some(4));
    check(bob.publish("a/b", 0, false), true, Some(5));
    check(bob.publish("read", 0, false), true, Some(6));
    check(bob.publish("secret", 0, false), false, Some(7));
    check(bob.publish("pump/up", 0, false), true, Some(8));
    check(bob.receive("pump/up"), false, None);
}

#[test]
fn what_mosquitto_does_not_read_is_told_with_its_line() {
    let text = "\
topic
user
topics read a
topic rw a
topic read a/#/b
\tuser bob
 # a remark with a blank in front
pattern
";
    let told = Rules::from_acl_file("acl", text).unwrap_err().to_string();
    let lines: Vec<&str> = told.lines().collect();
    let expect = [
        "acl:1: a topic is missing",
        "acl:2: a user name is missing",
        "acl:3: \"topics\" begins no line",
        "acl:4: \"rw\" is not `read`",
        "acl:5: \"a/#/b\" is no topic filter",
        "acl:6: \"\\tuser\" begins no line",
        "acl:7: \"#\" begins no line",
        "acl:8: a topic is missing",
    ];
    assert_eq!(lines.len(), expect.len(), "{told}");
    for (line, expect) in lines.iter().zip(expect) {
        assert!(line.starts_with(expect), "{line}\n{expect}");
    }
}

#[test]
fn a_file_without_lines_denies_everything() {
    let rules = Rules::from_acl_file("acl", "# nothing yet\n").unwrap();
    assert!(!rights(&rules, "pump", Some("bob")).publish("a", 0, false).allowed);
    assert!(!rights(&rules, "pump", None).receive("a").allowed);
}
