//! UTF-8 encoded strings: what the protocol takes for one. Not topics, which have more rules.

use crate::Malformed;

/// The greatest length of a string or binary field in bytes.
pub(crate) const FIELD_LEN_MAX: usize = 65_535;

/// Whether `bytes` are the content of a UTF-8 encoded string: well-formed, and without U+0000.
/// `[MQTT-1.5.4-1]`, `[MQTT-1.5.4-2]`
///
/// Control characters and non-characters, which the specification says SHOULD NOT be there, pass.
#[must_use]
pub fn is_mqtt_utf8(bytes: &[u8]) -> bool {
    read_str(bytes).is_ok()
}

/// Checks that a string may go into a packet: no U+0000, at most 65,535 bytes.
///
/// # Errors
///
/// [`Malformed::StringNul`] or [`Malformed::StringTooLong`].
pub fn check_str(string: &str) -> Result<(), Malformed> {
    if string.len() > FIELD_LEN_MAX {
        return Err(Malformed::StringTooLong);
    }
    if string.as_bytes().contains(&0) {
        return Err(Malformed::StringNul);
    }
    Ok(())
}

/// Reads the content of a string field. U+FEFF stays where it is. `[MQTT-1.5.4-3]`
#[inline]
pub(crate) fn read_str(bytes: &[u8]) -> Result<&str, Malformed> {
    // `from_utf8` refuses surrogates and overlong forms. [MQTT-1.5.4-1]
    let Ok(string) = core::str::from_utf8(bytes) else {
        return Err(Malformed::StringNotUtf8);
    };
    // In well-formed UTF-8 a zero byte is U+0000 and nothing else. [MQTT-1.5.4-2]
    if bytes.contains(&0) { Err(Malformed::StringNul) } else { Ok(string) }
}

/// The longest start of `string` that a length of two bytes can tell.
#[inline]
pub(crate) fn clip_str(string: &str) -> &str {
    if string.len() <= FIELD_LEN_MAX { string } else { clip_long(string) }
}

#[cold]
fn clip_long(string: &str) -> &str {
    // A character has at most four bytes, so one of these four places is a border.
    (FIELD_LEN_MAX - 3..=FIELD_LEN_MAX).rev().find_map(|len| string.get(..len)).unwrap_or("")
}

/// The longest start of `bytes` that a length of two bytes can tell.
#[inline]
pub(crate) fn clip_bytes(bytes: &[u8]) -> &[u8] {
    bytes.get(..FIELD_LEN_MAX).unwrap_or(bytes)
}
