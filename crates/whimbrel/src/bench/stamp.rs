//! What stands in the first bytes of every payload: who sent it, its number, its time, and a checksum. Not the topic.
//!
//! ```text
//! 0        4           10        16          20
//! | sender | number    | time    | checksum  | filler ...
//! ```
//!
//! All big-endian; the time is nanoseconds since the run began. The checksum covers everything else in the payload
//! and is left out where the payload is shorter than 20 bytes.

use super::clock::Nanos;

/// The shortest payload that can carry a stamp, in bytes.
pub(super) const STAMP_BYTES: usize = 16;
/// The shortest payload that has a checksum, in bytes.
pub(super) const CHECKED_BYTES: usize = 20;
const FORTY_EIGHT_BITS: u64 = (1 << 48) - 1;
const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;

/// Who sent a message, the how manieth it was of that sender, and when it was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) sender: u32,
    pub(super) number: u64,
    pub(super) time: Nanos,
}

impl Stamp {
    /// The bytes before the filler; of a payload without room for a checksum only the first sixteen count.
    #[inline]
    pub(super) fn bytes(self, filler_sum: u64) -> [u8; CHECKED_BYTES] {
        let (first, second) = self.words();
        let checksum = seal(first, second, filler_sum);
        let whole = (u128::from(first) << 64) | u128::from(second);
        let mut bytes = [0; CHECKED_BYTES];
        let (stamp, sum) = bytes.split_at_mut(STAMP_BYTES);
        stamp.copy_from_slice(&whole.to_be_bytes());
        sum.copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// What a payload says, or `None` where it is not what anybody of this program sent.
    #[inline]
    pub(super) fn read(payload: &[u8]) -> Option<Stamp> {
        let (stamp, rest) = payload.split_first_chunk::<STAMP_BYTES>()?;
        let whole = u128::from_be_bytes(*stamp);
        let (first, second) = ((whole >> 64) as u64, whole as u64);
        if let Some((checksum, filler)) = rest.split_first_chunk::<4>()
            && u32::from_be_bytes(*checksum) != seal(first, second, sum(filler))
        {
            return None;
        }
        let number = (first & 0xffff_ffff) << 16 | second >> 48;
        Some(Stamp { sender: (first >> 32) as u32, number, time: second & FORTY_EIGHT_BITS })
    }

    /// The same place with another time.
    #[inline]
    fn words(self) -> (u64, u64) {
        let number = self.number & FORTY_EIGHT_BITS;
        let first = u64::from(self.sender) << 32 | number >> 16;
        let second = number << 48 | self.time & FORTY_EIGHT_BITS;
        (first, second)
    }
}

/// The sum over the bytes behind the checksum.
#[inline]
pub(super) fn sum(filler: &[u8]) -> u64 {
    let (chunks, tail) = filler.as_chunks::<8>();
    let mut sum = filler.len() as u64;
    for chunk in chunks {
        sum = fold(sum, u64::from_le_bytes(*chunk));
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(tail) {
        *to = *from;
    }
    fold(sum, u64::from_le_bytes(last))
}

/// One step. It maps different words to different sums, so that one changed word is never overlooked before the
/// last step shortens the sum.
#[inline]
fn fold(sum: u64, word: u64) -> u64 {
    (sum ^ word).wrapping_mul(PRIME).rotate_left(29)
}

#[inline]
fn seal(first: u64, second: u64, filler_sum: u64) -> u32 {
    let mixed = fold(fold(filler_sum, first), second);
    (mixed >> 32) as u32 ^ mixed as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { sender: 0xdead_beef, number: 0x1234_5678_9abc, time: 0x0fed_cba9_8765 };

    fn payload(filler: &[u8]) -> Vec<u8> {
        let mut payload = STAMP.bytes(sum(filler)).to_vec();
        payload.extend_from_slice(filler);
        payload
    }

    #[test]
    fn what_is_written_is_read() {
        for len in 0..40 {
            assert_eq!(Stamp::read(&payload(&vec![7; len])), Some(STAMP), "{len}");
        }
        assert_eq!(Stamp::read(&STAMP.bytes(0)[..STAMP_BYTES]), Some(STAMP));
        assert_eq!(Stamp::read(&STAMP.bytes(0)[..STAMP_BYTES - 1]), None);
    }

    #[test]
    fn every_changed_byte_is_seen() {
        let good = payload(b"the quick brown fox jumps over it");
        for at in 0..good.len() {
            for flip in [1_u8, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                assert_eq!(Stamp::read(&bad), None, "byte {at} ^ {flip}");
            }
        }
    }
}
