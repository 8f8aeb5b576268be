//! Passwords that were verified a while ago, as keyed hashes: what makes the reconnect of a whole fleet
//! cost microseconds per client. Only successes are here, and nothing of a password.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::entries::Fingerprint;

/// How many aged entries one call drops at most, so that no caller pays for many. Two per call is more
/// than the one that a call can add.
const DROPPED_AT_ONCE: usize = 2;

/// Length of the key: one block of SHA-256, the most that HMAC takes without hashing it first.
pub(super) const KEY_BYTES: usize = 64;

/// HMAC-SHA-256 over user name, password and the line's fingerprint. The key lives in this process only,
/// so a client can neither compute nor aim at a tag: comparing two of them in a map tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tag([u8; 32]);

/// Makes tags.
pub(super) struct Tagger(Hmac<Sha256>);

impl Tagger {
    /// `key` comes from the system's randomness.
    pub(super) fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(Hmac::new(key.into()))
    }

    /// The tag of a password under the line that it is verified against: with another line it is another
    /// tag, so a changed or reset line forgets by itself.
    pub(super) fn tag(&self, user_name: &str, password: &[u8], fingerprint: &Fingerprint) -> Tag {
        let mut mac = self.0.clone();
        mac.update(fingerprint);
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        mac.update(&(user_name.len() as u64).to_be_bytes());
        mac.update(user_name.as_bytes());
        mac.update(password);
        Tag(mac.finalize().into_bytes().into())
    }
}

/// The tags of verified passwords, bounded in number and age. Times are durations since any fixed moment.
pub(super) struct Remembered {
    verified_at: HashMap<Tag, Duration>,
    /// In the order of their times. Every tag of the map is here with its time; a tag that was verified
    /// again after it had aged is here twice until the first one is dropped.
    oldest_first: VecDeque<(Tag, Duration)>,
    entries_max: usize,
    age_max: Duration,
}

impl Remembered {
    pub(super) fn new(entries_max: usize, age_max: Duration) -> Self {
        Self { verified_at: HashMap::new(), oldest_first: VecDeque::new(), entries_max, age_max }
    }

    /// Whether the tag was inserted less than the longest age ago.
    pub(super) fn contains(&mut self, tag: &Tag, now: Duration) -> bool {
        self.drop_aged(now);
        self.verified_at.get(tag).is_some_and(|at| self.is_fresh(*at, now))
    }

    /// Remembers a tag. The oldest one makes room. Its age counts from the first verification: one that
    /// is remembered is not verified again and does not become younger by that.
    pub(super) fn insert(&mut self, tag: Tag, now: Duration) {
        self.drop_aged(now);
        let fresh = self.verified_at.get(&tag).is_some_and(|at| self.is_fresh(*at, now));
        if fresh || self.entries_max == 0 {
            return;
        }
        if self.oldest_first.len() >= self.entries_max {
            self.drop_oldest();
        }
        self.verified_at.insert(tag, now);
        self.oldest_first.push_back((tag, now));
    }

    fn is_fresh(&self, at: Duration, now: Duration) -> bool {
        now.saturating_sub(at) < self.age_max
    }

    fn drop_aged(&mut self, now: Duration) {
        for _ in 0..DROPPED_AT_ONCE {
            match self.oldest_first.front() {
                Some((_, at)) if !self.is_fresh(*at, now) => self.drop_oldest(),
                _ => return,
            }
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((tag, at)) = self.oldest_first.pop_front()
            && self.verified_at.get(&tag) == Some(&at)
        {
            self.verified_at.remove(&tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{KEY_BYTES, Remembered, Tag, Tagger};

    const AGE_MAX: Duration = Duration::from_secs(60);

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn tag(byte: u8) -> Tag {
        Tag([byte; 32])
    }

    #[test]
    fn a_tag_is_remembered_until_it_is_too_old() {
        let mut remembered = Remembered::new(10, AGE_MAX);
        assert!(!remembered.contains(&tag(1), at(0)));
        remembered.insert(tag(1), at(0));
        assert!(remembered.contains(&tag(1), at(59)));
        assert!(!remembered.contains(&tag(1), at(60)));
    }

    #[test]
    fn being_inserted_again_does_not_make_a_tag_younger() {
        let mut remembered = Remembered::new(10, AGE_MAX);
        remembered.insert(tag(1), at(0));
        remembered.insert(tag(1), at(30));
        assert!(!remembered.contains(&tag(1), at(60)));
    }

    #[test]
    fn the_oldest_tag_makes_room() {
        let mut remembered = Remembered::new(2, AGE_MAX);
        for byte in 1..=3 {
            remembered.insert(tag(byte), at(u64::from(byte)));
        }
        let known = [1, 2, 3].map(|byte| remembered.contains(&tag(byte), at(4)));
        assert_eq!(known, [false, true, true]);
    }

    #[test]
    fn nothing_is_remembered_where_there_is_room_for_none() {
        let mut remembered = Remembered::new(0, AGE_MAX);
        remembered.insert(tag(1), at(0));
        assert!(!remembered.contains(&tag(1), at(0)));
        assert!(remembered.oldest_first.is_empty());
    }

    #[test]
    fn aged_tags_leave_the_memory_a_few_per_call() {
        let mut remembered = Remembered::new(10, AGE_MAX);
        for byte in 0..6 {
            remembered.insert(tag(byte), at(0));
        }
        let left = [(); 4].map(|()| {
            remembered.contains(&tag(9), at(100));
            (remembered.verified_at.len(), remembered.oldest_first.len())
        });
        assert_eq!(left, [(4, 4), (2, 2), (0, 0), (0, 0)]);
    }

    #[test]
    fn a_tag_verified_again_after_it_aged_outlives_its_older_self() {
        let mut remembered = Remembered::new(10, AGE_MAX);
        for byte in 0..5 {
            remembered.insert(tag(byte), at(0));
        }
        // Of the aged five, two are dropped by this call; tag 4 is not among them and is there twice now.
        remembered.insert(tag(4), at(100));
        assert_eq!((remembered.verified_at.len(), remembered.oldest_first.len()), (3, 4));
        for _ in 0..3 {
            assert!(remembered.contains(&tag(4), at(101)));
        }
        assert_eq!((remembered.verified_at.len(), remembered.oldest_first.len()), (1, 1));
    }

    #[test]
    fn a_tag_changes_with_user_password_line_and_key() {
        let tagger = Tagger::new(&[7; KEY_BYTES]);
        let tags = [
            tagger.tag("ab", b"c", &[1; 32]),
            tagger.tag("a", b"bc", &[1; 32]),
            tagger.tag("ab", b"d", &[1; 32]),
            tagger.tag("ab", b"c", &[2; 32]),
            Tagger::new(&[8; KEY_BYTES]).tag("ab", b"c", &[1; 32]),
        ];
        for (index, one) in tags.iter().enumerate() {
            assert!(tags.iter().skip(index + 1).all(|other| one != other), "{index}");
        }
        assert_eq!(tagger.tag("ab", b"c", &[1; 32]), tags[0]);
    }
}
