//! Random choices that are the same in every run, and the small world from which they come.

use std::sync::Arc;

use whimbrel_access::{Rights, Rules, Who};

/// Gives numbers, the same for the same seed.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Draw {
        Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    pub(crate) fn one_in(&mut self, parts: usize) -> bool {
        self.below(parts) == 0
    }

    pub(crate) fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    /// A filter with these levels, sometimes with wildcards.
    pub(crate) fn filter(&mut self, levels: &[&str]) -> String {
        let count = 1 + self.below(4);
        let mut parts: Vec<&str> =
            (0..count).map(|_| if self.one_in(5) { "+" } else { self.of(levels) }).collect();
        if self.one_in(3) {
            parts.push("#");
            if self.one_in(6) {
                parts = vec!["#"];
            }
        }
        let filter = parts.join("/");
        if filter.is_empty() { "a".to_owned() } else { filter }
    }

    /// A topic with these levels.
    pub(crate) fn topic(&mut self, levels: &[&str]) -> String {
        let count = 1 + self.below(4);
        let topic = (0..count).map(|_| self.of(levels)).collect::<Vec<_>>().join("/");
        if topic.is_empty() { "a".to_owned() } else { topic }
    }
}

/// Levels of topics; the names of clients and users are among them.
pub(crate) const LEVELS: [&str; 7] = ["a", "b", "alice", "pump", "$SYS", "", "x"];
pub(crate) const USERS: [&str; 5] = ["alice", "bob", "a/b", "x+", "$SYS"];
pub(crate) const CLIENTS: [&str; 6] = ["pump", "alice", "a/b", "#", "$SYS", "b"];

pub(crate) fn who(client_id: &str, user: Option<&str>, address: &str, listener: &str) -> Arc<Who> {
    Arc::new(Who {
        client_id: client_id.into(),
        user_name: user.map(Arc::from),
        address: address.parse().ok(),
        listener: listener.into(),
        claims: None,
    })
}

/// What the rules mean for a client of whom only names are known.
pub(crate) fn rights(rules: &Arc<Rules>, client_id: &str, user: Option<&str>) -> Rights {
    Rights::new(rules, &who(client_id, user, "192.0.2.1", "house"))
}
