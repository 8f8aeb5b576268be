//! A reader for the JSON that `cargo metadata` prints; not a general JSON library.
//!
//! It exists so that `cargo xtask` builds in a second on a fresh clone: the tool that everybody builds first
//! has no dependency. What it does not read, it reports with the byte at which it stopped.

use std::collections::BTreeMap;

/// Nesting beyond this is refused: `cargo metadata` stays below ten.
const DEPTH_MAX: usize = 64;

/// A JSON value. Numbers are kept as their text until somebody asks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// The member `key` of an object; `Null` where there is none, so that look-ups chain.
    pub(crate) fn member(&self, key: &str) -> &Value {
        match self {
            Value::Object(members) => members.get(key).unwrap_or(&Value::Null),
            _ => &Value::Null,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn number(&self) -> Option<f64> {
        if let Value::Number(text) = self { text.parse().ok() } else { None }
    }

    pub(crate) fn is_true(&self) -> bool {
        *self == Value::Bool(true)
    }

    /// The items of a list; nothing for any other value.
    pub(crate) fn items(&self) -> &[Value] {
        if let Value::List(items) = self { items } else { &[] }
    }
}

/// Reads one JSON document.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at < reader.bytes.len() { Err(reader.error("the end")) } else { Ok(value) }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err(self.error("less nesting"));
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => Ok(self.number()),
            _ => self.word(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, String> {
        let mut members = BTreeMap::new();
        self.expect(b'{')?;
        if self.accept(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_space();
            let key = self.string()?;
            self.expect(b':')?;
            members.insert(key, self.value(depth + 1)?);
            if self.accept(b'}') {
                return Ok(Value::Object(members));
            }
            self.expect(b',')?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        self.expect(b'[')?;
        if self.accept(b']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.accept(b']') {
                return Ok(Value::List(items));
            }
            self.expect(b',')?;
        }
    }

    fn string(&mut self) -> Result<String, String> {
        self.expect(b'"')?;
        let mut bytes = Vec::new();
        loop {
            match self.next() {
                Some(b'"') => break,
                Some(b'\\') => {
                    let character = self.escape()?;
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Some(byte) => bytes.push(byte),
                None => return Err(self.error("a closing quote")),
            }
        }
        String::from_utf8(bytes).map_err(|_| self.error("UTF-8"))
    }

    fn escape(&mut self) -> Result<char, String> {
        Ok(match self.next() {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(quoted @ (b'"' | b'\\' | b'/')) => char::from(quoted),
            Some(b'u') => {
                let code = self.unit()?;
                // A character beyond the first plane is written as two escapes, a surrogate pair.
                let code = if (0xd800..0xdc00).contains(&code) {
                    self.expect(b'\\')?;
                    self.expect(b'u')?;
                    0x1_0000 + ((code - 0xd800) << 10) + (self.unit()?.wrapping_sub(0xdc00) & 0x3ff)
                } else {
                    code
                };
                char::from_u32(code).ok_or_else(|| self.error("a character"))?
            }
            _ => return Err(self.error("an escape")),
        })
    }

    fn unit(&mut self) -> Result<u32, String> {
        let digits = self.bytes.get(self.at..self.at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        unit.ok_or_else(|| self.error("four hexadecimal digits"))
    }

    fn number(&mut self) -> Value {
        let start = self.at;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        let digits = self.bytes.get(start..self.at).unwrap_or_default();
        Value::Number(String::from_utf8_lossy(digits).into_owned())
    }

    fn word(&mut self) -> Result<Value, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        for (word, value) in
            [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)]
        {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.error("a value"))
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += 1;
        byte
    }

    fn accept(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.accept(byte) { Ok(()) } else { Err(self.error(&format!("`{}`", char::from(byte)))) }
    }

    fn error(&self, wanted: &str) -> String {
        format!("byte {}: expected {wanted}", self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_cargo_prints() {
        let value =
            parse(r#" {"packages": [{"name":"a","n":-1.5e3,"opt":null,"yes":true}], "none":[], "o":{}} "#)
                .unwrap();
        let package = &value.member("packages").items()[0];
        assert_eq!(package.member("name").text(), Some("a"));
        assert_eq!(package.member("n"), &Value::Number("-1.5e3".to_owned()));
        assert_eq!(package.member("opt"), &Value::Null);
        assert!(package.member("yes").is_true());
        assert!(value.member("none").items().is_empty());
        assert_eq!(value.member("o").member("absent"), &Value::Null);
    }

    #[test]
    fn reads_escapes() {
        let check =
            |text: &str, expect: &str| assert_eq!(parse(text).unwrap(), Value::Text(expect.to_owned()));
        check(r#""a\"b\\c\/d\n\t""#, "a\"b\\c/d\n\t");
        check(r#""\u00e9\ud83d\ude00é""#, "é😀é");
    }

    #[test]
    fn says_where_it_stopped() {
        let check = |text: &str, expect: &str| assert_eq!(parse(text).unwrap_err(), expect);
        check("", "byte 0: expected a value");
        check("[1,", "byte 3: expected a value");
        check("[1 2]", "byte 3: expected `,`");
        check("{} x", "byte 3: expected the end");
        check(r#""\x""#, "byte 3: expected an escape");
        check(r#""\ud800\u00""#, "byte 13: expected four hexadecimal digits");
        assert!(parse(&"[".repeat(100)).unwrap_err().ends_with("less nesting"));
    }
}
