//! How much a client may send, by itself and together with all others of its user, and how many connections a user may
//! have. Pure: the time is passed in, in microseconds. Not what becomes of whoever has sent too much.
//!
//! What was sent is counted when it has been read, so that a bucket may go into debt: then its client is not read from until
//! it is paid for. A second's worth is saved up at most.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;

const SECOND: u64 = 1_000_000;

/// So many in a second; 0: as many as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    pub(crate) messages: u32,
    pub(crate) bytes: u32,
}

/// What clients and users may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// One connection.
    pub(crate) client: Rates,
    /// All connections of one user.
    pub(crate) user: Rates,
    /// So many connections a user may have; 0: as many as it likes.
    pub(crate) user_connections: u32,
}

/// Until when what was taken is paid for.
#[derive(Debug, Default)]
struct Bucket(AtomicU64);

/// What all connections of a user share.
#[derive(Debug, Default)]
struct User {
    messages: Bucket,
    bytes: Bucket,
}

/// Users with connections, and how many.
type Users = HashMap<Arc<str>, (u32, Arc<User>)>;

/// The quotas of all clients.
pub(crate) struct Quotas {
    settings: Mutex<Settings>,
    users: Mutex<Users>,
}

/// A connection's part in them; given back when it is dropped.
pub(crate) struct Share {
    rates: Rates,
    messages: Bucket,
    bytes: Bucket,
    user: Option<(Arc<str>, Arc<User>, Rates)>,
    quotas: Arc<Quotas>,
}

/// The user has as many connections as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    pub(crate) connections_max: u32,
}

impl Bucket {
    /// Takes so many; gives the moment at which they are paid for.
    fn take(&self, per_second: u32, count: u64, now: u64) -> u64 {
        if per_second == 0 {
            return 0;
        }
        let cost = count.saturating_mul(SECOND) / u64::from(per_second);
        let paid = |until: u64| until.max(now.saturating_sub(SECOND)).saturating_add(cost);
        let before = self.0.fetch_update(Relaxed, Relaxed, |until| Some(paid(until)));
        before.map_or(0, paid)
    }
}

impl Quotas {
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Quotas { settings: Mutex::new(settings), users: Mutex::default() })
    }

    /// Whoever is let in from now on has these.
    pub(crate) fn set(&self, settings: Settings) {
        *self.settings.lock() = settings;
    }

    /// Whether a user may have only so many connections.
    pub(crate) fn bounds_connections(&self) -> bool {
        self.settings.lock().user_connections > 0
    }

    /// A client is let in. Nothing where there is no quota that it could exceed. `listener`: what its listener says instead
    /// of the settings for one client. `takes_over`: it takes the place of a connection that it has.
    pub(crate) fn enter(
        self: &Arc<Self>,
        user: Option<&Arc<str>>,
        listener: [Option<u32>; 2],
        takes_over: bool,
    ) -> Result<Option<Box<Share>>, TooMany> {
        let Settings { client, user: of_user, user_connections } = *self.settings.lock();
        let [messages, bytes] = listener;
        let rates =
            Rates { messages: messages.unwrap_or(client.messages), bytes: bytes.unwrap_or(client.bytes) };
        let shares = of_user != Rates::default() || user_connections > 0;
        let user = match user.filter(|_| shares) {
            Some(name) => {
                let mut users = self.users.lock();
                let (count, user) = users.entry(name.clone()).or_default();
                if user_connections > 0 && *count >= user_connections && !takes_over {
                    return Err(TooMany { connections_max: user_connections });
                }
                *count += 1;
                Some((name.clone(), user.clone(), of_user))
            }
            None => None,
        };
        if rates == Rates::default() && user.is_none() {
            return Ok(None);
        }
        let (messages, bytes, quotas) = (Bucket::default(), Bucket::default(), self.clone());
        Ok(Some(Box::new(Share { rates, messages, bytes, user, quotas })))
    }
}

