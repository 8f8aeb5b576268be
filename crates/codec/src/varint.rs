//! The variable byte integer. Not the fields that are made of it.

use crate::Malformed;

/// The greatest value that four bytes hold.
pub(crate) const VARINT_MAX: u32 = 268_435_455;

/// How many bytes the minimal encoding of `value` takes, 1 to 4.
#[inline]
pub(crate) const fn varint_len(value: u32) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

/// The minimal encoding of `value`; the first [`varint_len`] bytes count. Values above the greatest are
/// written as the greatest.
#[inline]
pub(crate) fn varint_bytes(value: u32) -> [u8; 4] {
    let value = value.min(VARINT_MAX);
    let len = varint_len(value);
    let continued = |at: usize| if at < len { 0x80 } else { 0 };
    [
        (value & 0x7f) as u8 | continued(1),
        (value >> 7 & 0x7f) as u8 | continued(2),
        (value >> 14 & 0x7f) as u8 | continued(3),
        (value >> 21 & 0x7f) as u8,
    ]
}

/// Reads the integer at the start of `bytes`: its value and its length, or `None` while bytes are missing.
#[inline]
pub(crate) fn read_varint(bytes: &[u8]) -> Result<Option<(u32, usize)>, Malformed> {
    // Most lengths are one byte.
    if let Some(&byte) = bytes.first()
        && byte < 0x80
    {
        return Ok(Some((u32::from(byte), 1)));
    }
    let mut value = 0;
    let mut shift = 0;
    for (at, &byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            // [MQTT-1.5.5-1]: a last byte of zero that is not the first adds nothing: the value had a shorter form.
            return if byte == 0 {
                Err(Malformed::VariableIntegerNotMinimal)
            } else {
                Ok(Some((value, at + 1)))
            };
        }
        shift += 7;
    }
    if bytes.len() < 4 { Ok(None) } else { Err(Malformed::VariableIntegerTooLong) }
}
