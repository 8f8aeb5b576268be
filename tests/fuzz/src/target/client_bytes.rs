//! The client's machine under arbitrary bytes and time, and an application that asks for things meanwhile: what it writes
//! are whole packets that read, and pieces of any size give the same outcome as one.

use crate::{draw::Draw, machine::client::Talk};

/// Settings, the length of the script, the script, and then what the server sends.
pub(super) fn client_bytes(data: &[u8]) {
    let mut draw = Draw::new(data);
    let choice = draw.byte();
    let len = draw.below(32);
    let (script, stream) = (draw.slice(len), draw.rest());
    let whole = Talk::new(choice, script).hear([stream]);
    for step in [1, 2 + usize::from(choice)] {
        assert_eq!(Talk::new(choice, script).hear(stream.chunks(step)), whole, "in pieces of {step} bytes");
    }
}
