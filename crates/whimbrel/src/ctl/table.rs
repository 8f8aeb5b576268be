//! Tables with aligned columns, and words of clients made fit for a terminal.

use super::paint::Paint;

/// Characters of a client's words that a table shows.
const WORDS_SHOWN: usize = 60;

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Rows under a head.
pub(super) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows. Where all heads are empty there is no line for them.
    pub(super) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row: a cell for each column.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines.
    pub(super) fn text(&self, paint: Paint) -> String {
        let mut out = String::new();
        let head: Vec<String> = self.columns.iter().map(|(head, _)| (*head).to_owned()).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|at| {
                self.rows.iter().chain([&head]).filter_map(|row| row.get(at)).map(|cell| width(cell)).max()
            })
            .map(Option::unwrap_or_default)
            .collect();
        if head.iter().any(|cell| !cell.is_empty()) {
            out.push_str(&paint.head(&self.line(&head, &widths)));
            out.push('\n');
        }
        for row in &self.rows {
            out.push_str(&self.line(row, &widths));
            out.push('\n');
        }
        out
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, (_, align)), column) in cells.iter().zip(&self.columns).zip(widths) {
            let room = " ".repeat(column.saturating_sub(width(cell)));
            let (before, after) =
                if *align == Align::Right { (room.as_str(), "") } else { ("", room.as_str()) };
            line.push_str(before);
            line.push_str(cell);
            line.push_str(after);
            line.push_str("  ");
        }
        line.trim_end().to_owned()
    }
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

/// What others have chosen, without what would move a cursor or turn the direction of the text.
pub(crate) fn shown(words: &str) -> String {
    words.chars().fold(String::new(), |mut out, character| {
        match character {
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
                out.extend(character.escape_unicode());
            }
            control if control.is_control() => out.extend(control.escape_default()),
            plain => out.push(plain),
        }
        out
    })
}

/// The same, short enough for a cell.
pub(super) fn cell(words: &str) -> String {
    let shown = shown(words);
    match shown.char_indices().nth(WORDS_SHOWN) {
        Some((end, _)) => format!("{}…", shown.get(..end).unwrap_or_default()),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&[("ID", Align::Left), ("QUEUE", Align::Right)]);
        table.row(["ä".to_owned(), "12".to_owned()]);
        table.row(["long".to_owned(), "1,234,567".to_owned()]);
        let text = "ID        QUEUE\nä            12\nlong  1,234,567\n";
        assert_eq!(table.text(Paint::NONE), text);
    }

    #[test]
    fn words_of_clients_do_nothing_to_a_terminal() {
        assert_eq!(shown("a\u{1b}[31m\n\u{202e}b"), "a\\u{1b}[31m\\n\\u{202e}b");
        assert_eq!(cell(&"x".repeat(61)), format!("{}…", "x".repeat(60)));
        assert_eq!(cell(&"x".repeat(60)), "x".repeat(60));
    }
}
