//! What decodes encodes to something that decodes to the same, with the length that was foretold, into any sink.

use whimbrel_codec::{Frame, Packet, PacketType, Peer, SliceSink, Split, Version, split};

use super::decode::VERSIONS;

/// The input is one of `decode`'s.
pub(super) fn round_trip(data: &[u8]) {
    let Some((&choice, mut rest)) = data.split_first() else { return };
    if let (true, Some((&first, body))) = (choice % 2 == 1, rest.split_first())
        && let Some(kind) = PacketType::from_bits(first >> 4)
    {
        return by_all(Frame { kind, flags: first & 0x0f, body }, choice);
    }
    while let Ok(Split::Whole { frame, len }) = split(rest, u32::MAX) {
        by_all(frame, choice);
        rest = &rest[len..];
    }
}

fn by_all(frame: Frame<'_>, choice: u8) {
    for version in VERSIONS {
        for from in [Peer::Client, Peer::Server] {
            if let Ok(packet) = Packet::decode(frame, version, from) {
                stable(&packet, version, from);
                short_sink(&packet, version, choice);
            }
        }
    }
}

fn stable(packet: &Packet<'_>, version: Version, from: Peer) {
    let mut bytes = Vec::new();
    packet.encode(version, &mut bytes);
    assert_eq!(bytes.len(), packet.encoded_len(version), "{packet:?}");
    let Ok(Split::Whole { frame, len }) = split(&bytes, u32::MAX) else { panic!("no frame: {packet:?}") };
    assert_eq!(len, bytes.len(), "{packet:?}");
    let again = Packet::decode(frame, version, from);
    assert_eq!(again.as_ref(), Ok(packet), "{version}");
    let mut twice = Vec::new();
    again.unwrap().encode(version, &mut twice);
    assert_eq!(twice, bytes, "what was read back is written as before");
}

/// A buffer that is too small says so, and one that is not holds the same bytes.
fn short_sink(packet: &Packet<'_>, version: Version, choice: u8) {
    let len = packet.encoded_len(version);
    let mut buffer = vec![0; len];
    let mut short = SliceSink::new(&mut buffer[..len.saturating_sub(1 + usize::from(choice) / 2)]);
    packet.encode(version, &mut short);
    assert!(short.overflow(), "{packet:?}");
    let mut sink = SliceSink::new(&mut buffer);
    packet.encode(version, &mut sink);
    assert!(!sink.overflow() && sink.written().len() == len, "{packet:?}");
}
