//! How inputs go wrong: bits, bytes, lengths, pieces that go, come or change places. Knows no packet but where lengths
//! like to be.

use super::{Dice, Input};

/// Inputs do not grow beyond this.
const BYTES_MAX: usize = 4_000;

/// Values at which readers go wrong.
const EDGES: &[u8] =
    &[0, 1, 2, 4, 5, 0x10, 0x7f, 0x80, 0x81, 0xff, b'#', b'+', b'/', b'$', b'"', b':', b'\n'];

/// Changes one thing.
pub(super) fn mutate(input: &mut Input, dice: &mut Dice) {
    if input.is_empty() {
        return input.push(dice.byte());
    }
    let at = dice.below(input.len());
    match dice.below(10) {
        0 | 1 => input[at] ^= 1 << dice.below(8),
        2 => input[at] = dice.byte(),
        3 => input[at] = dice.pick(EDGES),
        // Lengths and identifiers are off by one or two.
        4 => input[at] = input[at].wrapping_add(dice.pick(&[1, 2, 0xfe, 0xff])),
        5 => input.insert(at, dice.pick(EDGES)),
        6 => input.truncate(at),
        7 => _ = input.drain(at..(at + 1 + dice.below(8)).min(input.len())),
        8 => {
            let piece = input[at..(at + 1 + dice.below(64)).min(input.len())].to_vec();
            let to = dice.below(input.len());
            input.splice(to..to, piece);
        }
        // A length of two bytes, or one that goes on over several.
        _ => {
            let length: &[u8] =
                dice.pick(&[&[0, 0][..], &[0xff, 0xff], &[0x80, 1], &[0xff, 0xff, 0xff, 0x7f]]);
            let end = (at + length.len()).min(input.len());
            input.splice(at..end, length.iter().copied());
        }
    }
    input.truncate(BYTES_MAX);
}

/// The beginning of one and the end of the other.
pub(super) fn spliced(one: &[u8], other: &[u8], dice: &mut Dice) -> Input {
    let (head, tail) = (dice.below(one.len() + 1), dice.below(other.len() + 1));
    let mut input = [&one[..head], &other[tail..]].concat();
    input.truncate(BYTES_MAX);
    input
}
