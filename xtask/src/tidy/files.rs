//! The files that the rules look at: all text of the repository, read once.

use std::fs;
use std::path::Path;

use crate::rust_source;

/// Folders that hold what others wrote or what a build made.
const SKIPPED: &[&str] = &["node_modules", "__pycache__", "corpus"];

/// What counts as text that people wrote here.
const EXTENSIONS: &[&str] =
    &["rs", "toml", "md", "py", "mjs", "js", "sh", "txt", "yml", "yaml", "html", "css"];

/// A text file of the repository.
#[derive(Debug)]
pub(super) struct SourceFile {
    /// From the root, with `/` between the parts.
    pub(super) path: String,
    pub(super) text: String,
    /// The code alone; empty for what is not Rust.
    pub(super) code: String,
}

impl SourceFile {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") { rust_source::blank(text) } else { String::new() };
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// For each line, whether it is test code: by its file or by `#[cfg(test)]` around it.
    pub(super) fn test_lines(&self) -> Vec<bool> {
        if self.path.split('/').any(|part| matches!(part, "tests" | "tests.rs")) {
            vec![true; self.text.lines().count()]
        } else {
            rust_source::test_lines(&self.code)
        }
    }
}

/// Reads every text file below `root`, in the order of their paths.
pub(super) fn walk(root: &Path) -> Result<Vec<SourceFile>, String> {
    let mut files = Vec::new();
    visit(root, "", &mut files)?;
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

fn visit(folder: &Path, prefix: &str, files: &mut Vec<SourceFile>) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.file_type().map_err(failed)?.is_dir() {
            if !is_skipped(&name) {
                visit(&entry.path(), &format!("{path}/"), files)?;
            }
        } else if is_text(&path) {
            // A file that is gone again was a build's, or an editor's.
            if let Ok(text) = fs::read_to_string(entry.path()) {
                files.push(SourceFile::new(&path, &text));
            }
        }
    }
    Ok(())
}

fn is_skipped(folder: &str) -> bool {
    let is_hidden = folder.starts_with('.') && !matches!(folder, ".ci" | ".cargo" | ".github");
    is_hidden || folder.starts_with("target") || SKIPPED.contains(&folder)
}

fn is_text(path: &str) -> bool {
    path == ".ci/run" || path.rsplit_once('.').is_some_and(|(_, extension)| EXTENSIONS.contains(&extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_finds_this_file_and_leaves_builds_out() {
        let files = walk(&crate::workspace::root()).unwrap();
        let has = |path: &str| files.iter().any(|file| file.path == path);
        assert!(has("xtask/src/tidy/files.rs"));
        assert!(has(".ci/run"));
        assert!(!files.iter().any(|file| file.path.starts_with("target") || file.path.starts_with(".git/")));
    }

    #[test]
    fn test_code_is_known_by_its_folder() {
        let check = |path: &str, expect: bool| {
            assert_eq!(SourceFile::new(path, "fn f() {}").test_lines(), [expect], "{path}");
        };
        check("crates/codec/tests/it.rs", true);
        check("tests/testkit/src/lib.rs", true);
        check("crates/codec/src/publish/tests.rs", true);
        check("crates/codec/src/publish.rs", false);
    }
}
