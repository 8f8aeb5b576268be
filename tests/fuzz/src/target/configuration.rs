//! The text of a configuration, variables and flags: no panic, every problem has its place and is one line, and what is
//! accepted is accepted again, and the same, when another writer has written it out.

use std::{collections::BTreeMap, path::PathBuf};

use whimbrel_broker::config::{Config, File, Flag, Origin, Problem, Problems, Sources, keys};

/// Lines that begin like this are no part of the file, but flags: `--section.key=word`.
const FLAG: &str = "--";
/// The same for variables: `WHIMBREL_…=word`.
const VARIABLE: &str = "WHIMBREL_";

/// A file, with the flags and the variables that its lines say.
pub(super) fn configuration(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let is_elsewhere = |line: &&str| line.starts_with(FLAG) || line.starts_with(VARIABLE);
    let (elsewhere, file): (Vec<_>, Vec<_>) = text.split('\n').partition(is_elsewhere);
    let file = file.join("\n");
    match Config::load(&sources(&file, &elsewhere)) {
        Ok(config) => written_out(&config, &file, &elsewhere),
        Err(problems) => told(&problems, &file),
    }
}

fn sources(text: &str, elsewhere: &[&str]) -> Sources {
    let mut environment = BTreeMap::new();
    let mut flags = Vec::new();
    for (name, word) in elsewhere.iter().filter_map(|line| line.split_once('=')) {
        let word = word.to_owned();
        if let Some(path) = name.strip_prefix(FLAG) {
            let key = keys().find(|key| key.path() == path);
            flags.extend(key.map(|key| Flag { key, spelled: name.to_owned(), word }));
        } else {
            environment.insert(name.to_owned(), word);
        }
    }
    let file = File { path: PathBuf::from("whimbrel.toml"), text: text.to_owned() };
    Sources { file: Some(file), environment, flags }
}

/// Every problem is told in one line, and those of the file where they are.
fn told(problems: &Problems, file: &str) {
    assert!(!problems.0.is_empty());
    assert_eq!(problems.to_string().lines().count(), problems.0.len(), "{problems}");
    let lines: Vec<&str> = file.split('\n').collect();
    for Problem { origin, .. } in &problems.0 {
        match origin {
            Origin::Place { line, column, .. } => {
                let text =
                    lines.get(line - 1).unwrap_or_else(|| panic!("there is no line {line}: {problems}"));
                assert!(*column >= 1 && *column <= text.chars().count() + 1, "{line}:{column}: {problems}");
            }
            Origin::Environment(_) | Origin::Flag(_) => {}
            Origin::File(_) | Origin::Default => panic!("nobody knows where: {problems}"),
        }
    }
}

/// Another writer keeps the values and nothing else: no comment, no order, no way of writing a number.
fn written_out(config: &Config, file: &str, elsewhere: &[&str]) {
    let Ok(table) = file.parse::<toml::Table>() else { return };
    let text = toml::to_string(&table).expect("what was read can be written");
    assert_eq!(Config::load(&sources(&text, elsewhere)).as_ref(), Ok(config), "{text}");
}
