//! The text of a password file: no panic, every fault has its line, and a line that is set is found again while every
//! other byte stays.

use std::path::Path;

use whimbrel_broker::auth::{FaultAt, MalformedFile, NewHash, StoredHash, UserName, edit};

/// A hash of little cost; no password is verified here.
const HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$YSB0aW55IHRlc3Qgc2FsdA$OdwmiDkOf7gqKOUoKTEOHniv7XLlNaJmeCLmZjysAPo";

/// The bytes are the file.
pub(super) fn password_file(data: &[u8]) {
    let path = Path::new("passwords");
    let checked = edit::check(path, data);
    if let Err(malformed) = &checked {
        told(malformed, data);
    }
    let hash = hash();
    for name in names(data) {
        let (with, found) = edit::set(data, &name, &hash);
        assert!(
            checked.is_err() || matches!(edit::find(data, &name), Ok(stored) if stored.is_some() == found)
        );
        assert_eq!(found, edit::delete(data, &name).is_some(), "{name}");
        let stored = edit::find(&with, &name);
        assert!(matches!(&stored, Ok(Some(StoredHash::Argon2id(_)))), "{name}: {stored:?}");
        let faults = edit::check(path, &with).err().map(|malformed| malformed.faults).unwrap_or_default();
        let is_own = |fault: &FaultAt| fault.user_name.as_deref() == Some(name.as_str());
        assert!(if checked.is_ok() { faults.is_empty() } else { !faults.iter().any(is_own) }, "{name}");
        let without = edit::delete(&with, &name).expect("the line that was set");
        assert!(matches!(edit::find(&without, &name), Ok(None)), "{name}");
        assert_eq!(edit::delete(&without, &name), None, "{name}");
    }
}

fn hash() -> NewHash {
    match StoredHash::parse(HASH) {
        Ok(StoredHash::Argon2id(hash)) => NewHash::Argon2id(hash),
        other => panic!("{other:?}"),
    }
}

/// What stands before the colons of the first lines, as far as it can be a name, and one that is new.
fn names(file: &[u8]) -> Vec<UserName> {
    let text = String::from_utf8_lossy(file);
    let before_colons = text.lines().filter_map(|line| line.trim_start_matches('\u{feff}').split(':').next());
    let names = before_colons.take(8).filter(|name| !name.contains('\u{fffd}'));
    let known = names.filter_map(|name| UserName::parse(name.trim_ascii()).ok());
    // A line without a colon, and a comment, is nobody's.
    let known = known.filter(|name| edit::delete(file, name).is_some());
    known.chain(UserName::parse("somebody else").ok()).collect()
}

fn told(malformed: &MalformedFile, file: &[u8]) {
    let lines = file.split(|byte| *byte == b'\n').count();
    assert!(!malformed.faults.is_empty() && malformed.faults.len() <= malformed.fault_count);
    assert!(malformed.faults.iter().all(|fault| (1..=lines).contains(&fault.line)), "{malformed}");
    assert!(malformed.faults.is_sorted_by_key(|fault| fault.line), "{malformed}");
    let more = usize::from(malformed.faults.len() < malformed.fault_count);
    assert_eq!(malformed.to_string().lines().count(), malformed.faults.len() + more, "{malformed}");
}
