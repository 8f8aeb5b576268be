//! What is wrong with a file of rules, and where. Not how it is found.

use std::fmt;

/// How many mistakes of a text are told. A text with more is not a file of rules.
const TOLD_MAX: usize = 100;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1, where it is known.
    pub column: Option<usize>,
    /// The key that it is about.
    pub key: Option<String>,
    /// What is wrong, and what to do.
    pub message: String,
}

/// Everything that is wrong with a text, in its order; of very many the first hundred. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    /// The file, as whoever named it wrote it.
    pub file: Box<str>,
    /// What is wrong.
    pub mistakes: Vec<Mistake>,
    /// Mistakes that are not told.
    pub untold: usize,
}

/// Takes mistakes up while a text is read.
pub(crate) struct Complaints<'a> {
    text: &'a str,
    /// Where each line begins.
    starts: Vec<usize>,
    found: Vec<Mistake>,
    untold: usize,
}

impl<'a> Complaints<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let behind = text.match_indices('\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(behind).collect();
        Complaints { text, starts, found: Vec::new(), untold: 0 }
    }

    pub(crate) fn add(&mut self, mistake: Mistake) {
        if self.found.len() < TOLD_MAX {
            self.found.push(mistake);
        } else {
            self.untold += 1;
        }
    }

    /// Something in a line that has no parts.
    pub(crate) fn line(&mut self, line: usize, message: impl Into<String>) {
        self.add(Mistake { line, column: None, key: None, message: message.into() });
    }

    /// Something at a byte of the text.
    pub(crate) fn at(&mut self, byte: usize, key: Option<&str>, message: impl Into<String>) {
        if self.found.len() >= TOLD_MAX {
            self.untold += 1; // Its column would be counted in vain.
            return;
        }
        let (line, column) = self.place(byte);
        let key = key.map(str::to_owned);
        self.add(Mistake { line, column: Some(column), key, message: message.into() });
    }

    /// The line of a byte, from 1.
    pub(crate) fn line_of(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte)
    }

    /// Line and column of a byte, both from 1.
    fn place(&self, byte: usize) -> (usize, usize) {
        let line = self.line_of(byte.min(self.text.len()));
        let start = line.checked_sub(1).and_then(|at| self.starts.get(at)).copied().unwrap_or_default();
        let rest = self.text.get(start..).unwrap_or_default();
        let column = rest.char_indices().take_while(|(at, _)| start + at < byte).count() + 1;
        (line, column)
    }

    /// What was made of the text, if nothing is wrong with it.
    pub(crate) fn finish<T>(mut self, file: &str, made: T) -> Result<T, Mistakes> {
        if self.found.is_empty() {
            return Ok(made);
        }
        self.found.sort_by_key(|mistake| (mistake.line, mistake.column));
        Err(Mistakes { file: file.into(), mistakes: self.found, untold: self.untold })
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:", self.line)?;
        self.column.map_or(Ok(()), |column| write!(out, "{column}:"))?;
        self.key.as_ref().map_or(Ok(()), |key| write!(out, " {key}:"))?;
        write!(out, " {}", self.message)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.mistakes.iter().enumerate() {
            write!(out, "{}{}:{mistake}", if at == 0 { "" } else { "\n" }, self.file)?;
        }
        match self.untold {
            0 => Ok(()),
            untold => write!(out, "\n{}: and {untold} mistakes more", self.file),
        }
    }
}

impl std::error::Error for Mistakes {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_byte_is_what_counting_from_the_start_gives() {
        for text in ["", "a", "\n", "a\n", "\n\na", "öä\nü€\r\n\nb", "one line, no end"] {
            let complaints = Complaints::new(text);
            for (byte, _) in text.char_indices().chain([(text.len(), ' ')]) {
                let before = &text[..byte];
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                assert_eq!(complaints.place(byte), (line, column), "{text:?} at {byte}");
                assert_eq!(complaints.line_of(byte), line, "{text:?} at {byte}");
            }
        }
    }

    #[test]
    fn a_byte_behind_the_text_is_in_its_last_line() {
        assert_eq!(Complaints::new("a\nbc").place(99), (2, 3));
    }

    #[test]
    fn of_very_many_mistakes_the_first_hundred_are_told() {
        let mut complaints = Complaints::new("abc");
        (0..TOLD_MAX + 7).for_each(|_| complaints.at(1, None, "wrong"));
        let mistakes = complaints.finish("file", ()).unwrap_err();
        assert_eq!((mistakes.mistakes.len(), mistakes.untold), (TOLD_MAX, 7));
    }
}
