//! One user's line set, deleted or looked up in the bytes of a password file; every other byte stays as it
//! is, comments, order and faults of other lines included. Not the file on the disk.

use std::path::Path;

use super::entries::{Entries, MalformedFile};
use super::line::{Line, LineFault, UserName, lines};
use crate::auth::stored_hash::{NewHash, StoredHash};

/// Sets a user's line: in the place of the first one, or at the end. Further lines of the same user go, as
/// a file with two cannot be used. Says whether there was one.
pub fn set(file: &[u8], user_name: &UserName, hash: &NewHash) -> (Vec<u8>, bool) {
    let mut edited = Vec::with_capacity(file.len() + 256);
    let mut found = false;
    for (_, line) in lines(file) {
        if !Line::is_of(line, user_name) {
            edited.extend_from_slice(line);
        } else if !found {
            found = true;
            edited.extend_from_slice(format!("{user_name}:{hash}").as_bytes());
            edited.extend_from_slice(line_ending(line));
        }
    }
    if !found {
        let ending = lines(file).next().map_or(b"\n".as_slice(), |(_, line)| line_ending(line));
        if !edited.is_empty() && !edited.ends_with(b"\n") {
            edited.extend_from_slice(ending);
        }
        edited.extend_from_slice(format!("{user_name}:{hash}").as_bytes());
        edited.extend_from_slice(ending);
    }
    (edited, found)
}

/// Deletes a user's lines. `None` when there is none.
pub fn delete(file: &[u8], user_name: &UserName) -> Option<Vec<u8>> {
    let mut edited = Vec::with_capacity(file.len());
    for (_, line) in lines(file).filter(|(_, line)| !Line::is_of(line, user_name)) {
        edited.extend_from_slice(line);
    }
    (edited.len() < file.len()).then_some(edited)
}

/// A user's hash, whatever is wrong with other lines.
///
/// # Errors
/// The number of the user's line and what is wrong with it.
pub fn find(file: &[u8], user_name: &UserName) -> Result<Option<StoredHash>, (usize, LineFault)> {
    let Some((number, line)) = lines(file).find(|(_, line)| Line::is_of(line, user_name)) else {
        return Ok(None);
    };
    match Line::parse(line).map_err(|fault| (number, fault))? {
        Line::Blank => Ok(None),
        Line::Entry { hash, .. } => match StoredHash::parse(hash) {
            Ok(hash) => Ok(Some(hash)),
            Err(fault) => Err((number, fault.into())),
        },
    }
}

/// Whether a broker could use the whole file.
///
/// # Errors
/// All that is wrong with it; `path` is only told.
pub fn check(path: &Path, file: &[u8]) -> Result<(), MalformedFile> {
    Entries::parse(path, file).map(|_| ())
}

/// The ending of a line; a last line without one gets the usual one.
fn line_ending(line: &[u8]) -> &'static [u8] {
    if line.ends_with(b"\r\n") { b"\r\n" } else { b"\n" }
}

#[cfg(test)]
mod tests {
    use super::super::line::{LineFault, UserName};
    use super::{delete, find, set};
    use crate::auth::stored_hash::{HashFault, NewHash, Scratch, StoredHash};

    const FILE: &str = "\
# people
alice:$7$101$UWcdaga1Wq91wxLZ$AjDlRtBHeJjN6TnkUcpp8XzpM9moaI4bxDskO1OovV2Ox6xymyg8OARTDhXzT7LhTC7Y2Bk8n6uNXQZmtyO0cA==

  bob : plain  \r
# the end, without a line feed
carol:$6$short";

    fn user(name: &str) -> UserName {
        UserName::parse(name).unwrap()
    }

    fn hash() -> NewHash {
        let parsed = StoredHash::parse(
            "$argon2id$v=19$m=8,t=1,p=1$YSB0aW55IHRlc3Qgc2FsdA$OdwmiDkOf7gqKOUoKTEOHniv7XLlNaJmeCLmZjysAPo",
        );
        match parsed {
            Ok(StoredHash::Argon2id(hash)) => NewHash::Argon2id(hash),
            other => panic!("{other:?}"),
        }
    }

    fn edited(file: &str, name: &str) -> (String, bool) {
        let (edited, found) = set(file.as_bytes(), &user(name), &hash());
        (String::from_utf8(edited).unwrap(), found)
    }

    #[test]
    fn setting_a_line_leaves_every_other_byte_alone() {
        let hash = hash();
        assert_eq!(
            edited(FILE, "bob"),
            (FILE.replace("  bob : plain  \r\n", &format!("bob:{hash}\r\n")), true)
        );
        let (first, _) = edited(FILE, "alice");
        assert_eq!(first.lines().nth(1), Some(format!("alice:{hash}").as_str()));
        assert_eq!(first.lines().skip(2).collect::<Vec<_>>(), FILE.lines().skip(2).collect::<Vec<_>>());
    }

    #[test]
    fn a_new_user_comes_last_on_a_line_of_its_own() {
        let hash = hash();
        assert_eq!(edited(FILE, "dave"), (format!("{FILE}\ndave:{hash}\n"), false));
        assert_eq!(edited("", "dave"), (format!("dave:{hash}\n"), false));
        assert_eq!(edited("# x\n", "dave"), (format!("# x\ndave:{hash}\n"), false));
        assert_eq!(edited("# x\r\n# y", "dave"), (format!("# x\r\n# y\r\ndave:{hash}\r\n"), false));
    }

    #[test]
    fn setting_a_user_that_is_there_twice_leaves_one_line() {
        assert_eq!(edited("bob:a\nalice:b\nbob:c\n", "bob"), (format!("bob:{}\nalice:b\n", hash()), true));
    }

    #[test]
    fn deleting_takes_all_lines_of_the_user_and_nothing_else() {
        let deleted = |file: &str, name| {
            delete(file.as_bytes(), &user(name)).map(|file| String::from_utf8(file).unwrap())
        };
        assert_eq!(deleted(FILE, "bob"), Some(FILE.replace("  bob : plain  \r\n", "")));
        assert_eq!(deleted("bob:a\nalice:b\nbob:c", "bob"), Some("alice:b\n".into()));
        assert_eq!(deleted("bob:a", "bob"), Some(String::new()));
        assert_eq!(deleted(FILE, "people"), None);
    }

    #[test]
    fn finding_looks_at_the_users_own_line_only() {
        let found = find(FILE.as_bytes(), &user("alice")).unwrap().unwrap();
        assert!(found.verify(b"open sesame", &mut Scratch::default()));
        assert_eq!(find(FILE.as_bytes(), &user("dave")), Ok(None));
        assert_eq!(find(FILE.as_bytes(), &user("bob")), Err((4, LineFault::Hash(HashFault::PlainText))));
        assert!(matches!(find(FILE.as_bytes(), &user("carol")), Err((6, LineFault::Hash(_)))));
    }
}
