//! The authenticator as the broker sees it. Time stands still unless a test moves it, and verifications
//! are made when a test takes them from the queue.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tempfile::TempDir;

use super::{
    CREDENTIALS_BYTES_MAX, Counts, FILE_BYTES_MAX, PasswordFile, PasswordFileError, PasswordFileOptions,
    Warning,
};
use crate::auth::{Answer, Authenticator, Credentials, Denial, Scratch, Secret, Verdict};

/// The password of every user here is `open sesame` or, where a line was changed, `swordfish`.
const ALICE: &str =
    "alice:$argon2id$v=19$m=8,t=1,p=1$YSB0aW55IHRlc3Qgc2FsdA$OdwmiDkOf7gqKOUoKTEOHniv7XLlNaJmeCLmZjysAPo";
const BOB: &str = "bob:$7$101$UWcdaga1Wq91wxLZ$AjDlRtBHeJjN6TnkUcpp8XzpM9moaI4bxDskO1OovV2Ox6xymyg8OARTDhXzT7LhTC7Y2Bk8n6uNXQZmtyO0cA==";
const CAROL: &str = "carol:$6$Uzd/uJy2pHJGirAA$/pOF/IZTPcpFzGjRU0+7yhOh0wi5/+Q8hv6neCg6/npbWTO+TRY2LjRE4s2DQiR51Ac8AU5Eq4tw8a1p1D6QCw==";
const ALICE_CHANGED: &str = "alice:$6$UvvSgcLzYI7re8ow$V41fTD1lyhwMml7ITiJCa3T4nN3yJ9aqGCy0LUBsNx9FZtZUz8Ot8TgnrJAewJ9v8V8pzWYLQfl1xTqczlnw/A==";

const RIGHT: &[u8] = b"open sesame";
const BAD: Verdict = Verdict::Deny(Denial::BadUserNameOrPassword);

struct Door {
    folder: TempDir,
    file: PasswordFile,
    now_secs: Arc<AtomicU64>,
}

impl Door {
    fn new(contents: &str) -> Self {
        Self::with(contents, |_| ())
    }

    fn with(contents: &str, change: impl FnOnce(&mut PasswordFileOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passwords");
        fs::write(&path, contents).unwrap();
        let mut options = PasswordFileOptions::new(path);
        change(&mut options);
        let now_secs = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&now_secs);
        let clock = Box::new(move || Duration::from_secs(clock.load(Ordering::Relaxed)));
        let (file, _) = PasswordFile::idle(&options, clock).unwrap();
        Self { folder, file, now_secs }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("passwords")
    }

    fn ask(&self, user_name: &str, password: &[u8]) -> Answer {
        self.file.authenticate(credentials(Some(user_name), Some(password)))
    }

    /// Makes the verification that has waited longest.
    fn verify_one(&self) {
        let attempt = self.file.queue.try_next().expect("a verification waits");
        self.file.verifier.verify(attempt, &mut Scratch::default());
    }

    /// The verdict, with the one verification that it takes.
    fn later(&self, user_name: &str, password: &[u8]) -> Verdict {
        let answer = self.ask(user_name, password);
        assert!(matches!(answer, Answer::Later(_)), "{user_name:?} {answer:?}");
        self.verify_one();
        verdict(answer).expect("the verification has been made")
    }

    fn now(&self, user_name: &str, password: &[u8]) -> Option<Verdict> {
        match self.ask(user_name, password) {
            Answer::Now(verdict) => Some(verdict),
            Answer::Later(_) => None,
        }
    }
}

fn credentials(user_name: Option<&str>, password: Option<&[u8]>) -> Credentials {
    let (user_name, password) = (user_name.map(Into::into), password.map(Secret::from));
    Credentials { user_name, password, ..Credentials::default() }
}

/// The verdict, if it is there.
fn verdict(answer: Answer) -> Option<Verdict> {
    match pin!(answer.verdict()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(verdict) => Some(verdict),
        Poll::Pending => None,
    }
}

fn allowed(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Allow(identity) => identity.user_name.as_deref(),
        Verdict::Deny(_) => None,
    }
}

#[test]
fn every_format_lets_its_user_in_and_nobody_else() {
    let door = Door::new(&format!("# people\n{ALICE}\n{BOB}\n\n{CAROL}\n"));
    for name in ["alice", "bob", "carol"] {
        assert_eq!(allowed(&door.later(name, RIGHT)), Some(name));
        assert_eq!(door.later(name, b"open sesam"), BAD);
        assert_eq!(door.later(name, b""), BAD);
    }
    assert_eq!(door.file.counts(), Counts { accepted: 3, denied: 6, remembered: 0, busy: 0 });
}

#[test]
fn an_unknown_user_waits_for_a_verification_like_a_known_one() {
    let door = Door::new(ALICE);
    for name in ["mallory", "", "# people", "Alice"] {
        assert_eq!(door.later(name, RIGHT), BAD);
        assert_eq!(door.later(name, RIGHT), BAD, "a refusal is not remembered");
    }
}

