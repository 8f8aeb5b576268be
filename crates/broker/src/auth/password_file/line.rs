//! One line of a password file: the only place that knows where a user name ends and a hash begins, for
//! the reader of a whole file and for the editor of one line alike.

use std::fmt;
use std::sync::Arc;

use super::super::stored_hash::HashFault;

/// The longest user name that a CONNECT can carry, in bytes.
const USER_NAME_BYTES_MAX: usize = 65_535;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// A user name that a password file can hold and give back unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserName(Arc<str>);

impl UserName {
    /// Takes a name that a line `name:hash` can hold.
    ///
    /// # Errors
    /// The rule of the file that the name breaks.
    pub fn parse(text: &str) -> Result<Self, UserNameFault> {
        if text.is_empty() {
            return Err(UserNameFault::Empty);
        }
        if text.len() > USER_NAME_BYTES_MAX {
            return Err(UserNameFault::TooLong);
        }
        if text.contains(':') {
            return Err(UserNameFault::Colon);
        }
        if text.contains(char::is_control) {
            return Err(UserNameFault::ControlCharacter);
        }
        if text.starts_with(['#', BYTE_ORDER_MARK]) {
            return Err(UserNameFault::Comment);
        }
        if text.trim_ascii() != text {
            return Err(UserNameFault::Space);
        }
        Ok(Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn into_shared(self) -> Arc<str> {
        self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Why a text cannot be a user name in a password file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserNameFault {
    /// It is empty.
    #[error("the user name is empty")]
    Empty,
    /// It is longer than a CONNECT can carry.
    #[error("the user name is longer than 65,535 bytes")]
    TooLong,
    /// It has the character that ends a user name.
    #[error("the user name contains `:`, which ends a user name in the file")]
    Colon,
    /// It has a line feed or another control character.
    #[error("the user name contains a control character")]
    ControlCharacter,
    /// It begins with what begins a comment, or with a byte order mark.
    #[error("the user name begins with `#`, which begins a comment in the file, or with a byte order mark")]
    Comment,
    /// Spaces around a name are not part of it when the file is read.
    #[error("the user name begins or ends with a space, which is not kept in the file")]
    Space,
}

/// Why a line of a password file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineFault {
    /// The line is not UTF-8.
    #[error("the line is not UTF-8; save the file as UTF-8")]
    NotUtf8,
    /// The line has no colon.
    #[error("the line has no `:`; write `user:hash`, or begin the line with `#` to make it a comment")]
    NoColon,
    /// What stands before the colon is no user name.
    #[error("{0}; correct it or delete the line")]
    UserName(#[from] UserNameFault),
    /// Nothing follows the colon.
    #[error("the user has no password; set one with `whimbrel passwd`, or delete the line")]
    NoHash,
    /// What follows the colon is no hash that can be used.
    #[error(transparent)]
    Hash(#[from] HashFault),
    /// The user has a line already.
    #[error("the user has a line already (line {first}); delete one of the two")]
    Duplicate {
        /// The number of the user's first line.
        first: usize,
    },
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Nothing: blank or a comment.
    Blank,
    /// A user and what is stored of the password, not yet looked at.
    Entry { user_name: UserName, hash: &'a str },
}

impl<'a> Line<'a> {
    /// Reads one line, with or without its line ending. Spaces around the name and around the hash do not
    /// count, as in Mosquitto.
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, LineFault> {
        let line = str::from_utf8(line).map_err(|_| LineFault::NotUtf8)?;
        // Some editors put a byte order mark in front of the first line.
        let line = line.trim_start_matches(BYTE_ORDER_MARK).trim_ascii();
        if line.is_empty() || line.starts_with('#') {
            return Ok(Self::Blank);
        }
        let (user_name, hash) = line.split_once(':').ok_or(LineFault::NoColon)?;
        let user_name = UserName::parse(user_name.trim_ascii())?;
        let hash = hash.trim_ascii();
        if hash.is_empty() {
            return Err(LineFault::NoHash);
        }
        Ok(Self::Entry { user_name, hash })
    }

    /// Whether the line is one of `user_name`'s, whatever follows the colon.
    pub(super) fn is_of(line: &[u8], user_name: &UserName) -> bool {
        let before_colon = line.split(|byte| *byte == b':').next().filter(|before| before.len() < line.len());
        let name = before_colon.and_then(|name| str::from_utf8(name).ok());
        name.is_some_and(|name| name.trim_start_matches(BYTE_ORDER_MARK).trim_ascii() == user_name.as_str())
    }
}

/// The lines of a file with their endings, numbered from 1.
pub(super) fn lines(file: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    file.split_inclusive(|byte| *byte == b'\n').enumerate().map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::{Line, LineFault, UserName, UserNameFault};

    #[test]
    fn a_line_is_blank_a_comment_or_a_user_with_a_hash() {
        for blank in ["", "\n", " \t\r\n", "# alice:$7$", "#", "  # indented", "\u{feff}# first line\n"] {
            assert_eq!(Line::parse(blank.as_bytes()), Ok(Line::Blank), "{blank:?}");
        }
        let entries = [
            ("alice:hash", "alice", "hash"),
            ("alice:hash\n", "alice", "hash"),
            (" alice : hash \r\n", "alice", "hash"),
            ("\u{feff}alice:hash", "alice", "hash"),
            ("two words:a:b", "two words", "a:b"),
            ("Zoë:hash", "Zoë", "hash"),
        ];
        for (line, name, hash) in entries {
            let user_name = UserName::parse(name).unwrap();
            assert!(Line::is_of(line.as_bytes(), &user_name), "{line:?}");
            assert_eq!(Line::parse(line.as_bytes()), Ok(Line::Entry { user_name, hash }), "{line:?}");
        }
    }

    #[test]
    fn a_line_that_says_nothing_certain_is_a_fault() {
        let faults: [(&[u8], LineFault); 6] = [
            (b"alice", LineFault::NoColon),
            (b"alice:", LineFault::NoHash),
            (b"alice: \r\n", LineFault::NoHash),
            (b":hash", LineFault::UserName(UserNameFault::Empty)),
            (b"al\x07ice:hash", LineFault::UserName(UserNameFault::ControlCharacter)),
            (b"al\xffce:hash", LineFault::NotUtf8),
        ];
        for (line, fault) in faults {
            assert_eq!(Line::parse(line), Err(fault), "{line:?}");
        }
    }

    #[test]
    fn a_user_name_comes_back_from_the_file_as_it_was_or_is_refused() {
        let names = [
            ("alice", Ok(())),
            ("two words", Ok(())),
            ("a#b", Ok(())),
            ("", Err(UserNameFault::Empty)),
            ("a:b", Err(UserNameFault::Colon)),
            ("a\nb", Err(UserNameFault::ControlCharacter)),
            ("a\0", Err(UserNameFault::ControlCharacter)),
            ("a\u{85}b", Err(UserNameFault::ControlCharacter)),
            ("#alice", Err(UserNameFault::Comment)),
            ("\u{feff}alice", Err(UserNameFault::Comment)),
            (" alice", Err(UserNameFault::Space)),
            ("alice ", Err(UserNameFault::Space)),
        ];
        for (name, expected) in names {
            assert_eq!(UserName::parse(name).map(|_| ()), expected, "{name:?}");
        }
        assert_eq!(UserName::parse(&"x".repeat(65_536)), Err(UserNameFault::TooLong));
        assert!(UserName::parse(&"x".repeat(65_535)).is_ok());
    }

    #[test]
    fn a_line_belongs_to_its_user_even_when_its_hash_is_useless() {
        let alice = UserName::parse("alice").unwrap();
        for (line, expected) in [
            (&b"alice:"[..], true),
            (b"alice:plain", true),
            (b"alice:\xff\xfe", true),
            (b"alice", false),
            (b"#alice:hash", false),
            (b"alice2:hash", false),
            (b"bob:alice:hash", false),
        ] {
            assert_eq!(Line::is_of(line, &alice), expected, "{line:?}");
        }
    }
}