impl Share {
    /// The client has sent so much; gives the moment before which it is not to be read from.
    pub(crate) fn take(&self, messages: u64, bytes: u64, now: u64) -> u64 {
        let own = self.messages.take(self.rates.messages, messages, now);
        let own = own.max(self.bytes.take(self.rates.bytes, bytes, now));
        let Some((_, user, rates)) = &self.user else { return own };
        let all = user.messages.take(rates.messages, messages, now);
        own.max(all).max(user.bytes.take(rates.bytes, bytes, now))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some((name, ..)) = &self.user else { return };
        let mut users = self.quotas.users.lock();
        match users.get_mut(name) {
            Some((count, _)) if *count > 1 => *count -= 1,
            _ => drop(users.remove(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [Option<u32>; 2] = [None, None];

    fn quotas(client: (u32, u32), user: (u32, u32), user_connections: u32) -> Arc<Quotas> {
        let rates = |(messages, bytes)| Rates { messages, bytes };
        Quotas::new(Settings { client: rates(client), user: rates(user), user_connections })
    }

    fn anna() -> Arc<str> {
        "anna".into()
    }

    #[test]
    fn who_sends_faster_than_it_may_is_read_from_as_fast_as_it_may() {
        let quotas = quotas((10, 0), (0, 0), 0);
        let share = quotas.enter(None, NONE, false).unwrap().unwrap();
        // It sends whenever it is read from, for a minute from second 100 on.
        let (mut now, mut sent) = (100 * SECOND, 0);
        while now < 160 * SECOND {
            sent += 1;
            now = now.max(share.take(1, 100, now));
        }
        assert!((600..=611).contains(&sent), "{sent}");
    }

    #[test]
    fn a_second_is_saved_up_and_no_more_and_what_is_too_much_at_once_is_paid_for() {
        let quotas = quotas((0, 1_000), (0, 0), 0);
        let share = quotas.enter(None, NONE, false).unwrap().unwrap();
        assert!(share.take(1, 1_000, 100 * SECOND) <= 100 * SECOND);
        assert_eq!(share.take(1, 64_000, 100 * SECOND), 164 * SECOND);
        assert!(share.take(1, 1_000, 1_000 * SECOND) <= 1_000 * SECOND);
        assert!(share.take(1, 1, 1_000 * SECOND) > 1_000 * SECOND);
    }

    #[test]
    fn all_connections_of_a_user_share_what_it_may_send() {
        let quotas = quotas((0, 0), (10, 0), 0);
        let (one, two) = (quotas.enter(Some(&anna()), NONE, false), quotas.enter(Some(&anna()), NONE, false));
        let (one, two) = (one.unwrap().unwrap(), two.unwrap().unwrap());
        let ben = quotas.enter(Some(&"ben".into()), NONE, false).unwrap().unwrap();
        assert!(one.take(10, 0, 100 * SECOND) <= 100 * SECOND);
        assert!(two.take(10, 0, 100 * SECOND) > 100 * SECOND);
        assert!(ben.take(10, 0, 100 * SECOND) <= 100 * SECOND);
        assert!(quotas.enter(None, NONE, false).unwrap().is_none(), "who has no name shares with nobody");
    }

    #[test]
    fn a_user_has_so_many_connections_and_one_that_goes_makes_room() {
        let quotas = quotas((0, 0), (0, 0), 2);
        let one = quotas.enter(Some(&anna()), NONE, false).unwrap();
        let _two = quotas.enter(Some(&anna()), NONE, false).unwrap();
        assert_eq!(quotas.enter(Some(&anna()), NONE, false).err(), Some(TooMany { connections_max: 2 }));
        let over = quotas.enter(Some(&anna()), NONE, true).unwrap();
        drop((one, over));
        assert!(quotas.enter(Some(&anna()), NONE, false).is_ok());
        drop(_two);
        assert!(quotas.users.lock().is_empty(), "nobody is remembered who has no connection");
    }

    #[test]
    fn a_listener_says_it_otherwise_and_without_a_quota_there_is_nothing() {
        assert!(quotas((0, 0), (0, 0), 0).enter(Some(&anna()), NONE, false).unwrap().is_none());
        assert!(quotas((5, 0), (0, 0), 0).enter(None, [Some(0), None], false).unwrap().is_none());
        let share = quotas((5, 0), (0, 0), 0).enter(None, [Some(1), None], false).unwrap().unwrap();
        assert_eq!(share.take(11, 0, 100 * SECOND), 110 * SECOND);
    }
}
