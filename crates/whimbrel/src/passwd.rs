//! `whimbrel passwd`: sets, deletes or checks one user's password in a password file. Not the file's format, which is
//! the broker's.

mod ask;
mod replace;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueHint;
use whimbrel_broker::auth::{
    Argon2id, CREDENTIALS_BYTES_MAX, NewHash, SALT_BYTES, Scratch, Secret, UserName, edit,
    scram::{self, Hash, Verifier},
};

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

    /// Make it good for SCRAM as well as for passwords, by this hash: sha-256, or =sha-512
    ///
    /// A client that authenticates by SCRAM (MQTT 5.0) proves that it knows the password without sending it. Without this
    /// the line is good for passwords alone, and costs whoever has stolen the file more for each guess.
    #[arg(
        long,
        value_name = "HASH",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "sha-256",
        value_parser = parse_hash,
        conflicts_with_all = ["check", "delete"]
    )]
    scram: Option<Hash>,

    /// With --scram: how often the hash is applied, each time that a client connects (by the client) or that a guess is
    /// tried
    #[arg(
        long,
        value_name = "COUNT",
        requires = "scram",
        default_value_t = scram::ITERATIONS,
        value_parser = clap::value_parser!(u32).range(i64::from(scram::ITERATIONS_MIN)..=i64::from(scram::ITERATIONS_MAX))
    )]
    iterations: u32,

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
    let hash = hash(args, &password)?;
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

fn parse_hash(text: &str) -> Result<Hash, String> {
    match text {
        "sha-256" => Ok(Hash::Sha256),
        "sha-512" => Ok(Hash::Sha512),
        _ => Err("the hashes are sha-256 and sha-512".to_owned()),
    }
}

fn hash(args: &Args, password: &Secret) -> Result<NewHash, Failure> {
    let user_name = &args.user_name;
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
    let Some(hash) = args.scram else {
        return Ok(NewHash::Argon2id(Argon2id::create(password.expose(), salt)));
    };
    check_prepared(user_name, password)?;
    Ok(NewHash::Scram(Verifier::create(hash, password.expose(), &salt, args.iterations)))
}

/// Clients of SCRAM send and hash what SASLprep makes of name and password: what it has no form for cannot be theirs.
fn check_prepared(user_name: &UserName, password: &Secret) -> Result<(), Failure> {
    let fails = |what: String| Err(Failure::misused(format!("{what}; nothing was changed")));
    match scram::prepare(user_name.as_str()) {
        Ok(prepared) if prepared == user_name.as_str() => {}
        Ok(prepared) => return fails(format!("to SCRAM the user name is {prepared:?}: name the user so")),
        Err(fault) => return fails(format!("the user name is none for SCRAM: {fault}")),
    }
    let Ok(text) = str::from_utf8(password.expose()) else {
        return fails("the password is none for SCRAM: it is not UTF-8".to_owned());
    };
    match scram::prepare(text) {
        Ok(prepared) if !prepared.is_empty() => Ok(()),
        Ok(_) => {
            fails("nothing is left of the password in the form that SCRAM gives it (SASLprep)".to_owned())
        }
        Err(fault) => fails(format!("the password is none for SCRAM: {fault}")),
    }
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
    use clap::Parser as _;
    use whimbrel_broker::auth::{CREDENTIALS_BYTES_MAX, NewHash, Secret};

    use super::{Args, hash};
    use crate::cli::MISUSED;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn args(words: &[&str]) -> Args {
        Command::parse_from([&["passwd", "passwords"], words].concat()).args
    }

    #[test]
    fn a_password_that_no_broker_would_take_is_not_set() {
        let args = args(&["alice"]);
        let longest = CREDENTIALS_BYTES_MAX - "alice".len();
        let code = |length| hash(&args, &Secret::new(vec![b'x'; length])).err().map(|failure| failure.code);
        assert_eq!([0, 1, longest, longest + 1].map(code), [Some(MISUSED), None, None, Some(MISUSED)]);
    }

    #[test]
    fn scram_takes_only_what_saslprep_leaves_as_it_is() {
        let set = |name: &str, password: &[u8]| {
            let made = hash(&args(&[name, "--scram", "--iterations", "4096"]), &Secret::from(password));
            made.map(|hash| matches!(hash, NewHash::Scram(_))).map_err(|failure| failure.code)
        };
        assert_eq!(set("alice", b"open sesame"), Ok(true));
        assert_eq!(set("\u{aa}lice", b"open sesame"), Err(MISUSED), "to SCRAM it is `alice`");
        for password in [&b"\xff"[..], b"\x07", "\u{ad}".as_bytes()] {
            assert_eq!(set("alice", password), Err(MISUSED), "{password:?}");
        }
    }
}
