//! What has to happen at a time that no connection waits for: the end of an absent session, a delayed will, the
//! expiry of a retained message.
//!
//! An entry is a reminder, not the truth: whoever is reminded looks whether it still holds.

use std::{collections::BTreeMap, sync::Arc};

use whimbrel_proto::Millis;

use crate::session::Session;
use crate::sync::Mutex;

/// What to look at when the time has come.
pub(crate) enum Timer {
    /// An absent session: its will may be due, or its end.
    Session(Arc<Session>),
    /// The retained message of a topic, if it still has this number.
    Retained { topic: Box<str>, number: u64 },
}

#[derive(Default)]
struct Entries {
    by_time: BTreeMap<TimerKey, Timer>,
    next: u64,
}

/// Names a reminder, so that it can be taken back.
pub(crate) type TimerKey = (Millis, u64);

/// All reminders, earliest first.
#[derive(Default)]
pub(crate) struct Timers {
    entries: Mutex<Entries>,
}

impl Timers {
    pub(crate) fn add(&self, at: Millis, timer: Timer) -> TimerKey {
        let mut entries = self.entries.lock();
        let key = (at, entries.next);
        entries.next += 1;
        entries.by_time.insert(key, timer);
        key
    }

    /// Takes a reminder back: who comes and goes often leaves no trail behind.
    pub(crate) fn cancel(&self, key: TimerKey) {
        let cancelled = self.entries.lock().by_time.remove(&key);
        drop(cancelled); // A session's last reference is let go without the lock.
    }

    /// The next reminder that is due.
    pub(crate) fn pop(&self, now: Millis) -> Option<Timer> {
        let mut entries = self.entries.lock();
        let first = entries.by_time.first_entry()?;
        if first.key().0 > now { None } else { Some(first.remove()) }
    }

    /// When the next reminder is due.
    pub(crate) fn next(&self) -> Millis {
        self.entries.lock().by_time.first_key_value().map_or(Millis::NEVER, |((at, _), _)| *at)
    }
}
