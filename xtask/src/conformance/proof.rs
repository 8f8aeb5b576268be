//! The tests of the repository and the statements that each of them proves: a test function by the numbers in its name,
//! a scenario of the suite by its list. It reads the source; whether a test passes is not its matter.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::statement::Edition;
use crate::rust_source::blank;

/// Where tests are looked for.
const FOLDERS: &[&str] = &["crates", "tests"];

/// What opens a scenario in the tables of the suite.
const SCENARIO: &str = "Scenario::new(";

/// A test, and what it proves by its name or its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) of: Vec<(Edition, Claim)>,
}

/// How a test says what it proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Claim {
    /// The number in a name, `3_3_1_2`. It may be that of a section, which proves no statement.
    Number(String),
    /// An identifier in a scenario's list, `MQTT-3.3.1-2`. That it exists is checked.
    Id(String),
}

/// Finds all tests. A file that no module names is not compiled, so its tests are a finding and not a proof.
pub(super) fn find(root: &Path) -> Result<(Vec<Proof>, Vec<String>), String> {
    let mut files = BTreeMap::new();
    for folder in FOLDERS {
        visit(root, folder, &mut files)?;
    }
    let mut proofs = Vec::new();
    let mut findings = Vec::new();
    for (path, text) in &files {
        let code = blank(text);
        let mut here = functions(path, &code);
        here.extend(scenarios(path, text, &code).map_err(|error| format!("{path}: {error}"))?);
        if !here.is_empty() && is_orphan(path, &files) {
            findings.push(format!("{path}: has {} tests, but no module names the file", here.len()));
            continue;
        }
        proofs.extend(here);
    }
    Ok((proofs, findings))
}

fn visit(root: &Path, folder: &str, files: &mut BTreeMap<String, String>) -> Result<(), String> {
    let failed = |error| format!("{folder}: {error}");
    for entry in fs::read_dir(root.join(folder)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{folder}/{name}");
        if entry.file_type().map_err(failed)?.is_dir() {
            if name != "node_modules" && !name.starts_with(['.', '_']) {
                visit(root, &path, files)?;
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).map_err(failed)?;
            files.insert(path, text);
        }
    }
    Ok(())
}

/// Whether no file around this one has it as a module. Roots of crates and of test binaries need none.
fn is_orphan(path: &str, files: &BTreeMap<String, String>) -> bool {
    let Some((folder, file)) = path.rsplit_once('/') else { return false };
    let is_root = matches!(folder.rsplit('/').next(), Some("src" | "tests" | "bin"))
        && (folder.ends_with("/tests") || matches!(file, "lib.rs" | "main.rs"));
    if is_root {
        return false;
    }
    let (module, around) = match file {
        "mod.rs" => match folder.rsplit_once('/') {
            Some((around, module)) => (module, around),
            None => return false,
        },
        _ => (file.trim_end_matches(".rs"), folder),
    };
    let names = |text: &String| {
        text.lines().any(|line| {
            let line = line.trim().trim_start_matches("pub").trim_start_matches("(crate)");
            let line = line.trim_start_matches("(super)").trim_start();
            line.strip_prefix("mod ").is_some_and(|rest| rest.trim_end_matches([';', '{', ' ']) == module)
        })
    };
    // The parent is a file of this folder that stands for a module or a root, or the file beside it with its name.
    let beside = format!("{around}.rs");
    let inside = ["mod.rs", "lib.rs", "main.rs"].map(|file| format!("{around}/{file}"));
    !inside.iter().chain([&beside]).filter_map(|parent| files.get(parent)).any(names)
}

/// The functions under `#[test]` or `#[…::test]`.
fn functions(path: &str, code: &str) -> Vec<Proof> {
    let mut proofs = Vec::new();
    let mut is_test = false;
    for line in code.lines().map(str::trim) {
        if let Some(attribute) = line.strip_prefix("#[") {
            let word = attribute.split([']', '(']).next().unwrap_or_default();
            is_test |= word == "test" || word.ends_with("::test");
            continue;
        }
        let after =
            line.split_once("fn ").filter(|(before, _)| matches!(before.trim(), "" | "async" | "pub"));
        if let (true, Some((_, rest))) = (is_test, after) {
            let name = rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next();
            let name = name.unwrap_or_default().to_owned();
            proofs.push(Proof { of: numbers_of(&name), name, path: path.to_owned() });
        }
        if !line.is_empty() {
            is_test = false;
        }
    }
    proofs
}

fn numbers_of(name: &str) -> Vec<(Edition, Claim)> {
    let edition = Edition::ALL.into_iter().find(|edition| name.starts_with(edition.prefix()));
    let Some(edition) = edition else { return Vec::new() };
    let rest = name.strip_prefix(edition.prefix()).unwrap_or_default();
    numbers(rest).into_iter().map(|number| (edition, Claim::Number(number))).collect()
}

/// The numbers that a name begins with: `3_4_2_1_and_3_5_2_1_words`, `4_6_0_2_and_3_words` and `4_3_2_1_to_3_words` name
/// several.
fn numbers(name: &str) -> Vec<String> {
    let mut words = name.split('_').peekable();
    let mut group = || {
        let mut parts = Vec::new();
        while let Some(part) = words.next_if(|word| word.parse::<u32>().is_ok()) {
            parts.push(part.to_owned());
        }
        let joint = words.next_if(|word| matches!(*word, "and" | "to")).unwrap_or_default();
        (parts, joint)
    };
    let (first, mut joint) = group();
    let mut numbers = Vec::from_iter((!first.is_empty()).then(|| first.join("_")));
    while !joint.is_empty() && !first.is_empty() {
        let (parts, next) = group();
        let kept = first.len().saturating_sub(parts.len());
        let head = first.get(..kept).unwrap_or_default();
        match (joint, parts.last().and_then(|last| last.parse::<u32>().ok())) {
            (_, None) => break,
            ("to", Some(last)) => {
                let from = first.last().and_then(|part| part.parse::<u32>().ok()).unwrap_or(last);
                let stem = first.get(..first.len() - 1).unwrap_or_default().join("_");
                numbers.extend((from + 1..=last).map(|end| format!("{stem}_{end}")));
            }
            _ => numbers.push([head, &parts].concat().join("_")),
        }
        joint = next;
    }
    numbers
}

