//! Where Whimbrel differs from what Mosquitto's sequences expect, and the table that explains it: the tables of
//! `docs/hostile-bytes.md` whose columns are Sequences, Whimbrel, Count and Why.

use std::fmt;
use std::fs;
use std::path::Path;

const PATH: &str = "docs/hostile-bytes.md";

/// What one sequence found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) name: String,
    /// What came and what was expected: `closed instead of PUBACK 0x00`.
    pub(super) what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.name, self.what)
    }
}

/// The rows of the table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table(Vec<Row>);

/// One row: sequences whose difference has one cause.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    line: usize,
    /// Names; `*` stands for anything.
    sequences: String,
    what: String,
    count: usize,
}

pub(super) fn load(root: &Path) -> Result<Table, String> {
    let text = fs::read_to_string(root.join(PATH)).map_err(|error| format!("{PATH}: {error}"))?;
    read(&text)
}

fn read(text: &str) -> Result<Table, String> {
    let mut rows = Vec::new();
    let mut is_table = false;
    for (number, line) in (1..).zip(text.lines()) {
        let cells: Vec<&str> = line.trim().trim_matches('|').split(" | ").map(str::trim).collect();
        match cells.as_slice() {
            ["Sequences", "Whimbrel", "Count", "Why"] => is_table = true,
            _ if !line.starts_with('|') => is_table = false,
            [first, ..] if first.starts_with("--") => {}
            [sequences, what, count, why] if is_table && !why.is_empty() => rows.push(Row {
                line: number,
                sequences: sequences.trim_matches('`').to_owned(),
                what: (*what).to_owned(),
                count: count.parse().map_err(|_| format!("{PATH}:{number}: `{count}` is no number"))?,
            }),
            _ if is_table => return Err(format!("{PATH}:{number}: a row has four cells")),
            _ => {}
        }
    }
    Ok(Table(rows))
}

impl Table {
    /// What is not explained, and what explains nothing, or more or less than it says.
    pub(super) fn compare(&self, found: &[Difference]) -> Vec<String> {
        let explains =
            |row: &Row, one: &Difference| row.what == one.what && is_like(&one.name, &row.sequences);
        let mut counts = vec![0; self.0.len()];
        let mut findings = Vec::new();
        for one in found {
            match self.0.iter().zip(&mut counts).find(|(row, _)| explains(row, one)) {
                Some((_, count)) => *count += 1,
                None => findings.push(format!("{one} is not explained")),
            }
        }
        for (row, count) in self.0.iter().zip(counts).filter(|(row, count)| row.count != *count) {
            let Row { line, sequences, what, count: said } = row;
            findings
                .push(format!("{PATH}:{line}: `{sequences}`, {what}: {said} are said, {count} are found"));
        }
        findings
    }
}

/// Whether a name is of this pattern, in which `*` stands for anything.
fn is_like(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            let mut starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            starts.any(|at| rest.get(at..).is_some_and(|rest| is_like(rest, tail)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
| Other | table |
|---|---|
| a | b |

| Sequences | Whimbrel | Count | Why |
|-----------|----------|------:|-----|
| `v5.0 * / 10*` | closed instead of PUBACK 0x00 | 2 | free |
";

    fn found(names: &[&str]) -> Vec<Difference> {
        let what = "closed instead of PUBACK 0x00".to_owned();
        names.iter().map(|name| Difference { name: (*name).to_owned(), what: what.clone() }).collect()
    }

    #[test]
    fn the_table_is_readable() {
        assert!(!load(&crate::workspace::root()).unwrap().0.is_empty());
    }

    #[test]
    fn every_difference_is_explained_and_counted() {
        let check = |names: &[&str], expect: &[&str]| {
            assert_eq!(read(TEXT).unwrap().compare(&found(names)), expect, "{names:?}");
        };
        check(&["v5.0 X / 10 a", "v5.0 Y / 10"], &[]);
        let few =
            "docs/hostile-bytes.md:7: `v5.0 * / 10*`, closed instead of PUBACK 0x00: 2 are said, 1 are found";
        check(&["v5.0 X / 10"], &[few]);
        let strange = "v3.1 X / 10: closed instead of PUBACK 0x00 is not explained";
        check(&["v5.0 X / 10", "v5.0 X / 10 b", "v3.1 X / 10"], &[strange]);
    }

    #[test]
    fn a_star_stands_for_anything() {
        let check = |name: &str, pattern: &str, expect: bool| assert_eq!(is_like(name, pattern), expect);
        check("abc", "abc", true);
        check("abc", "a*", true);
        check("abc", "*c", true);
        check("abc", "a*b*c", true);
        check("abc", "a*d", false);
        check("abc", "ab", false);
        check("ä€", "*€", true);
    }

    #[test]
    fn a_wrong_row_is_refused() {
        assert!(read(&TEXT.replace("| 2 |", "| two |")).is_err());
        assert!(read(&TEXT.replace("| 2 | free |", "| 2 |")).is_err());
    }
}
