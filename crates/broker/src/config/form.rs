//! Values of a form that a word can be checked for: networks, origins of pages, paths of URLs, modes
//! of files. Not where they are used.

use std::{fmt::Display, str::FromStr};

use whimbrel_codec::Version;
use whimbrel_net::Network;

use super::key::Kind;
use super::setting::{Given, Setting, Value, quoted};

/// A type whose values are words of a form, in a list of any length.
pub(super) trait Form: FromStr + Display {
    /// One of them, in words that follow "allowed is".
    const WORDS: &'static str;
    /// One of them.
    const EXAMPLE: &'static str;
}

/// The origin of a page: `https://app.example`, `http://localhost:8000`, `null` for a page without one (a file), `*` for
/// any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageOrigin(String);

/// Which client identifiers may be had: `%u` is the user name, `*` any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdPattern(String);

impl ClientIdPattern {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientIdPattern {
    type Err = Formless;

    fn from_str(text: &str) -> Result<Self, Formless> {
        let placeholders = text.matches('%').count() == text.matches("%u").count();
        if placeholders && !text.is_empty() { Ok(Self(text.to_owned())) } else { Err(Formless) }
    }
}

impl Display for ClientIdPattern {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl Form for ClientIdPattern {
    const WORDS: &'static str = "a pattern such as \"%u-*\", in which % stands before u alone";
    const EXAMPLE: &'static str = "%u-*";
}

/// The path of a URL: it begins with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlPath(String);

/// The mode of a file, as four octal digits: `0660`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(u32);

/// The text is not of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Formless;

impl PageOrigin {
    /// As browsers write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl UrlPath {
    /// As it stands in a request.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path that everybody uses.
    pub(super) fn usual() -> Self {
        Self(whimbrel_net::WS_PATH.to_owned())
    }
}

impl FileMode {
    /// The bits.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// For the account and its group.
    pub(super) fn usual() -> Self {
        Self(0o660)
    }
}

impl FromStr for FileMode {
    type Err = Formless;

    fn from_str(text: &str) -> Result<Self, Formless> {
        let digits = text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let bits = u32::from_str_radix(text, 8).map_err(|_| Formless)?;
        if digits && matches!(text.len(), 3 | 4) && bits <= 0o777 { Ok(Self(bits)) } else { Err(Formless) }
    }
}

/// A version of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MqttVersion(Version);

impl MqttVersion {
    /// The version.
    pub fn version(self) -> Version {
        self.0
    }
}

impl FromStr for MqttVersion {
    type Err = Formless;

    fn from_str(text: &str) -> Result<Self, Formless> {
        match text {
            "3.1" => Ok(Self(Version::V31)),
            "3.1.1" => Ok(Self(Version::V311)),
            "5.0" | "5" => Ok(Self(Version::V5)),
            _ => Err(Formless),
        }
    }
}

impl Display for MqttVersion {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self.0 {
            Version::V31 => "3.1",
            Version::V311 => "3.1.1",
            Version::V5 => "5.0",
        })
    }
}

impl Form for MqttVersion {
    const WORDS: &'static str = "\"3.1\", \"3.1.1\" or \"5.0\"";
    const EXAMPLE: &'static str = "5.0";
}

impl FromStr for PageOrigin {
    type Err = Formless;

    fn from_str(text: &str) -> Result<Self, Formless> {
        let is_origin = match text.split_once("://") {
            Some((scheme, host)) => {
                let scheme_good =
                    scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
                let host_good =
                    host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@\"\\*,".contains(&byte));
                !scheme.is_empty() && scheme_good && !host.is_empty() && host_good
            }
            None => text == "*" || text == "null",
        };
        if is_origin { Ok(Self(text.to_owned())) } else { Err(Formless) }
    }
}

impl FromStr for UrlPath {
    type Err = Formless;

    fn from_str(text: &str) -> Result<Self, Formless> {
        let good = |byte: u8| byte.is_ascii_graphic() && !b"?#\"\\".contains(&byte);
        let is_path = text.starts_with('/') && text.bytes().all(good) && text.len() <= 1_024;
        if is_path { Ok(Self(text.to_owned())) } else { Err(Formless) }
    }
}

impl Display for PageOrigin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl Form for Network {
    const WORDS: &'static str = "an IP address or a network such as \"10.0.0.0/8\"";
    const EXAMPLE: &'static str = "192.0.2.7";
}

impl Form for PageOrigin {
    const WORDS: &'static str = "the origin of a page such as \"https://app.example\", \"null\" or \"*\"";
    const EXAMPLE: &'static str = "https://app.example";
}

impl<T: Form> Setting for Vec<T> {
    const KIND: Kind = Kind::Forms { words: T::WORDS, example: T::EXAMPLE };

    fn read(given: &Given<'_>, _: (u64, u64)) -> Option<Self> {
        let texts = match &given.value {
            Value::Texts(texts) => texts.clone(),
            Value::Text(text) => vec![*text],
            Value::Word(word) => word.split(',').map(str::trim).collect(),
            _ => return None,
        };
        texts.into_iter().map(|text| text.parse().ok()).collect()
    }

    fn show(&self) -> Option<String> {
        let texts: Vec<String> = self.iter().map(|value| quoted(&value.to_string())).collect();
        match texts.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            several => Some(format!("[{}]", several.join(", "))),
        }
    }
}

impl Setting for FileMode {
    const KIND: Kind = Kind::Form { words: "the mode of a file in octal digits: \"0660\"", example: "0600" };

    fn read(given: &Given<'_>, _: (u64, u64)) -> Option<Self> {
        match given.value {
            Value::Text(text) | Value::Word(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn show(&self) -> Option<String> {
        Some(format!("\"{:04o}\"", self.0))
    }
}

impl Setting for UrlPath {
    const KIND: Kind =
        Kind::Form { words: "the path of a URL, which begins with a slash: \"/mqtt\"", example: "/another" };

    fn read(given: &Given<'_>, _: (u64, u64)) -> Option<Self> {
        match given.value {
            Value::Text(text) | Value::Word(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn show(&self) -> Option<String> {
        Some(quoted(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_origin_and_what_is_a_path() {
        for text in
            ["*", "null", "https://app.example", "http://localhost:8000", "http://[::1]:1", "app+x://a"]
        {
            assert!(text.parse::<PageOrigin>().is_ok(), "{text}");
        }
        for text in
            ["", "app.example", "https://", "https://app.example/", "https://a b", "://a", "https://*.a"]
        {
            assert!(text.parse::<PageOrigin>().is_err(), "{text}");
        }
        for (text, bits) in
            [("0660", Some(0o660)), ("777", Some(0o777)), ("1777", None), ("66", None), ("0680", None)]
        {
            assert_eq!(text.parse::<FileMode>().ok().map(FileMode::bits), bits, "{text}");
        }
        for text in ["/", "/mqtt", "/a/b%20c"] {
            assert!(text.parse::<UrlPath>().is_ok(), "{text}");
        }
        for text in ["", "mqtt", "/a b", "/a?b", "/ä", "/a\n"] {
            assert!(text.parse::<UrlPath>().is_err(), "{text}");
        }
    }
}