/// The scenarios of a file, each with its list.
fn scenarios(path: &str, text: &str, code: &str) -> Result<Vec<Proof>, String> {
    let mut proofs = Vec::new();
    for (at, _) in code.match_indices(SCENARIO) {
        let (begin, end) = (at + SCENARIO.len(), closing(code, at + SCENARIO.len()));
        // Without a table around it, it is the function itself.
        let Some(arguments) = text.get(begin..end) else { continue };
        let line = text.get(..at).unwrap_or_default().lines().count() + 1;
        let wrong = |what: &str| format!("line {line}: a scenario {what}");
        let mut strings = arguments.split('"').skip(1).step_by(2);
        let name = strings.next().ok_or_else(|| wrong("without a name"))?.to_owned();
        let edition = Edition::ALL.into_iter().find(|edition| name.starts_with(edition.prefix()));
        let list: Vec<_> = strings.collect();
        if list.is_empty() {
            return Err(wrong("without a list of what it proves"));
        }
        // What a scenario proves that is not of a numbered edition is a section of the text of 3.1.
        let ids = list.iter().filter(|entry| entry.starts_with("MQTT-"));
        let of = edition.map(|edition| ids.map(|id| (edition, Claim::Id((*id).to_owned()))).collect());
        proofs.push(Proof { name, path: path.to_owned(), of: of.unwrap_or_default() });
    }
    Ok(proofs)
}

/// Where the parenthesis that opened before `from` closes.
fn closing(code: &str, from: usize) -> usize {
    let mut depth = 1_usize;
    for (at, letter) in code.get(from..).unwrap_or_default().char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return from + at;
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_several_numbers() {
        let check = |name: &str, expect: &[&str]| assert_eq!(numbers(name), expect, "{name}");
        check("3_3_1_2_dup_is_zero", &["3_3_1_2"]);
        check("4_6_0_2_and_3_acknowledgements", &["4_6_0_2", "4_6_0_3"]);
        check("3_4_2_1_and_3_5_2_1_only", &["3_4_2_1", "3_5_2_1"]);
        check("4_3_2_1_to_3_a_publish", &["4_3_2_1", "4_3_2_2", "4_3_2_3"]);
        check("3_1_3_5_client_ids_of_1_to_23_characters", &["3_1_3_5"]);
        check("4_3_3_qos_2_is_once_and_qos_1", &["4_3_3"]);
        check("3_8_4_1_and_more_words", &["3_8_4_1"]);
        check("section_3_1", &[]);
    }

    #[test]
    fn only_what_the_harness_runs_is_a_test() {
        let code = "fn v5_1_1_1_1_a() {}\n#[test]\nfn v5_1_1_1_2_b() {}\n\n#[tokio::test]\n#[expect(x)]\n\
                    async fn v311_1_1_1_3_c() {}\n#[testing]\nfn v5_1_1_1_4_d() {}\n#[test]\nfn plain() {}";
        let found = functions("a.rs", code);
        let names: Vec<_> = found.iter().map(|proof| proof.name.as_str()).collect();
        assert_eq!(names, ["v5_1_1_1_2_b", "v311_1_1_1_3_c", "plain"]);
        assert_eq!(found[1].of, [(Edition::V311, Claim::Number("1_1_1_3".to_owned()))]);
        assert!(found[2].of.is_empty());
    }

    #[test]
    fn a_scenario_proves_what_its_list_says() {
        let text = "    Scenario::new(\"v5_a\", run, &[\"MQTT-3.1.0-1\", \"section 4.1\"]).timed(),\n\
                    Scenario::new(\n\"v31_b\",\nrun,\n&[\"3.1: CONNECT\"]),\n// Scenario::new(\"x\")";
        let found = scenarios("a.rs", text, &blank(text)).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].of, [(Edition::V5, Claim::Id("MQTT-3.1.0-1".to_owned()))]);
        assert_eq!((found[1].name.as_str(), found[1].of.len()), ("v31_b", 0));
        let bare = "Scenario::new(\"v5_a\", run, &[])";
        assert!(scenarios("a.rs", bare, &blank(bare)).is_err());
    }

    #[test]
    fn a_file_that_is_not_compiled_is_found() {
        let files: BTreeMap<String, String> = [
            ("crates/a/tests/it.rs", "mod it {\n    mod one;\n}"),
            ("crates/a/tests/it/one.rs", "mod deep;"),
            ("crates/a/tests/it/one/deep.rs", ""),
            ("crates/a/tests/it/two.rs", ""),
            ("crates/a/src/lib.rs", "pub(crate) mod b;"),
            ("crates/a/src/b/mod.rs", "mod tests;"),
            ("crates/a/src/b/tests.rs", ""),
        ]
        .map(|(path, text)| (path.to_owned(), text.to_owned()))
        .into();
        let orphans: Vec<_> = files.keys().filter(|path| is_orphan(path, &files)).collect();
        assert_eq!(orphans, ["crates/a/tests/it/two.rs"]);
    }
}
