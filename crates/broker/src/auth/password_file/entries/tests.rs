//! A file read whole: what it yields, and what it says when it yields nothing.

use std::path::Path;

use super::{Entries, MalformedFile};
use crate::auth::stored_hash::{Argon2id, Cost, Scratch};

const TINY: &str =
    "$argon2id$v=19$m=8,t=1,p=1$YSB0aW55IHRlc3Qgc2FsdA$OdwmiDkOf7gqKOUoKTEOHniv7XLlNaJmeCLmZjysAPo";
const SHA512: &str = "$6$Uzd/uJy2pHJGirAA$/pOF/IZTPcpFzGjRU0+7yhOh0wi5/+Q8hv6neCg6/npbWTO+TRY2LjRE4s2DQiR51Ac8AU5Eq4tw8a1p1D6QCw==";

fn parse(file: &str) -> Result<Entries, MalformedFile> {
    Entries::parse(Path::new("passwords"), file.as_bytes())
}

fn faults(file: &str) -> String {
    parse(file).err().map(|malformed| malformed.to_string()).unwrap_or_default()
}

#[test]
fn every_user_is_found_with_the_right_hash() {
    let entries = parse(&format!("# people\nalice:{TINY}\n\nbob:{SHA512}\r\n")).unwrap();
    for name in ["alice", "bob"] {
        let (found, entry) = entries.find(name).unwrap();
        assert_eq!(&**found, name);
        assert!(entry.hash.verify(b"open sesame", &mut Scratch::default()));
    }
    for name in ["", "Alice", "alice ", "# people"] {
        assert!(entries.find(name).is_none(), "{name:?}");
    }
    assert!(!entries.is_empty());
    assert!(parse("# nobody\n").unwrap().is_empty());
}

#[test]
fn all_faults_are_told_at_once_with_line_and_remedy() {
    let file = format!(
        "alice:{TINY}\nbob:hunter2\nhunter3\n# x\ncarol:$1$abc$hunter4\n{TINY}\nalice:{SHA512}\n\u{7}dave:{TINY}\n"
    );
    let faults = faults(&file);
    let expected = "\
passwords:2: user \"bob\": the password is there in plain text, no hash; set it again with `whimbrel passwd`
passwords:3: the line has no `:`; write `user:hash`, or begin the line with `#` to make it a comment
passwords:5: user \"carol\": the hash is of a format that is not read here (read are $argon2id$, SCRAM-SHA-256$, SCRAM-SHA-512$, and Mosquitto's $7$ and $6$); set the password again with `whimbrel passwd`
passwords:6: the line has no `:`; write `user:hash`, or begin the line with `#` to make it a comment
passwords:7: user \"alice\": the user has a line already (line 1); delete one of the two
passwords:8: the user name contains a control character; correct it or delete the line";
    assert_eq!(faults, expected);
}

#[test]
fn no_fault_repeats_what_may_be_a_password() {
    let file = "bob:hunter2\nhunter2\ncarol:$hunter2$\ndave:$6$hunter2$hunter2\nerin:$7$hunter2$a$b\nfred:$argon2id$hunter2\n";
    let faults = faults(file);
    assert_eq!(faults.lines().count(), 6);
    assert!(!faults.contains("hunter2"), "{faults}");
}

#[test]
fn a_user_with_a_useless_first_line_is_a_duplicate_all_the_same() {
    assert!(
        faults(&format!("bob:plain\nbob:{TINY}\n"))
            .contains("passwords:2: user \"bob\": the user has a line already")
    );
}

#[test]
fn the_faults_of_a_file_that_is_none_are_counted_and_not_all_listed() {
    let faults = faults(&"no password file\n".repeat(250));
    assert_eq!(faults.lines().count(), 101);
    assert!(faults.ends_with("\npasswords: and 150 lines more"), "{faults}");
}

#[test]
fn the_decoy_costs_what_the_commonest_hash_of_the_file_costs() {
    let decoy = |file: &str| parse(file).unwrap().decoy().hash.cost();
    let tiny = Cost::Argon2id { memory_kib: 8, passes: 1, lanes: 1 };
    assert_eq!(decoy(""), Argon2id::default_cost());
    assert_eq!(decoy(&format!("a:{TINY}\nb:{SHA512}\nc:{SHA512}\n")), Cost::SaltedSha512);
    assert_eq!(decoy(&format!("a:{TINY}\nb:{SHA512}\nc:{TINY}\n")), tiny);
    // As many of the one as of the other: the dearer one.
    assert_eq!(decoy(&format!("a:{TINY}\nb:{SHA512}\n")), tiny);
}

#[test]
fn the_decoy_verifies_no_password() {
    for file in [format!("a:{TINY}"), format!("a:{SHA512}")] {
        let entries = parse(&file).unwrap();
        for password in [&b""[..], b"\0", b"open sesame"] {
            assert!(!entries.decoy().hash.verify(password, &mut Scratch::default()));
        }
    }
}

#[test]
fn a_line_that_changes_has_another_fingerprint() {
    let fingerprint = |file: &str| parse(file).unwrap().find("a").unwrap().1.fingerprint;
    assert_eq!(fingerprint(&format!("a:{TINY}")), fingerprint(&format!("# x\n a : {TINY}\r\nb:{TINY}")));
    assert_ne!(fingerprint(&format!("a:{TINY}")), fingerprint(&format!("a:{SHA512}")));
}
