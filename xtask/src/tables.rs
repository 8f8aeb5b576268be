//! The part of TOML that the lists of the chores are written in: tables of one level whose values are text or whole
//! numbers, each on a line of its own. Not a general TOML library.

use std::collections::BTreeMap;

/// One table: its name, the line on which it stands, and its values as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) line: usize,
    values: BTreeMap<String, String>,
}

impl Table {
    /// The value of `key`; a table that lacks it is an error that says so.
    pub(crate) fn value(&self, key: &str) -> Result<&str, String> {
        self.optional(key).ok_or_else(|| format!("line {}: [{}] has no `{key}`", self.line, self.name))
    }

    pub(crate) fn optional(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    pub(crate) fn number(&self, key: &str) -> Result<usize, String> {
        let wrong = |_| format!("line {}: `{key}` of [{}] is not a number", self.line, self.name);
        self.value(key)?.parse().map_err(wrong)
    }

    /// Refuses keys that nobody reads.
    pub(crate) fn only(&self, keys: &[&str]) -> Result<(), String> {
        match self.values.keys().find(|key| !keys.contains(&key.as_str())) {
            Some(key) => {
                Err(format!("line {}: [{}] has a `{key}`, which nothing reads", self.line, self.name))
            }
            None => Ok(()),
        }
    }

    /// All keys with their values.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// Reads the tables of a file, in their order.
pub(crate) fn read(text: &str) -> Result<Vec<Table>, String> {
    let mut tables: Vec<Table> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let wrong = |why: &str| format!("line {}: {why}: `{line}`", at + 1);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let name = name.replace('"', "");
            if tables.iter().any(|table| table.name == name) {
                return Err(wrong("the table is there twice"));
            }
            tables.push(Table { name, line: at + 1, values: BTreeMap::new() });
            continue;
        }
        let (key, value) = line.split_once(" = ").ok_or_else(|| wrong("not understood"))?;
        let value = plain(value).ok_or_else(|| wrong("neither text in quotes nor a number"))?;
        let table = tables.last_mut().ok_or_else(|| wrong("stands before the first table"))?;
        if table.values.insert(key.to_owned(), value).is_some() {
            return Err(wrong("the key is there twice"));
        }
    }
    Ok(tables)
}

fn plain(value: &str) -> Option<String> {
    let Some(inner) = value.strip_prefix('"') else {
        return (!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| value.to_owned());
    };
    let inner = inner.strip_suffix('"')?;
    let mut text = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => text.push(letters.next().filter(|letter| matches!(letter, '\\' | '"'))?),
            '"' => return None,
            letter => text.push(letter),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tables_with_text_and_numbers() {
        let tables =
            read("# words\n[a]\nn = 3\nt = \"x \\\"y\\\" \\\\\"\n\n[v5.\"MQTT-1.5.4-1\"]\nk = \"v\"\n")
                .unwrap();
        let [a, b] = &tables[..] else { panic!("two tables") };
        assert_eq!((a.number("n"), a.value("t")), (Ok(3), Ok("x \"y\" \\")));
        assert_eq!((b.name.as_str(), b.line, b.optional("k")), ("v5.MQTT-1.5.4-1", 6, Some("v")));
        assert_eq!(a.only(&["n"]), Err("line 2: [a] has a `t`, which nothing reads".to_owned()));
        assert_eq!(b.number("k"), Err("line 6: `k` of [v5.MQTT-1.5.4-1] is not a number".to_owned()));
        assert_eq!(b.value("z"), Err("line 6: [v5.MQTT-1.5.4-1] has no `z`".to_owned()));
    }

    #[test]
    fn what_it_does_not_know_is_an_error() {
        let check = |text: &str| assert!(read(text).is_err(), "{text}");
        check("a = 1");
        check("[a]\n[a]");
        check("[a]\nb = 1\nb = 2");
        check("[a]\nb = true");
        check("[a]\nb = \"open");
        check("[a]\nb = \"a\"c\"");
        check("[a]\nb");
    }
}
