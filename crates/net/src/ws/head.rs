//! The head of an HTTP/1.1 message as bytes: a first line and fields, read by the letter. Not what they mean.
//!
//! Whoever stands in front may read the same bytes by other rules than we do. So nothing is guessed and nothing mended:
//! a head that two programs could read differently is none.

/// Fields of a head, at most.
pub(super) const FIELDS_MAX: usize = 64;

/// What stands between a head and what follows it.
pub(super) const END: &[u8] = b"\r\n\r\n";

/// A head in its parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) first_line: &'a str,
    fields: Vec<(&'a str, &'a str)>,
}

/// Why a text is no head.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum NoHead {
    /// A line that does not end as lines do, or a character that has no place in it.
    Line,
    /// A field without a name, with a space around its name, or continued on the next line.
    Field,
    /// More fields than [`FIELDS_MAX`].
    Fields,
}

impl NoHead {
    pub(super) fn in_words(self) -> &'static str {
        match self {
            NoHead::Line => "a line of the head is malformed",
            NoHead::Field => "a field of the head is malformed",
            NoHead::Fields => "the head has more than 64 fields",
        }
    }
}

/// The length of the head at the front of these bytes, with its end, if it is there whole.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(END.len()).position(|window| window == END).map(|at| at + END.len())
}

/// Whether a line ends with the second of the two characters alone. What stands first may be the second half of both.
pub(super) fn has_half_line_end(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| matches!(pair, [before, b'\n'] if *before != b'\r'))
}

impl<'a> Head<'a> {
    /// Reads a head, its end included.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Head<'a>, NoHead> {
        let lines = bytes.strip_suffix(END).ok_or(NoHead::Line)?;
        let mut lines = split_lines(lines);
        let first_line = lines.next().ok_or(NoHead::Line)?;
        let first_line = str::from_utf8(first_line).map_err(|_| NoHead::Line)?;
        if first_line.is_empty() || !first_line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(NoHead::Line);
        }
        let mut fields = Vec::new();
        for line in lines {
            if fields.len() == FIELDS_MAX {
                return Err(NoHead::Fields);
            }
            fields.push(field(line)?);
        }
        Ok(Head { first_line, fields })
    }

    /// Every value of a field, in the order in which they stand.
    pub(super) fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'a str> + 'b {
        let named = move |(known, _): &&(&str, &str)| known.eq_ignore_ascii_case(name);
        self.fields.iter().filter(named).map(|(_, value)| *value)
    }

    /// The value of a field that there is once; an error if there is another.
    pub(super) fn one(&self, name: &str) -> Result<Option<&'a str>, ()> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() { Err(()) } else { Ok(first) }
    }

    /// Every element of a field that is a list.
    pub(super) fn list<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'a str> + 'b {
        let elements = self.all(name).flat_map(|value| value.split(','));
        elements.map(|element| element.trim_matches([' ', '\t'])).filter(|element| !element.is_empty())
    }

    /// Whether a list has this word.
    pub(super) fn lists(&self, name: &str, word: &str) -> bool {
        self.list(name).any(|element| element.eq_ignore_ascii_case(word))
    }
}

fn split_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let Some(at) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return rest.take() };
        rest = bytes.get(at + 2..);
        bytes.get(..at)
    })
}

/// Name and value. The value has no control characters: a line end of half the two characters is one.
fn field(line: &[u8]) -> Result<(&str, &str), NoHead> {
    let line = str::from_utf8(line).map_err(|_| NoHead::Field)?;
    let (name, value) = line.split_once(':').ok_or(NoHead::Field)?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(NoHead::Field);
    }
    if value.chars().any(|character| character.is_control() && character != '\t') {
        return Err(NoHead::Field);
    }
    Ok((name, value.trim_matches([' ', '\t'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_in_its_parts() {
        let head =
            Head::read(b"GET / HTTP/1.1\r\nHost: h\r\nx:a, b\r\nX: \tc ,,d\t\r\nempty:\r\n\r\n").unwrap();
        assert_eq!(head.first_line, "GET / HTTP/1.1");
        assert_eq!(head.one("host"), Ok(Some("h")));
        assert_eq!(head.one("X"), Err(()));
        assert_eq!(head.one("nothing"), Ok(None));
        assert_eq!(head.one("empty"), Ok(Some("")));
        assert_eq!(head.list("x").collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert!(head.lists("x", "D") && !head.lists("x", "a, b"));
        assert_eq!(length(b"a\r\n\r\nrest"), Some(5));
        assert_eq!(length(b"a\r\n\r"), None);
        assert!(has_half_line_end(b"a\n") && has_half_line_end(b"a\r\n\n"));
        assert!(!has_half_line_end(b"\na\r\n\r"));
    }

    #[test]
    fn what_two_programs_could_read_differently_is_no_head() {
        let check = |text: &str, expect: NoHead| {
            assert_eq!(Head::read(text.as_bytes()), Err(expect), "{text:?}");
        };
        check("", NoHead::Line);
        check("\r\n\r\n", NoHead::Line);
        check("GET / HTTP/1.1\nHost: h\r\n\r\n", NoHead::Line);
        check("GET\t/ HTTP/1.1\r\n\r\n", NoHead::Line);
        check("GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", NoHead::Field);
        check("GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", NoHead::Field);
        check("GET / HTTP/1.1\r\nHost: h\r\n X: y\r\n\r\n", NoHead::Field);
        check("GET / HTTP/1.1\r\nHost : h\r\n\r\n", NoHead::Field);
        check("GET / HTTP/1.1\r\n: h\r\n\r\n", NoHead::Field);
        check("GET / HTTP/1.1\r\nHost\r\n\r\n", NoHead::Field);
        check("GET / HTTP/1.1\r\nHost: \0\r\n\r\n", NoHead::Field);
        check(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(FIELDS_MAX + 1)), NoHead::Fields);
        assert!(
            Head::read(format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(FIELDS_MAX)).as_bytes()).is_ok()
        );
    }
}
