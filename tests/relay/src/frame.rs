//! Cuts packets off a stream and finds the few fields that the relay needs. Checks nothing else.

/// One packet: its first byte, what follows the fixed header, and all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) first: u8,
    pub(crate) body: &'a [u8],
    pub(crate) whole: &'a [u8],
}

/// The packet at the start of `input`; `None` while it is not all there. An impossible length is one that never comes.
pub(crate) fn cut(input: &[u8]) -> Option<Frame<'_>> {
    let (mut length, mut at) = (0_usize, 1);
    loop {
        let byte = *input.get(at)?;
        length |= usize::from(byte & 0x7f) << (7 * (at - 1));
        at += 1;
        if byte < 0x80 {
            break;
        }
        if at > 4 {
            return None;
        }
    }
    let whole = input.get(..at + length)?;
    Some(Frame { first: *whole.first()?, body: whole.get(at..)?, whole })
}

/// A field with two length bytes at the start of `bytes`, and what follows it.
pub(crate) fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// The filters of a SUBSCRIBE or UNSUBSCRIBE whose packet identifier and properties are taken off.
///
/// Each filter of a SUBSCRIBE has its options behind it.
pub(crate) fn filters(mut payload: &[u8], has_options: bool) -> Vec<(&[u8], u8)> {
    let mut filters = Vec::new();
    while let Some((filter, rest)) = text(payload) {
        filters.push((filter, rest.first().copied().unwrap_or_default()));
        payload = rest.get(usize::from(has_options)..).unwrap_or_default();
    }
    filters
}

/// What follows a block of properties.
pub(crate) fn after_properties(bytes: &[u8]) -> Option<&[u8]> {
    // The length is written as that of a packet is: a frame without its first byte.
    let (mut length, mut at) = (0_usize, 0);
    loop {
        let byte = *bytes.get(at)?;
        length |= usize::from(byte & 0x7f) << (7 * at);
        at += 1;
        if byte < 0x80 || at > 3 {
            return bytes.get(at + length..);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_cut_off_when_it_is_whole() {
        let bytes = [0x30, 3, 0, 1, b't', 0xc0, 0];
        let frame = cut(&bytes).unwrap();
        assert_eq!((frame.first, frame.body, frame.whole), (0x30, &[0, 1, b't'][..], &bytes[..5]));
        assert_eq!(cut(&bytes[5..]).unwrap().whole, [0xc0, 0]);
        for end in 0..5 {
            assert_eq!(cut(&bytes[..end]), None, "{end}");
        }
        let long: Vec<u8> = [0x30, 0x80, 0x01].into_iter().chain([7; 128]).collect();
        assert_eq!(cut(&long).unwrap().body, [7; 128]);
        assert_eq!(cut(&[0x30, 0x80, 0x80, 0x80, 0x80, 0x01]), None);
    }

    #[test]
    fn filters_are_found_behind_properties() {
        let body = [2, 0x0b, 5, 0, 3, b'a', b'/', b'b', 1, 0, 1, b'#', 0];
        let payload = after_properties(&body).unwrap();
        assert_eq!(filters(payload, true), [(&b"a/b"[..], 1), (b"#", 0)]);
        assert_eq!(after_properties(&[0, 9]), Some(&[9][..]));
        assert_eq!(after_properties(&[5, 9]), None);
    }
}
