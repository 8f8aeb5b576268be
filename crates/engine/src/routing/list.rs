//! The entries of one filter that more than one subscriber has. Not used for a single entry.

use hashbrown::HashTable;

use super::seed::Seed;

/// From so many entries on a list is searched by an index. Up to here a scan of keys is faster.
const INDEX_FROM: usize = 17;
/// Below so many entries the index is given back; well below, so that one client cannot make it come and go.
const INDEX_BELOW: usize = 9;

/// One subscriber of a filter.
pub(super) struct Entry<T> {
    pub(super) key: u64,
    pub(super) value: T,
}

/// Entries in one block of memory, each key once, in no particular order.
///
/// Insertion and removal take constant time: a popular filter has a hundred thousand subscribers, and they
/// may all leave at once.
pub(super) struct List<T> {
    entries: Vec<Entry<T>>,
    /// Key → position in `entries`.
    index: Option<Box<HashTable<u32>>>,
}

impl<T> List<T> {
    pub(super) fn of_two(first: Entry<T>, second: Entry<T>) -> Self {
        Self { entries: vec![first, second], index: None }
    }

    pub(super) fn entries(&self) -> &[Entry<T>] {
        &self.entries
    }

    pub(super) fn get(&self, key: u64, seed: &Seed) -> Option<&T> {
        self.entries.get(self.position(key, seed)?).map(|entry| &entry.value)
    }

    /// Adds an entry, or replaces the value of its key and returns the old one.
    pub(super) fn insert(&mut self, entry: Entry<T>, seed: &Seed) -> Option<T> {
        if let Some(old) = self.position(entry.key, seed).and_then(|position| self.entries.get_mut(position))
        {
            return Some(core::mem::replace(&mut old.value, entry.value));
        }
        if self.entries.len() == self.entries.capacity() {
            // Many filters have two or three subscribers: a list starts without slack.
            self.entries.reserve_exact(self.entries.len() / 2);
        }
        let key = entry.key;
        self.entries.push(entry);
        if let Some(index) = &mut self.index {
            let entries = &self.entries;
            let rehash = |&position: &u32| hash_at(entries, position, seed);
            index.insert_unique(seed.number(key), position_of(entries.len() - 1), rehash);
        } else if self.entries.len() >= INDEX_FROM {
            self.build_index(seed);
        }
        None
    }

    pub(super) fn remove(&mut self, key: u64, seed: &Seed) -> Option<T> {
        let position = self.position(key, seed)?;
        self.forget_position(key, position, seed);
        let removed = self.entries.swap_remove(position);
        if self.entries.len() < INDEX_BELOW {
            self.index = None;
        }
        if self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
            if self.index.is_some() {
                self.build_index(seed);
            }
        }
        Some(removed.value)
    }

    /// The only entry, if just one is left.
    pub(super) fn take_last(&mut self) -> Option<Entry<T>> {
        if self.entries.len() == 1 { self.entries.pop() } else { None }
    }

    /// Bytes of heap, without what the values own.
    pub(super) fn bytes(&self) -> usize {
        let index = self.index.as_ref().map_or(0, |index| size_of_val(&**index) + index.allocation_size());
        self.entries.capacity() * size_of::<Entry<T>>() + index
    }

    fn position(&self, key: u64, seed: &Seed) -> Option<usize> {
        let Some(index) = &self.index else {
            return self.entries.iter().position(|entry| entry.key == key);
        };
        let holds_key = |&position: &u32| self.entries.get(position as usize).is_some_and(|e| e.key == key);
        index.find(seed.number(key), holds_key).map(|&position| position as usize)
    }

    /// Takes `key` out of the index and lets the entry that is last now be found at `position`.
    fn forget_position(&mut self, key: u64, position: usize, seed: &Seed) {
        let (Some(index), Some(last)) = (&mut self.index, self.entries.last()) else {
            return;
        };
        let (gone, moved) = (position_of(position), position_of(self.entries.len() - 1));
        if let Ok(entry) = index.find_entry(seed.number(key), |&other| other == gone) {
            entry.remove();
        }
        if let Some(place) = index.find_mut(seed.number(last.key), |&other| other == moved) {
            *place = gone;
        }
    }

    fn build_index(&mut self, seed: &Seed) {
        let entries = &self.entries;
        let mut index = HashTable::with_capacity(entries.len());
        for (position, entry) in entries.iter().enumerate() {
            let rehash = |&position: &u32| hash_at(entries, position, seed);
            index.insert_unique(seed.number(entry.key), position_of(position), rehash);
        }
        self.index = Some(Box::new(index));
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), index: None }
    }
}

fn hash_at<T>(entries: &[Entry<T>], position: u32, seed: &Seed) -> u64 {
    entries.get(position as usize).map_or(0, |entry| seed.number(entry.key))
}

#[expect(
    clippy::expect_used,
    reason = "4,294,967,296 entries of one filter take more memory than a machine has"
)]
fn position_of(place: usize) -> u32 {
    u32::try_from(place).expect("a list holds at most 2^32 entries")
}
