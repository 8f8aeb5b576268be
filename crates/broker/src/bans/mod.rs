//! Who is not let in whatever it proves: client identifiers, user names and addresses that somebody has banned, each with
//! an end or without. Not how they are kept, and not who falls over and over (`flapping`).

pub(crate) mod flapping;
pub(crate) mod kept;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use whimbrel_net::Network;

/// Bytes of the words that say why.
pub(crate) const WHY_BYTES_MAX: usize = 1_024;

/// What a ban is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Banned {
    /// This client identifier.
    Client(String),
    /// Who has proved this user name.
    User(String),
    /// An address, or all of a network, such as `192.0.2.7` or `2001:db8::/32`.
    Address(String),
}

/// A ban.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Whom it is about.
    pub of: Banned,
    /// When it was made, in seconds since 1970.
    pub since: u64,
    /// When it ends, in seconds since 1970; absent: when somebody removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// Why, for whoever is banned and for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// There are as many bans as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// All bans.
pub(crate) struct Bans {
    tables: RwLock<Tables>,
    /// Whether there are any: nobody else pays for them.
    any: AtomicBool,
    bans_max: usize,
}

#[derive(Default)]
struct Tables {
    clients: HashMap<String, Ban>,
    users: HashMap<String, Ban>,
    networks: Vec<(Network, Ban)>,
}

impl fmt::Display for Banned {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Banned::Client(id) => write!(out, "client {id:?}"),
            Banned::User(name) => write!(out, "user {name:?}"),
            Banned::Address(network) => write!(out, "address {network}"),
        }
    }
}

impl Banned {
    /// The same, written as it is compared: an address as the network that it is. Nothing where it is none.
    pub(crate) fn canonical(self) -> Option<Banned> {
        match self {
            Banned::Address(text) => Some(Banned::Address(text.parse::<Network>().ok()?.to_string())),
            other => Some(other),
        }
    }
}

impl Ban {
    /// Whether it is over.
    fn is_over(&self, now_secs: u64) -> bool {
        self.until.is_some_and(|until| until <= now_secs)
    }

    /// What whoever is banned is told.
    fn told(&self, now_secs: u64) -> String {
        let end = match self.until {
            Some(until) => format!("banned for {} seconds more", until.saturating_sub(now_secs)),
            None => "banned".to_owned(),
        };
        match &self.why {
            Some(why) => format!("{end}: {why}"),
            None => end,
        }
    }
}

impl Tables {
    fn len(&self) -> usize {
        self.clients.len() + self.users.len() + self.networks.len()
    }

    fn remove(&mut self, of: &Banned) -> Option<Ban> {
        match of {
            Banned::Client(id) => self.clients.remove(id),
            Banned::User(name) => self.users.remove(name),
            Banned::Address(text) => {
                let network = text.parse().ok()?;
                let at = self.networks.iter().position(|(known, _)| *known == network)?;
                Some(self.networks.swap_remove(at).1)
            }
        }
    }

