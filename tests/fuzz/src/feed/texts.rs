//! Texts that a configuration or a password file may well hold. How they go wrong is in `mutate`.

use whimbrel_broker::config::{Key, Kind, keys};

use super::{Dice, Input};

const HASHES: &[&str] = &[
    "$argon2id$v=19$m=8,t=1,p=1$YSB0aW55IHRlc3Qgc2FsdA$OdwmiDkOf7gqKOUoKTEOHniv7XLlNaJmeCLmZjysAPo",
    "$7$101$UWcdaga1Wq91wxLZ$AjDlRtBHeJjN6TnkUcpp8XzpM9moaI4bxDskO1OovV2Ox6xymyg8OARTDhXzT7LhTC7Y2Bk8n6uNXQZmtyO0cA==",
    "$6$short",
    "plain",
];

/// Lines of keys with values, some wrong; some as variables or flags.
pub(super) fn configuration(dice: &mut Dice) -> Input {
    let keys: Vec<&'static Key> = keys().collect();
    let mut text = String::new();
    for _ in 0..1 + dice.below(8) {
        let key = keys[dice.below(keys.len())];
        let value = value(dice, key);
        let word = value.trim_matches('"');
        match dice.below(10) {
            0 => text.push_str(&format!("--{}={word}\n", key.path())),
            1 => text.push_str(&format!("{}={word}\n", key.environment(1 + dice.below(2)))),
            2 if key.section != "listener" => text.push_str(&format!("{} = {value}\n", key.path())),
            3 => text.push_str(&format!("# {}\n\n", key.name)),
            4 => text.push_str(&format!("{} = {{ {} = {value} }}\n", key.section, key.name)),
            _ if key.section == "listener" => {
                text.push_str(&format!("[[listener]]\n{} = {value}\n", key.name))
            }
            _ => text.push_str(&format!("[{}]\n{} = {value}\n", key.section, key.name)),
        }
    }
    text.into_bytes()
}

fn value(dice: &mut Dice, key: &Key) -> String {
    let wrong = [
        "-1",
        "1e3",
        "nan",
        "1979-05-27",
        "[]",
        "{}",
        "0x1F",
        "18_446_744_073_709_551_616",
        "\"\\u00e9\"",
        "''",
    ];
    if dice.one_in(8) {
        return dice.pick(&wrong).to_owned();
    }
    let kind = if let Kind::OrAuto(kind) = key.kind { *kind } else { key.kind };
    match kind {
        Kind::Switch => dice.pick(&["true", "false"]).to_owned(),
        Kind::Whole => {
            let (min, max) = key.bounds;
            dice.pick(&[min, max, min.saturating_sub(1), max.saturating_add(1), min / 2 + max / 2])
                .to_string()
        }
        Kind::Choice(words) => format!("\"{}\"", dice.pick(words)),
        Kind::Choices(words) => {
            let (one, other) = (dice.pick(words), dice.pick(words));
            dice.pick(&[&format!("[\"{one}\", \"{other}\"]"), &format!("\"{one}\""), "[]", "[1]"]).to_string()
        }
        Kind::Address => {
            let addresses = ["127.0.0.1:0", "[::1]:1883", "localhost:1884", "0.0.0.0:1883", "::1", ":99999"];
            format!("\"{}\"", dice.pick(&addresses))
        }
        Kind::Levels => {
            format!("\"{}\"", dice.pick(&["info", "off", "info,whimbrel_broker=debug", "loud", ",,="]))
        }
        Kind::Paths => dice.pick(&["\"a.pem\"", "[\"a.pem\", \"b.pem\"]", "[]", "[1]", "\"\""]).to_owned(),
        Kind::Form { example, .. } => {
            dice.pick(&[&format!("\"{example}\""), "\"/\"", "\"\"", "[]"]).to_string()
        }
        Kind::Forms { example, .. } => {
            dice.pick(&[&format!("\"{example}\""), "[]", "[\"*\", \"::/0\"]", "[1]", "\"\""]).to_string()
        }
        Kind::Text | Kind::Path | Kind::OrAuto(_) => {
            format!("\"{}\"", dice.pick(&["auto", "file", "../a b", "\\n", "'"]))
        }
    }
}

/// Lines of users, comments and mistakes.
pub(super) fn password_file(dice: &mut Dice) -> Input {
    let names = ["alice", "bob", " two words ", "#", "Zoë", "", "\u{feff}alice", "al\u{7}ice"];
    let mut text = String::new();
    for _ in 0..dice.below(8) {
        text.push_str(dice.pick(&names));
        text.push_str(dice.pick(&[":", ":", ":", " : ", "", "::"]));
        text.push_str(dice.pick(HASHES));
        text.push_str(dice.pick(&["\n", "\n", "\r\n", "\n\n", "", " \n"]));
    }
    text.into_bytes()
}
