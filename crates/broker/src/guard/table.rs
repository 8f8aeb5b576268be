//! Moments by key, in a table whose size never changes. Not what the moments mean.
//!
//! A key belongs to one set of eight places. Where all eight are taken, the one with the earliest moment makes room,
//! and [`Table::latest_possible`] of a key that has no place is that earliest moment: whoever was put out comes back with
//! a moment that is not earlier than the one that it had. So nobody can have a key forgotten by a flood of others; a flood
//! makes others look worse than they are, never better.

/// Places of a set.
const WAYS: usize = 8;

#[derive(Clone, Copy, Default)]
struct Place {
    /// Never 0 where the place is taken.
    key: u64,
    moment: u64,
}

/// Moments by key. A moment that has passed is worth as much as none.
pub(crate) struct Table {
    /// Allocated at the first entry: a broker that never needs it pays nothing.
    places: Vec<Place>,
    sets: usize,
}

impl Table {
    /// Room for about so many keys; at least for eight.
    pub(crate) fn new(entries_max: usize) -> Self {
        Table { places: Vec::new(), sets: entries_max.div_ceil(WAYS).max(1) }
    }

    /// The moment that was put for a key, if it still has its place.
    pub(crate) fn find(&self, key: u64) -> Option<u64> {
        self.set(key)?.iter().find(|place| place.key == key).map(|place| place.moment)
    }

    /// The same, or the latest moment that a key without a place can have had.
    pub(crate) fn latest_possible(&self, key: u64) -> u64 {
        let earliest = || self.set(key)?.iter().map(|place| place.moment).min();
        self.find(key).or_else(earliest).unwrap_or(0)
    }

    /// Puts the moment of a key.
    pub(crate) fn put(&mut self, key: u64, moment: u64) {
        if self.places.is_empty() {
            self.places = vec![Place::default(); self.sets * WAYS];
        }
        let at = self.start(key);
        let Some(set) = self.places.get_mut(at..at + WAYS) else { return };
        let own = set.iter().position(|place| place.key == key);
        let place = match own {
            Some(own) => set.get_mut(own),
            None => set.iter_mut().min_by_key(|place| place.moment),
        };
        if let Some(place) = place {
            *place = Place { key, moment };
        }
    }

    /// How many keys have a moment that is later than this.
    pub(crate) fn later_than(&self, moment: u64) -> usize {
        self.places.iter().filter(|place| place.moment > moment).count()
    }

    /// How many keys there is room for.
    pub(crate) fn capacity(&self) -> usize {
        self.sets * WAYS
    }

    fn set(&self, key: u64) -> Option<&[Place]> {
        let at = self.start(key);
        self.places.get(at..at + WAYS)
    }

    fn start(&self, key: u64) -> usize {
        // The lower half of the product is not needed: it spreads keys as a remainder would.
        let set = (u128::from(key) * self.sets as u128) >> 64;
        usize::try_from(set).unwrap_or(0) * WAYS
    }
}

#[cfg(test)]
mod tests {
    use super::{Table, WAYS};

    #[test]
    fn a_key_keeps_its_moment_while_there_is_room() {
        let mut table = Table::new(WAYS);
        assert_eq!((table.find(7), table.latest_possible(7)), (None, 0));
        for key in 1..=8 {
            table.put(key, key * 10);
        }
        assert_eq!(
            (1..=8).map(|key| table.find(key)).collect::<Vec<_>>(),
            (1..=8).map(|key| Some(key * 10)).collect::<Vec<_>>()
        );
        table.put(3, 35);
        assert_eq!((table.find(3), table.later_than(30), table.capacity()), (Some(35), 6, 8));
    }

    #[test]
    fn whoever_is_put_out_comes_back_no_better_than_it_was() {
        let mut table = Table::new(WAYS);
        table.put(1, 500);
        // A flood that raises each newcomer's moment by one step over what it may have had.
        for key in 2..1_000 {
            let moment = table.latest_possible(key) + 1;
            table.put(key, moment);
            assert!(table.latest_possible(1) >= 500.min(table.find(1).unwrap_or(u64::MAX)), "{key}");
        }
        for key in 1_000..10_000 {
            let moment = table.latest_possible(key) + 1;
            table.put(key, moment);
        }
        assert_eq!(table.find(1), None, "it was put out at last");
        assert!(table.latest_possible(1) >= 500, "and is held to be no better than it was");
    }

    #[test]
    fn keys_spread_over_all_sets() {
        let mut table = Table::new(64 * WAYS);
        // Keys are keyed hashes: any number of 64 bits. A multiplication spreads these.
        (1..=256_u64).for_each(|number| table.put(number.wrapping_mul(0x9E37_79B9_7F4A_7C15), 1));
        assert!(table.later_than(0) > 230, "{}", table.later_than(0));
        let used = table.places.chunks(WAYS).filter(|set| set.iter().any(|place| place.key != 0)).count();
        assert!(used > 60, "{used}");
    }
}
