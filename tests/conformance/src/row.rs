//! One row of the tables of wrong packets: what is wrong, and which answers are right. The tables are in `malformed` and
//! `malformed_connect`.

use whimbrel_testkit::{Refusal, Version, World};

/// One way to be wrong.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) bytes: Vec<u8>,
    /// The reasons that the text permits (5.0).
    pub(crate) codes: &'static [u8],
    /// Whether the text binds the sender only and says nothing of the receiver: 4.13.1 leaves it free how rigorously
    /// a receiver checks.
    pub(crate) free: bool,
    /// Whether nothing in the bytes says that they are of 5.0, so that a close without a word is right.
    pub(crate) versionless: bool,
}

impl Row {
    /// A receiver may omit this check.
    pub(crate) fn free(mut self) -> Self {
        self.free = true;
        self
    }

    /// The version cannot be told from the bytes.
    pub(crate) fn versionless(mut self) -> Self {
        self.versionless = true;
        self
    }

    /// Judges how a server has answered: nothing, or what is wrong with it. By the letter it must only close, the
    /// reason that it tells is recommended; the difference is a note.
    pub(crate) fn judge(&self, world: &mut World, refusal: &Refusal) -> Option<String> {
        let told = match refusal {
            Refusal::Disconnect(code) | Refusal::ConnAck(code) if world.version() == Version::V5 => {
                Some(*code)
            }
            Refusal::Closed => None,
            _ => {
                let words = format!("{}: expected {:02X?}, not {refusal:02X?}", self.what, self.codes);
                // The text of 3.1 does not number its duties.
                if world.house() || !(self.free || world.version() == Version::V31) {
                    return Some(words);
                }
                world.note(words);
                return None;
            }
        };
        let right = match told {
            Some(code) => self.codes.contains(&code),
            None => self.versionless || world.version() != Version::V5,
        };
        if right {
            return None;
        }
        let words = format!("{}: expected {:02X?}, not {refusal:02X?}", self.what, self.codes);
        if world.house() {
            return Some(words);
        }
        if told.is_some() {
            world.note(words);
        }
        None
    }
}

pub(crate) fn row(what: impl Into<String>, bytes: Vec<u8>, codes: &'static [u8]) -> Row {
    Row { what: what.into(), bytes, codes, free: false, versionless: false }
}

pub(crate) const MALFORMED: &[u8] = &[0x81];
pub(crate) const PROTOCOL_ERROR: &[u8] = &[0x82];
/// Where the text says that it is wrong, but not as which of the two.
pub(crate) const WRONG: &[u8] = &[0x81, 0x82];
