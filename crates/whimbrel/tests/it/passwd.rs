//! `whimbrel passwd` as a shell sees it.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use whimbrel_broker::auth::{
    Answer, Authenticator as _, Credentials, PasswordFile, PasswordFileOptions, Secret, Verdict, Warning,
};

/// What `mosquitto_passwd` 2.0.11 writes for the password `open sesame`.
const BOB: &str = "bob:$7$101$UWcdaga1Wq91wxLZ$AjDlRtBHeJjN6TnkUcpp8XzpM9moaI4bxDskO1OovV2Ox6xymyg8OARTDhXzT7LhTC7Y2Bk8n6uNXQZmtyO0cA==";
const CAROL: &str = "carol:$6$Uzd/uJy2pHJGirAA$/pOF/IZTPcpFzGjRU0+7yhOh0wi5/+Q8hv6neCg6/npbWTO+TRY2LjRE4s2DQiR51Ac8AU5Eq4tw8a1p1D6QCw==";

const PASSWORD: &str = "correct horse";

struct Shell {
    folder: TempDir,
}

struct Outcome {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Shell {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, contents: &str) {
        fs::write(self.path(name), contents).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn passwd(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut child = Command::new(env!("CARGO_BIN_EXE_whimbrel"))
            .arg("passwd")
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that needs no password may have ended without reading one.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let outcome =
            Outcome { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        assert!(
            !format!("{}{}", outcome.out, outcome.err).contains(PASSWORD),
            "{}{}",
            outcome.out,
            outcome.err
        );
        outcome
    }

    fn code(&self, arguments: &[&str], input: &str) -> Option<i32> {
        self.passwd(arguments, input).code
    }
}

/// Whether a broker with this file lets the user in.
fn broker_lets_in(path: PathBuf, user_name: &str, password: &str) -> bool {
    let (file, _) = PasswordFile::open(&PasswordFileOptions::new(path)).unwrap();
    let answer = file.authenticate(Credentials {
        user_name: Some(user_name.into()),
        password: Some(Secret::from(password.as_bytes())),
        ..Credentials::default()
    });
    match answer {
        Answer::Now(verdict) => matches!(verdict, Verdict::Allow(_)),
        Answer::Later(verdict) => matches!(verdict.blocking_recv(), Ok(Verdict::Allow(_))),
    }
}

#[test]
fn a_new_file_holds_the_hash_of_the_line_from_standard_input() {
    let shell = Shell::new();
    let outcome = shell.passwd(&["passwords", "alice"], &format!("{PASSWORD}\nsecond line\n"));
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(0), ""));
    assert_eq!(outcome.out, "passwords made, with the user alice; only its owner can read it\n");

    let contents = shell.read("passwords");
    assert!(
        contents.starts_with("alice:$argon2id$v=19$m=19456,t=2,p=1$") && contents.ends_with('\n'),
        "{contents}"
    );
    assert!(broker_lets_in(shell.path("passwords"), "alice", PASSWORD));
    assert!(!broker_lets_in(shell.path("passwords"), "alice", "correct horse "));
}

