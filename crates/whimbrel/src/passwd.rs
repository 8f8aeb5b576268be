//! `whimbrel passwd`: sets, deletes or checks one user's password in a password file. Not the file's format, which is
//! the broker's.

mod ask;
mod replace;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueHint;
use whimbrel_broker::auth::{Argon2id, CREDENTIALS_BYTES_MAX, SALT_BYTES, Scratch, Secret, UserName, edit};

use crate::cli::{FAILED, MISUSED};
use crate::output;
use replace::Target;

const EXIT_CODES: &str = "\
Exit codes: 0 done, and with --check: the password is right; 1 it failed, or there is no such user, and with --check: \
the password is wrong; 2 the command line, the password or the file cannot be used, and nothing was changed.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Args {
    /// The password file; made, for its owner alone to read, if it is not there
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,

    /// The user's name
    #[arg(value_name = "USER", value_parser = UserName::parse)]
    user_name: UserName,

    /// Delete the user instead
    #[arg(long, conflicts_with_all = ["check", "password_file"])]
    delete: bool,

    /// Say instead whether the password is the user's
    #[arg(long)]
    check: bool,

    /// Take the password from the first line of this file
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    password_file: Option<PathBuf>,
}

/// Why a command ended early: the exit code, and what to say.
#[derive(Debug, PartialEq, Eq)]
struct Failure {
    code: u8,
    sentence: String,
}

impl Failure {
    fn failed(sentence: impl Into<String>) -> Self {
        Self { code: FAILED, sentence: sentence.into() }
    }

    fn misused(sentence: impl Into<String>) -> Self {
        Self { code: MISUSED, sentence: sentence.into() }
    }
}

/// Runs the command.
pub(crate) fn run(args: Args) -> ExitCode {
    let done = if args.delete {
        delete(&args)
    } else if args.check {
        check(&args)
    } else {
        set(&args)
    };
    match done {
        Ok(sentence) => output::text(format!("{sentence}\n").as_bytes()),
        Err(Failure { code, sentence }) => output::failure(code, sentence),
    }
}

fn set(args: &Args) -> Result<String, Failure> {
    let Args { user_name, .. } = args;
    // Whoever names a folder that is not there learns it before typing a password.
    let target = Target::resolve(&args.file)?;
    let password = match &args.password_file {
        Some(path) => ask::from_file(path)?,
        None => ask::new(user_name)?,
    };
    let hash = hash(user_name, &password)?;
    let file = target.hold()?;
    let (edited, changed) = edit::set(file.contents(), user_name, &hash);
    let created = file.is_new();
    file.replace(&edited)?;
    tell_faults(args, &edited);

    let file = args.file.display();
    Ok(match (created, changed) {
        (true, _) => format!("{file} made, with the user {user_name}; only its owner can read it"),
        (false, false) => format!("{user_name} added to {file}"),
        (false, true) => format!("password of {user_name} changed in {file}"),
    })
}

fn delete(args: &Args) -> Result<String, Failure> {
    let Args { user_name, .. } = args;
    let file = Target::resolve(&args.file)?.hold()?;
    file.must_exist()?;
    let edited = edit::delete(file.contents(), user_name).ok_or_else(|| no_such_user(args))?;
    file.replace(&edited)?;
    tell_faults(args, &edited);
    Ok(format!("{user_name} deleted from {}", args.file.display()))
}

fn check(args: &Args) -> Result<String, Failure> {
    let Args { user_name, .. } = args;
    let file = Target::resolve(&args.file)?.hold()?;
    file.must_exist()?;
    let found = edit::find(file.contents(), user_name).map_err(|(line, fault)| {
        Failure::misused(format!("{}:{line}: user {:?}: {fault}", args.file.display(), user_name.as_str()))
    })?;
    drop(file);
    let hash = found.ok_or_else(|| no_such_user(args))?;
    let password = match &args.password_file {
        Some(path) => ask::from_file(path)?,
        None => ask::present(user_name)?,
    };
    if hash.verify(password.expose(), &mut Scratch::default()) {
        Ok(format!("the password is that of {user_name}"))
    } else {
        Err(Failure::failed(format!("the password is not that of {user_name}")))
    }
}

fn hash(user_name: &UserName, password: &Secret) -> Result<Argon2id, Failure> {
    if password.expose().is_empty() {
        return Err(Failure::misused("the password is empty; nothing was changed"));
    }
    if user_name.as_str().len() + password.expose().len() > CREDENTIALS_BYTES_MAX {
        return Err(Failure::misused(format!(
            "user name and password together are longer than {CREDENTIALS_BYTES_MAX} bytes, which no broker accepts; \
             nothing was changed"
        )));
    }
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt)
        .map_err(|error| Failure::failed(format!("the system gives no random numbers: {error}")))?;
    Ok(Argon2id::create(password.expose(), salt))
}

fn no_such_user(args: &Args) -> Failure {
    Failure::failed(format!("{} has no user {}", args.file.display(), args.user_name))
}

/// The command has done what it was asked to; that a broker would not start with the file is worth a word.
fn tell_faults(args: &Args, file: &[u8]) {
    if let Err(faults) = edit::check(&args.file, file) {
        // Nobody is left to tell if this fails.
        let _ = writeln!(io::stderr(), "whimbrel: a broker would not take the file yet:\n{faults}");
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_broker::auth::{CREDENTIALS_BYTES_MAX, Secret, UserName};

    use super::hash;
    use crate::cli::MISUSED;

    #[test]
    fn a_password_that_no_broker_would_take_is_not_set() {
        let user_name = UserName::parse("alice").unwrap();
        let longest = CREDENTIALS_BYTES_MAX - "alice".len();
        let code =
            |length| hash(&user_name, &Secret::new(vec![b'x'; length])).err().map(|failure| failure.code);
        assert_eq!([0, 1, longest, longest + 1].map(code), [Some(MISUSED), None, None, Some(MISUSED)]);
    }
}
