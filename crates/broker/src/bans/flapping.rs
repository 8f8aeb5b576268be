//! Clients that connect and fall over and over: counted, and held off for a time. Pure: time comes in as milliseconds.
//!
//! A fall is an end of a connection that neither the client has announced nor an administrator has caused: the network, a
//! violation, a silence, another connection with the same client identifier. Counted are falls of a client identifier **and**
//! the user who has it (where nobody proves a name: the address), so that nobody can have somebody else's client held off.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;

use parking_lot::Mutex;

use crate::guard::{Budget, Table, network};

/// Clients whose falls are counted; the ones that have fallen least make room.
const COUNTED_MAX: usize = 4_096;
/// Clients that are held off at once; the one whose time is over first makes room.
const HELD_MAX: usize = 10_000;

/// When a client is held off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// So many falls, of which one is forgiven after each part of the window; 0 falls: nobody is held off.
    pub(crate) falls: Budget,
    pub(crate) hold_millis: u64,
}

/// Whose connection it is.
#[derive(Clone, Copy)]
pub(crate) struct Whose<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) user: Option<&'a str>,
    pub(crate) address: Option<IpAddr>,
}

/// A client that is held off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) client_id: Box<str>,
    pub(crate) user: Option<Box<str>>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) until: u64,
}

pub(crate) struct Flapping {
    state: Mutex<State>,
    hasher: RandomState,
}

struct State {
    settings: Settings,
    /// Until when the falls of a client are forgiven.
    falls: Table,
    held: HashMap<u64, Held>,
}

impl Flapping {
    pub(crate) fn new(settings: Settings) -> Self {
        let state = State { settings, falls: Table::new(COUNTED_MAX), held: HashMap::new() };
        Flapping { state: Mutex::new(state), hasher: RandomState::new() }
    }

    /// Goes by other settings from now on.
    pub(crate) fn set(&self, settings: Settings) {
        self.state.lock().settings = settings;
    }

    /// A connection has fallen; true if the client is held off from now on for that.
    pub(crate) fn fall(&self, whose: Whose<'_>, now: u64) -> bool {
        let mut state = self.state.lock();
        let Settings { falls, hold_millis } = state.settings;
        if falls.tries == 0 || hold_millis == 0 {
            return false;
        }
        let key = self.key(whose);
        // Who has been put out of the table has fallen little: it is forgotten, and nobody answers for others.
        let until = state.falls.find(key).unwrap_or(0).max(now);
        state.falls.put(key, until.saturating_add(falls.forgiven_millis));
        if falls.left(until, now) > 1 {
            return false;
        }
        state.falls.put(key, now);
        state.make_room(now);
        let held = Held {
            client_id: whose.client_id.into(),
            user: whose.user.map(Box::from),
            address: whose.address.filter(|_| whose.user.is_none()).map(network),
            until: now.saturating_add(hold_millis),
        };
        state.held.insert(key, held).is_none()
    }

    /// For how many milliseconds more a client is held off.
    pub(crate) fn held(&self, whose: Whose<'_>, now: u64) -> Option<u64> {
        let mut state = self.state.lock();
        if state.held.is_empty() {
            return None;
        }
        let key = self.key(whose);
        let left = state.held.get(&key)?.until.saturating_sub(now);
        if left == 0 {
            state.held.remove(&key);
            return None;
        }
        Some(left)
    }

    /// All who are held off, those who may come soonest first.
    pub(crate) fn list(&self, now: u64) -> Vec<Held> {
        let state = self.state.lock();
        let mut held: Vec<Held> = state.held.values().filter(|held| held.until > now).cloned().collect();
        held.sort_by(|one, other| (one.until, &one.client_id).cmp(&(other.until, &other.client_id)));
        held
    }

    /// Lets a client come again, whoever has it; how many that were.
    pub(crate) fn release(&self, client_id: &str) -> usize {
        let mut state = self.state.lock();
        let before = state.held.len();
        state.held.retain(|_, held| *held.client_id != *client_id);
        before - state.held.len()
    }

