//! The manual's page of conformance, `docs/conformance.md`: written from the state of the statements and from the list of
//! differences, never by hand.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::differences::Differences;
use super::exceptions::Kind;
use super::state::{Count, State};
use super::statement::Edition;

pub(super) const PATH: &str = "docs/conformance.md";

const HEAD: &str = "\
<!-- Made by `cargo xtask conformance --write`; change spec/status.toml, the tests or the list of differences instead. -->

# Conformance

The two OASIS Standards number what they demand: 252 statements in MQTT 5.0 (two of which, MQTT-4.2-1 and MQTT-4.2.0-1,
are one sentence), 141 in MQTT 3.1.1, listed in `spec/`. Each has a test that is named after it, or a written reason
why it has none. A test function bears the number in its name (`v5_3_3_1_2_…` is [MQTT-3.3.1-2] of 5.0, `v311_…` one of
3.1.1); a scenario of the suite lists what it proves. `cargo xtask ci` fails when a statement has neither, when a reason names
a test that does not exist, and when there are more exceptions than `spec/status.toml` allows.

```sh
cargo xtask conformance                          # the counts below
cargo xtask conformance --all                    # each statement with its tests or its reason
cargo xtask conformance --write                  # this page
cargo xtask conformance --against HOST:PORT      # the suite against any broker; a port alone is on 127.0.0.1
cargo xtask conformance --against whimbrel       # … against the release build with its defaults
cargo xtask conformance --against mosquitto      # … against Mosquitto, where it is installed
```

MQTT 3.1 numbers no statements. Where its text says the same as 3.1.1, the scenarios run in it too; where it differs, it
has scenarios of its own.

";

const SUITE: &str = "\
## The suite against other brokers

The scenarios in `tests/conformance` are one text with two drivers. In `cargo test` they meet the engine in memory, on
virtual time. With `--against` they meet a broker over TCP and wait for events with deadlines; `--timed` runs also those
for which seconds have to pass. By the letter (`--against HOST:PORT`) a scenario accepts whatever the text leaves open;
against Whimbrel it also asks for what the text recommends and for Whimbrel's own choices. A suite that only ever meets
the broker it was written for proves little, so every failure of another broker is explained: either that broker breaks
the text, or the text leaves it free; where the suite asked for too much, it was mended.

";

/// The whole page.
pub(super) fn text(state: &State, differences: &Differences) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("## The statements\n\n");
    for edition in Edition::ALL {
        let _ = writeln!(page, "* {edition}: {}.", state.count(edition, None).words());
    }
    page.push('\n');
    sections(state, &mut page);
    exceptions(state, &mut page);
    page.push_str(SUITE);
    table(differences, &mut page);
    page
}

/// Writes the page.
pub(super) fn write(root: &Path, text: &str) -> Result<(), String> {
    fs::write(root.join(PATH), text).map_err(|error| format!("{PATH}: {error}"))
}

/// Says when the page is not what it would be if it were written now.
pub(super) fn check(root: &Path, text: &str) -> Option<String> {
    let is_current = fs::read_to_string(root.join(PATH)).is_ok_and(|page| page == text);
    (!is_current).then(|| format!("{PATH}: is not current, `cargo xtask conformance --write` makes it so"))
}

fn sections(state: &State, page: &mut String) {
    page.push_str(
        "| section | 5.0 | tested | reason | 3.1.1 | tested | reason |\n|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for section in state.sections() {
        let _ = write!(page, "| {section} |");
        for edition in Edition::ALL {
            let count = state.count(edition, Some(&section));
            let Count { statements, tested, exceptions } = &count;
            if *statements == 0 {
                page.push_str(" | | |");
            } else {
                let _ = write!(page, " {statements} | {tested} | {} |", exceptions.values().sum::<usize>());
            }
        }
        page.push('\n');
    }
    page.push('\n');
}

fn exceptions(state: &State, page: &mut String) {
    page.push_str("### Statements without a test of their own\n\n");
    page.push_str("| statement | of | kind | reason |\n|---|---|---|---|\n");
    for row in &state.rows {
        let Some(exception) = &row.exception else { continue };
        let tests: String = exception.tests.iter().map(|test| format!(" `{test}`")).collect();
        let (id, edition) = (&row.statement.id, row.statement.edition);
        let reason = escaped(&exception.reason);
        let _ = writeln!(page, "| {id} | {edition} | {} | {reason}{tests} |", exception.kind);
    }
    page.push('\n');
    for kind in Kind::ALL {
        let _ = writeln!(page, "* **{kind}**: {}", kind.meaning());
    }
    page.push('\n');
}

fn table(differences: &Differences, page: &mut String) {
    let Differences { broker, tally, entries } = differences;
    let _ = writeln!(page, "### {broker}\n");
    let _ = writeln!(
        page,
        "With its defaults and a longer queue (`tests/conformance/brokers/mosquitto.conf`) and `--timed`: {tally};\n\
         a scenario counts once for each version. What was skipped are Whimbrel's own choices, what needs a setting, and what takes hours.\n"
    );
    page.push_str("| scenario | about | what it does | verdict |\n|---|---|---|---|\n");
    for entry in entries {
        let (does, why) = (escaped(&entry.does), escaped(&entry.why));
        let _ = writeln!(
            page,
            "| `{}` | {} | {does} | {}: {why} |",
            entry.scenario, entry.statement, entry.verdict
        );
    }
}

/// A text in a cell of a table.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_not_current_is_found() {
        let folder = std::env::temp_dir().join(format!("whimbrel-page-{}", std::process::id()));
        fs::create_dir_all(folder.join("docs")).unwrap();
        assert!(check(&folder, "text").is_some());
        write(&folder, "text").unwrap();
        assert_eq!(check(&folder, "text"), None);
        assert!(check(&folder, "other").is_some());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_bar_in_a_text_does_not_end_its_cell() {
        assert_eq!(escaped("a|b"), "a\\|b");
    }
}
