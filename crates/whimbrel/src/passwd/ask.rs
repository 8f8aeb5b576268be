//! Where a password comes from: the terminal, without showing it, or the first line of standard input or of a file.
//! Never an argument of the command, which every account of the machine could read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _};
use std::path::Path;

use whimbrel_broker::auth::{CREDENTIALS_BYTES_MAX, Secret, UserName};

use super::Failure;

/// A password to be set: asked for twice, as nobody sees what they type.
pub(super) fn new(user_name: &UserName) -> Result<Secret, Failure> {
    if io::stdin().is_terminal() { twice(user_name, &mut terminal) } else { from_standard_input() }
}

/// A password to be compared.
pub(super) fn present(user_name: &UserName) -> Result<Secret, Failure> {
    if io::stdin().is_terminal() {
        terminal(&format!("Password of {user_name}: "))
    } else {
        from_standard_input()
    }
}

/// The first line of a file.
pub(super) fn from_file(path: &Path) -> Result<Secret, Failure> {
    let cannot_read =
        |error: io::Error| Failure::misused(format!("{} cannot be read: {error}", path.display()));
    let file = File::open(path).map_err(cannot_read)?;
    first_line(BufReader::new(file)).map_err(cannot_read)
}

fn from_standard_input() -> Result<Secret, Failure> {
    first_line(io::stdin().lock())
        .map_err(|error| Failure::misused(format!("standard input cannot be read: {error}")))
}

fn terminal(prompt: &str) -> Result<Secret, Failure> {
    let password = rpassword::prompt_password(prompt)
        .map_err(|error| Failure::misused(format!("the terminal cannot be read: {error}")))?;
    Ok(Secret::new(password.into_bytes()))
}

fn twice(
    user_name: &UserName,
    ask: &mut dyn FnMut(&str) -> Result<Secret, Failure>,
) -> Result<Secret, Failure> {
    let password = ask(&format!("New password of {user_name}: "))?;
    if password.expose().is_empty() {
        return Ok(password);
    }
    let again = ask("The same again: ")?;
    if password.expose() != again.expose() {
        return Err(Failure::misused("the two passwords differ; nothing was changed"));
    }
    Ok(password)
}

/// Up to the line feed, without it and without a carriage return in front of it. What is longer than any password may
/// be comes cut to a length that is refused all the same.
fn first_line(input: impl BufRead) -> io::Result<Secret> {
    let length_max = CREDENTIALS_BYTES_MAX + b"\r\n".len();
    // The whole room at once: growing would leave copies behind.
    let mut line = Vec::with_capacity(length_max);
    input.take(length_max as u64).read_until(b'\n', &mut line)?;
    if line.pop_if(|last| *last == b'\n').is_some() {
        line.pop_if(|last| *last == b'\r');
    }
    Ok(Secret::new(line))
}

#[cfg(test)]
mod tests {
    use whimbrel_broker::auth::{CREDENTIALS_BYTES_MAX, Secret, UserName};

    use super::super::Failure;
    use super::{first_line, twice};
    use crate::cli::MISUSED;

    #[test]
    fn the_first_line_is_the_password_to_the_byte() {
        for (input, expected) in [
            (&b""[..], &b""[..]),
            (b"\n", b""),
            (b"\r\n", b""),
            (b"open sesame", b"open sesame"),
            (b"open sesame\n", b"open sesame"),
            (b"open sesame\r\n", b"open sesame"),
            (b" open\tsesame \nsecond\n", b" open\tsesame "),
            (b"a\rb\r", b"a\rb\r"),
            (b"\0\xff:#\n", b"\0\xff:#"),
        ] {
            assert_eq!(first_line(input).unwrap().expose(), expected, "{input:?}");
        }
    }

    #[test]
    fn a_line_that_never_ends_is_not_read_to_its_end() {
        let read = first_line(&[b'x'; CREDENTIALS_BYTES_MAX * 4][..]).unwrap();
        assert_eq!(read.expose().len(), CREDENTIALS_BYTES_MAX + 2);
    }

    /// What comes of these answers at the terminal, and how many of them were asked for.
    fn typed(answers: &[&str]) -> (Result<Vec<u8>, u8>, usize) {
        let mut asked = 0;
        let mut ask = |_: &str| {
            asked += 1;
            let answer = answers.get(asked - 1).ok_or_else(|| Failure::misused("the terminal was closed"))?;
            Ok(Secret::from(answer.as_bytes()))
        };
        let outcome = twice(&UserName::parse("alice").unwrap(), &mut ask);
        (outcome.map(|secret| secret.expose().to_vec()).map_err(|failure| failure.code), asked)
    }

    #[test]
    fn a_new_password_counts_when_it_was_typed_twice() {
        assert_eq!(typed(&["open sesame", "open sesame"]), (Ok(b"open sesame".to_vec()), 2));
        assert_eq!(typed(&["open sesame", "open sesam"]), (Err(MISUSED), 2));
        assert_eq!(typed(&["open sesame"]), (Err(MISUSED), 2));
        // An empty one is refused by whoever sets it; there is no point in asking for it again.
        assert_eq!(typed(&["", "x"]), (Ok(Vec::new()), 1));
    }
}
