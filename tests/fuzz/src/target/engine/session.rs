//! The engine against a naive model of what clients do and are owed: once at QoS 2, at least once at QoS 1, in order. The
//! model is the engine's own; here its operations come from bytes.

use whimbrel_testkit::QoS;

use super::life::{CLIENTS, FILTERS, Life, Op, TOPICS};
use crate::draw::Draw;

/// Operations that a test of a thousandth of a second may have.
const OPERATIONS_MAX: usize = 300;

/// Each operation is a byte that says which, one for the client, and what it needs.
pub(in crate::target) fn session(data: &[u8]) {
    let mut draw = Draw::new(data);
    let mut life = Life::new();
    for _ in 0..OPERATIONS_MAX {
        if draw.is_empty() {
            break;
        }
        life.act(&operation(&mut draw));
    }
    life.finish();
}

fn operation(draw: &mut Draw<'_>) -> Op {
    let choice = draw.below(37);
    let bits = draw.byte();
    let client = usize::from(bits) % CLIENTS;
    let bits = bits / CLIENTS as u8;
    let qos = QoS::ALL[usize::from(bits) % 3];
    match choice {
        0..=2 => {
            let expiry_secs = draw.pick(&[0, 5, 100]);
            let room = 1 + u16::from(draw.byte() % 5);
            Op::Connect { client, old: bits & 1 == 1, clean: bits & 14 == 14, expiry_secs, room }
        }
        3..=11 => {
            let topic = draw.below(TOPICS.len());
            Op::Publish { client, topic, qos, retain: bits & 28 == 28 }
        }
        12 => Op::Clear { client, topic: usize::from(bits) % TOPICS.len() },
        13..=17 => Op::Subscribe { client, filter: draw.below(FILTERS.len()), qos },
        18 => Op::Unsubscribe { client, filter: usize::from(bits) % FILTERS.len() },
        19..=22 => Op::Read { client },
        23..=27 => Op::Answer { client, count: 1 + usize::from(bits) % 3 },
        28 | 29 => Op::Cut { client },
        30 => Op::Disconnect { client },
        31..=33 => Op::Room { client, bytes: draw.pick(&[0, 1, 30, 200, usize::MAX, usize::MAX]) },
        34 => Op::Stray { client, kind: bits, id: u16::from(draw.byte()) * 7 },
        _ => Op::Advance { secs: u16::from(bits) },
    }
}
