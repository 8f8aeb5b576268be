//! An arena: values in one block of memory, addressed by number. Not a map: a freed number is given out again.

/// The numbers of an arena stay below, so that two bits of a `u32` are free for others.
const SLOTS_MAX: u32 = 1 << 30;
/// How much longer an arena must be than what lives in it before it is worth compacting.
const SPARSE_FACTOR: usize = 4;
/// Below so many slots an arena is never worth compacting.
const SPARSE_SLOTS_MIN: usize = 1024;
/// What [`Arena::compact`] answers for a number that was free.
pub(crate) const GONE: u32 = u32::MAX;

/// Values of one type, each under the number that [`Arena::insert`] gave it until [`Arena::take`].
///
/// Free slots hold the default value, so `T`'s default must own no memory.
pub(crate) struct Arena<T> {
    slots: Vec<T>,
    free: Vec<u32>,
}

impl<T: Default> Arena<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Stores a value and returns its number.
    ///
    /// # Panics
    ///
    /// At 2^30 slots. The limits on subscriptions and on retained messages come long before.
    #[expect(clippy::expect_used, reason = "the limits of the structures that use an arena are lower")]
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(id) = self.free.pop() {
            *self.at_mut(id) = value;
            return id;
        }
        let id = u32::try_from(self.slots.len()).ok().filter(|&id| id < SLOTS_MAX);
        let id = id.expect("an arena holds fewer than 2^30 slots");
        if self.slots.len() == self.slots.capacity() {
            // An eighth at a time: large blocks grow in place, and doubling would waste a quarter on average.
            self.slots.reserve_exact((self.slots.len() / 8).max(8));
        }
        self.slots.push(value);
        id
    }

    /// Frees the slot `id` and returns what was in it.
    pub(crate) fn take(&mut self, id: u32) -> T {
        self.free.push(id);
        core::mem::take(self.at_mut(id))
    }

    #[expect(clippy::indexing_slicing, reason = "a number is valid from `insert` to `take`")]
    pub(crate) fn at(&self, id: u32) -> &T {
        &self.slots[id as usize]
    }

    #[expect(clippy::indexing_slicing, reason = "a number is valid from `insert` to `take`")]
    pub(crate) fn at_mut(&mut self, id: u32) -> &mut T {
        &mut self.slots[id as usize]
    }

    /// Every slot with its number, in order; free ones hold the default value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.slots)
    }

    /// Every slot, in the order of the numbers; free ones hold the default value.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut()
    }

    /// Whether so much of the arena is free that [`Arena::compact`] pays for itself.
    pub(crate) fn is_sparse(&self) -> bool {
        let live = self.slots.len() - self.free.len();
        self.slots.len() >= SPARSE_SLOTS_MIN && live < self.slots.len() / SPARSE_FACTOR
    }

    /// Moves everything to the front and returns the unused memory.
    ///
    /// The answer holds, at the place of each old number, the new one, or [`GONE`]. The order stays, and
    /// number 0 stays 0 if it is in use.
    pub(crate) fn compact(&mut self) -> Vec<u32> {
        let mut renumbered = vec![0; self.slots.len()];
        for id in core::mem::take(&mut self.free) {
            if let Some(entry) = renumbered.get_mut(id as usize) {
                *entry = GONE;
            }
        }
        let live = renumbered.iter().filter(|&&entry| entry != GONE).count();
        let slots = core::mem::replace(&mut self.slots, Vec::with_capacity(live));
        let mut next = 0;
        for (entry, value) in renumbered.iter_mut().zip(slots) {
            if *entry != GONE {
                *entry = next;
                next += 1;
                self.slots.push(value);
            }
        }
        renumbered
    }

    /// Bytes of heap, without what the values own.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<T>() + self.free.capacity() * size_of::<u32>()
    }
}
