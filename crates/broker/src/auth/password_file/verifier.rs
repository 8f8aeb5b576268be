//! One verification: from a user name and a password to a verdict, remembered or computed. Not when it is
//! made, and not by which thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::entries::Entries;
use super::queue::Attempt;
use super::remembered::{Remembered, Tag, Tagger};
use crate::auth::stored_hash::Scratch;
use crate::auth::{Denial, Identity, Secret, Verdict};

/// Time since any fixed moment, never backwards.
pub(super) type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

/// What every verification needs. Shared by the workers, which ask only what is remembered, and the
/// threads that verify. Each lock is held for a look or a swap, and never two of them.
pub(super) struct Verifier {
    entries: RwLock<Arc<Entries>>,
    tagger: Tagger,
    remembered: Mutex<Remembered>,
    counters: Counters,
    clock: Clock,
}

/// How often what was answered since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Clients let in, whether remembered or verified.
    pub accepted: u64,
    /// Clients refused for what they said.
    pub denied: u64,
    /// Those of `accepted` that needed no verification.
    pub remembered: u64,
    /// Clients turned away because too many verifications waited.
    pub busy: u64,
}

#[derive(Default)]
struct Counters {
    accepted: AtomicU64,
    denied: AtomicU64,
    remembered: AtomicU64,
    busy: AtomicU64,
}

impl Verifier {
    pub(super) fn new(entries: Entries, tagger: Tagger, remembered: Remembered, clock: Clock) -> Self {
        Self {
            entries: RwLock::new(Arc::new(entries)),
            tagger,
            remembered: Mutex::new(remembered),
            counters: Counters::default(),
            clock,
        }
    }

    /// Takes another state of the file. What was remembered of unchanged lines stays good.
    pub(super) fn replace_entries(&self, entries: Entries) {
        *self.entries.write() = Arc::new(entries);
    }

    pub(super) fn entries(&self) -> Arc<Entries> {
        Arc::clone(&self.entries.read())
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            accepted: self.counters.accepted.load(Ordering::Relaxed),
            denied: self.counters.denied.load(Ordering::Relaxed),
            remembered: self.counters.remembered.load(Ordering::Relaxed),
            busy: self.counters.busy.load(Ordering::Relaxed),
        }
    }

    /// Says no, and counts it.
    pub(super) fn deny(&self, denial: Denial) -> Verdict {
        let counter = match denial {
            Denial::ServerBusy => &self.counters.busy,
            _ => &self.counters.denied,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Verdict::Deny(denial)
    }

    /// Lets a client in whose password was verified a while ago, under the line that the user has now.
    /// Costs about a microsecond, the same for a user that is not known.
    pub(super) fn recall(&self, user_name: &str, password: &Secret) -> Option<Verdict> {
        let entries = self.entries();
        let known = entries.find(user_name);
        let (_, entry) = known.unzip();
        let entry = entry.unwrap_or(entries.decoy());
        let tag = self.tagger.tag(user_name, password.expose(), &entry.fingerprint);
        let remembered = self.remembered.lock().contains(&tag, (self.clock)());
        let (user_name, _) = known.filter(|_| remembered)?;
        self.counters.remembered.fetch_add(1, Ordering::Relaxed);
        Some(self.allow(user_name))
    }

    /// Verifies and answers. Takes milliseconds.
    pub(super) fn verify(&self, attempt: Attempt, scratch: &mut Scratch) {
        let Attempt { user_name, password, reply } = attempt;
        if reply.is_closed() {
            return;
        }
        // While this one waited, another client may have come with the same user name and password.
        let verdict = self
            .recall(&user_name, &password)
            .unwrap_or_else(|| self.compute(&self.entries(), &user_name, &password, scratch));
        // A client that has gone meanwhile needs no answer.
        let _ = reply.send(verdict);
    }

    /// Verifies under `entries`, which may have been replaced when it is done: nobody gets in by a line
    /// that is gone.
    fn compute(
        &self,
        entries: &Entries,
        user_name: &str,
        password: &Secret,
        scratch: &mut Scratch,
    ) -> Verdict {
        let known = entries.find(user_name);
        let (_, entry) = known.unzip();
        let entry = entry.unwrap_or(entries.decoy());
        let right = entry.hash.verify(password.expose(), scratch);
        let now = self.entries();
        let still_there = now.find(user_name).is_some_and(|(_, now)| now.fingerprint == entry.fingerprint);
        match known {
            Some((user_name, entry)) if right && still_there => {
                let tag = self.tagger.tag(user_name, password.expose(), &entry.fingerprint);
                self.remember(tag);
                self.allow(user_name)
            }
            _ => self.deny(Denial::BadUserNameOrPassword),
        }
    }

    fn remember(&self, tag: Tag) {
        let now = (self.clock)();
        self.remembered.lock().insert(tag, now);
    }

    fn allow(&self, user_name: &Arc<str>) -> Verdict {
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        Verdict::Allow(Identity::named(Arc::clone(user_name)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::{Entries, Remembered, Tagger, Verifier};
    use crate::auth::password_file::remembered::KEY_BYTES;
    use crate::auth::{Denial, Scratch, Secret, Verdict};

    const OLD: &str =
        "alice:$argon2id$v=19$m=8,t=1,p=1$YSB0aW55IHRlc3Qgc2FsdA$OdwmiDkOf7gqKOUoKTEOHniv7XLlNaJmeCLmZjysAPo";

    fn entries(file: &str) -> Entries {
        Entries::parse(Path::new("passwords"), file.as_bytes()).unwrap()
    }

    #[test]
    fn nobody_gets_in_by_a_line_that_went_while_it_was_verified() {
        let changed = OLD.replace("m=8,", "m=9,");
        for (now, allowed) in [(OLD, true), ("# a comment more\n", false), (&changed, false)] {
            let remembered = Remembered::new(10, Duration::from_secs(60));
            let tagger = Tagger::new(&[7; KEY_BYTES]);
            let verifier = Verifier::new(entries(OLD), tagger, remembered, Box::new(|| Duration::ZERO));
            let before = verifier.entries();
            verifier.replace_entries(entries(now));

            let password = Secret::from(&b"open sesame"[..]);
            let verdict = verifier.compute(&before, "alice", &password, &mut Scratch::default());
            assert_eq!(matches!(verdict, Verdict::Allow(_)), allowed, "{now:?}");
            assert_eq!(verdict == Verdict::Deny(Denial::BadUserNameOrPassword), !allowed, "{now:?}");
            assert_eq!(verifier.recall("alice", &password).is_some(), allowed, "{now:?}");
        }
    }
}