#[test]
fn who_names_no_user_or_no_password_is_refused_at_once() {
    let door = Door::new(ALICE);
    let ask = |user_name, password| verdict(door.file.authenticate(credentials(user_name, password)));
    assert_eq!(ask(None, None), Some(Verdict::Deny(Denial::NotAuthorized)));
    assert_eq!(ask(None, Some(RIGHT)), Some(Verdict::Deny(Denial::NotAuthorized)));
    assert_eq!(ask(Some("alice"), None), Some(BAD));
    assert_eq!(ask(Some("mallory"), None), Some(BAD));
    assert_eq!(door.file.counts().denied, 4);
}

#[test]
fn who_names_neither_user_nor_password_is_somebody_elses_affair() {
    let door = Door::new(ALICE);
    for (user_name, password, expected) in [
        (None, None, false),
        (None, Some(RIGHT), true),
        (Some("mallory"), None, true),
        (Some(""), None, true),
    ] {
        assert_eq!(door.file.is_for(&credentials(user_name, password)), expected, "{user_name:?}");
    }
}

#[test]
fn credentials_that_are_too_long_are_refused_unseen() {
    let door = Door::new(ALICE);
    let longest = vec![b'x'; CREDENTIALS_BYTES_MAX - "alice".len()];
    assert_eq!(door.later("alice", &longest), BAD);
    let too_long = [&longest[..], b"x"].concat();
    assert_eq!(door.now("alice", &too_long), Some(BAD));
    assert_eq!(door.now(&"x".repeat(CREDENTIALS_BYTES_MAX + 1), b""), Some(BAD));
}

#[test]
fn a_verified_password_is_answered_at_once_the_next_time() {
    let door = Door::new(&format!("{ALICE}\n{BOB}\n"));
    door.later("alice", RIGHT);
    let again = door.now("alice", RIGHT).expect("remembered");
    assert_eq!(allowed(&again), Some("alice"));
    // It is remembered for this user and this password.
    assert_eq!(door.later("alice", b"open sesam"), BAD);
    assert_eq!(allowed(&door.later("bob", RIGHT)), Some("bob"));
    assert_eq!(door.file.counts(), Counts { accepted: 3, denied: 1, remembered: 1, busy: 0 });
}

#[test]
fn a_verified_password_is_forgotten_when_it_is_too_old() {
    let door = Door::with(ALICE, |options| options.remembered_age_max = Duration::from_secs(60));
    door.later("alice", RIGHT);
    door.now_secs.store(59, Ordering::Relaxed);
    assert!(door.now("alice", RIGHT).is_some());
    door.now_secs.store(60, Ordering::Relaxed);
    assert_eq!(allowed(&door.later("alice", RIGHT)), Some("alice"));
    door.now_secs.store(119, Ordering::Relaxed);
    assert!(door.now("alice", RIGHT).is_some());
}

#[test]
fn the_oldest_verified_password_is_forgotten_for_a_new_one() {
    let door = Door::with(&format!("{ALICE}\n{BOB}\n"), |options| options.remembered_max = 1);
    door.later("alice", RIGHT);
    door.later("bob", RIGHT);
    assert!(door.now("bob", RIGHT).is_some());
    door.later("alice", RIGHT);
}

#[test]
fn nothing_is_remembered_where_nothing_may_be() {
    let door = Door::with(ALICE, |options| options.remembered_max = 0);
    for _ in 0..2 {
        assert_eq!(allowed(&door.later("alice", RIGHT)), Some("alice"));
    }
}

#[test]
fn a_fleet_with_one_password_is_verified_once() {
    let door = Door::new(ALICE);
    let answers = [(); 3].map(|()| door.ask("alice", RIGHT));
    for answer in answers {
        door.verify_one();
        assert_eq!(allowed(&verdict(answer).unwrap()), Some("alice"));
    }
    assert_eq!(door.file.counts(), Counts { accepted: 3, denied: 0, remembered: 2, busy: 0 });
}

#[test]
fn beyond_the_waiting_the_server_is_busy_but_not_for_the_remembered() {
    let door = Door::with(&format!("{ALICE}\n{BOB}\n"), |options| {
        options.verifications_waiting_max = NonZeroUsize::new(2).unwrap();
    });
    door.later("alice", RIGHT);
    let waiting = [(); 2].map(|()| door.ask("bob", RIGHT));
    assert_eq!(door.now("bob", RIGHT), Some(Verdict::Deny(Denial::ServerBusy)));
    assert_eq!(door.now("mallory", RIGHT), Some(Verdict::Deny(Denial::ServerBusy)));
    assert!(door.now("alice", RIGHT).is_some());
    assert_eq!(door.file.counts(), Counts { accepted: 2, denied: 0, remembered: 1, busy: 2 });

    door.verify_one();
    let [first, second] = waiting.map(verdict);
    assert_eq!((first.as_ref().and_then(allowed), second), (Some("bob"), None));
    assert!(matches!(door.ask("mallory", RIGHT), Answer::Later(_)), "there is room again");
}

#[test]
fn who_has_gone_is_not_verified() {
    let door = Door::new(ALICE);
    drop(door.ask("alice", b"wrong"));
    door.verify_one();
    assert_eq!(door.file.counts(), Counts::default());
}

