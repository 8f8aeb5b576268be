//! The compiled tree of rules against a reader that goes through them one by one, with texts: the same decisions by the
//! same lines; and what a filter is granted is the truth about every topic that it matches.

use whimbrel_access::{Decision, Partly, Rights, Rules};
use whimbrel_codec::matches;

use self::{
    draw::{CLIENTS, Draw, USERS, who},
    one_by_one::{ADDRESSES, LISTENERS, Plain, file, oracle, plain},
};

#[path = "../../../../crates/access/tests/it/one_by_one.rs"]
mod one_by_one;

/// The choices of that reader's tests, drawn from an input.
mod draw {
    use std::sync::Arc;

    use whimbrel_access::Who;

    pub(super) const USERS: [&str; 5] = ["alice", "bob", "a/b", "x+", "$SYS"];
    pub(super) const CLIENTS: [&str; 6] = ["pump", "alice", "a/b", "#", "$SYS", "b"];

    /// What is drawn beyond the end is zero.
    pub(super) struct Draw {
        bytes: Vec<u8>,
        at: usize,
    }

    impl Draw {
        pub(super) fn new(bytes: &[u8]) -> Draw {
            Draw { bytes: bytes.to_vec(), at: 0 }
        }

        pub(super) fn is_empty(&self) -> bool {
            self.at >= self.bytes.len()
        }

        pub(super) fn below(&mut self, end: usize) -> usize {
            self.at += 1;
            usize::from(self.bytes.get(self.at - 1).copied().unwrap_or_default()) % end
        }

        pub(super) fn one_in(&mut self, parts: usize) -> bool {
            self.below(parts) == parts - 1
        }

        pub(super) fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
            words[self.below(words.len())]
        }

        pub(super) fn filter(&mut self, levels: &[&str]) -> String {
            let mut filter = self.topic(levels);
            match self.below(8) {
                0 => filter = "#".to_owned(),
                1 | 2 => filter.push_str("/#"),
                3 => filter.insert_str(0, "+/"),
                4 => filter.push_str("/+"),
                _ => {}
            }
            filter
        }

        pub(super) fn topic(&mut self, levels: &[&str]) -> String {
            let count = 1 + self.below(4);
            let topic = (0..count).map(|_| self.of(levels)).collect::<Vec<_>>().join("/");
            if topic.is_empty() { "a".to_owned() } else { topic }
        }
    }

    pub(super) fn who(client_id: &str, user: Option<&str>, address: &str, listener: &str) -> Arc<Who> {
        Arc::new(Who {
            client_id: client_id.into(),
            user_name: user.map(Arc::from),
            address: address.parse().ok(),
            listener: listener.into(),
            claims: None,
        })
    }
}

/// Levels of topics; names of clients and users are among them.
const LEVELS: [&str; 9] = ["a", "b", "alice", "pump", "$SYS", "dev-pump", "alicepump", "x", ""];

/// How many rules, the rules, and then who asks what.
pub(super) fn rights(data: &[u8]) {
    let mut draw = Draw::new(data);
    let count = draw.below(24);
    let rules: Vec<Plain> = (0..count).map(|_| plain(&mut draw)).collect();
    let text = file(&rules);
    let read = Rules::from_rule_file("rules", &text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
    assert_eq!(read.len(), rules.len());
    while !draw.is_empty() {
        let user = (!draw.one_in(4)).then(|| draw.of(&USERS));
        let who = who(draw.of(&CLIENTS), user, draw.of(&ADDRESSES), draw.of(&LISTENERS));
        let rights = Rights::new(&read, &who);
        for _ in 0..1 + draw.below(4) {
            let topic = draw.topic(&LEVELS);
            let (qos, retain) = (draw.below(3) as u8, draw.one_in(2));
            let check = |decision: Decision, (allowed, number): (bool, Option<usize>), what: &str| {
                let line = decision.rule.and_then(|rule| read.describe(rule)).and_then(|rule| rule.line);
                let expect = (allowed, number.and_then(|number| line_of(&text, number)));
                assert_eq!((decision.allowed, line), expect, "{what} {topic} by {who:?}\n{text}");
            };
            let published = oracle(&rules, &who, &topic, Some((qos, retain)));
            check(rights.publish(&topic, qos, retain), published, "publish");
            check(rights.receive(&topic), oracle(&rules, &who, &topic, None), "receive");
            granted(&rights, &draw.filter(&LEVELS), &text);
        }
    }
}

/// The line at which a rule begins.
fn line_of(text: &str, number: usize) -> Option<usize> {
    (1..).zip(text.lines()).filter(|(_, line)| *line == "[[rule]]").nth(number).map(|(line, _)| line)
}

/// Whole is all that the filter matches, refused is nothing of it.
fn granted(rights: &Rights, filter: &str, text: &str) {
    let grant = rights.subscribe(filter, Partly::Filter);
    assert_eq!(rights.subscribe(filter, Partly::Refuse).granted, grant.whole, "{filter}\n{text}");
    assert_eq!(grant.granted, grant.whole || grant.partly, "{filter}\n{text}");
    for one in LEVELS {
        for two in LEVELS {
            for topic in [one.to_owned(), format!("{one}/{two}"), format!("{one}/{two}/a")] {
                if !topic.is_empty() && matches(filter, &topic) {
                    let readable = rights.receive(&topic).allowed;
                    let told = if readable { grant.granted } else { !grant.whole };
                    assert!(told, "{filter} has {topic}: {grant:?} {:?}\n{text}", rights.who());
                }
            }
        }
    }
}
