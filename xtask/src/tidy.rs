//! Taste as a test: the rules of CONTRIBUTING.md that a program can check, over every text file of the repository.
//!
//! The length of functions is clippy's (`too_many_lines`); what only a reader can judge is not here.

mod files;
mod length;
mod purity;
mod rules;

use std::fmt;

use self::files::SourceFile;

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    /// Counted from 1; 0 is the file as a whole.
    line: usize,
    what: String,
}

impl Finding {
    fn new(file: &SourceFile, line: usize, what: impl Into<String>) -> Self {
        Self { path: file.path.clone(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// The rules that look at one file alone.
const RULES: &[fn(&SourceFile) -> Vec<Finding>] = &[
    rules::first_line,
    rules::file_name,
    rules::open_ends,
    rules::attributes,
    rules::sleeps,
    rules::machine_paths,
    purity::check,
];

/// Checks the repository.
pub(crate) fn run() -> Result<Vec<String>, String> {
    let root = crate::workspace::root();
    let files = files::walk(&root)?;
    let mut findings: Vec<_> = files.iter().flat_map(check).collect();
    findings.extend(length::check(&files, length::RATCHET));
    Ok(findings.iter().map(Finding::to_string).collect())
}

fn check(file: &SourceFile) -> Vec<Finding> {
    RULES.iter().flat_map(|rule| rule(file)).collect()
}

/// Whether `line` holds `word` and not merely a longer word around it.
fn holds_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).is_some_and(|before| before.ends_with(is_word));
        let after = line.get(at + word.len()..).is_some_and(|after| after.starts_with(is_word));
        // A macro's `!` ends its word.
        !before && (!after || word.ends_with('!'))
    })
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_tidy() {
        assert_eq!(run().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn every_rule_is_in_force() {
        let untidy =
            format!("use std::fs;\n#[{}(dead_code)]\nfn f() {{}} // {}\n", "allow", concat!("TO", "DO"));
        let found: Vec<_> = check(&SourceFile::new("crates/codec/src/utils.rs", &untidy))
            .iter()
            .map(|finding| finding.line)
            .collect();
        assert_eq!(found, [1, 0, 3, 2, 1]);
    }
}
