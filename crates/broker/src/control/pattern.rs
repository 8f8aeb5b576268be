//! Patterns of client identifiers: `*` stands for any characters, `?` for one. Not topic filters.

use std::str::Chars;

/// The longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 256;

/// Whether the whole of `text` is what the pattern describes.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // What follows the last `*`, and the text from which it is to be tried next.
    let mut star: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let here = text.clone();
        match (pattern.next(), text.next()) {
            (Some('*'), _) => {
                star = Some((pattern.clone(), here.clone()));
                text = here;
            }
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {}
            _ => {
                // The last `*` stands for one character more.
                let Some((behind, from)) = &mut star else { return false };
                if from.next().is_none() {
                    return false;
                }
                (pattern, text) = (behind.clone(), from.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_any_characters_and_a_question_mark_one() {
        let check = |pattern: &str, text: &str, expect: bool| {
            assert_eq!(matches(pattern, text), expect, "{pattern} {text}");
        };
        check("", "", true);
        check("", "a", false);
        check("*", "", true);
        check("*", "anything/äöü", true);
        check("?", "ä", true);
        check("?", "", false);
        check("sensor-*", "sensor-7", true);
        check("sensor-*", "a-sensor-7", false);
        check("*-7", "sensor-17-7", true);
        check("*-7", "sensor-7-1", false);
        check("a*b*c", "a-b-b-c", true);
        check("a*b*c", "a-c-b", false);
        check("a?c*", "abcd", true);
        check("**x", "x", true);
        check("abc", "abcd", false);
        check("abcd", "abc", false);
    }

    #[test]
    fn a_pattern_that_tries_much_ends_soon() {
        let (pattern, text) = ("*a".repeat(120), "a".repeat(60_000) + "b");
        assert!(!matches(&pattern, &text));
    }
}
