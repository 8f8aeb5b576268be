//! The retained tree against a map; and a walk that goes on while the tree changes, against what it promises.

use crate::{draw::Draw, machine::retained::Pair};

/// Each operation is a byte that says which and how far, then a topic, a filter or nothing.
pub(super) fn retained(data: &[u8]) {
    let mut draw = Draw::new(data);
    let mut pair = Pair::new();
    while !draw.is_empty() {
        let choice = draw.byte();
        match choice & 7 {
            0..=2 => pair.insert(draw.topic()),
            3 | 4 => pair.remove(&draw.topic()),
            5 if choice > 127 || !pair.is_walking() => pair.begin(draw.filter()),
            _ => pair.go_on(usize::from(choice >> 3)),
        }
    }
    while pair.is_walking() {
        pair.go_on(31);
    }
    pair.empty();
}
