//! Two honest machines over a network that cuts, under arbitrary operations: neither finds a violation in the other, and
//! every message comes as often as its QoS promises.

use whimbrel_proto::codec::Version;

use crate::{draw::Draw, machine::pair::Pair};

/// Messages that each side sends at most, so that the lists of what has come stay short.
const OPERATIONS_MAX: usize = 600;

/// The first byte chooses version and Receive Maximum; each operation is a byte.
pub(super) fn pair(data: &[u8]) {
    let mut draw = Draw::new(data);
    let choice = draw.byte();
    let version = [Version::V5, Version::V5, Version::V311, Version::V31][usize::from(choice & 3)];
    let mut pair = Pair::new(version, 1 + u16::from(choice >> 4));
    pair.connect();
    for _ in 0..OPERATIONS_MAX {
        if draw.is_empty() {
            break;
        }
        let operation = draw.byte();
        let amount = usize::from(operation >> 4);
        match operation & 15 {
            0..=2 => pair.carry_up(1 + amount),
            3 | 4 => pair.carry_up(64 * amount),
            5..=7 => pair.carry_down(1 + amount),
            8 | 9 => pair.carry_down(64 * amount),
            10 | 11 => pair.publish(),
            12 | 13 => pair.push(),
            14 => pair.answer(amount),
            _ => match amount {
                0..=7 => pair.connect(),
                8 => pair.cut(),
                _ => pair.advance(amount as u64 * 3),
            },
        }
    }
    pair.finish();
}
