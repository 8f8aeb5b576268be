//! The one thing that is looked up in a ClientHello before anybody answers it: whether it offers to resume a session. It is a
//! hint for the order in which clients are served; whoever lies in it is found out by the handshake.

/// Bytes that are looked at; a hello with a post-quantum key share and a ticket has less than 3,000.
pub(crate) const LOOK_BYTES: usize = 4 << 10;

/// The extensions of a ticket: of TLS 1.2 (not empty), and of 1.3.
const SESSION_TICKET: u16 = 35;
const PRE_SHARED_KEY: u16 = 41;

/// Whether these bytes are the beginning of a connection that offers to resume a session.
pub(crate) fn offers_resumption(bytes: &[u8]) -> bool {
    find(bytes).unwrap_or(false)
}

fn find(bytes: &[u8]) -> Option<bool> {
    // A record of the handshake with a ClientHello in it (RFC 8446, sections 5.1, 4 and 4.1.2).
    let rest = bytes.strip_prefix(&[0x16])?.get(4..)?.strip_prefix(&[0x01])?.get(3..)?;
    let rest = rest.get(2 + 32..)?;
    let (_, rest) = counted(rest, 1)?; // The session identifier.
    let (_, rest) = counted(rest, 2)?; // The cipher suites.
    let (_, rest) = counted(rest, 1)?; // The compression methods.
    let mut extensions = rest.get(2..)?;
    while let Some((kind, rest)) = extensions.split_first_chunk() {
        let (content, rest) = counted(rest, 2)?;
        match u16::from_be_bytes(*kind) {
            PRE_SHARED_KEY => return Some(true),
            SESSION_TICKET if !content.is_empty() => return Some(true),
            _ => extensions = rest,
        }
    }
    Some(false)
}

/// What stands behind its own length, of so many bytes, and what follows.
fn counted(bytes: &[u8], length_bytes: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(length_bytes)?;
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(extensions: &[(u16, &[u8])]) -> Vec<u8> {
        let counted = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
        let all: Vec<u8> = extensions
            .iter()
            .flat_map(|(kind, content)| [kind.to_be_bytes().to_vec(), counted(content)].concat())
            .collect();
        let body =
            [&[3, 3][..], &[7; 32], &[1, 9], &counted(&[0x13, 0x01]), &[1, 0], &counted(&all)].concat();
        let message = [&[1, 0][..], &counted(&body)].concat();
        [&[0x16, 3, 1][..], &counted(&message)].concat()
    }

    #[test]
    fn a_ticket_is_found_wherever_it_stands_and_nothing_else_is_one() {
        for (extensions, expect) in [
            (&[][..], false),
            (&[(0, &b"\x00\x03abc"[..]), (35, b"")], false),
            (&[(0, b"abc"), (35, b"ticket")], true),
            (&[(0, b"abc"), (43, b"\x02\x03\x04"), (41, b"")], true),
            (&[(41 << 8, b""), (42, b"\x00\x29\x00\x01")], false),
        ] {
            assert_eq!(offers_resumption(&hello(extensions)), expect, "{extensions:?}");
        }
    }

    #[test]
    fn what_is_cut_off_or_is_none_offers_nothing() {
        let whole = hello(&[(0, b"abc"), (41, b"key")]);
        for length in 0..whole.len() - 3 {
            assert!(!offers_resumption(&whole[..length]), "{length}");
        }
        for at in [0, 5] {
            let mut other = whole.clone();
            other[at] ^= 1;
            assert!(!offers_resumption(&other));
        }
        for length in 0..100 {
            assert!(!offers_resumption(&vec![0xff; length]));
        }
    }
}
