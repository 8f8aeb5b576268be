//! Topic names and topic filters: what is one, and which matches which. Not the tree that routes.

use crate::Malformed;
use crate::string::{FIELD_LEN_MAX, read_str};

/// What a filter starts with that belongs to a shared subscription.
const SHARE_PREFIX: &str = "$share/";

/// Checks a topic name.
///
/// # Errors
///
/// It is empty, longer than 65,535 bytes, or contains U+0000 or a wildcard.
pub fn check_topic_name(topic: &str) -> Result<(), Malformed> {
    // [MQTT-4.7.3-1]
    if topic.is_empty() {
        return Err(Malformed::TopicEmpty);
    }
    check_topic_len_and_nul(topic)?;
    // [MQTT-4.7.1-1], in 5.0 [MQTT-4.7.0-1]
    if has_wildcard_character(topic) { Err(Malformed::TopicWildcard) } else { Ok(()) }
}

/// Checks a topic filter, with the prefix of a shared subscription or without.
///
/// # Errors
///
/// It is empty, longer than 65,535 bytes, contains U+0000, has a wildcard where none may be, or starts with
/// `$share/` but is not a share name and a filter.
pub fn check_topic_filter(filter: &str) -> Result<(), Malformed> {
    Filter::parse(filter).map(|_| ())
}

/// A topic filter, taken apart.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filter<'a> {
    /// The share name, if the filter belongs to a shared subscription.
    pub share: Option<&'a str>,
    /// The filter that topics are matched with, without the share prefix.
    pub filter: &'a str,
}

impl<'a> Filter<'a> {
    /// Checks a filter and takes it apart.
    ///
    /// # Errors
    ///
    /// As [`check_topic_filter`].
    pub fn parse(text: &'a str) -> Result<Filter<'a>, Malformed> {
        // [MQTT-4.7.3-1]
        if text.is_empty() {
            return Err(Malformed::FilterEmpty);
        }
        check_topic_len_and_nul(text)?;
        let parsed = match text.strip_prefix(SHARE_PREFIX) {
            Some(shared) => parse_shared(shared)?,
            None => Filter { share: None, filter: text },
        };
        check_wildcards(parsed.filter)?;
        Ok(parsed)
    }

    /// Whether the first level is a wildcard, which does not match topics that begin with `$`.
    /// `[MQTT-4.7.2-1]`
    #[must_use]
    pub fn starts_with_wildcard(&self) -> bool {
        starts_with_wildcard(self.filter)
    }

    /// Whether any level is a wildcard.
    #[must_use]
    pub fn has_wildcard(&self) -> bool {
        has_wildcard_character(self.filter)
    }

    /// How many levels the filter has, at least one.
    #[must_use]
    pub fn level_count(&self) -> usize {
        self.filter.split('/').count()
    }
}

/// Whether `filter`, which has no share prefix, matches `topic`. Both are taken to be valid.
///
/// Level by level and without any memory: the reference that faster matchers are tested against.
#[must_use]
pub fn matches(filter: &str, topic: &str) -> bool {
    // [MQTT-4.7.2-1]
    if topic.starts_with('$') && starts_with_wildcard(filter) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match wanted {
            // It also stands for no level at all: `sport/#` matches `sport`.
            "#" => return true,
            "+" => {
                if levels.next().is_none() {
                    return false;
                }
            }
            // [MQTT-4.7.3-4]
            name => {
                if levels.next() != Some(name) {
                    return false;
                }
            }
        }
    }
    levels.next().is_none()
}

/// Whether a filter belongs to a shared subscription.
#[must_use]
pub fn is_shared(filter: &str) -> bool {
    filter.starts_with(SHARE_PREFIX)
}

/// Reads a topic name that may be empty.
///
/// The common case is well-formed, and costs two passes without a branch per byte: the one of `from_utf8`,
/// which the borrow needs, and one that looks for all three forbidden characters at once.
#[inline]
pub(crate) fn read_topic_name(bytes: &[u8]) -> Result<&str, Malformed> {
    let Ok(topic) = core::str::from_utf8(bytes) else {
        return Err(Malformed::StringNotUtf8);
    };
    if has_forbidden_byte(bytes) { Err(name_of_forbidden_byte(bytes)) } else { Ok(topic) }
}

/// Reads and checks a topic filter.
pub(crate) fn read_topic_filter(bytes: &[u8]) -> Result<&str, Malformed> {
    let filter = read_str(bytes)?;
    check_topic_filter(filter)?;
    Ok(filter)
}

/// Whether a byte is there that a topic name must not contain: eight bytes at a time.
#[inline]
fn has_forbidden_byte(bytes: &[u8]) -> bool {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut found = 0;
    for word in words {
        found |= forbidden_in_word(*word);
    }
    let Some(last) = bytes.last_chunk::<8>() else {
        return tail.iter().any(|byte| matches!(byte, 0 | b'#' | b'+'));
    };
    // The tail is read as the last eight bytes, some of them for the second time.
    found | forbidden_in_word(*last) != 0
}

/// Not zero if a byte of the word is forbidden.
#[inline]
fn forbidden_in_word(word: [u8; 8]) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let word = u64::from_ne_bytes(word);
    // `#` and `+` differ in one bit. With that bit set both are `+`, and `+` taken off leaves zero.
    let wildcards = (word | (ONES * u64::from(b'#' ^ b'+'))) ^ (ONES * u64::from(b'+'));
    zero_in_word(word) | zero_in_word(wildcards)
}

/// Not zero if a byte of the word is zero: only then does taking one off borrow into a top bit that was clear.
#[inline]
fn zero_in_word(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

#[cold]
fn name_of_forbidden_byte(bytes: &[u8]) -> Malformed {
    // [MQTT-1.5.4-2], [MQTT-3.3.2-2]
    if bytes.contains(&0) { Malformed::StringNul } else { Malformed::TopicWildcard }
}

fn check_topic_len_and_nul(text: &str) -> Result<(), Malformed> {
    // [MQTT-4.7.3-3]
    if text.len() > FIELD_LEN_MAX {
        return Err(Malformed::TopicTooLong);
    }
    // [MQTT-4.7.3-2]
    if text.as_bytes().contains(&0) { Err(Malformed::TopicNul) } else { Ok(()) }
}

/// Takes `name/filter` apart.
fn parse_shared(shared: &str) -> Result<Filter<'_>, Malformed> {
    let (share, filter) = shared.split_once('/').unwrap_or((shared, ""));
    // [MQTT-4.8.2-1]
    if share.is_empty() {
        return Err(Malformed::ShareNameEmpty);
    }
    // [MQTT-4.8.2-2]
    if has_wildcard_character(share) {
        return Err(Malformed::ShareNameWildcard);
    }
    if filter.is_empty() {
        return Err(Malformed::ShareFilterMissing);
    }
    Ok(Filter { share: Some(share), filter })
}

fn check_wildcards(filter: &str) -> Result<(), Malformed> {
    if !has_wildcard_character(filter) {
        return Ok(());
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        // [MQTT-4.7.1-1]: alone in its level, and the last.
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Err(Malformed::FilterMultiLevelWildcard);
        }
        // [MQTT-4.7.1-2]: alone in its level.
        if level.contains('+') && level != "+" {
            return Err(Malformed::FilterSingleLevelWildcard);
        }
    }
    Ok(())
}

fn has_wildcard_character(text: &str) -> bool {
    text.as_bytes().iter().any(|byte| matches!(byte, b'#' | b'+'))
}

fn starts_with_wildcard(filter: &str) -> bool {
    filter.starts_with(['#', '+'])
}