#[test]
fn a_changed_line_forgets_the_old_password_and_an_unchanged_one_keeps_it() {
    let door = Door::new(&format!("{ALICE}\n{BOB}\n"));
    door.later("alice", RIGHT);
    door.later("bob", RIGHT);
    let changed = CAROL.replace("carol", "alice");
    fs::write(door.path(), format!("# moved\n{BOB}\n{changed}\n")).unwrap();
    door.file.reload().unwrap();
    assert!(door.now("bob", RIGHT).is_some());
    // The same password under another line has to be verified again.
    assert_eq!(allowed(&door.later("alice", RIGHT)), Some("alice"));

    fs::write(door.path(), format!("{BOB}\n{ALICE_CHANGED}\n")).unwrap();
    door.file.reload().unwrap();
    assert_eq!(door.later("alice", RIGHT), BAD);
    assert_eq!(allowed(&door.later("alice", b"swordfish")), Some("alice"));

    fs::write(door.path(), BOB).unwrap();
    door.file.reload().unwrap();
    assert_eq!(door.later("alice", b"swordfish"), BAD);
}

#[test]
fn a_file_that_became_useless_changes_nothing() {
    let door = Door::new(ALICE);
    fs::write(door.path(), format!("{BOB}\ncarol:plain\n")).unwrap();
    let error = door.file.reload().unwrap_err();
    assert!(matches!(error, PasswordFileError::Malformed(_)));
    assert!(error.to_string().contains(":2: user \"carol\": the password is there in plain text"), "{error}");
    assert_eq!(allowed(&door.later("alice", RIGHT)), Some("alice"));
    assert_eq!(door.later("bob", RIGHT), BAD);

    fs::remove_file(door.path()).unwrap();
    assert!(matches!(door.file.reload(), Err(PasswordFileError::Read { .. })));
    assert!(door.now("alice", RIGHT).is_some());
}

#[test]
fn a_file_that_cannot_be_used_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| PasswordFile::open(&PasswordFileOptions::new(folder.path().join(name))).err();
    assert!(matches!(open("missing"), Some(PasswordFileError::Read { .. })));
    assert!(matches!(open("."), Some(PasswordFileError::Read { .. })));

    fs::write(folder.path().join("plain"), "alice:open sesame\nbob\n").unwrap();
    let Some(PasswordFileError::Malformed(malformed)) = open("plain") else { panic!("it is malformed") };
    assert_eq!(malformed.fault_count, 2);

    fs::File::create(folder.path().join("huge")).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
    assert!(matches!(open("huge"), Some(PasswordFileError::TooLarge { .. })));
}

#[test]
fn a_file_without_users_opens_with_a_warning_and_lets_nobody_in() {
    let door = Door::new("# nobody yet\n");
    let path = door.path();
    assert!(door.file.reload().unwrap().contains(&Warning::NoUsers { path }));
    assert_eq!(door.later("alice", RIGHT), BAD);
}

#[cfg(unix)]
#[test]
fn a_file_that_others_may_read_or_change_opens_with_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;

    let door = Door::new(ALICE);
    for (mode, warned) in [(0o600, false), (0o640, false), (0o660, false), (0o644, true), (0o602, true)] {
        fs::set_permissions(door.path(), fs::Permissions::from_mode(mode)).unwrap();
        let expected = Warning::OpenToOthers { path: door.path(), mode };
        assert_eq!(door.file.reload().unwrap(), if warned { vec![expected] } else { vec![] }, "{mode:o}");
    }
}

#[test]
fn threads_of_its_own_verify_while_the_caller_waits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passwords");
    fs::write(&path, format!("{ALICE}\n{BOB}\n")).unwrap();
    let mut options = PasswordFileOptions::new(path);
    options.verifications_at_once_max = NonZeroUsize::new(2).unwrap();
    let (file, _) = PasswordFile::open(&options).unwrap();
    let door: Arc<dyn Authenticator> = Arc::new(file);

    let ask =
        |user_name: &str, password: &[u8]| door.authenticate(credentials(Some(user_name), Some(password)));
    let answers = [ask("alice", RIGHT), ask("bob", b"wrong"), ask("mallory", RIGHT), ask("bob", RIGHT)];
    let verdicts = answers.map(|answer| match answer {
        Answer::Later(verdict) => verdict.blocking_recv().unwrap(),
        Answer::Now(verdict) => panic!("{verdict:?} without a verification"),
    });
    assert_eq!(verdicts.each_ref().map(allowed), [Some("alice"), None, None, Some("bob")]);
    assert!(matches!(ask("alice", RIGHT), Answer::Now(Verdict::Allow(_))));
}

#[test]
fn whoever_waits_when_it_ends_is_told_that_the_server_is_busy() {
    let door = Door::new(ALICE);
    let answer = door.ask("alice", RIGHT);
    drop(door);
    assert_eq!(verdict(answer), Some(Verdict::Deny(Denial::ServerBusy)));
}

#[test]
fn credentials_do_not_print_the_password() {
    let shown = format!("{:?}", credentials(Some("alice"), Some(RIGHT)));
    assert!(shown.contains("alice") && !shown.contains("sesame"), "{shown}");
}