    fn put(&mut self, ban: Ban) {
        match ban.of.clone() {
            Banned::Client(id) => drop(self.clients.insert(id, ban)),
            Banned::User(name) => drop(self.users.insert(name, ban)),
            Banned::Address(text) => {
                if let Ok(network) = text.parse() {
                    self.networks.push((network, ban));
                }
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Ban> {
        self.clients.values().chain(self.users.values()).chain(self.networks.iter().map(|(_, ban)| ban))
    }
}

impl Bans {
    pub(crate) fn new(bans_max: usize) -> Self {
        Bans { tables: RwLock::default(), any: AtomicBool::new(false), bans_max }
    }

    /// So many there may be.
    pub(crate) fn bans_max(&self) -> usize {
        self.bans_max
    }

    /// Bans somebody, in place of a ban that there is; what is over goes before, and is given.
    pub(crate) fn add(&self, ban: Ban, now_secs: u64) -> Result<Vec<Banned>, TooMany> {
        let mut tables = self.tables.write();
        let over: Vec<Banned> =
            tables.all().filter(|ban| ban.is_over(now_secs)).map(|ban| ban.of.clone()).collect();
        for of in &over {
            tables.remove(of);
        }
        tables.remove(&ban.of);
        let fits = tables.len() < self.bans_max;
        if fits {
            tables.put(ban);
        }
        self.any.store(tables.len() > 0, Relaxed);
        if fits { Ok(over) } else { Err(TooMany) }
    }

    /// Takes a ban back; gives it if there was one.
    pub(crate) fn remove(&self, of: &Banned) -> Option<Ban> {
        let mut tables = self.tables.write();
        let removed = tables.remove(of);
        self.any.store(tables.len() > 0, Relaxed);
        removed
    }

    /// All that are not over, those that end soonest first.
    pub(crate) fn list(&self, now_secs: u64) -> Vec<Ban> {
        let mut bans: Vec<Ban> =
            self.tables.read().all().filter(|ban| !ban.is_over(now_secs)).cloned().collect();
        let order = |ban: &Ban| {
            let of = match &ban.of {
                Banned::Client(text) => (0, text.clone()),
                Banned::User(text) => (1, text.clone()),
                Banned::Address(text) => (2, text.clone()),
            };
            (ban.until.unwrap_or(u64::MAX), of)
        };
        bans.sort_by_cached_key(order);
        bans
    }

    /// Why nobody from this address is let in.
    pub(crate) fn of_address(&self, address: Option<IpAddr>, now_secs: u64) -> Option<String> {
        if !self.any.load(Relaxed) {
            return None;
        }
        let address = address?;
        let tables = self.tables.read();
        let mut met = tables.networks.iter().filter(|(network, _)| network.contains(address));
        met.find(|(_, ban)| !ban.is_over(now_secs)).map(|(_, ban)| ban.told(now_secs))
    }

    /// Why somebody who has proved this name, or wants this client identifier, is not let in.
    pub(crate) fn of_client(&self, client_id: &str, user: Option<&str>, now_secs: u64) -> Option<String> {
        if !self.any.load(Relaxed) {
            return None;
        }
        let tables = self.tables.read();
        let user = user.and_then(|user| tables.users.get(user));
        let mut met = [tables.clients.get(client_id), user].into_iter().flatten();
        met.find(|ban| !ban.is_over(now_secs)).map(|ban| ban.told(now_secs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(of: Banned, until: Option<u64>) -> Ban {
        Ban { of, since: 1, until, why: Some("it floods".to_owned()) }
    }

    fn client(id: &str) -> Banned {
        Banned::Client(id.to_owned())
    }

    fn network(text: &str) -> Banned {
        Banned::Address(text.to_owned()).canonical().unwrap()
    }

    #[test]
    fn a_ban_holds_until_its_end_for_whom_it_is_about() {
        let bans = Bans::new(10);
        bans.add(ban(client("lamp"), Some(100)), 10).unwrap();
        bans.add(ban(Banned::User("eve".to_owned()), None), 10).unwrap();
        bans.add(ban(network("192.0.2.0/24"), Some(50)), 10).unwrap();
        bans.add(ban(network("2001:db8::/32"), None), 10).unwrap();
        let at = |text: &str, now| bans.of_address(Some(text.parse().unwrap()), now);
        assert_eq!(
            bans.of_client("lamp", None, 40).as_deref(),
            Some("banned for 60 seconds more: it floods")
        );
        assert_eq!(bans.of_client("lamp", None, 100), None);
        assert_eq!(bans.of_client("other", Some("eve"), 1_000).as_deref(), Some("banned: it floods"));
        assert_eq!(bans.of_client("other", Some("adam"), 40), None);
        assert!(at("192.0.2.9", 49).is_some() && at("::ffff:192.0.2.9", 49).is_some());
        assert!(at("192.0.2.9", 50).is_none() && at("192.0.3.9", 49).is_none());
        assert!(at("2001:db8:1::1", 1_000).is_some() && bans.of_address(None, 40).is_none());
        let ends: Vec<_> = bans.list(40).iter().map(|ban| ban.until).collect();
        assert_eq!(ends, [Some(50), Some(100), None, None]);
        assert_eq!(bans.list(99).len(), 3);
    }

    #[test]
    fn a_ban_replaces_the_one_before_and_can_be_taken_back() {
        let bans = Bans::new(10);
        bans.add(ban(network("192.0.2.7"), Some(100)), 10).unwrap();
        bans.add(ban(network("192.0.2.7/32"), Some(200)), 10).unwrap();
        assert_eq!(bans.list(10).len(), 1);
        assert_eq!(bans.remove(&network("192.0.2.7")).and_then(|ban| ban.until), Some(200));
        assert_eq!(bans.remove(&network("192.0.2.7")), None);
        assert!(bans.of_address("192.0.2.7".parse().ok(), 10).is_none());
        assert_eq!(Banned::Address("lamp".to_owned()).canonical(), None);
    }

    #[test]
    fn there_are_only_so_many_and_those_that_are_over_make_room() {
        let bans = Bans::new(2);
        bans.add(ban(client("a"), Some(20)), 10).unwrap();
        bans.add(ban(client("b"), None), 10).unwrap();
        assert_eq!(bans.add(ban(client("c"), None), 10), Err(TooMany));
        assert_eq!(bans.add(ban(client("b"), Some(30)), 10), Ok(Vec::new()), "it takes its own place");
        assert_eq!(bans.add(ban(client("c"), None), 20), Ok(vec![client("a")]));
    }
}
