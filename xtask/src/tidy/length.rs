//! How long a file may be, and the list of those that are longer: it may only shrink.

use super::{Finding, SourceFile};

/// Beyond this a room is split by noun.
const LINES_MAX: usize = 600;

/// Files that are longer, with the length that each may have. An entry is lowered when its file shrinks and goes
/// when the file is short enough; a new entry needs a reason in the commit that brings it.
pub(super) const RATCHET: &[(&str, usize)] = &[];

pub(super) fn check(files: &[SourceFile], ratchet: &[(&str, usize)]) -> Vec<Finding> {
    let mut findings: Vec<_> =
        files.iter().filter(|file| is_code(&file.path)).flat_map(|file| one(file, ratchet)).collect();
    for (path, _) in ratchet {
        if !files.iter().any(|file| file.path == *path) {
            let gone = SourceFile::new(path, "");
            findings.push(Finding::new(&gone, 0, "is in the list of long files and does not exist"));
        }
    }
    findings
}

fn is_code(path: &str) -> bool {
    [".rs", ".py", ".mjs", ".sh"].iter().any(|extension| path.ends_with(extension))
}

fn one(file: &SourceFile, ratchet: &[(&str, usize)]) -> Option<Finding> {
    let lines = file.text.lines().count();
    let entry = ratchet.iter().find(|(path, _)| *path == file.path).map(|(_, lines)| *lines);
    let what = match entry {
        None if lines > LINES_MAX => format!("{lines} lines: split by noun (at most {LINES_MAX})"),
        Some(_) if lines <= LINES_MAX => "is short enough: take it out of the list of long files".to_owned(),
        Some(allowed) if lines > allowed => format!("{lines} lines: grew beyond the {allowed} of the list"),
        Some(allowed) if lines < allowed => format!("shrank: lower its entry from {allowed} to {lines}"),
        _ => return None,
    };
    Some(Finding::new(file, 0, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratchet_turns_one_way() {
        let check = |lines: usize, entry: Option<usize>, expect: Option<&str>| {
            let file = SourceFile::new("a.rs", &"x\n".repeat(lines));
            let ratchet: Vec<_> = entry.map(|allowed| ("a.rs", allowed)).into_iter().collect();
            let found = super::check(&[file], &ratchet);
            assert_eq!(found.first().map(|finding| finding.what.as_str()), expect, "{lines} {entry:?}");
        };
        check(600, None, None);
        check(601, None, Some("601 lines: split by noun (at most 600)"));
        check(700, Some(700), None);
        check(701, Some(700), Some("701 lines: grew beyond the 700 of the list"));
        check(650, Some(700), Some("shrank: lower its entry from 700 to 650"));
        check(600, Some(700), Some("is short enough: take it out of the list of long files"));
    }

    #[test]
    fn an_entry_without_a_file_is_found() {
        assert_eq!(check(&[], &[("a.rs", 700)]).len(), 1);
    }

    #[test]
    fn prose_has_no_limit() {
        assert!(check(&[SourceFile::new("a.md", &"x\n".repeat(601))], &[]).is_empty());
    }
}
