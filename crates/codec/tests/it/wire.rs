//! Bytes written for people, and the two questions that most tests ask of them. Not a codec of its own.

use whimbrel_codec::{Malformed, Packet, Peer, ReasonCode, Split, Version, split};

/// Greater than any packet of these tests.
pub(crate) const NO_LIMIT: u32 = u32::MAX;

pub(crate) const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// Bytes from hexadecimal digits and 'text' in quotes; spaces mean nothing. What stands in `[` `]` is preceded
/// by its length in one byte, as properties are.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut block = 0;
    for (at, part) in text.split('\'').enumerate() {
        if at % 2 == 1 {
            bytes.extend_from_slice(part.as_bytes());
            continue;
        }
        let mut high = None;
        for character in part.chars().filter(|character| !character.is_whitespace()) {
            match (character, high.take()) {
                ('[', None) => {
                    block = bytes.len();
                    bytes.push(0);
                }
                (']', None) => bytes[block] = u8::try_from(bytes.len() - block - 1).unwrap(),
                (digit, None) => high = Some(digit.to_digit(16).unwrap()),
                (digit, Some(high)) => bytes.push((high << 4 | digit.to_digit(16).unwrap()) as u8),
            }
        }
        assert_eq!(high, None, "half a byte in {part:?}");
    }
    bytes
}

/// A whole packet: this first byte, the length of the body in one byte, the body.
pub(crate) fn packet(first: u8, body: &str) -> Vec<u8> {
    let body = bytes(body);
    assert!(body.len() < 128, "the helper writes one length byte");
    [vec![first, body.len() as u8], body].concat()
}

/// Splits and decodes exactly one packet.
pub(crate) fn decode(bytes: &[u8], version: Version, from: Peer) -> Result<Packet<'_>, Malformed> {
    match split(bytes, NO_LIMIT)? {
        Split::Whole { frame, len } => {
            assert_eq!(len, bytes.len(), "the frame takes all bytes");
            Packet::decode(frame, version, from)
        }
        Split::More { at_least } => panic!("{at_least} bytes wanted, {} given", bytes.len()),
    }
}

pub(crate) fn encode(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut out = Vec::new();
    packet.encode(version, &mut out);
    assert_eq!(out.len(), packet.encoded_len(version), "encoded_len of {packet:?}");
    out
}

/// The packet decodes to `expect`, and `expect` encodes to the packet.
#[track_caller]
pub(crate) fn same(version: Version, from: Peer, first: u8, body: &str, expect: Packet<'_>) {
    let wire = packet(first, body);
    assert_eq!(decode(&wire, version, from), Ok(expect));
    assert_eq!(encode(&expect, version), wire);
}

#[track_caller]
pub(crate) fn accepts(version: Version, from: Peer, first: u8, body: &str) {
    let wire = packet(first, body);
    if let Err(malformed) = decode(&wire, version, from) {
        panic!("refused: {malformed}");
    }
}

/// The packet is refused, for this violation, which breaks this statement and is answered with this code.
#[track_caller]
pub(crate) fn refuses(
    version: Version,
    from: Peer,
    (first, body): (u8, &str),
    expect: Malformed,
    statement: &str,
    reason: ReasonCode,
) {
    let wire = packet(first, body);
    assert_eq!(decode(&wire, version, from), Err(expect));
    assert_eq!(expect.statement(version), statement);
    assert_eq!(expect.reason(), reason);
}