    fn key(&self, Whose { client_id, user, address }: Whose<'_>) -> u64 {
        let address = address.filter(|_| user.is_none()).map(network);
        self.hasher.hash_one((client_id, user, address)).max(1)
    }
}

impl State {
    fn make_room(&mut self, now: u64) {
        if self.held.len() < HELD_MAX {
            return;
        }
        self.held.retain(|_, held| held.until > now);
        while self.held.len() >= HELD_MAX {
            let first = self.held.iter().min_by_key(|(_, held)| held.until).map(|(key, _)| *key);
            let Some(first) = first else { return };
            self.held.remove(&first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000;

    fn flapping() -> Flapping {
        let falls = Budget { tries: 15, forgiven_millis: 4 * SECOND };
        Flapping::new(Settings { falls, hold_millis: 60 * SECOND })
    }

    fn of<'a>(client_id: &'a str, user: Option<&'a str>) -> Whose<'a> {
        Whose { client_id, user, address: "192.0.2.7".parse().ok() }
    }

    fn falls(flapping: &Flapping, count: usize, whose: Whose<'_>, now: u64) {
        for _ in 0..count {
            flapping.fall(whose, now);
        }
    }

    #[test]
    fn who_falls_fifteen_times_in_a_minute_is_held_off_for_one() {
        let flapping = flapping();
        let lamp = of("lamp", Some("anna"));
        for fall in 0..14 {
            assert!(!flapping.fall(lamp, fall * 100), "{fall}");
        }
        assert_eq!(flapping.held(lamp, 1_400), None);
        assert!(flapping.fall(lamp, 1_400));
        assert_eq!(flapping.held(lamp, 1_400), Some(60 * SECOND));
        assert_eq!(flapping.held(of("lamp", Some("eve")), 1_400), None, "another user's client is not");
        assert_eq!(flapping.held(of("other", Some("anna")), 1_400), None);
        assert_eq!(flapping.held(lamp, 61_400), None);
        assert!(!flapping.fall(lamp, 61_500), "it begins anew");
    }

    #[test]
    fn who_falls_now_and_then_never_is() {
        let flapping = flapping();
        for fall in 0..10_000 {
            assert!(!flapping.fall(of("lamp", None), fall * 4 * SECOND));
        }
    }

    #[test]
    fn where_nobody_proves_a_name_an_address_holds_off_only_itself() {
        let flapping = flapping();
        let far = Whose { address: "198.51.100.1".parse().ok(), ..of("lamp", None) };
        falls(&flapping, 100, far, 0);
        assert!(flapping.held(far, 0).is_some());
        assert_eq!(flapping.held(of("lamp", None), 0), None);
    }

    #[test]
    fn who_is_held_off_is_listed_and_can_be_let_come() {
        let flapping = flapping();
        falls(&flapping, 15, of("lamp", Some("anna")), 0);
        falls(&flapping, 15, of("door", None), 5);
        let listed: Vec<_> = flapping.list(10).into_iter().map(|held| (held.client_id, held.until)).collect();
        assert_eq!(listed, [("lamp".into(), 60_000), ("door".into(), 60_005)]);
        assert_eq!((flapping.release("lamp"), flapping.release("lamp")), (1, 0));
        assert_eq!(flapping.held(of("lamp", Some("anna")), 10), None);
    }

    #[test]
    fn a_flood_of_identifiers_holds_off_nobody_else_and_fills_no_memory() {
        let flapping = flapping();
        for number in 0..12_000 {
            let id = format!("flood-{number}");
            falls(&flapping, 15, of(&id, None), number);
        }
        assert_eq!(flapping.state.lock().held.len(), HELD_MAX);
        assert_eq!(flapping.held(of("lamp", None), 12_000), None);
        assert!(!flapping.fall(of("lamp", None), 12_000));
    }

    #[test]
    fn without_a_number_of_falls_nobody_is_held_off() {
        let flapping = flapping();
        flapping.set(Settings { falls: Budget { tries: 0, forgiven_millis: 1 }, hold_millis: 60 * SECOND });
        assert!((0..100).all(|_| !flapping.fall(of("lamp", None), 0)));
    }
}
