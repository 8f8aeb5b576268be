//! A Rust file with its comments and strings blanked out, so that a search finds code only; not a parser.

/// The text of `source` in which comments and the contents of strings and characters are spaces. Lines and columns
/// stay what they were.
pub(crate) fn blank(source: &str) -> String {
    let mut blanker = Blanker { rest: source, out: String::with_capacity(source.len()) };
    while let Some(character) = blanker.rest.chars().next() {
        blanker.step(character);
    }
    blanker.out
}

/// For each line of a blanked file, whether it belongs to tests that live in the file (`#[cfg(test)]`).
pub(crate) fn test_lines(blanked: &str) -> Vec<bool> {
    let mut lines = Vec::new();
    let mut region = Region::None;
    for line in blanked.lines() {
        if region == Region::None && line.trim_start().starts_with("#[cfg(test)]") {
            region = Region::Announced;
        }
        lines.push(region != Region::None);
        region = region.after(line);
    }
    lines
}

/// Where a walk over the lines stands with regard to an item under `#[cfg(test)]`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Region {
    None,
    /// The attribute was seen; the item's braces have not opened yet.
    Announced,
    /// Within so many open braces.
    Open(usize),
}

impl Region {
    fn after(self, line: &str) -> Self {
        line.chars().fold(self, |region, character| match (region, character) {
            (Region::Announced, '{') => Region::Open(1),
            (Region::Announced, ';') => Region::None,
            (Region::Open(depth), '{') => Region::Open(depth + 1),
            (Region::Open(1), '}') => Region::None,
            (Region::Open(depth), '}') => Region::Open(depth - 1),
            _ => region,
        })
    }
}

struct Blanker<'a> {
    rest: &'a str,
    out: String,
}

impl Blanker<'_> {
    fn step(&mut self, character: char) {
        if self.rest.starts_with("//") {
            let line = self.rest.find('\n').unwrap_or(self.rest.len());
            self.erase(line);
        } else if self.rest.starts_with("/*") {
            let length = block_comment(self.rest);
            self.erase(length);
        } else if let Some(hashes) = self.raw_string() {
            self.string(&format!("\"{}", "#".repeat(hashes)), false);
        } else if character == '"' {
            self.keep(1);
            self.string("\"", true);
        } else if character == '\'' {
            self.character();
        } else if is_word(character) {
            // A whole word at once, so that the `r` that ends one never opens a raw string.
            let length = self.rest.find(|other| !is_word(other)).unwrap_or(self.rest.len());
            self.keep(length);
        } else {
            self.keep(character.len_utf8());
        }
    }

    /// At `r"`, `r#"`, `br"` or `cr"`: keeps what opens the string and returns the number of its hashes.
    fn raw_string(&mut self) -> Option<usize> {
        let after = self.rest.strip_prefix(['b', 'c']).unwrap_or(self.rest).strip_prefix('r')?;
        let hashes = after.len() - after.trim_start_matches('#').len();
        let opened = after.get(hashes..)?.starts_with('"');
        opened.then(|| {
            let length = self.rest.len() - after.len() + hashes + 1;
            self.keep(length);
            hashes
        })
    }

    /// Within a string: erases up to `end` and keeps that.
    fn string(&mut self, end: &str, escapes: bool) {
        let mut at = 0;
        while let Some(tail) = self.rest.get(at..).filter(|tail| !tail.is_empty() && !tail.starts_with(end)) {
            let skipped = if escapes && tail.starts_with('\\') { 2 } else { 1 };
            at += tail.chars().take(skipped).map(char::len_utf8).sum::<usize>();
        }
        self.erase(at);
        self.keep(end.len().min(self.rest.len()));
    }

    /// At an apostrophe: a character is erased, a lifetime or a label kept.
    fn character(&mut self) {
        let mut ahead = self.rest.chars().skip(1);
        let is_character = match ahead.next() {
            Some('\\') => true,
            Some(_) => ahead.next() == Some('\''),
            None => false,
        };
        self.keep(1);
        if is_character {
            self.string("'", true);
        }
    }

    fn keep(&mut self, length: usize) {
        let (kept, rest) = self.rest.split_at(length);
        self.out.push_str(kept);
        self.rest = rest;
    }

    fn erase(&mut self, length: usize) {
        let (erased, rest) = self.rest.split_at(length);
        self.out.extend(erased.chars().map(|character| if character == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The length of the block comment that `text` starts with; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(tail) = text.get(at..).filter(|tail| !tail.is_empty()) {
        if tail.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += tail.chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expect: &str) {
        assert_eq!(blank(source), expect);
    }

    #[test]
    fn comments_are_blank() {
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ d */ e", "a                   e");
        check("a /* b\nc */ d", "a     \n     d");
        check("/* open", "       ");
    }

    #[test]
    fn strings_are_blank() {
        check(r#"f("a // b") + g"#, r#"f("      ") + g"#);
        check(r#""a\"b" c"#, r#""    " c"#);
        check(r##"r#"a"b"# c"##, r##"r#"   "# c"##);
        check(r#"br"a\" c"#, r#"br"  " c"#);
        check(r#""open"#, r#""    "#);
        check("\"é\" c", "\" \" c");
    }

    #[test]
    fn characters_are_blank_and_lifetimes_stay() {
        check("'a' 'b", "' ' 'b");
        check(r"'\'' x", r"'  ' x");
        check("'\"' &'a str", "' ' &'a str");
        check("for 'r\"", "for 'r\"");
    }

    #[test]
    fn a_word_that_ends_in_r_opens_no_raw_string() {
        check(r#"var"a\"b""#, r#"var"    ""#);
    }

    #[test]
    fn tests_in_a_file_are_known() {
        let check =
            |source: &str, expect: &[bool]| assert_eq!(test_lines(&blank(source)), expect, "{source}");
        check("a\n#[cfg(test)]\nmod tests {\n  x {}\n}\nb", &[false, true, true, true, true, false]);
        check("#[cfg(test)]\nmod tests;\nb", &[true, true, false]);
        check("// #[cfg(test)]\nfn a() {}", &[false, false]);
    }
}
