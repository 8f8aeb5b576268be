//! One verification: from a user name and a password to a verdict, remembered or computed. Not when it is
//! made, and not by which thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use whimbrel_scram::{Hash, Verifier as ScramVerifier};
use zeroize::Zeroizing;

use super::entries::{Entries, Entry, Fingerprint};
use super::queue::Attempt;
use super::remembered::{KEY_BYTES, Remembered, Tag, Tagger};
use crate::auth::stored_hash::{Scratch, StoredHash};
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
    /// What is made up for unknown users follows from it.
    secret: Zeroizing<[u8; KEY_BYTES]>,
}

/// The line by which a client of SCRAM wants to come in; none where there is no such user.
pub(super) struct Claimed(Option<(Arc<str>, Fingerprint)>);

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
    pub(super) fn new(
        entries: Entries,
        key: &Zeroizing<[u8; KEY_BYTES]>,
        remembered: Remembered,
        clock: Clock,
    ) -> Self {
        Self {
            secret: key.clone(),
            tagger: Tagger::new(key),
            entries: RwLock::new(Arc::new(entries)),
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

    /// The user's verifier for SCRAM, or one that is made up: the same each time, and no password's.
    pub(super) fn claim(&self, user_name: &str, hash: Hash) -> (ScramVerifier, Claimed) {
        let entries = self.entries();
        // Made up for everybody, also for whom it is not needed: the time would tell who is there.
        let usual = (whimbrel_scram::ITERATIONS, whimbrel_scram::SALT_BYTES);
        let (iterations, salt_bytes) = entries.usual_scram(hash).unwrap_or(usual);
        let made_up = ScramVerifier::made_up(hash, &*self.secret, user_name, salt_bytes, iterations);
        match entries.find(user_name) {
            Some((user_name, Entry { hash: StoredHash::Scram(verifier), fingerprint }))
                if verifier.hash() == hash =>
            {
                (verifier.clone(), Claimed(Some((Arc::clone(user_name), *fingerprint))))
            }
            _ => (made_up, Claimed(None)),
        }
    }

    /// Whose line it is, if it is in the file still; who has proved that it is theirs comes in.
    pub(super) fn still(&self, claimed: &Claimed) -> Option<Arc<str>> {
        let (user_name, fingerprint) = claimed.0.as_ref()?;
        let entries = self.entries();
        let (user_name, _) = entries.find(user_name).filter(|(_, now)| now.fingerprint == *fingerprint)?;
        Some(Arc::clone(user_name))
    }

    /// A client of SCRAM has proved that it is this user.
    pub(super) fn count_accepted(&self) {
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
    }

    /// Says no, and counts it.
    pub(super) fn refuse(&self, denial: Denial) -> Denial {
        self.deny(denial);
        denial
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

    use super::{Entries, Remembered, Verifier};
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
            let key = [7; KEY_BYTES].into();
            let verifier = Verifier::new(entries(OLD), &key, remembered, Box::new(|| Duration::ZERO));
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
