//! Numbers that look random and are the same in every run of a seed. Not for hashing.

/// A seeded sequence (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The sequence of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice(seed ^ 0x5bd1_e995_9bd1_e995);
        dice.draw();
        dice
    }

    /// A sequence of its own for somebody else.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Dice::new(self.draw())
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let drawn = self.draw();
        if bound == 0 { 0 } else { usize::try_from(drawn % bound as u64).unwrap_or(0) }
    }

    /// A number from `low` to `high`, both among them.
    pub fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.draw() % (high.saturating_sub(low) + 1)
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, percent: u32) -> bool {
        self.draw() % 100 < u64::from(percent)
    }

    /// True so many times in a thousand.
    pub fn per_mille(&mut self, mille: u32) -> bool {
        self.draw() % 1_000 < u64::from(mille)
    }

    /// One of `choices`.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.below(choices.len()))
    }

    /// The place of one of these weights, each as likely as it is heavy.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let sum: u32 = weights.iter().sum();
        let mut left = u32::try_from(self.draw() % u64::from(sum.max(1))).unwrap_or(0);
        for (at, weight) in weights.iter().enumerate() {
            if left < *weight {
                return at;
            }
            left -= weight;
        }
        0
    }
}
