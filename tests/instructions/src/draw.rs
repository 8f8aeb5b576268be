//! Numbers that look random and are the same in every run (SplitMix64). Not for anything that must be unpredictable.

/// Draws numbers.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) const fn new(seed: u64) -> Self {
        Draw(seed)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // The upper bits scaled down: no division, and the bias of a small bound is far below one in a million.
        ((u64::from((mixed >> 32) as u32) * u64::from(bound)) >> 32) as u32
    }
}
