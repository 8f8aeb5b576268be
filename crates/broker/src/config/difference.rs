//! What differs between two configurations, key by key. Not what comes of it.

use super::key::Key;
use super::room::{Entry, Room};
use super::{Config, LISTENER, Listener, TOKEN, Token};

/// A key that has another value in another configuration.
#[derive(Debug)]
pub struct Difference {
    /// The key.
    pub key: &'static Key,
    /// The key with its section, and with the number of the listener where it is one's.
    pub path: String,
    /// Its value before as it would stand in the file; none where it was not set.
    pub before: Option<String>,
    /// Its value afterwards.
    pub after: Option<String>,
}

impl Config {
    /// Every key that has another value in `after`, in the order of the file.
    pub fn differences(&self, after: &Config) -> Vec<Difference> {
        let mut found = Vec::new();
        for number in 1..=self.listeners.len().max(after.listeners.len()) {
            let of = |config: &Config| config.listeners.get(number - 1).cloned();
            listener(&mut found, number, of(self).as_ref(), of(after).as_ref());
        }
        room(&mut found, &self.authentication, &after.authentication);
        for number in 1..=self.tokens.len().max(after.tokens.len()) {
            let of = |config: &Config| config.tokens.get(number - 1).cloned();
            token(&mut found, number, of(self), of(after));
        }
        room(&mut found, &self.access, &after.access);
        room(&mut found, &self.guard, &after.guard);
        room(&mut found, &self.quota, &after.quota);
        room(&mut found, &self.limits, &after.limits);
        room(&mut found, &self.session, &after.session);
        room(&mut found, &self.store, &after.store);
        room(&mut found, &self.worker, &after.worker);
        room(&mut found, &self.log, &after.log);
        room(&mut found, &self.sys, &after.sys);
        room(&mut found, &self.control, &after.control);
        found
    }
}

fn room<R: Room>(found: &mut Vec<Difference>, before: &R, after: &R) {
    for entry in R::ENTRIES {
        let value = |room: &R| (entry.show)(room);
        compare(found, entry, entry.key.path(), value(before), value(after));
    }
}

/// One that there is in one of the two only differs from one that says nothing.
fn token(found: &mut Vec<Difference>, number: usize, before: Option<Token>, after: Option<Token>) {
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    for entry in Token::ENTRIES {
        let path = format!("{TOKEN}[{number}].{}", entry.key.name);
        compare(found, entry, path, (entry.show)(&before), (entry.show)(&after));
    }
}

/// A listener that there is in one of the two only differs in its address.
fn listener(found: &mut Vec<Difference>, number: usize, before: Option<&Listener>, after: Option<&Listener>) {
    for entry in Listener::ENTRIES {
        let both = before.is_some() && after.is_some();
        if both || entry.key.name == "address" {
            let value = |listener: Option<&Listener>| listener.and_then(|listener| (entry.show)(listener));
            let path = format!("{LISTENER}[{number}].{}", entry.key.name);
            compare(found, entry, path, value(before), value(after));
        }
    }
}

fn compare<R>(
    found: &mut Vec<Difference>,
    entry: &'static Entry<R>,
    path: String,
    before: Option<String>,
    after: Option<String>,
) {
    if before != after {
        found.push(Difference { key: &entry.key, path, before, after });
    }
}
