//! Who tries passwords: which logins are heard at all, which wait, and when a refusal is told. Pure: time comes in as
//! milliseconds. Not the passwords, and not whether they are right.
//!
//! Three budgets of wrong passwords, each of which comes back by and by:
//!
//! * of a user name **at an address**: who guesses at one user from one place;
//! * of **an address**, whatever the user: who tries many names from one place;
//! * of **a user name**, wherever from: who guesses at one user from many places.
//!
//! Where a user has come in lately from an address, the last two do not count there: nobody who only knows its name can
//! keep it out. A login that finds a budget empty is not heard: nobody looks at its password, and it is refused as late
//! and in the same words as one with a wrong password. What is tried at the same time counts as if it were wrong until
//! its outcome is known; what does not fit then waits.

mod table;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use whimbrel_net::{Network, Networks};

pub(crate) use table::Table;

/// Logins of one user at one address that may be under way at once where it has come in before and owes nothing: a fleet that
/// shares a name comes back at once.
const KNOWN_AT_ONCE: u32 = 64;

/// A refusal is not put off for longer than this, however long the last real one took.
const PUT_OFF_MILLIS_MAX: u64 = 30_000;

/// So many wrong passwords, of which one is forgiven every so many milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// 0: it is not counted.
    pub(crate) tries: u32,
    pub(crate) forgiven_millis: u64,
}

/// What the guard goes by.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) user_at_address: Budget,
    pub(crate) address: Budget,
    pub(crate) user: Budget,
    /// How long an address at which a user has come in stays known.
    pub(crate) known_millis: u64,
    /// How long after its CONNECT a refusal is told.
    pub(crate) refusal_millis: u64,
    /// Networks behind each address of which many clients stand: their budget of the address is not counted.
    pub(crate) shared_addresses: Vec<Network>,
}

/// The budget that a login found empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Empty {
    UserAtAddress,
    Address,
    User,
}

/// What becomes of a login.
pub(crate) enum Admission {
    /// Its password is looked at; the outcome is to be told.
    Heard(Hearing),
    /// Others like it are under way: ask again in a moment.
    Wait,
    /// Nobody looks at its password.
    Unheard(Empty),
}

/// How a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The client is let in.
    Right,
    /// The client was refused for what it said.
    Wrong,
    /// Nobody has looked at the password, for a reason that the client has not given.
    Unjudged,
}

/// How much the guard remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Of users at addresses, addresses, users: how many are not heard now.
    pub(crate) unheard: [usize; 3],
    /// How many have wrong passwords that are not forgiven.
    pub(crate) owing: [usize; 3],
    /// Addresses at which a user has come in lately.
    pub(crate) known: usize,
    /// How many of each there is room for.
    pub(crate) entries_max: usize,
}

/// Keyed hashes of what a login is counted under; a client can neither compute nor aim at them.
#[derive(Clone, Copy)]
struct Keys {
    /// Of the user at the address.
    pair: u64,
    /// Whether the user has come in there lately.
    known: bool,
    /// In the order of [`Figures`]; none where it is not counted.
    counted: [Option<u64>; 3],
}

/// A login whose password is looked at. Dropped without an outcome it counts as a wrong one, unless the user is known
/// there: who goes before the answer has had the work done all the same.
pub(crate) struct Hearing {
    guard: Arc<Guard>,
    keys: Keys,
    known: bool,
    since: u64,
    is_told: bool,
}

/// Counts wrong passwords and says who is heard.
pub(crate) struct Guard {
    state: Mutex<State>,
    hasher: RandomState,
}

struct State {
    settings: Settings,
    shared_addresses: Networks,
    /// Until when what a key owes is forgiven.
    debts: [Table; 3],
    known: Table,
    /// Logins under way, by key; as many as there are hearings.
    pending: HashMap<u64, u32>,
    /// How long the last refusal took whose password was looked at.
    took: u64,
}

impl Budget {
    /// How many tries are left to whoever owes until `until`.
    pub(crate) fn left(self, until: u64, now: u64) -> u32 {
        let whole = u64::from(self.tries).saturating_mul(self.forgiven_millis);
        let left = whole.saturating_sub(until.saturating_sub(now)) / self.forgiven_millis.max(1);
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// The latest moment until which anybody owes: who has spent all owes no more for what was under way.
    fn latest(self, now: u64) -> u64 {
        now.saturating_add(u64::from(self.tries).saturating_mul(self.forgiven_millis))
    }

    /// From when on a key that owes until then is not heard.
    fn empty_from(self, now: u64) -> u64 {
        now.saturating_add(u64::from(self.tries.saturating_sub(1)).saturating_mul(self.forgiven_millis))
    }
}

/// Until when a key owes. Of whom nothing is remembered the worst is assumed that there may have been; not of a user where
/// it has come in: there no flood of strangers counts.
fn owes_until(known: bool, debts: &Table, key: u64) -> u64 {
    if known { debts.find(key).unwrap_or(0) } else { debts.latest_possible(key) }
}

impl Settings {
    fn budgets(&self) -> [Budget; 3] {
        [self.user_at_address, self.address, self.user]
    }
}

impl Guard {
    /// Remembers about so many of each kind.
    pub(crate) fn new(settings: Settings, entries_max: usize) -> Self {
        let shared_addresses = settings.shared_addresses.iter().copied().collect();
        let debts = [(); 3].map(|()| Table::new(entries_max));
        let known = Table::new(entries_max);
        let state = State { settings, shared_addresses, debts, known, pending: HashMap::new(), took: 0 };
        Guard { state: Mutex::new(state), hasher: RandomState::new() }
    }

