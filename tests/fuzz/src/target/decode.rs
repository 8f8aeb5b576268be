//! Bytes to packets: no panic, no more consumed than given, and every refusal names its statement.

use whimbrel_codec::{
    Connect, Filter, Frame, Malformed, Packet, PacketType, Peer, PublishProperties, Split, Version,
    check_topic_filter, check_topic_name, is_mqtt_utf8, matches, split,
};

pub(super) const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// The first byte says how large a packet may be, or that the second is a type with flags and the rest a body.
pub(super) fn decode(data: &[u8]) {
    let Some((&choice, mut rest)) = data.split_first() else { return };
    texts(rest);
    if let (true, Some((&first, body))) = (choice % 2 == 1, rest.split_first())
        && let Some(kind) = PacketType::from_bits(first >> 4)
    {
        // Flags that `split` would have refused, too.
        return by_all(Frame { kind, flags: first & 0x0f, body });
    }
    let size_max = if choice < 200 { u32::MAX } else { u32::from(choice - 200) * 4 };
    loop {
        match split(rest, size_max) {
            Ok(Split::Whole { frame, len }) => {
                assert!(len <= rest.len() && len <= size_max as usize && frame.body.len() < len);
                prefixes(&rest[..len], size_max);
                by_all(frame);
                rest = &rest[len..];
            }
            Ok(Split::More { at_least }) => return assert!(at_least > rest.len()),
            Err(malformed) => return VERSIONS.iter().for_each(|version| named(malformed, *version)),
        }
    }
}

/// A beginning of a whole frame wants more, and never more than there will be: who waits for it must not hang.
fn prefixes(whole: &[u8], size_max: u32) {
    for len in (0..whole.len()).take(8) {
        match split(&whole[..len], size_max) {
            Ok(Split::More { at_least }) => assert!(len < at_least && at_least <= whole.len()),
            other => panic!("{len} bytes of {whole:02x?}: {other:?}"),
        }
    }
}

fn by_all(frame: Frame<'_>) {
    for version in VERSIONS {
        for from in [Peer::Client, Peer::Server] {
            match Packet::decode(frame, version, from) {
                Ok(packet) => assert!(packet.kind() == frame.kind && !format!("{packet:?}").is_empty()),
                Err(malformed) => named(malformed, version),
            }
        }
    }
    if let Err(malformed) = Connect::version_of(frame) {
        named(malformed, Version::V5);
    }
}

fn named(malformed: Malformed, version: Version) {
    assert!(!malformed.statement(version).is_empty(), "{malformed:?}");
    assert!(malformed.reason().is_error(), "{malformed:?}");
    assert!(!malformed.to_string().is_empty(), "{malformed:?}");
}

/// The readers of what stands inside packets.
fn texts(bytes: &[u8]) {
    let read = PublishProperties::from_forwarded(bytes);
    let mut forwarded = Vec::new();
    read.forwarded(&mut forwarded);
    assert!(forwarded.len() == read.forwarded_len() && forwarded.len() <= bytes.len());
    assert_eq!(PublishProperties::from_forwarded(&forwarded), read);
    let text = std::str::from_utf8(bytes);
    assert_eq!(is_mqtt_utf8(bytes), text.is_ok_and(|text| !text.contains('\0')));
    let Ok(text) = text else { return };
    assert_eq!(Filter::parse(text).is_ok(), check_topic_filter(text).is_ok());
    assert!(!matches("#", text) || !text.starts_with('$'));
    if check_topic_name(text).is_ok() {
        assert!(matches(text, text), "a topic matches itself");
    }
}
