//! The little language in which Mosquitto's sequences write bytes: hexadecimal digits, texts in quotes, and numbers with
//! a letter for their width. Not what the bytes mean.

/// The bytes of a payload: `82 r7 m1234 00 s1 'p' 01`.
pub(super) fn parse(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('\'') {
            let (string, after) = string(quoted).ok_or_else(|| format!("`{text}` has an open quote"))?;
            bytes.extend_from_slice(string.as_bytes());
            rest = after.trim_start();
            continue;
        }
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let wrong = || format!("`{word}` in `{text}` is no number");
        let number = || word.get(1..).and_then(|digits| digits.parse::<u64>().ok()).ok_or_else(wrong);
        match first {
            'i' => bytes.push(u8::try_from(number()?).map_err(|_| wrong())?),
            'H' | 'k' | 'm' | 's' => {
                bytes.extend_from_slice(&u16::try_from(number()?).map_err(|_| wrong())?.to_be_bytes());
            }
            'L' => bytes.extend_from_slice(&u32::try_from(number()?).map_err(|_| wrong())?.to_be_bytes()),
            'v' | 'r' => put_variable(number()?, &mut bytes),
            _ => put_hex(word, &mut bytes).ok_or_else(wrong)?,
        }
        rest = after.trim_start();
    }
    Ok(bytes)
}

/// A text ends at the quote before a space or the end.
fn string(text: &str) -> Option<(&str, &str)> {
    let ends = text.match_indices('\'').map(|(at, _)| at);
    let end = ends.into_iter().find(|at| matches!(text.as_bytes().get(at + 1), None | Some(b' ')))?;
    Some((text.get(..end)?, text.get(end + 1..)?))
}

/// As many bytes as it takes, also more than the four that are allowed.
fn put_variable(mut number: u64, bytes: &mut Vec<u8>) {
    loop {
        let [low, ..] = (number % 128).to_le_bytes();
        number /= 128;
        bytes.push(if number > 0 { low | 0x80 } else { low });
        if number == 0 {
            return;
        }
    }
}

fn put_hex(word: &str, bytes: &mut Vec<u8>) -> Option<()> {
    let digits = word.chars().map(|digit| digit.to_digit(16)).collect::<Option<Vec<_>>>()?;
    for pair in digits.chunks(2) {
        let [high, low] = pair else { return None };
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_word_is_read() {
        let check = |text: &str, expect: &[u8]| assert_eq!(parse(text).as_deref(), Ok(expect), "{text}");
        check("82 r7 m1234 00 s1 'p' 01", &[0x82, 7, 0x04, 0xd2, 0, 0, 1, b'p', 1]);
        check("  i255 H1 L1  v128 ", &[255, 0, 1, 0, 0, 0, 1, 0x80, 1]);
        check("r268435456", &[0x80, 0x80, 0x80, 0x80, 1]);
        check("'two words' 'it''s' 0aFF", b"two wordsit''s\x0a\xff");
        check("", &[]);
    }

    #[test]
    fn what_is_no_message_is_said() {
        for text in ["'open", "1", "0g", "i256", "H65536", "mx", "é"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
