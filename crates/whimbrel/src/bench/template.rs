//! Names by template: `%i` and its kin. Not the names themselves.

use std::fmt::Write as _;
use std::str::FromStr;

/// A text with places for a client's index (`%i`), the number of clients of its kind (`%n`), its kind (`%k`: `pub`,
/// `sub`, …) and the run (`%r`). `%%` is a percent sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Index,
    Number,
    Kind,
    Run,
}

/// What the places stand for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    /// The client's index, or the wildcard that stands for all of them.
    pub(super) index: &'a str,
    pub(super) number: usize,
    pub(super) kind: &'a str,
    pub(super) run: &'a str,
}

impl Template {
    pub(super) fn fill(&self, names: Names<'_>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            // Writing to a string does not fail.
            let _ = match part {
                Part::Text(part) => text.write_str(part),
                Part::Index => text.write_str(names.index),
                Part::Number => write!(text, "{}", names.number),
                Part::Kind => text.write_str(names.kind),
                Part::Run => text.write_str(names.run),
            };
        }
        text
    }

    /// Whether different clients of one kind get different texts.
    pub(super) fn has_index(&self) -> bool {
        self.parts.contains(&Part::Index)
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                plain.push(letter);
                continue;
            }
            let part = match letters.next() {
                Some('i') => Part::Index,
                Some('n') => Part::Number,
                Some('k') => Part::Kind,
                Some('r') => Part::Run,
                Some('%') => {
                    plain.push('%');
                    continue;
                }
                other => {
                    let other = other.map(String::from).unwrap_or_default();
                    return Err(format!("`%{other}` is none of %i, %n, %k, %r and %%"));
                }
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(part);
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Template { parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled() {
        let check = |template: &str, expect: &str| {
            let names = Names { index: "3", number: 9, kind: "pub", run: "ab" };
            assert_eq!(
                template.parse::<Template>().map(|template| template.fill(names)),
                Ok(expect.to_owned())
            );
        };
        check("", "");
        check("plain", "plain");
        check("%r/%k-%i-of-%n", "ab/pub-3-of-9");
        check("100%%%i", "100%3");
    }

    #[test]
    fn an_unknown_place_is_refused() {
        for text in ["%x", "a%", "% i"] {
            assert!(text.parse::<Template>().is_err(), "{text}");
        }
    }
}
