//! The server's machine under arbitrary bytes and time, in pieces of any size: the same outcome as in one piece, at most
//! the promised messages under way, and at the end a violation with a statement and a packet that reads.

use crate::{draw::Draw, machine::server::Talk};

/// Limits, the length of the script, the script, and then what the client sends.
pub(super) fn server_bytes(data: &[u8]) {
    let mut draw = Draw::new(data);
    let choice = draw.byte();
    let len = draw.below(16);
    let (script, stream) = (draw.slice(len), draw.rest());
    let whole = Talk::new(choice, script).hear([stream]);
    for step in [1, 2 + usize::from(choice)] {
        assert_eq!(Talk::new(choice, script).hear(stream.chunks(step)), whole, "in pieces of {step} bytes");
    }
}
