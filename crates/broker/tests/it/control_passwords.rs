//! A reload of the password file through the control door.

use std::fs;

use whimbrel_broker::{Broker, config::Auto};

use super::{control::ask, running};

const ALICE: &str =
    "alice:$argon2id$v=19$m=8,t=1,p=1$YSB0aW55IHRlc3Qgc2FsdA$OdwmiDkOf7gqKOUoKTEOHniv7XLlNaJmeCLmZjysAPo\n";

#[test]
fn a_reload_takes_new_users_in_and_a_file_with_faults_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passwords");
    fs::write(&path, ALICE).unwrap();
    let mut config = running::config();
    config.authentication.password_file = Some(path.clone());
    config.worker.threads = Auto::Set(1);
    let broker = Broker::start(&config).unwrap();
    let reload = || ask(broker.control().reload("the test"));

    fs::write(&path, [ALICE, &ALICE.replace("alice", "bob")].concat()).unwrap();
    let taken = reload();
    assert_eq!((taken.users, taken.faults.len()), (Some(2), 0));
    fs::write(&path, format!("{ALICE}carol\n")).unwrap();
    let refused = reload();
    let [fault] = &refused.faults[..] else { panic!("{:?}", refused.faults) };
    assert_eq!((refused.users, fault.file.as_deref(), fault.line), (None, Some(path.as_path()), Some(2)));
    assert!(fault.message.starts_with("the line has no `:`"), "{fault}");
    fs::remove_file(&path).unwrap();
    let gone = reload();
    assert!(gone.faults[0].message.contains("cannot be read"), "{:?}", gone.faults);
    assert_eq!(gone.faults[0].key.as_deref(), Some("authentication.password_file"));
    broker.stop();
}