    /// Goes by other settings from now on; what was counted stays.
    pub(crate) fn set(&self, settings: Settings) {
        let mut state = self.state.lock();
        state.shared_addresses = settings.shared_addresses.iter().copied().collect();
        state.settings = settings;
    }

    /// A client says that it is this user.
    pub(crate) fn admit(self: &Arc<Self>, user: &str, address: Option<IpAddr>, now: u64) -> Admission {
        let mut state = self.state.lock();
        let network = address.map(network);
        let pair = self.hasher.hash_one((0_u8, user, network)).max(1);
        let known = state.known.find(pair).is_some_and(|until| until > now);
        let alone =
            address.filter(|address| !known && !state.shared_addresses.contain(*address)).and(network);
        let of_address = alone.map(|alone| self.hasher.hash_one((1_u8, alone)).max(1));
        let of_user = (!known).then(|| self.hasher.hash_one((2_u8, user)).max(1));
        let mut keys = Keys { pair, known, counted: [Some(pair), of_address, of_user] };
        let mut waits = false;
        let each = keys.counted.iter_mut().zip(state.settings.budgets()).zip(&state.debts).zip(Empty::ALL);
        for (((counted, budget), debts), empty) in each {
            let Some(key) = counted.filter(|_| budget.tries > 0) else {
                *counted = None;
                continue;
            };
            let left = budget.left(owes_until(known, debts, key), now);
            if left == 0 {
                return Admission::Unheard(empty);
            }
            let at_once = if known && left == budget.tries { left.max(KNOWN_AT_ONCE) } else { left };
            waits |= state.pending.get(&key).is_some_and(|pending| *pending >= at_once);
        }
        if waits {
            return Admission::Wait;
        }
        for key in keys.counted.iter().flatten() {
            *state.pending.entry(*key).or_default() += 1;
        }
        drop(state);
        Admission::Heard(Hearing { guard: self.clone(), keys, known, since: now, is_told: false })
    }

    /// When a login is refused to which nobody has listened: as late as one with a wrong password.
    pub(crate) fn unheard_until(&self, now: u64) -> u64 {
        let state = self.state.lock();
        now.saturating_add(state.settings.refusal_millis.max(state.took.min(PUT_OFF_MILLIS_MAX)))
    }

    /// How much is remembered. It looks at every entry.
    pub(crate) fn figures(&self, now: u64) -> Figures {
        let state = self.state.lock();
        let mut figures = Figures {
            known: state.known.later_than(now),
            entries_max: state.known.capacity(),
            ..Figures::default()
        };
        let budgets = state.settings.budgets();
        for (at, (debts, budget)) in state.debts.iter().zip(budgets).enumerate() {
            if let (Some(owing), Some(unheard)) = (figures.owing.get_mut(at), figures.unheard.get_mut(at)) {
                *owing = debts.later_than(now);
                *unheard = if budget.tries > 0 { debts.later_than(budget.empty_from(now)) } else { 0 };
            }
        }
        figures
    }

    fn end(&self, keys: Keys, outcome: Outcome, now: u64) {
        let mut state = self.state.lock();
        let State { settings, debts, known, pending, .. } = &mut *state;
        for ((key, debts), budget) in keys.counted.iter().zip(debts).zip(settings.budgets()) {
            let Some(key) = *key else { continue };
            match pending.get_mut(&key) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(pending.remove(&key)),
            }
            if outcome == Outcome::Wrong && budget.tries > 0 {
                let until = owes_until(keys.known, debts, key).max(now);
                debts.put(key, until.saturating_add(budget.forgiven_millis).min(budget.latest(now)));
            }
        }
        if outcome == Outcome::Right && settings.known_millis > 0 {
            known.put(keys.pair, now.saturating_add(settings.known_millis));
        }
    }
}

impl Hearing {
    /// The login has ended like this; gives when the client is to be told.
    pub(crate) fn tell(mut self, outcome: Outcome, now: u64) -> u64 {
        self.is_told = true;
        self.guard.end(self.keys, outcome, now);
        if outcome != Outcome::Wrong {
            return now;
        }
        let mut state = self.guard.state.lock();
        state.took = now.saturating_sub(self.since);
        now.max(self.since.saturating_add(state.settings.refusal_millis))
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        if !self.is_told {
            let outcome = if self.known { Outcome::Unjudged } else { Outcome::Wrong };
            self.guard.end(self.keys, outcome, self.since);
        }
    }
}

impl Empty {
    const ALL: [Empty; 3] = [Empty::UserAtAddress, Empty::Address, Empty::User];

    /// Who is not heard, for the log.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Empty::UserAtAddress => "this user from this address",
            Empty::Address => "this address",
            Empty::User => "this user from addresses that are new to it",
        }
    }
}

/// What counts as one address: all that a customer of a provider has.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & !u128::from(u64::MAX))),
        four => four,
    }
}

#[cfg(test)]
mod tests;