#[cfg(unix)]
#[test]
fn a_new_file_is_for_its_owner_alone_and_the_broker_does_not_warn_of_it() {
    use std::os::unix::fs::PermissionsExt as _;

    let shell = Shell::new();
    shell.passwd(&["passwords", "alice"], PASSWORD);
    let permissions = fs::metadata(shell.path("passwords")).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o7777, 0o600);
    let open = || PasswordFile::open(&PasswordFileOptions::new(shell.path("passwords"))).unwrap().1;
    assert_eq!(open(), []);
    fs::set_permissions(shell.path("passwords"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(open(), [Warning::OpenToOthers { path: shell.path("passwords"), mode: 0o644 }]);
}

#[test]
fn a_changed_password_leaves_all_other_lines_as_they_were() {
    let shell = Shell::new();
    shell.write("passwords", &format!("# people\r\n{BOB}\n\n# machines\n{CAROL}"));
    assert_eq!(shell.code(&["passwords", "alice"], "first\n"), Some(0));
    let before = shell.read("passwords");
    let outcome = shell.passwd(&["passwords", "bob"], &format!("{PASSWORD}\r\n"));
    assert_eq!((outcome.code, outcome.out.as_str()), (Some(0), "password of bob changed in passwords\n"));

    let after = shell.read("passwords");
    let (before, after): (Vec<_>, Vec<_>) = (before.split('\n').collect(), after.split('\n').collect());
    assert_eq!((before.len(), before[0], before[4]), (after.len(), after[0], after[4]));
    assert_eq!(before.iter().zip(&after).filter(|(before, after)| before != after).count(), 1);
    for (user_name, password) in [("alice", "first"), ("bob", PASSWORD), ("carol", "open sesame")] {
        assert!(broker_lets_in(shell.path("passwords"), user_name, password), "{user_name}");
    }
}

#[test]
fn a_verifier_for_scram_takes_the_place_of_a_hash_and_back() {
    let shell = Shell::new();
    for (arguments, beginning) in [
        (&["--scram", "passwords", "alice"][..], "alice:SCRAM-SHA-256$15000:"),
        (&["--scram=sha-512", "--iterations=4096", "passwords", "alice"], "alice:SCRAM-SHA-512$4096:"),
        (&["passwords", "alice"], "alice:$argon2id$"),
    ] {
        assert_eq!(shell.code(arguments, PASSWORD), Some(0));
        let contents = shell.read("passwords");
        assert!(contents.starts_with(beginning) && contents.lines().count() == 1, "{contents}");
        assert_eq!(shell.code(&["--check", "passwords", "alice"], PASSWORD), Some(0));
        assert_eq!(shell.code(&["--check", "passwords", "alice"], "wrong"), Some(1));
        assert!(broker_lets_in(shell.path("passwords"), "alice", PASSWORD));
        assert!(!broker_lets_in(shell.path("passwords"), "alice", "wrong"));
    }
    for wrong in [&["--scram=sha-1"][..], &["--scram", "--iterations=4095"], &["--iterations=5000"]] {
        assert_eq!(shell.code(&[wrong, &["passwords", "alice"]].concat(), PASSWORD), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_password_can_come_from_a_file() {
    let shell = Shell::new();
    shell.write("secret", &format!("{PASSWORD}\n"));
    let arguments = ["passwords", "alice", "--password-file", "secret"];
    assert_eq!(shell.code(&arguments, ""), Some(0));
    assert_eq!(shell.code(&[&arguments[..], &["--check"]].concat(), ""), Some(0));
    shell.write("secret", "another\n");
    assert_eq!(shell.code(&[&arguments[..], &["--check"]].concat(), ""), Some(1));
    assert_eq!(shell.code(&["passwords", "alice", "--password-file", "missing"], ""), Some(2));
}

#[test]
fn checking_tells_right_from_wrong_by_the_exit_code() {
    let shell = Shell::new();
    let file = format!("{BOB}\n{CAROL}\ndave:plain\n");
    shell.write("passwords", &file);
    for (user_name, password, code) in [
        ("bob", "open sesame\n", 0),
        ("bob", "open sesame", 0),
        ("bob", "open sesam\n", 1),
        ("bob", "\n", 1),
        ("carol", "open sesame\n", 0),
        ("carol", "OPEN SESAME\n", 1),
        ("erin", "open sesame\n", 1),
        // Its line cannot be used, which is neither right nor wrong.
        ("dave", "plain\n", 2),
    ] {
        let outcome = shell.passwd(&["passwords", user_name, "--check"], password);
        assert_eq!(outcome.code, Some(code), "{user_name} {password:?} {}", outcome.err);
    }
    assert_eq!(shell.code(&["missing", "bob", "--check"], "open sesame\n"), Some(2));
    assert_eq!(shell.read("passwords"), file);
}

#[test]
fn a_deleted_user_is_gone_and_the_others_stay() {
    let shell = Shell::new();
    shell.write("passwords", &format!("# people\n{BOB}\n{CAROL}\n"));
    let outcome = shell.passwd(&["passwords", "bob", "--delete"], "");
    assert_eq!((outcome.code, outcome.out.as_str()), (Some(0), "bob deleted from passwords\n"));
    assert_eq!(shell.read("passwords"), format!("# people\n{CAROL}\n"));
    let outcome = shell.passwd(&["passwords", "bob", "--delete"], "");
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(1), "whimbrel: passwords has no user bob\n"));
    assert_eq!(shell.code(&["missing", "bob", "--delete"], ""), Some(2));
    assert!(!shell.path("missing").exists());
}

#[test]
fn what_cannot_be_set_is_refused_and_nothing_is_written() {
    let shell = Shell::new();
    let too_long = "x".repeat(5_000);
    for (arguments, input) in [
        (&["passwords", ""][..], "x\n"),
        (&["passwords", "a:b"], "x\n"),
        (&["passwords", "a\nb"], "x\n"),
        (&["passwords", "#a"], "x\n"),
        (&["passwords", " a"], "x\n"),
        (&["passwords", "alice"], ""),
        (&["passwords", "alice"], "\n"),
        (&["passwords", "alice"], too_long.as_str()),
        (&["missing/passwords", "alice"], "x\n"),
        (&[".", "alice"], "x\n"),
        (&["passwords"], "x\n"),
        // A password is no argument.
        (&["passwords", "alice", "x"], "x\n"),
        (&["passwords", "alice", "--delete", "--check"], "x\n"),
        (&["passwords", "alice", "--delete", "--password-file", "secret"], "x\n"),
    ] {
        let outcome = shell.passwd(arguments, input);
        assert_eq!(outcome.code, Some(2), "{arguments:?} {input:?}");
        assert!(!outcome.err.is_empty(), "{arguments:?} {input:?}");
    }
    assert_eq!(fs::read_dir(shell.folder.path()).unwrap().count(), 0);
}

#[test]
fn faults_of_other_lines_are_told_until_they_are_mended() {
    let shell = Shell::new();
    shell.write("passwords", "bob:hunter2\nno colon here\n");
    let outcome = shell.passwd(&["passwords", "alice"], PASSWORD);
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.err.contains("passwords:1: user \"bob\": ") && outcome.err.contains("passwords:2: "));
    assert!(!outcome.err.contains("hunter2"), "{}", outcome.err);

    let outcome = shell.passwd(&["passwords", "bob"], PASSWORD);
    assert!(!outcome.err.contains("bob") && outcome.err.contains("passwords:2: "), "{}", outcome.err);
    shell.write("passwords", &shell.read("passwords").replace("no colon", "# no colon"));
    assert_eq!(shell.passwd(&["passwords", "bob"], PASSWORD).err, "");
    assert!(broker_lets_in(shell.path("passwords"), "bob", PASSWORD));
}
