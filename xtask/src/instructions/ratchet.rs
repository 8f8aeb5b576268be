//! The ratchet file: what each operation may cost, with which compiler that was taken, and why it changed last. It is
//! the part of TOML that this program writes, and reads no other.

use std::collections::BTreeMap;
use std::fmt;

const HEAD: &str = "\
# What each operation of tests/instructions costs: instructions and allocations of one of it, start-up taken out.
# `cargo xtask instructions` fails when one costs over 2 % more; `cargo xtask instructions --bless \"REASON\"` writes
# this file anew, and gives the reason to what has changed. With another compiler than this it reports only.
";

/// What one operation costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cost {
    pub(super) instructions: f64,
    pub(super) allocations: f64,
}

/// One operation's line in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) cost: Cost,
    /// Why it is what it is since it changed last.
    pub(super) reason: String,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Ratchet {
    pub(super) compiler: String,
    pub(super) operations: BTreeMap<String, Entry>,
}

impl Ratchet {
    /// The file as it is after these measurements: what has not changed keeps its reason.
    pub(super) fn bless(&self, compiler: &str, measured: &[(String, Cost)], reason: &str) -> Ratchet {
        let operations = measured.iter().map(|(name, cost)| {
            let cost = cost.rounded();
            let kept = self.operations.get(name).filter(|entry| entry.cost == cost).cloned();
            (name.clone(), kept.unwrap_or_else(|| Entry { cost, reason: reason.to_owned() }))
        });
        Ratchet { compiler: compiler.to_owned(), operations: operations.collect() }
    }
}

impl Cost {
    /// As precise as the file holds it.
    fn rounded(self) -> Cost {
        let to = |value: f64, places: f64| (value * places).round() / places;
        Cost { instructions: to(self.instructions, 10.0), allocations: to(self.allocations, 100.0) }
    }
}

impl fmt::Display for Ratchet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HEAD}\ncompiler = {}\n", Quoted(&self.compiler))?;
        for (name, Entry { cost, reason }) in &self.operations {
            writeln!(f, "\n[{name}]")?;
            writeln!(f, "instructions = {:.1}", cost.instructions)?;
            writeln!(f, "allocations = {:.2}", cost.allocations)?;
            writeln!(f, "reason = {}", Quoted(reason))?;
        }
        Ok(())
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A basic string of TOML is one line; a reason is one sentence.
        let text: String =
            self.0.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// Reads the file.
pub(super) fn read(text: &str) -> Result<Ratchet, String> {
    let mut ratchet = Ratchet::default();
    let mut section: Option<String> = None;
    for (at, line) in text.lines().enumerate() {
        let wrong = || format!("ratchet.toml:{}: `{line}` is not understood", at + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let entry =
                Entry { cost: Cost { instructions: f64::NAN, allocations: f64::NAN }, reason: String::new() };
            if ratchet.operations.insert(name.to_owned(), entry).is_some() {
                return Err(wrong());
            }
            section = Some(name.to_owned());
            continue;
        }
        let (key, value) = line.split_once(" = ").ok_or_else(wrong)?;
        let entry = section.as_ref().and_then(|name| ratchet.operations.get_mut(name));
        match (key, entry) {
            ("compiler", None) => ratchet.compiler = unquoted(value).ok_or_else(wrong)?,
            ("instructions", Some(entry)) => entry.cost.instructions = number(value).ok_or_else(wrong)?,
            ("allocations", Some(entry)) => entry.cost.allocations = number(value).ok_or_else(wrong)?,
            ("reason", Some(entry)) => entry.reason = unquoted(value).ok_or_else(wrong)?,
            _ => return Err(wrong()),
        }
    }
    let is_whole = |entry: &Entry| {
        !entry.cost.instructions.is_nan() && !entry.cost.allocations.is_nan() && !entry.reason.is_empty()
    };
    match ratchet.operations.iter().find(|(_, entry)| !is_whole(entry)) {
        Some((name, _)) => Err(format!("ratchet.toml: [{name}] lacks a count or a reason")),
        None if ratchet.compiler.is_empty() => Err("ratchet.toml: names no compiler".to_owned()),
        None => Ok(ratchet),
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

fn unquoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut letters = inner.chars();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => plain.push(letters.next().filter(|letter| matches!(letter, '\\' | '"'))?),
            '"' => return None,
            letter => plain.push(letter),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(instructions: f64, allocations: f64, reason: &str) -> Entry {
        Entry { cost: Cost { instructions, allocations }, reason: reason.to_owned() }
    }

    fn ratchet(operations: &[(&str, Entry)]) -> Ratchet {
        let operations = operations.iter().map(|(name, entry)| ((*name).to_owned(), entry.clone())).collect();
        Ratchet { compiler: "rustc 1 host".to_owned(), operations }
    }

    #[test]
    fn what_is_written_is_read() {
        let written = ratchet(&[("a", entry(12.5, 0.25, "a \"b\" \\ c")), ("b-1", entry(0.0, 3.0, "first"))]);
        assert_eq!(read(&written.to_string()), Ok(written));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let whole = ratchet(&[("a", entry(1.0, 0.0, "why"))]).to_string();
        assert!(read(&whole).is_ok());
        for (from, to) in [
            ("instructions = 1.0", "instructions = many"),
            ("instructions = 1.0", "instructions = -1.0"),
            ("instructions = 1.0\n", ""),
            ("allocations", "allocatoins"),
            ("reason = \"why\"", "reason = \"\""),
            ("reason = \"why\"", "reason = why"),
            ("compiler = \"rustc 1 host\"", ""),
            ("[a]", ""),
        ] {
            assert!(read(&whole.replace(from, to)).is_err(), "{from} -> {to}");
        }
        assert!(read(&format!("{whole}\n[a]\ninstructions = 2.0\n")).is_err(), "twice");
    }

    #[test]
    fn blessing_gives_the_reason_to_what_has_changed() {
        let before = ratchet(&[
            ("gone", entry(1.0, 0.0, "old")),
            ("same", entry(2.0, 0.0, "old")),
            ("slower", entry(3.0, 0.0, "old")),
        ]);
        let cost = |instructions| Cost { instructions, allocations: 0.0 };
        let measured = [("same", cost(2.01)), ("slower", cost(3.1)), ("new", cost(4.0))];
        let measured: Vec<_> = measured.iter().map(|(name, cost)| ((*name).to_owned(), *cost)).collect();
        let after = before.bless("rustc 2 host", &measured, "because");
        let expect = ratchet(&[
            ("same", entry(2.0, 0.0, "old")),
            ("slower", entry(3.1, 0.0, "because")),
            ("new", entry(4.0, 0.0, "because")),
        ]);
        assert_eq!(after, Ratchet { compiler: "rustc 2 host".to_owned(), ..expect });
    }
}
